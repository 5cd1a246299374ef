"""When the edge of a clock comes to the flops, in ticks of the simulators."""

from ..mapping.netlist import Netlist
from ..timing.clock_network import ClockTree
from ..timing.delays import Timing
from .testbench import path_ticks


def insertion_ticks(netlist: Netlist, tree: ClockTree, timing: Timing) -> tuple[int, int]:
    """From the rising edge at the clock's port to that at the first flop, and at the last one."""
    if not tree.cells:
        return 0, 0
    own = [arc for arc in timing.delays if tree.cells.get(arc.instance) == arc.from_pin]
    ticks = dict(zip(((arc.instance, arc.to_pin) for arc in own), path_ticks(own), strict=True))
    arrivals: dict[str, int] = {}
    for name, pin in tree.cells.items():
        cell = netlist.cells[name]
        for out, net in cell.pins.items():
            if (name, out) in ticks:
                rise, fall = ticks[name, out].tolist()
                start = arrivals.get(cell.pins[pin], 0)  # 0 at the port
                arrivals[net] = start + (rise if tree.rises[net] else fall)
    every = [arrivals.get(net, 0) for net in tree.flops.values()]
    return min(every, default=0), max(every, default=0)
