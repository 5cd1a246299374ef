"""The MACs against plain loops over Python integers and NumPy float32 scalars."""

from fractions import Fraction
from functools import partial

import ml_dtypes
import numpy as np
import pytest

from mlsmac.golden import (
    BF16,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    MLS_E0M4,
    MLS_E1M2,
    MLS_E2M1,
    MLS_E2M4,
    MLS_E2M5,
    SCALE_E8M1,
    ElementFormat,
    FloatFormat,
    Overflow,
    accumulate_floats,
    accumulate_integers,
    float_mac,
    fp8_mac,
    fp32_mac,
    mls_mac,
    quantize,
    safe_length,
)

KINDS = {
    FP32: np.float32,
    BF16: ml_dtypes.bfloat16,
    FP8_E5M2: ml_dtypes.float8_e5m2,
    FP8_E4M3: ml_dtypes.float8_e4m3fn,
}


mac16 = partial(mls_mac, acc_width=16)


def starts(rng: np.random.Generator, count: int, rate: float) -> np.ndarray:
    start = rng.random(count) < rate
    start[0] = True
    return start


def signed_value(code: int, element: ElementFormat) -> int:
    man = code % 2**element.man_bits
    exp = (code >> element.man_bits) % 2**element.exp_bits
    q = man if exp == 0 else (2**element.man_bits + man) << (exp - 1)
    return -q if code >> (element.code_width - 1) else q


def integer_loop(w, a, start, element, width, wrap):
    products = [
        signed_value(w_code, element) * signed_value(a_code, element)
        for w_code, a_code in zip(w.tolist(), a.tolist(), strict=True)
    ]
    return accumulate_loop(products, start, width, wrap)


def accumulate_loop(products, start, width, wrap):
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    acc, sticky, trace = 0, False, []
    for product, begin in zip(products, start.tolist(), strict=True):
        if begin:
            acc, sticky = 0, False
        exact = acc + product
        if low <= exact <= high:
            acc = exact
        else:
            sticky = True
            acc = (exact - low) % (1 << width) + low if wrap else min(max(exact, low), high)
        trace.append((acc, sticky))
    return trace


@pytest.mark.parametrize(
    ("element", "width"),
    [
        (MLS_E2M4, 16),
        (MLS_E2M4, 19),
        (MLS_E2M1, 16),
        (MLS_E2M1, 9),
        (MLS_E1M2, 8),
        (MLS_E2M5, 16),
        (MLS_E0M4, 2),
        (ElementFormat(4, 10), 52),
        (ElementFormat(4, 10), 62),
        (ElementFormat(5, 10), 64),
        (ElementFormat(5, 0), 63),
        (MLS_E2M4, 64),
    ],
)
@pytest.mark.parametrize("policy", ["saturate", "wrap"])
@pytest.mark.parametrize("rate", [0.4, 0.05, 0.0])
def test_mls_mac_matches_integer_loop(element, width, policy, rate):
    rng = np.random.default_rng(1)
    count = 3000
    w, a = rng.integers(0, 1 << element.code_width, (2, count))
    large = rng.random(count) < 0.3  # runs of the largest products of either sign
    w[large] |= (1 << (element.code_width - 1)) - 1
    a[large] |= (1 << (element.code_width - 1)) - 1
    start = starts(rng, count, rate)
    trace = mls_mac(w, a, start, element, acc_width=width, overflow=policy)
    expected = integer_loop(w, a, start, element, width, policy == "wrap")
    assert list(zip(trace.acc.tolist(), trace.overflow.tolist(), strict=True)) == expected
    assert (trace.acc.dtype, trace.overflow.dtype) == (np.int64, np.bool_)
    parts = np.array([signed_value(c, element) for c in w.tolist()], object)
    product = parts * np.array([signed_value(c, element) for c in a.tolist()], object)
    direct = accumulate_integers(product, start, acc_width=width, overflow=policy)
    assert (direct.acc == trace.acc).all()
    assert (direct.overflow == trace.overflow).all()


