"""Wires by qrouter, and what magic extracts of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlsmac.support.errors import ToolError
from mlsmac.support.files import fill, scratch
from mlsmac.synth.layout.placement import Placement
from mlsmac.synth.mapping.netlist import Netlist
from mlsmac.synth.simulation.testbench import ShortNames

from .design import Lengths, def_text, parse_routes
from .lef import UNIT, Lef
from .magic import parse_ext
from .sites import on_sites
from .tools import LEF, TECH, run


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


def routed(netlist: Netlist, lef: Lef, placement: Placement) -> Routed:
    """A placement's wires by qrouter, on six layers. Raises: ToolError."""
    names = ShortNames(netlist)
    nets = {short: net for net, short in names.nets.items()}
    legal = on_sites(placement, netlist, lef)
    with scratch() as folder:
        files = {
            f"{UNIT}.def": def_text(netlist, names, legal),
            "route.tcl": _ROUTE.format(lef=LEF, unit=UNIT),
            "extract.tcl": _EXTRACT.format(lef=LEF, unit=UNIT),
        }
        fill(folder, files)
        done = f"{UNIT}_route.def"
        log = run(["qrouter", "-nog", "-s", "route.tcl"], folder, done)
        lengths = parse_routes((folder / done).read_text())
        magic = ["magic", "-dnull", "-noconsole", "-rcfile", str(TECH / "osu018.magicrc")]
        run([*magic, "extract.tcl"], folder, f"{UNIT}.ext")
        magic_pf = parse_ext((folder / f"{UNIT}.ext").read_text(), netlist, names)
    return Routed(
        placement=legal,
        lengths={nets[short]: own for short, own in lengths.items()},
        lef_pf={
            nets[short]: sum(lef.metals[layer].pf_um * um for layer, um in own.items())
            for short, own in lengths.items()
        },
        magic_pf=magic_pf,
        failed=failed_nets(log),
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


def failed_nets(log: str) -> int:
    """What qrouter says at last of nets that it could not route."""
    said = re.findall(r"No failed routes|Failed net routes: (\d+)", log)
    if not said:
        raise ToolError("qrouter must tell how many nets failed, but does not")
    return int(said[-1] or 0)
