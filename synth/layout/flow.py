"""A layout from its rules to wires: cells placed, sized for their wires, and the clock's tree."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ...support.errors import UserError
from ..liberty.library import Library
from ..liberty.pdk import Pdk
from ..mapping.netlist import Netlist
from ..timing.clock import ClockArrivals
from ..timing.sta import analyse_wires
from .changes import Activities
from .clock_tree import ClockTree, add_clock_tree
from .legal import legalize
from .placement import Placement, default_placer, place
from .sizing import sized
from .variants import variants
from .wires import lengths

_USABLE = 0.95
"""Share of the period that sizing may use: the rest is the clock's skew, and what wires of other
cells at other places add.
"""


@dataclass(frozen=True)
class Layout:
    """The rules: what places cells at which density, how high rows are, what wires weigh."""

    placer: str
    density: float
    row_um: float
    wire_ff_um: float

    @classmethod
    def of(cls, pdk: Pdk, density: float, placer: str | None = None) -> "Layout":
        """Those of a PDK. Raises: UserError for what it does not say, or cannot be."""
        given = {"row height": pdk.row_um, "wire capacitance": pdk.wire_ff_um}
        for name, value in given.items():
            if value is None:
                rule = "must be given for a layout"
                raise UserError(f"the {name} of {pdk.name} {rule}: Liberty does not say it")
            if not 0 < value < math.inf:
                raise UserError(f"{name} must be positive and finite, not {value}")
        if not 0 < density <= 1:
            raise UserError(f"density must be above 0 and at most 1, not {density}")
        assert pdk.row_um is not None
        assert pdk.wire_ff_um is not None
        return cls(placer or default_placer(), density, pdk.row_um, pdk.wire_ff_um)

    def wires_pf(self, lengths_um: Mapping[str, float], factor: float = 1.0) -> dict[str, float]:
        """Capacitances of wires by net, `factor` times what they weigh."""
        per_um = factor * self.wire_ff_um * 1e-3
        return {net: per_um * length for net, length in lengths_um.items()}


@dataclass(frozen=True)
class LaidOut:
    """A netlist with its clock tree, where its cells are, and how long its wires are by net.

    `resized`: cells that sizing exchanged; `left_out`: buffers that it left out.
    """

    netlist: Netlist
    placement: Placement
    clock_tree: ClockTree
    lengths_um: Mapping[str, float]
    layout: Layout
    resized: int
    left_out: int

    def wires_pf(self, factor: float = 1.0) -> dict[str, float]:
        """Capacitance of each net's wire, `factor` times what the layout's rules say."""
        return self.layout.wires_pf(self.lengths_um, factor)


def lay_out(
    netlist: Netlist,
    library: Library,
    pdk: Pdk,
    layout: Layout,
    activity_of: Activities,
    *,
    clock: str | None,
    clock_ns: float,
) -> LaidOut:
    """Place a netlist, size it for its wires with the activity that a simulation finds, and bring
    it the clock. Raises: LibertyError, UserError, ToolError.
    """
    placement = place(
        netlist, library, row_um=layout.row_um, density=layout.density, placer=layout.placer
    )
    wires = layout.wires_pf(lengths(netlist, placement))
    timed = analyse_wires(
        netlist, pdk.liberty, wires, ClockArrivals(), clock_ns=clock_ns, clock=clock
    )
    own = sized(
        netlist,
        library,
        variants(library, pdk.dont_use),
        wires,
        activity_of,
        clock_net=clock,
        room=_USABLE * clock_ns / timed.critical_path_ns,
    )
    placement = legalize(own, library, placement)
    tree = add_clock_tree(own, library, placement, pdk, clock)
    placement = legalize(tree.netlist, library, placement, tree.wished)
    return LaidOut(
        netlist=tree.netlist,
        placement=placement,
        clock_tree=tree,
        lengths_um=lengths(tree.netlist, placement),
        layout=layout,
        resized=sum(cell.kind != netlist.cells[name].kind for name, cell in own.cells.items()),
        left_out=len(netlist.cells) - len(own.cells),
    )
