"""Liberty files: areas, pins, delay and energy tables of standard cells, in one set of units.

Units everywhere: ns, pF, pJ, W, V, um^2. The parser is `libparse` (Yosys's own); cells are
converted when first asked for, since a mapped netlist uses a few dozen of several hundred.
Source: Liberty User Guide (NLDM, internal_power, leakage_power); energies in power tables are in
capacitive_load_unit * voltage_unit^2, leakage is in leakage_power_unit.
"""

import functools
import gzip
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...support.files import fill
from .boolean import Expr, parse
from .cells import (
    Arc,
    ArcKind,
    Direction,
    EnergyGroup,
    Flop,
    Leakage,
    LibertyCell,
    LibertyError,
    Pin,
    Sense,
    Table,
)
from .tables import Node, TableReader, Units, attribute, groups, read_template, unquote


@dataclass(frozen=True)
class Library:
    """A Liberty file: `volts` is the supply of the default operating conditions.

    `cells` converts a cell when it is first asked for; `library[kind]` also checks it is complete.
    """

    name: str
    volts: float
    cells: Mapping[str, LibertyCell]
    parser: object = field(repr=False, compare=False)
    """Owns the tree that cells are read from: in C++, where nothing else keeps it."""

    def __getitem__(self, kind: str) -> LibertyCell:
        """The cell `kind`, for timing and power. Raises: LibertyError (absent, incomplete)."""
        if kind not in self.cells:
            raise LibertyError(f"cell must be one of library {self.name}, not {kind!r}")
        cell = self.cells[kind]
        _check(cell)
        return cell


def _check(cell: LibertyCell) -> None:
    """Raise LibertyError where timing, power or simulation would lack something."""
    known = {pin.name for pin in cell.inputs} | (
        {cell.flop.state, cell.flop.inverse} if cell.flop else set()
    )
    for pin in cell.outputs:
        if pin.function is None or not pin.function.pins <= known:
            raise LibertyError(
                f"output {pin.name} of {cell.name} must be a function of inputs or of an ff group"
            )
        if pin.function.pins and not pin.arcs:
            raise LibertyError(
                f"output {pin.name} of {cell.name} must have delay tables, but has none"
            )
    if cell.inputs and cell.outputs and not any(pin.energies for pin in cell.pins.values()):
        raise LibertyError(f"cell {cell.name} must have power tables, but has none")
    if cell.inputs and cell.leakage_watts is None:
        raise LibertyError(f"cell {cell.name} must have leakage, but has none")


