"""A circuit for the simulator `events`: what its cells compute as tables, its delays as ticks."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..liberty.boolean import Expr
from ..liberty.cells import Pin
from ..mapping.netlist import CONSTANT_NETS, Cell
from ..timing.clock_network import ClockTree
from ..timing.delays import Timing
from . import kernels
from .circuit import Circuit, Kind, SimulationError
from .testbench import path_ticks

NO_PATH = (1 << 31) - 1
"""Ticks from a pin that an output does not depend on: others decide."""

_UNKNOWN = -1
"""Ticks from a pin that an output depends on, until a timing gives them."""


def compile_circuit(circuit: Circuit, tree: ClockTree) -> kernels.Machine:
    """A machine in which every net is 0 and nothing is counted, without delays.

    Raises: SimulationError for what the simulator does not know: latches that are no clock gates of
    the `tree`, clear or preset in use; combinational loops.
    """
    compiled = _Compiled(circuit, tree, dict(_tied(circuit)))
    cells = list(circuit.netlist.cells.values())
    kinds = [circuit.kinds[place] for place in circuit.kind.tolist()]
    flops = [number for number, kind in enumerate(kinds) if kind.cell.flop]
    out_start = [0]
    for number, (cell, kind) in enumerate(zip(cells, kinds, strict=True)):
        if not kind.cell.flop:
            compiled.gate(number, cell, kind)
        out_start.append(len(compiled.outs))
    for number in flops:  # their outputs stand behind those of all gates
        compiled.flop(number, cells[number], kinds[number])
    numbers = dict(zip(circuit.netlist.cells, range(len(cells)), strict=True))
    stores = np.array(compiled.stores, kernels.STORE)
    store = np.zeros(len(cells), np.uint32)
    store[stores["cell"]] = np.arange(len(stores))
    machine = kernels.Machine(
        nets=_nets(circuit),
        cells=_cells(circuit, np.array(out_start)),
        outs=np.array(compiled.outs, kernels.OUT),
        stores=stores,
        store=store,
        tree=np.array([numbers[name] for name in tree.cells], np.uint32),
        fans=_fans(circuit),
        pins=circuit.bit_net.astype(np.uint32),
        order=np.empty(0, np.uint32),
        ranks=np.empty(0, np.uint32),
        due=np.empty(0, np.uint64),
        tables=np.concatenate([*compiled.tables, np.empty(0, np.uint8)]),
        delays=np.array(compiled.delays, np.int32),
        counts=np.zeros(circuit.counts_start[-1], np.int32),
        touched=np.zeros(len(circuit.kind), np.uint32),
        heads=np.empty(0, np.int32),
        words=np.empty(0, np.uint64),
        events=np.empty(0, kernels.EVENT),
        scalars=np.zeros(4, np.int64),
    )
    order = _order(machine)
    # Flops and the clock's tree have one rank, which no pass looks at.
    behind = -(-len(order) // 64) * 64
    ranks = np.full(len(machine.cells), behind, np.uint32)
    ranks[order] = np.arange(len(order))
    due = np.zeros(behind // 64 + 1, np.uint64)
    return machine._replace(order=order, ranks=ranks, due=due)


def with_delays(machine: kernels.Machine, circuit: Circuit, timing: Timing) -> kernels.Machine:
    """The machine with a timing's delays, and a wheel of ticks that they fit on. Where the clock
    has a tree, flops are cells like others, with outputs of their own.

    Raises: SimulationError (an output that depends on a pin without a delay).
    """
    delays, machine_cells = machine.delays.tolist(), machine.cells.copy()
    cells = circuit.netlist.cells
    numbers = dict(zip(cells, range(len(cells)), strict=True))
    kinds = [circuit.kinds[place] for place in circuit.kind.tolist()]
    flops = machine.stores[machine.stores["clock"] != 0]
    for name in ("out", "out_end"):
        machine_cells[name][flops["cell"]] = flops[name]
    starts, first_tick = machine_cells["out"].tolist(), machine.outs["delay"].tolist()
    ticks = path_ticks(timing.delays)
    for arc, (rise, fall) in zip(timing.delays, ticks.tolist(), strict=True):
        number = numbers[arc.instance]
        kind = kinds[number]
        pin, place = kind.places[arc.from_pin], _place(kind, cells[arc.instance], arc.to_pin)
        base = first_tick[starts[number] + place] + pin
        delays[base], delays[base + len(kind.pins)] = fall, rise
    if _UNKNOWN in delays:
        net = list(circuit.nets)[
            machine.outs["net"][bisect_right(first_tick, delays.index(_UNKNOWN)) - 1]
        ]
        raise SimulationError(f"net {net} must have delays from all pins that it depends on")
    size = max(64, 1 << int(ticks.max(initial=0) + 1).bit_length())
    heads, words = np.full(size, -1, np.int32), np.zeros(size >> 6, np.uint64)
    times = np.array(delays, np.int32)
    if len(machine.tree):
        machine = machine._replace(cells=machine_cells)
    return machine._replace(delays=times, heads=heads, words=words)


def _place(kind: Kind, cell: Cell, output: str) -> int:
    """Of an output among a cell's connected ones."""
    if len(kind.outputs) == 1:
        return 0
    return [pin.name for pin in _connected(cell, kind)].index(output)


