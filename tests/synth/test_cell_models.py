"""Verilog models made from Liberty: text by hand, and behaviour against truth tables and against
the models that come with OSU 180 nm.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty.boolean import truth_table
from mlsmac.synth.liberty.library import LibertyError, load
from mlsmac.synth.liberty.pdk import NAMES, find
from mlsmac.synth.simulation.cell_models import TIMESCALE, verilog_models

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"

TEXT = """\
primitive mlsmac_DFF_Q(o, i0);
  output o;
  input i0;
  table
    0 : 0;
    1 : 1;
  endtable
endprimitive

primitive mlsmac_DFF_QN(o, i0);
  output o;
  input i0;
  table
    0 : 0;
    1 : 1;
  endtable
endprimitive

module DFF(CK, D, Q, QN);
  input CK;
  input D;
  output Q;
  output QN;
  wire IQ;
  wire IQN = ~IQ;
  mlsmac_flop state(IQ, CK, D, 1'b0, 1'b0);
  mlsmac_DFF_Q own_Q(Q, IQ);
  mlsmac_DFF_QN own_QN(QN, IQN);
  specify
    (CK => Q) = (0, 0);
    (CK => QN) = (0, 0);
  endspecify
endmodule

primitive mlsmac_NAND2_Y(o, i0, i1);
  output o;
  input i0, i1;
  table
    0 0 : 1;
    1 0 : 1;
    0 1 : 1;
    1 1 : 0;
  endtable
endprimitive

module NAND2(A, B, Y);
  input A;
  input B;
  output Y;
  mlsmac_NAND2_Y own_Y(Y, A, B);
  specify
    (A => Y) = (0, 0);
    (B => Y) = (0, 0);
  endspecify
endmodule

module TIE(Y);
  output Y;
  assign Y = 1'b1;
endmodule
"""


def _without_paths(text):
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if "specify" not in line and "=>" not in line)


def test_text():
    library = load(TINY)
    text = verilog_models(library, ["TIE", "NAND2", "DFF", "NAND2"], specify=True)
    assert text.startswith(TIMESCALE)
    assert text[text.index("primitive mlsmac_DFF_Q(") :] == TEXT
    without = verilog_models(library, ["DFF", "NAND2", "TIE"], specify=False)
    assert without[without.index("primitive mlsmac_DFF_Q(") :] == _without_paths(TEXT)


@pytest.mark.parametrize("kind", ["LATCH", "ABSENT"])
def test_not_a_gate_or_flop(kind):
    with pytest.raises(LibertyError):
        verilog_models(load(TINY), [kind], specify=True)


def _simulate(folder, *sources):
    """Lines that a bench prints."""
    names = []
    for i, text in enumerate(sources):
        names.append(folder / f"source{i}.v")
        names[-1].write_text(text)
    out = folder / "bench.vvp"
    subprocess.run(
        ["iverilog", "-g2005", "-gspecify", "-s", "bench", "-o", out, *names], check=True
    )
    done = subprocess.run(["vvp", "-n", out], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def _usable(library):
    """Gates and flops with delays from inputs only: what mapping can choose from."""
    cells = []
    for kind in library.cells:
        try:
            cell = library[kind]
        except LibertyError:
            continue
        related = {arc.related for pin in cell.outputs for arc in pin.arcs}
        if cell.outputs and related <= {pin.name for pin in cell.inputs}:
            cells.append(cell)
    return cells


@pytest.mark.eda
@pytest.mark.parametrize("name", NAMES)
def test_gates_follow_their_truth_tables(name, tmp_path):
    """Every gate of the library, all rows; all that stores compiles, flops begin at a defined
    state.
    """
    try:
        library = load(find(name).liberty)
    except ToolError as error:
        pytest.skip(f"{error}; MLSMAC_PDK_DIR is {os.environ.get('MLSMAC_PDK_DIR', 'unset')}")
    cells = _usable(library)
    gates = [cell for cell in cells if cell.inputs and not cell.states]
    width = max(len(cell.inputs) for cell in gates)
    lines, expected = ["module bench;", f"  reg [{width - 1}:0] x = 0;"], []
    for i, cell in enumerate(cells):
        pins = [f".{pin.name}(x[{j}])" for j, pin in enumerate(cell.inputs)]
        pins += [f".{pin.name}(y{i}[{j}])" for j, pin in enumerate(cell.outputs)]
        lines.append(f"  wire [{len(cell.outputs) - 1}:0] y{i};")
        lines.append(f"  {cell.name} u{i}({', '.join(pins)});")
    shown = ", ".join(f"y{i}" for i, cell in enumerate(cells) if cell in gates)
    states = ", ".join(f"y{i}" for i, cell in enumerate(cells) if cell.flop)
    lines.append(f'  initial begin #1 if (^{{{states}}} === 1\'bx) $display("undefined");')
    lines.append(f"    repeat ({1 << width}) begin #1 $displayb({{{shown}}}); x = x + 1; end")
    lines.append("  end\nendmodule")
    models = verilog_models(library, [cell.name for cell in cells], specify=True)
    printed = _simulate(tmp_path, models, "\n".join([TIMESCALE, *lines]))
    rows = np.arange(1 << width)
    for cell in gates:
        table = truth_table([pin.name for pin in cell.inputs])
        for pin in reversed(cell.outputs):
            column = np.broadcast_to(pin.function.evaluate(table), 1 << len(cell.inputs))
            expected.append(column[rows % (1 << len(cell.inputs))])
    bits = np.array([[bit == "1" for bit in line] for line in printed])
    np.testing.assert_array_equal(bits, np.array(expected).T)


FLOP_BENCH = """
module bench;
  reg [3:0] x = 0;
  wire q, shipped;
  integer i;
  CELL ours(PINS, .Q(q));
  shipped_CELL theirs(PINS, .Q(shipped));
  initial begin
    for (i = 0; i < 2000; i = i + 1) begin
      #1 x[$random & 3] = $random;
      #1 if (i > 100 && q !== shipped) $display("%0d: %b is not %b", i, q, shipped);
    end
    $display("done");
  end
endmodule
"""


@pytest.mark.eda
@pytest.mark.parametrize(
    ("kind", "pins"),
    [
        ("DFFPOSX1", ".CLK(x[0]), .D(x[1])"),
        ("DFFNEGX1", ".CLK(x[0]), .D(x[1])"),
        ("DFFSR", ".CLK(x[0]), .D(x[1]), .R(x[2]), .S(x[3])"),
    ],
)
def test_flops_follow_the_shipped_models(osu018, kind, pins, tmp_path):
    """Clock, data, clear and preset change one at a time, at random."""
    shipped = (
        osu018.liberty[0]
        .with_suffix(".v")
        .read_text()
        .replace(f"module {kind} ", f"module shipped_{kind} ")
    )
    ours = verilog_models(load(osu018.liberty), [kind], specify=True)
    bench = TIMESCALE + FLOP_BENCH.replace("CELL", kind).replace("PINS", pins)
    assert _simulate(tmp_path, ours, shipped, bench) == ["done"]
