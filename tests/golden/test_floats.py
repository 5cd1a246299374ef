"""Integer floating-point arithmetic against NumPy's float32 and float16, and ml_dtypes."""

import itertools

import ml_dtypes
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
    add,
    convert,
    decode,
    from_float32,
    multiply,
    round_encode,
    to_float64,
)

KINDS = {
    FP32: np.float32,
    FP16: np.float16,
    BF16: ml_dtypes.bfloat16,
    FP8_E5M2: ml_dtypes.float8_e5m2,
    FP8_E4M3: ml_dtypes.float8_e4m3fn,
}
SMALL = [FP16, BF16, FP8_E5M2, FP8_E4M3]
COUNT = 1 << 20


def as_floats(codes, format):
    """The codes read by NumPy or ml_dtypes."""
    kind = np.dtype(KINDS[format])
    return np.asarray(codes).astype(f"u{kind.itemsize}").view(kind)


def as_codes(values, format):
    """Codes of an array of the format's own type, every NaN the canonical one."""
    codes = values.view(f"u{values.dtype.itemsize}").astype(np.int64)
    with np.errstate(all="ignore"):
        return np.where(np.isnan(values.astype(np.float32)), format.nan, codes)


def random_pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """FP32 codes: half uniform, half with exponents near enough to interact."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 1 << 32, (2, COUNT))
    near = slice(0, COUNT // 2)
    distance = rng.integers(-27, 28, COUNT // 2)
    field = np.clip((x[near] >> 23 & 255) + distance, 0, 255)
    y[near] = (y[near] & 0x807FFFFF) | field << 23
    cancelling = slice(0, COUNT // 8)  # opposite signs, nearly equal magnitudes
    y[cancelling] = (x[cancelling] ^ 1 << 31) + rng.integers(-4, 5, COUNT // 8)
    y &= 0xFFFFFFFF
    return x, y


def underflowing_pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """FP32 codes whose products lie around the subnormals, half of the subnormals ties or exact."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 1 << 32, (2, COUNT // 2))
    field = np.clip(rng.integers(99, 132, x.size) - (x >> 23 & 255), 0, 254)
    y = (y & 0x807FFFFF) | field << 23
    coarse = slice(0, x.size // 2)
    x[coarse] &= 0xFFFFF000
    y[coarse] &= 0xFFFFE000
    return x, y


def corners(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of special FP32 codes and their neighbours, both signs."""
    special = [0, 1, 2, 0x7FFFFF, 0x800000, 0x800001, 0xFFFFFF, 0x1000000, 0x7F7FFFFF, 0x7F7FFFFE]
    special += [0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0x3F800000, 0x3F7FFFFF, 0x3F800001]
    special += [0x00400000, 0x00400001, 0x34000000, 0x33800000, 0x33800001, 0x33000000, 0x20000000]
    special += [0x1F800000, 0x1FFFFFFF, 0x5F000000, 0x5F7FFFFF, 0x7F000000, 0x7E800000, 0x4B800000]
    codes = np.array([code | sign << 31 for code in special for sign in (0, 1)])
    x, y = np.meshgrid(codes, codes)
    return x.ravel(), y.ravel()


PAIRS = {"random": random_pairs, "underflow": underflowing_pairs, "corners": corners}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("ours", "theirs"), [(multiply, np.multiply), (add, np.add)])
def test_fp32_matches_numpy(name, ours, theirs):
    x, y = PAIRS[name](1)
    with np.errstate(all="ignore"):
        expected = theirs(as_floats(x, FP32), as_floats(y, FP32))
    result = ours(x, y, FP32)
    assert result.dtype == np.int64
    assert (result == as_codes(expected, FP32)).all()


def flush(values):
    """Subnormals to zero of their sign."""
    tiny = np.abs(values) < np.finfo(np.float32).smallest_normal
    return np.where(tiny, np.copysign(values * 0, values), values).astype(values.dtype)


@pytest.mark.parametrize("name", PAIRS)
def test_fp32_flush_to_zero(name):
    """Product: significands multiply in float32, where nothing underflows; then the exponent."""
    pairs = PAIRS[name](2)
    with np.errstate(all="ignore"):
        x, y = (flush(as_floats(codes, FP32)) for codes in pairs)
        (x_man, x_exp), (y_man, y_exp) = np.frexp(x), np.frexp(y)
        product = np.ldexp((x_man * y_man).astype(np.float64), x_exp + y_exp)
        product = flush(product).astype(np.float32)
        total = flush(x + y)  # an underflowing sum of float32 is exact
    assert (multiply(*pairs, FP32, subnormals=False) == as_codes(product, FP32)).all()
    assert (add(*pairs, FP32, subnormals=False) == as_codes(total, FP32)).all()


def test_flush_happens_after_rounding():
    """2^-126 * (1 - 2^-25) rounds to 2^-126 at full precision, and stays; one bit less does not."""
    one_less = 0x3F7FFFFF  # 1 - 2^-24
    assert multiply(0x00FFFFFF, 0x3F000000, FP32, subnormals=False) == 0  # exact 2^-126 - 2^-150
    assert multiply(0x00800001, one_less, FP32, subnormals=False) == 0x00800000
    assert multiply(0x00800000, one_less, FP32, subnormals=False) == 0
    assert multiply(0x80800000, one_less, FP32, subnormals=False) == 1 << 31
    wide = np.array([(1 << 25) - 1])
    sign = np.array([True])
    code = round_encode(sign, wide, np.array([-126 - 25]), FP32, subnormals=False)
    assert code == 1 << 31 | 0x00800000


@pytest.mark.parametrize("format", SMALL, ids=str)
def test_every_code_decodes(format):
    codes = np.arange(1 << format.code_width)
    with np.errstate(all="ignore"):
        expected = as_floats(codes, format).astype(np.float64)
    ours = to_float64(codes, format)
    assert ((ours == expected) | (np.isnan(ours) & np.isnan(expected))).all()
    assert (np.signbit(ours) == np.signbit(expected))[~np.isnan(expected)].all()


def test_fp32_decodes():
    codes = np.concatenate([random_pairs(5)[0], corners()[0]])
    with np.errstate(all="ignore"):
        expected = as_floats(codes, FP32).astype(np.float64)
    np.testing.assert_array_equal(to_float64(codes, FP32), expected)


def value_of(code: int, format: FloatFormat) -> float:
    """IEEE 754 section 3.4 for a positive finite code."""
    field, man = divmod(code, 2**format.man_bits)
    if field == 0:
        return man * 2.0 ** (1 - format.bias - format.man_bits)
    return (1 + man / 2**format.man_bits) * 2.0 ** (field - format.bias)


class Table:
    """Rounding to nearest, ties to even, by search in the list of all values of a format."""

    def __init__(self, format: FloatFormat):
        # The value that would follow the largest decides where overflow begins.
        self.format = format
        self.values = np.array([value_of(code, format) for code in range(format.max_code + 2)])
        assert (np.diff(self.values) > 0).all()

    def nearest(self, exact):
        magnitude = np.abs(np.where(np.isnan(exact), 0, exact))
        magnitude = np.minimum(magnitude, self.values[-1])
        above = np.searchsorted(self.values, magnitude)  # smallest value >= magnitude
        below = np.maximum(above - 1, 0)
        up, down = self.values[above] - magnitude, magnitude - self.values[below]
        code = np.where((up < down) | ((up == down) & (above % 2 == 0)), above, below)
        signed = code | np.signbit(exact).astype(np.int64) << (self.format.code_width - 1)
        invalid = np.isnan(exact)
        if self.format.specials is Specials.NAN_ONLY:
            invalid = invalid | (code > self.format.max_code)
        return np.where(invalid, self.format.nan, signed)


@pytest.mark.parametrize("format", SMALL, ids=str)
def test_small_formats_match_table_rounding(format):
    """8 bits: all 65536 pairs; 16 bits: samples. Their sums and products are exact in float64."""
    if format.code_width == 8:
        x, y = (part.ravel() for part in np.meshgrid(np.arange(256), np.arange(256)))
    else:
        rng = np.random.default_rng(6)
        x, y = rng.integers(0, 1 << 16, (2, 300_000))
        # Exponents near each other: sums stay exact in float64, and interact.
        field = (1 << format.exp_bits) - 1
        near = np.clip((x >> format.man_bits & field) + rng.integers(-12, 13, x.size), 0, field)
        y = (y & ~(field << format.man_bits)) | near << format.man_bits
    table = Table(format)
    with np.errstate(all="ignore"):
        a, b = (as_floats(codes, format).astype(np.float64) for codes in (x, y))
        product, total = a * b, a + b
    assert (multiply(x, y, format) == table.nearest(product)).all()
    assert (add(x, y, format) == table.nearest(total)).all()


@pytest.mark.parametrize(("format", "wide"), [(FP8_E5M2, (8, 5)), (FP8_E4M3, (8, 7))])
@pytest.mark.parametrize("subnormals", [True, False])
def test_fp8_products_are_exact_in_their_wide_format(format, wide, subnormals):
    wide = FloatFormat(*wide)
    x, y = (part.ravel() for part in np.meshgrid(np.arange(256), np.arange(256)))
    with np.errstate(all="ignore"):
        exact = as_floats(x, format).astype(np.float64) * as_floats(y, format).astype(np.float64)
    for out in (wide, FP32):
        result = multiply(x, y, format, out=out, subnormals=subnormals)
        np.testing.assert_array_equal(to_float64(result, out), exact)
        assert (np.signbit(to_float64(result, out)) == np.signbit(exact))[~np.isnan(exact)].all()
        assert (result[np.isnan(exact)] == out.nan).all()


@pytest.mark.parametrize("format", SMALL, ids=str)
def test_casts_match_ml_dtypes(format):
    rng = np.random.default_rng(7)
    values = as_floats(rng.integers(0, 1 << 32, COUNT // 2), FP32)
    table = Table(format).values
    ties = (table[1:] + table[:-1]) / 2
    near = np.concatenate([table[:-1], ties]).astype(np.float32)
    near = np.concatenate(
        [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(9))]
    )
    log = np.ldexp(rng.random(COUNT // 2), rng.integers(-40, 20, COUNT // 2)).astype(np.float32)
    values = np.concatenate([values, near, -near, log, np.array([np.inf, -np.inf, np.nan], "f4")])
    with np.errstate(all="ignore"):
        expected = as_codes(values.astype(KINDS[format]), format)
    assert (from_float32(values, format) == expected).all()


def test_cast_shapes_and_identity():
    x = np.random.default_rng(8).standard_normal((3, 4)).astype(np.float32)
    assert (from_float32(x, FP32) == x.view(np.uint32)).all()
    assert from_float32(np.float32(1) * x[:1, :1], FP8_E4M3).shape == (1, 1)
    assert from_float32(np.array(1.5, np.float32), FP8_E4M3) == 0x3C
    assert from_float32(x[:, ::2], BF16).shape == (3, 2)


def test_casts_flush_to_zero():
    x = np.array([2.0**-15, -(2.0**-15), 2.0**-14, 2.0**-14 * (1 - 2**-20)], np.float32)
    expected = [0, 0x80, 0x04, 0x04]
    assert (from_float32(x, FP8_E5M2, subnormals=False) == expected).all()


ODD = [
    FloatFormat(2, 1),
    FloatFormat(2, 5),
    FloatFormat(5, 1),
    FloatFormat(3, 4),
    FloatFormat(3, 3, Specials.NAN_ONLY),
]


@pytest.mark.parametrize("format", ODD, ids=str)
@pytest.mark.parametrize("subnormals", [True, False])
def test_formats_of_no_library(format, subnormals):
    """All pairs; a result is flushed where its rounding with another exponent bit is too small."""
    codes = np.arange(1 << format.code_width)
    x, y = (part.ravel() for part in np.meshgrid(codes, codes))
    table, low = Table(format), 2.0**format.min_exp
    values = np.array([value_of(code, format) for code in range(1 << (format.code_width - 1))])
    finite = np.arange(values.size) <= format.max_code
    top = np.inf if format.specials is Specials.IEEE else np.nan
    values = np.where(
        finite, values, np.where(np.arange(values.size) == format.max_code + 1, top, np.nan)
    )
    values = np.append(values, -values)
    if not subnormals:
        values = np.where(np.abs(values) < low, np.copysign(0, values), values)
    with np.errstate(all="ignore"):
        product, total = values[x] * values[y], values[x] + values[y]
    for exact, ours in ((product, multiply), (total, add)):
        expected = table.nearest(exact)
        if not subnormals:
            # At full precision, numbers from half a unit below `low` on still round to it.
            small = np.abs(exact) < low - 2.0 ** (format.min_exp - format.man_bits - 2)
            expected = np.where(small, np.signbit(exact) << (format.code_width - 1), expected)
        assert (ours(x, y, format, subnormals=subnormals) == expected).all()


def test_zeros_keep_their_rules():
    plus, minus, one, minus_one = 0, 1 << 31, 0x3F800000, 0xBF800000
    cases = [(plus, plus, plus), (plus, minus, plus), (minus, minus, minus)]
    cases += [(one, minus_one, plus), (minus_one, one, plus), (minus, one, one)]
    for (x, y, total), subnormals in itertools.product(cases, (True, False)):
        assert add(x, y, FP32, subnormals=subnormals) == total
        assert add(y, x, FP32, subnormals=subnormals) == total
    # An underflowing sum keeps its sign when flushed.
    assert add(0x80800001, 0x00800000, FP32, subnormals=False) == minus
    assert add(0x80800001, 0x00800000, FP32) == minus | 1


def test_overflow_without_infinity_is_nan():
    largest, half_step = FP8_E4M3.max_code, 0x5A  # 448 and 20
    assert add(largest, 0x58, FP8_E4M3) == largest  # 448 + 16, a tie, to even
    assert add(largest, half_step, FP8_E4M3) == FP8_E4M3.nan
    assert add(largest | 0x80, half_step | 0x80, FP8_E4M3) == FP8_E4M3.nan
    assert convert(FP32.infinity | 1 << 31, FP32, FP8_E4M3) == FP8_E4M3.nan


def test_decoded_parts():
    parts = decode(np.array([0x80000001, 0x3F800000, 0x7F800000, 0x7F800001]), FP32)
    assert parts.sign.tolist() == [True, False, False, False]
    assert parts.significand[:2].tolist() == [1, 1 << 23]
    assert parts.exponent[:2].tolist() == [-149, -23]
    assert parts.infinite.tolist() == [False, False, True, False]
    assert parts.nan.tolist() == [False, False, False, True]
    assert decode(np.array([0x80000001]), FP32, subnormals=False).zero.all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: decode([1.0], FP32), TypeError, "codes must be an array of integers"),
        (lambda: decode([256], FP8_E5M2), ValueError, "codes must be in 0..255, not 256..256"),
        (lambda: multiply([0], [-1], FP32), ValueError, "codes must be in 0..4294967295, not -1"),
        (lambda: add([0], [True], FP32), TypeError, "codes must be an array of integers"),
        (lambda: from_float32(np.ones(2), BF16), TypeError, "x must be a float32 array"),
        (lambda: from_float32([1.0], BF16), TypeError, "x must be a float32 array"),
    ],
)
def test_refused_arguments(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
