"""The quantizer's ports, beat by beat: against fractions and Python's own maxima."""

from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden.quantizer import mls_quantizer, tensor_statistics
from mlsmac.golden.spec import MLS_E2M4, SCALE_E8M1, Carry, ElementFormat, ScaleFormat, Scaling
from mlsmac.sim.corners import make_vectors
from mlsmac.units import configure, reference

INFINITY = 0x7F800000


def value(code: int) -> Fraction:
    field, mantissa = code >> 23 & 255, code & ((1 << 23) - 1)
    return Fraction(mantissa + (1 << 23) * (field > 0)) * Fraction(2) ** (max(field, 1) - 150)


def scale_of(ratio: Fraction, scale: ScaleFormat) -> tuple[int, Fraction]:
    """The first of the grid that is large enough, else its last."""
    steps = 1 << scale.man_bits
    grid = [
        (exp << scale.man_bits | man, (1 + Fraction(man, steps)) / 2**exp)
        for exp in reversed(range(scale.max_exp + 1))
        for man in range(steps)
    ]
    return next((entry for entry in grid if entry[1] >= ratio), grid[-1])


def code_of(x: Fraction, word: int, element: ElementFormat, carry: Carry, bits: int) -> int:
    """Exponent and mantissa fields of x, binade by binade (section 3); above 1 the largest."""
    lowest = 1 - (1 << element.exp_bits)
    exp = max(-1, lowest)
    while exp > lowest and x < Fraction(2) ** exp:
        exp -= 1
    t = x / Fraction(2) ** (exp - element.man_bits)
    r = (t.__floor__() << bits) + ((t - t.__floor__()) * 2**bits).__floor__() + word >> bits
    hidden = 1 << element.man_bits
    normal = element.exp_bits > 0 and x >= Fraction(2) ** lowest
    if carry is Carry.CLIP:
        r = min(r, 2 * hidden - 1 if normal else hidden - 1)
    field = exp - lowest + 1 if normal else 0
    code = (max(field, 1) - 1) * hidden + r
    return min(code, (1 << (element.exp_bits + element.man_bits)) - 1)


def upper_bits(number: Fraction, bits: int) -> tuple[int, int]:
    """(n, e) with n of `bits` bits: the number is in [n, n + 1) * 2^e."""
    exponent = 0
    while number >= Fraction(2) ** (exponent + bits):
        exponent += 1
    while number < Fraction(2) ** (exponent + bits - 1):
        exponent -= 1
    return (number / Fraction(2) ** exponent).__floor__(), exponent


def by_reciprocal(x: Fraction, divisor: Fraction, bits: int) -> Fraction:
    """x / divisor, both cut off, from the middle of what is cut off; the reciprocal likewise."""
    if not x:
        return x
    (above, x_exponent), (below, exponent) = upper_bits(x, bits), upper_bits(divisor, bits)
    half = Fraction(1, 2)
    reciprocal, unit = upper_bits(1 / (below + half), bits)
    quotient = (above + half) * (reciprocal + half) * Fraction(2) ** (unit + x_exponent - exponent)
    return min(quotient, Fraction(1))


@pytest.mark.parametrize("scaling", Scaling)
@pytest.mark.parametrize("carry", Carry)
@pytest.mark.parametrize(
    ("format", "scale", "rounding", "bits"),
    [
        ("2,4", "8,1", "stochastic", 0),
        ("2,1", "3,2", "nearest", 0),
        ("0,4", "4,1", "stochastic", 0),
        ("2,4", "8,1", "stochastic", 8),
        ("0,4", "4,2", "stochastic", 4),
    ],
)
def test_codes_are_those_of_fractions(format, scale, rounding, bits, carry, scaling):
    options = {"format": format, "scale": scale, "rounding": rounding, "carry": carry, "lanes": 2}
    configuration = configure("mls_quantizer", **options, reciprocal_bits=bits, scaling=scaling)
    element, fmt = configuration.options["format"], configuration.options["scale"]
    vectors = make_vectors(configuration, 400, 3)
    words = np.full(vectors.inputs["x"].shape, 128)
    if "seed" in vectors.inputs:
        generator = configure("lfsr", lanes=2).options
        words = reference("lfsr", generator, {"start": vectors.inputs["seed"]})["word"]
    invalid = 0
    for step in range(400):
        x = [int(code) for code in vectors.inputs["x"][step]]
        if vectors.inputs["start"][step]:
            peak, top = (int(vectors.inputs[f"{of}_max"][step]) for of in ("group", "tensor"))
            larger = peak > top if scaling is Scaling.CURRENT else peak > top == 0
            wrong = max(peak, top) >= INFINITY or larger
            invalid = int(wrong)
            divisor = Fraction(1)
            scale_code = 0
            if not wrong:
                ratio = value(peak) / (value(top) or 1)
                scale_code, scale_value = scale_of(ratio, fmt)
                divisor = scale_value * value(top) or Fraction(1)
        invalid |= any(code & ~(1 << 31) > peak for code in x)
        assert vectors.outputs["invalid"][step] == invalid
        assert vectors.outputs["scale_code"][step] == scale_code
        for lane, code in enumerate(x):
            expected = 0
            if not invalid:
                ratio, word = value(code) / divisor, int(words[step, lane])
                if bits:
                    ratio = by_reciprocal(value(code), divisor, bits)
                expected = code_of(ratio, word, element, carry, 8)
                negative = code >> 31 and code != 1 << 31
                expected |= negative << (element.code_width - 1)
            assert vectors.outputs["codes"][step, lane] == expected, (step, lane)


