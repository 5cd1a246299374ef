"""Fused multiply-add against exact rationals, and against float64 where that rounds once."""

import functools
import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import (
    BF16,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    FloatFormat,
    Specials,
    fma,
    from_float32,
    fused_mac,
    to_float64,
)
from mlsmac.units import reference

E2M1 = FloatFormat(2, 1)
E2M1_NAN_ONLY = FloatFormat(2, 1, Specials.NAN_ONLY)
E3M1 = FloatFormat(3, 1)
E6M9, E6M5 = FloatFormat(6, 9), FloatFormat(6, 5)


@functools.cache
def value(code: int, format: FloatFormat, subnormals: bool) -> tuple[int, Fraction | str]:
    """Sign and magnitude, an exact rational, "inf" or "nan"."""
    sign, magnitude = divmod(code, 1 << (format.code_width - 1))
    field, mantissa = divmod(magnitude, 1 << format.man_bits)
    if magnitude > format.max_code:
        infinite = format.specials is Specials.IEEE and magnitude == format.infinity
        return sign, "inf" if infinite else "nan"
    if field == 0 and not subnormals:
        return sign, Fraction(0)
    whole = mantissa + (1 << format.man_bits if field else 0)
    return sign, whole * Fraction(2) ** (max(field, 1) - format.bias - format.man_bits)


@functools.cache
def nearest(number: Fraction, format: FloatFormat, subnormals: bool) -> int:
    """Code of a positive number, rounded to nearest even; what is too large becomes infinity, or
    NaN where there is none."""
    lead = number.numerator.bit_length() - number.denominator.bit_length()
    lead -= number < Fraction(2) ** lead
    lead = max(lead, format.min_exp) if subnormals else lead
    steps = round(number / Fraction(2) ** (lead - format.man_bits))  # Python rounds halves to even
    code = ((lead - format.min_exp) << format.man_bits) + steps
    if code > format.max_code:
        return format.infinity if format.specials is Specials.IEEE else format.nan
    return code if subnormals or code >= 1 << format.man_bits else 0


def exact_fma(
    x: int, y: int, z: int, format: FloatFormat, out: FloatFormat, subnormals: bool
) -> int:
    keep = subnormals or format.min_exp > out.min_exp
    (s, a), (t, b) = value(x, format, keep), value(y, format, keep)
    u, c = value(z, out, subnormals)
    s ^= t
    top = 1 << (out.code_width - 1)
    infinite = "inf" in (a, b)
    if "nan" in (a, b, c) or (infinite and (0 in (a, b) or (c == "inf" and s != u))):
        return out.nan
    if infinite or c == "inf":
        sign = s if infinite else u
        return sign * top | out.infinity if out.specials is Specials.IEEE else out.nan
    total = (-a * b if s else a * b) + (-c if u else c)
    if total == 0:
        return (s & u) * top
    code = nearest(abs(total), out, subnormals)
    return code if code == out.nan else code | (total < 0) * top


