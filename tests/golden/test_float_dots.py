"""Aligned dot products of floats against their definition in rationals."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import float_dot
from mlsmac.golden.spec import BF16, FP8_E4M3, FP8_E5M2, FP32, FloatFormat

STEPS = 300


def number(code: int, format: FloatFormat) -> Fraction | float:
    """Value of a code, subnormals read as zero; NaN and infinities as floats."""
    exponent = code >> format.man_bits & ((1 << format.exp_bits) - 1)
    mantissa = code & ((1 << format.man_bits) - 1)
    sign = -1 if code >> (format.code_width - 1) else 1
    if exponent == (1 << format.exp_bits) - 1:
        return math.nan if mantissa else sign * math.inf
    if exponent == 0:
        return Fraction(0)
    return (
        sign
        * (1 + Fraction(mantissa, 1 << format.man_bits))
        * Fraction(2) ** (exponent - format.bias)
    )


def power(code: int, format: FloatFormat) -> int:
    """Exponent of a code."""
    return (code >> format.man_bits & ((1 << format.exp_bits) - 1)) - format.bias


def flushed(value: Fraction, zero: int) -> int:
    """Float32 code, nearest even, flushed after rounding; `zero` is the code of an exact zero."""
    if value == 0:
        return zero
    sign, size, exponent = int(value < 0) << 31, abs(value), -300
    while size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    steps = round(size / Fraction(2) ** (exponent - 23))
    code = ((exponent + 126) << 23) + steps
    if code < 1 << 23:
        return sign
    return sign | min(code, FP32.infinity)


def added(x: int, y: int) -> int:
    """Float32 sum of two codes, flushing."""
    a, b = number(x, FP32), number(y, FP32)
    if isinstance(a, float) or isinstance(b, float):
        total = float(a) + float(b)
        if math.isnan(total):
            return FP32.nan
        return FP32.infinity | int(total < 0) << 31
    return flushed(a + b, (x & y) >> 31 << 31)


def step(w: list[int], a: list[int], format: FloatFormat, guard: int) -> int:
    """The rounded sum of one step."""
    pairs = [(number(x, format), number(y, format)) for x, y in zip(w, a, strict=True)]
    specials = [
        math.nan if 0 in (x, y) or math.isnan(x) or math.isnan(y) else float(x) * float(y)
        for x, y in pairs
        if isinstance(x, float) or isinstance(y, float)
    ]
    if specials:
        total = sum(specials)
        return FP32.nan if math.isnan(total) else FP32.infinity | int(total < 0) << 31
    top = max(
        (
            power(x, format) + power(y, format)
            for (x, y), pair in zip(zip(w, a, strict=True), pairs, strict=True)
            if 0 not in pair
        ),
        default=0,
    )
    unit = Fraction(2) ** (top - format.man_bits - guard)
    return flushed(sum(math.floor(x * y / unit) for x, y in pairs) * unit, 0)


@pytest.mark.parametrize(
    ("format", "lanes", "guard"),
    [(FP32, 4, 6), (FP32, 3, 0), (BF16, 8, 16), (FP8_E5M2, 5, 3), (FP32, 1, 6)],
    ids=str,
)
def test_outputs_are_those_of_the_definition(format: FloatFormat, lanes: int, guard: int) -> None:
    rng = np.random.default_rng(17)
    shape = (STEPS, lanes)
    top = 1 << (format.code_width - 1)
    inputs = {port: rng.integers(0, 2 * top, shape) for port in "wa"}
    # Exponents near each other, sums that cancel, ends of the range.
    spread = min(9, format.bias - 2)
    for port in "wa":
        near = (format.bias + rng.integers(-spread, spread, shape)) << format.man_bits
        low = inputs[port] & (top | ((1 << format.man_bits) - 1))
        inputs[port][:200] = (near | low)[:200]
        inputs[port][200:240] = (1 + rng.integers(0, 3, shape) << format.man_bits | low)[200:240]
        inputs[port][::7] *= rng.random((len(inputs[port][::7]), lanes)) < 0.5
    half = lanes // 2
    inputs["w"][50:90, half : 2 * half] = inputs["w"][50:90, :half] ^ top
    inputs["a"][50:90, half : 2 * half] = inputs["a"][50:90, :half]
    inputs["first"] = (rng.random(STEPS) < 1 / 4).astype(np.int64)
    inputs["first"][0] = 1
    inputs["finish"] = (rng.random(STEPS) < 2 / 3).astype(np.int64)
    outputs = float_dot(inputs, format=format, lanes=lanes, guard_bits=guard)
    acc = 0
    for t in range(STEPS):
        value = step(inputs["w"][t].tolist(), inputs["a"][t].tolist(), format, guard)
        acc = added(1 << 31 if inputs["first"][t] else acc, value)
        shown = 0 if acc == 1 << 31 else acc  # -0
        assert outputs["z"][t] == shown * inputs["finish"][t], t
    assert outputs["valid"].tolist() == inputs["finish"].tolist()


def test_idle_steps_change_nothing() -> None:
    """A sum that underflows to -0 among them."""
    smallest, half = 0x80800000, 0x3F000000  # -2^-126 and 1/2
    inputs = {"w": np.full((2, 1), smallest), "a": np.full((2, 1), half)}
    inputs |= {"first": np.array([1, 0]), "finish": np.array([0, 1])}
    apart = {port: np.insert(codes, 1, 0, axis=0) for port, codes in inputs.items()}
    z = [float_dot(steps, lanes=1)["z"][-1] for steps in (inputs, apart)]
    assert z == [0, 0]


def test_bad_options_are_refused() -> None:
    inputs = {port: np.zeros((1, 2), np.int64) for port in "wa"}
    inputs |= {port: np.ones(1, np.int64) for port in ("first", "finish")}
    with pytest.raises(ValueError, match="format must have infinities, not E4M3"):
        float_dot(inputs, format=FP8_E4M3, lanes=2)
    with pytest.raises(ValueError, match=r"guard_bits must be in 0\.\.16, not 17"):
        float_dot(inputs, lanes=2, guard_bits=17)
    with pytest.raises(ValueError, match=r"w and a must be of shape \(T, 3\), not \(1, 2\)"):
        float_dot(inputs, lanes=3)
