"""The quantizer on the captured tensors, every code of every beat; with --all-outputs every layer
and the whole matrix of formats, scales and rounding rules.
"""

from itertools import product
from pathlib import Path

import pytest
from amaranth.hdl import Shape

from mlsmac.data import load
from mlsmac.golden.reference import reference
from mlsmac.hw.units import configure
from mlsmac.sim.captured import quantizer_beats
from mlsmac.sim.memory_bench import MemoryBench
from mlsmac.sim.vectors import Vectors

SCALES = ("8,1", "8,0", "4,1")
FORMATS = ("2,4", "2,1", "1,2", "0,4", "4,3")
RULES = tuple(product(("clip", "carry"), ("stochastic", "nearest")))
MATRIX = [
    {"format": format, "scale": scale, "carry": carry, "rounding": rounding}
    for format, scale, (carry, rounding) in product(FORMATS, SCALES, RULES)
]
FEW = MATRIX[:1]


def test_quantizer_on_captured_tensors(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    everything = pytestconfig.getoption("--all-outputs")
    layers = load() if everything else load()[:1]
    for number, options in enumerate(MATRIX if everything else FEW):
        configuration = configure("mls_quantizer", lanes=2, **options)
        folder = tmp_path / str(number)
        folder.mkdir()
        component = configuration.build()
        members = component.signature.members.items()
        widths = {name: Shape.cast(member.shape).width for name, member in members}
        bench = None
        elements = checked = 0
        for layer in layers:
            for inputs in quantizer_beats(layer, configuration):
                outputs = reference("mls_quantizer", configuration.options, inputs)
                vectors = Vectors(inputs, outputs, widths, component.latency, True)
                bench = bench or MemoryBench(configuration, vectors, folder)
                result = bench.run(vectors)
                assert not result.mismatches, "\n".join(result.mismatches)
                checked += result.checked
            elements += sum(tensor.size for tensor in layer.tensors().values())
        assert checked >= 3 * elements / 2  # codes, scale code and flag of each beat of two lanes
        print(f"{configuration.slug}: {elements} elements")
