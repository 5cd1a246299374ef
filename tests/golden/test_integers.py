"""Integer MACs, range, requantizer and integer quantization against Python's integers and
rationals.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mlsmac.golden import (
    INT4,
    INT8,
    INT16,
    IntFormat,
    adder_mac,
    int_mac,
    quantize_affine,
    quantize_fixed_point,
    quantize_symmetric,
    range_statistic,
    requantize,
)


def signed(code: int, width: int) -> int:
    return code - (1 << width) * (code >> (width - 1))


def starts(rng: np.random.Generator, count: int) -> np.ndarray:
    start = rng.random(count) < 0.1
    start[0] = True
    return start


def codes(rng: np.random.Generator, format: IntFormat, count: int) -> np.ndarray:
    """Any code, in a third of the places one of the extremes, 0 or -1."""
    top = format.max_code
    corners = rng.choice([0, top, top + 1, 2 * top + 1], count)
    return np.where(rng.random(count) < 0.3, corners, rng.integers(0, 2 * top + 2, count))


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("zero_points", [False, True])
@pytest.mark.parametrize(
    ("format", "a_format", "width"), [(INT8, INT8, 17), (INT8, INT16, 32), (INT4, INT8, 12)]
)
def test_mac_is_a_loop_over_integers(format, a_format, width, zero_points, wrap) -> None:
    rng = np.random.default_rng(7)
    count = 3000
    w, w_zero = codes(rng, format, count), codes(rng, format, count)
    a, a_zero = codes(rng, a_format, count), codes(rng, a_format, count)
    start = starts(rng, count)
    zeros = {"w_zero": w_zero, "a_zero": a_zero} if zero_points else {}
    policy = "wrap" if wrap else "saturate"
    trace = int_mac(w, a, start, format, a_format, **zeros, acc_width=width, overflow=policy)

    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    acc, sticky = 0, False
    for t in range(count):
        x, y = signed(int(w[t]), format.width), signed(int(a[t]), a_format.width)
        if zero_points:
            x -= signed(int(w_zero[t]), format.width)
            y -= signed(int(a_zero[t]), a_format.width)
        if start[t]:
            acc, sticky = 0, False
        exact = acc + x * y
        acc = (exact - low) % (1 << width) + low if wrap else min(max(exact, low), high)
        sticky = sticky or acc != exact
        assert (trace.acc[t], trace.overflow[t]) == (acc, sticky)
    assert 0.01 < trace.overflow.mean() < 0.99 or width == 32


def test_second_format_and_zero_points_are_optional() -> None:
    one, both = [1, 255], [True, False]
    assert int_mac(one, [3, 4], both, INT8, acc_width=32).acc.tolist() == [3, -1]
    assert int_mac(one, [3, 4], both, INT8, acc_width=32, w_zero=1, a_zero=3).acc.tolist() == [
        0,
        -2,
    ]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (([256], [0], [True], INT8), ValueError, r"w must be in 0\.\.255, not 256"),
        (([0], [16], [True], INT8, INT4), ValueError, r"a must be in 0\.\.15, not 16"),
        (([0], [0], [False], INT8), ValueError, r"start\[0\] must be True, not False"),
        (([0], [0, 1], [True], INT8), ValueError, r"a must be of w's shape \(1,\), not \(2,\)"),
        (([0], [0], [True], 8), TypeError, r"format must be an IntFormat, not 8"),
        (([0], [0], [True], INT8, 8), TypeError, r"a_format must be an IntFormat, not 8"),
    ],
)
def test_wrong_mac_arguments(arguments: tuple, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        int_mac(*arguments, acc_width=32)


def test_wrong_zero_point() -> None:
    with pytest.raises(ValueError, match=r"w_zero must be in 0\.\.255, not -1"):
        int_mac([0], [0], [True], INT8, acc_width=32, w_zero=-1)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(("format", "width"), [(INT8, 10), (INT4, 3), (INT16, 18), (INT8, 66)])
def test_adder_is_a_loop_over_integers(format: IntFormat, width: int, wrap: bool) -> None:
    rng = np.random.default_rng(width)
    count = 3000
    w, start = codes(rng, format, count), starts(rng, count)
    policy = "wrap" if wrap else "saturate"
    trace = adder_mac(w, start, format, acc_width=width, overflow=policy)

    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    acc, sticky = 0, False
    for t in range(count):
        if start[t]:
            acc, sticky = 0, False
        exact = acc + signed(int(w[t]), format.width)
        acc = (exact - low) % (1 << width) + low if wrap else min(max(exact, low), high)
        sticky = sticky or acc != exact
        assert (trace.acc[t], trace.overflow[t]) == (acc, sticky)
    assert 0.01 < trace.overflow.mean() < 0.99 or width == 66


def test_adder_holds_what_the_contract_says() -> None:
    """32 bits hold 65535 operands of INT16, and -2^31 itself: the one that D26 does not count."""
    lowest, start = np.full(65537, 1 << 15), np.arange(65537) == 0
    trace = adder_mac(lowest, start, INT16, acc_width=32)
    assert trace.acc[65534] == -65535 << 15
    assert trace.overflow.argmax() == 65536


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (([256], [True], INT8), ValueError, r"w must be in 0\.\.255, not 256"),
        (([[0]], [True], INT8), ValueError, r"w must be of shape \(T,\) with T >= 1, not \(1, 1"),
        (([0], [False], INT8), ValueError, r"start\[0\] must be True, not False"),
        (([0], [1], INT8), TypeError, r"start must be a bool array, not dtype"),
        (([0], [True], 8), TypeError, r"format must be an IntFormat, not 8"),
    ],
)
def test_wrong_adder_arguments(arguments: tuple, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        adder_mac(*arguments, acc_width=32)


@pytest.mark.parametrize("format", [INT4, INT8, INT16])
def test_range_is_that_of_each_segment(format: IntFormat) -> None:
    rng = np.random.default_rng(format.width)
    x, start = codes(rng, format, 2000), starts(rng, 2000)
    trace = range_statistic(x, start, format)
    seen: list[int] = []
    for t, (code, begin) in enumerate(zip(x.tolist(), start.tolist(), strict=True)):
        seen = [*([] if begin else seen), signed(code, format.width)]
        expected = (max(seen), min(seen), max(seen) - min(seen))
        assert (trace.max[t], trace.min[t], trace.range[t]) == expected


@pytest.mark.parametrize(
    ("x", "start", "format", "kind", "message"),
    [
        ([0], [True], 8, TypeError, "format must be an IntFormat, not 8"),
        ([16], [True], INT4, ValueError, r"x must be in 0\.\.15, not 16"),
        ([[0]], [[True]], INT4, ValueError, r"x must be of shape \(T,\) with T >= 1, not \(1, 1\)"),
        ([0], [False], INT4, ValueError, r"start\[0\] must be True, not False"),
    ],
)
def test_wrong_range_arguments(x, start, format, kind, message) -> None:
    with pytest.raises(kind, match=message):
        range_statistic(np.array(x), np.array(start), format)


def rounded(acc: int, shift: int, word: int, bits: int) -> int:
    return (math.floor(Fraction(acc) * Fraction(2) ** (bits - shift)) + word) >> bits


@pytest.mark.parametrize(("format", "bits"), [(INT8, 8), (INT4, 1), (INT16, 24)])
def test_requantize_is_the_rational_formula(format: IntFormat, bits: int) -> None:
    rng = np.random.default_rng(bits)
    low, high = -format.max_code - 1, format.max_code
    shift = rng.integers(0, 32, 3000)
    edges = rng.choice([low - 2, low - 1, low, -1, 0, high, high + 1], 3000)
    acc = (edges << shift) + rng.integers(-2, 3, 3000)
    acc[:500] = rng.integers(-(1 << 63), 1 << 63, 500) >> rng.integers(0, 63, 500)
    acc[500:1500] += rng.integers(0, 1 << 31, 1000) >> (31 - shift[500:1500])
    words = rng.integers(0, 1 << bits, 3000)
    got, outside = requantize(acc, shift, words, format, random_bits=bits)
    nearest, _ = requantize(acc, shift, None, format, random_bits=bits)
    for t, arguments in enumerate(zip(acc.tolist(), shift.tolist(), words.tolist(), strict=True)):
        r = rounded(*arguments, bits)
        assert (got[t], outside[t]) == (min(max(r, low), high), r < low or r > high)
        half_up = math.floor(Fraction(arguments[0], 1 << arguments[1]) + Fraction(1, 2))
        assert nearest[t] == min(max(half_up, low), high)
    assert 0.1 < outside.mean() < 0.9


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_mean_over_all_words_is_exact(bits: int) -> None:
    """The sum over all R is floor(x 2^k): what k bits tell of the value, without bias."""
    acc = np.arange(-700, 700)[:, np.newaxis]
    for shift in (0, 3, 8, 11):
        values, outside = requantize(acc, shift, np.arange(1 << bits), INT16, random_bits=bits)
        assert not outside.any()
        assert np.array_equal(values.sum(axis=1), (acc[:, 0] << bits) >> shift)
        whole = acc[:, 0] % (1 << shift) == 0
        assert (values[whole] == acc[whole] >> shift).all()  # exact values never move


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (([0], 32, None, INT8), ValueError, r"shift must be in 0\.\.31, not 32\.\.32"),
        (([0], -1, None, INT8), ValueError, r"shift must be in 0\.\.31, not -1\.\.-1"),
        (([0], 0, [256], INT8), ValueError, r"random must be in 0\.\.255, not 256\.\.256"),
        (([0.5], 0, None, INT8), TypeError, "acc must be an array of integers, not of dtype"),
        (([0], 0, None, 8), TypeError, "format must be an IntFormat, not 8"),
    ],
)
def test_wrong_requantize_arguments(arguments: tuple, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        requantize(*arguments)


def test_wrong_random_bits() -> None:
    with pytest.raises(ValueError, match=r"random_bits must be in 1\.\.24, not 25"):
        requantize([0], 0, None, INT8, random_bits=25)


def tensor(seed: int, shape: tuple[int, ...] = (5, 60)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * np.exp2(rng.integers(-12, 3, shape))).astype(np.float32)


@pytest.mark.parametrize("format", [INT4, INT8, INT16])
def test_symmetric_rounds_the_exact_quotient(format: IntFormat) -> None:
    x = tensor(format.width)
    x[0, :8] = x[1, 0] = np.float32(format.max_code / 2)  # ties, where this is the largest
    for values in (
        x,
        np.clip(x, -format.max_code / 2, format.max_code / 2).astype(np.float32),
        -abs(x),
    ):
        got, scale = quantize_symmetric(values, format)
        amax = Fraction(float(np.abs(values).max()))
        assert scale == float(amax / format.max_code)
        for value, code in zip(values.ravel().tolist(), got.ravel().tolist(), strict=True):
            assert signed(code, format.width) == round(Fraction(value) * format.max_code / amax)


def test_symmetric_ties_go_to_even() -> None:
    x = np.array([7, 0.5, 1.5, -0.5, -2.5, -7], np.float32)
    assert [signed(c, 4) for c in quantize_symmetric(x, INT4)[0].tolist()] == [7, 0, 2, 0, -2, -7]


@pytest.mark.parametrize("format", [INT4, INT8, INT16])
@pytest.mark.parametrize("kind", ["mixed", "positive", "negative"])
def test_affine_spans_the_codes_and_keeps_zero(format: IntFormat, kind: str) -> None:
    x = tensor(3)
    x = {"mixed": x, "positive": abs(x), "negative": -abs(x)}[kind]
    x[0, 0] = 0
    got, zero, scale = quantize_affine(x, format)
    assert got[0, 0] == zero
    values = np.array([signed(code, format.width) for code in got.ravel().tolist()])
    offset = signed(zero, format.width)
    # Half a step of rounding, and as much again where the zero point's rounding clips an end.
    error = np.abs((values - offset) * scale - x.ravel().astype(np.float64))
    assert error.max() <= scale * (1 + 1e-9)
    assert np.median(error) <= scale / 2
    assert values.max() - values.min() >= (1 << format.width) - 2
    assert offset == {"positive": -format.max_code - 1, "negative": format.max_code}.get(
        kind, offset
    )


@pytest.mark.parametrize("format", [INT4, INT8, INT16])
@pytest.mark.parametrize("power", [-149, -130, 0, 100])
def test_fixed_point_is_the_rational_formula(format: IntFormat, power: int) -> None:
    x = np.ldexp(tensor(format.width), power).astype(np.float32)
    words = np.random.default_rng(1).integers(0, 256, x.shape)
    got, exponent = quantize_fixed_point(x, format, random=words)
    near, same = quantize_fixed_point(x, format, rounding="nearest")
    amax = Fraction(float(np.abs(x).max()))
    step = Fraction(2) ** exponent
    assert same == exponent
    assert amax <= format.max_code * step
    assert amax > format.max_code * step / 2
    columns = (x.ravel(), words.ravel(), got.ravel(), near.ravel())
    for value, word, code, nearest in zip(*(c.tolist() for c in columns), strict=True):
        t = math.floor(Fraction(value) / step * 256)
        assert signed(code, format.width) == (t + word) >> 8
        assert signed(nearest, format.width) == math.floor(Fraction(value) / step + Fraction(1, 2))


@pytest.mark.parametrize(("amax", "exponent"), [(127, 0), (127.5, 1), (128, 1), (63.5, -1)])
def test_shared_exponent_is_the_smallest_that_saturates_nothing(amax, exponent) -> None:
    x = np.array([amax, -amax, 1], np.float32)
    words = np.full(3, 255)
    got, e = quantize_fixed_point(x, INT8, random=words)
    assert e == exponent
    assert signed(int(got[0]), 8) <= 127


def test_fixed_point_draws_its_words_in_c_order() -> None:
    x = tensor(9)
    one, _ = quantize_fixed_point(x, INT8, rng=np.random.default_rng(4))
    two, _ = quantize_fixed_point(x, INT8, rng=np.random.default_rng(4))
    other, _ = quantize_fixed_point(x, INT8, rng=np.random.default_rng(5))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_zeros_stay_zero() -> None:
    x = np.zeros((2, 3), np.float32)
    assert not quantize_symmetric(x, INT8)[0].any()
    assert not quantize_affine(x, INT8)[0].any()
    got, exponent = quantize_fixed_point(x, INT8)
    assert not got.any()
    assert exponent == 0


@pytest.mark.parametrize("function", [quantize_symmetric, quantize_affine, quantize_fixed_point])
@pytest.mark.parametrize(
    ("x", "format", "kind", "message"),
    [
        (np.zeros(3), INT8, TypeError, "x must be a float32 array, not dtype"),
        (np.zeros(0, np.float32), INT8, ValueError, "x must be of at least one element"),
        (np.array([np.inf], np.float32), INT8, ValueError, "x must be finite, not infinite or NaN"),
        (np.zeros(3, np.float32), 8, TypeError, "format must be an IntFormat, not 8"),
    ],
)
def test_wrong_tensors(function: Any, x: Any, format: Any, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        function(x, format)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounding": "up"}, "rounding must be one of 'stochastic', 'nearest', not 'up'"),
        ({"random_bits": 17}, r"random_bits must be in 1\.\.16, not 17"),
        ({"random": [256]}, r"random must be in 0\.\.255, not 256\.\.256"),
        ({"random": [1, 2]}, r"random must be of x's shape \(1,\), not \(2,\)"),
    ],
)
def test_wrong_fixed_point_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantize_fixed_point(np.ones(1, np.float32), INT8, **options)
