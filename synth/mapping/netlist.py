"""Flat mapped netlists: what Yosys wrote, as cells, pins and nets.

`parse_yosys_json` is a pure function of text; only `verilog_to_json` runs Yosys.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONSTANT_NETS: Mapping[str, int] = {"1'0": 0, "1'1": 1}
"""The nets that stand for a pin tied to a constant, and their value."""

_Bit = int | str


@dataclass(frozen=True)
class Cell:
    """An instance: `kind` is the library cell, `pins` maps a connected pin to its net."""

    name: str
    kind: str
    pins: dict[str, str]


@dataclass(frozen=True)
class Netlist:
    """A flat module: instances by name, ports as lists of nets, least significant bit first."""

    top: str
    cells: dict[str, Cell]
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]


def parse_yosys_json(text: str) -> Netlist:
    """Netlist of the top module of a Yosys `write_json` text.

    A bit with several names gets the one a user sees: a port before a named wire before a generated
    wire, then the least deep, then the first in alphabetical order. Bit `i` of a vector is
    `name[i]`; a bit without any name is `$bit<number>`. Constants are the nets of `CONSTANT_NETS`.
    Raises: ValueError (no top module, an undefined connection).
    """
    top, module = _top_module(json.loads(text)["modules"])
    names = _net_names(module)

    def net(bit: _Bit, where: str) -> str:
        if isinstance(bit, int):
            return names.get(bit, f"$bit{bit}")
        if bit not in ("0", "1"):
            raise ValueError(f"{where} must be connected to a net, 0 or 1, not {bit!r}")
        return f"1'{bit}"

    cells: dict[str, Cell] = {}
    for name, cell in module["cells"].items():
        if cell["type"] == "$scopeinfo":  # a note of where a flattened module was, not hardware
            continue
        pins: dict[str, str] = {}
        for pin, bits in cell["connections"].items():
            if len(bits) > 1:
                raise ValueError(f"pin {pin} of {name} must have one bit, not {len(bits)!r}")
            if bits:  # an empty list is an unconnected pin
                pins[pin] = net(bits[0], f"pin {pin} of {name}")
        cells[name] = Cell(name, cell["type"], pins)
    ports: dict[str, dict[str, list[str]]] = {"input": {}, "output": {}}
    for name, port in module["ports"].items():
        if port["direction"] not in ports:
            raise ValueError(f"port {name} must be input or output, not {port['direction']!r}")
        nets = [net(bit, f"port {name}") for bit in port["bits"]]
        ports[port["direction"]][name] = nets
    return Netlist(top, cells, ports["input"], ports["output"])


def _top_module(modules: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The module marked top, else the only one that is no black box."""
    marked = [name for name, m in modules.items() if "top" in m.get("attributes", {})]
    boxes = ("blackbox", "whitebox")
    real = [n for n, m in modules.items() if not any(b in m.get("attributes", {}) for b in boxes)]
    found = marked or real
    if len(found) != 1:
        raise ValueError(f"the netlist must have one top module, not {sorted(found)!r}")
    return found[0], modules[found[0]]


def _net_names(module: dict[str, Any]) -> dict[int, str]:
    """The preferred name of each bit number."""
    best: dict[int, tuple[bool, bool, int, str]] = {}
    for wire, net in module["netnames"].items():
        rank = (wire not in module["ports"], bool(net["hide_name"]), wire.count("."))
        for bit, name in zip(net["bits"], _bit_names(wire, net), strict=True):
            if isinstance(bit, int):
                best[bit] = min(best.get(bit, (*rank, name)), (*rank, name))
    return {bit: ranked[-1] for bit, ranked in best.items()}


def _bit_names(wire: str, net: dict[str, Any]) -> Iterator[str]:
    width, offset = len(net["bits"]), net.get("offset", 0)
    if width == 1:
        yield wire
        return
    for i in range(width):
        yield f"{wire}[{offset + (width - 1 - i if net.get('upto') else i)}]"


def verilog_to_json(path: Path | str) -> str:
    """Yosys JSON of a mapped Verilog file; cells that it does not define stay black boxes.

    Yosys ends its process on an error, so it runs in one of its own.
    Raises: FileNotFoundError; ValueError with Yosys's message (a syntax error).
    """
    source = Path(path).resolve(strict=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(source, Path(folder, "netlist.v"))  # a path without blanks
        command = [sys.executable, "-c", _YOSYS]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode:
            lines = [line for line in (run.stdout + run.stderr).splitlines() if "ERROR" in line]
            raise ValueError(f"{source.name} must be a Verilog netlist: {' '.join(lines)}")
        return Path(folder, "netlist.json").read_text()


_YOSYS = """
from pyosys import libyosys
for command in ("read_verilog netlist.v", "hierarchy -auto-top", "write_json netlist.json"):
    libyosys.run_pass(command)
"""
