"""Loads, slews and delays, by hand on a tiny library and against OpenSTA on a real one."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mlsmac.synth.liberty.cells import ArcKind, Sense
from mlsmac.synth.liberty.library import LibertyError, load
from mlsmac.synth.mapping.netlist import Cell, Netlist, parse_yosys_json, verilog_to_json
from mlsmac.synth.timing.delays import ArcDelay, Edges, analyse

DATA = Path(__file__).parents[1] / "data" / "power"
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")

NAND = Cell("u0", "NAND2", {"A": "a", "B": "b", "Y": "n"})
INV = Cell("u1", "INV", {"A": "n", "Y": "m"})
FLOP = Cell("f0", "DFF", {"CK": "clk", "D": "m", "Q": "q"})
INPUTS = {"a": ["a"], "b": ["b"], "clk": ["clk"]}


def _netlist(*cells, inputs=INPUTS):
    return Netlist("top", {cell.name: cell for cell in cells}, inputs, {"y": ["q"]})


@pytest.fixture(scope="module")
def tiny():
    return load(DATA / "tiny.liberty")


def test_loads(tiny):
    timing = analyse(_netlist(FLOP, INV, NAND), tiny, "clk", output_load_pf=0.125)
    assert timing.loads == {
        "a": Edges(0.5, 0.5),
        "b": Edges(0.25, 0.25),
        "clk": Edges(0.5, 0.5),
        "n": Edges(0.125 + 0.25, 0.125 + 0.5),  # the output pin counts too
        "m": Edges(0.25, 0.25),
        "q": Edges(0.125, 0.125),
    }


def test_slews(tiny):
    netlist = _netlist(FLOP, INV, NAND)
    timing = analyse(netlist, tiny, "clk", input_slew_ns=0.5, output_load_pf=0.125)
    assert timing.slews == {
        "a": Edges(0.5, 0.5),
        "b": Edges(0.5, 0.5),
        "clk": Edges(0.0, 0.0),  # ideal
        "n": Edges(0.75, 2.5),
        "m": Edges(0.5, 1.0),
        "q": Edges(0.25, 0.5),
    }


def test_delays(tiny):
    timing = analyse(_netlist(FLOP, INV, NAND), tiny, "clk", output_load_pf=0.125)
    nand = ArcKind.COMBINATIONAL, Sense.NEGATIVE, 1 + 3.75, 2 + 12.5
    assert set(timing.delays) == {
        ArcDelay("u0", "A", "Y", *nand),
        ArcDelay("u0", "B", "Y", *nand),
        # The output rises with the input's fall: slew 2.5, and falls with its rise: slew 0.75.
        ArcDelay("u1", "A", "Y", *nand[:2], 1 + 2.5 + 2.5, 2 + 0.75 + 5),
        ArcDelay("f0", "CK", "Q", ArcKind.RISING_EDGE, Sense.NON_UNATE, 1 + 1.25, 2 + 2.5),
    }


def _with_arcs(library, changes):
    """The library with the inverter's arc replaced by one or more variants of it."""
    inv = library["INV"]
    (arc,) = inv.pins["Y"].arcs
    arcs = tuple(replace(arc, **change) for change in changes)
    pins = {**inv.pins, "Y": replace(inv.pins["Y"], arcs=arcs)}
    return replace(library, cells={**library.cells, "INV": replace(inv, pins=pins)})


@pytest.mark.parametrize(
    ("change", "rise", "fall"),
    [
        ({"sense": Sense.POSITIVE}, 1 + 0.75 + 2.5, 2 + 2.5 + 5),
        ({"sense": Sense.NON_UNATE}, 1 + 2.5 + 2.5, 2 + 2.5 + 5),
        ({"kind": ArcKind.RISING_EDGE}, 1 + 0.75 + 2.5, 2 + 0.75 + 5),
        ({"kind": ArcKind.FALLING_EDGE}, 1 + 2.5 + 2.5, 2 + 2.5 + 5),
        ({"cell_rise": None, "rise_transition": None}, None, 2 + 0.75 + 5),
        ({"cell_fall": None, "fall_transition": None}, 1 + 2.5 + 2.5, None),
    ],
)
def test_causing_edges(tiny, change, rise, fall):
    timing = analyse(_netlist(NAND, INV, FLOP), _with_arcs(tiny, [change]), "clk")
    (delay,) = (d for d in timing.delays if d.instance == "u1")
    assert (delay.rise_ns, delay.fall_ns) == (rise, fall)


def test_arcs_of_several_conditions_become_the_worst(tiny):
    library = _with_arcs(tiny, [{"sense": Sense.POSITIVE}, {}])
    timing = analyse(_netlist(NAND, INV, FLOP), library, "clk")
    (delay,) = (d for d in timing.delays if d.instance == "u1")
    assert delay.sense is Sense.NON_UNATE
    assert (delay.rise_ns, delay.fall_ns) == (1 + 2.5 + 2.5, 2 + 2.5 + 5)


def test_slew_of_the_worst_cause(tiny):
    table = tiny["INV"].pins["Y"].arcs[0].rise_transition
    arc = {
        "sense": Sense.NON_UNATE,
        "rise_transition": replace(table, rows=((0.0, 0.0), (1.0, 1.0))),
    }
    timing = analyse(_netlist(NAND, INV, FLOP), _with_arcs(tiny, [arc]), "clk")
    assert timing.slews["m"].rise == 2.5


def test_tied_pins_have_no_arcs(tiny):
    tied = replace(NAND, pins={**NAND.pins, "B": "1'1"})
    timing = analyse(_netlist(tied, INV, FLOP), tiny, "clk")
    assert [d.from_pin for d in timing.delays if d.instance == "u0"] == ["A"]
    assert "1'1" not in timing.loads