@pytest.mark.parametrize(("carry", "most"), [(Carry.CARRY, 1), (Carry.CLIP, 2)])
def test_a_reciprocal_is_wrong_by_few_codes(carry, most):
    """From p = M + 3 on; and the tensor's maximum keeps the largest code."""
    rng = np.random.default_rng(8)
    x = np.exp2(rng.random((100, 1000)) * -5).astype(np.float32)
    start, words = np.ones(len(x), np.int64), rng.integers(0, 256, x.shape)
    bits = x.view(np.uint32).astype(np.int64)
    top = bits.max(axis=1)
    options = {"element": MLS_E2M4, "scale": SCALE_E8M1, "carry": carry, "random_bits": 8}
    exact, close = (
        mls_quantizer(bits, start, top, top, words, **options, reciprocal_bits=p)["codes"]
        for p in (0, 7)
    )
    assert np.abs(exact - close).max() == most
    assert (close[bits == top[:, np.newaxis]] == 63).all()


def test_rejects_too_short_a_reciprocal():
    zero = np.zeros(1, np.int64)
    options = {"element": MLS_E2M4, "scale": SCALE_E8M1, "carry": Carry.CLIP, "random_bits": 8}
    with pytest.raises(ValueError, match=r"^reciprocal_bits must be in 4\.\.16, not 3$"):
        mls_quantizer(zero[:, None], zero + 1, zero, zero, None, **options, reciprocal_bits=3)


def test_mean_over_all_words_is_exact():
    """Of values between two codes, and of codes themselves, which no word moves."""
    rng = np.random.default_rng(5)
    top = np.float32(0.8)
    x = np.append(rng.random(20, np.float32) * top, np.float32([0.4, 0.05, 0.0125, 0]))
    bits = x.view(np.uint32).astype(np.int64)
    beats = np.repeat(bits[:, np.newaxis], 256, axis=1)
    words = np.broadcast_to(np.arange(256), beats.shape)
    maxima = np.full(len(x), np.array(top).view(np.uint32).astype(np.int64))
    start = np.ones(len(x), np.int64)
    codes = mls_quantizer(
        *(beats, start, maxima, maxima, words),
        element=MLS_E2M4,
        scale=SCALE_E8M1,
        carry=Carry.CARRY,
        random_bits=8,
    )["codes"]
    for number, row in zip(x, codes, strict=True):
        ratio = Fraction(float(number)) / Fraction(float(top))
        exp = next((e for e in (-1, -2, -3) if ratio >= Fraction(2) ** e), -3)
        t = ratio / Fraction(2) ** (exp - 4)
        base = code_of(ratio, 0, MLS_E2M4, Carry.CARRY, 8)
        if base < 63:  # the largest code saturates
            mean = base + Fraction((t * 256).__floor__() % 256, 256)
            assert Fraction(int(row.sum()), 256) == mean
        if t == t.__floor__():
            assert len(set(row.tolist())) == 1


def test_statistics_are_maxima_of_what_came():
    vectors = make_vectors(configure("tensor_statistics", lanes=3), 500, 7)
    group, tensor, ended = 0, 0, True
    for step in range(500):
        beat = {port: values[step] for port, values in vectors.inputs.items()}
        if beat["valid"]:
            largest = max(int(code) & ~(1 << 31) for code in beat["x"])
            group = largest if ended or beat["first"] else max(group, largest)
            tensor = largest if beat["first"] else max(tensor, largest)
            ended = bool(beat["last"])
        expected = {
            "group_max": group,
            "group_valid": beat["valid"] & beat["last"],
            "tensor_max": tensor,
            "invalid": tensor >= INFINITY,
        }
        assert {port: values[step] for port, values in vectors.outputs.items()} == expected


def test_statistics_of_a_group_end_with_it():
    codes = np.array([[0x3F800000], [0x40000000], [0xBF800000], [1]])
    marks = [np.array(bits) for bits in ([1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0])]
    outputs = tensor_statistics(codes, *marks)
    assert outputs["group_max"].tolist() == [0x3F800000, 0x40000000, 0x3F800000, 1]
    assert outputs["tensor_max"].tolist() == [0x3F800000, 0x40000000, 0x40000000, 1]
    assert outputs["group_valid"].tolist() == [0, 1, 0, 0]