class _LazyCells(Mapping[str, LibertyCell]):
    """Cells by name, each converted from its tree on first use."""

    def __init__(self, nodes: Mapping[str, Node], read: Callable[[str, Node], LibertyCell]) -> None:
        self._nodes, self._read = nodes, read
        self._cells: dict[str, LibertyCell] = {}

    def __getitem__(self, kind: str) -> LibertyCell:
        if kind not in self._cells:
            self._cells[kind] = self._read(kind, self._nodes[kind])
        return self._cells[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


def read_bytes(path: Path) -> bytes:
    """The text of a Liberty file, plain or compressed (`.gz`)."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def load(path: Path | str) -> Library:
    """Read a Liberty file, plain or `.gz`.

    Raises: FileNotFoundError; LibertyError (not a Liberty file, no power tables, leakage, area or
    flop description at all, unreadable units); cells are checked one by one when first used.
    A syntax error inside the library ends the process (see `check_syntax`). Equal files are parsed
    once a process.
    """
    path = Path(path)
    data = read_bytes(path)
    text = re.sub(rb"/\*.*?\*/", b"", data[:10_000], flags=re.DOTALL).lstrip()
    if not text.startswith(b"library"):  # the parser would end the process
        raise LibertyError(f"{path.name} must begin with a library group")
    if not data.rstrip().endswith((b"}", b"*/")):  # the parser would take what there is
        raise LibertyError(f"{path.name} must end with the library's closing brace: is it cut off?")
    for what, mark in _REQUIRED.items():
        if not re.search(mark, data):
            raise LibertyError(f"{path.name} must have {what}, but there is none")
    return _parsed(data)


@functools.lru_cache(maxsize=4)
def _parsed(data: bytes) -> Library:
    """Once a process: whoever reads the same text shares the cells that were converted."""
    return _library(_parser(data))


def check_syntax(path: Path) -> None:
    """Raise LibertyError where the parser cannot read the file: it ends its process, so it is tried
    in another one.
    """
    program = (
        f"import sys; from {__package__} import library; "
        "cells = library.load(sys.argv[1]).cells; [cells[kind] for kind in cells]"
    )
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        why = lines[-1].strip() if lines else f"the parser ended with status {done.returncode}"
        raise LibertyError(f"{path.name} must be a Liberty file: {why}")


_REQUIRED: Mapping[str, bytes] = {
    "power tables (internal_power groups)": rb"internal_power\s*\(",
    "leakage (cell_leakage_power or leakage_power)": rb"cell_leakage_power\s*:|leakage_power\s*\(",
    "cell areas": rb"\barea\s*:",
    "flop descriptions (ff groups)": rb"\bff\s*\(",
}


def _parser(data: bytes) -> Any:
    """The parser of a Liberty text, its tree in `ast`."""
    import libparse  # only whoever reads a Liberty file needs it

    with tempfile.TemporaryDirectory(prefix="mlsmac-liberty-") as folder:
        fill(Path(folder), {"cells.lib": data})  # libparse wants a C FILE
        # The parser closes the descriptor itself.
        descriptor = os.open(Path(folder, "cells.lib"), os.O_RDONLY)
        handle = open(descriptor, closefd=False)  # noqa: SIM115
        return libparse.LibertyParser(handle)


def _library(parser: Any) -> Library:
    root: Node = parser.ast
    head = list(root.children)
    values = {node.id: unquote(node.value) for node in head if node.value}
    name = unquote(root.args[0])
    volts = values.get("nom_voltage", "")
    wanted = values.get("default_operating_conditions")
    for node in head:
        if node.id == "operating_conditions" and unquote(node.args[0]) == wanted:
            volts = next((unquote(c.value) for c in node.children if c.id == "voltage"), volts)
    if not volts:
        raise LibertyError(f"library {name} must give its supply (nom_voltage), but does not")
    load_unit = next((n.args for n in head if n.id == "capacitive_load_unit"), None)
    if load_unit is None:
        raise LibertyError(f"library {name} must give capacitive_load_unit, but does not")
    factor, unit = (unquote(arg) for arg in load_unit)
    units = Units.of(values, f"{float(factor):g}{unit}", name)
    templates = {
        unquote(n.args[0]): read_template(n, units)
        for n in head
        if n.id in ("lu_table_template", "power_lut_template")
    }
    cells = {unquote(node.args[0]): node for node in head if node.id == "cell"}
    read = _CellReader(TableReader(units, templates)).cell
    return Library(name, float(volts) * units.volt, _LazyCells(cells, read), parser)


class _CellReader:
    """Turns the tree of a cell into a LibertyCell."""

    def __init__(self, tables: TableReader) -> None:
        self._tables = tables
        self._kind = ""  # of the cell being read, for messages

    def cell(self, kind: str, node: Node) -> LibertyCell:
        """The cell of a `cell` group. Raises: LibertyError."""
        self._kind = kind
        leakage, leakage_watts = self._leakage(node)
        flop = self._flop(node)
        pins: dict[str, Pin] = {}
        for group in groups(node, "pin"):
            for name in map(unquote, group.args):
                pins[name] = self._pin(name, group)
        area = attribute(node, "area")
        if area is None:
            raise LibertyError(f"cell {self._kind} must have an area, but has none")
        return LibertyCell(kind, float(area), pins, flop, leakage, leakage_watts)

    def _flop(self, node: Node) -> Flop | None:
        group = next(groups(node, "ff"), None)
        if group is None:
            return None
        state, inverse = map(unquote, group.args)
        found = {
            key: self._expr(group, key) for key in ("next_state", "clocked_on", "clear", "preset")
        }
        if found["next_state"] is None or found["clocked_on"] is None:
            raise LibertyError(f"flop {self._kind} must give next_state and clocked_on")
        return Flop(
            state,
            inverse,
            found["next_state"],
            found["clocked_on"],
            found["clear"],
            found["preset"],
        )

    def _leakage(self, node: Node) -> tuple[tuple[Leakage, ...], float | None]:
        """Watts by state, summed over supplies, and in every other state.

        The latter is `cell_leakage_power`; without it, 0 where states are given, else the value
        without a condition; None where the file is silent.
        """
        states: dict[Expr, float] = {}
        plain: list[float] = []
        for group in groups(node, "leakage_power"):
            watts = float(attribute(group, "value") or 0) * self._tables.units.watt
            when = self._expr(group, "when")
            if when is None:
                plain.append(watts)
            else:
                states[when] = states.get(when, 0.0) + watts
        whole = attribute(node, "cell_leakage_power")
        if whole is not None:
            other: float | None = float(whole) * self._tables.units.watt
        else:
            other = 0.0 if states else (sum(plain) if plain else None)
        return tuple(Leakage(watts, when) for when, watts in states.items()), other

    def _pin(self, name: str, node: Node) -> Pin:
        direction = Direction(attribute(node, "direction") or "input")
        function = self._expr(node, "function")
        both = float(attribute(node, "capacitance") or 0)
        rise, fall = (
            float(attribute(node, f"{edge}_capacitance") or both) * self._tables.units.pf
            for edge in ("rise", "fall")
        )
        arcs = (a for group in groups(node, "timing") for a in self._arcs(group))
        energies = (e for group in groups(node, "internal_power") for e in self._energies(group))
        clock = attribute(node, "clock") == "true"
        return Pin(name, direction, rise, fall, clock, function, tuple(arcs), tuple(energies))

    def _arcs(self, node: Node) -> Iterator[Arc]:
        kind = _ARC_KINDS.get(attribute(node, "timing_type") or "combinational")
        if kind is None:  # a constraint, or a three-state arc: of cells that mapping leaves out
            return
        tables = {
            name: self._tables.table(node, name, self._tables.units.ns, self._kind)
            for name in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
        }
        if kind is ArcKind.COMBINATIONAL_RISE:
            tables["cell_fall"] = tables["fall_transition"] = None
        if kind is ArcKind.COMBINATIONAL_FALL:
            tables["cell_rise"] = tables["rise_transition"] = None
        sense = Sense(attribute(node, "timing_sense") or "non_unate")
        for related in (attribute(node, "related_pin") or "").split():
            yield Arc(related, kind, sense, self._expr(node, "when"), **tables)

    def _energies(self, node: Node) -> Iterator[EnergyGroup]:
        power = self._tables.table(node, "power", self._tables.units.pj, self._kind)
        rise, fall = (
            self._tables.table(node, f"{edge}_power", self._tables.units.pj, self._kind)
            or power
            or _NO_ENERGY
            for edge in ("rise", "fall")
        )
        supply, when = attribute(node, "related_pg_pin"), self._expr(node, "when")
        related = (attribute(node, "related_pin") or "").split()
        yield from (EnergyGroup(pin, when, supply, rise, fall) for pin in related or (None,))

    def _expr(self, node: Node, key: str) -> Expr | None:
        text = attribute(node, key)
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise LibertyError(f"{key} of cell {self._kind}: {error}") from None


_NO_ENERGY = Table((0.0,), (0.0,), ((0.0,),))

_ARC_KINDS: Mapping[str, ArcKind] = {kind.value: kind for kind in ArcKind}
