"""What a LEF file says, and what follows from it for all tools.

Names are `ShortNames`, places in um. Cells stand on sites as wide as the tracks of metal2, every
other row turned over, so that rows share their rails.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlsmac.synth.layout.placement import Point
from mlsmac.synth.mapping.netlist import Netlist

PER_UM = 100
"""Units of graywolf's files, and of DEF, in a micron."""

SITE, TRACK, ROW = 0.8, 1.0, 10.0
"""Pitch of vertical tracks and of horizontal ones, and the height of a row."""

UNIT = "unit"
"""What every design is called."""


@dataclass(frozen=True)
class Metal:
    """A layer of wires: their width, um, and capacitance, pF/um2 and pF/um of an edge."""

    width: float
    area: float
    edge: float

    @property
    def pf_um(self) -> float:
        """Of a micron of wire: its area and two edges."""
        return self.area * self.width + 2 * self.edge


@dataclass
class Macro:
    """A cell's width, and where its pins are from its lower left corner, um."""

    width: float = 0.0
    pins: dict[str, Point] = field(default_factory=dict)


@dataclass(frozen=True)
class Lef:
    """What a LEF file says of wires and of cells."""

    metals: Mapping[str, Metal]
    macros: Mapping[str, Macro]


def parse_lef(text: str) -> Lef:
    """A pin is where the middle of its last rectangle is."""
    metals: dict[str, dict[str, float]] = defaultdict(dict)
    macros: dict[str, Macro] = defaultdict(Macro)
    layer = macro = pin = ""
    for line in text.splitlines():
        match line.split():
            case ["LAYER", name]:
                layer = name
            case ["WIDTH" | "EDGECAPACITANCE" as key, value, ";"] if layer:
                metals[layer][key] = float(value)
            case ["CAPACITANCE", "CPERSQDIST" as key, value, ";"]:
                metals[layer][key] = float(value)
            case ["MACRO", name]:
                macro = name
            case ["SIZE", width, "BY", _, ";"] if macro:
                macros[macro].width = float(width)
            case ["PIN", name]:
                pin = name
            case ["RECT", left, bottom, right, top, ";"] if pin:
                middle = (float(left) + float(right)) / 2, (float(bottom) + float(top)) / 2
                macros[macro].pins[pin] = Point(*middle)
            case ["END", name]:
                layer = "" if name == layer else layer
                pin = "" if name == pin else pin
                macro = "" if name == macro else macro
    keys = ("WIDTH", "CPERSQDIST", "EDGECAPACITANCE")
    found = {name: [own[key] for key in keys] for name, own in metals.items() if len(own) == 3}
    return Lef({name: Metal(*own) for name, own in found.items()}, macros)


def widths_of(netlist: Netlist, lef: Lef) -> dict[str, float]:
    return {cell.kind: lef.macros[cell.kind].width for cell in netlist.cells.values()}


def port_nets(netlist: Netlist) -> list[str]:
    ports = (netlist.inputs | netlist.outputs).values()
    return [
        net for net in dict.fromkeys(n for nets in ports for n in nets) if net in netlist.nets()
    ]


def units(um: float) -> int:
    return round(um * PER_UM)
