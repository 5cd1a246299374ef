"""Critical path from OpenSTA: the parser on text, and the tool on a small netlist."""

import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty.library import Library
from mlsmac.synth.mapping.mapper import map_unit
from mlsmac.synth.timing.sta import (
    StaError,
    TimingReport,
    analyse_paths,
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
