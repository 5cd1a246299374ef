"""When a clock's edge reaches the flops, through the buffers and gates of its network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..liberty.library import Library
from ..mapping.netlist import Netlist
from .clock_network import arrivals, clock_tree
from .delays import Timing


@dataclass(frozen=True)
class ClockArrivals:
    """When the clock's edge arrives at each flop, ns after the clock's port has it; nothing where
    there is no clock.
    """

    flops_ns: Mapping[str, float] = field(default_factory=dict)

    @property
    def earliest_ns(self) -> float:
        """At the first flop."""
        return min(self.flops_ns.values(), default=0.0)

    @property
    def latest_ns(self) -> float:
        """At the last flop: the insertion delay."""
        return max(self.flops_ns.values(), default=0.0)

    @property
    def skew_ns(self) -> float:
        """Between the two."""
        return self.latest_ns - self.earliest_ns


def clock_arrivals(
    netlist: Netlist, library: Library, timing: Timing, clock_net: str
) -> ClockArrivals:
    """Sums of the delays from the clock to each flop. Raises: ValueError, as `clock_tree`."""
    tree = clock_tree(netlist, library, clock_net)
    paths = {
        (arc.instance, arc.to_pin): arc.edges
        for arc in timing.delays
        if tree.cells.get(arc.instance) == arc.from_pin
    }
    return ClockArrivals(arrivals(netlist, tree, paths))
