"""Wires as SPEF: the text by hand, and what OpenSTA makes of it against our own delays."""

import random
import re
import subprocess
from pathlib import Path

import pytest

from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty import pdk
from mlsmac.synth.liberty.cells import ArcKind, Sense
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.netlist import Cell, Netlist, parse_yosys_json, verilog_to_json
from mlsmac.synth.simulation.portable import LegalNames, flat_text
from mlsmac.synth.timing.clock import ClockArrivals, clock_arrivals
from mlsmac.synth.timing.delays import analyse
from mlsmac.synth.timing.spef import spef_text

DATA = Path(__file__).parents[1] / "data" / "power"
NETLIST = Netlist(
    "top",
    {
        "a.g0": Cell("a.g0", "NAND2", {"A": "a[0]", "B": "1'1", "Y": "a.n0"}),
        "a.g1": Cell("a.g1", "DFF", {"CK": "clk", "D": "a.n0", "Q": "y"}),
    },
    {"a": ["a[0]", "a[1]"], "clk": ["clk"]},
    {"y": ["y"]},
)


@pytest.fixture(scope="module")
def tiny():
    return load(DATA / "tiny.liberty")


def test_text(tiny):
    names = LegalNames(NETLIST)
    text = spef_text(NETLIST, tiny, {"a.n0": 0.5, "y": 0.25, "a[0]": 0.0}, names)
    body = text.partition("*L_UNIT 1 HENRY\n")[2].splitlines()
    assert body[:9] == [
        *("*NAME_MAP", "*1 a[0]", "*2 a[1]", "*3 clk", "*4 y", "*5 a__n0"),
        *("*6 a__g0", "*7 a__g1", "*PORTS"),
    ]
    assert body[9:13] == ["*1 I", "*2 I", "*3 I", "*4 O"]
    assert body[13:] == [
        *("*D_NET *4 0.25", "*CONN", "*P *4 O", "*I *7:Q O", "*CAP", "1 *4:1 0.25"),
        *("*RES", "1 *4 *4:1 1e-06", "2 *7:Q *4:1 1e-06", "*END"),
        *("*D_NET *5 0.5", "*CONN", "*I *6:Y O", "*I *7:D I", "*CAP", "1 *5:1 0.5"),
        *("*RES", "1 *6:Y *5:1 1e-06", "2 *7:D *5:1 1e-06", "*END"),
    ]


def test_wire_of_no_net(tiny):
    with pytest.raises(ValueError, match=r"of nets of the netlist, not of 'other'"):
        spef_text(NETLIST, tiny, {"other": 0.5}, LegalNames(NETLIST))


def test_clock_arrivals(tiny):
    """Sums to each flop; the edge turns at an inverter."""
    cells = [
        Cell("t.0", "INV", {"A": "clk", "Y": "t.n0"}),
        Cell("t.1", "INV", {"A": "t.n0", "Y": "t.n1"}),
        Cell("f0", "DFF", {"CK": "t.n1", "D": "a", "Q": "q"}),
        Cell("f1", "DFF", {"CK": "clk", "D": "q", "Q": "y"}),
    ]
    netlist = Netlist(
        "top", {cell.name: cell for cell in cells}, {"a": ["a"], "clk": ["clk"]}, {"y": ["y"]}
    )
    timing = analyse(netlist, tiny, "clk")
    delays = {delay.instance: delay for delay in timing.delays}
    assert delays["t.0"].fall_ns != delays["t.0"].rise_ns
    latest = delays["t.0"].fall_ns + delays["t.1"].rise_ns
    arrivals = clock_arrivals(netlist, tiny, timing, "clk")
    assert arrivals.flops_ns == pytest.approx({"f0": latest, "f1": 0.0}, abs=1e-6)
    assert arrivals.earliest_ns == 0.0
    assert arrivals.skew_ns == arrivals.latest_ns == pytest.approx(latest, abs=1e-6)


def test_clock_without_flops(tiny):
    cells = {"g": Cell("g", "INV", {"A": "clk", "Y": "y"})}
    netlist = Netlist("top", cells, {"clk": ["clk"]}, {"y": ["y"]})
    arrivals = clock_arrivals(netlist, tiny, analyse(netlist, tiny, "clk"), "clk")
    assert arrivals == ClockArrivals()
    assert arrivals.latest_ns == 0.0


