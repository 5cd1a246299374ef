"""Designs in DEF: placed ones for qrouter, routed ones that it wrote."""

import re
from collections.abc import Mapping
from itertools import pairwise

from mlsmac.support.errors import ToolError
from mlsmac.synth.layout.placement import Placement
from mlsmac.synth.mapping.netlist import CONSTANT_NETS, Netlist
from mlsmac.synth.simulation.testbench import ShortNames

from .lef import PER_UM, ROW, SITE, TRACK, UNIT, units

Lengths = Mapping[str, float]
"""Of a net by layer of metal, um."""


def def_text(netlist: Netlist, names: ShortNames, placement: Placement) -> str:
    """An unrouted design in DEF of a placement on sites, whose ports have a pin half a track
    outside.
    """
    lines = ["VERSION 5.6 ;", "NAMESCASESENSITIVE ON ;", 'DIVIDERCHAR "/" ;', 'BUSBITCHARS "<>" ;']
    lines += [f"DESIGN {UNIT} ;", f"UNITS DISTANCE MICRONS {PER_UM} ;"]
    # The lower left corner of the core is between tracks, as the pins of a cell are on tracks.
    right, top = placement.width_um + SITE, placement.height_um + TRACK
    lines.append(f"DIEAREA ( -80 -100 ) ( {units(right + SITE)} {units(top + TRACK)} ) ;")
    for number in range(1, 7):
        axis, pitch, length = ("Y", TRACK, top) if number % 2 else ("X", SITE, right)
        pitch *= 2 if number == 6 else 1
        tracks = f"{-units(pitch)} DO {int(length / pitch) + 3} STEP {units(pitch)}"
        lines.append(f"TRACKS {axis} {tracks} LAYER metal{number} ;")
    lines.append(f"COMPONENTS {len(netlist.cells)} ;")
    for name, cell in netlist.cells.items():
        x, y = placement.cells[name]
        at = f"( {units(x + SITE / 2)} {units(y + TRACK / 2)} )"
        turn = "FS" if round(y / ROW) % 2 else "N"
        lines.append(f"- {names.cells[name]} {cell.kind} + PLACED {at} {turn} ;")
    lines += ["END COMPONENTS", f"PINS {len(placement.ports)} ;"]
    for net, (x, y) in placement.ports.items():
        upright = x in (0.0, placement.width_um)
        x, y = _track(x, SITE, placement.width_um), _track(y, TRACK, placement.height_um)
        lines.append(f"- {names.nets[net]} + NET {names.nets[net]}")
        lines.append(f"  + LAYER {'metal3' if upright else 'metal2'} ( 0 0 ) ( 1 1 )")
        lines.append(f"  + PLACED ( {units(x)} {units(y)} ) N ;")
    nets = _def_nets(netlist, names, placement)
    lines += ["END PINS", f"NETS {len(nets)} ;", *nets, "END NETS", "END DESIGN"]
    return "\n".join(lines) + "\n"


def _track(at: float, pitch: float, end: float) -> float:
    """The track of a place in the core, or the first one outside at an edge."""
    return end + pitch if at == end else round(at / pitch) * pitch


def _def_nets(netlist: Netlist, names: ShortNames, placement: Placement) -> list[str]:
    ends = {net: [f"( PIN {names.nets[net]} )"] for net in placement.ports}
    for name, cell in netlist.cells.items():
        for pin, net in cell.pins.items():
            if net not in CONSTANT_NETS:
                ends.setdefault(net, []).append(f"( {names.cells[name]} {pin} )")
    return [
        f"- {names.nets[net]}\n  " + "\n  ".join(own) + " ;"
        for net, own in ends.items()
        if len(own) > 1
    ]


_NETS = re.compile(r"^(?:SPECIAL)?NETS .*?^END (?:SPECIAL)?NETS", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(r"^\s*- ", re.MULTILINE)
_POINT = re.compile(r"\(\s*(\S+)\s+(\S+)(?:\s+\S+)?\s*\)")


def parse_routes(text: str) -> Mapping[str, Lengths]:
    """Wire by net and layer of a routed design in DEF, with the stubs from tracks to pins that
    qrouter has among special nets; vias have no length.
    """
    sections = _NETS.findall(text)
    if not sections:
        raise ToolError("a routed design must have NETS, but has none")
    found: dict[str, dict[str, float]] = {}
    for entry in (own for nets in sections for own in _ENTRY.split(nets)[1:]):
        _, routed, wires = entry.partition("+ ROUTED")
        lengths = found.setdefault(entry.split()[0], {})
        for wire in re.split(r"\bNEW\b", wires) if routed else ():
            points: list[tuple[int, int]] = []
            for x, y in _POINT.findall(wire):
                last = points[-1] if points else (0, 0)
                points.append((last[0] if x == "*" else int(x), last[1] if y == "*" else int(y)))
            layer = wire.split()[0]
            for (x, y), (to_x, to_y) in pairwise(points):
                um = (abs(to_x - x) + abs(to_y - y)) / PER_UM
                lengths[layer] = lengths.get(layer, 0.0) + um
    return found
