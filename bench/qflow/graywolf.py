"""Placement by graywolf."""

from collections.abc import Iterator

from mlsmac.support.files import fill, scratch
from mlsmac.synth.layout.placement import Placement, Point
from mlsmac.synth.mapping.netlist import CONSTANT_NETS, Netlist
from mlsmac.synth.simulation.testbench import ShortNames

from .lef import PER_UM, ROW, SITE, TRACK, UNIT, Lef, port_nets, units, widths_of
from .tools import TECH, run

DENSITY = 0.75
"""Area of cells over that of rows: what qrouter routes without a net that fails."""


def placed_by_graywolf(netlist: Netlist, lef: Lef) -> Placement:
    """Raises: ToolError."""
    names = ShortNames(netlist)
    with scratch() as folder:
        parameters = (TECH / "osu018.par").read_text()
        files = {f"{UNIT}.par": parameters, f"{UNIT}.cel": cel_text(netlist, names, lef)}
        fill(folder, files)
        run(["graywolf", "-n", UNIT], folder, f"{UNIT}.pl1")
        return parse_pl1((folder / f"{UNIT}.pl1").read_text(), netlist, names, lef)


def cel_text(netlist: Netlist, names: ShortNames, lef: Lef) -> str:
    """Graywolf's netlist. It packs cells without gaps: each gets free sites on its right, so that
    rows come to DENSITY.
    """
    return "\n".join([*_cel_cells(netlist, names, lef), *_cel_pads(netlist, names)]) + "\n"


def _cel_cells(netlist: Netlist, names: ShortNames, lef: Lef) -> Iterator[str]:
    owed = 0.0
    site, high = units(SITE), units(ROW)
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
                at = f"{left + units(x)} {bottom + units(y)}"
                yield f"pin name {pin} signal {names.nets[net]} layer 1 {at}"


def _cel_pads(netlist: Netlist, names: ShortNames) -> Iterator[str]:
    x, y = units(SITE) // 2, units(TRACK) // 2
    for number, net in enumerate(port_nets(netlist), 1):
        short = names.nets[net]
        yield f"pad {number} name twpin_{short}"
        yield f"corners 4 -{x} -{y} -{x} {y} {x} {y} {x} -{y}"
        yield f"pin name {short} signal {short} layer 1 0 0"


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
    pads = {net: boxes[f"twpin_{names.nets[net]}"] for net in port_nets(netlist)}
    width, height = right - left, top - bottom
    return Placement(
        width_um=width,
        row_um=ROW,
        rows=round(height / ROW),
        widths_um=widths_of(netlist, lef),
        cells={name: Point(box[0] - left, box[1] - bottom) for name, box in cells.items()},
        ports={
            net: Point(
                min(max((box[0] + box[2]) / 2 - left, 0.0), width),
                min(max((box[1] + box[3]) / 2 - bottom, 0.0), height),
            )
            for net, box in pads.items()
        },
    )