def triples(format: FloatFormat, out: FloatFormat, count: int, seed: int) -> np.ndarray:
    """Every triple of codes where these are few; else corners by corners, and addends near the
    product, its multiples by powers of two and their neighbours."""
    if format == out and 3 * format.code_width <= 15:
        spaces = [range(1 << each.code_width) for each in (format, format, out)]
        return np.array(list(itertools.product(*spaces)))

    def corners(each: FloatFormat) -> list[int]:
        one, normal = each.bias << each.man_bits, 1 << each.man_bits
        codes = [0, 1, normal - 1, normal, normal + 1, one - 1, one, one + 1, each.max_code]
        codes += [each.max_code + 1, each.nan]
        return [code | sign << (each.code_width - 1) for code in codes for sign in (0, 1)]

    rng = random.Random(seed)
    chosen = list(itertools.product(corners(format), corners(format), corners(out)))
    chosen = rng.sample(chosen, min(len(chosen), count // 2))
    top = 1 << (out.code_width - 1)
    reach = 2 * out.man_bits + 5
    for _ in range(count):
        x, y = rng.getrandbits(format.code_width), rng.getrandbits(format.code_width)
        near = exact_fma(x, y, 0, format, out, True) % top + rng.randint(-2, 2)
        near += rng.choice([0, rng.randint(-reach, reach)]) << out.man_bits
        chosen.append((x, y, min(max(near, 0), out.max_code) | rng.choice([0, top])))
    return np.array(chosen)


PAIRS = [
    *(
        (format, format)
        for format in (E2M1, E2M1_NAN_ONLY, E3M1, FP8_E4M3, FP8_E5M2, FP16, BF16, FP32)
    ),
    (E2M1, FloatFormat(3, 3)),
    (FloatFormat(2, 3), E2M1),
    (FP8_E4M3, FP32),
    (FP8_E4M3, E6M9),
    (FP8_E5M2, E6M5),
    (BF16, FP32),
    (FP16, FP8_E4M3),
]


@pytest.mark.parametrize("subnormals", [True, False])
@pytest.mark.parametrize(("format", "out"), PAIRS, ids=str)
def test_exact(format, out, subnormals):
    codes = triples(format, out, 600, seed=out.code_width)
    got = fma(*codes.T, format, acc_format=out, subnormals=subnormals)
    for (x, y, z), code in zip(codes.tolist(), got.tolist(), strict=True):
        want = exact_fma(x, y, z, format, out, subnormals)
        assert code == want, f"{x:#x} * {y:#x} + {z:#x}: {code:#x}, not {want:#x}"


@pytest.mark.parametrize(
    ("format", "acc_format"), [(FP8_E4M3, FP32), (FP8_E5M2, FP32), (FP16, FP32)]
)
def test_float64_agrees_where_it_is_exact(format, acc_format):
    """Addends near enough to the product that float64 holds the sum: only float32 rounds."""
    rng = np.random.default_rng(11)
    x, y = rng.integers(0, 1 << format.code_width, (2, 100_000))
    z = from_float32(rng.normal(0, 4, x.size).astype(np.float32), acc_format)
    a, b, c = to_float64(x, format), to_float64(y, format), to_float64(z, acc_format)
    with np.errstate(all="ignore"):
        total = a * b + c
        error = (total - c - a * b) != 0  # float64 dropped something, or there is no number
        want = from_float32(total.astype(np.float32), acc_format)
    chosen = ~error
    assert chosen.mean() > 0.5
    got = fma(x, y, z, format, acc_format=acc_format)
    assert (got == want)[chosen].all()


@pytest.mark.parametrize(
    ("x", "y", "z", "expected"),
    [
        (0x3F800001, 0x3F800001, 0xBF800002, 0x28800000),  # the square's last bit alone is left
        (0x3F800001, 0x3F7FFFFF, 0xBF800000, 0x337FFFFE),
        (0x00000001, 0x00000001, 0x80000000, 0x00000000),  # underflows, but is no exact zero
        (0x80000001, 0x00000001, 0x00000000, 0x80000000),
        (0x3F800000, 0xBF800000, 0x3F800000, 0x00000000),
        (0x80000000, 0x00000000, 0x80000000, 0x80000000),
        (0x80000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x7F800000, 0x7FC00001, 0x7FC00000),
        (0x7F7FFFFF, 0x40000000, 0xFF7FFFFF, 0x7F7FFFFF),  # the product alone would overflow
        (0x7F7FFFFF, 0x40000000, 0xFF800000, 0xFF800000),
    ],
)
def test_fp32_by_hand(x, y, z, expected):
    assert fma(x, y, z, FP32) == expected


def test_flush_is_decided_after_rounding():
    """2^-126 less 2^-151 or less rounds to 2^-126 at full precision, and stays."""
    assert fma(0x00800000, 0x3F800000, 0x80000000, FP32, subnormals=False) == 0x00800000
    below = fma(0x1F800000, 0x9F800000, 0x00800000, FP32, subnormals=False)  # 2^-126 - 2^-128
    assert below == 0
    for factor, expected in ((0x9A000000, 0), (0x99800000, 0x00800000), (0x99000000, 0x00800000)):
        # 2^-75 times 2^-75, 2^-76 (a tie), 2^-77
        assert fma(0x1A000000, factor, 0x00800000, FP32, subnormals=False) == expected


@pytest.mark.parametrize(("format", "acc_format"), [(FP32, None), (FP8_E4M3, E6M9)])
def test_fused_mac_is_fma_after_fma(format, acc_format):
    rng = np.random.default_rng(12)
    w, a = rng.integers(0, 1 << format.code_width, (2, 400))
    start = rng.random(400) < 0.1
    start[0] = True
    trace = fused_mac(w, a, start, format, acc_format=acc_format)
    out = acc_format or format
    acc = 0
    for t in range(400):
        acc = 1 << (out.code_width - 1) if start[t] else acc
        acc = exact_fma(int(w[t]), int(a[t]), acc, format, out, True)
        assert trace.acc[t] == acc
    options = {"format": format, "acc_format": out, "subnormals": True}
    inputs = {"w": w, "a": a, "start": start.astype(np.int64)}
    assert (reference("fused_mac", options, inputs)["acc"] == trace.acc).all()


def test_rejects():
    zero = np.zeros(1, np.int64)
    with pytest.raises(TypeError, match="format must be a FloatFormat, not 8"):
        fused_mac(zero, zero, np.ones(1, bool), 8)
    with pytest.raises(TypeError, match="acc_format must be a FloatFormat, not 8"):
        fused_mac(zero, zero, np.ones(1, bool), FP32, acc_format=8)
    with pytest.raises(ValueError, match=r"codes must be in 0\.\.255"):
        fma(256, 0, 0, FP8_E4M3)
