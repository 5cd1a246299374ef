"""The trees that a net of the clock may get, and the one of least energy among them."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .clock_cells import Array, ClockPin, Driver, Load, Slopes
from .clock_nets import ClockNet
from .clusters import Group, Points, clusters, middle
from .steiner import steiner_tree

LEAVES = (4, 6, 8, 12, 16, 24, 32)
"""Sinks of a leaf, at most."""
FAN_OUTS = (4, 8, 16, 32)
"""Buffers and gates behind a buffer, at most."""


@dataclass(frozen=True)
class Level:
    """Nets with a buffer each; or the one net of the port or of the gate, above all others.

    `sinks` and `buffers`: which of the sinks, and of the nets of the level below, each net drives;
    `counts`: of each kind of sink, how many; `pins`: load of sinks and wire; `height`: how many
    buffers and gates are between the nets and the flops.
    """

    height: int
    drivers: Points
    sinks: Sequence[Group]
    buffers: Sequence[Group]
    counts: Mapping[str, Array]
    pins: Load

    @cached_property
    def parents(self) -> NDArray[np.intp]:
        """By net of the level below which of this level's nets drives it."""
        nets = np.repeat(np.arange(len(self.buffers)), list(map(len, self.buffers)))
        order = np.concatenate(self.buffers)
        parents: NDArray[np.intp] = nets[np.argsort(order)]
        return parents

    @cached_property
    def with_sinks(self) -> NDArray[np.intp]:
        """The nets that drive sinks."""
        return np.flatnonzero([len(own) for own in self.sinks])

    @cached_property
    def fan_out(self) -> Array:
        """How many buffers each net drives."""
        return np.array([len(own) for own in self.buffers], float)


Shape = tuple[Level, ...]
"""The levels of a tree, the leaves first."""


class Limits(NamedTuple):
    """At flops and clock gates, ns."""

    slew_ns: float
    skew_ns: float

    @classmethod
    def of(cls, flops: Iterable[ClockPin], load_pf: float) -> "Limits":
        """Slews: what the fastest of these flops needs until an output has changed both ways under
        a load, from a clock without slew. Skew: the shortest such delay, of an edge without load.
        """
        slews, skews = [], []
        for clock in flops:
            for pin in clock.cell.outputs:
                arcs = [arc for arc in pin.arcs if arc.related == clock.name]
                tables = [
                    table for arc in arcs for table in (arc.cell_rise, arc.cell_fall) if table
                ]
                slews.append(max(table(0.0, load_pf) for table in tables))
                skews.append(min(table(0.0, 0.0) for table in tables))
        return cls(min(slews), min(skews))


class Candidate(NamedTuple):
    """A tree and what it is made of: buffers that drive flops, buffers above them."""

    shape: Shape
    leaf: Driver
    upper: Driver

    def buffer(self, place: int) -> Driver | None:
        """What drives each net of a level; None at the last one, and below the first."""
        if not 0 <= place < len(self.shape) - 1:
            return None
        return self.upper if self.shape[place].height else self.leaf


