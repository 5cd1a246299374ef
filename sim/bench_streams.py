"""Bench of a tile behind streams: in every cycle both handshakes and the result are exactly what
its documentation says, so that no result is lost, doubled or changed while it waits.
"""

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from mlsmac.sim.progress import Counter
from mlsmac.sim.traffic import Handshakes, Traffic, pauses


@cocotb.test()
async def every_cycle_matches(dut: Any) -> None:
    """Play all steps from a reset on, or some of them, reset, and all."""
    traffic = Traffic.load(Path(os.environ["MLSMAC_VECTORS"]))
    Clock(dut.clk, 10, unit="ns", impl="gpi").start(start_high=False)
    if traffic.tensor_scale:
        dut.tensor_scale.value = traffic.tensor_scale
    wrong: list[str] = []
    if traffic.restart:
        await _play(dut, traffic, traffic.restart, wrong)
    checked = 0 if wrong else await _play(dut, traffic, traffic.operations, wrong)
    summary = {"checked": checked, "wrong": [{"text": text} for text in wrong]}
    Path(os.environ["MLSMAC_SUMMARY"]).write_text(json.dumps(summary), encoding="utf-8")
    assert not wrong, wrong[0]


async def _play(dut: Any, traffic: Traffic, steps: int, wrong: list[str]) -> int:
    """Reset for one cycle, send the first `steps` steps and take what comes, in the last play until
    all is there and nothing follows; the number of results taken.
    """
    dut.rst.value, dut.i__valid.value = 1, 0
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    handshakes = Handshakes(traffic)
    words, results = traffic.words(), traffic.results.tolist()
    rng = random.Random(traffic.seed)
    source = pauses(traffic.source, traffic.seed + 1)
    sink = pauses(traffic.sink, traffic.seed + 2)
    sent = received = 0
    offered = False
    count = Counter(traffic.restart + traffic.operations)
    before = traffic.restart if steps == traffic.operations else 0
    quiet = 2 * (traffic.latency + traffic.slots) if steps == traffic.operations else 0
    expected = len(results) if quiet else 0
    while (sent < steps or received < expected or quiet) and not wrong:
        offered = sent < steps and (offered or not next(source))
        # What lies on the wires of an idle source must not matter.
        shown = sent if offered else rng.randrange(len(words))
        take = not next(sink)
        dut.i__payload.value = words[shown]
        dut.i__valid.value, dut.o__ready.value = offered, take
        await ReadOnly()
        marks = bool(traffic.last[shown]), bool(traffic.finish[shown])
        ready, valid = handshakes.ready(*marks), handshakes.valid()
        seen = {"i.ready": (ready, dut.i__ready), "o.valid": (valid, dut.o__valid)}
        if valid and received < len(results):
            seen[f"result {received}"] = (results[received], dut.o__payload)
        for what, (value, handle) in seen.items():
            if str(handle.value) != f"{value:0{len(handle)}b}":
                text = f"cycle {handshakes.cycle}: {what} must be {value:#x}, not {handle.value}"
                wrong.append(text)
        accept, give = offered and ready, valid and take
        handshakes.advance(marks[0] and accept, marks[1] and accept, give)
        sent, received = sent + accept, received + give
        offered = offered and not accept
        count(before + sent)
        if sent == steps and received >= expected and quiet:
            quiet -= 1
        await FallingEdge(dut.clk)
    return received
