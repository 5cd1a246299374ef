"""What is written for other tools: names, netlist, bench, SAIF; read back by Icarus and OpenSTA."""

import re
import subprocess

import numpy as np
import pytest

from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.simulation.cell_models import verilog_models
from mlsmac.synth.simulation.portable import LegalNames, flat_text, portable_bench
from mlsmac.synth.simulation.saif import Count, saif_text
from mlsmac.synth.simulation.simulate import Simulation
from mlsmac.synth.simulation.testbench import Bench, hex_words
from mlsmac.synth.timing.delays import analyse
from mlsmac.synth.timing.sdf import sdf_text

# One pin twice, names that are no identifiers, that are alike, or keywords; outputs that share a
# net, are an input, or constant.
CELLS = (
    Cell("$abc$1.g", "NAND2X1", {"A": "a[0]", "B": "a[0]", "Y": "buf"}),
    Cell("_abc_1__g", "INVX1", {"A": "buf", "Y": "p.x[0]"}),
    Cell("or", "NAND2X1", {"A": "p.x[0]", "B": "a[1]", "Y": "p__x_0"}),
    Cell("_abc_1__g_B", "INVX1", {"A": "p__x_0", "Y": "y[0]"}),
    Cell("7", "NAND2X1", {"A": "y[0]", "B": "1'1", "Y": "z"}),
)
NETLIST = Netlist(
    "top",
    {cell.name: cell for cell in CELLS},
    {"a": ["a[0]", "a[1]"]},
    {"y": ["y[0]", "1'0", "a[1]", "y[0]"], "z": ["z"]},
)
TEXT = """\
`timescale 1ns/1ps
module top(a, y, z);
  input [1:0] a;
  output [3:0] y;
  output z;
  wire buf_;
  wire p__x_0;
  wire p__x_0_2;
  wire _abc_1__g_B = a[0];
  NAND2X1 _abc_1__g(.A(a[0]), .B(_abc_1__g_B), .Y(buf_));
  INVX1 _abc_1__g_2(.A(buf_), .Y(p__x_0));
  NAND2X1 or_(.A(p__x_0), .B(a[1]), .Y(p__x_0_2));
  INVX1 _abc_1__g_B_2(.A(p__x_0_2), .Y(y[0]));
  NAND2X1 x_7(.A(y[0]), .B(1'b1), .Y(z));
  assign y[1] = 1'b0;
  assign y[2] = a[1];
  assign y[3] = y[0];
endmodule
"""
BENCH = Bench(clock=None, half=5000, latency=0, operations=4, driven=["a"], compared=["y", "z"])


def test_netlist():
    assert flat_text(NETLIST, LegalNames(NETLIST)) == TEXT


def test_names_are_legal_and_no_two_are_one():
    names = LegalNames(NETLIST)
    every = [*names.cells.values(), *names.nets.values()]
    assert len(set(every)) == len(every) == 5 + 7
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\[\d+\])?", name) for name in every)


@pytest.mark.parametrize(
    "netlist",
    [
        Netlist("a-b", {}, {}, {}),
        Netlist("top", {}, {"a.b": ["a"]}, {}),
        Netlist("top", {"g": Cell("g", "$and", {})}, {}, {}),
    ],
)
def test_refuses_what_it_may_not_rename(netlist):
    with pytest.raises(ValueError, match="names must be plain Verilog identifiers, not '"):
        LegalNames(netlist)


def test_the_window_begins_after_the_first_edge():
    with pytest.raises(ValueError, match="warm_up must be at least 1, not 0"):
        portable_bench(NETLIST, BENCH, 0)


@pytest.mark.eda
def test_saif(osu_library):
    counts = {net: Count(i, 2 * i) for i, net in enumerate(LegalNames(NETLIST).nets)}
    text = saif_text(NETLIST, LegalNames(NETLIST), osu_library, counts, 1000, "1.2")
    assert text.startswith('(SAIFILE\n(SAIFVERSION "2.0")\n(DIRECTION "backward")\n')
    assert "(TIMESCALE 1 ps)\n(DURATION 1000)\n(INSTANCE bench\n  (INSTANCE unit\n" in text
    assert r"(a\[1\] (T0 999) (T1 1) (TX 0) (TC 2) (IG 0))" in text
    assert (
        "    (INSTANCE or_\n      (NET\n        (Y (T0 994) (T1 6) (TX 0) (TC 12) (IG 0))" in text
    )
    assert text.count("(") == text.count(")")


