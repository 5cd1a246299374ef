"""Cells of a clock tree, as arrays see them: tables over many nets at once."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..liberty.cells import Arc, EnergyGroup, LibertyCell, Sense, Table

Array = NDArray[np.float64]


class Slopes(NamedTuple):
    """When the rising edge comes at many nets, and how long both edges take, ns."""

    at: Array
    rise: Array
    fall: Array

    @property
    def slowest(self) -> float:
        """The longest edge."""
        return float(max(self.rise.max(), self.fall.max()))

    def of(self, which: NDArray[np.intp]) -> "Slopes":
        """At some of the nets, in this order."""
        return Slopes(self.at[which], self.rise[which], self.fall[which])


class Load(NamedTuple):
    """Of many nets, for each edge, pF."""

    rise: Array
    fall: Array

    @property
    def larger(self) -> Array:
        """What energies count."""
        return np.maximum(self.rise, self.fall)


class Energy(NamedTuple):
    """Internal energy of a rise and a fall, pJ, over slew and load."""

    rise: Table
    fall: Table

    def a_cycle(self, slopes: Slopes, loads: Array) -> Array:
        """One rise and one fall."""
        return self.rise.each(slopes.rise, loads) + self.fall.each(slopes.fall, loads)

    def least(self, loads: Array) -> Array:
        """One rise and one fall, whatever the slews are, up to the last of the tables."""
        return sum(
            (
                table.each(np.array([0.0, *table.slews])[:, None], loads).min(axis=0)
                for table in self
            ),
            start=np.zeros(len(loads)),
        )

    @classmethod
    def of(cls, groups: Iterable[EnergyGroup]) -> "Energy":
        """Sum over supplies of the mean of a supply's groups: of the states, all as likely."""
        supplies: dict[str | None, list[EnergyGroup]] = defaultdict(list)
        for group in groups:
            supplies[group.supply].append(group)
        shares = [(group, 1 / len(own)) for own in supplies.values() for group in own]
        return cls(
            _sum([(group.rise, share) for group, share in shares]),
            _sum([(group.fall, share) for group, share in shares]),
        )


def _sum(parts: list[tuple[Table, float]]) -> Table:
    """Tables with their weights as one, over all of their points."""
    slews = tuple(sorted({slew for table, _ in parts for slew in table.slews})) or (0.0,)
    loads = tuple(sorted({load for table, _ in parts for load in table.loads})) or (0.0,)
    at_slews, at_loads = np.array(slews)[:, None], np.array(loads)
    total = np.zeros((len(slews), len(loads)))
    for table, weight in parts:
        total += weight * table.each(at_slews, at_loads)
    return Table(slews, loads, tuple(map(tuple, total.tolist())))


def _worst(tables: Iterable[Table | None], slews: Array, loads: Array) -> Array:
    found = [table.each(slews, loads) for table in tables if table is not None]
    worst: Array = np.max(found, axis=0) if found else np.zeros(len(loads))
    return worst


@dataclass(frozen=True)
class ClockPin:
    """A pin on a net of the clock."""

    cell: LibertyCell
    name: str

    @property
    def kind(self) -> str:
        """All pins of a kind are alike."""
        return f"{self.cell.name}/{self.name}"

    @property
    def capacitances(self) -> tuple[float, float]:
        """For a rise and a fall, pF."""
        pin = self.cell.pins[self.name]
        return pin.rise_capacitance, pin.fall_capacitance

    @cached_property
    def energy(self) -> Energy:
        """Of the pin itself; the output's, where the cell drives a net of the clock, is apart."""
        return Energy.of(self.cell.pins[self.name].energies)


@dataclass(frozen=True)
class Driver:
    """A buffer or a clock gate: from the pin `clock` to the pin `output`."""

    clock: ClockPin
    output: str

    @classmethod
    def buffer(cls, cell: LibertyCell) -> "Driver":
        """Of a cell with one input."""
        return cls(ClockPin(cell, cell.inputs[0].name), cell.outputs[0].name)

    @classmethod
    def gate(cls, cell: LibertyCell) -> "Driver":
        """Of a clock gate."""
        gate = cell.clock_gate
        if gate is None or gate.clock is None or gate.output is None:
            raise ValueError(f"cell must be a clock gate, not {cell.name}")
        return cls(ClockPin(cell, gate.clock), gate.output)

    @property
    def kind(self) -> str:
        """The library cell."""
        return self.clock.cell.name

    def drive(self, slopes: Slopes, load: Load) -> Slopes:
        """At the output: the worst of its arcs."""
        arcs = self._arcs
        at = _worst([arc.cell_rise for arc in arcs], slopes.rise, load.rise)
        rise = _worst([arc.rise_transition for arc in arcs], slopes.rise, load.rise)
        fall = _worst([arc.fall_transition for arc in arcs], slopes.fall, load.fall)
        return Slopes(slopes.at + at, np.maximum(rise, 0.0), np.maximum(fall, 0.0))

    def a_cycle(self, slopes: Slopes, load: Load) -> Array:
        """Internal energy of a rise and a fall of the output, pJ."""
        return self.energy.a_cycle(slopes, load.larger)

    @cached_property
    def energy(self) -> Energy:
        """Of the output."""
        pin = self.clock.cell.pins[self.output]
        return Energy.of(group for group in pin.energies if group.related == self.clock.name)

    @cached_property
    def reach_pf(self) -> float:
        """The largest load of its tables."""
        return min(table.loads[-1] for table in self._tables)

    @cached_property
    def reach_ns(self) -> float:
        """The slowest edge of its tables."""
        return min(table.slews[-1] for table in self._tables)

    @cached_property
    def _tables(self) -> list[Table]:
        both = [table for arc in self._arcs for table in (arc.rise_transition, arc.fall_transition)]
        return [table for table in both if table is not None]

    @cached_property
    def _arcs(self) -> tuple[Arc, ...]:
        arcs = self.clock.cell.pins[self.output].arcs
        own = (arc for arc in arcs if arc.related == self.clock.name)
        return tuple(arc for arc in own if arc.sense is not Sense.NEGATIVE)
