import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..timing.clock_network import ClockTree
from ..timing.delays import Timing
from . import kernels
from .circuit import Circuit, SimulationError
from .compiled import compile_circuit, with_delays
from .counts import Counts

_ROOM = 4
"""Events that are under way for each output, at first."""

Run = tuple[int, Counts]
"""What a simulation showed: the number of wrong results, and what its window counted."""


@dataclass(frozen=True)
class _Segment:
    """Cycles `first` to `last` that count as a `batch`, None: not at all."""

    first: int
    last: int
    batch: int | None


def _segments(vectors: kernels.Vectors, batches: Sequence[int], is_late: bool) -> list[_Segment]:
    """All cycles, and one more in which the last results may be compared; no segment is so long
    that its ticks pass 31 bits.
    """
    edges = [0, *batches, len(vectors.outputs) + vectors.latency + is_late]
    counted = [None, *range(len(batches) - 1), None]
    most = (1 << 31) // (2 * vectors.half)
    if not most:
        raise SimulationError("a clock period must have at most 2^31 ticks")
    return [
        _Segment(begin, min(begin + most, last), batch)
        for (first, last), batch in zip(pairwise(edges), counted, strict=True)
        for begin in range(first, last, most)
    ]


@dataclass(frozen=True)
class _Settled:
    """What stands at the end of a cycle: values of all nets, and what flops store."""

    values: NDArray[np.uint8]
    stored: NDArray[np.uint8]

    def is_of(self, machine: kernels.Machine) -> bool:
        """Whether it stands in a machine."""
        same = np.array_equal(machine.nets["value"], self.values)
        return same and np.array_equal(machine.stores["stored"], self.stored)


class _Done(NamedTuple):
    """A segment: wrong results, whether every cycle settled, whether there was too little room."""

    wrong: int
    settled: bool
    full: bool