class Assessment(NamedTuple):
    """A tree's energy a cycle, slowest edge at a sink, skew; and the largest load, or slew before a
    buffer, as a share of what the buffer's tables reach to.
    """

    energy_pj: float
    slew_ns: float
    skew_ns: float
    reach: float

    def excess(self, limits: Limits) -> float:
        """By how much it is above its limits, as a share of each; 0 where it keeps them."""
        shares = self.slew_ns / limits.slew_ns, self.skew_ns / limits.skew_ns, self.reach
        return sum(max(0.0, share - 1.0) for share in shares)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A net of the clock that is to have a tree.

    `points`, `kinds` and `heights` of its sinks: where they are, which of `pins` they are, and how
    many buffers and gates are between them and flops. `gate` is what drives the net at `source`,
    None: the port.
    """

    net: ClockNet
    source: Points
    gate: Driver | None
    points: Points
    kinds: Sequence[str]
    heights: NDArray[np.intp]
    pins: Mapping[str, ClockPin]
    buffers: Sequence[Driver]
    wire_pf_um: float
    volts: float
    limits: Limits

    def candidates(self) -> Iterator[Candidate]:
        """All trees to choose from."""
        for shape in self.shapes():
            used = {bool(level.height) for level in shape[:-1]}
            one = self.buffers[:1]  # of any kind, as there are none of them
            leaves = self.buffers if False in used else one
            uppers = self.buffers if True in used else one
            for leaf, upper in itertools.product(leaves, uppers):
                yield Candidate(shape, leaf, upper)

    def shapes(self) -> Iterator[Shape]:
        """Each once. A gate drives its sinks itself, or one buffer at least."""
        known: dict[tuple[int, ...], Level] = {}
        seen: set[tuple[int, ...]] = set()
        for leaf, fan_out, least in itertools.product(LEAVES, FAN_OUTS, (0, 1)):
            if least and self.gate is None:
                continue
            shape, sizes = self._shape(leaf, fan_out, least, known)
            if sizes not in seen:
                seen.add(sizes)
                yield shape

    def _shape(
        self, leaf: int, fan_out: int, least: int, known: dict[tuple[int, ...], Level]
    ) -> tuple[Shape, tuple[int, ...]]:
        """The tree of at least so many levels, and the nets of each level, 0 for the last one.
        `known` are levels by those up to them.
        """
        levels: list[Level] = []
        sizes: tuple[int, ...] = ()
        below = np.empty((0, 2))
        for height in itertools.count(int(self.heights.min())):
            own = np.flatnonzero(self.heights == height)
            count = len(own) + len(below)
            capacity = fan_out if height else leaf
            is_last = (
                height >= self.heights.max()
                and len(levels) >= least
                and count <= (capacity if self.gate else 1)
            )
            sizes += (0 if is_last else math.ceil(count / capacity),)
            if sizes not in known:
                nodes = np.concatenate([self.points[own], below])
                groups = [np.arange(count)] if is_last else clusters(nodes, capacity)
                drivers = self.source if is_last else np.array([middle(nodes[g]) for g in groups])
                known[sizes] = self._level(height, own, nodes, groups, drivers)
            levels.append(known[sizes])
            if is_last:
                break
            below = levels[-1].drivers
        return tuple(levels), sizes

    def _level(
        self, height: int, own: Group, nodes: Points, groups: Sequence[Group], drivers: Points
    ) -> Level:
        sinks = [own[group[group < len(own)]] for group in groups]
        found = [Counter(self.kinds[sink] for sink in group) for group in sinks]
        counts = {
            kind: np.array([counter[kind] for counter in found], float)
            for kind in sorted({kind for counter in found for kind in counter})
        }
        wires = self.wire_pf_um * np.array(
            [
                steiner_tree(np.concatenate([[driver], nodes[group]])).length
                for driver, group in zip(drivers, groups, strict=True)
            ]
        )
        rise, fall = wires.copy(), wires
        for kind, count in counts.items():
            own_rise, own_fall = self.pins[kind].capacitances
            rise, fall = rise + count * own_rise, fall + count * own_fall
        buffers = [group[group >= len(own)] - len(own) for group in groups]
        return Level(height, drivers, sinks, buffers, counts, Load(rise, fall))

    def assess(self, candidate: Candidate) -> Assessment:
        """From the port or the gate on down, whose own clock has the slowest edge allowed."""
        none, slow = np.zeros(1), np.full(1, self.limits.slew_ns)
        slopes = Slopes(none, none, none) if self.gate is None else Slopes(none, slow, slow)
        driver = self.gate
        energy = slew = skew = reach = 0.0
        for place in reversed(range(len(candidate.shape))):
            level, below = candidate.shape[place], candidate.buffer(place - 1)
            load = level.pins if below is None else _with(level.pins, below, level.fan_out)
            if driver is not None:
                energy += float(driver.a_cycle(slopes, load).sum())
                if driver is not self.gate:  # whose pin is a sink of another net
                    energy += float(driver.clock.energy.a_cycle(slopes, none).sum())
                slowest, largest = slopes.slowest, float(load.larger.max())
                reach = max(reach, slowest / driver.reach_ns, largest / driver.reach_pf)
                slopes = driver.drive(slopes, load)
            energy += self.volts**2 * float(load.larger.sum())
            for kind, count in level.counts.items():
                energy += float(count @ self.pins[kind].energy.a_cycle(slopes, none))
            if level.counts:
                slew = max(slew, slopes.of(level.with_sinks).slowest)
            if not level.height:
                skew = float(np.ptp(slopes.at))
            if below is not None:
                slopes, driver = slopes.of(level.parents), below
        return Assessment(energy, slew, skew, reach)

    def best(self) -> tuple[Candidate, Assessment]:
        """Of all within the limits that of least energy, else that which is least above them; the
        first of equal ones.
        """
        every = list(self.candidates())
        known: dict[tuple[int, str], _Outlook] = {}
        outlooks = []
        for candidate in every:
            level, leaf = candidate.shape[0], candidate.buffer(0)
            key = len(level.sinks), leaf.kind if leaf else ""
            if key not in known:
                known[key] = self._outlook(level, leaf)
            outlooks.append(known[key])
        hopeful = [
            n for n, outlook in enumerate(outlooks) if outlook.slew_ns <= self.limits.slew_ns
        ]
        found: tuple[Candidate, Assessment] | None = None
        for n in sorted(hopeful, key=lambda n: outlooks[n].energy_pj):
            if found is not None and outlooks[n].energy_pj >= found[1].energy_pj:
                break
            assessment = self.assess(every[n])
            is_less = found is None or assessment.energy_pj < found[1].energy_pj
            if is_less and not assessment.excess(self.limits):
                found = every[n], assessment
        if found is not None:
            return found
        assessed = ((candidate, self.assess(candidate)) for candidate in every)
        return min(assessed, key=lambda both: (both[1].excess(self.limits), both[1].energy_pj))

    def _outlook(self, level: Level, leaf: Driver | None) -> "_Outlook":
        """Of the trees with these leaves."""
        if leaf is None or level.height:
            return _Outlook(0.0, 0.0)
        none = np.zeros(len(level.sinks))
        slopes = leaf.drive(Slopes(none, none, none), level.pins)
        loads = level.pins.larger
        energy = float((self.volts**2 * loads + leaf.energy.least(loads)).sum())
        for kind, count in level.counts.items():
            energy += float(count @ self.pins[kind].energy.least(none))
        return _Outlook(energy, slopes.slowest)


class _Outlook(NamedTuple):
    """What a tree has at least, by its leaves alone: energy, and slews of them if those above have
    none.
    """

    energy_pj: float
    slew_ns: float


def _with(pins: Load, buffer: Driver, fan_out: Array) -> Load:
    rise, fall = buffer.clock.capacitances
    return Load(pins.rise + fan_out * rise, pins.fall + fan_out * fall)
