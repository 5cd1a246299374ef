"""A placement as DEF, under legal names: pure functions to text.

Source: LEF/DEF 5.8 Language Reference, Cadence.
"""

from collections.abc import Iterator, Mapping

from ..mapping.netlist import CONSTANT_NETS, Netlist
from ..simulation.portable import LegalNames, port_bit
from .placement import Placement, Point
from .problem import UNITS_PER_UM

_ORIENTATIONS = ("N", "FS")
"""Of even and odd rows: neighbours share their supply rails."""


def def_text(
    netlist: Netlist,
    placement: Placement,
    names: LegalNames,
    *,
    site: str = "core",
    layer: str | None = None,
) -> str:
    """Rows, cells, pins of ports and what is connected; nothing is routed. `site` is what the LEF
    file calls that of the cells, `layer` the metal of the ports' pins. Constants are no nets: what
    is tied to one is not in it.
    """
    pins = _port_pins(netlist, names)
    connections = _connections(netlist, names, pins)
    step = _units(placement.site_um)
    width, height = _units(placement.width_um), _units(placement.row_um)
    rows = [
        f"ROW row_{row} {site} 0 {row * height} {_ORIENTATIONS[row % 2]} "
        f"DO {width // step} BY 1 STEP {step} 0 ;"
        for row in range(placement.rows)
    ]
    return "\n".join(
        [
            "VERSION 5.8 ;",
            'DIVIDERCHAR "/" ;',
            'BUSBITCHARS "[]" ;',
            f"DESIGN {netlist.top} ;",
            f"UNITS DISTANCE MICRONS {UNITS_PER_UM} ;",
            f"DIEAREA ( 0 0 ) ( {width} {placement.rows * height} ) ;",
            *rows,
            *_section("COMPONENTS", _components(netlist, placement, names)),
            *_section("PINS", _pins(placement, names, pins, layer)),
            *_section("NETS", (f"{net}{''.join(own)} + USE SIGNAL" for net, own in connections)),
            "END DESIGN",
            "",
        ]
    )


def _units(um: float) -> int:
    return round(um * UNITS_PER_UM)


def _section(name: str, items: Iterator[str]) -> list[str]:
    lines = [f"- {item} ;" for item in items]
    return [f"{name} {len(lines)} ;", *lines, f"END {name}"]


def _at(point: Point, orientation: str) -> str:
    return f"+ PLACED ( {_units(point.x)} {_units(point.y)} ) {orientation}"


def _components(netlist: Netlist, placement: Placement, names: LegalNames) -> Iterator[str]:
    for name, cell in netlist.cells.items():
        corner = placement.cells[name]
        row = round(corner.y / placement.row_um)
        yield f"{names.cells[name]} {cell.kind} {_at(corner, _ORIENTATIONS[row % 2])}"


def _port_pins(netlist: Netlist, names: LegalNames) -> dict[str, tuple[str, str]]:
    """Direction and net of each bit of a port."""
    return {
        port_bit(port, nets, place): (direction, net)
        for direction, ports in (("INPUT", netlist.inputs), ("OUTPUT", netlist.outputs))
        for port, nets in ports.items()
        for place, net in enumerate(nets)
        if net not in CONSTANT_NETS
    }


def _pins(
    placement: Placement,
    names: LegalNames,
    pins: Mapping[str, tuple[str, str]],
    layer: str | None,
) -> Iterator[str]:
    metal = f"+ LAYER {layer} ( 0 0 ) ( 0 0 ) " if layer else ""
    for pin, (direction, net) in pins.items():
        point = _at(placement.ports[net], "N")
        yield f"{pin} + NET {names.net(net)} + DIRECTION {direction} + USE SIGNAL {metal}{point}"


def _connections(
    netlist: Netlist, names: LegalNames, pins: Mapping[str, tuple[str, str]]
) -> list[tuple[str, list[str]]]:
    """Each net and what is connected to it."""
    found: dict[str, list[str]] = {net: [] for net in netlist.nets()}
    for pin, (_, net) in pins.items():
        found[net].append(f" ( PIN {pin} )")
    for name, cell in netlist.cells.items():
        for pin, net in cell.pins.items():
            if net not in CONSTANT_NETS:
                found[net].append(f" ( {names.cells[name]} {pin} )")
    return [(names.net(net), own) for net, own in found.items()]
