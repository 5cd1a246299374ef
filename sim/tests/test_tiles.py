"""Tiles against the golden tile on corner vectors, and against golden's convolutions on layers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Shape

from mlsmac.golden.lowering import Kind
from mlsmac.sim.corners import make_vectors
from mlsmac.sim.layers import QuantizedLayer, layers
from mlsmac.sim.memory_bench import MemoryBench
from mlsmac.sim.runner import run_bench
from mlsmac.sim.schedule import schedule
from mlsmac.sim.vectors import Vectors
from mlsmac.support.words import Codes
from mlsmac.units import configure

TILES: list[tuple[str, int, dict[str, Any]]] = [
    ("mls_tile", 3000, {"lanes": 1}),
    ("mls_tile", 3000, {"lanes": 3}),
    ("mls_tile", 2000, {"lanes": 4, "acc_width": "auto", "length": 9, "scale": "8,0"}),
    ("mls_tile", 2000, {"lanes": 4, "overflow": "wrap", "sharing": 2}),
    ("mls_tile", 2000, {"lanes": 4, "sharing": 4, "format": "2,1", "tensor_scale": False}),
    ("mls_tile", 500, {"lanes": 16, "levels": 2}),
    ("mls_tile", 1000, {"lanes": 16, "sharing": 4}),
    ("mls_tile", 1000, {"lanes": 16, "sharing": 16}),
    ("mls_tile", 2000, {"tree": "aligned", "lanes": 1, "guard_bits": 0}),
    ("mls_tile", 2000, {"tree": "aligned", "lanes": 3}),
    ("mls_tile", 1500, {"tree": "aligned", "lanes": 4, "sharing": 2, "scale": "8,0"}),
    ("mls_tile", 500, {"tree": "aligned", "lanes": 16, "sharing": 4, "acc_width": 19}),
    ("mls_tile", 2000, {"tree": "exact", "lanes": 1, "scale": "4,3", "format": "2,1"}),
    ("mls_tile", 1000, {"tree": "exact", "lanes": 3}),
    ("mls_tile", 1500, {"tree": "exact", "lanes": 4, "sharing": 4, "scale": "4,3", "tiles": 3}),
    ("fp8_tile", 1500, {"lanes": 3}),
    ("fp8_tile", 1500, {"lanes": 4, "format": "e5m2", "sharing": 2, "levels": 2}),
    ("fp32_tile", 1500, {"lanes": 1, "tensor_scale": True}),
    ("fp32_tile", 600, {"lanes": 3, "subnormals": False, "tensor_scale": True}),
    ("fp32_tile", 500, {"lanes": 4, "sharing": 4}),
]

LANES = 4
CONFIGURATION = configure("mls_tile", lanes=LANES)
TILE = CONFIGURATION.build()
STEPS = 3000
"""Of a layer and kind, about."""
MEMORY_STEPS = 100_000
"""Of a run of the memory bench."""


@pytest.mark.parametrize(
    ("name", "operations", "options"),
    TILES,
    ids=[configure(name, **options).slug for name, _, options in TILES],
)
def test_tile_matches_golden(
    name: str, operations: int, options: dict[str, Any], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    result = run_bench(
        configure(name, **options),
        tmp_path,
        simulator=pytestconfig.getoption("--simulator"),
        operations=operations,
        seed=pytestconfig.getoption("--vector-seed"),
    )
    assert not result.mismatches, "\n".join(result.mismatches)


def test_corner_vectors_reach_the_corners() -> None:
    vectors = make_vectors(configure("mls_tile", lanes=4), 20_000, 1)
    new = vectors.outputs["valid"] == 1
    z = vectors.outputs["z"][new]
    magnitude, exponent = z & 0x7FFFFFFF, z >> 23 & 255
    assert 0.2 < vectors.outputs["overflow"][new].mean() < 0.9
    for share in (magnitude == 0, (exponent == 0) & (magnitude > 0), exponent == 255):
        assert share.mean() > 0.02
    assert np.diff(np.flatnonzero(vectors.inputs["last"])).min() == 4  # the interval


def test_layers_match_golden_convolutions(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Outputs of every layer and kind: a few of each, with --all-outputs all."""
    seed = pytestconfig.getoption("--vector-seed")
    bench, compared = None, {}
    for layer in layers(seed):
        for kind in Kind:
            lowered = layer.convolution(kind)
            z = layer.golden(kind, lanes=LANES).z.view(np.uint32).astype(np.int64).ravel()
            steps = -(-lowered.groups // LANES) * max(lowered.products, TILE.interval)
            chosen = lowered.draw(max(STEPS // steps, 2), seed)
            if pytestconfig.getoption("--all-outputs"):
                chosen = np.arange(lowered.size)
            for outputs in np.array_split(chosen, -(-len(chosen) * steps // MEMORY_STEPS)):
                vectors = _vectors(layer, kind, outputs, z[outputs])
                bench = bench or MemoryBench(CONFIGURATION, vectors, tmp_path)
                result = bench.run(vectors)
                assert not result.mismatches, f"{layer.name} {kind}: {result.mismatches}"
            compared[layer.name, kind] = f"{len(chosen)} of {z.size}"
    for (name, kind), count in compared.items():
        print(f"{name} {kind}: {count} outputs")
    assert len(compared) == 18 * len(Kind)


def _vectors(layer: QuantizedLayer, kind: Kind, outputs: Codes, z: Codes) -> Vectors:
    """Steps of these outputs and an idle one, which the bench repeats; `z` holds from the end of
    each output to the next's, and is 0 before them.
    """
    plan = schedule(
        layer.convolution(kind),
        *layer.operands(kind),
        lanes=LANES,
        interval=TILE.interval,
        outputs=outputs,
    )
    inputs = {
        port: np.concatenate([codes, codes[-1:] * (port == "tensor_scale")])
        for port, codes in plan.inputs.items()
    }
    valid = inputs["finish"]
    expected = {"z": np.concatenate([[0], z])[np.cumsum(valid) - 1], "valid": valid}
    members = TILE.signature.members.items()
    widths = {name: Shape.cast(member.shape).width for name, member in members}
    return Vectors(inputs, expected, widths, TILE.latency, clocked=True)
