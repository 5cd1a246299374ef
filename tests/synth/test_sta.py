"""Critical path from OpenSTA: the parser on text, and the tool on a small netlist."""

import gzip
import os
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty import pdk
from mlsmac.synth.liberty.library import Library, load
from mlsmac.synth.mapping.mapper import map_unit
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.timing.clock import ClockArrivals, clock_arrivals
from mlsmac.synth.timing.delays import analyse
from mlsmac.synth.timing.sta import (
    StaError,
    TimingReport,
    analyse_paths,
    analyse_wires,
    parse_report,
)
from mlsmac.units import to_rtlil

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"
REPORT = """\
Startpoint: multiplier.g518 (rising edge-triggered flip-flop clocked by clock)
Endpoint: acc[3] (output port clocked by clock)
Path Group: clock
Path Type: max

      Delay        Time   Description
-----------------------------------------------------------------
   0.000000    0.000000   clock clock (rise edge)
  22.284685   22.284685 ^ multiplier.g518/Q (DFFPOSX1)

worst slack -2.284685
"""

GATES = """\
module top(clk, d, e, q);
  input clk, d, e;
  output q;
  wire n, m;
  NAND2X1 g0(.A(d), .B(e), .Y(n));
  DFFPOSX1 g1(.CLK(clk), .D(n), .Q(m));
  INVX1 g2(.A(m), .Y(q));
endmodule
"""


def test_parse():
    report = parse_report(REPORT, 20.0)
    assert report == TimingReport(22.284685, -2.284685, "multiplier.g518", "acc[3]")
    assert not report.meets_timing
    assert replace(report, slack_ns=0.0).meets_timing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Error: cannot read file netlist.v.\n" + REPORT, "failed: cannot read file netlist.v."),
        ("No paths found.\nworst slack INF\n", "no path between registers and ports"),
        ("", "no path between registers and ports"),
    ],
)
def test_parse_errors(text, message):
    with pytest.raises(StaError, match=message):
        parse_report(text, 20.0)


