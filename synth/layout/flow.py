"""A layout from its rules to wires: cells placed, sized for their wires, and the clock's tree."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ...support.errors import UserError
from ..liberty.library import Library
from ..liberty.pdk import Pdk
from ..mapping.netlist import Netlist
from .clock_tree import ClockTree, add_clock_tree
from .legal import legalize
from .placement import Placement, default_placer, place
from .wires import lengths


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
                rule = "must be given for a layout (--row-height, --wire-capacitance)"
                raise UserError(f"the {name} of {pdk.name} {rule}: Liberty does not say it")
            if not 0 < value < math.inf:
                raise UserError(f"{name} must be positive and finite, not {value}")
        if not 0 < density <= 1:
            raise UserError(f"density must be above 0 and at most 1, not {density}")
        assert pdk.row_um is not None
        assert pdk.wire_ff_um is not None
        return cls(placer or default_placer(), density, pdk.row_um, pdk.wire_ff_um)


@dataclass(frozen=True)
class LaidOut:
    """A netlist with its clock tree, where its cells are, and how long its wires are by net."""

    netlist: Netlist
    placement: Placement
    clock_tree: ClockTree
    lengths_um: Mapping[str, float]
    wire_ff_um: float

    def wires_pf(self, factor: float = 1.0) -> dict[str, float]:
        """Capacitance of each net's wire, `factor` times what the layout's rules say."""
        per_um = factor * self.wire_ff_um * 1e-3
        return {net: per_um * length for net, length in self.lengths_um.items()}


def lay_out(
    netlist: Netlist, library: Library, pdk: Pdk, layout: Layout, clock: str | None
) -> LaidOut:
    """Place a netlist, and bring it the clock. Raises: LibertyError, UserError, ToolError."""
    placement = place(
        netlist, library, row_um=layout.row_um, density=layout.density, placer=layout.placer
    )
    tree = add_clock_tree(netlist, library, placement, pdk, clock)
    placement = legalize(tree.netlist, library, placement, tree.wished)
    found = lengths(tree.netlist, placement)
    return LaidOut(tree.netlist, placement, tree, found, layout.wire_ff_um)
