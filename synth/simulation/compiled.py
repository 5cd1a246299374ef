"""A circuit for the simulator `events`: what its cells compute as tables, its delays as ticks."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..liberty.boolean import Expr, Op, truth_table
from ..liberty.cells import Pin
from ..mapping.netlist import CONSTANT_NETS, Cell
from ..power.states import follows_state
from ..timing.delays import Timing
from . import kernels
from .circuit import Circuit, Kind, SimulationError
from .testbench import path_ticks

NO_PATH = (1 << 31) - 1
"""Ticks from a pin that an output does not depend on: others decide."""

_UNKNOWN = -1
"""Ticks from a pin that an output depends on, until a timing gives them."""


def compile_circuit(circuit: Circuit, clock_net: int) -> kernels.Machine:
    """A machine in which every net is 0 and nothing is counted, without delays.

    Raises: SimulationError for what the simulator does not know: flops of another clock than the
    net `clock_net`, of its falling edge, or with clear or preset in use; gates that read the clock;
    combinational loops.
    """
    tables = _Tables()
    flops = _Flops(clock_net, dict(_tied(circuit)), circuit)
    outs: list[tuple[int, int, int, int]] = []
    out_start = [0]
    sequential = []  # flops' outputs stand behind those of all gates
    delays: list[int] = []
    for number, (cell, place) in enumerate(
        zip(circuit.netlist.cells.values(), circuit.kind.tolist(), strict=True)
    ):
        if circuit.kinds[place].cell.flop:
            sequential.append((number, cell, circuit.kinds[place]))
        else:
            tied = not CONSTANT_NETS.keys().isdisjoint(cell.pins.values())
            for pin, table, paths in tables.gate(circuit.kinds[place]):
                if pin in cell.pins:
                    outs.append((circuit.nets[cell.pins[pin]], table, len(delays), 0))
                    delays += [NO_PATH] * len(paths) if tied else paths
        out_start.append(len(outs))
    for number, cell, kind in sequential:
        pins = _connected(cell, kind)
        flops.add(number, cell, kind, tables, range(len(outs), len(outs) + len(pins)))
        outs += [(circuit.number(cell.pins[pin.name]), 0, 0, 0) for pin in pins]
    if np.count_nonzero(circuit.bit_net == clock_net) > len(flops.rows):
        raise SimulationError("the clock must go to clock pins of flops alone")
    machine = kernels.Machine(
        nets=_nets(circuit),
        cells=_cells(circuit, np.array(out_start)),
        outs=np.array(outs, kernels.OUT),
        flops=np.array(flops.rows, kernels.FLOP),
        flop_outs=np.array(flops.outs, kernels.FLOP_OUT),
        fans=_fans(circuit),
        pins=circuit.bit_net.astype(np.uint32),
        order=np.empty(0, np.uint32),
        ranks=np.empty(0, np.uint32),
        due=np.empty(0, np.uint64),
        tables=np.concatenate([*tables.parts, np.empty(0, np.uint8)]),
        delays=np.array(delays, np.int32),
        counts=np.zeros(circuit.counts_start[-1], np.int32),
        touched=np.zeros(len(circuit.kind), np.uint32),
        heads=np.empty(0, np.int32),
        words=np.empty(0, np.uint64),
        events=np.empty(0, kernels.EVENT),
        scalars=np.zeros(4, np.int64),
    )
    order = _order(machine)
    # Flops have one rank, which no pass looks at.
    behind = -(-len(order) // 64) * 64
    ranks = np.full(len(machine.cells), behind, np.uint32)
    ranks[order] = np.arange(len(order))
    due = np.zeros(behind // 64 + 1, np.uint64)
    return machine._replace(order=order, ranks=ranks, due=due)


def with_delays(machine: kernels.Machine, circuit: Circuit, timing: Timing) -> kernels.Machine:
    """The machine with a timing's delays, and a wheel of ticks that they fit on.

    Raises: SimulationError (an output that depends on a pin without a delay).
    """
    delays, flop_outs = machine.delays.tolist(), machine.flop_outs.copy()
    cells = circuit.netlist.cells
    numbers = dict(zip(cells, range(len(cells)), strict=True))
    kinds = [circuit.kinds[place] for place in circuit.kind.tolist()]
    flop_rows = dict(zip(machine.flops["cell"].tolist(), machine.flops.tolist(), strict=True))
    starts, first_tick = machine.cells["out"].tolist(), machine.outs["delay"].tolist()
    ticks = path_ticks(timing.delays)
    for arc, (rise, fall) in zip(timing.delays, ticks.tolist(), strict=True):
        number = numbers[arc.instance]
        kind = kinds[number]
        pin, place = kind.places[arc.from_pin], _place(kind, cells[arc.instance], arc.to_pin)
        if kind.cell.flop:
            _, clock, _, first, *_ = flop_rows[number]
            if 1 << pin == clock:
                flop_outs["fall"][first + place] = fall
                flop_outs["rise"][first + place] = rise
        else:
            base = first_tick[starts[number] + place] + pin
            delays[base], delays[base + len(kind.pins)] = fall, rise
    if _UNKNOWN in delays:
        gates = first_tick[: len(first_tick) - len(flop_outs)]
        net = list(circuit.nets)[
            machine.outs["net"][bisect_right(gates, delays.index(_UNKNOWN)) - 1]
        ]
        raise SimulationError(f"net {net} must have delays from all pins that it depends on")
    size = max(64, 1 << int(ticks.max(initial=0) + 1).bit_length())
    heads, words = np.full(size, -1, np.int32), np.zeros(size >> 6, np.uint64)
    times = np.array(delays, np.int32)
    return machine._replace(delays=times, flop_outs=flop_outs, heads=heads, words=words)


def _place(kind: Kind, cell: Cell, output: str) -> int:
    """Of an output among a cell's connected ones."""
    if len(kind.outputs) == 1:
        return 0
    return [pin.name for pin in _connected(cell, kind)].index(output)


