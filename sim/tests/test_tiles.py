"""Tiles against the golden tile on corner vectors, and against golden's convolutions on layers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from amaranth.hdl import Shape

from mlsmac.data.quantized import QuantizedLayer
from mlsmac.golden.lowering import Kind
from mlsmac.sim.corners import make_vectors
from mlsmac.sim.layers import layers
from mlsmac.sim.memory_bench import MemoryBench
from mlsmac.sim.runner import run_bench, simulate
from mlsmac.sim.schedule import dot_schedule, schedule
from mlsmac.sim.vectors import Vectors, joined
from mlsmac.support.words import Codes
from mlsmac.units import configure
from mlsmac.units.catalogue import Configuration

TILES: list[tuple[str, int, dict[str, Any]]] = [
    ("mls_tile", 3000, {"lanes": 1, "acc_width": 16}),
    ("mls_tile", 3000, {"lanes": 3, "acc_width": 16}),
    ("mls_tile", 2000, {"lanes": 4, "acc_width": "auto", "length": 9, "scale": "8,0"}),
    ("mls_tile", 2000, {"lanes": 4, "overflow": "wrap", "sharing": 2, "acc_width": 16}),
    (
        "mls_tile",
        2000,
        {"lanes": 4, "sharing": 4, "format": "2,1", "tensor_scale": False, "acc_width": 16},
    ),
    ("mls_tile", 500, {"lanes": 16, "levels": 2, "acc_width": 16}),
    ("mls_tile", 1000, {"lanes": 16, "sharing": 4, "acc_width": 16}),
    ("mls_tile", 1000, {"lanes": 16, "sharing": 16, "acc_width": 16}),
    ("mls_tile", 2000, {"tree": "aligned", "lanes": 1, "guard_bits": 0, "acc_width": 16}),
    ("mls_tile", 2000, {"tree": "aligned", "lanes": 3, "acc_width": 16}),
    (
        "mls_tile",
        1500,
        {"tree": "aligned", "lanes": 4, "sharing": 2, "scale": "8,0", "acc_width": 16},
    ),
    ("mls_tile", 500, {"tree": "aligned", "lanes": 16, "sharing": 4, "acc_width": 19}),
    (
        "mls_tile",
        2000,
        {"tree": "exact", "lanes": 1, "scale": "4,3", "format": "2,1", "acc_width": 16},
    ),
    ("mls_tile", 1000, {"tree": "exact", "lanes": 3, "acc_width": 16}),
    (
        "mls_tile",
        1500,
        {"tree": "exact", "lanes": 4, "sharing": 4, "scale": "4,3", "tiles": 3, "acc_width": 16},
    ),
    ("fp8_tile", 1500, {"lanes": 3}),
    ("fp8_tile", 1500, {"lanes": 4, "format": "e5m2", "sharing": 2, "levels": 2}),
    ("fp32_tile", 1500, {"lanes": 1, "tensor_scale": True}),
    ("fp32_tile", 600, {"lanes": 3, "subnormals": False, "tensor_scale": True}),
    ("fp32_tile", 500, {"lanes": 4, "sharing": 4}),
    ("mls_tile", 1000, {"lanes": 3, "acc_width": 16, "clock_gating": True}),
    ("mls_tile", 1000, {"lanes": 4, "sharing": 2, "levels": 2, "clock_gating": True}),
    ("mls_tile", 1000, {"tree": "aligned", "lanes": 3, "clock_gating": True}),
    ("fp8_tile", 1000, {"lanes": 4, "sharing": 2, "clock_gating": True}),
    ("dot_tile", 1500, {"lanes": 2, "products": 4}),
    ("dot_tile", 1000, {"lanes": 3, "format": "2,4", "products": 4, "tensor_scale": False}),
    ("dot_tile", 600, {"lanes": 16, "operands": "codes"}),
    ("dot_tile", 600, {"lanes": 4, "format": "2,4", "window": 36, "blocks": 16, "flag": True}),
    ("dot_tile", 1000, {"lanes": 3, "accumulate": "exact", "scale": "4,3", "operands": "decoded"}),
    (
        "dot_tile",
        1000,
        {"lanes": 1, "format": "4,3", "scale": "none", "accumulate": "float32", "products": 5},
    ),
    ("dot_tile", 600, {"lanes": 1, "products": 32, "scale": "8,0"}),
]
SLOW = [case for case in TILES if case[0] == "dot_tile"][1:]
"""Ten seconds each; the first one stands for them."""

LANES = 4
CONFIGURATION = configure("mls_tile", lanes=LANES, acc_width=16)
TILE = CONFIGURATION.build()
STEPS = 3000
"""Of a layer and kind, about."""
MEMORY_STEPS = 100_000
"""Of a run of the memory bench."""


@pytest.mark.parametrize(
    ("name", "operations", "options"),
    [pytest.param(*case, marks=[pytest.mark.slow] if case in SLOW else []) for case in TILES],
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
    vectors = make_vectors(configure("mls_tile", lanes=4, acc_width=16), 20_000, 1)
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


EXACT = configure(
    "dot_tile", lanes=2, format="2,4", scale="4,1", accumulate="exact", blocks=1 << 12
)
WINDOW = configure("dot_tile", lanes=2, format="2,4", blocks=1 << 12)


def test_layers_through_dots(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Outputs of every fourth layer and kind, of exact sums: golden's convolutions bit for bit."""
    seed = pytestconfig.getoption("--vector-seed")
    parts = []
    for layer in list(layers(seed, EXACT.options["scale"]))[::4]:
        for kind in Kind:
            parts.append(_dot_vectors(EXACT, layer, kind, 4, seed))
            assert parts[-1].equal.all(), f"{layer.name} {kind}"
    simulator = pytestconfig.getoption("--simulator")
    vectors = joined([part.vectors for part in parts])
    result = simulate(EXACT, "bench_vectors", vectors, tmp_path, simulator)
    assert not result.mismatches, "\n".join(result.mismatches)
    print(f"{EXACT.slug}: {sum(len(part.equal) for part in parts)} outputs")


