"""A mapped netlist as arrays: what counting states and simulating need.

Nets have numbers in the netlist's order, the two constants come last. A cell's state is an integer:
bit i for input pin i, then for a stored bit; it is the row of `Instances.table`. That of a flop is
what its output shows, that of a latch has a number of its own, as if it were a net.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...support.errors import ToolError
from ..liberty.boolean import Expr, truth_table
from ..liberty.cells import LibertyCell, Pin
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Netlist
from ..power.states import follows_state

Numbers = NDArray[np.int64]


class SimulationError(ToolError):
    """The simulation failed or left nets undefined; the message is one line."""


def undefined(count: int, first: str) -> SimulationError:
    """Nets have no value, `first` among them."""
    return SimulationError(f"{count} nets are undefined in simulation, {first} among them")


@dataclass(frozen=True)
class Kind:
    """A library cell: what its states are made of.

    `pins` are the inputs, `bits` their count and a stored bit; `outputs` those with a function.
    """

    cell: LibertyCell

    @cached_property
    def pins(self) -> list[str]:
        return [pin.name for pin in self.cell.inputs]

    @cached_property
    def places(self) -> dict[str, int]:
        """Of `pins` by name."""
        return {name: place for place, name in enumerate(self.pins)}

    @cached_property
    def bits(self) -> int:
        return len(self.pins) + bool(self.cell.states)

    @cached_property
    def outputs(self) -> list[Pin]:
        return self.cell.outputs

    def table(self, function: Expr) -> NDArray[np.uint8]:
        """The function's value in every state."""
        values = np.broadcast_to(function.evaluate(self.rows), 1 << self.bits)
        return values.astype(np.uint8)

    @cached_property
    def rows(self) -> dict[str, NDArray[np.bool_]]:
        """All states, by pin and stored bit."""
        states = self.cell.states
        columns = truth_table([*self.pins, *states[:1]])
        for inverse in states[1:]:
            columns[inverse] = ~columns[states[0]]
        return columns

    @cached_property
    def latched(self) -> NDArray[np.uint8]:
        """What a latch stores then, in every state."""
        latch = self.cell.latch
        assert latch is not None
        stored = self.rows[latch.state]
        if latch.enable and latch.data_in:
            is_open, data = (own.evaluate(self.rows) for own in (latch.enable, latch.data_in))
            stored = np.where(is_open, data, stored)
        for condition, value in ((latch.preset, True), (latch.clear, False)):
            if condition:
                stored = np.where(condition.evaluate(self.rows), value, stored)
        return stored.astype(np.uint8)


@dataclass(frozen=True)
class Circuit:
    """Cells and nets by number.

    Members:
        nets: numbers of nets by name, without the constants, whose numbers come next, and before
            those of latches' stored bits.
        kinds: library cells in use; kind: of each cell its place there; pins, bits: input pins and
            bits of state of each cell.
        bit_start: per cell its first entry of `bit_net`, the nets of its bits of state: of a flop's
            stored one the net that shows it, `inverted` 1 where that is the inverse.
        counts_start: per cell its first entry of counts: of each state, then of each input pin and
            state.
        latches: cells that are latches or clock gates.
    """

    netlist: Netlist
    nets: dict[str, int]
    kinds: list[Kind]
    kind: Numbers
    pins: Numbers
    bits: Numbers
    bit_start: Numbers
    bit_net: Numbers
    inverted: Numbers
    counts_start: Numbers
    latches: Numbers

    def check_defined(self, unknown: NDArray[np.bool_]) -> None:
        """Raise SimulationError where nets are `unknown`, by number."""
        places = np.flatnonzero(unknown)
        if len(places):
            raise undefined(len(places), list(self.nets)[places[0]])

    def numbers(self, names: Iterable[str]) -> Numbers:
        """Numbers of nets, constants too."""
        return np.array(list(map(self._numbers.__getitem__, names)), dtype=np.int64)

    def number(self, name: str) -> int:
        """Number of a net or a constant."""
        return self._numbers[name]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return _with_constants(self.nets)

    def values(self) -> NDArray[np.uint8]:
        """Of all nets and stored bits, 0, the constants' own."""
        every = [0] * len(self.nets) + list(CONSTANT_NETS.values()) + [0] * len(self.latches)
        return np.array(every, dtype=np.uint8)

    @cached_property
    def bit_cell(self) -> Numbers:
        """The cell of each entry of `bit_net`."""
        return np.repeat(np.arange(len(self.kind)), self.bits)

    @cached_property
    def bit_place(self) -> Numbers:
        """Its place in the cell's state."""
        return np.arange(len(self.bit_net)) - self.bit_start[self.bit_cell]

    def states(self, values: NDArray[np.uint8]) -> Numbers:
        """Every cell's state under the nets' values."""
        stored = self.bit_place >= self.pins[self.bit_cell]
        level = values[self.bit_net] ^ (self.inverted[self.bit_cell] & stored)
        sums = np.concatenate(([0], np.cumsum(level.astype(np.int64) << self.bit_place)))
        return np.diff(sums[self.bit_start])