def _nets(circuit: Circuit) -> NDArray:
    """Rows of the nets, those of constants and stored bits too."""
    rows = np.zeros(len(circuit.values()), kernels.NET)
    rows["value"] = circuit.values()
    readers = np.cumsum(np.bincount(circuit.bit_net, minlength=len(rows)))
    rows["fan_end"] = readers
    rows["fan"][1:] = readers[:-1]
    return rows


def _fans(circuit: Circuit) -> NDArray[np.uint32]:
    """Readers in the order of the nets."""
    if circuit.bits.max(initial=0) > kernels.MOST_BITS:
        raise SimulationError(f"cells must have at most {kernels.MOST_BITS} bits of state")
    entries = circuit.bit_cell << kernels.PIN_BITS | circuit.bit_place
    return entries[np.argsort(circuit.bit_net, kind="stable")].astype(np.uint32)


def _cells(circuit: Circuit, out_start: NDArray) -> NDArray:
    """Rows of the cells."""
    rows = np.zeros(len(circuit.kind), kernels.CELL)
    rows["pin"], rows["counts"] = circuit.bit_start[:-1], circuit.counts_start[:-1]
    rows["out"], rows["out_end"] = out_start[:-1], out_start[1:]
    rows["pins"], rows["bits"] = circuit.pins, circuit.bits
    return rows


def _connected(cell: Cell, kind: Kind) -> list[Pin]:
    return [pin for pin in kind.outputs if pin.name in cell.pins]


