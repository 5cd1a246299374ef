"""What every unit of a comparison shares."""

import enum
from dataclasses import dataclass, field

from ..support.errors import UserError
from ..synth.layout.flow import Layout
from ..synth.liberty.pdk import Pdk
from ..synth.simulation.simulate import Simulator

SLOWEST, FASTEST = 1e-3, 1e5
"""MHz: slower, a cycle's energy is leakage alone; no library has a flop that is faster."""


class States(enum.Enum):
    """Where the power engine knows from how often a cell is in each of its states."""

    INDEPENDENT = "independent"
    """From the duties of its pins, taken as independent."""
    COUNTED = "counted"
    """From the simulation, event by event."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What every unit of a comparison shares: library, clock, ABC script. No output load.

    `layout`: each unit is placed, its wires are loads, and a tree brings its clock; else there are
    no wires, and the clock is ideal.
    """

    pdk: Pdk
    clock_mhz: float
    script: str = "area"
    states: States = States.COUNTED
    simulator: Simulator = field(default_factory=Simulator.default)
    precision: float = 0.05
    """Standard error of an energy over the energy from which on to warn: no result depends on it.
    """
    all_builds: bool = True
    """Else one build of a unit, as it is configured."""
    layout: Layout | None = None

    def __post_init__(self) -> None:
        if not SLOWEST <= self.clock_mhz <= FASTEST:
            rule = f"clock_mhz must be in {SLOWEST:g}..{FASTEST:g}"
            raise UserError(f"{rule}, not {self.clock_mhz!r}")

    @property
    def clock_ns(self) -> float:
        """Clock period."""
        return 1e3 / self.clock_mhz
