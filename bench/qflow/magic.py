"""Capacitances of magic's `.ext` files."""

from collections import defaultdict

from mlsmac.support.errors import ToolError
from mlsmac.synth.mapping.netlist import CONSTANT_NETS, Netlist
from mlsmac.synth.simulation.testbench import ShortNames


def parse_ext(text: str, netlist: Netlist, names: ShortNames) -> dict[str, float]:
    """Capacitance in pF of each net's wires by what magic extracts of the design's own level: to
    what is below, and to all else, which is taken to stand still. What lies in cells is not in it.

    Raises: ToolError (nets that are joined, or pins of a net that are not).
    """
    nodes = _Joined()
    own: dict[str, float] = defaultdict(float)
    between: list[tuple[str, str, float]] = []
    for line in text.splitlines():
        match line.replace('"', "").split():
            case ["scale", _, scale, _] if scale != "1":
                raise ToolError(f"magic must count in aF, not in {scale} of them")
            case ["node", node, _, value, *_] | ["subcap", node, value]:
                own[node] += float(value)
            case ["cap", one, two, value]:
                between.append((one, two, float(value)))
            case ["equiv", one, two]:
                nodes.join(one, two)
            case ["merge", one, two, *values]:
                nodes.join(one, two)
                # What both the cell's metal and the wire on it were taken for.
                own[one] += float(values[0]) if values else 0.0
    nets = _nets_of_nodes(netlist, names, nodes)
    found = dict.fromkeys(nets.values(), 0.0)
    parts = [(nodes.first(node), value) for node, value in own.items()]
    for one, two, value in between:
        if nodes.first(one) != nodes.first(two):
            parts += [(nodes.first(one), value), (nodes.first(two), value)]
    for node, value in parts:
        if node in nets:
            found[nets[node]] += value
    return {net: max(value, 0.0) * 1e-6 for net, value in found.items()}


class _Joined:
    """Nodes that are the same one."""

    def __init__(self) -> None:
        self._next: dict[str, str] = {}

    def first(self, node: str) -> str:
        """What stands for all that a node is joined with."""
        while (other := self._next.get(node, node)) != node:
            node = other
        return node

    def join(self, one: str, two: str) -> None:
        """The first stands for the second from now on."""
        first, second = self.first(one), self.first(two)
        if first != second:
            self._next[second] = first


def _nets_of_nodes(netlist: Netlist, names: ShortNames, nodes: _Joined) -> dict[str, str]:
    nets: dict[str, str] = {}
    known: dict[str, str] = {}
    for name, cell in netlist.cells.items():
        for pin, net in cell.pins.items():
            if net in CONSTANT_NETS:
                continue
            node = nodes.first(f"{names.cells[name]}/{pin}")
            if nets.setdefault(node, net) != net:
                raise ToolError(f"nets {nets[node]} and {net} must be apart, but are joined")
            if known.setdefault(net, node) != node:
                raise ToolError(f"net {net} must join {name}, but its wires do not")
    return nets
