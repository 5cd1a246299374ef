"""Bench of a tile behind AXI4-Stream, driven by cocotbext-axi: results, packets, an output that is
stable while it waits, and the number of cycles.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from mlsmac.sim.progress import Counter
from mlsmac.sim.traffic import Traffic, pauses

_SHOWN = 10


@cocotb.test()
async def packets_match(dut: Any) -> None:
    """Send all steps after a reset, or some of them, reset, and all."""
    traffic = Traffic.load(Path(os.environ["MLSMAC_VECTORS"]))
    Clock(dut.aclk, 10, unit="ns", impl="gpi").start(start_high=False)
    bench = _Bench(dut, traffic)
    await bench.reset()
    cocotb.start_soon(bench.watch())
    if traffic.restart:
        bench.send(traffic.restart)
        while dut.s_axis_tvalid.value or bench.source.count():
            await FallingEdge(dut.aclk)
        await bench.reset()
    bench.send(traffic.operations)
    await bench.finish()
    if not (traffic.source or traffic.sink):
        # The register row in front takes one cycle.
        bench.compare("cycles", bench.end - bench.begin + 1, traffic.least_cycles() + 1)
    summary = {"checked": len(bench.given), "wrong": [{"text": text} for text in bench.wrong]}
    Path(os.environ["MLSMAC_SUMMARY"]).write_text(json.dumps(summary), encoding="utf-8")
    assert not bench.wrong, bench.wrong[0]


class _Bench:
    """The two sides, and all results given since the last reset: words {last, overflow, z}."""

    def __init__(self, dut: Any, traffic: Traffic):
        self.dut, self.traffic = dut, traffic
        self.wrong: list[str] = []
        self.given: list[int] = []
        self.begin = self.end = self.cycle = self.sent = 0
        self.count = Counter(traffic.restart + traffic.operations)
        ends = (np.arange(traffic.checks) + 1) % traffic.packet == 0
        self.expected = (traffic.results | ends.astype(np.int64) << 33).tolist()
        dut.packet.value = traffic.packet
        dut.aresetn.value = 0
        if traffic.tensor_scale:
            dut.tensor_scale.value = traffic.tensor_scale
        source, sink = (AxiStreamBus.from_prefix(dut, prefix) for prefix in ("s_axis", "m_axis"))
        clocked = (dut.aclk, dut.aresetn, False)
        self.source, self.sink = AxiStreamSource(source, *clocked), AxiStreamSink(sink, *clocked)
        self.source.set_pause_generator(pauses(traffic.source, traffic.seed + 1))
        self.sink.set_pause_generator(pauses(traffic.sink, traffic.seed + 2))

    def compare(self, what: str, value: Any, expected: Any) -> None:
        """Note a difference."""
        if value != expected:
            self.wrong.append(f"{what} must be {expected}, not {value}")

    async def reset(self) -> None:
        """Reset for two cycles; drop what the two sides still hold."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 2)
        self.source.clear()
        self.sink.clear()
        self.given.clear()
        await FallingEdge(self.dut.aclk)
        self.dut.aresetn.value = 1
        # Beyond the cycles that a tile takes after a reset.
        await ClockCycles(self.dut.aclk, 2 * self.traffic.interval)
        self.begin = 0

    def send(self, steps: int) -> None:
        """Queue the first steps, the frames being outputs."""
        size, begin = self.traffic.steps.shape[1], 0
        ends = self.traffic.finish[:steps].nonzero()[0] + 1
        for end in sorted({*ends.tolist(), steps}):
            data = self.traffic.steps[begin:end].tobytes()
            user = self.traffic.last[begin:end].repeat(size).tolist()
            self.source.send_nowait(AxiStreamFrame(data, tuser=user))
            begin = end

    async def finish(self) -> None:
        """Wait for all results, see that nothing follows, and compare."""
        patience = 10 * self.traffic.least_cycles() + 2000
        while len(self.given) < len(self.expected) and patience and not self.wrong:
            await FallingEdge(self.dut.aclk)
            patience -= 1
        await ClockCycles(self.dut.aclk, 40 * (self.traffic.latency + self.traffic.slots))
        self.compare("number of results", len(self.given), len(self.expected))
        packets = b"".join(bytes(self.sink.recv_nowait()) for _ in range(self.sink.count()))
        whole = self.traffic.checks - self.traffic.checks % self.traffic.packet
        low = (self.traffic.results[:whole] & 0xFFFFFFFF).astype("<u4")
        self.compare("whole packets", packets, low.tobytes())
        del self.wrong[_SHOWN:]

    def note(self, result: int) -> None:
        """Compare a result given in this cycle."""
        index, self.end = len(self.given), self.cycle
        expected = self.expected[index] if index < len(self.expected) else None
        self.compare(f"result {index} {{last, overflow, z}}", result, expected)
        self.given.append(result)

    async def watch(self) -> None:
        """Note every result given, and that one that waits stays as it is."""
        dut = self.dut
        waiting = None
        while True:
            await FallingEdge(dut.aclk)
            self.cycle += 1
            if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
                self.begin = self.begin or self.cycle
                self.sent += 1
                self.count(self.sent)
            shown = None
            if dut.aresetn.value and dut.m_axis_tvalid.value:
                user = int(dut.m_axis_tuser.value) if hasattr(dut, "m_axis_tuser") else 0
                high = int(dut.m_axis_tlast.value) << 33 | user << 32
                shown = high | int(dut.m_axis_tdata.value)
            if waiting is not None and dut.aresetn.value:
                self.compare(f"cycle {self.cycle}: a waiting result", shown, waiting)
            waiting = shown
            if shown is not None and dut.m_axis_tready.value:
                self.note(shown)
                waiting = None
