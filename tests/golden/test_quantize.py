"""The quantizer against exact rational arithmetic written from docs/numerics.md section 3.

Each test in NumPy and, where numba is installed, on its loops.
"""

import functools
import itertools
from bisect import bisect_left
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest

from mlsmac.golden import (
    MLS_E2M4,
    SCALE_E8M1,
    ElementFormat,
    ScaleFormat,
    group_codes,
    quantize,
    quantize_values,
)

WAYS = [False, True] if find_spec("numba") else [False]
GROUPS = ("nc", "n", "c", "none")
FORMATS = [
    ((2, 4), (8, 1), 8),
    ((2, 1), (8, 1), 8),
    ((1, 2), (8, 0), 8),
    ((1, 6), (8, 1), 4),
    ((0, 4), (8, 1), 8),
    ((0, 2), (3, 2), 5),
    ((2, 5), (1, 0), 8),
    ((3, 2), (4, 3), 8),
    ((2, 3), (2, 1), 1),
    ((5, 10), (8, 1), 16),
    ((0, 10), (8, 0), 16),
    ((5, 8), (8, 3), 16),
    ((5, 0), (1, 1), 3),
    ((1, 0), (8, 2), 12),
    ((0, 1), (2, 0), 9),
    ((4, 9), (8, 1), 2),
    ((3, 7), (8, 1), 16),
    ((3, 7), (5, 3), 11),
    ((0, 1), (8, 3), 1),
    ((2, 4), (8, 2), 13),
]


