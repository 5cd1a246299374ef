"""A netlist's cells in rows, in um from the lower left corner of the core."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..liberty.library import Library
from ..mapping.netlist import Netlist


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


def place(netlist: Netlist, library: Library, *, row_um: float) -> Placement:
    """Place a netlist."""
    raise NotImplementedError
