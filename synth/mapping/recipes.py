"""How a unit is mapped: the Yosys commands and ABC scripts, as text.

Three ways to build adders compete for every unit, because none wins everywhere: gates alone, the
library's full adders put in by structure, and its adder cells chosen by a mapper that knows cells
with two outputs. In deep arithmetic library adders glitch far less than the same adders in gates.
"""

import enum
from collections.abc import Sequence

from ..liberty.adder_cells import AdderCell
from ..liberty.cells import LibertyCell
from ..liberty.pdk import Pdk
from . import clock_gates

# yosys-abc reads no abc.rc, hence compress2rs in full.
_COMPRESS2RS = (
    "balance -l; resub -K 6 -l; rewrite -l; resub -K 6 -N 2 -l; refactor -l; resub -K 8 -l; "
    "balance -l; resub -K 8 -N 2 -l; rewrite -l; resub -K 10 -l; rewrite -z -l; "
    "resub -K 10 -N 2 -l; balance -l; resub -K 12 -l; refactor -z -l; resub -K 12 -N 2 -l; "
    "rewrite -z -l; balance -l"
)
# Without a limit of conflicts, the equivalence check takes half a minute on an FP32 multiplier.
_PREPARE = f"strash; &get -n; &fraig -x -C 100; &put; scorr; dc2; dc2; {_COMPRESS2RS}"
_BUFFER = "topo; buffer -c; topo"
# At a delay target (ps) that everything meets, upsize does nothing and dnsize takes the smallest
# cell everywhere.
_SMALLEST = "upsize -D 1000000; dnsize -D 1000000"
ABC_SCRIPTS = {
    "area": f"{_PREPARE}; dch; amap -m; {_BUFFER}; {_SMALLEST}",
    "speed": (
        f"{_PREPARE}; dc2; if -g -K 6; strash; dch; map -B 0.9 -D 1; {_BUFFER}; upsize; dnsize"
    ),
}
"""ABC scripts by name: the smallest netlist, and the fastest; both add buffers where a load is too
large.
"""
# Levels kept (no -l) and no choices (dch): reconvergent paths of unlike depth are what glitches.
_CALM = (
    f"{_PREPARE.replace(' -l', '')}; &get -n; &nf -R 1000 -F 10 -A 10; &put; {_BUFFER}; {_SMALLEST}"
)
_FIND_ADDERS = f"{_PREPARE}; emap; {_BUFFER}; {_SMALLEST}"
_AROUND_ADDERS = f"{_PREPARE}; emap -a -m; {_BUFFER}; {_SMALLEST}"


class Adders(enum.Enum):
    """What adders are made of."""

    GATES = "gates"
    """Single-output gates, by ABC's script."""
    FULL_ADDERS = "full_adders"
    """Ripple carries; three-input sums with their majority become full adder cells before ABC."""
    ADDER_CELLS = "adder_cells"
    """Ripple carries; ABC's multi-output mapper picks adder cells, the rest is mapped again."""


RIPPLE = """\
(* techmap_celltype = "$lcu" *)
module _80_lcu (P, G, CI, CO);
  parameter WIDTH = 2;
  input [WIDTH-1:0] P, G;
  input CI;
  output [WIDTH-1:0] CO;
  wire [WIDTH:0] carry = {CO, CI};
  assign CO = G | (P & carry[WIDTH-1:0]);
endmodule
"""
"""Techmap file: carries one after another instead of a prefix tree, as full adders need them."""


def full_adder_map(adder: AdderCell) -> str:
    """Techmap file: each bit of `$fa` is one full adder cell, unless an input is constant."""
    a, b, c = adder.inputs
    outputs = f".{adder.carry}(carry), .{adder.sum}(total)"
    carry, total = ("~" * inverted for inverted in (adder.carry_inverted, adder.sum_inverted))
    return f"""\
(* techmap_celltype = "$fa" *)
module _80_fa (A, B, C, X, Y);
  parameter WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  parameter _TECHMAP_CONSTMSK_C_ = 0;
  (* force_downto *) input [WIDTH-1:0] A, B, C;
  (* force_downto *) output [WIDTH-1:0] X, Y;
  localparam [WIDTH-1:0] CONSTANT =
    _TECHMAP_CONSTMSK_A_ | _TECHMAP_CONSTMSK_B_ | _TECHMAP_CONSTMSK_C_;
  genvar i;
  generate for (i = 0; i < WIDTH; i = i + 1) begin : g
    if (CONSTANT[i]) begin
      assign Y[i] = A[i] ^ B[i] ^ C[i];
      assign X[i] = (A[i] & B[i]) | (C[i] & (A[i] ^ B[i]));
    end else begin
      wire carry, total;
      {adder.cell} fa (.{a}(A[i]), .{b}(B[i]), .{c}(C[i]), {outputs});
      assign X[i] = {carry}carry;
      assign Y[i] = {total}total;
    end
  end endgenerate
endmodule
"""