def _nets(circuit: Circuit) -> NDArray:
    """Rows of the nets, the constants' too."""
    rows = np.zeros(len(circuit.nets) + len(CONSTANT_NETS), kernels.NET)
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
class _Tables:
    """Functions of cells by state, each once a kind."""

    parts: list[np.ndarray] = field(default_factory=list)
    _size: int = 0
    _places: dict[tuple[str, str], int] = field(default_factory=dict)
    _gates: dict[str, list[tuple[str, int, list[int]]]] = field(default_factory=dict)

    def place(self, kind: Kind, name: str, function: Expr) -> int:
        """First entry of a function of a kind."""
        key = kind.cell.name, name
        if key not in self._places:
            table = kind.table(function)
            self._places[key] = self._size
            self._size += len(table)
            self.parts.append(table)
        return self._places[key]

    def gate(self, kind: Kind) -> list[tuple[str, int, list[int]]]:
        """Outputs of a gate: their functions' places, and by edge and input pin `_UNKNOWN` or
        `NO_PATH`.
        """
        if kind.cell.name not in self._gates:
            rows, found = truth_table(kind.pins), []
            for pin in kind.outputs:
                assert pin.function is not None  # the library has checked it
                decides = [np.any(pin.function.difference(name, rows)) for name in kind.pins]
                paths = 2 * [_UNKNOWN if own else NO_PATH for own in decides]
                found.append((pin.name, self.place(kind, pin.name, pin.function), paths))
            self._gates[kind.cell.name] = found
        return self._gates[kind.cell.name]


@dataclass
class _Flops:
    """Rows of `kernels.FLOP` and of `kernels.FLOP_OUT`; `tied`: nets with a constant value."""

    clock_net: int
    tied: Mapping[int, bool]
    circuit: Circuit
    rows: list[tuple[int, ...]] = field(default_factory=list)
    outs: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, number: int, cell: Cell, kind: Kind, tables: _Tables, outs: range) -> None:
        """A flop with rows of `kernels.OUT` for its outputs. Raises: SimulationError."""
        flop = kind.cell.flop
        assert flop is not None
        edge = flop.clocked_on
        if edge.op is not Op.PIN or self.circuit.number(cell.pins[edge.name]) != self.clock_net:
            raise SimulationError(f"{cell.name} must be clocked by the rising edge of the clock")
        for name, condition in (("clear", flop.clear), ("preset", flop.preset)):
            if condition is not None and not self._never(condition, cell):
                raise SimulationError(f"{name} of {cell.name} must be tied to what never applies")
        clock = 1 << kind.pins.index(edge.name)
        table = tables.place(kind, "next state", flop.next_state)
        first = len(self.outs)
        for out, pin in zip(outs, _connected(cell, kind), strict=True):
            self.outs.append((out, not follows_state(kind.cell, pin), 0, 0))
        self.rows.append((number, clock, table, first, len(self.outs), 0))

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
    """Gates, each after those that drive it. Raises: SimulationError (a loop)."""
    driven = np.zeros(len(machine.nets), np.bool_)
    driven[machine.outs["net"]] = True
    driven[machine.outs["net"][machine.flop_outs["out"]]] = False
    level = kernels.levels(machine, ~driven)
    if np.count_nonzero(level >= 0) + len(machine.flops) < len(machine.cells):
        raise SimulationError("the netlist must have no combinational loop, but has one")
    order = np.argsort(level, kind="stable")
    return order[level[order] >= 0].astype(np.uint32)