@pytest.mark.parametrize(("net", "count"), [("1'0", 0), ("1'1", 1)])
def test_conditions_that_tied_pins_contradict(tiny, net, count):
    nand = tiny["NAND2"]
    arcs = tuple(replace(arc, when=tiny["NAND2"].leakage[0].when) for arc in nand.pins["Y"].arcs)
    pins = {**nand.pins, "Y": replace(nand.pins["Y"], arcs=arcs)}  # when A & B
    library = replace(tiny, cells={**tiny.cells, "NAND2": replace(nand, pins=pins)})
    tied = replace(NAND, pins={**NAND.pins, "B": net})
    timing = analyse(_netlist(tied, INV, FLOP), library, "clk")
    assert len([d for d in timing.delays if d.instance == "u0"]) == count


def test_slews_are_not_negative(tiny):
    table = tiny["INV"].pins["Y"].arcs[0].rise_transition
    below = replace(table, rows=((-3.0, -3.0), (-3.0, -3.0)))
    library = _with_arcs(tiny, [{"rise_transition": below}])
    assert analyse(_netlist(NAND, INV, FLOP), library, "clk").slews["m"].rise == 0.0


def test_without_clock(tiny):
    netlist = Netlist("top", {"u1": INV}, {"n": ["n"]}, {"m": ["m"]})
    assert analyse(netlist, tiny, None).slews["m"] == Edges(0.0, 0.0)


@pytest.mark.parametrize(
    ("cells", "clock", "message"),
    [
        ((NAND, INV, FLOP), "m", "clock_net must be an input port's net or None, not 'm'"),
        ((INV, FLOP), "clk", "pin A of u1 must have a driver, but has none"),
        ((NAND, INV), "q", "clock_net must be"),
        (
            (NAND, INV, FLOP, replace(INV, name="u2")),
            "clk",
            "net m must have one driver, not u1",
        ),
        ((replace(INV, pins={"A": "a", "Y": "b"}),), "clk", "net b must have one driver"),
        (
            (replace(NAND, pins={"A": "a", "B": "m", "Y": "n"}), INV),
            "clk",
            "no combinational loop, not .*u0",
        ),
    ],
)
def test_refuses_netlists(tiny, cells, clock, message):
    with pytest.raises(ValueError, match=message):
        analyse(_netlist(*cells), tiny, clock)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            replace(INV, kind="NOR2"),
            r"must be one of library tiny \(tiny.liberty\), not 'NOR2'",
        ),
        (replace(INV, pins={**INV.pins, "Z": "z"}), "pin of u1 must be one of INV, not 'Z'"),
    ],
)
def test_refuses_cells(tiny, cell, message):
    with pytest.raises(LibertyError, match=message):
        analyse(_netlist(NAND, cell, FLOP), tiny, "clk")


# The second of the two values is the worst of the input's slews.
_IOPATH = re.compile(
    r"\(IOPATH (?:\(posedge )?(\w+)\)? (\w+) \(\S+::([-\d.]+)\) \(\S+::([-\d.]+)\)"
)


@pytest.mark.eda
@pytest.mark.skipif(not OSU018.exists(), reason="no OSU 180 nm Liberty file (qflow-tech-osu018)")
@pytest.mark.skipif(not shutil.which("sta"), reason="no OpenSTA (sta)")
def test_delays_are_those_of_opensta(tmp_path):
    netlist = parse_yosys_json(verilog_to_json(DATA / "osu018.v"))
    timing = analyse(netlist, load(OSU018), "clk")
    script = tmp_path / "delays.tcl"
    script.write_text(
        f"read_liberty {OSU018}\nread_verilog {DATA / 'osu018.v'}\nlink_design mls_mac\n"
        "create_clock -period 10 clk\nset_input_transition 0 [all_inputs]\n"
        f"write_sdf -digits 6 {tmp_path / 'delays.sdf'}\nexit\n"
    )
    subprocess.run(["sta", "-exit", script], check=True, capture_output=True)
    expected = {}
    for line in (tmp_path / "delays.sdf").read_text().splitlines():
        if match := re.search(r"\(INSTANCE (\S+)\)", line):
            instance = match[1]
        elif match := _IOPATH.search(line):
            expected[(instance, match[1], match[2])] = float(match[3]), float(match[4])
    delays = {(d.instance, d.from_pin, d.to_pin): d for d in timing.delays}
    assert len(expected) == len(delays) == 899
    for key, (rise, fall) in expected.items():
        delay = delays[key]
        if delay.sense is Sense.NON_UNATE and delay.kind is ArcKind.COMBINATIONAL:
            # Of the two edges that can cause an edge of an XOR it writes one, not always the worst.
            assert delay.rise_ns >= rise - 1e-6
            assert delay.fall_ns >= fall - 1e-6
        else:
            assert (delay.rise_ns, delay.fall_ns) == pytest.approx((rise, fall), abs=1e-6)


def test_wires(tiny):
    netlist = _netlist(FLOP, INV, NAND)
    bare = analyse(netlist, tiny, "clk").loads
    loads = analyse(netlist, tiny, "clk", wires_pf={"n": 0.25, "clk": 1.0}).loads
    assert loads == bare | {"n": Edges(0.375 + 0.25, 0.625 + 0.25), "clk": Edges(1.5, 1.5)}
    with pytest.raises(
        ValueError, match=r"wires_pf must be of nets of the netlist, not of 'other'"
    ):
        analyse(netlist, tiny, "clk", wires_pf={"n": 0.25, "other": 1.0})
