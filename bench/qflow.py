"""Debian's graywolf, qrouter and magic on a mapped netlist: their files, and their runs.

Files are pure functions of values; what the tools call nets and cells are `ShortNames`. All is in
um; cells stand on sites as wide as the tracks of metal2, every other row turned over, so that rows
share their rails.
"""

import math
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from mlsmac.support.errors import ToolError
from mlsmac.support.files import fill, scratch
from mlsmac.synth.layout.placement import Placement, Point
from mlsmac.synth.mapping.netlist import CONSTANT_NETS, Netlist
from mlsmac.synth.simulation.testbench import ShortNames

TECH = Path("/usr/share/qflow/tech/osu018")
LEF = TECH / "osu018_stdcells.lef"
PER_UM = 100
"""Units of graywolf's files, and of DEF, in a micron."""

DENSITY = 0.75
"""Area of cells over that of rows: what qrouter routes without a net that fails."""

SITE, TRACK, ROW = 0.8, 1.0, 10.0
"""Pitch of vertical tracks and of horizontal ones, and the height of a row."""

_UNIT = "unit"
Lengths = Mapping[str, float]
"""Of a net by layer of metal, um."""


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


def cel_text(netlist: Netlist, names: ShortNames, lef: Lef) -> str:
    """Graywolf's netlist. It packs cells without gaps: each gets free sites on its right, so that
    rows come to DENSITY.
    """
    return "\n".join([*_cel_cells(netlist, names, lef), *_cel_pads(netlist, names)]) + "\n"