@pytest.mark.parametrize("policy", ["saturate", "wrap"])
@pytest.mark.parametrize("width", [2, 16, 61, 62, 63, 64])
def test_integers_up_to_the_edge_of_int64(policy, width):
    rng = np.random.default_rng(8)
    product = rng.integers(-(1 << 63), (1 << 63) - 1, 1000, endpoint=True)
    product[::3] = rng.choice([-(1 << 63), (1 << 63) - 1, 1 << 62, -(1 << 62), 1 << 61], 334)
    start = starts(rng, product.size, 0.2)
    trace = accumulate_integers(product, start, acc_width=width, overflow=policy)
    expected = accumulate_loop(product.tolist(), start, width, policy == "wrap")
    assert list(zip(trace.acc.tolist(), trace.overflow.tolist(), strict=True)) == expected


def test_mls_products_of_every_pair():
    for element in (MLS_E2M4, MLS_E2M1, MLS_E1M2, MLS_E0M4, ElementFormat(3, 2)):
        codes = np.arange(1 << element.code_width)
        w, a = (part.ravel() for part in np.meshgrid(codes, codes))
        value = np.array([signed_value(code, element) for code in codes.tolist()])
        trace = mls_mac(w, a, np.ones(w.size, bool), element, acc_width=40)
        assert (trace.acc == value[w] * value[a]).all()
        assert not trace.overflow.any()


def test_safe_length_is_tight():
    """`safe_length` of the largest products never overflows, one more does."""
    largest = (1 << (MLS_E2M1.code_width - 1)) - 1
    length = safe_length(MLS_E2M1, 16)
    codes = np.full(length + 1, largest)
    start = np.arange(length + 1) == 0
    trace = mac16(codes, codes, start, MLS_E2M1)
    assert trace.overflow.tolist() == [False] * length + [True]
    assert trace.acc[-1] == 2**15 - 1


def test_saturation_limits_and_the_sticky_flag():
    largest, negative = 0x3F, 0x7F  # 124 and -124 of <2,4>
    w = np.array([largest] * 4 + [negative, largest] + [negative] * 4)
    a = np.full(w.size, largest)
    start = np.arange(w.size) == 5
    start[0] = True
    trace = mac16(w, a, start, MLS_E2M4)
    assert trace.acc.tolist() == [
        *[15376, 30752, 32767, 32767, 17391],
        *[15376, 0, -15376, -30752, -32768],
    ]
    assert trace.overflow.tolist() == [False, False, True, True, True] + [False] * 4 + [True]
    wrapped = mac16(w, a, start, MLS_E2M4, overflow=Overflow.WRAP)
    assert wrapped.acc.tolist()[2:4] == [3 * 15376 - 65536, 4 * 15376 - 65536]
    assert (wrapped.overflow == trace.overflow).all()


def test_mls_dot_product_of_a_quantized_group():
    """The chain from quantizer to accumulator gives the exact dot product of dequantized values."""
    rng = np.random.default_rng(2)
    w, a = (
        quantize(rng.standard_normal((1, 1, 9)).astype(np.float32), MLS_E2M4, SCALE_E8M1, rng=rng)
        for _ in range(2)
    )
    start = np.arange(9) == 0
    trace = mls_mac(w.codes().ravel(), a.codes().ravel(), start, MLS_E2M4, acc_width=19)
    pairs = zip(w.dequantize().flat, a.dequantize().flat, strict=True)
    exact = sum(Fraction(x) * Fraction(y) for x, y in pairs)
    scales = Fraction(float(w.tensor_scale)) * Fraction(float(a.tensor_scale))
    scales *= Fraction(w.group_scale().item()) * Fraction(a.group_scale().item())
    assert int(trace.acc[-1]) * scales / 2 ** (2 * MLS_E2M4.fraction_bits) == exact


def flush(value: np.float32) -> np.float32:
    if abs(value) < np.finfo(np.float32).smallest_normal:
        return np.copysign(np.float32(0), value)
    return value


def rounded_product(x: float, y: float, subnormals: bool) -> np.float32:
    """`fl(x * y)`; x and y have 24 bits or fewer, so that their product is exact in float64."""
    exact = np.float64(x) * np.float64(y)
    if subnormals:
        return np.float32(exact)
    man, exp = np.frexp(exact)  # full precision first: float32 of the fraction cannot underflow
    value = np.ldexp(np.float64(np.float32(man)), exp)
    return np.copysign(np.float32(0), value) if abs(value) < 2.0**-126 else np.float32(value)


