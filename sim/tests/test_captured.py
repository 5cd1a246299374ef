"""Both passes of the quantizer on captured tensors, every code of every beat; with --all-outputs
every layer and the whole matrix of formats, scales and rounding rules, in Verilator.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Shape

from mlsmac.data import Layer, load
from mlsmac.sim.captured import quantizer_beats, statistics_beats
from mlsmac.sim.memory_bench import MemoryBench
from mlsmac.sim.vectors import Vectors
from mlsmac.support.words import Codes
from mlsmac.units import configure, reference
from mlsmac.units.catalogue import Configuration

SCALES = ("8,1", "8,0", "4,1")
FORMATS = ("2,4", "2,1", "1,2", "0,4", "4,3")
RULES = tuple(product(("clip", "carry"), ("stochastic", "nearest")))
MATRIX = [
    {"format": format, "scale": scale, "carry": carry, "rounding": rounding}
    for format, scale, (carry, rounding) in product(FORMATS, SCALES, RULES)
]
FEW = MATRIX[:1]
LANES = 2


def _extent(config: pytest.Config) -> tuple[tuple[Layer, ...], list[dict[str, str]], str]:
    """Layers, options and simulator: one layer takes less time than to compile its model."""
    if config.getoption("--all-outputs"):
        return load(), MATRIX, "verilator"
    return load()[:1], FEW, config.getoption("--simulator")


def test_statistics_on_captured_tensors(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """The first pass finds the maxima that the second is fed."""
    layers, _, simulator = _extent(pytestconfig)
    first = configure("tensor_statistics", lanes=LANES)
    second = configure("mls_quantizer", lanes=LANES)
    bench = None
    for layer in layers:
        passes = zip(statistics_beats(layer, LANES), quantizer_beats(layer, second), strict=True)
        for inputs, fed in passes:
            vectors = _vectors(first, inputs)
            found = vectors.outputs
            ends = inputs["last"] == 1
            assert np.array_equal(found["group_valid"], inputs["last"])
            assert np.array_equal(found["group_max"][ends], fed["group_max"][ends])
            assert found["tensor_max"][-1] == fed["tensor_max"][-1]
            bench = bench or MemoryBench(first, vectors, tmp_path, simulator)
            result = bench.run(vectors)
            assert not result.mismatches, "\n".join(result.mismatches)


def _vectors(configuration: Configuration, inputs: dict[str, Codes]) -> Vectors:
    component = configuration.build()
    members = component.signature.members.items()
    widths = {name: Shape.cast(member.shape).width for name, member in members}
    outputs = reference(configuration.name, configuration.options, inputs)
    return Vectors(inputs, outputs, widths, component.latency, True)


def test_quantizer_on_captured_tensors(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    layers, matrix, simulator = _extent(pytestconfig)
    for number, options in enumerate(matrix):
        configuration = configure("mls_quantizer", lanes=LANES, **options)
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = None
        elements = checked = 0
        for layer in layers:
            for inputs in quantizer_beats(layer, configuration):
                vectors = _vectors(configuration, inputs)
                bench = bench or MemoryBench(configuration, vectors, folder, simulator)
                result = bench.run(vectors)
                assert not result.mismatches, "\n".join(result.mismatches)
                checked += result.checked
            elements += sum(tensor.size for tensor in layer.tensors().values())
        assert checked >= 3 * elements / LANES  # codes, scale code and flag of each beat
        print(f"{configuration.slug}: {elements} elements")