@pytest.mark.slow
@pytest.mark.parametrize("configuration", [EXACT, WINDOW], ids=["exact", "window"])
def test_all_layers_through_dots(
    configuration: Configuration, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """The same of every layer, and of a window, of which golden's tile tells what it drops."""
    seed, bench, equal = pytestconfig.getoption("--vector-seed"), None, []
    for layer in layers(seed, configuration.options["scale"]):
        for kind in Kind:
            part = _dot_vectors(configuration, layer, kind, 300, seed)
            equal.append(part.equal)
            assert part.equal.all() or configuration is WINDOW, f"{layer.name} {kind}"
            bench = bench or MemoryBench(configuration, part.vectors, tmp_path)
            result = bench.run(part.vectors)
            assert not result.mismatches, f"{layer.name} {kind}: {result.mismatches}"
    same = np.concatenate(equal)
    print(f"{configuration.slug}: {len(same)} outputs, {same.sum()} as golden's exact convolutions")


@dataclass(frozen=True)
class _Part:
    """Steps of some outputs of a convolution, and which of them are those of its exact sums."""

    vectors: Vectors
    equal: npt.NDArray[np.bool_]


def _dot_vectors(
    configuration: Configuration, layer: QuantizedLayer, kind: Kind, count: int, seed: int
) -> _Part:
    """Leaves cut into parts of as many products as a lane takes. Idle steps follow, so that the
    tensor scale may change.
    """
    tile = configuration.build()
    lowered = layer.convolution(kind, tile.products)
    chosen = lowered.draw(count, seed)
    shape = {"lanes": tile.lanes, "products": tile.products}
    plan = dot_schedule(lowered, *layer.operands(kind), **shape, outputs=chosen)
    inputs = {}
    for port, codes in plan.inputs.items():
        idle = np.repeat(codes[-1:] * (port == "tensor_scale"), tile.latency, axis=0)
        inputs[port] = np.concatenate([codes, idle])
    outputs = configuration.reference(inputs)
    z = layer.golden(kind, tree="exact", acc_width="auto").z.view(np.uint32).ravel()[chosen]
    widths = {
        name: Shape.cast(member.shape).width for name, member in tile.signature.members.items()
    }
    vectors = Vectors(inputs, outputs, widths, tile.latency, clocked=True)
    return _Part(vectors, outputs["z"][plan.finishes] == z)


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
