"""A netlist's cells in rows, in um from the lower left corner of the core."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...support.errors import ToolError, UserError
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Netlist
from .problem import UNITS_PER_UM, Grid, Problem, grid_for, widths_of

DENSITY = 0.7
"""Share of the core that cells cover."""


class Point(NamedTuple):
    """A place, um."""

    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where cells and ports are. All cells are `row_um` high and their Liberty area over that wide;
    `rows` of them make the core, `width_um` wide.

    `cells`: lower left corner by instance; `ports`: the pin on the core's edge by net, of input and
    output ports.
    """

    width_um: float
    row_um: float
    rows: int
    site_um: float = 1 / UNITS_PER_UM
    """Cells start at multiples of it, and are as wide."""
    widths_um: Mapping[str, float]
    """By library cell."""
    cells: Mapping[str, Point]
    ports: Mapping[str, Point]

    @property
    def height_um(self) -> float:
        """Of the core."""
        return self.rows * self.row_um

    @property
    def area_um2(self) -> float:
        """Of the core."""
        return self.width_um * self.height_um

    def centre(self, instance: str, kind: str) -> Point:
        """Of a cell, where all its pins are taken to be."""
        x, y = self.cells[instance]
        return Point(x + self.widths_um[kind] / 2, y + self.row_um / 2)


Placer = Callable[[Problem], NDArray[np.int64]]
"""Lower left corners of all cells: no two overlap, all on sites of rows."""


def _coloquinte(problem: Problem) -> NDArray[np.int64]:
    from .coloquinte_placer import placed

    return placed(problem)


def _annealed(problem: Problem) -> NDArray[np.int64]:
    from .annealed import placed

    return placed(problem)


PLACERS: Mapping[str, Placer] = {"coloquinte": _coloquinte, "annealed": _annealed}
"""By name, the better one first."""


def default_placer() -> str:
    """The name of what places where nothing else is asked for: coloquinte where it is installed."""
    return "coloquinte" if importlib.util.find_spec("coloquinte") else "annealed"


def place(
    netlist: Netlist,
    library: Library,
    *,
    row_um: float,
    density: float = DENSITY,
    placer: str | None = None,
) -> Placement:
    """Place a netlist in a core of nearly square shape of which cells cover the share `density`;
    the pins of ports stand around it, evenly, in the order of ports and bits.

    `placer`: one of `PLACERS`, None: `default_placer`. The same for the same arguments.
    Raises: UserError (no cells, a density outside 0..1, an unknown placer); ToolError (a placer
    that is not installed or fails, cells without area).
    """
    if not netlist.cells:
        raise UserError(f"{netlist.top} must have cells to be placed, but has none")
    if not 0 < density <= 1:
        raise UserError(f"density must be above 0 and at most 1, not {density!r}")
    name = default_placer() if placer is None else placer
    if name not in PLACERS:
        raise UserError(f"placer must be one of {', '.join(PLACERS)}, not {name!r}")
    height = round(row_um * UNITS_PER_UM)
    widths, site = widths_of((cell.kind for cell in netlist.cells.values()), library, height)
    own = np.array([widths[cell.kind] for cell in netlist.cells.values()], np.int64)
    grid = grid_for(own, height, site, density)
    nets = (*netlist.inputs.values(), *netlist.outputs.values())
    ports = _around(grid, [net for port in nets for net in port if net not in CONSTANT_NETS])
    problem = Problem.of(netlist, grid, widths, ports)
    corners = PLACERS[name](problem)
    corners[:, 0] -= corners[:, 0] % site  # widths are multiples of it, so none comes to overlap
    placement = made(netlist, grid, widths, corners, ports)
    check(placement, netlist)
    return placement


def made(
    netlist: Netlist,
    grid: Grid,
    widths: Mapping[str, int],
    corners: NDArray[np.int64],
    ports: Mapping[str, tuple[int, int]],
) -> Placement:
    """A placement from whole units."""
    corners_um = (corners / UNITS_PER_UM).tolist()
    return Placement(
        width_um=grid.width / UNITS_PER_UM,
        row_um=grid.height / UNITS_PER_UM,
        rows=grid.rows,
        site_um=grid.site / UNITS_PER_UM,
        widths_um={kind: width / UNITS_PER_UM for kind, width in widths.items()},
        cells={name: Point(*xy) for name, xy in zip(netlist.cells, corners_um, strict=True)},
        ports={net: Point(x / UNITS_PER_UM, y / UNITS_PER_UM) for net, (x, y) in ports.items()},
    )


def _around(grid: Grid, nets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Pins at equal distances around the core, clockwise from the lower left corner."""
    width, height = grid.width, grid.rows * grid.height
    names = list(dict.fromkeys(nets))
    ports = {}
    for number, net in enumerate(names):
        along = round((number + 0.5) * 2 * (width + height) / len(names))
        if along < height:
            ports[net] = (0, along)
        elif along < height + width:
            ports[net] = (along - height, height)
        elif along < 2 * height + width:
            ports[net] = (width, 2 * height + width - along)
        else:
            ports[net] = (2 * (height + width) - along, 0)
    return ports


def check(placement: Placement, netlist: Netlist) -> None:
    """Raise ToolError unless each cell lies on sites of one row and none overlaps another."""
    unit = UNITS_PER_UM
    site, row = round(placement.site_um * unit), round(placement.row_um * unit)
    if placement.cells.keys() != netlist.cells.keys():
        raise ToolError(f"all cells of {netlist.top} must be placed, and no others")
    rows: dict[int, list[tuple[int, int, str]]] = {}
    for name, point in placement.cells.items():
        x, y = round(point.x * unit), round(point.y * unit)
        width = round(placement.widths_um[netlist.cells[name].kind] * unit)
        is_inside = x >= 0 and x + width <= round(placement.width_um * unit)
        if not is_inside or x % site or y % row or not 0 <= y // row < placement.rows:
            raise ToolError(f"cell {name} must lie in a row of the core, not at {point}")
        rows.setdefault(y, []).append((x, x + width, name))
    for cells in rows.values():
        cells.sort()
        for (_, end, left), (start, _, right) in pairwise(cells):
            if end > start:
                raise ToolError(f"cells must not overlap, but {left} and {right} do")
