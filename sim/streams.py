"""Benches of tiles and dot units behind streams: what they are driven with, how they are run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape
from amaranth.lib.data import Layout

from ..support.words import Codes, words
from ..units.interfaces import Interface, StreamConfiguration
from .corners import make_vectors
from .progress import Tell
from .runner import BenchResult, simulate
from .traffic import Traffic
from .vectors import DEFAULT_OPERATIONS, DEFAULT_SEED

_MODULES = {Interface.STREAM: "bench_streams", Interface.AXI: "bench_axi"}
PAUSES = 0.3
_TENSOR_SCALE = 0x3F400000  # 0.75
_SPARE = 64
"""Steps that hold a whole output, almost always."""


def run_stream_bench(
    configuration: StreamConfiguration,
    directory: Path,
    *,
    simulator: str = "icarus",
    operations: int = DEFAULT_OPERATIONS,
    seed: int = DEFAULT_SEED,
    progress: Tell | None = None,
) -> BenchResult:
    """Simulate a unit behind streams on the unit's own steps, both sides pausing at random, with a
    reset on the way. Parameters and errors as `run_bench`.
    """
    traffic = corner_traffic(configuration, operations, seed)
    return run_traffic(configuration, traffic, directory, simulator, progress=progress)


def run_traffic(
    configuration: StreamConfiguration,
    traffic: Traffic,
    directory: Path,
    simulator: str = "icarus",
    *,
    waves: bool = True,
    progress: Tell | None = None,
) -> BenchResult:
    """Simulate a unit behind streams on given traffic."""
    where = _MODULES[configuration.interface], traffic, directory, simulator
    return simulate(configuration, *where, waves=waves, progress=progress)


def corner_traffic(configuration: StreamConfiguration, operations: int, seed: int) -> Traffic:
    """The steps that the unit's own bench would drive, without the idle ones between groups and the
    marks that a stream derives: `operations` of them, and what is left of the output that the last
    one belongs to. Where an output begins, the one before it ends.
    """
    drawn = operations
    while True:
        inputs, outputs = _corners(configuration, drawn, seed)
        each = np.ones(drawn, np.int64)
        start, last = (inputs.get(mark, each) for mark in ("start", "last"))
        inside = np.cumsum(start) > np.cumsum(last) - last
        ends = np.flatnonzero(outputs["valid"])
        enough = ends[np.cumsum(inside)[ends] >= operations]
        if enough.size:
            break
        drawn = 2 * drawn + _SPARE
    ends = ends[ends <= enough[0]]
    inside[enough[0] + 1 :] = False
    return make_traffic(
        configuration,
        {port: codes[inside] for port, codes in inputs.items()},
        {port: codes[ends] for port, codes in outputs.items()},
        tensor_scale=_TENSOR_SCALE if "tensor_scale" in inputs else 0,
        seed=seed,
        restart=int(inside.sum()) // 3,
    )


def _corners(
    configuration: StreamConfiguration, operations: int, seed: int
) -> tuple[dict[str, Codes], Mapping[str, Codes]]:
    """Inputs of the unit's own bench and golden's outputs, where an output that begins ends the one
    before it.
    """
    inputs = dict(make_vectors(configuration.tile, operations, seed).inputs)
    if "tensor_scale" in inputs:
        inputs["tensor_scale"] = np.full(operations, _TENSOR_SCALE)
    last = inputs.get("last", np.ones(operations, np.int64))
    groups = np.flatnonzero(last)
    finish = np.append(inputs["first"][groups][1:], inputs["finish"][groups][-1:])
    inputs["finish"] = np.zeros(operations, np.int64)
    inputs["finish"][groups] = finish
    return inputs, configuration.tile.reference(inputs)


def make_traffic(
    configuration: StreamConfiguration,
    steps: Mapping[str, Codes],
    results: Mapping[str, Codes],
    *,
    tensor_scale: int = 0,
    source: float = PAUSES,
    sink: float = PAUSES,
    seed: int = DEFAULT_SEED,
    restart: int = 0,
    packet: int = 1,
) -> Traffic:
    """Traffic of `steps` (by field of a step) and the `results` (by field) expected of them."""
    component = configuration.build()
    axi = configuration.interface is Interface.AXI
    core = component.core if axi else component
    layout = component.s_axis_tdata.shape() if axi else core.i.payload.shape()
    z = results["z"].astype(np.int64)
    # `finish` implies `last`: half of these steps leave it out.
    implied = steps["finish"] & np.random.default_rng(seed).integers(0, 2, len(steps["finish"]))
    steps = {**steps, "last": steps.get("last", steps["finish"]) & ~implied}
    return Traffic(
        steps=_packed(layout, steps),
        last=steps["last"],
        finish=steps["finish"],
        results=z | (results.get("overflow", np.zeros_like(z)) << 32),
        tensor_scale=tensor_scale,
        interval=core.interval,
        latency=core.latency,
        slots=core.results,
        source=source,
        sink=sink,
        seed=seed,
        restart=restart,
        packet=packet,
    )


def _packed(layout: Layout, steps: Mapping[str, Codes]) -> npt.NDArray[np.uint8]:
    packed = [0] * len(steps["last"])
    for name, field in layout:
        for step, word in enumerate(words(steps[str(name)], field.width)):
            packed[step] |= word << field.offset
    size = -(-Shape.cast(layout).width // 8)
    whole = b"".join(word.to_bytes(size, "little") for word in packed)
    return np.frombuffer(whole, np.uint8).reshape(-1, size)
