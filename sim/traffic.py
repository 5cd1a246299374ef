"""Streams as they travel to a bench in the simulator's process, and how their handshakes go.
Imports no HDL: that process starts faster.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .vectors import Wrong

_REGIME = 64
"""Cycles for which one side pauses about as often."""


@dataclass(frozen=True, eq=False)
class Traffic:
    """Steps for a tile behind streams, the results expected, and how both sides pause.

    Members:
        steps: (T, bytes) uint8: words of the port that takes steps.
        last, finish: (T,): marks of the steps.
        results: (R,): words {overflow, z}.
        tensor_scale: float32 code, 0 without the port.
        interval, latency, slots: of ConvTile (`slots`: its `results`).
        source, sink: shares of cycles in which the sides pause, 0 to below 1.
        restart: steps before a reset, after which all come again; 0: none.
        packet: results of an AXI packet.
    """

    steps: npt.NDArray[np.uint8]
    last: Codes
    finish: Codes
    results: Codes
    tensor_scale: int
    interval: int
    latency: int
    slots: int
    source: float
    sink: float
    seed: int
    restart: int = 0
    packet: int = 1

    @property
    def operations(self) -> int:
        """Number of steps."""
        return len(self.steps)

    @property
    def checks(self) -> int:
        """Results that a bench compares."""
        return len(self.results)

    def words(self) -> list[int]:
        """The steps as integers."""
        return [int.from_bytes(row.tobytes(), "little") for row in self.steps]

    def until(self, wrong: Wrong) -> "Traffic":
        """All of it: what went wrong may have begun anywhere."""
        return self

    def describe(self, wrong: Wrong) -> str:
        """A mismatch in a line."""
        return str(wrong["text"])

    def least_cycles(self) -> int:
        """Cycles from the first step, long after a reset, to the last result, if no side pauses."""
        begin = 2 * self.interval
        handshakes = Handshakes(self)
        sent = received = 0
        while received < self.checks:
            marks = False, False
            if handshakes.cycle >= begin and sent < self.operations:
                marks = bool(self.last[sent]), bool(self.finish[sent])
                accept = handshakes.ready(*marks)
                marks = marks[0] and accept, marks[1] and accept
                sent += accept
            give = handshakes.valid()
            received += give
            handshakes.advance(*marks, give)
        return handshakes.cycle - begin

    def save(self, path: Path) -> None:
        """Write to `path` (.npz) for a bench in another process."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Traffic":
        """Read what `save` wrote."""
        with np.load(path) as archive:
            values = {name: archive[name] for name in archive.files}
        return cls(**{name: v if v.ndim else v.item() for name, v in values.items()})


class Handshakes:
    """When ConvTile is ready and valid, cycle by cycle from a reset on, by its documentation."""

    def __init__(self, traffic: Traffic):
        self._traffic = traffic
        self._next_last = 2 * traffic.interval - 1
        self._taken = 0
        self._due: deque[int] = deque()
        self.cycle = 0

    def ready(self, last: bool, finish: bool) -> bool:
        """Whether a step with these marks is accepted in this cycle."""
        if self.cycle < self._traffic.interval:
            return False
        too_soon = (last or finish) and self.cycle < self._next_last
        return not too_soon and not (finish and self._taken == self._traffic.slots)

    def valid(self) -> bool:
        """Whether there is a result in this cycle."""
        return bool(self._due) and self._due[0] <= self.cycle

    def advance(self, last: bool, finish: bool, give: bool) -> None:
        """To the next cycle, with the marks of the step accepted in this one, if any."""
        if last or finish:
            self._next_last = self.cycle + self._traffic.interval
        if finish:
            self._due.append(self.cycle + self._traffic.latency)
        if give:
            self._due.popleft()
        self._taken += finish - give
        self.cycle += 1


def pauses(share: float, seed: int) -> Iterator[bool]:
    """Whether to pause, cycle by cycle: spells without pauses, with `share` of them, with little
    else, so that buffers fill and drain.
    """
    rng = random.Random(seed)
    while True:
        level = rng.choice((0, share, 0.95)) if share else 0
        for _ in range(_REGIME):
            yield rng.random() < level