def test_missing_tool(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="sta not found: install the Debian package opensta"):
        analyse_paths(GATES, "top", tmp_path, clock_ns=10.0)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("echo 'no license' >&2; exit 3", r"^OpenSTA ended with status 3: no license$"),
        ("exit 1", r"^OpenSTA ended with status 1$"),
        ("kill -9 $$", r"^OpenSTA ended with status -9$"),
        ("echo 'Error: cells.lib, line 1 odd.' >&2", r"^OpenSTA failed: cells.lib, line 1 odd.$"),
        ("true", "no path between registers and ports"),
    ],
)
def test_failures_of_the_tool(monkeypatch, tmp_path, program, message):
    """Its status counts, and what it says on stderr."""
    tool = tmp_path / "sta"
    tool.write_text(f"#!/bin/sh\n{program}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StaError, match=message):
        analyse_paths(GATES, "top", TINY, clock_ns=10.0)


@pytest.mark.eda
def test_small_netlist(osu018, tmp_path, monkeypatch):
    """The period moves the slack alone, a load lengthens the way to the output; no file stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    report = analyse_paths(GATES, "top", osu018.liberty, clock_ns=10.0)
    later = analyse_paths(GATES, "top", osu018.liberty, clock_ns=25.0)
    assert report.critical_path_ns == round(10 - report.slack_ns, 6)
    assert later.critical_path_ns == pytest.approx(report.critical_path_ns, abs=1e-5)
    assert later.slack_ns == pytest.approx(report.slack_ns + 15)
    loaded = analyse_paths(GATES, "top", osu018.liberty, clock_ns=10.0, output_load_ff=500)
    assert loaded.critical_path_ns > report.critical_path_ns + 0.5
    assert (loaded.startpoint, loaded.endpoint) == ("g1", "q")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.eda
def test_wire_loads_of_the_library_do_not_count(osu018, tmp_path):
    """A compressed Liberty file with a default wire load gives the same path."""
    text = osu018.liberty[0].read_text()
    model = "wire_load(big) { capacitance : 1; resistance : 0; slope : 9; fanout_length(1, 1); }"
    wires = f'default_wire_load : "big";\n {model}\n'
    path = tmp_path / "wires.lib.gz"
    path.write_bytes(gzip.compress(text.replace("nom_process", wires + "nom_process", 1).encode()))
    plain = analyse_paths(GATES, "top", osu018.liberty, clock_ns=10.0)
    assert analyse_paths(GATES, "top", path, clock_ns=10.0) == plain
    whole = Library.text
    with pytest.MonkeyPatch.context() as patch:  # the file would matter otherwise
        patch.setattr(Library, "text", lambda self, kinds, wire_loads: whole(self, kinds))
        assert analyse_paths(GATES, "top", path, clock_ns=10.0) != plain


@pytest.mark.eda
def test_combinational_unit(osu018):
    gates = "module top(a, y);\n input a;\n output y;\n INVX1 g0(.A(a), .Y(y));\nendmodule\n"
    report = analyse_paths(gates, "top", osu018.liberty, clock_ns=10.0, clock=None)
    assert (report.startpoint, report.endpoint) == ("a", "y")
    assert 0 < report.critical_path_ns < 1


@pytest.mark.eda
def test_errors_of_the_tool(osu018):
    with pytest.raises(StaError, match="OpenSTA failed"):
        analyse_paths(GATES, "absent", osu018.liberty, clock_ns=10.0)


@pytest.mark.eda
def test_speed_script_is_faster(mac):
    """It costs area, and pays in delay."""
    slug = mac.configuration.slug
    how = {"script": "speed", "stages": mac.configuration.build().stage_sets}
    fast = map_unit(to_rtlil(mac.configuration), slug, mac.pdk, mac.library, **how)
    delays = [
        analyse_paths(mapped.verilog, slug, mac.pdk.liberty, clock_ns=25.0).critical_path_ns
        for mapped in (mac.mapped, fast)
    ]
    assert delays[1] < 0.8 * delays[0]
    assert fast.area > mac.mapped.area


@pytest.mark.eda
def test_no_wires_and_no_tree_change_nothing(mac):
    clock = {"clock_ns": 25.0, "output_load_ff": 30.0}
    plain = analyse_paths(mac.mapped.verilog, mac.netlist.top, mac.pdk.liberty, **clock)
    wired = analyse_wires(mac.netlist, mac.pdk.liberty, {}, ClockArrivals(), **clock)
    assert TimingReport(*astuple(wired)[:-1]) == plain
    assert 0 < wired.hold_slack_ns < 1
    assert wired.meets_hold


@pytest.mark.eda
def test_wires_lengthen_the_path(mac):
    """Whose ends keep the netlist's names; a wire of a net there is not is an error."""
    nets = mac.netlist.nets()
    near, far = (
        analyse_wires(
            mac.netlist,
            mac.pdk.liberty,
            dict.fromkeys(nets, pf),
            ClockArrivals(),
            clock_ns=25.0,
        )
        for pf in (0.01, 0.1)
    )
    assert 25 > near.slack_ns > far.slack_ns + 1
    assert far.hold_slack_ns > near.hold_slack_ns
    assert far.startpoint in mac.netlist.cells
    with pytest.raises(ValueError, match="not of 'other'"):
        analyse_wires(mac.netlist, mac.pdk.liberty, {"other": 1.0}, ClockArrivals(), clock_ns=25.0)


@pytest.mark.eda
def test_inputs_and_outputs_hang_on_the_tree(mac, with_tree):
    """A tree takes nothing from the period: what its slews add at the flops is all; but its skew
    takes from the hold time.
    """
    files = mac.pdk.liberty
    ideal = analyse_wires(mac.netlist, files, {}, ClockArrivals(), clock_ns=25.0)
    netlist = with_tree(mac.netlist)
    timing = analyse(netlist, mac.library, "clk")
    arrivals = clock_arrivals(netlist, mac.library, timing, "clk")
    treed = analyse_wires(netlist, files, {}, arrivals, clock_ns=25.0)
    change = treed.critical_path_ns - ideal.critical_path_ns
    assert arrivals.latest_ns > 0.3
    assert abs(change) < arrivals.skew_ns + 0.05


@pytest.mark.eda
def test_ways_from_inputs_and_to_outputs(osu018):
    """Insertion delay counts at both ends: an input arrives with it, an output may."""
    cells = [
        Cell("t0", "BUFX2", {"A": "clk", "Y": "c"}),
        Cell("f0", "DFFPOSX1", {"CLK": "c", "D": "a", "Q": "y"}),
        Cell("g0", "INVX1", {"A": "a", "Y": "z"}),
    ]
    netlist = Netlist(
        "top",
        {cell.name: cell for cell in cells},
        {"clk": ["clk"], "a": ["a"]},
        {"y": ["y"], "z": ["z"]},
    )
    wires = {"z": 1.0}
    plain = {"clock_ns": 10.0, "output_load_ff": 20.0}
    library = load(osu018.liberty)
    timing = analyse(netlist, library, "clk", wires_pf=wires, output_load_pf=0.02)
    through = max(delay.rise_ns for delay in timing.delays if delay.instance == "g0")
    for late in (0.0, 1.5):
        arrivals = ClockArrivals({"f0": late})
        report = analyse_wires(netlist, osu018.liberty, wires, arrivals, **plain)
        assert (report.startpoint, report.endpoint) == ("a", "z")
        assert report.critical_path_ns == pytest.approx(through, abs=2e-6)


@pytest.mark.eda
def test_skew_breaks_hold(osu018):
    """A flop behind eight buffers takes what the one before it stores an edge too early."""
    tree = [
        Cell(f"t{i}", "BUFX2", {"A": f"c{i}" if i else "clk", "Y": f"c{i + 1}"}) for i in range(8)
    ]
    flops = [
        Cell("f0", "DFFPOSX1", {"CLK": "clk", "D": "d", "Q": "q"}),
        Cell("f1", "DFFPOSX1", {"CLK": "c8", "D": "q", "Q": "y"}),
    ]
    cells = {cell.name: cell for cell in (*tree, *flops)}
    netlist = Netlist("top", cells, {"clk": ["clk"], "d": ["d"]}, {"y": ["y"]})
    library = load(osu018.liberty)
    arrivals = clock_arrivals(netlist, library, analyse(netlist, library, "clk"), "clk")
    report = analyse_wires(netlist, osu018.liberty, {}, arrivals, clock_ns=10.0)
    assert not report.meets_hold
    assert report.hold_slack_ns == pytest.approx(-arrivals.skew_ns, abs=0.3)
    one = replace(netlist, cells={"f0": flops[0]}, outputs={"q": ["q"]})
    alone = analyse_wires(one, osu018.liberty, {}, ClockArrivals(), clock_ns=10.0)
    assert alone.hold_slack_ns is None
    assert alone.meets_hold


@pytest.mark.eda
def test_enables_of_clock_gates_are_checked():
    """By the Liberty file's own constraints: a late enable misses the gate."""
    try:
        files = pdk.find("sky130").liberty
    except ToolError as error:
        pytest.skip(str(error))
    kind = "sky130_fd_sc_hd__{}".format
    cells = [
        Cell("f0", kind("dfxtp_1"), {"CLK": "clk", "D": "d", "Q": "e"}),
        Cell("g", kind("dlclkp_1"), {"CLK": "clk", "GATE": "e", "GCLK": "c"}),
        Cell("f1", kind("dfxtp_1"), {"CLK": "c", "D": "y", "Q": "y"}),
    ]
    netlist = Netlist("top", {c.name: c for c in cells}, {"clk": ["clk"], "d": ["d"]}, {"y": ["y"]})
    near, far = (
        analyse_wires(netlist, files, {"e": pf}, ClockArrivals(), clock_ns=10.0)
        for pf in (0.01, 0.4)
    )
    assert (far.startpoint, far.endpoint) == ("f0", "g")
    assert far.critical_path_ns > near.critical_path_ns
    assert far.hold_slack_ns is not None


@pytest.mark.eda
def test_wires_of_a_combinational_unit(osu018):
    netlist = Netlist(
        "top", {"g": Cell("g", "INVX1", {"A": "a", "Y": "y"})}, {"a": ["a"]}, {"y": ["y"]}
    )
    report = analyse_wires(
        netlist, osu018.liberty, {"y": 0.1}, ClockArrivals(), clock_ns=10.0, clock=None
    )
    timing = analyse(netlist, load(osu018.liberty), None, wires_pf={"y": 0.1})
    (delay,) = timing.delays
    assert report.critical_path_ns == pytest.approx(max(delay.rise_ns, delay.fall_ns), abs=1e-6)
    assert report.hold_slack_ns is None


def test_warnings_about_wires_are_errors(monkeypatch, tmp_path):
    tool = tmp_path / "sta"
    tool.write_text("#!/bin/sh\necho 'Warning: w.spef, line 3 pin g1/Z not found.'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    netlist = Netlist(
        "top", {"g": Cell("g", "INV", {"A": "a", "Y": "y"})}, {"a": ["a"]}, {"y": ["y"]}
    )
    with pytest.raises(StaError, match=r"^OpenSTA failed: w.spef, line 3 pin g1/Z not found.$"):
        analyse_wires(netlist, TINY, {}, ClockArrivals(), clock_ns=10.0, clock=None)
