"""Counting from changes of nets as a simulator tells them: what `kernels` counts as it goes."""

import numpy as np
from numpy.typing import NDArray

from .circuit import Circuit
from .counts import Counts
from .vcd import UNKNOWN, Changes


class ChangeCounter:
    """Adds up changes, given in order of time, in the window from the first to the last of `edges`,
    which begin its batches; times in ticks.
    """

    def __init__(self, circuit: Circuit, edges: NDArray[np.int64]) -> None:
        self._circuit, self._edges = circuit, edges
        self._counts = Counts.none(circuit, len(edges) - 1)
        self._value = np.full(len(circuit.nets), UNKNOWN, np.uint8)
        self._state = circuit.states(circuit.values())
        # Time within the window at X or Z, as if every net kept its value for no time.
        self._unknown = np.full(len(circuit.nets), edges[-1] - edges[0])
        readers = np.argsort(circuit.bit_net, kind="stable")
        self._reader_cell = circuit.bit_cell[readers]
        self._reader_bit = 1 << circuit.bit_place[readers]
        count = np.bincount(circuit.bit_net, minlength=len(circuit.nets))
        self._readers, self._first = count, np.cumsum(count) - count
        self._counted = self._own_pins()[readers]
        self._latched, self._latch_start = self._latches()
        places = circuit.counts_start[:-1] + self._state
        self._counts.cells[places] += edges[-1] - edges[0]

    def _own_pins(self) -> NDArray[np.int64]:
        """By bit of a cell the place of its toggles among the cell's counts, -1 of a stored bit."""
        circuit = self._circuit
        cell, place = circuit.bit_cell, circuit.bit_place
        start = circuit.counts_start[cell] + ((1 + place) << circuit.bits[cell])
        return np.where(place < circuit.pins[cell], start, -1)

    def _latches(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """What latches store by state, and by cell where its table begins, -1 of other cells."""
        circuit, tables, size = self._circuit, [np.empty(0, np.uint8)], 0
        by_kind = np.full(len(circuit.kinds) + 1, -1)
        for number, kind in enumerate(circuit.kinds):
            if kind.cell.latch:
                tables.append(kind.latched)
                by_kind[number] = size
                size += len(kind.latched)
        return np.concatenate(tables), by_kind[circuit.kind]

    def add(self, changes: Changes) -> None:
        """Count whole times."""
        order = np.argsort(changes.net, kind="stable")
        net, time, value = changes.net[order], changes.time[order], changes.value[order]
        begins = np.ones(len(net), dtype=bool)
        begins[1:] = net[1:] != net[:-1]
        before = np.empty_like(value)
        before[1:] = value[:-1]
        before[begins] = self._value[net[begins]]
        ends = np.append(begins[1:], True)[: len(net)]
        self._value[net[ends]] = value[ends]
        nets = len(self._value)
        clipped = np.clip(time, self._edges[0], self._edges[-1])
        left = self._edges[-1] - clipped
        self._unknown -= _sums(net, left * ((before == UNKNOWN) * 1 - (value == UNKNOWN)), nets)
        self._counts.high[:] += _sums(net, left * ((value == 1) * 1 - (before == 1)), nets)
        batch = np.searchsorted(self._edges, time, side="right") - 1
        toggled = (before ^ value == 1) & (before | value == 1)
        own = toggled & (batch >= 0) & (batch < len(self._edges) - 1)
        size = self._counts.toggles.size
        self._counts.toggles[:] += np.bincount(
            batch[own] * nets + net[own], minlength=size
        ).reshape(self._counts.toggles.shape)
        # A net that was undefined counts as 0, until the window begins.
        changed = (value == 1) != (before == 1)
        self._add_states(net[changed], time[changed])

    def _add_states(self, net: NDArray[np.int32], time: NDArray[np.int64]) -> None:
        """Count what the readers of changed nets leave."""
        readers = self._readers[net]
        reader = np.repeat(self._first[net] - np.cumsum(readers) + readers, readers)
        reader += np.arange(len(reader))
        when = np.repeat(time, readers)
        order = np.lexsort((when, self._reader_cell[reader]))
        reader, when = reader[order], when[order]
        cell = self._reader_cell[reader]
        if not len(cell):
            return
        starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
        # Every cell's first bits are its state so far, and undo what stands before them.
        passed = np.bitwise_xor.accumulate(self._reader_bit[reader])
        undo = self._state[cell[starts]] ^ np.append(0, passed[starts[1:] - 1])
        after = passed ^ np.repeat(undo, np.diff(np.append(starts, len(cell))))
        ticks = np.flatnonzero(np.append(True, (cell[1:] != cell[:-1]) | (when[1:] != when[:-1])))
        lasts = np.append(ticks[1:], len(cell)) - 1
        first_of_cell = np.isin(ticks, starts, assume_unique=True)
        rows = after[lasts]
        self._store(cell[ticks], first_of_cell, rows)
        before = np.append(0, rows[:-1])
        before[first_of_cell] = self._state[cell[starts]]
        self._state[cell[starts]] = rows[np.append(first_of_cell[1:], True)]
        counts = self._counts.cells
        base = self._circuit.counts_start[cell[ticks]]
        left = self._edges[-1] - np.clip(when[ticks], self._edges[0], self._edges[-1])
        np.subtract.at(counts, base + before, left)
        np.add.at(counts, base + rows, left)
        left_state = np.repeat(before, np.diff(np.append(ticks, len(cell))))
        place = self._counted[reader]
        inside = (place >= 0) & (when >= self._edges[0]) & (when < self._edges[-1])
        np.add.at(counts, place[inside] + left_state[inside], 1)

    def _store(
        self, cell: NDArray[np.int64], first: NDArray[np.bool_], rows: NDArray[np.int64]
    ) -> None:
        """Bring the bits that latches store into their states by tick, `first` of each cell."""
        own = np.flatnonzero(self._latch_start[cell] >= 0)
        cell, first, row = cell[own], first[own], rows[own]
        bit = 1 << self._circuit.pins[cell]
        low, high = (
            self._latched[self._latch_start[cell] + state] for state in (row & ~bit, row | bit)
        )
        # Where both are the same it stores that, else what it stored at the tick before.
        known = low == high
        last = np.maximum.accumulate(np.where(known | first, np.arange(len(own)), 0))
        stored = np.where(known[last], low[last] == 1, row[last] & bit != 0)
        rows[own] = row & ~bit | bit * stored

    def result(self) -> Counts:
        """All that was counted. Raises: SimulationError (a net undefined in the window)."""
        self._circuit.check_defined(self._unknown != 0)
        return self._counts


def _sums(net: NDArray[np.int32], ticks: NDArray[np.int64], nets: int) -> NDArray[np.int64]:
    """By net; float64 holds the ticks of seconds."""
    return np.bincount(net, weights=ticks, minlength=nets).astype(np.int64)