class EventSimulation:
    """A simulation of all cycles; `tree`: the clock's; `batches`: the cycle each of them begins
    with, and the end of the last: the window that counts.

    Raises: SimulationError (what this simulator does not know, a combinational loop, nets that
    depend on what flops stored before the first cycle).
    """

    def __init__(
        self,
        circuit: Circuit,
        tree: ClockTree,
        vectors: kernels.Vectors,
        batches: Sequence[int],
    ) -> None:
        self._circuit, self._vectors = circuit, vectors
        self._segments = _segments(vectors, batches, bool(tree.cells))
        self._batches = len(batches) - 1
        self._machine = compile_circuit(circuit, tree)
        self._check_defined(batches[0])

    def without_delays(self) -> Run:
        """All nets settle at once, and do not glitch."""
        return self._passed[0]

    def with_delays(self, timing: Timing, early: int, late: int) -> Run:
        """As the circuit would behave, in several threads where every cycle settles; results are
        compared `early` and inputs switch `late` ticks after the clock's edge.
        """
        machine = with_delays(self._machine, self._circuit, timing)
        vectors = self._vectors._replace(early=early, late=late)
        room = _ROOM
        while (run := self._timed(machine, vectors, room)) is None:
            room *= 4
        return run

    def _before(self, stored: int | NDArray[np.int64]) -> _Settled:
        """Before the first cycle: inputs are 0, flops store what is given."""
        machine = _copy(self._machine)
        machine.stores["stored"] = stored
        kernels.settle(machine)
        return _settled(machine)

    def _at(self, settled: _Settled, machine: kernels.Machine) -> kernels.Machine:
        """A copy of the machine at the end of a cycle."""
        machine = _copy(machine)
        self._put(settled, machine)
        return machine

    def _put(self, settled: _Settled, machine: kernels.Machine) -> None:
        """Bring a machine without events to the end of a cycle."""
        machine.nets["value"] = settled.values
        machine.stores["stored"] = settled.stored
        machine.cells["state"] = self._circuit.states(settled.values)
        machine.outs["target"] = settled.values[machine.outs["net"]]

    def _check_defined(self, end: int) -> None:
        """Raise SimulationError where what stands at cycle `end` depends on what flops store at
        first.
        """
        values = []
        patterns = np.random.default_rng(1).integers(0, 2, (2, len(self._machine.stores)))
        for stored in (0, 1, *patterns):
            machine = self._at(self._before(stored), self._machine)
            kernels.zero_delay(machine, self._vectors, 0, end)
            values.append(machine.nets["value"][: len(self._circuit.nets)])
        self._circuit.check_defined((np.array(values) != values[0]).any(axis=0))

    @cached_property
    def _passed(self) -> tuple[Run, list[_Settled]]:
        """The simulation without delays, and what stands before each segment."""
        machine = self._at(self._before(0), self._machine)
        counts = Counts.none(self._circuit, self._batches)
        wrong = 0
        before = []
        for segment in self._segments:
            before.append(_settled(machine))
            self._open(machine, segment)
            wrong += kernels.zero_delay(machine, self._vectors, segment.first, segment.last)
            self._close(machine, segment, counts)
        return (wrong, counts), before

    def _timed(self, delayed: kernels.Machine, vectors: kernels.Vectors, room: int) -> Run | None:
        """Segments at the same time, or in turn where one does not settle; None if there is too
        little `room` for events.
        """
        _, before = self._passed
        events = np.zeros(room * len(delayed.outs), kernels.EVENT)
        events["next"] = np.arange(1, len(events) + 1)
        events["next"][-1:] = -1
        delayed = delayed._replace(events=events)
        counts = Counts.none(self._circuit, self._batches)
        lock = threading.Lock()

        def job(first: int) -> list[_Done]:
            machine = _copy(delayed)
            done = []
            for number in range(first, len(self._segments), threads):
                self._put(before[number], machine)
                own = self._run(machine, vectors, self._segments[number])
                # A flop may have missed what it stores without delays.
                stands = own.settled and all(b.is_of(machine) for b in before[number + 1 :][:1])
                done.append(own._replace(settled=stands))
                if not stands:
                    break
                with lock:
                    self._close(machine, self._segments[number], counts)
            return done

        threads = min(os.cpu_count() or 1, len(self._segments))
        with ThreadPoolExecutor(threads) as pool:
            done = [own for each in pool.map(job, range(threads)) for own in each]
        if not all(own.settled for own in done):
            counts = Counts.none(self._circuit, self._batches)
            machine = self._at(before[0], delayed)
            done = []
            for segment in self._segments:
                done.append(self._run(machine, vectors, segment))
                self._close(machine, segment, counts)
        if any(own.full for own in done):
            return None
        return sum(own.wrong for own in done), counts

    def _run(self, machine: kernels.Machine, vectors: kernels.Vectors, segment: _Segment) -> _Done:
        """Simulate a segment."""
        self._open(machine, segment)
        wrong, settled = kernels.timed(machine, vectors, segment.first, segment.last)
        return _Done(wrong, settled, bool(machine.scalars[kernels.FULL]))

    def _open(self, machine: kernels.Machine, segment: _Segment) -> None:
        """Count nothing up to a segment. Ticks are counted modulo 2^32."""
        now = 2 * self._vectors.half * segment.first
        machine.nets["toggles"] = 0
        machine.nets["high"] = -now * machine.nets["value"].astype(np.int64)
        machine.counts[:] = 0
        machine.counts[self._states(machine)] = np.int64(-now).astype(np.int32)

    def _close(self, machine: kernels.Machine, segment: _Segment, counts: Counts) -> None:
        """Add to `counts` what the machine counted up to the end of a segment."""
        if segment.batch is None:
            return
        now = 2 * self._vectors.half * segment.last
        own = machine.nets[: len(self._circuit.nets)]
        counts.toggles[segment.batch] += own["toggles"]
        high = own["high"] + now * own["value"].astype(np.int64)
        counts.high[:] += high.astype(np.uint32)
        machine.counts[self._states(machine)] += np.int64(now).astype(np.int32)
        counts.cells[:] += machine.counts.view(np.uint32)

    def _states(self, machine: kernels.Machine) -> NDArray[np.int64]:
        """Places of the cells' states in the counts."""
        return self._circuit.counts_start[:-1] + machine.cells["state"]


def _settled(machine: kernels.Machine) -> _Settled:
    values = machine.nets["value"].astype(np.uint8)
    return _Settled(values, machine.stores["stored"].astype(np.uint8))


def _copy(machine: kernels.Machine) -> kernels.Machine:
    """With arrays of its own where it changes."""
    return machine._replace(**{name: getattr(machine, name).copy() for name in _CHANGING})


_CHANGING = (
    *("nets", "cells", "outs", "stores", "counts", "touched", "due"),
    *("heads", "words", "events", "scalars"),
)
