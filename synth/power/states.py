"""The instances of a library cell and how often each of their states occurs.

What the power engine knows of activity: toggle rates and duties of nets, conventions where tools
differ, truth tables of a cell's state, and the shares of time and of toggles in each state.
"""

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np

from ..liberty.boolean import Bits, Expr, truth_table
from ..liberty.cells import EnergyGroup, LibertyCell, Pin

Array: TypeAlias = np.ndarray


@dataclass(frozen=True)
class Activity:
    """Of a net: toggles per second (both edges) and the share of time at 1."""

    toggles_per_s: float
    duty: float

    @classmethod
    def clock(cls, clock_mhz: float) -> "Activity":
        """Two toggles a cycle, half of the time at 1."""
        return cls(2e6 * clock_mhz, 0.5)


class OutputPins(enum.Enum):
    """What an output pin's name means in a condition such as `A * !B * Y`."""

    FOLLOW_FUNCTION = "follow_function"
    """Its function of the inputs, or of the flop's state: Q_N is not Q."""
    OPENSTA = "opensta"
    """As in OpenSTA 3.1, for comparisons only: just another pin, independent of the others; but at
    a toggle of an input p that output z depends on, the condition counts as dz/dp = 1."""


class DefaultGroups(enum.Enum):
    """When an input pin's energy group without a condition counts, beside groups with one."""

    REMAINDER = "remainder"
    """In the states that no other group of the pin covers: Liberty's meaning of a default."""
    ALWAYS = "always"
    """In every state, on top of the others, as OpenSTA 3.1 does; for comparisons only."""


class TiedPins(enum.Enum):
    """What a pin tied to a constant does."""

    CONSTANT = "constant"
    """It never toggles; its duty is its value."""
    DEFAULT_ACTIVITY = "default_activity"
    """0.1 toggles a cycle and duty 0.5: OpenSTA 3.1's convention, for comparisons only."""


@dataclass(frozen=True)
class Conventions:
    """Where tools differ; the defaults are this project's."""

    outputs: OutputPins = OutputPins.FOLLOW_FUNCTION
    tied: TiedPins = TiedPins.CONSTANT
    default_groups: DefaultGroups = DefaultGroups.REMAINDER


OWN = Conventions()
"""This project's conventions."""

OPENSTA = Conventions(OutputPins.OPENSTA, TiedPins.DEFAULT_ACTIVITY, DefaultGroups.ALWAYS)
"""What OpenSTA 3.1 does: for comparing with its figures."""


@dataclass(frozen=True)
class Instances:
    """All instances of one library cell: for each pin an array over the instances."""

    cell: LibertyCell
    names: list[str]
    toggles: dict[str, Array]
    """Toggles per second."""
    duty: dict[str, Array]
    rise_slew: dict[str, Array]
    fall_slew: dict[str, Array]
    load: dict[str, Array]
    """The larger of the rise and fall loads, pF."""
    conventions: Conventions

    @cached_property
    def variables(self) -> list[str]:
        """What the state of a cell is made of: input pins, then the stored bit or the outputs."""
        pins = [pin.name for pin in self.cell.inputs]
        if self.conventions.outputs is OutputPins.OPENSTA:
            return pins + [pin.name for pin in self.cell.outputs]
        return [*pins, *self.cell.states[:1]]

    @cached_property
    def table(self) -> dict[str, Bits]:
        """Truth table over `variables`, with columns for all pins."""
        columns: dict[str, Bits] = dict(truth_table(self.variables))
        if self.conventions.outputs is OutputPins.FOLLOW_FUNCTION:
            for inverse in self.cell.states[1:]:
                columns[inverse] = ~columns[self.cell.states[0]]
            for pin in self.cell.outputs:
                if pin.function is not None:
                    columns[pin.name] = pin.function.evaluate(columns)
        return columns

    def condition(self, group: EnergyGroup, pin: Pin) -> Bits:
        """Rows of the table in which an input pin's energy group counts at a toggle of the pin."""
        if group.when is not None:
            return self._holds(group.when, pin.name)
        if self.conventions.default_groups is DefaultGroups.ALWAYS:
            return np.bool_(True)
        others = [e.when for e in pin.energies if e.supply == group.supply and e.when is not None]
        covered: Bits = np.bool_(False)
        for when in others:
            covered = covered | self._holds(when, pin.name)
        return ~covered

    def _holds(self, when: Expr, pin: str) -> Bits:
        for output in self.cell.outputs if self.conventions.outputs is OutputPins.OPENSTA else ():
            function = output.function
            if output.name in when.pins and function is not None and pin in function.pins:
                return function.difference(pin, self.table)
        return when.evaluate(self.table)


class Shares(Protocol):
    """How often the cell is in each state: arrays of rows of `Instances.table` by instances."""

    def of_time(self, instances: Instances) -> Array:
        """Share of time."""

    def at_toggles(self, instances: Instances, pin: str) -> Array:
        """Share of the toggles of an input pin."""


class IndependentPins:
    """Pins independent of each other and of time, from their duties alone."""

    def of_time(self, instances: Instances) -> Array:
        """P(state) = product over its variables of U or 1 - U."""
        shares = np.ones((1, len(instances.names)))
        for name in instances.variables:
            duty = _duty(instances, name)
            shares = np.concatenate([shares * (1.0 - duty), shares * duty])
        return shares

    def at_toggles(self, instances: Instances, pin: str) -> Array:
        """The same: a toggle is as good as any other time."""
        return self.of_time(instances)


def _duty(instances: Instances, variable: str) -> Array:
    """Duty of a pin, or of the stored bit by the first output: of a clock gate that is 1 for a part
    of the time at which the clock is.
    """
    if variable in instances.duty:
        return instances.duty[variable]
    first = instances.cell.outputs[0]
    duty = instances.duty[first.name]
    gate = instances.cell.clock_gate
    if gate and gate.clock:
        high = instances.duty[gate.clock]
        return np.minimum(np.divide(duty, high, out=np.zeros(len(duty)), where=high != 0.0), 1.0)
    return duty if follows_state(instances.cell, first) else 1.0 - duty


def follows_state(cell: LibertyCell, pin: Pin) -> bool:
    """Whether the output is 1 where the stored bit is, else it is the inverse."""
    assert pin.function is not None
    return bool(pin.function.evaluate(dict(zip(cell.states, _HIGH, strict=False))))


_HIGH = (np.bool_(True), np.bool_(False))