@pytest.fixture(params=WAYS, ids=["numpy", "numba"][: len(WAYS)], autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(group_codes, "COMPILED", request.param)
    monkeypatch.setattr(group_codes, "WORTH", 0)


def floor_log2(x: Fraction) -> int:
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if x >= Fraction(2) ** guess else guess - 1


@functools.cache
def scale_grid(scale: ScaleFormat) -> list[tuple[Fraction, int, int]]:
    steps = 1 << scale.man_bits
    grid = [
        ((1 + Fraction(man, steps)) / 2**exp, exp, man)
        for exp in range(scale.max_exp + 1)
        for man in range(steps)
    ]
    return sorted(grid)


def exact_t(x: Fraction, element: ElementFormat) -> tuple[int, Fraction]:
    """Exp and t of step 3."""
    low = 1 - 2**element.exp_bits
    exp = max(min(floor_log2(x), -1), low) if x else low
    return exp, x / Fraction(2) ** (exp - element.man_bits)


def code_of(x: Fraction, word: int, k: int, carry: str, element: ElementFormat) -> tuple[int, int]:
    """Exponent and mantissa field of the exact ratio x, by steps 3 to 5."""
    e_bits, m_bits = element.exp_bits, element.man_bits
    exp, t = exact_t(x, element)
    normal = e_bits > 0 and t >= 2**m_bits
    r = (t * 2**k // 1 + word) >> k
    largest = 2**e_bits - 1, 2**m_bits - 1
    if normal:
        if carry == "clip":
            r = min(r, 2 ** (m_bits + 1) - 1)
        field = exp + 2**e_bits
        if r < 2 ** (m_bits + 1):
            return field, r - 2**m_bits
        return (field + 1, 0) if field < 2**e_bits - 1 else largest
    if r < 2**m_bits:
        return 0, r
    return (1, 0) if carry == "carry" and e_bits else (0, 2**m_bits - 1)


def group_of(index: tuple[int, ...], group: str) -> tuple[int, ...]:
    picked = {"nc": index[:2], "n": index[:1], "c": (0, index[1] if len(index) > 1 else 0)}
    return picked.get(group, ())


def oracle(x, element, scale, group, carry, k, words, tensor_scale=None):
    """Fields of every element in C order, the scale codes by group, and S_t."""
    exact = {index: Fraction(float(x[index])) for index in np.ndindex(x.shape)}
    peaks: dict[tuple[int, ...], Fraction] = {}
    for index, value in exact.items():
        key = group_of(index, group)
        peaks[key] = max(peaks.get(key, Fraction(0)), abs(value))
    top = max(peaks.values()) if tensor_scale is None else Fraction(float(tensor_scale))
    grid = scale_grid(scale)
    scales = {
        key: grid[min(bisect_left(grid, (peak / top, -1, -1)), len(grid) - 1)] if top else grid[0]
        for key, peak in peaks.items()
    }
    fields = []
    for index, value in exact.items():
        ratio = abs(value) / (scales[group_of(index, group)][0] * top) if top else Fraction(0)
        fields.append((int(value < 0), *code_of(ratio, int(words[index]), k, carry, element)))
    return fields, scales, top


def check(
    x,
    element,
    scale,
    group="nc",
    rounding="stochastic",
    carry="clip",
    k=8,
    seed=0,
    tensor_scale=None,
):
    """Quantize and compare everything with the oracle; returns the result."""
    words = np.random.default_rng(seed).integers(0, 1 << k, x.shape)
    if rounding == "nearest":
        given, words = None, np.full(x.shape, 1 << (k - 1))
    else:
        given = words
    rules = {
        "group": group,
        "rounding": rounding,
        "carry": carry,
        "random_bits": k,
        "random": given,
        "tensor_scale": tensor_scale,
    }
    result = quantize(x, element, scale, **rules)
    fields, scales, top = oracle(x, element, scale, group, carry, k, words, tensor_scale)
    ours = zip(result.sign.flat, result.exp.flat, result.man.flat, strict=True)
    for index, mine, exact in zip(np.ndindex(x.shape), ours, fields, strict=True):
        assert mine == exact, (index, float(x[index]).hex(), element, scale, group)
    scale_exp = np.broadcast_to(result.scale_exp, x.shape)
    scale_man = np.broadcast_to(result.scale_man, x.shape)
    for index in np.ndindex(x.shape):
        assert (scale_exp[index], scale_man[index]) == scales[group_of(index, group)][1:], index
    assert Fraction(float(result.tensor_scale)) == top
    check_values(quantize_values(x, element, scale, **rules), result)
    return result


def check_values(values, result):
    """Compare with the dequantized codes, which are exact, to the bit."""
    with np.errstate(over="ignore"):
        exact = result.dequantize().astype(np.float32)
    assert values.dtype == np.float32
    assert values.shape == exact.shape
    assert (values.view(np.uint32) == exact.view(np.uint32)).all()


def random_tensor(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal numbers with group-wise scales, some all-zero groups, full-range outliers, ties."""
    x = rng.standard_normal(shape) * 2.0 ** rng.integers(
        -12, 4, shape[:2] + (1,) * (len(shape) - 2)
    )
    x[rng.random(shape[:2]) < 0.1] = 0
    coarse = rng.random(shape) < 0.3
    x[coarse] = np.ldexp(np.round(np.ldexp(x[coarse], 5)), -5)
    tiny = rng.random(shape) < 0.05
    x[tiny] = np.ldexp(x[tiny], -rng.integers(0, 150, tiny.sum()))
    return x.astype(np.float32)


@pytest.mark.parametrize(("element", "scale", "k"), FORMATS)
@pytest.mark.parametrize("group", GROUPS)
def test_random_tensors_match_exact_arithmetic(element, scale, k, group):
    rng = np.random.default_rng([*element, *scale, k])
    for rounding, carry in itertools.product(("stochastic", "nearest"), ("clip", "carry")):
        x = random_tensor(rng, (4, 5, 4, 5))
        check(x, ElementFormat(*element), ScaleFormat(*scale), group, rounding, carry, k)


def directed_tensors() -> dict[str, np.ndarray]:
    f32 = np.float32
    powers = np.ldexp(f32(1), np.arange(-149, 128)).astype(f32)
    below = np.nextafter(powers, f32(0))
    edges = np.concatenate([powers, below, -np.nextafter(powers[:-1], f32(3e38))])
    smallest = np.finfo(f32).smallest_subnormal
    grid = np.ldexp(np.arange(16, 33, dtype=f32) / 32, -np.arange(4)[:, None]).astype(f32)
    grid = np.stack([np.nextafter(grid, f32(0)), grid, np.nextafter(grid, f32(1))])
    grid = np.concatenate([grid.ravel(), [f32(1)]])
    maxima = np.stack([grid, grid / 3, -grid / 2], axis=1).astype(f32)[None]
    return {
        "every power of two and its neighbours": edges.reshape(1, 1, -1),
        "groups of powers of two": edges.reshape(1, -1, 1),
        "subnormals": (np.arange(-20, 21) * smallest).astype(f32).reshape(1, 1, -1),
        "one subnormal": np.full((2, 2), smallest),
        "one huge element": np.array([[[3.4e38, 1e-3], [1e-3, -1e-30]]], f32),
        "subnormals beside the largest": np.array([[[3.4e38], [smallest], [-1e-40]]], f32),
        "all equal": np.full((2, 3, 4), -0.7, f32),
        "zeros": np.zeros((2, 3, 4), f32),
        "negative zeros": np.array([[[-0.0, 1.0, 0.0, -1e-30]]], f32),
        "group maxima at the edges of the scale grid": maxima,
        "a dense ramp": np.linspace(-1, 1, 513, dtype=f32).reshape(1, 1, -1),
    }


@pytest.mark.parametrize("name", directed_tensors())
@pytest.mark.parametrize("carry", ["clip", "carry"])
def test_directed_tensors_match_exact_arithmetic(name, carry):
    x = directed_tensors()[name]
    for element, scale in [((2, 4), (8, 1)), ((0, 2), (1, 0)), ((5, 8), (4, 3)), ((2, 1), (8, 0))]:
        for rounding in ("stochastic", "nearest"):
            check(x, ElementFormat(*element), ScaleFormat(*scale), "nc", rounding, carry)


@pytest.mark.parametrize(
    ("element", "scale_man", "k"),
    [
        ((5, 10), 1, 16),
        ((0, 10), 1, 16),
        ((5, 9), 2, 16),
        ((5, 10), 3, 14),
        ((0, 10), 3, 14),
        # The longest for which a multiplication by the reciprocal serves.
        ((3, 7), 1, 16),
        ((0, 10), 1, 13),
        ((5, 10), 2, 12),
        ((0, 8), 2, 14),
        ((2, 9), 3, 12),
    ],
)
def test_quotients_closest_to_an_integer_are_not_rounded_up(element, scale_man, k):
    """`t * 2^k = n - 1/d` with the longest divisors d: the hardest quotients for floating point."""
    element, scale = ElementFormat(*element), ScaleFormat(8, scale_man)
    factor, p, rng = 2 ** (scale_man + 1) - 1, element.man_bits + k, np.random.default_rng(5)
    found = 0
    while found < 60:
        top = int(rng.integers(1 << 23, 1 << 24)) | 1
        divisor, shift = factor * top, p + scale_man + int(rng.integers(0, 3))
        n = pow(divisor, -1, 1 << shift)  # n * divisor - 1 is a multiple of 2^shift
        man = (n * divisor - 1) >> shift
        low, high = (1 << p, 1 << (p + 1)) if element.exp_bits else (1 << (p - 1), 1 << p)
        if not (low <= n < high and man < 1 << 24):
            continue
        exp = -1 if element.exp_bits else 0
        scale_value = Fraction(factor, 2 ** (scale_man + 1))
        value = Fraction(n * divisor - 1, divisor) / 2 ** (p - exp) * scale_value * top
        peak = top * (scale_value - Fraction(1, 64))
        if value > peak:
            continue
        x = np.array([[[top, 0], [float(peak), float(value)]]], np.float32)
        assert Fraction(float(x[0, 1, 1])) == value
        floor = value / (scale_value * top) * 2 ** (p - exp) // 1
        assert floor == n - 1
        words = np.zeros(x.shape, np.int64)
        words[0, 1, 1] = -floor % (1 << k) or 1  # one more and the mantissa would go up
        for random in (words, words - (words > 0)):
            result = quantize(x, element, scale, random_bits=k, random=random, carry="carry")
            assert result.group_scale()[0, 1, 0] == scale_value
            expected = code_of(value / scale_value / top, int(random[0, 1, 1]), k, "carry", element)
            assert (result.exp[0, 1, 1], result.man[0, 1, 1]) == expected
        found += 1


@pytest.mark.parametrize("element", [(2, 4), (0, 4), (2, 1), (3, 2)])
@pytest.mark.parametrize("k", [1, 4, 8])
def test_mean_over_all_words_is_exact(element, k):
    element = ElementFormat(*element)
    values = np.random.default_rng(k).random(300).astype(np.float32)
    values[:100] **= 4
    values = np.append(np.minimum(values, np.float32(0.9)), np.float32(1))
    words = np.broadcast_to(np.arange(1 << k)[:, None], (1 << k, values.size))
    x = np.broadcast_to(values, words.shape)
    result = quantize(
        x, element, SCALE_E8M1, group="none", carry="carry", random_bits=k, random=words
    )
    totals = result.significand().astype(np.int64).sum(axis=0)
    for value, total in zip(values[:-1], totals[:-1], strict=True):
        exp, t = exact_t(Fraction(float(value)), element)
        unit = 1 << (exp - (1 - 2**element.exp_bits))  # a step of t in units of q
        if t * unit + unit <= element.max_significand:  # not saturated for any word
            assert total == (t * 2**k // 1) * unit


@pytest.mark.parametrize("element", [(2, 4), (0, 4), (1, 0), (3, 2), (5, 3)])
@pytest.mark.parametrize("carry", ["clip", "carry"])
@pytest.mark.parametrize("top", [1, 49, 0x2AAB, 3 * 2.0**-60, 5 * 2.0**90, 0x1FFF * 2.0**-100])
def test_exact_values_never_move(element, carry, top):
    """`q * S_g * S_t` of few enough bits for float32, below the tensor's largest element."""
    element = ElementFormat(*element)
    code = np.arange(1 << (element.code_width - 1))
    man, exp = code & ((1 << element.man_bits) - 1), code >> element.man_bits
    q = np.where(exp == 0, man, ((1 << element.man_bits) + man) << np.maximum(exp - 1, 0))
    ratios = np.append(np.ldexp(q.astype(np.float64), -element.fraction_bits), 1)
    groups = ratios * np.array([[1.0], [0.75]]) * top
    fits = groups.astype(np.float32) == groups
    assert fits.sum() > fits.size // 3
    words = np.broadcast_to(np.arange(256)[:, None, None], (256, 2, ratios.size))
    x = np.broadcast_to(np.where(fits, groups, groups[:, -1:]).astype(np.float32), words.shape)
    for signed in (x, -x):
        result = quantize(signed, element, SCALE_E8M1, group="c", carry=carry, random=words)
        assert result.group_scale().ravel().tolist() == [1, 0.75]
        expected = np.where(fits, np.append(q, element.max_significand), element.max_significand)
        assert (result.significand() == expected).all()


@pytest.mark.parametrize(
    ("shape", "group"),
    [
        ((7,), "n"),
        ((7,), "none"),
        *itertools.product([(3, 5), (2, 3, 4), (2, 3, 2, 2, 2)], GROUPS),
    ],
)
def test_any_rank_and_memory_layout(shape, group):
    x = np.random.default_rng(1).standard_normal(shape[::-1]).astype(np.float32).T
    result = check(x, MLS_E2M4, SCALE_E8M1, group)
    assert result.shape == result.sign.shape == result.exp.shape == result.man.shape == shape
    assert result.scale_exp.ndim == result.scale_man.ndim == len(shape)


def test_tiles_do_not_show():
    """A tensor longer than a tile, with long and short rows, equals its pieces."""
    rng = np.random.default_rng(2)
    for shape in [(2, 2, 70_000), (3, 30_000, 3), (1, 1, 40_000), (90_000, 1)]:
        x = rng.standard_normal(shape).astype(np.float32)
        x.flat[0] = 7  # every piece holds the tensor's largest element
        words = rng.integers(0, 256, shape)
        whole = quantize(x, MLS_E2M4, SCALE_E8M1, group="none", random=words)
        cut = np.append(0, np.sort(rng.integers(1, x.size, 4000 // len(shape))))
        for begin in cut[:40]:
            piece = np.append(x.flat[begin : begin + 500], np.float32(7))
            pick = np.append(words.flat[begin : begin + 500], 0)
            part = quantize(piece, MLS_E2M4, SCALE_E8M1, group="none", random=pick)
            size = piece.size - 1
            assert (part.codes()[:size] == whole.codes().flat[begin : begin + size]).all()


def test_group_maxima_over_tiles():
    rng = np.random.default_rng(3)
    for shape in [(2, 3, 50_000), (5, 20_000, 3)]:
        x = rng.standard_normal(shape).astype(np.float32)
        result = quantize(x, MLS_E2M4, SCALE_E8M1, rounding="nearest")
        peaks = np.abs(x).max(axis=2, keepdims=True).astype(np.float64)
        top = peaks.max()
        bound = result.group_scale() * top
        assert (bound >= peaks).all()
        assert (bound <= 1.5 * peaks).all()


@pytest.mark.parametrize(("element", "scale", "k"), FORMATS)
@pytest.mark.parametrize("ratio", [0.3, 0.7, 0.999, 1.0, 1.001, 5.0, 2.0**-40, 2.0**40])
def test_a_given_tensor_scale(element, scale, k, ratio):
    """Below the tensor's largest element, groups meet the grid's end and elements saturate."""
    rng = np.random.default_rng([*element, *scale, k])
    for group, carry in (("nc", "clip"), ("nc", "carry"), ("c", "clip"), ("none", "carry")):
        x = random_tensor(rng, (3, 4, 2, 5))
        given = np.float32(np.abs(x).max() * ratio)
        formats = ElementFormat(*element), ScaleFormat(*scale)
        check(x, *formats, group, carry=carry, k=k, tensor_scale=given)


@pytest.mark.parametrize("name", directed_tensors())
@pytest.mark.parametrize("given", [1e-45, 1e-40, 2.0**-60, 0.75, 1.0, 3.3e38])
def test_a_given_tensor_scale_of_any_size(name, given):
    x = directed_tensors()[name][..., ::3]
    for element, scale in [((2, 4), (8, 1)), ((0, 2), (1, 0)), ((5, 10), (8, 3))]:
        formats = ElementFormat(*element), ScaleFormat(*scale)
        check(x, *formats, tensor_scale=np.float32(given))


def test_the_tensors_own_scale_may_be_given():
    x = random_tensor(np.random.default_rng(4), (3, 4, 5, 6))
    own = quantize(x, MLS_E2M4, SCALE_E8M1, rounding="nearest")
    given = quantize(x, MLS_E2M4, SCALE_E8M1, rounding="nearest", tensor_scale=own.tensor_scale)
    assert (own.codes() == given.codes()).all()
    assert (own.scale_codes() == given.scale_codes()).all()


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 49, 63, 64, 65, 196, 511, 512, 513, 1024, 1500])
def test_rows_of_any_length(length):
    """Lengths around those that loops and blocks of loops are made for."""
    rng = np.random.default_rng(length)
    x = random_tensor(rng, (3, max(1200 // length, 2), length))
    check(x, MLS_E2M4, SCALE_E8M1)


def test_ways_agree_on_large_tensors(monkeypatch):
    """Pieces of either way do not show, for words given, drawn, and none."""
    rng = np.random.default_rng(6)
    for shape in [(2, 3, 150_000), (40, 50, 3, 3), (1, 400, 14, 14), (300_000, 1), (7, 5, 90, 90)]:
        x = random_tensor(rng, shape) if len(shape) > 2 else rng.standard_normal(shape)
        x = x.astype(np.float32)
        rules = [
            {"rounding": "nearest"},
            {"random": rng.integers(0, 256, shape)},
            {"random": rng.integers(0, 256, shape).astype(np.uint8), "carry": "carry"},
            {"random_bits": 11},
        ]
        for rule, group in itertools.product(rules, GROUPS):
            drawn = "random" not in rule and "rounding" not in rule
            results = []
            for compiled in WAYS:
                monkeypatch.setattr(group_codes, "COMPILED", compiled)
                rngs = [np.random.default_rng(7) if drawn else None for _ in range(2)]
                result = quantize(x, MLS_E2M4, SCALE_E8M1, group=group, rng=rngs[0], **rule)
                values = quantize_values(x, MLS_E2M4, SCALE_E8M1, group=group, rng=rngs[1], **rule)
                check_values(values, result)
                results.append((result.codes(), result.scale_codes()))
            for codes, scale_codes in results[1:]:
                assert (codes == results[0][0]).all()
                assert (scale_codes == results[0][1]).all()