def _cel_cells(netlist: Netlist, names: ShortNames, lef: Lef) -> Iterator[str]:
    owed = 0.0
    site, high = _units(SITE), _units(ROW)
    for number, (name, cell) in enumerate(netlist.cells.items()):
        macro = lef.macros[cell.kind]
        sites = round(macro.width / SITE)
        owed += sites * (1 / DENSITY - 1)
        free = int(owed)
        owed -= free
        # From the middle, where graywolf has a cell's origin.
        wide = (sites + free) * site
        left, bottom = -(wide // 2), -(high // 2)
        yield f"cell {number} {names.cells[name]}"
        yield f"left {left} right {left + wide} bottom {bottom} top {bottom + high}"
        for feed in range(sites + free):
            x = left + site // 2 + feed * site
            yield f"pin name twfeed{feed + 1} signal TW_PASS_THRU layer 1 {x} {bottom}"
            yield f"   equiv name twfeed{feed + 1} layer 1 {x} {bottom + high}"
        for pin, net in cell.pins.items():
            if net not in CONSTANT_NETS:
                x, y = macro.pins[pin]
                at = f"{left + _units(x)} {bottom + _units(y)}"
                yield f"pin name {pin} signal {names.nets[net]} layer 1 {at}"


def _cel_pads(netlist: Netlist, names: ShortNames) -> Iterator[str]:
    x, y = _units(SITE) // 2, _units(TRACK) // 2
    for number, net in enumerate(_port_nets(netlist), 1):
        short = names.nets[net]
        yield f"pad {number} name twpin_{short}"
        yield f"corners 4 -{x} -{y} -{x} {y} {x} {y} {x} -{y}"
        yield f"pin name {short} signal {short} layer 1 0 0"


def _port_nets(netlist: Netlist) -> list[str]:
    ports = (netlist.inputs | netlist.outputs).values()
    return [
        net for net in dict.fromkeys(n for nets in ports for n in nets) if net in netlist.nets()
    ]


def parse_pl1(text: str, netlist: Netlist, names: ShortNames, lef: Lef) -> Placement:
    """Graywolf's placement, a line a cell or pad: name, left, bottom, right, top, turn, row. Cells
    are as wide as in the LEF file, and turned by their row alone.
    """
    boxes = {
        words[0]: [int(word) / PER_UM for word in words[1:5]]
        for words in map(str.split, text.splitlines())
    }
    cells = {name: boxes[short] for name, short in names.cells.items()}
    left, bottom, _, _ = (min(side) for side in zip(*cells.values(), strict=True))
    _, _, right, top = (max(side) for side in zip(*cells.values(), strict=True))
    pads = {net: boxes[f"twpin_{names.nets[net]}"] for net in _port_nets(netlist)}
    width, height = right - left, top - bottom
    return Placement(
        width_um=width,
        row_um=ROW,
        rows=round(height / ROW),
        widths_um=_widths(netlist, lef),
        cells={name: Point(box[0] - left, box[1] - bottom) for name, box in cells.items()},
        ports={
            net: Point(
                min(max((box[0] + box[2]) / 2 - left, 0.0), width),
                min(max((box[1] + box[3]) / 2 - bottom, 0.0), height),
            )
            for net, box in pads.items()
        },
    )


def _widths(netlist: Netlist, lef: Lef) -> dict[str, float]:
    return {cell.kind: lef.macros[cell.kind].width for cell in netlist.cells.values()}


def on_sites(placement: Placement, netlist: Netlist, lef: Lef) -> Placement:
    """A placement as it can be routed: cells as wide as in the LEF file on the nearest free sites
    of their rows, ports on every other track. Rows grow where cells are wider than they were.
    """
    widths = _widths(netlist, lef)
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


def def_text(netlist: Netlist, names: ShortNames, lef: Lef, placement: Placement) -> str:
    """An unrouted design in DEF of a placement on sites, whose ports have a pin half a track
    outside.
    """
    lines = ["VERSION 5.6 ;", "NAMESCASESENSITIVE ON ;", 'DIVIDERCHAR "/" ;', 'BUSBITCHARS "<>" ;']
    lines += [f"DESIGN {_UNIT} ;", f"UNITS DISTANCE MICRONS {PER_UM} ;"]
    # The lower left corner of the core is between tracks, as the pins of a cell are on tracks.
    right, top = placement.width_um + SITE, placement.height_um + TRACK
    lines.append(f"DIEAREA ( -80 -100 ) ( {_units(right + SITE)} {_units(top + TRACK)} ) ;")
    for number in range(1, 7):
        axis, pitch, length = ("Y", TRACK, top) if number % 2 else ("X", SITE, right)
        pitch *= 2 if number == 6 else 1
        tracks = f"{-_units(pitch)} DO {int(length / pitch) + 3} STEP {_units(pitch)}"
        lines.append(f"TRACKS {axis} {tracks} LAYER metal{number} ;")
    lines.append(f"COMPONENTS {len(netlist.cells)} ;")
    for name, cell in netlist.cells.items():
        x, y = placement.cells[name]
        at = f"( {_units(x + SITE / 2)} {_units(y + TRACK / 2)} )"
        turn = "FS" if round(y / ROW) % 2 else "N"
        lines.append(f"- {names.cells[name]} {cell.kind} + PLACED {at} {turn} ;")
    lines += ["END COMPONENTS", f"PINS {len(placement.ports)} ;"]
    for net, (x, y) in placement.ports.items():
        upright = x in (0.0, placement.width_um)
        x, y = _track(x, SITE, placement.width_um), _track(y, TRACK, placement.height_um)
        lines.append(f"- {names.nets[net]} + NET {names.nets[net]}")
        lines.append(f"  + LAYER {'metal3' if upright else 'metal2'} ( 0 0 ) ( 1 1 )")
        lines.append(f"  + PLACED ( {_units(x)} {_units(y)} ) N ;")
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


def _units(um: float) -> int:
    return round(um * PER_UM)


_POINT = re.compile(r"\(\s*(\S+)\s+(\S+)(?:\s+\S+)?\s*\)")


def parse_routes(text: str) -> dict[str, Lengths]:
    """Wire by net and layer of a routed design in DEF; vias have no length."""
    nets = re.search(r"^NETS .*?^END NETS", text, re.DOTALL | re.MULTILINE)
    if nets is None:
        raise ToolError("a routed design must have NETS, but has none")
    found: dict[str, Lengths] = {}
    for entry in re.split(r"^\s*- ", nets[0], flags=re.MULTILINE)[1:]:
        _, routed, wires = entry.partition("+ ROUTED")
        lengths: dict[str, float] = defaultdict(float)
        for wire in re.split(r"\bNEW\b", wires) if routed else ():
            points: list[tuple[int, int]] = []
            for x, y in _POINT.findall(wire):
                last = points[-1] if points else (0, 0)
                points.append((last[0] if x == "*" else int(x), last[1] if y == "*" else int(y)))
            layer = wire.split()[0]
            for (x, y), (to_x, to_y) in pairwise(points):
                lengths[layer] += (abs(to_x - x) + abs(to_y - y)) / PER_UM
        found[entry.split()[0]] = dict(lengths)
    return found


def parse_ext(text: str, netlist: Netlist, names: ShortNames) -> dict[str, float]:
    """Capacitance in pF of each net's wires by what magic extracts of the design's own level: to
    what is below, and to all else, which is taken to stand still. What lies in cells is not in it.

    Raises: ToolError (nets that are joined, or pins of a net that are not).
    """
    nodes = _Joined()
    own: dict[str, float] = defaultdict(float)
    between: list[tuple[str, str, float]] = []
    for line in text.splitlines():
        match line.replace('"', "").split():
            case ["scale", _, scale, _] if scale != "1":
                raise ToolError(f"magic must count in aF, not in {scale} of them")
            case ["node", node, _, value, *_] | ["subcap", node, value]:
                own[node] += float(value)
            case ["cap", one, two, value]:
                between.append((one, two, float(value)))
            case ["equiv", one, two]:
                nodes.join(one, two)
            case ["merge", one, two, *values]:
                nodes.join(one, two)
                # What both the cell's metal and the wire on it were taken for.
                own[one] += float(values[0]) if values else 0.0
    nets = _nets_of_nodes(netlist, names, nodes)
    found = dict.fromkeys(nets.values(), 0.0)
    parts = [(nodes.first(node), value) for node, value in own.items()]
    for one, two, value in between:
        if nodes.first(one) != nodes.first(two):
            parts += [(nodes.first(one), value), (nodes.first(two), value)]
    for node, value in parts:
        if node in nets:
            found[nets[node]] += value
    return {net: max(value, 0.0) * 1e-6 for net, value in found.items()}


class _Joined:
    """Nodes that are the same one."""

    def __init__(self) -> None:
        self._next: dict[str, str] = {}

    def first(self, node: str) -> str:
        """What stands for all that a node is joined with."""
        while (other := self._next.get(node, node)) != node:
            node = other
        return node

    def join(self, one: str, two: str) -> None:
        """The first stands for the second from now on."""
        first, second = self.first(one), self.first(two)
        if first != second:
            self._next[second] = first


def _nets_of_nodes(netlist: Netlist, names: ShortNames, nodes: _Joined) -> dict[str, str]:
    nets: dict[str, str] = {}
    known: dict[str, str] = {}
    for name, cell in netlist.cells.items():
        for pin, net in cell.pins.items():
            if net in CONSTANT_NETS:
                continue
            node = nodes.first(f"{names.cells[name]}/{pin}")
            if nets.setdefault(node, net) != net:
                raise ToolError(f"nets {nets[node]} and {net} must be apart, but are joined")
            if known.setdefault(net, node) != node:
                raise ToolError(f"net {net} must join {name}, but its wires do not")
    return nets


@dataclass(frozen=True)
class Routed:
    """A design with wires: the placement that they are of, wire by net and layer, capacitance by
    net in pF (by the LEF file's rule, by magic), and nets that qrouter left open.
    """

    placement: Placement
    lengths: Mapping[str, Lengths]
    lef_pf: Mapping[str, float]
    magic_pf: Mapping[str, float]
    failed: int


def placed_by_graywolf(netlist: Netlist, lef: Lef) -> Placement:
    """Raises: ToolError."""
    names = ShortNames(netlist)
    with scratch() as folder:
        parameters = (TECH / "osu018.par").read_text()
        files = {f"{_UNIT}.par": parameters, f"{_UNIT}.cel": cel_text(netlist, names, lef)}
        fill(folder, files)
        _run(["graywolf", "-n", _UNIT], folder, f"{_UNIT}.pl1")
        return parse_pl1((folder / f"{_UNIT}.pl1").read_text(), netlist, names, lef)


def routed(netlist: Netlist, lef: Lef, placement: Placement) -> Routed:
    """A placement's wires by qrouter, on six layers. Raises: ToolError."""
    names = ShortNames(netlist)
    nets = {short: net for net, short in names.nets.items()}
    legal = on_sites(placement, netlist, lef)
    with scratch() as folder:
        files = {
            f"{_UNIT}.def": def_text(netlist, names, lef, legal),
            "route.tcl": _ROUTE.format(lef=LEF, unit=_UNIT),
            "extract.tcl": _EXTRACT.format(lef=LEF, unit=_UNIT),
        }
        fill(folder, files)
        done = f"{_UNIT}_route.def"
        log = _run(["qrouter", "-nog", "-s", "route.tcl"], folder, done)
        lengths = parse_routes((folder / done).read_text())
        magic = ["magic", "-dnull", "-noconsole", "-rcfile", str(TECH / "osu018.magicrc")]
        _run([*magic, "extract.tcl"], folder, f"{_UNIT}.ext")
        magic_pf = parse_ext((folder / f"{_UNIT}.ext").read_text(), netlist, names)
    return Routed(
        placement=legal,
        lengths={nets[short]: own for short, own in lengths.items()},
        lef_pf={
            nets[short]: sum(lef.metals[layer].pf_um * um for layer, um in own.items())
            for short, own in lengths.items()
        },
        magic_pf=magic_pf,
        failed=_failed(log),
    )


_ROUTE = """verbose 1
read_lef {lef}
catch {{layers 6}}
via stack 1
vdd vdd
gnd gnd
read_def {unit}.def
qrouter::standard_route {unit}_route.def false
quit
"""
_EXTRACT = """lef read {lef}
def read {unit}_route.def
load {unit}
extract all
quit -noprompt
"""


def _failed(log: str) -> int:
    """What qrouter says at last of nets that it could not route."""
    said = re.findall(r"No failed routes|Failed net routes: (\d+)", log)
    if not said:
        raise ToolError("qrouter must tell how many nets failed, but does not")
    return int(said[-1] or 0)


def check_tools() -> None:
    """Raise ToolError unless all tools and their files are there."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} not found: install the Debian package {tool}")
    if not LEF.exists():
        raise ToolError(f"{LEF} not found: install the Debian package qflow-tech-osu018")


TOOLS = ("graywolf", "qrouter", "magic")


def _run(command: Sequence[str], folder: Path, makes: str) -> str:
    """What a tool says. Raises: ToolError where it leaves no file of that name: most end with 0
    whatever happens.
    """
    done = subprocess.run(
        ["nice", *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode or not (folder / makes).exists():
        last = next(
            (line for line in reversed(done.stdout.splitlines()) if line.strip()), "nothing"
        )
        raise ToolError(f"{command[0]} must make {makes}, but ended saying: {last.strip()}")
    return done.stdout
