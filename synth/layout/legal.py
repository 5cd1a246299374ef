"""Cells put into rows near where they are wished: for a placed netlist that was changed.

Source: P. Spindler, U. Schlichtmann, F. Johannes, "Abacus: Fast Legalization of Standard Cell
Circuits with Minimal Movement", ISPD 2008.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..liberty.library import Library
from ..mapping.netlist import Netlist
from .placement import Placement, Point, check, made
from .problem import UNITS_PER_UM, Grid, widths_of


def legalize(
    netlist: Netlist, library: Library, before: Placement, wished: Mapping[str, Point] = {}
) -> Placement:
    """The placement of a netlist whose cells were exchanged or added since `before`: each cell as
    near as there is room to its corner there, or its centre in `wished`, um. A core that has become
    too small gets rows.

    Raises: ValueError (a cell without a place).
    """
    if lost := sorted(netlist.cells.keys() - before.cells.keys() - wished.keys()):
        raise ValueError(f"cell {lost[0]} must have a place before or be wished somewhere")
    height = round(before.row_um * UNITS_PER_UM)
    kinds = (cell.kind for cell in netlist.cells.values())
    widths, site = widths_of(kinds, library, height)
    own = np.array([widths[cell.kind] for cell in netlist.cells.values()], np.int64)
    near = [wished.get(name) or before.cells[name] for name in netlist.cells]
    corners = np.array(near) * UNITS_PER_UM
    is_centre = np.array([name in wished for name in netlist.cells])
    corners[is_centre] -= np.stack([own, np.full(len(own), height)], axis=1)[is_centre] / 2
    site = math.gcd(site, round(before.site_um * UNITS_PER_UM))
    width = max(round(before.width_um * UNITS_PER_UM), int(own.max()))
    grid = Grid(width, height, before.rows, site)
    while (found := in_rows(grid, own, corners)) is None:
        grid = replace(grid, rows=grid.rows + 1)
    ports = {net: _moved(point, before, grid) for net, point in before.ports.items()}
    placement = made(netlist, grid, widths, found, ports)
    check(placement, netlist)
    return placement


def _moved(port: Point, before: Placement, grid: Grid) -> tuple[int, int]:
    """A pin on the edge of the core that grew."""
    x, y = (round(value * UNITS_PER_UM) for value in port)
    is_right, is_top = port.x == before.width_um, port.y == before.height_um
    return grid.width if is_right else x, grid.rows * grid.height if is_top else y


class _Cluster(NamedTuple):
    """Cells of a row without a gap: `weight` is the sum of theirs, `wish` of weight times where the
    cluster would begin for the cell to be where it is wished.
    """

    start: float
    width: int
    weight: float
    wish: float


class _Row:
    """Cells from left to right, in clusters."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.cells: list[int] = []
        self.clusters: list[_Cluster] = []
        self.free = width

    def joined(self, x: float, width: int) -> tuple[int, _Cluster]:
        """The cluster that a further cell makes, which ends it, and how many stay before it."""
        kept, cluster = len(self.clusters), _Cluster(x, width, width, width * x)
        while True:
            start = min(max(cluster.wish / cluster.weight, 0), self._width - cluster.width)
            cluster = cluster._replace(start=start)
            if not kept:
                return kept, cluster
            left = self.clusters[kept - 1]
            if left.start + left.width <= start:
                return kept, cluster
            kept -= 1
            cluster = _Cluster(
                left.start,
                left.width + cluster.width,
                left.weight + cluster.weight,
                left.wish + cluster.wish - cluster.weight * left.width,
            )

    def add(self, cell: int, width: int, joined: tuple[int, _Cluster]) -> None:
        """The cell, with what `joined` said of it."""
        kept, cluster = joined
        self.clusters[kept:] = [cluster]
        self.cells.append(cell)
        self.free -= width


def in_rows(
    grid: Grid, widths: NDArray[np.int64], corners: NDArray[np.float64]
) -> NDArray[np.int64] | None:
    """Lower left corners near the wished ones, None where the rows have no room for all cells."""
    rows = [_Row(grid.width) for _ in range(grid.rows)]
    for cell in np.lexsort((corners[:, 1], corners[:, 0])).tolist():
        (x, y), width = corners[cell].tolist(), int(widths[cell])
        best: tuple[float, _Row, tuple[int, _Cluster]] | None = None
        for distance, row in _nearest(rows, y, grid.height):
            if best and best[0] <= distance:
                break
            if row.free >= width:
                kept, cluster = row.joined(x, width)
                cost = distance + abs(cluster.start + cluster.width - width - x)
                if best is None or cost < best[0]:
                    best = cost, row, (kept, cluster)
        if best is None:
            return None
        best[1].add(cell, width, best[2])
    return _corners(grid, widths, rows)


def _nearest(rows: Sequence[_Row], y: float, height: int) -> list[tuple[float, _Row]]:
    """Rows and how far they are, the nearest first."""
    away = [abs(number * height - y) for number in range(len(rows))]
    return [
        (away[number], rows[number]) for number in sorted(range(len(rows)), key=away.__getitem__)
    ]


def _corners(grid: Grid, widths: NDArray[np.int64], rows: Sequence[_Row]) -> NDArray[np.int64]:
    """On sites: what is whole sites wide has room to the left."""
    corners = np.empty((len(widths), 2), np.int64)
    for number, row in enumerate(rows):
        cells = iter(row.cells)
        for cluster in row.clusters:
            x = math.floor((cluster.start + 0.5) / grid.site) * grid.site  # half a unit: rounding
            end = x + cluster.width
            while x < end:
                cell = next(cells)
                corners[cell] = x, number * grid.height
                x += int(widths[cell])
    return corners
