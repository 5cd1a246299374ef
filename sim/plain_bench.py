"""A unit's vectors and a bench in plain Verilog (2001) as files: any simulator runs it, without
Python.
"""

import json
from collections.abc import Mapping

from ..support.words import words
from .vectors import Vectors

_BENCH = """\
// {slug} on {steps} steps, vectors of seed {seed}.
// Inputs are the words of their ports' .hex files; {delay} {time} later outputs must be those of
// theirs, which the golden model of mlsmac computed. Run it in the folder of these files.
// It prints PASS, or FAIL and the first {shown} mismatches.
module {slug}_tb;
  localparam STEPS = {steps};
  localparam DELAY = {delay};

{declarations}
  integer step, wrong, missing, file;

  {slug} dut({connections});

  initial begin
    wrong = 0;
    missing = 0;
{reads}
    if (missing != 0) $display("FAIL: %0d files of vectors are missing", missing);
    else begin
      for (step = 0; step < STEPS + DELAY; step = step + 1) begin
        if (step >= DELAY) begin
{compares}
        end
        if (step < STEPS) begin
{drives}
        end
        {advance}
      end
      if (wrong == 0) $display("PASS: {slug}: %0d steps, %0d outputs", STEPS, {checks});
      else $display("FAIL: {slug}: %0d of %0d outputs are wrong", wrong, {checks});
    end
    $finish;
  end
endmodule
"""

# A simulator may go on where it finds no file, and zeros computed from zeros would pass.
_READ = """\
    file = $fopen("{file}", "r");
    if (file == 0) missing = missing + 1;
    else begin
      $fclose(file);
      $readmemh("{file}", {port}_codes);
    end"""

_COMPARE = """\
          if ({port} !== {port}_codes[step - DELAY]) begin
            wrong = wrong + 1;
            if (wrong <= {shown})
              $display("step %0d: {port} must be %h, not %h",
                       step - DELAY, {port}_codes[step - DELAY], {port});
          end"""

_SHOWN = 10
"""Mismatches that are printed."""


def vector_files(slug: str, vectors: Vectors, seed: int) -> dict[str, str]:
    """Texts by file name: for each port `<slug>.<port>.hex`, the word of each step in hexadecimal
    on a line of its own (the lanes of an array side by side, lane 0 lowest; negative ones in two's
    complement), and `<slug>.vectors.json`, which tells of the ports and of when outputs are due.
    """
    ports = [
        {
            "name": port,
            "direction": direction,
            "width": vectors.widths[port],
            "lanes": codes.shape[1] if codes.ndim > 1 else 1,
            "file": _file(slug, port),
        }
        for direction, group in (("input", vectors.inputs), ("output", vectors.outputs))
        for port, codes in group.items()
    ]
    about = {
        "unit": slug,
        "seed": seed,
        "steps": vectors.operations,
        "delay": vectors.delay,
        "clocked": vectors.clocked,
        "ports": ports,
    }
    texts = {
        _file(slug, port): "".join(f"{word:x}\n" for word in words(codes, vectors.widths[port]))
        for port, codes in {**vectors.inputs, **vectors.outputs}.items()
    }
    return {**texts, f"{slug}.vectors.json": json.dumps(about, indent=2) + "\n"}


def bench_files(slug: str, vectors: Vectors, seed: int) -> dict[str, str]:
    """The bench `<slug>_tb.v` and the vectors that it reads from the folder it is run in.

    A clocked unit is driven while its clock is low and compared before the next inputs.
    """
    return {f"{slug}_tb.v": _bench(slug, vectors, seed), **vector_files(slug, vectors, seed)}


def _file(slug: str, port: str) -> str:
    return f"{slug}.{port}.hex"


def _bench(slug: str, vectors: Vectors, seed: int) -> str:
    both = [*vectors.inputs, *vectors.outputs]
    connected = [*(["clk"] if vectors.clocked else []), *both]
    return _BENCH.format(
        slug=slug,
        steps=vectors.operations,
        seed=seed,
        delay=vectors.delay,
        time="cycles" if vectors.clocked else "step",
        shown=_SHOWN,
        checks=vectors.checks,
        declarations=_declarations(vectors),
        connections=", ".join(f".{port}({port})" for port in connected),
        reads="\n".join(_READ.format(file=_file(slug, port), port=port) for port in both),
        compares="\n".join(_COMPARE.format(port=port, shown=_SHOWN) for port in vectors.outputs),
        drives="\n".join(f"          {port} = {port}_codes[step];" for port in vectors.inputs),
        advance="#5 clk = 1;\n        #5 clk = 0;" if vectors.clocked else "#10;",
    )


def _declarations(vectors: Vectors) -> str:
    kinds: list[tuple[str, Mapping[str, object]]] = [
        ("reg", vectors.inputs),
        ("wire", vectors.outputs),
    ]
    lines = ["  reg clk = 0;"] if vectors.clocked else []
    for kind, ports in kinds:
        for port in ports:
            msb = vectors.widths[port] - 1
            lines.append(f"  {kind} [{msb}:0] {port};")
            lines.append(f"  reg [{msb}:0] {port}_codes [0:STEPS-1];")
    return "\n".join(lines)
