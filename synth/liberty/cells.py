"""Standard cells as the flow sees them: pins, delay and energy tables, flops, leakage.

Plain data in one set of units: ns, pF, pJ, W, um^2. `library.load` makes them.
"""

import enum
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...support.errors import UserError
from .boolean import Expr


class LibertyError(UserError):
    """A Liberty file that lacks something the flow needs, or says it in a way we do not read."""


class Sense(enum.Enum):
    """How an output edge follows an input edge (Liberty `timing_sense`)."""

    POSITIVE = "positive_unate"
    NEGATIVE = "negative_unate"
    NON_UNATE = "non_unate"


class ArcKind(enum.Enum):
    """Liberty `timing_type` of the arcs that carry delays; constraints are not read."""

    COMBINATIONAL = "combinational"
    COMBINATIONAL_RISE = "combinational_rise"
    COMBINATIONAL_FALL = "combinational_fall"
    RISING_EDGE = "rising_edge"
    FALLING_EDGE = "falling_edge"
    CLEAR = "clear"
    PRESET = "preset"


class Direction(enum.StrEnum):
    """Direction of a pin."""

    INPUT = "input"
    OUTPUT = "output"
    INOUT = "inout"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Table:
    """A table over input slew (ns) and load (pF); an axis the file does not use has one point.

    Bilinear inside, and the outermost cell's plane continued outside, as in NLDM.
    """

    slews: tuple[float, ...]
    loads: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    """`rows[i][j]` belongs to `slews[i]`, `loads[j]`."""

    def __call__(self, slew: float, load: float) -> float:
        """Value at one point."""
        i, x = _locate(self.slews, slew)
        j, y = _locate(self.loads, load)
        low = _along(self.rows[i], j, y)
        return low if x == 0.0 else low + x * (_along(self.rows[i + 1], j, y) - low)

    def each(self, slews: np.ndarray, loads: np.ndarray) -> np.ndarray:
        """Values at many points: `slews` and `loads` broadcast against each other."""
        values = self._values
        i, x = _locate_each(self.slews, slews)
        j, y = _locate_each(self.loads, loads)
        next_i, next_j = (
            np.minimum(k + 1, n - 1) for k, n in zip((i, j), values.shape, strict=True)
        )
        low = values[i, j] + y * (values[i, next_j] - values[i, j])
        high = values[next_i, j] + y * (values[next_i, next_j] - values[next_i, j])
        return low + x * (high - low)

    @cached_property
    def _values(self) -> np.ndarray:
        return np.array(self.rows)


def _locate(axis: tuple[float, ...], at: float) -> tuple[int, float]:
    """Interval of the axis and the position in it as a fraction, outside 0..1 beyond the ends."""
    if len(axis) == 1:
        return 0, 0.0
    i = min(max(bisect_right(axis, at) - 1, 0), len(axis) - 2)
    return i, (at - axis[i]) / (axis[i + 1] - axis[i])


def _along(row: tuple[float, ...], j: int, y: float) -> float:
    return row[j] if y == 0.0 else row[j] + y * (row[j + 1] - row[j])


def _locate_each(axis: tuple[float, ...], at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(axis) == 1:
        return np.zeros(np.shape(at), dtype=np.intp), np.zeros(np.shape(at))
    points = np.array(axis)
    i = np.clip(np.searchsorted(points, at, side="right") - 1, 0, len(axis) - 2)
    return i, (at - points[i]) / (points[i + 1] - points[i])


@dataclass(frozen=True)
class Arc:
    """Delay from pin `related` to the output pin that holds the arc; tables in ns or None."""

    related: str
    kind: ArcKind
    sense: Sense
    when: Expr | None
    cell_rise: Table | None
    cell_fall: Table | None
    rise_transition: Table | None
    fall_transition: Table | None


@dataclass(frozen=True)
class EnergyGroup:
    """An `internal_power` group: energy in pJ of a rise and of a fall of the pin that holds it."""

    related: str | None
    when: Expr | None
    supply: str | None
    rise: Table
    fall: Table


@dataclass(frozen=True)
class Pin:
    """A pin; capacitances in pF for each edge; `function` over pins and names of the stored bit."""

    name: str
    direction: Direction
    rise_capacitance: float
    fall_capacitance: float
    is_clock: bool
    function: Expr | None
    arcs: tuple[Arc, ...]
    energies: tuple[EnergyGroup, ...]

    @property
    def capacitance(self) -> float:
        """The larger of the two capacitances, pF."""
        return max(self.rise_capacitance, self.fall_capacitance)


@dataclass(frozen=True)
class Flop:
    """An `ff` group; `state` and `inverse` are the names that the outputs' functions use."""

    state: str
    inverse: str
    next_state: Expr
    clocked_on: Expr
    clear: Expr | None
    preset: Expr | None


@dataclass(frozen=True)
class Latch:
    """A `latch` group; `data_in` and `enable` are None where it only has set and reset."""

    state: str
    inverse: str
    data_in: Expr | None
    enable: Expr | None
    clear: Expr | None
    preset: Expr | None


@dataclass(frozen=True)
class ClockGate:
    """A clock gate by its `clock_gating_integrated_cell` (such as `latch_posedge`) and the pins of
    its roles.
    """

    kind: str
    clock: str | None
    enable: str | None
    test: str | None
    output: str | None


@dataclass(frozen=True)
class Leakage:
    """Watts while `when` holds."""

    watts: float
    when: Expr


@dataclass(frozen=True)
class LibertyCell:
    """A cell: area in um^2, pins, the flop if it is one, leakage.

    `leakage` holds the state-dependent values, `leakage_watts` the value in every other state (None
    where the file gives neither). `barred` says in two words why mapping must not use the cell, by
    what its own attributes say; None where they do not.
    """

    name: str
    area_um2: float
    pins: dict[str, Pin]
    flop: Flop | None
    leakage: tuple[Leakage, ...]
    leakage_watts: float | None
    latch: Latch | None = None
    clock_gate: ClockGate | None = None
    barred: str | None = None

    @property
    def states(self) -> tuple[str, ...]:
        """What functions and conditions call the stored bit, then its inverse where that has a
        name; nothing of a gate.
        """
        store = self.flop or self.latch
        return tuple(filter(None, (store.state, store.inverse))) if store else ()

    def of(self, direction: Direction) -> list[Pin]:
        """Pins of one direction, in the file's order."""
        return [pin for pin in self.pins.values() if pin.direction is direction]

    @cached_property
    def inputs(self) -> list[Pin]:
        """Input pins."""
        return self.of(Direction.INPUT)

    @cached_property
    def outputs(self) -> list[Pin]:
        """Output pins."""
        return self.of(Direction.OUTPUT)
