"""Values without codes: those of the codes, to the bit; stochastic integers; scales by axis."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import (
    BF16,
    BLOCK_PRESETS,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    INT8,
    INT16,
    LNS8,
    FloatFormat,
    LnsFormat,
    from_float32,
    quantize_affine,
    quantize_blocks,
    quantize_symmetric,
    to_float64,
)
from mlsmac.golden.block_values import block_values
from mlsmac.golden.blocks import element_values
from mlsmac.golden.floats import float_values
from mlsmac.golden.integers import affine_values, symmetric_values
from mlsmac.golden.lns import decode, encode, lns_values


def same(a, b) -> bool:
    """float32 `a` and the float64 numbers `b`, signs of zeros among them."""
    with np.errstate(over="ignore", under="ignore"):
        b = np.asarray(b, np.float64).astype(np.float32)
    both_nan = np.isnan(a) & np.isnan(b)
    return a.dtype == np.float32 and bool(np.all(both_nan | (a.view(np.int32) == b.view(np.int32))))


def every_upper_half() -> np.ndarray:
    """Finite float32 numbers of all signs, exponents and upper 7 mantissa bits, each with lower
    halves that rounding tells apart.
    """
    upper = np.arange(1 << 16, dtype=np.uint32)[:, None] << 16
    x = (upper | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)).view(np.float32)
    return x[np.isfinite(x)]


@pytest.mark.parametrize(
    "format", [FP8_E4M3, FP8_E5M2, FP16, BF16, FloatFormat(2, 1), FloatFormat(8, 20)], ids=str
)
def test_floats_of_every_binade(format: FloatFormat) -> None:
    x = every_upper_half()
    for part in (x, x[np.abs(x) < 1], x[np.abs(x) < 1e-30]):
        assert same(float_values(part, format), to_float64(from_float32(part, format), format))


def near_boundaries(format, rng) -> np.ndarray:
    """Blocks of one scale, 8 binades of them: element numbers, their midpoints, what lies beside
    them, and what is too large."""
    values = element_values(format)
    middle = (values[1:] + values[:-1]) / 2
    points = np.concatenate([values, middle, values[-1] * np.array([1.01, 1.2, 1.9])])
    points = points.astype(np.float32)
    points = np.concatenate(
        [points, np.nextafter(points, 0), np.nextafter(points, np.float32(9e9))]
    )
    chosen = rng.choice(points, (64, format.size)) * rng.choice([-1, 1], (64, format.size))
    chosen[:, 0] = values[-1]
    return (chosen * 2.0 ** rng.integers(-4, 4, (64, 1))).astype(np.float32)


def block_cases(format, rng):
    shape = (48, format.size)
    yield near_boundaries(format, rng)
    patterns = rng.integers(0, 1 << 32, shape, dtype=np.uint32).view(np.float32)
    yield np.where(np.isfinite(patterns), patterns, np.float32(-0.0))
    yield (rng.standard_normal(shape) * 2.0 ** rng.integers(-149, 127, (48, 1))).astype(np.float32)
    yield (rng.integers(-40, 41, shape) * 2.0**-149).astype(np.float32)
    yield np.where(rng.random(shape) < 0.5, np.float32(0), np.float32(-0.0))


@pytest.mark.parametrize("preset", BLOCK_PRESETS)
def test_blocks_along_any_axis(preset: str) -> None:
    format, rng = BLOCK_PRESETS[preset], np.random.default_rng(11)
    for x in block_cases(format, rng):
        for words in (None, rng.integers(0, 256, x.shape)):
            how = {} if words is None else {"rounding": "stochastic", "random": words}
            values = quantize_blocks(x, format, **how).dequantize()
            assert same(block_values(x, format, **how), values)
            turned = {} if words is None else {**how, "random": np.ascontiguousarray(words.T)}
            found = block_values(np.ascontiguousarray(x.T), format, axis=0, **turned)
            assert same(np.ascontiguousarray(found.T), values)


@pytest.mark.parametrize("random_bits", [1, 16])
def test_blocks_of_other_random_bits(random_bits: int) -> None:
    rng = np.random.default_rng(3)
    for format in BLOCK_PRESETS.values():
        x = near_boundaries(format, rng)
        words = rng.integers(0, 1 << random_bits, x.shape)
        how = {"rounding": "stochastic", "random": words, "random_bits": random_bits}
        assert same(block_values(x, format, **how), quantize_blocks(x, format, **how).dequantize())


def test_blocks_that_the_axis_leaves_incomplete() -> None:
    format, rng = BLOCK_PRESETS["nvfp4"], np.random.default_rng(3)
    for length in (1, 5, 16, 21, 40):
        x = rng.standard_normal((7, length, 3)).astype(np.float32)
        padded = np.zeros((7, 3, -(-length // 16) * 16), np.float32)
        padded[..., :length] = x.transpose(0, 2, 1)
        values = quantize_blocks(padded.reshape(7, 3, -1, 16), format).dequantize()
        values = values.reshape(7, 3, -1)[..., :length].transpose(0, 2, 1)
        assert same(block_values(x, format, axis=1), values)


@pytest.mark.parametrize("scale", [0.0, 2.0**-10, 1e30])
def test_blocks_with_the_scale_of_another_tensor(scale: float) -> None:
    format, rng = BLOCK_PRESETS["nvfp4"], np.random.default_rng(3)
    x = near_boundaries(format, rng)
    given = {"tensor_scale": np.float32(scale)}
    assert same(block_values(x, format, **given), quantize_blocks(x, format, **given).dequantize())


def test_large_tensors_are_worked_on_in_parts() -> None:
    x = np.random.default_rng(0).standard_normal((3, 64, 5000)).astype(np.float32)
    format = BLOCK_PRESETS["mxfp8_e4m3"]
    moved = np.moveaxis(x, 1, 2).reshape(3, 5000, 2, 32)
    values = np.moveaxis(quantize_blocks(moved, format).dequantize().reshape(3, 5000, 64), 2, 1)
    assert same(block_values(x, format, axis=1), values)
    largest = decode([127], LNS8)[0]
    values = decode(encode(x, LNS8), LNS8) * (np.abs(x).max().astype(np.float64) / largest)
    assert same(lns_values(x, LNS8), values)


@pytest.mark.parametrize("random_bits", [1, 8, 12])
def test_stochastic_integers_are_the_rational_formula(random_bits: int) -> None:
    """Quotients of these are exact in float64, or far from where the floor changes."""
    rng = np.random.default_rng(2)
    x = (rng.integers(-1000, 1001, 300) / 64).astype(np.float32)
    words = rng.integers(0, 1 << random_bits, x.shape)
    how = {"rounding": "stochastic", "random": words, "random_bits": random_bits}

    def rounded(quotient: Fraction, word: int) -> int:
        return math.floor((math.floor(quotient * 2**random_bits) + word) / Fraction(2**random_bits))

    pairs = [(Fraction(float(v)), int(r)) for v, r in zip(x, words, strict=True)]
    amax = Fraction(float(np.abs(x).max()))
    codes, scale = quantize_symmetric(x, INT8, **how)
    steps = [rounded(v * 127 / amax, r) for v, r in pairs]
    assert codes.tolist() == [step % 256 for step in steps]
    assert same(symmetric_values(x, INT8, **how), np.array(steps) * scale)

    codes, zero, scale = quantize_affine(x, INT8, **how)
    zero = zero - 256 * (zero >= 128)
    unit = Fraction(float(x.max() - x.min())) / 255
    steps = [rounded(v / unit, r) for v, r in pairs]
    values = np.clip(np.array(steps) + zero, -128, 127)
    assert codes.tolist() == (values % 256).tolist()
    assert same(affine_values(x, INT8, **how), (values - zero) * scale)


@pytest.mark.parametrize("values", [symmetric_values, affine_values])
def test_stochastic_integers_are_right_on_average(values) -> None:
    x = np.full(20000, 0.3, np.float32)
    x[0] = -1.27
    found = values(x, INT8, rounding="stochastic", rng=np.random.default_rng(0), random_bits=8)
    assert len(set(found[1:].tolist())) <= 2
    assert abs(found[1:].mean() - 0.3) < 0.0003
    assert same(values(np.zeros(5, np.float32), INT16), np.zeros(5))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_logarithms_of_their_own_scales(axis: int) -> None:
    x = np.random.default_rng(6).standard_normal((4, 5, 6)).astype(np.float32)
    x *= np.float32(4) ** np.arange(6, dtype=np.float32)
    x[2] = 0
    parts = np.moveaxis(x, axis, 0)
    codes, values = np.moveaxis(encode(x, LNS8, axis=axis), axis, 0), lns_values(x, LNS8, axis=axis)
    for part, code, value in zip(parts, codes, np.moveaxis(values, axis, 0), strict=True):
        part = np.ascontiguousarray(part)
        assert np.array_equal(code, encode(part, LNS8))
        assert same(np.ascontiguousarray(value), lns_values(part, LNS8).astype(np.float64))


@pytest.mark.parametrize("format", [LnsFormat(8, 4), LnsFormat(2, 1), LNS8], ids=str)
def test_largest_elements_stay_as_they_are(format: LnsFormat) -> None:
    x = np.array([-0.3, 0.3, 1e-9, -0.0, 0.1], np.float32)
    values = lns_values(x, format)
    assert values[:2].tolist() == x[:2].tolist()
    assert not np.signbit(values[3])


NAN = np.array([1, np.nan], np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: float_values(NAN, FP8_E4M3), ValueError, "x must be finite, not infinite or NaN"),
        (lambda: float_values(NAN[:1], FP32), ValueError, "at most 20 mantissa bits, not E8M23"),
        (lambda: float_values([1.0], FP8_E4M3), TypeError, "x must be a float32 array"),
        (lambda: block_values(NAN, BLOCK_PRESETS["mxfp4"]), ValueError, "x must be finite"),
        (
            lambda: block_values(NAN[:1], BLOCK_PRESETS["mxfp4"], axis=1),
            ValueError,
            r"x must have elements along axis 1, not shape \(1,\)",
        ),
        (lambda: block_values(NAN[:0], BLOCK_PRESETS["mxfp4"]), ValueError, "x must have elements"),
        (lambda: block_values(NAN, "mxfp4"), TypeError, "format must be a BlockFormat"),
        (
            lambda: block_values(NAN[:1], BLOCK_PRESETS["mxfp4"], tensor_scale=np.float32(1)),
            ValueError,
            "tensor_scale must be None for E8M0 scales",
        ),
        (
            lambda: block_values(NAN[:1], BLOCK_PRESETS["nvfp4"], tensor_scale=1.0),
            TypeError,
            "tensor_scale must be a float32, not 1.0",
        ),
        (
            lambda: block_values(NAN[:1], BLOCK_PRESETS["nvfp4"], random_bits=17),
            ValueError,
            r"random_bits must be in 1\.\.16, not 17",
        ),
        (lambda: lns_values(NAN, LNS8), ValueError, "x must be finite, not infinite or NaN"),
        (lambda: lns_values(NAN, LNS8, axis=1), ValueError, "axis must be one of x's 1, not 1"),
        (lambda: affine_values(NAN, INT8), ValueError, "x must be finite, not infinite or NaN"),
        (lambda: symmetric_values(NAN[:1], INT8, random_bits=0), ValueError, "random_bits must"),
        (lambda: quantize_symmetric(NAN[:1], INT8, rounding="up"), ValueError, "rounding must be"),
    ],
)
def test_refused_arguments(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
