"""The golden tile of dots against the definition in rationals, and against the convolutions."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mlsmac.golden import (
    MLS_E2M1,
    SCALE_E8M1,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    dot_tile,
    quantize,
)
from mlsmac.golden.lowering import convolution
from mlsmac.sim.schedule import dot_schedule

CONVOLVE = {"wa": conv2d, "we": conv2d_input_grad, "ae": conv2d_weight_grad}


def drawn(steps: int, lanes: int, products: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Outputs of some steps, the first one of one step."""
    rng = np.random.default_rng(seed)
    ends = rng.random(steps) < 0.4
    ends[0] = True
    ports = {port: rng.integers(0, 16, (steps, lanes * products)) for port in "wa"}
    ports |= {f"{port}_scale": rng.integers(0, 40, (steps, lanes)) for port in "wa"}
    ports |= {"first": np.append(1, ends[:-1]).astype(int), "finish": ends.astype(int)}
    scale = np.array(rng.normal(size=steps), np.float32).view(np.uint32).astype(np.int64)
    return ports | {"tensor_scale": scale}


def value(code: int) -> Fraction:
    """Of a `<2,1>` element."""
    mantissa, exponent = code & 1, code >> 1 & 3
    size = Fraction(2 * (exponent > 0) + mantissa, 2) * Fraction(2) ** (max(exponent, 1) - 4)
    return -size if code >> 3 else size


def group_scale(code: int) -> Fraction:
    """Of `<8,1>`."""
    return (1 + Fraction(code & 1, 2)) / 2 ** (code >> 1)


def floor_unit(window: int, products: int, blocks: int) -> Fraction:
    """Of the last bit of a window over `<2,1>` elements of at most 12 2^-4 and `<8,1>` scales."""
    term = (products * 12**2 * 3**2).bit_length() + 1
    guard = window - term - (blocks - 1).bit_length()
    return Fraction(1, 2 ** (guard + 2 + 8))


@pytest.mark.parametrize(
    ("options", "unit"),
    [
        ({"accumulate": "exact"}, None),
        ({"window": 30, "blocks": 16}, floor_unit(30, 4, 16)),
        ({"window": 20, "blocks": 1024}, floor_unit(20, 4, 1024)),
    ],
)
def test_outputs_are_sums_rounded_times_the_tensor_scale(
    options: dict[str, Any], unit: Fraction | None
) -> None:
    """Exact ones, or what a window keeps of each lane's term: floored."""
    lanes, products, steps = 3, 4, 200
    inputs = drawn(steps, lanes, products)
    inputs["tensor_scale"][::7] = [0x80000000, 0x7F800000, 1, 0][options.get("window", 0) // 10]
    outputs = dot_tile(inputs, format=MLS_E2M1, lanes=lanes, products=products, **options)
    total, z = Fraction(0), np.float32(0)
    for step in range(steps):
        if inputs["first"][step]:
            total = Fraction(0)
        for lane in range(lanes):
            own = slice(lane * products, (lane + 1) * products)
            pairs = zip(inputs["w"][step, own], inputs["a"][step, own], strict=True)
            p = sum((value(int(w)) * value(int(a)) for w, a in pairs), Fraction(0))
            scales = (group_scale(int(inputs[f"{port}_scale"][step, lane])) for port in "wa")
            term = p * next(scales) * next(scales)
            total += term if unit is None else term // unit * unit
        if inputs["finish"][step]:
            factor = np.array(inputs["tensor_scale"][step], np.uint32).view(np.float32)
            with np.errstate(invalid="ignore"):
                z = np.float32(float(total)) * factor
            assert Fraction(float(total)) == total, "float64 holds it"
        told = np.array(outputs["z"][step], np.uint32).view(np.float32)
        assert (np.isnan(told) and np.isnan(z)) or outputs["z"][step] == int(z.view(np.uint32))
        assert outputs["valid"][step] == inputs["finish"][step]


def test_without_a_tensor_scale_z_is_the_sum() -> None:
    inputs = drawn(100, 2, 3)
    options: dict[str, Any] = {"format": MLS_E2M1, "lanes": 2, "products": 3}
    plain = dot_tile(inputs, **options, tensor_scale=False)
    one = np.full(100, 0x3F800000)
    assert np.array_equal(plain["z"], dot_tile(inputs | {"tensor_scale": one}, **options)["z"])


@pytest.mark.parametrize("kind", CONVOLVE)
@pytest.mark.parametrize(("kernel", "products"), [(3, 9), (3, 4), (1, 9), (3, 2)])
def test_layers_are_golden_s_exact_convolutions(kind: str, kernel: int, products: int) -> None:
    """Whatever part of a kernel or plane a lane takes."""
    rng = np.random.default_rng(3)
    shapes = {"w": (3, 5, kernel, kernel), "a": (2, 5, 6, 6), "e": (2, 3, 6, 6)}
    tensors = {
        name: quantize(rng.normal(size=shape).astype(np.float32), MLS_E2M1, SCALE_E8M1, rng=rng)
        for name, shape in shapes.items()
    }
    w, a = (tensors[name] for name in kind)
    named = {"we": {"input_size": (6, 6)}, "ae": {"kernel_size": (kernel, kernel)}}.get(kind, {})
    padding = kernel // 2
    z = CONVOLVE[kind](w, a, padding=padding, tree="exact", acc_width="auto", **named).z
    size = next(iter(named.values()), None)
    lowered = convolution(kind, w.shape, a.shape, padding=padding, size=size, segment=products)
    plan = dot_schedule(lowered, w, a, lanes=4, products=products)
    outputs = dot_tile(plan.inputs, format=MLS_E2M1, lanes=4, products=products)
    assert np.array_equal(outputs["z"][plan.finishes], z.view(np.uint32).ravel())


def test_a_lane_takes_no_more_than_its_products() -> None:
    tensor = quantize(np.ones((1, 1, 3, 3), np.float32), MLS_E2M1, SCALE_E8M1, rounding="nearest")
    lowered = convolution("wa", tensor.shape, tensor.shape)
    with pytest.raises(ValueError, match="segment must be at most 4, not 9"):
        dot_schedule(lowered, tensor, tensor, lanes=1, products=4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lanes": 65}, r"lanes must be in 1\.\.64, not 65"),
        ({"products": 0}, r"products must be in 1\.\.1024, not 0"),
    ],
)
def test_refuses(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dot_tile(drawn(5, 1, 1), **{"format": MLS_E2M1, "lanes": 1, "products": 1, **changed})


def test_step_0_is_a_whole_output() -> None:
    inputs = drawn(5, 1, 1)
    inputs["finish"][0] = 0
    with pytest.raises(ValueError, match="finish must be 1 in step 0, which is a whole output"):
        dot_tile(inputs, format=MLS_E2M1, lanes=1, products=1)