@dataclass
class _Compiled:
    """Rows of `kernels.OUT` and `kernels.STORE`, functions of cells by state, each once a kind, and
    ticks of paths; `tied`: nets with a constant value.
    """

    circuit: Circuit
    tree: ClockTree
    tied: Mapping[int, bool]
    outs: list[tuple[int, int, int, int]] = field(default_factory=list)
    stores: list[tuple[int, ...]] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    tables: list[np.ndarray] = field(default_factory=list)
    _size: int = 0
    _places: dict[tuple[str, str], int] = field(default_factory=dict)
    _paths: dict[str, list[tuple[str, int, list[int]]]] = field(default_factory=dict)

    def gate(self, number: int, cell: Cell, kind: Kind) -> None:
        """A gate, or a clock gate. Raises: SimulationError."""
        tied = not CONSTANT_NETS.keys().isdisjoint(cell.pins.values())
        for pin, table, paths in self._outputs(kind):
            if pin in cell.pins:
                own = [NO_PATH] * len(paths) if tied else paths
                self.outs.append((self.circuit.nets[cell.pins[pin]], table, len(self.delays), 0))
                self.delays += own
        if kind.cell.latch:
            if cell.name not in self.tree.cells:
                raise SimulationError(f"{cell.name} must be a gate, a flop or gate the clock")
            table = self._table(kind, "latched", kind.latched)
            self.stores.append((number, 0, table, 0, 0, 0))

    def flop(self, number: int, cell: Cell, kind: Kind) -> None:
        """A flop. Raises: SimulationError."""
        flop = kind.cell.flop
        assert flop is not None
        if cell.name not in self.tree.flops:
            raise SimulationError(f"{cell.name} must be clocked by the rising edge of the clock")
        for name, condition in (("clear", flop.clear), ("preset", flop.preset)):
            if condition is not None and not self._never(condition, cell):
                raise SimulationError(f"{name} of {cell.name} must be tied to what never applies")
        clock = kind.places[flop.clocked_on.name]
        paths = [NO_PATH] * (2 * len(kind.pins))
        paths[clock] = paths[len(kind.pins) + clock] = _UNKNOWN
        first = len(self.outs)
        for pin in _connected(cell, kind):
            assert pin.function is not None
            table = self._table(kind, pin.name, kind.table(pin.function))
            self.outs.append((self.circuit.nets[cell.pins[pin.name]], table, len(self.delays), 0))
            self.delays += paths
        table = self._table(kind, "next state", kind.table(flop.next_state))
        self.stores.append((number, 1 << clock, table, first, len(self.outs), 0))

    def _outputs(self, kind: Kind) -> list[tuple[str, int, list[int]]]:
        """Outputs of a gate: their functions' places, and by edge and input pin `_UNKNOWN` or
        `NO_PATH`.
        """
        if kind.cell.name not in self._paths:
            found = []
            for pin in kind.outputs:
                assert pin.function is not None  # the library has checked it
                decides = [np.any(pin.function.difference(name, kind.rows)) for name in kind.pins]
                paths = 2 * [_UNKNOWN if own else NO_PATH for own in decides]
                table = self._table(kind, pin.name, kind.table(pin.function))
                found.append((pin.name, table, paths))
            self._paths[kind.cell.name] = found
        return self._paths[kind.cell.name]

    def _table(self, kind: Kind, name: str, table: np.ndarray) -> int:
        """First entry of a function of a kind."""
        key = kind.cell.name, name
        if key not in self._places:
            self._places[key] = self._size
            self._size += len(table)
            self.tables.append(table)
        return self._places[key]

    def _never(self, condition: Expr, cell: Cell) -> bool:
        nets = {pin: self.circuit.number(cell.pins[pin]) for pin in condition.pins}
        if not set(nets.values()) <= self.tied.keys():
            return False
        return not condition.evaluate({pin: np.bool_(self.tied[net]) for pin, net in nets.items()})


def _tied(circuit: Circuit) -> list[tuple[int, bool]]:
    """Nets that a constant or a tie cell gives its value."""
    found = [(circuit.number(net), bool(value)) for net, value in CONSTANT_NETS.items()]
    for cell, number in zip(circuit.netlist.cells.values(), circuit.kind, strict=True):
        kind = circuit.kinds[number]
        if not kind.pins:
            for pin in _connected(cell, kind):
                assert pin.function is not None
                value = bool(pin.function.evaluate({}))
                found.append((circuit.number(cell.pins[pin.name]), value))
    return found


def _order(machine: kernels.Machine) -> NDArray[np.uint32]:
    """Gates behind flops and inputs, each after those that drive it. Raises: SimulationError (a
    loop).
    """
    apart = machine.cells["pins"] != machine.cells["bits"]
    apart[machine.tree] = True
    cells = machine.cells
    owner = np.repeat(np.arange(len(cells)), cells["out_end"] - cells["out"])
    known = np.ones(len(machine.nets), np.bool_)
    known[machine.outs["net"][: len(owner)][~apart[owner]]] = False
    level = kernels.levels(machine, known, apart)
    if np.count_nonzero(level >= 0) + np.count_nonzero(apart) < len(machine.cells):
        raise SimulationError("the netlist must have no combinational loop, but has one")
    order = np.argsort(level, kind="stable")
    return order[level[order] >= 0].astype(np.uint32)
