"""A clock tree of a library's own buffers on a placement.

Every net of the clock, that of the port and those behind clock gates, gets a tree of its own where
it needs one: sinks are grouped by place, each group gets a buffer in its middle, and so on until
one buffer is left, which the port drives, or no more than the gate drives itself. Every flop is
behind as many buffers and gates as any other: a gate stands among the buffers of the level that its
own tree ends at, and nothing else is delayed to balance it.

Of all trees of `clock_search` the one of least energy a cycle is chosen whose edges are fast
enough. At a flop an edge takes at most as long as the flop from its clock to its output; the skew
is at most the shortest such delay, so that no flop misses what another one still holds; loads and
slews of buffers are within their tables.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..liberty.cells import LibertyCell
from ..liberty.library import Library
from ..liberty.pdk import Pdk
from ..liberty.roles import buffers
from ..mapping.netlist import Cell, Netlist
from .clock_cells import ClockPin, Driver
from .clock_nets import ClockNet, clock_nets
from .clock_search import Assessment, Candidate, Limits, Problem
from .placement import Placement, Point

PREFIX = "clock_tree."
"""What the names of the tree's cells and nets begin with."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What one net of the clock became: `leaves` buffers that drive flops, with at most `sinks` of
    them each, and buffers above them, in all `levels`; energy of a cycle in which this clock runs,
    of its nets, pins and buffers together; the slowest edge at a flop or a gate, and the skew
    between the net's own flops. `is_within` is whether all limits are kept.
    """

    net: str
    levels: int
    leaves: int
    sinks: int
    buffers: Mapping[str, int]
    energy_pj: float
    slew_ns: float
    skew_ns: float
    is_within: bool


@dataclass(frozen=True)
class ClockTree:
    """A netlist with the buffers, the places that their centres are wished at, where other cells
    may be; each tree, those behind gates first, and what limits they had. Nothing new without a
    clock.
    """

    netlist: Netlist
    wished: Mapping[str, Point] = field(default_factory=dict)
    trees: tuple[Tree, ...] = ()
    limits: Limits | None = None

    @property
    def buffers(self) -> dict[str, int]:
        """How many of each kind."""
        total: Counter[str] = Counter()
        for tree in self.trees:
            total.update(tree.buffers)
        return dict(sorted(total.items()))


def add_clock_tree(
    netlist: Netlist, library: Library, placement: Placement, pdk: Pdk, clock: str | None
) -> ClockTree:
    """Put buffers between the net `clock` and the pins that read it, and behind its gates; none
    where there is no flop. The tree does not depend on the order of cells.

    Of `pdk` are the names of buffers, none: all that the library has; the wires' capacitance, and
    the load of a flop that limits are of.
    Raises: LibertyError (no such buffer); ValueError (a netlist that has a tree, no capacitance).
    """
    if taken := [name for name in netlist.cells if name.startswith(PREFIX)]:
        raise ValueError(f"netlist must have no clock tree, but has {taken[0]}")
    nets = [] if clock is None else clock_nets(netlist, library, clock)
    flops = {pin.kind: pin for net in nets for pin in _pins(net, netlist, library) if pin.cell.flop}
    if not flops:
        return ClockTree(netlist)
    if pdk.wire_ff_um is None:
        raise ValueError(f"wire_ff_um of {pdk.name} must be known for a clock tree")
    limits = Limits.of(flops.values(), 1e-3 * pdk.load_ff)
    kinds = buffers(library, pdk.clock_buffers)
    heights: dict[str, int] = {}
    chosen: list[tuple[Problem, Candidate]] = []
    trees: list[Tree] = []
    for net in nets:
        problem = problem_of(net, netlist, library, placement, pdk, kinds, limits, heights)
        candidate, found = problem.best()
        if net.gate is not None:
            heights[net.gate] = candidate.shape[-1].height + 1
        chosen.append((problem, candidate))
        trees.append(_tree(problem, candidate, found))
    grown, wished = netlist, dict[str, Point]()
    for problem, candidate in reversed(chosen):
        grown, more = with_tree(problem, candidate, grown)
        wished |= more
    return ClockTree(grown, wished, tuple(trees), limits)


def problem_of(
    net: ClockNet,
    netlist: Netlist,
    library: Library,
    placement: Placement,
    pdk: Pdk,
    kinds: Sequence[LibertyCell],
    limits: Limits,
    heights: Mapping[str, int],
) -> Problem:
    """A tree for a net, of buffers of these `kinds`; `heights` are of the gates among its sinks."""
    assert pdk.wire_ff_um is not None
    cells = [netlist.cells[sink.instance] for sink in net.sinks]
    pins = _pins(net, netlist, library)
    gate = None
    if net.gate is None:
        source = placement.ports[net.name]
    else:
        kind = netlist.cells[net.gate].kind
        gate, source = Driver.gate(library.cells[kind]), placement.centre(net.gate, kind)
    return Problem(
        net=net,
        source=np.array([source]),
        gate=gate,
        points=np.array([placement.centre(cell.name, cell.kind) for cell in cells]),
        kinds=[pin.kind for pin in pins],
        heights=np.array([heights.get(cell.name, 0) for cell in cells]),
        pins={pin.kind: pin for pin in pins},
        buffers=[Driver.buffer(cell) for cell in kinds],
        wire_pf_um=1e-3 * pdk.wire_ff_um,
        volts=library.volts,
        limits=limits,
    )


def _pins(net: ClockNet, netlist: Netlist, library: Library) -> list[ClockPin]:
    kinds = [netlist.cells[sink.instance].kind for sink in net.sinks]
    return [
        ClockPin(library.cells[kind], sink.pin) for kind, sink in zip(kinds, net.sinks, strict=True)
    ]


def _tree(problem: Problem, candidate: Candidate, found: Assessment) -> Tree:
    shape = candidate.shape
    leaves = [own for level in shape[:-1] if not level.height for own in level.sinks]
    counts: Counter[str] = Counter()
    for place, level in enumerate(shape):
        if (driver := candidate.buffer(place)) is not None:
            counts[driver.kind] += len(level.sinks)
    return Tree(
        net=problem.net.name,
        levels=len(shape) - 1,
        leaves=len(leaves),
        sinks=max(map(len, leaves), default=0),
        buffers=dict(sorted(counts.items())),
        energy_pj=found.energy_pj,
        slew_ns=found.slew_ns,
        skew_ns=found.skew_ns,
        is_within=not found.excess(problem.limits),
    )


def with_tree(
    problem: Problem, candidate: Candidate, netlist: Netlist
) -> tuple[Netlist, dict[str, Point]]:
    """The netlist with a tree, whose buffers are numbered on from the top down, and where these
    should be.
    """
    cells, wished = dict(netlist.cells), dict[str, Point]()
    numbers = itertools.count(sum(name.startswith(PREFIX) for name in cells))
    nets = [problem.net.name]
    for place in reversed(range(len(candidate.shape))):
        level = candidate.shape[place]
        if (buffer := candidate.buffer(place)) is not None:
            above, nets = nets, [f"{PREFIX}{next(numbers)}" for _ in level.sinks]
            parents = candidate.shape[place + 1].parents.tolist()
            for name, parent, centre in zip(nets, parents, level.drivers.tolist(), strict=True):
                pins = {buffer.clock.name: above[parent], buffer.output: name}
                cells[name] = Cell(name, buffer.kind, pins)
                wished[name] = Point(*centre)
        for net, sinks in zip(nets, level.sinks, strict=True):
            for name, pin in (problem.net.sinks[sink] for sink in sinks.tolist()):
                cells[name] = replace(cells[name], pins={**cells[name].pins, pin: net})
    return replace(netlist, cells=cells), wished