# Of OSU 180 nm a small MAC; with PDKs of one's own the same of theirs.
@pytest.mark.eda
@pytest.mark.parametrize("name", ["osu018", "sky130", "sg13g2"])
@pytest.mark.parametrize("calculator", ["lumped_cap", "dmp_ceff_elmore"])
def test_delays_are_those_of_opensta(name, calculator, tmp_path):
    """Every arc with wires, also by the calculator that OpenSTA takes by itself."""
    try:
        files = pdk.find(name).liberty
    except ToolError as error:
        pytest.skip(str(error))
    library = load(files)
    netlist = parse_yosys_json(verilog_to_json(DATA / f"{name}.v"))
    dice = random.Random(7)
    wires = {net: round(dice.uniform(0.0, 0.1), 6) for net in netlist.nets()}
    timing = analyse(netlist, library, "clk", wires_pf=wires)
    names = LegalNames(netlist)
    _opensta(
        tmp_path,
        (netlist, library, wires, names),
        f"set_delay_calculator {calculator}\nwrite_sdf -digits 6 delays.sdf\n",
    )
    expected = _sdf((tmp_path / "delays.sdf").read_text())
    assert expected.keys() == {(names.cells[d.instance], *d[1:3]) for d in timing.delays}
    for delay in timing.delays:
        own = delay.rise_ns, delay.fall_ns
        theirs = expected[names.cells[delay.instance], delay.from_pin, delay.to_pin]
        if delay.sense is Sense.NON_UNATE and delay.kind is ArcKind.COMBINATIONAL:
            # Of the two edges that can cause an edge it writes one, not always the worst.
            assert all(mine >= its - 2e-6 for mine, its in zip(own, theirs, strict=True))
        else:
            assert own == pytest.approx(theirs, abs=1e-6, rel=1e-6)


_IOPATH = re.compile(
    r"\(IOPATH (?:\((?:pos|neg)edge )?(\w+)\)? (\w+) \(\S+::([-\d.]+)\) \(\S+::([-\d.]+)\)"
)


def _sdf(text):
    """The worst delays by instance and pins."""
    found = {}
    for line in text.splitlines():
        if match := re.search(r"\(INSTANCE (\S+)\)", line):
            instance = match[1]
        elif match := _IOPATH.search(line):
            key = instance, match[1], match[2]
            known = found.get(key, (0.0, 0.0))
            found[key] = max(known[0], float(match[3])), max(known[1], float(match[4]))
    return found


def _opensta(folder, wired, commands):
    """What OpenSTA says of a netlist with wires and its clock network."""
    netlist, library, wires, names = wired
    kinds = {cell.kind for cell in netlist.cells.values()}
    (folder / "cells.lib").write_text(library.text(kinds, wire_loads=False))
    (folder / "netlist.v").write_text(flat_text(netlist, names))
    (folder / "wires.spef").write_text(spef_text(netlist, library, wires, names))
    (folder / "script.tcl").write_text(
        f"read_liberty cells.lib\nread_verilog netlist.v\nlink_design {netlist.top}\n"
        "create_clock -period 10 clk\nset_propagated_clock [all_clocks]\n"
        f"read_spef wires.spef\n{commands}"
    )
    command = ["sta", "-no_init", "-no_splash", "-exit", "script.tcl"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    told = done.stdout + done.stderr
    assert "spef" not in told  # as warnings would have it
    return told


@pytest.mark.eda
def test_clock_arrivals_are_those_of_opensta(mac, tmp_path, with_tree):
    netlist = with_tree(mac.netlist)
    dice = random.Random(8)
    wires = {net: round(dice.uniform(0.0, 0.1), 6) for net in netlist.nets()}
    timing = analyse(netlist, mac.library, "clk", wires_pf=wires)
    arrivals = clock_arrivals(netlist, mac.library, timing, "clk")
    wired = netlist, mac.library, wires, LegalNames(netlist)
    flops = {f"{wired[-1].cells[name]}/CLK": ns for name, ns in arrivals.flops_ns.items()}
    checks = "report_checks -format full_clock_expanded -digits 6 -unconstrained -from"
    told = _opensta(tmp_path, wired, "\n".join(f"{checks} {pin}" for pin in flops))
    found = re.findall(r"^Startpoint: (\S+)(?s:.*?) ([\d.]+) \^ (\1/CLK) ", told, re.MULTILINE)
    assert len(flops) == len(found) > 20
    assert {pin: float(ns) for _, ns, pin in found} == pytest.approx(flops, abs=1e-6)
    assert arrivals.skew_ns > 0.05