def float_loop(w, a, start, format, subnormals):
    """Codes of the FP32 states; an FP8 operand keeps its subnormals."""
    kind = np.dtype(KINDS[format])
    states = []
    with np.errstate(all="ignore"):
        w, a = (codes.astype(f"u{kind.itemsize}").view(kind).astype(np.float32) for codes in (w, a))
        if not subnormals:  # an FP8 subnormal is a normal float32
            w, a = ([flush(x) for x in operand] for operand in (w, a))
        acc = np.float32(0)
        for x, y, begin in zip(w, a, start, strict=True):
            product = rounded_product(x, y, subnormals)
            acc = product if begin else np.float32(acc + product)
            acc = acc if subnormals else flush(acc)
            states.append(acc)
    states = np.array(states, np.float32)
    return np.where(np.isnan(states), FP32.nan, states.view(np.uint32).astype(np.int64))


def operands(format: FloatFormat, rng: np.random.Generator, count: int) -> np.ndarray:
    """Codes: uniform bits, or (half of them) exponents around the middle so that sums interact."""
    codes = rng.integers(0, 1 << format.code_width, count)
    if format.exp_bits == 8:
        middle = rng.random(count) < 0.6
        field = rng.integers(120, 134, count)
        codes = np.where(
            middle, codes & ~(255 << format.man_bits) | field << format.man_bits, codes
        )
        tiny = rng.random(count) < 0.2
        field = rng.integers(0, 64, count)
        codes = np.where(tiny, codes & ~(255 << format.man_bits) | field << format.man_bits, codes)
        zero = rng.random(count) < 0.02
        codes = np.where(zero, codes & 1 << (format.code_width - 1), codes)
    return codes


@pytest.mark.parametrize("format", KINDS, ids=str)
@pytest.mark.parametrize("subnormals", [True, False])
@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01])
def test_float_mac_matches_float32_loop(format, subnormals, rate):
    rng = np.random.default_rng(3)
    count = 6000
    w, a = operands(format, rng, count), operands(format, rng, count)
    start = starts(rng, count, rate)
    trace = float_mac(w, a, start, format, subnormals=subnormals)
    assert trace.overflow is None
    assert (trace.acc == float_loop(w, a, start, format, subnormals)).all()


def test_float_products_near_underflow():
    """Products around 2^-126, tiny sums and their cancellation, with and without subnormals."""
    rng = np.random.default_rng(4)
    w, a = rng.integers(0, 1 << 32, (2, 20_000))
    field = rng.integers(0, 132, w.size)
    w = w & 0x807FFFFF | field << 23
    a = a & 0x807FFFFF | np.clip(rng.integers(100, 132, w.size) - field, 0, 254) << 23
    start = starts(rng, w.size, 0.3)
    for subnormals in (True, False):
        trace = fp32_mac(w, a, start, subnormals=subnormals)
        assert (trace.acc == float_loop(w, a, start, FP32, subnormals)).all()
        assert ((trace.acc & 0x7F800000) == 0).mean() > 0.1


@pytest.mark.parametrize("format", [FP8_E5M2, FP8_E4M3], ids=str)
def test_fp8_accumulators_never_need_subnormals(format):
    rng = np.random.default_rng(5)
    w, a = rng.integers(0, 256, (2, 20_000))
    start = starts(rng, w.size, 0.05)
    kept = fp8_mac(w, a, start, format)
    assert (kept.acc == float_mac(w, a, start, format, subnormals=False).acc).all()
    assert (kept.acc == float_loop(w, a, start, format, True)).all()


def test_idle_cycles_keep_the_state():
    """-0 times +0 adds nothing to a float accumulator, nor zero times zero to an integer one."""
    rng = np.random.default_rng(6)
    first = rng.integers(0, 1 << 32, 500)
    first = np.append(first, [0, 1 << 31, 1, 0x80000001, 0x7F800000])
    idle = np.full(first.size, 1 << 31)
    w = np.stack([first, idle, idle], axis=1).ravel()
    a = np.stack([np.full(first.size, 0x3F800000), idle * 0, idle * 0], axis=1).ravel()
    start = np.arange(w.size) % 3 == 0
    for subnormals in (True, False):
        acc = fp32_mac(w, a, start, subnormals=subnormals).acc.reshape(-1, 3)
        assert (acc == acc[:, :1]).all()
        assert (acc[-4] == 1 << 31).all()
    acc = mac16([0x3F, 0, 0x40], [0x3F, 0x40, 0], [True, False, False], MLS_E2M4).acc
    assert acc.tolist() == [15376] * 3


