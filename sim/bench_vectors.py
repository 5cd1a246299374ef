"""The one bench: runs inside the simulator, drives every step of the vectors and checks every
output.
"""

import json
import os
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from mlsmac.sim.progress import Counter
from mlsmac.sim.vectors import Vectors
from mlsmac.support.words import words

_SHOWN = 10


@cocotb.test()
async def outputs_match_golden(dut):
    """Drive at the falling edge, sample at a later falling edge: every output settled, none
    missed.
    """
    vectors = Vectors.load(Path(os.environ["MLSMAC_VECTORS"]))
    if vectors.clocked:
        Clock(dut.clk, 10, unit="ns", impl="gpi").start(start_high=False)
    step = FallingEdge(dut.clk) if vectors.clocked else Timer(10, "ns")
    inputs = [
        (getattr(dut, port), words(values, vectors.widths[port]))
        for port, values in vectors.inputs.items()
    ]
    outputs = []
    for port, values in vectors.outputs.items():
        width = vectors.widths[port]
        expected = [f"{word:0{width}b}" for word in words(values, width)]
        outputs.append((port, getattr(dut, port), expected))
    checked, wrong, count = 0, [], Counter(vectors.operations)
    await step
    for time in range(vectors.operations + vectors.delay):
        done = time - vectors.delay
        if done >= 0:
            count(done)
            for port, handle, expected in outputs:
                text = str(handle.value)
                checked += 1
                if text != expected[done]:
                    value = int(text, 2) if set(text) <= {"0", "1"} else text
                    wrong.append({"step": done, "port": port, "value": value})
            if len(wrong) >= _SHOWN:
                break
        if time < vectors.operations:
            for handle, codes in inputs:
                if not time or codes[time] != codes[time - 1]:
                    handle.value = codes[time]
        await step
    summary = {"checked": checked, "wrong": wrong}
    Path(os.environ["MLSMAC_SUMMARY"]).write_text(json.dumps(summary), encoding="utf-8")
    assert not wrong, f"{len(wrong)} mismatches"
