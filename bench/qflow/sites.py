"""Placements as qrouter can route them."""

import math
from collections import defaultdict
from collections.abc import Sequence

from mlsmac.support.errors import ToolError
from mlsmac.synth.layout.placement import Placement, Point
from mlsmac.synth.mapping.netlist import Netlist

from .lef import ROW, SITE, TRACK, Lef, widths_of


def on_sites(placement: Placement, netlist: Netlist, lef: Lef) -> Placement:
    """A placement as it can be routed: cells as wide as in the LEF file on the nearest free sites
    of their rows, ports on every other track. Rows grow where cells are wider than they were.
    """
    widths = widths_of(netlist, lef)
    rows: dict[int, list[str]] = defaultdict(list)
    for name in sorted(placement.cells, key=lambda name: (placement.cells[name].x, name)):
        rows[round(placement.cells[name].y / ROW)].append(name)
    sizes = {
        row: [round(widths[netlist.cells[name].kind] / SITE) for name in own]
        for row, own in rows.items()
    }
    sites = max(math.ceil(placement.width_um / SITE - 1e-6), *map(sum, sizes.values()))
    cells = {}
    for row, own in rows.items():
        wanted = [round(placement.cells[name].x / SITE) for name in own]
        places = _packed(wanted, sizes[row], sites)
        cells |= {n: Point(at * SITE, row * ROW) for n, at in zip(own, places, strict=True)}
    width, height = sites * SITE, placement.rows * ROW
    ports = _on_tracks(placement, width, height)
    return Placement(
        width_um=width,
        row_um=ROW,
        rows=placement.rows,
        widths_um=widths,
        cells=cells,
        ports=ports,
    )


def _on_tracks(placement: Placement, width: float, height: float) -> dict[str, Point]:
    """Ports on the edge that they are at, two tracks between neighbours."""
    edges: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for net, (x, y) in placement.ports.items():
        away = {
            "left": x,
            "right": placement.width_um - x,
            "bottom": y,
            "top": placement.height_um - y,
        }
        edge = min(away, key=lambda edge: away[edge])
        edges[edge].append((y if edge in ("left", "right") else x, net))
    ports = {}
    for edge, own in edges.items():
        upright = edge in ("left", "right")
        step, room = (2 * TRACK, height) if upright else (2 * SITE, width)
        own.sort()
        wanted = [round(at / step - 0.5) for at, _ in own]
        slots = _packed(wanted, [1] * len(own), int(room / step))
        for slot, (_, net) in zip(slots, own, strict=True):
            along = (slot + 0.5) * step
            across = 0.0 if edge in ("left", "bottom") else width if upright else height
            ports[net] = Point(across, along) if upright else Point(along, across)
    return {net: ports[net] for net in placement.ports}


def _packed(wanted: Sequence[int], sizes: Sequence[int], room: int) -> list[int]:
    """Places from 0 to `room` in the order given, near the wanted ones, without overlaps."""
    places, free = [], 0
    for want, size in zip(wanted, sizes, strict=True):
        places.append(max(want, free))
        free = places[-1] + size
    end = room
    for number in reversed(range(len(places))):
        places[number] = end = min(places[number], end - sizes[number])
    if end < 0:
        raise ToolError(f"an edge of the core must have room for {sum(sizes)} places, not {room}")
    return places