def test_first_product_loads():
    codes = np.array([0x7F800001, 0xFFC00000, 1, 0x80000001, 0, 1 << 31, 0x7F800000])
    start = np.ones(codes.size, bool)
    loaded = accumulate_floats(codes, start).acc
    assert loaded.tolist() == [FP32.nan, FP32.nan, 1, 0x80000001, 0, 1 << 31, 0x7F800000]
    flushed = accumulate_floats(codes, start, subnormals=False).acc
    assert flushed.tolist() == [FP32.nan, FP32.nan, 0, 1 << 31, 0, 1 << 31, 0x7F800000]


def test_a_narrower_accumulator():
    """FP8 operands, FP16 sums: float64 is exact before each rounding, then rounds to float16."""
    rng = np.random.default_rng(7)
    w, a = rng.integers(0, 256, (2, 5000))
    w, a = (np.where(codes & 127 == 127, codes - 1, codes) for codes in (w, a))  # no NaN
    start = starts(rng, w.size, 0.1)
    trace = float_mac(w, a, start, FP8_E4M3, acc_format=FP16)
    values = [codes.astype(np.uint8).view(KINDS[FP8_E4M3]).astype(np.float64) for codes in (w, a)]
    acc = np.float16(0)
    with np.errstate(all="ignore"):
        for x, y, begin, state in zip(*values, start, trace.acc, strict=True):
            term = np.float16(x * y)
            acc = term if begin else np.float16(np.float64(acc) + np.float64(term))
            assert state == (FP16.nan if np.isnan(acc) else acc.view(np.uint16))


ONE = np.zeros(1, int)
YES = np.ones(1, bool)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: mac16(ONE, ONE, ~YES, MLS_E2M4), ValueError, "start[0] must be True"),
        (lambda: mac16(ONE, ONE, ONE, MLS_E2M4), TypeError, "start must be a bool array"),
        (lambda: mac16(ONE, ONE, [True, False], MLS_E2M4), ValueError, "start must be of shape"),
        (lambda: mac16(ONE, [0, 0], YES, MLS_E2M4), ValueError, "a must be of w's shape (1,)"),
        (lambda: mac16([[0]], ONE, YES, MLS_E2M4), ValueError, "w must be of shape (T,)"),
        (lambda: mac16(ONE[:0], ONE, YES, MLS_E2M4), ValueError, "w must be of shape (T,)"),
        (lambda: mac16(ONE + 128, ONE, YES, MLS_E2M4), ValueError, "w must be in 0..127"),
        (lambda: mac16(ONE, ONE - 1, YES, MLS_E2M4), ValueError, "a must be in 0..127"),
        (
            lambda: mac16(ONE, np.ma.masked_array(ONE, True), YES, MLS_E2M4),
            TypeError,
            "a must be an array without a mask",
        ),
        (lambda: mac16(ONE, [0.5], YES, MLS_E2M4), TypeError, "a must be an array of integers"),
        (lambda: mac16(ONE, ONE, YES, (2, 4)), TypeError, "format must be an ElementFormat"),
        (
            lambda: mac16(ONE, ONE, YES, MLS_E2M4, acc_width=129),
            ValueError,
            "acc_width must be in 2..128, not 129",
        ),
        (
            lambda: mac16(ONE, ONE, YES, MLS_E2M4, acc_width="auto"),
            TypeError,
            "acc_width must be an integer",
        ),
        (
            lambda: mac16(ONE, ONE, YES, MLS_E2M4, overflow="clamp"),
            ValueError,
            "overflow must be one of 'saturate', 'wrap'",
        ),
        (lambda: float_mac(ONE, ONE, YES, MLS_E2M4), TypeError, "format must be a FloatFormat"),
        (
            lambda: float_mac(ONE, ONE, YES, FP32, acc_format=32),
            TypeError,
            "acc_format must be a FloatFormat",
        ),
        (lambda: float_mac(ONE + 256, ONE, YES, FP8_E5M2), ValueError, "w must be in 0..255"),
        (lambda: fp32_mac(ONE, ONE, ~YES), ValueError, "start[0] must be True, not False"),
        (lambda: fp8_mac(ONE, ONE, YES, BF16), ValueError, "format must be FP8_E5M2 or FP8_E4M3"),
        (lambda: accumulate_integers(ONE, ~YES), ValueError, "start[0] must be True"),
        (lambda: accumulate_floats(ONE, ONE), TypeError, "start must be a bool array"),
    ],
)
def test_refused_arguments(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
