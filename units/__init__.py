"""The catalogue: every unit that can be generated, verified and measured, one row each."""

from collections.abc import Mapping
from typing import Any

from ..support.words import Codes
from . import dots, integers, macs, parts, quantizers, scaling, tiles
from .catalogue import Configuration, Declared, Ports, Unit, configured
from .emit import Emitted, emit, to_rtlil, to_verilog
from .interfaces import Interface, StreamConfiguration, with_interface
from .workloads import Workload

FAMILIES = (macs, tiles, dots, parts, scaling, integers, quantizers)

UNITS: Mapping[str, Unit] = {unit.name: unit for family in FAMILIES for unit in family.ROWS}
"""Every unit by its name, in the order in which `mlsmac units` lists them."""


def named(name: str) -> Unit:
    """The unit of that name. Raises: ValueError."""
    if name not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {name!r}")
    return UNITS[name]


def configure(name: str, **options: Any) -> Configuration:
    """A unit's configuration by its name; options and errors as `configured`."""
    return configured(named(name), options)


def reference(name: str, options: Mapping[str, Any], inputs: Ports) -> dict[str, Codes]:
    """Outputs of a unit by the golden model, as `Unit.model` gives them. Raises: ValueError."""
    return named(name).model(inputs, **options)


__all__ = [
    "UNITS",
    "Configuration",
    "Declared",
    "Emitted",
    "Interface",
    "StreamConfiguration",
    "Unit",
    "Workload",
    "configure",
    "configured",
    "emit",
    "named",
    "reference",
    "to_rtlil",
    "to_verilog",
    "with_interface",
]
