"""The catalogue: every unit that can be generated, verified and measured."""

from .catalogue import UNITS, Configuration, Unit, configure
from .emit import Emitted, emit, to_rtlil, to_verilog
from .interfaces import Interface, StreamConfiguration, with_interface
from .reference import reference

__all__ = [
    "UNITS",
    "Configuration",
    "Emitted",
    "Interface",
    "StreamConfiguration",
    "Unit",
    "configure",
    "emit",
    "reference",
    "to_rtlil",
    "to_verilog",
    "with_interface",
]
