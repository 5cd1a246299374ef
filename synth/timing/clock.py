"""When a clock's edge reaches the flops, through the buffers and gates of its network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..liberty.boolean import Op
from ..liberty.cells import Sense
from ..liberty.library import Library
from ..mapping.netlist import Netlist
from .delays import Edges, Timing


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
    """Sums of the delays from the clock to each flop, of the edge that the flop takes.

    Raises: ValueError where the clock reaches no flop.
    """
    arrivals = {clock_net: Edges(0.0, 0.0)}
    for delay in timing.delays:  # which are in topological order
        cell = netlist.cells[delay.instance]
        before = arrivals.get(cell.pins[delay.from_pin])
        if before is None or library.cells[cell.kind].flop:
            continue
        causes = {Sense.NEGATIVE: before[::-1], Sense.NON_UNATE: (max(before), max(before))}
        rise, fall = causes.get(delay.sense, before)
        net = cell.pins[delay.to_pin]
        known = arrivals.get(net, Edges(0.0, 0.0))
        arrivals[net] = Edges(
            max(known.rise, rise + (delay.rise_ns or 0.0)),
            max(known.fall, fall + (delay.fall_ns or 0.0)),
        )
    flops = {}
    for name, cell in netlist.cells.items():
        if flop := library.cells[cell.kind].flop:
            (pin,) = flop.clocked_on.pins
            if edges := arrivals.get(cell.pins[pin]):
                flops[name] = edges.fall if flop.clocked_on.op is Op.NOT else edges.rise
    if not flops:
        raise ValueError(f"clock_net must reach a flop, but {clock_net!r} does not")
    return ClockArrivals(flops)
