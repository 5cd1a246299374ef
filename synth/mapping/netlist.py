"""Flat mapped netlists: what Yosys wrote, as cells, pins and nets.

Pure functions; only `verilog_to_json` runs Yosys.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...support.collection import no_collection
from ...support.files import scratch

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

    def nets(self) -> list[str]:
        """Every net but the constants, in the order of ports and then of pins."""
        ports = (*self.inputs.values(), *self.outputs.values())
        pins = (cell.pins.values() for cell in self.cells.values())
        names = dict.fromkeys(net for group in (*ports, *pins) for net in group)
        return [net for net in names if net not in CONSTANT_NETS]


def parse_yosys_json(text: str) -> Netlist:
    """Netlist of the top module of a Yosys `write_json` text, as `flatten` makes it. Raises:
    ValueError (no top module, an undefined connection).
    """
    modules = json.loads(text)["modules"]
    return flatten(modules, _top_module(modules))


@no_collection()
def flatten(modules: Mapping[str, Any], top: str) -> Netlist:
    """Netlist of the module `top` of those in Yosys's JSON, the modules below it flattened: their
    cells and nets are called `instance.name`.

    A bit with several names gets the one a user sees: a port before a named wire before a generated
    wire, then the least deep, then the first in alphabetical order; of a net that passes through
    several modules, a name in the uppermost. Bit `i` of a vector is `name[i]`; a bit without any
    name is `$bit<number>`. Constants are the nets of `CONSTANT_NETS`.
    Raises: ValueError (an undefined connection).
    """
    flat = _Flat(modules, top)
    nets = dict(_CONSTANTS)
    flat.add("", flat.local(top), nets)
    ports: dict[str, dict[str, list[str]]] = {"input": {}, "output": {}}
    for name, port in modules[top]["ports"].items():
        if port["direction"] not in ports:
            raise ValueError(f"port {name} must be input or output, not {port['direction']!r}")
        ports[port["direction"]][name] = [nets[bit] for bit in port["bits"]]
    return flat.netlist(top, ports["input"], ports["output"])


_CONSTANTS: dict[_Bit, str] = {"0": "1'0", "1": "1'1"}


@dataclass(frozen=True)
class _Local:
    """A module by itself: `names` of its bits, `ports` with their bits, `cells` of the library with
    a bit a pin, `instances` of other modules with the bits of their ports.
    """

    names: dict[_Bit, str]
    ports: dict[str, list[_Bit]]
    cells: list[tuple[str, str, list[tuple[str, _Bit]]]]
    instances: list[tuple[str, str, dict[str, list[_Bit]]]]


class _Flat:
    """Cells of instances that are added one after another, each after those around it."""

    def __init__(self, modules: Mapping[str, Any], top: str) -> None:
        self._modules = modules
        self._local: dict[str, _Local] = {}
        self._cells: dict[str, Cell] = {}
        self._same: dict[str, str] = {}  # of two names of a net, the worse to the better
        local = self.local(top)
        self._port_nets = {local.names.get(bit) for bits in local.ports.values() for bit in bits}

    def local(self, kind: str) -> _Local:
        """A module, read once."""
        if kind not in self._local:
            self._local[kind] = _read(self._modules[kind], self._modules)
        return self._local[kind]

    def add(self, prefix: str, local: _Local, nets: dict[_Bit, str]) -> None:
        """The cells of an instance and of those in it; `nets`: those of its ports."""
        for bit, name in local.names.items():
            if bit not in nets:
                nets[bit] = prefix + name
        for name, kind, pins in local.cells:
            called = prefix + name
            self._cells[called] = Cell(called, kind, {pin: nets[bit] for pin, bit in pins})
        for name, kind, connections in local.instances:
            inner = self.local(kind)
            own = dict(_CONSTANTS)
            for port, bits in connections.items():
                for inside, outside in zip(inner.ports[port], bits, strict=bool(bits)):
                    net = nets[outside]
                    # A module that connects its ports, or one to a constant, joins nets outside.
                    if own.setdefault(inside, net) != net:
                        self._join(own[inside], net)
            self.add(f"{prefix}{name}.", inner, own)

    def _join(self, one: str, two: str) -> None:
        one, two = sorted((self._best(one), self._best(two)), key=self._rank)
        if one != two:
            self._same[two] = one

    def _rank(self, net: str) -> tuple[bool, bool, int, str]:
        return net not in CONSTANT_NETS, net not in self._port_nets, net.count("."), net

    def _best(self, net: str) -> str:
        while net in self._same:
            net = self._same[net]
        return net

    def netlist(
        self, top: str, inputs: dict[str, list[str]], outputs: dict[str, list[str]]
    ) -> Netlist:
        """All of it, in alphabetical order."""
        cells = {name: self._cells[name] for name in sorted(self._cells)}
        if not self._same:
            return Netlist(top, cells, inputs, outputs)
        best = {net: self._best(net) for net in self._same}
        for name, cell in cells.items():
            pins = {pin: best.get(net, net) for pin, net in cell.pins.items()}
            cells[name] = replace(cell, pins=pins)
        ports = (
            {name: [best.get(net, net) for net in nets] for name, nets in own.items()}
            for own in (inputs, outputs)
        )
        return Netlist(top, cells, *ports)


def _read(module: Mapping[str, Any], modules: Mapping[str, Any]) -> _Local:
    names = _net_names(module)

    def checked(bits: list[_Bit], where: str) -> list[_Bit]:
        for bit in bits:
            if isinstance(bit, int):
                names.setdefault(bit, f"$bit{bit}")
            elif bit not in _CONSTANTS:
                raise ValueError(f"{where} must be connected to a net, 0 or 1, not {bit!r}")
        return bits

    ports = {name: checked(port["bits"], f"port {name}") for name, port in module["ports"].items()}
    local = _Local(names, ports, [], [])
    for name, cell in module["cells"].items():
        if cell["type"] == "$scopeinfo":  # a note of where a flattened module was, not hardware
            continue
        connections = {
            pin: checked(bits, f"pin {pin} of {name}") for pin, bits in cell["connections"].items()
        }
        if cell["type"] in modules and not _is_box(modules[cell["type"]]):
            local.instances.append((name, cell["type"], connections))
            continue
        for pin, bits in connections.items():
            if len(bits) > 1:
                raise ValueError(f"pin {pin} of {name} must have one bit, not {len(bits)!r}")
        # An empty list is an unconnected pin.
        pins = [(pin, bits[0]) for pin, bits in connections.items() if bits]
        local.cells.append((name, cell["type"], pins))
    return local


def _is_box(module: dict[str, Any]) -> bool:
    return any(box in module.get("attributes", {}) for box in ("blackbox", "whitebox"))


def _top_module(modules: Mapping[str, Any]) -> str:
    """The module marked top, else the only one that is no black box."""
    marked = [name for name, m in modules.items() if "top" in m.get("attributes", {})]
    real = [name for name, module in modules.items() if not _is_box(module)]
    found = marked or real
    if len(found) != 1:
        raise ValueError(f"the netlist must have one top module, not {sorted(found)!r}")
    return found[0]


def _net_names(module: Mapping[str, Any]) -> dict[_Bit, str]:
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


def verilog_to_json(*files: Path | str, top: str | None = None) -> str:
    """Yosys JSON of mapped Verilog files; cells that they do not define stay black boxes. `top`:
    the module, where Yosys must not look for it.

    Yosys ends its process on an error, so it runs in one of its own.
    Raises: FileNotFoundError; ValueError with Yosys's message (a syntax error, no module `top`).
    """
    sources = [Path(file).resolve(strict=True) for file in files]
    with scratch() as folder:
        for number, source in enumerate(sources):
            shutil.copy(source, folder / f"{number}.v")  # a path without blanks
        read = [f"read_verilog {number}.v" for number in range(len(sources))]
        found = f"hierarchy -top {top}" if top else "hierarchy -auto-top"
        command = [sys.executable, "-c", _YOSYS, *read, found, "write_json netlist.json"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode:
            said = run.stdout + run.stderr
            lines = " ".join(line for line in said.splitlines() if "ERROR" in line)
            for number, source in enumerate(sources):
                lines = lines.replace(f"{number}.v", source.name)
            names = ", ".join(source.name for source in sources)
            raise ValueError(f"{names} must be a Verilog netlist: {lines}")
        return (folder / "netlist.json").read_text()


_YOSYS = """
import sys
from pyosys import libyosys
for command in sys.argv[1:]:
    libyosys.run_pass(command)
"""
