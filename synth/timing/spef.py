"""Standard Parasitic Exchange Format text of a netlist's wires, for OpenSTA and others.

A wire is lumped, as in `delays`: its capacitance stands at one node, to which each pin has a
resistance that is as good as none. OpenSTA 2.0.17 needs both: it passes over nets without
connections and resistances silently.
Source: IEEE Std 1481-1999.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..liberty.cells import Direction
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Netlist
from ..simulation.testbench import Names

RESISTANCE_OHM = 1e-6
"""Of each pin to its wire. OpenSTA's effective capacitances err by 1e-7 ns at a thousandth of an
ohm and by 0.02 ns at one ohm, where the wire itself delays nothing; at a millionth by nothing that
its digits show.
"""

_HEAD = """\
*SPEF "IEEE 1481-1998"
*DESIGN "{top}"
*DATE ""
*VENDOR ""
*PROGRAM "mlsmac"
*VERSION ""
*DESIGN_FLOW "PIN_CAP NONE"
*DIVIDER /
*DELIMITER :
*BUS_DELIMITER [ ]
*T_UNIT 1 NS
*C_UNIT 1 PF
*R_UNIT 1 OHM
*L_UNIT 1 HENRY"""


def spef_text(
    netlist: Netlist, library: Library, wires_pf: Mapping[str, float], names: Names
) -> str:
    """SPEF of the wires in pF by net, those of none left out, under the names of `names`: those of
    the Verilog that is read beside it.

    Raises: ValueError for a wire of no net.
    """
    ends = _ends(netlist, library)
    if unknown := sorted(wires_pf.keys() - ends.keys()):
        raise ValueError(f"wires_pf must be of nets of the netlist, not of {unknown[0]!r}")
    nets = {net: f"*{place}" for place, net in enumerate(ends, 1)}
    cells = {name: f"*{place}" for place, name in enumerate(netlist.cells, len(nets) + 1)}
    lines = [
        _HEAD.format(top=netlist.top),
        "*NAME_MAP",
        *(f"{short} {names.nets[net]}" for net, short in nets.items()),
        *(f"{short} {names.cells[name]}" for name, short in cells.items()),
        "*PORTS",
        *(f"{nets[net]} {own.port}" for net, own in ends.items() if own.port),
    ]
    for net, own in ends.items():
        if wire := wires_pf.get(net, 0.0):
            lines += _net(nets[net], wire, own, cells)
    return "\n".join([*lines, ""])


@dataclass
class _Ends:
    """What a wire joins: the direction of the port that it is, pins with their directions."""

    port: str = ""
    pins: list[tuple[str, str, str]] = field(default_factory=list)


def _ends(netlist: Netlist, library: Library) -> dict[str, _Ends]:
    """By net, in the netlist's order."""
    ends = {net: _Ends() for net in netlist.nets()}
    for letter, ports in (("O", netlist.outputs), ("I", netlist.inputs)):
        for nets in ports.values():
            for net in nets:
                if net not in CONSTANT_NETS:
                    ends[net].port = letter
    for name, cell in netlist.cells.items():
        pins = library.cells[cell.kind].pins
        for pin, net in cell.pins.items():
            if net not in CONSTANT_NETS:
                letter = "O" if pins[pin].direction is Direction.OUTPUT else "I"
                ends[net].pins.append((name, pin, letter))
    return ends


def _net(short: str, wire_pf: float, ends: _Ends, cells: Mapping[str, str]) -> Iterator[str]:
    """A `*D_NET` section."""
    centre = f"{short}:1"
    pins = [(f"{cells[cell]}:{pin}", letter) for cell, pin, letter in ends.pins]
    nodes = [*([short] if ends.port else []), *(pin for pin, _ in pins)]
    yield f"*D_NET {short} {wire_pf!r}"
    yield "*CONN"
    if ends.port:
        yield f"*P {short} {ends.port}"
    yield from (f"*I {pin} {letter}" for pin, letter in pins)
    yield from ("*CAP", f"1 {centre} {wire_pf!r}", "*RES")
    yield from (f"{n} {node} {centre} {RESISTANCE_OHM!r}" for n, node in enumerate(nodes, 1))
    yield "*END"
