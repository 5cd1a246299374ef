"""When the edge of a clock comes to the flops, in ticks of the simulators."""

from ..mapping.netlist import Netlist
from ..timing.clock_network import ClockTree, arrivals
from ..timing.delays import Timing
from .testbench import path_ticks


def insertion_ticks(netlist: Netlist, tree: ClockTree, timing: Timing) -> tuple[int, int]:
    """From the rising edge at the clock's port to that at the first flop, and at the last one."""
    if not tree.cells:
        return 0, 0
    own = [arc for arc in timing.delays if tree.cells.get(arc.instance) == arc.from_pin]
    ticks = path_ticks(own).tolist()
    paths = {(arc.instance, arc.to_pin): both for arc, both in zip(own, ticks, strict=True)}
    found = arrivals(netlist, tree, paths).values()
    return min(found, default=0), max(found, default=0)
