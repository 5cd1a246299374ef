"""What a placer is given: rows, widths of cells and the nets between them, in whole units."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...support.errors import ToolError
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Netlist

UNITS_PER_UM = 1000
"""Of all coordinates while cells are placed, and of a DEF file: nanometres."""


@dataclass(frozen=True)
class Grid:
    """`rows` rows of `width` by `height`, on which cells start at multiples of `site`."""

    width: int
    height: int
    rows: int
    site: int

    @property
    def sites(self) -> int:
        """Of a row."""
        return self.width // self.site


@dataclass(frozen=True)
class Problem:
    """Cells to place. Pins of net `i` are `pins[starts[i] : starts[i + 1]]`: a cell's number, or
    that of a port, counted on from the cells; each once a net, and two or more.
    """

    grid: Grid
    widths: NDArray[np.int64]
    """Of cells, multiples of a site."""
    ports: NDArray[np.int64]
    """x and y of each."""
    pins: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        netlist: Netlist,
        grid: Grid,
        widths: Mapping[str, int],
        ports: Mapping[str, tuple[int, int]],
    ) -> "Problem":
        """`widths` by library cell, `ports` by net."""
        cells = len(netlist.cells)
        numbers = {net: cells + number for number, net in enumerate(ports)}
        nets: dict[str, dict[int, None]] = {net: {n: None} for net, n in numbers.items()}
        for number, cell in enumerate(netlist.cells.values()):
            for net in cell.pins.values():
                if net not in CONSTANT_NETS:
                    nets.setdefault(net, {})[number] = None
        connected = [list(pins) for pins in nets.values() if len(pins) > 1]
        return cls(
            grid,
            np.array([widths[cell.kind] for cell in netlist.cells.values()], np.int64),
            np.array(list(ports.values()), np.int64).reshape(-1, 2),
            np.array([pin for pins in connected for pin in pins], np.int64),
            np.cumsum([0, *map(len, connected)], dtype=np.int64),
        )


def widths_of(kinds: Iterable[str], library: Library, height: int) -> tuple[dict[str, int], int]:
    """Width of each library cell, and of a site: what divides them all. A cell without area is a
    site wide.

    Raises: ToolError where none has an area.
    """
    per_unit = UNITS_PER_UM**2 / height
    found = {kind: round(library.cells[kind].area_um2 * per_unit) for kind in sorted(set(kinds))}
    site = math.gcd(*found.values())
    if not site:
        raise ToolError(f"cells of {library.name} must have an area to be placed, but have none")
    return {kind: width or site for kind, width in found.items()}, site


def grid_for(widths: NDArray[np.int64], height: int, site: int, density: float) -> Grid:
    """The rows for these cells that are nearest to a square. In rows of their width the cells fit
    in any order: each row but the last has less than the widest cell left over.
    """
    total, widest = int(widths.sum()), int(widths.max())
    rows = max(1, round(math.sqrt(total / density / height)))
    needed = max(total / density, total + (rows - 1) * widest) / rows
    return Grid(math.ceil(needed / site) * site, height, rows, site)