def circuit(netlist: Netlist, library: Library) -> Circuit:
    """Number the cells and nets of a netlist.

    Raises: SimulationError (a net that nothing drives, or more than one), LibertyError.
    """
    nets = {net: number for number, net in enumerate(netlist.nets())}
    numbers = _with_constants(nets)
    places: dict[str, int] = {}
    kinds: list[Kind] = []
    kind, bit_net, inverted = [], [], []
    latches: list[int] = []
    driven = [*CONSTANT_NETS, *(net for port in netlist.inputs.values() for net in port)]
    for cell in netlist.cells.values():
        if cell.kind not in places:
            places[cell.kind] = len(kinds)
            kinds.append(Kind(library[cell.kind]))
        own = kinds[places[cell.kind]]
        kind.append(places[cell.kind])
        bit_net += [numbers[cell.pins[pin]] if pin in cell.pins else -1 for pin in own.pins]
        driven += [cell.pins[pin.name] for pin in own.outputs if pin.name in cell.pins]
        inverse = False
        if own.cell.flop:
            shown = next((pin for pin in own.outputs if pin.name in cell.pins), None)
            bit_net.append(numbers[cell.pins[shown.name]] if shown else len(nets))
            inverse = shown is not None and not follows_state(own.cell, shown)
        elif own.cell.latch:
            bit_net.append(len(numbers) + len(latches))
            latches.append(len(kind) - 1)
        inverted.append(inverse)
    drivers = Counter(driven)
    if len(drivers) < len(driven):
        raise SimulationError(f"net {drivers.most_common(1)[0][0]} must have one driver")
    undriven = [net for net in nets if net not in drivers]
    if undriven or -1 in bit_net:
        raise undefined(max(len(undriven), 1), undriven[0] if undriven else "an open pin")
    own_kind = np.array(kind, np.int64)
    sizes = np.array([(own.bits, len(own.pins)) for own in kinds], np.int64).reshape(-1, 2)
    bits, pins = sizes[own_kind].T
    return Circuit(
        netlist=netlist,
        nets=nets,
        kinds=kinds,
        kind=own_kind,
        pins=pins,
        bits=bits,
        bit_start=_starts(bits),
        bit_net=np.array(bit_net, np.int64),
        inverted=np.array(inverted, dtype=np.int64),
        counts_start=_starts((1 + pins) << bits),
        latches=np.array(latches, np.int64),
    )


def _with_constants(nets: dict[str, int]) -> dict[str, int]:
    """Numbers of all nets and of the constants."""
    return nets | {net: len(nets) + value for net, value in CONSTANT_NETS.items()}


def _starts(sizes: Numbers) -> Numbers:
    return np.concatenate(([0], np.cumsum(sizes)))
