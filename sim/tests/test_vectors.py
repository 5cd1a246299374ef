"""The vectors reach what they are meant to reach."""

import numpy as np
import pytest

from mlsmac.golden.spec import FP32
from mlsmac.sim.corners import make_vectors
from mlsmac.units import configure

SEED = 2026


def test_mls_vectors_overflow_both_ways_and_hold_when_idle() -> None:
    vectors = make_vectors(configure("mls_mac", acc_width=16), 20_000, SEED)
    acc = vectors.outputs["acc"]
    assert np.count_nonzero(acc == 2**15 - 1) > 100
    assert np.count_nonzero(acc == -(2**15)) > 100
    assert 0.05 < vectors.outputs["overflow"].mean() < 0.95


@pytest.mark.parametrize("subnormals", [True, False])
def test_fp32_vectors_reach_every_kind_of_result(subnormals: bool) -> None:
    vectors = make_vectors(configure("fp32_mac", subnormals=subnormals), 50_000, SEED)
    magnitude = vectors.outputs["acc"] & 0x7FFFFFFF
    sign = vectors.outputs["acc"] >> 31
    kinds = {
        "infinity": magnitude == FP32.infinity,
        "nan": magnitude > FP32.infinity,
        "zero": magnitude == 0,
        "subnormal": (magnitude > 0) & (magnitude < 1 << 23),
    }
    for name, chosen in kinds.items():
        expected = subnormals or name != "subnormal"
        assert (np.count_nonzero(chosen & (sign == 0)) > 20) == expected, name
        if name != "nan":  # one canonical NaN, sign 0
            assert (np.count_nonzero(chosen & (sign == 1)) > 20) == expected, name


@pytest.mark.parametrize(
    "name", ["mls_mac", "fp32_mac", "fp8_mac", "int_mac", "lns_mac", "kulisch_mac"]
)
def test_idle_cycles_hold_the_sum(name: str) -> None:
    configuration = configure(name)
    vectors = make_vectors(configuration, 20_000, SEED)
    idle_w, idle_a = configuration.build().idle_operands
    idle = (vectors.inputs["w"] == idle_w) & (vectors.inputs["a"] == idle_a)
    idle &= vectors.inputs["start"] == 0
    assert idle.sum() > 500
    held = np.flatnonzero(idle)
    assert np.array_equal(vectors.outputs["acc"][held], vectors.outputs["acc"][held - 1])


def test_vectors_are_deterministic() -> None:
    one, two = (make_vectors(configure("fp8_mac"), 1000, SEED) for _ in range(2))
    assert all(np.array_equal(one.inputs[port], two.inputs[port]) for port in one.inputs)


def test_scaler_vectors_have_every_scale_and_kind_of_result() -> None:
    vectors = make_vectors(configure("group_scaler", acc_width=16), 10_000, SEED)
    w, a = vectors.inputs["w_scale"], vectors.inputs["a_scale"]
    scales = np.stack([(w >> 1) + (a >> 1), w & 1, a & 1])
    assert len(np.unique(scales, axis=1).T) == 511 * 4
    magnitude = vectors.outputs["z"] & 0x7FFFFFFF
    subnormal = (magnitude > 0) & (magnitude < 1 << 23)
    underflow = (magnitude == 0) & (vectors.inputs["p"] != 0)
    assert min(np.count_nonzero(kind) for kind in (subnormal, underflow)) > 100


@pytest.mark.parametrize("kind", ["fp32", "aligned", "exact"])
def test_tree_vectors_cancel_and_depend_on_the_order(kind: str) -> None:
    vectors = make_vectors(configure(f"{kind}_adder_tree", lanes=4), 2_000, SEED)
    steps = vectors.inputs["valid"] == 1
    assert 0.6 < steps.mean() < 0.9
    magnitude = vectors.outputs["sum"][steps] & 0x7FFFFFFF
    leaves = vectors.inputs["i" if kind == "fp32" else "p"][steps]
    cancelled = (magnitude == 0) & (leaves != 0).any(axis=1)
    subnormal = (magnitude > 0) & (magnitude < 1 << 23)
    assert min(np.count_nonzero(kind) for kind in (cancelled, subnormal)) > 10
    if kind == "fp32":
        floats = leaves.astype(np.uint32).view(np.float32)
        in_turn = ((floats[:, 0] + floats[:, 1]) + floats[:, 2]) + floats[:, 3]
        sums = vectors.outputs["sum"][steps].astype(np.uint32).view(np.float32)
        assert np.mean(sums != in_turn) > 0.1