def yosys_script(
    top: str,
    pdk: Pdk,
    *,
    adders: Adders,
    cells: Sequence[AdderCell],
    script: str,
    gate: LibertyCell | None = None,
) -> str:
    """The Yosys commands that map `top`; file names are relative to the working directory. Flops
    with a common enable get the clock gate `gate`, if there is one, else a multiplexer each.

    Reads unit.il, cells.lib (the cells that may be used), constraints, and for adders other than
    gates ripple.v and fa.v; writes generic.json (before cells are chosen) and out.json.
    """
    ties = [
        f"-{option} {tie[0]} {tie[1]}"
        for option, tie in (("hicell", pdk.tie_high), ("locell", pdk.tie_low))
        if tie
    ]

    def abc(commands: str) -> str:
        # Inline, since ABC cannot source a file with a space in its path; commas stand for blanks.
        inline = commands.replace(" ", ",")
        return f"abc -liberty cells.lib -script +{inline} -constr constraints"

    generic, mapped = {
        Adders.GATES: ([f"synth -noabc -flatten -top {top}"], [abc(ABC_SCRIPTS[script])]),
        Adders.FULL_ADDERS: ([*_rippled(top), *_EXTRACT], [abc(_CALM)]),
        Adders.ADDER_CELLS: (
            _rippled(top),
            [abc(_FIND_ADDERS), *_keep_adders(cells), abc(_AROUND_ADDERS)],
        ),
    }[adders]
    lines = [
        "read_rtlil unit.il",
        f"hierarchy -check -top {top}",
        "setattr -unset init w:*",
        *generic,
        # Sorts the design, too: what follows depends on the order.
        "write_json generic.json",
        *([clock_gates.command(gate)] if gate else []),
        "dfflibmap -liberty cells.lib",
        "select -set flops c:* t:$* %d",
        *mapped,
        *([f"hilomap -singleton {' '.join(ties)}"] if ties else []),
        "opt_clean -purge",
        "splitnets",
        "opt_clean -purge",
        "rename -enumerate -pattern g% c:*",
        "rename -enumerate -pattern n% w:*",
        "write_json out.json",
    ]
    return "\n".join(lines) + "\n"


def _rippled(top: str) -> list[str]:
    """Down to gates with ripple carries."""
    return [
        f"synth -flatten -noshare -top {top} -run begin:fine",
        "opt -fast -full",
        "memory_map",
        "opt -full",
        "maccmap",
        "alumacc",
        "opt -fast",
        "techmap -map ripple.v -map +/techmap.v",
        "techmap",
        "opt -fast",
    ]


_EXTRACT = (
    "extract_fa -fa",
    "opt_clean",
    "techmap -map fa.v",
    "techmap",
    "opt -fast",
    "opt_clean",
)


def _keep_adders(cells: Sequence[AdderCell]) -> list[str]:
    """Between two runs of ABC: adder cells of which both outputs are used stay, all else but the
    flops goes back to gates.

    `%x`, since Yosys does not know the directions of library pins.
    """
    lines = [
        "design -push",
        "read_liberty -ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch cells.lib",
        "design -stash library",
        "design -pop",
        "select -set keep w:* w:* %d",
    ]
    for adder in cells:
        used = [
            f"w:* %x1:+{adder.cell}[{pin}] t:{adder.cell} %i" for pin in (adder.carry, adder.sum)
        ]
        lines.append(f"select -set keep @keep {' '.join(used)} %i %u")
    return [
        *lines,
        "select -set back c:* @flops %d t:$* %d @keep %d",
        "techmap -map %library @back",
        "techmap",
        "opt -fast",
        "opt_clean",
    ]