@pytest.fixture(scope="module")
def written(osu_library, tmp_path_factory):
    """A folder with all that the bench and OpenSTA read."""
    folder = tmp_path_factory.mktemp("portable")
    names = LegalNames(NETLIST)
    a = np.arange(4)
    y = (a == 3) * 9 | (a >> 1) * 4
    vectors = {"a": a}, {"y": y, "z": 1 - (y & 1)}
    timing = analyse(NETLIST, osu_library, None)
    (folder / "top.v").write_text(flat_text(NETLIST, names))
    (folder / "top.sdf").write_text(sdf_text(NETLIST, timing, names.cells))
    kinds = {cell.kind for cell in CELLS}
    (folder / "cells.v").write_text(verilog_models(osu_library, kinds, specify=True))
    (folder / "bench.v").write_text(portable_bench(NETLIST, BENCH, 1))
    (folder / "stimulus.hex").write_text(hex_words(vectors[0], {"a": 2}))
    (folder / "expected.hex").write_text(hex_words(vectors[1], {"y": 4, "z": 1}))
    return folder


def _icarus(folder, *options):
    compile_ = "iverilog -g2005 -Ttyp -gspecify -s bench -o bench.vvp cells.v top.v bench.v"
    subprocess.run(compile_.split(), cwd=folder, check=True)
    command = ["vvp", "-n", "bench.vvp", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.eda
@pytest.mark.parametrize("options", [(), ("+sdf",)])
def test_bench_passes_without_a_word_of_the_sdf(written, options):
    assert _icarus(written, *options) == "PASS: 4 results are as expected\n"


@pytest.mark.eda
@pytest.mark.parametrize("options", [(), ("+sdf",)])
@pytest.mark.parametrize("late", [True, False])
def test_bench_of_a_clock_tree(osu_library, tmp_path, late, options):
    """A register of two flops: without delays the leaves' edges would come one after the other."""
    cells = (
        Cell("b", "BUFX2", {"A": "clk", "Y": "k"}),
        Cell("c", "BUFX2", {"A": "k", "Y": "l"}),
        Cell("f", "DFFPOSX1", {"CLK": "k", "D": "a", "Q": "q"}),
        Cell("g", "DFFPOSX1", {"CLK": "l", "D": "q", "Q": "p"}),
    )
    ports = {"clk": ["clk"], "a": ["a"]}, {"p": ["p"]}
    netlist = Netlist("top", {cell.name: cell for cell in cells}, *ports)
    names, timing = LegalNames(netlist), analyse(netlist, osu_library, "clk")
    vectors = {"a": np.arange(9) % 4 // 2}, {"p": np.arange(9) % 4 // 2}
    simulation = Simulation(netlist, osu_library, *vectors, clock_ns=10, latency=2, warm_up=3)
    assert simulation.run(timing).mismatches == simulation.run(None).mismatches == 0
    bench = simulation.delayed(timing)
    assert 0 < bench.early < bench.late
    (tmp_path / "top.v").write_text(flat_text(netlist, names))
    (tmp_path / "top.sdf").write_text(sdf_text(netlist, timing, names.cells))
    kinds = {cell.kind for cell in cells}
    models = verilog_models(osu_library, kinds, specify=True, late=late and bench.tree)
    (tmp_path / "cells.v").write_text(models)
    (tmp_path / "bench.v").write_text(portable_bench(netlist, bench, 3))
    (tmp_path / "stimulus.hex").write_text(hex_words(vectors[0], {"a": 1}))
    (tmp_path / "expected.hex").write_text(hex_words(vectors[1], {"p": 1}))
    said = _icarus(tmp_path, *options)
    assert said == "PASS: 9 results are as expected\n" or (not late and not options)


@pytest.mark.eda
def test_bench_counts_what_differs(written):
    kept = (written / "expected.hex").read_text()
    (written / "expected.hex").write_text("1f\n" + kept.split("\n", 1)[1])
    try:
        assert _icarus(written) == "FAIL: 1 of 4 results differ\n"
    finally:
        (written / "expected.hex").write_text(kept)


@pytest.mark.eda
def test_opensta_reads_netlist_and_delays(written, osu018):
    script = (
        f"read_liberty {osu018.liberty[0]}\nread_verilog top.v\nlink_design top\n"
        "create_clock -name clock -period 10\nread_sdf top.sdf\nreport_annotated_delay\n"
    )
    (written / "script.tcl").write_text(script)
    command = ["sta", "-no_init", "-no_splash", "-exit", "script.tcl"]
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    assert not re.search("warning|error", said, re.IGNORECASE), said
    # The arc of a tied pin has no delay.
    assert re.search(r"^cell arcs +8 +7 +1$", said, re.MULTILINE), said
