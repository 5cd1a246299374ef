"""`quantize` and `MlsTensor` as a caller meets them: results' parts, random words, refusals."""

from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import (
    MLS_E2M4,
    SCALE_E8M1,
    Carry,
    ElementFormat,
    Grouping,
    Rounding,
    ScaleFormat,
    quantize,
    random_words,
)

GROUPS = ("nc", "n", "c", "none")


def test_dequantize_is_exact():
    x = np.random.default_rng(4).standard_normal((3, 4, 5)).astype(np.float32)
    x[1] *= np.float32(2.0**-130)  # subnormal inputs
    x[2, 1] = [0, -0.0, 1e-30, -1e-30, 2]
    for element, scale in [((2, 4), (8, 1)), ((5, 10), (8, 1)), ((0, 10), (4, 3))]:
        element, scale = ElementFormat(*element), ScaleFormat(*scale)
        result = quantize(x, element, scale, rng=np.random.default_rng(0))
        value = result.dequantize()
        assert value.dtype == np.float64
        for index in np.ndindex(x.shape):
            n, c, _ = index
            group_scale = (
                1 + Fraction(int(result.scale_man[n, c, 0]), 1 << scale.man_bits)
            ) / 2 ** int(result.scale_exp[n, c, 0])
            q = Fraction(int(result.significand()[index]), 2**element.fraction_bits)
            exact = (-1) ** int(result.sign[index]) * q * group_scale
            assert Fraction(value[index]) == exact * Fraction(float(result.tensor_scale))
        assert (np.signbit(value) == (result.sign == 1)).all()


def test_dequantized_error_is_below_one_step():
    x = np.random.default_rng(6).standard_normal((8, 8, 6, 6)).astype(np.float32)
    for rounding, steps in (("nearest", 0.5), ("stochastic", 1)):
        result = quantize(x, MLS_E2M4, SCALE_E8M1, rounding=rounding, carry="carry")
        unit = result.group_scale() * np.float64(result.tensor_scale) / 2**7
        step = unit * 2.0 ** np.maximum(result.exp.astype(int) - 1, 0)
        saturated = result.significand() == MLS_E2M4.max_significand
        error = np.abs(result.dequantize() - x)
        assert (error <= step * steps)[~saturated].all()


def test_codes_and_significands():
    x = np.random.default_rng(7).standard_normal((2, 3, 50)).astype(np.float32)
    for element in (MLS_E2M4, ElementFormat(0, 10), ElementFormat(5, 10)):
        result = quantize(x, element, SCALE_E8M1, rounding="nearest")
        code, m_bits = result.codes(), element.man_bits
        assert (code >> (element.code_width - 1) == result.sign).all()
        assert (code >> m_bits & ((1 << element.exp_bits) - 1) == result.exp).all()
        assert (code & ((1 << m_bits) - 1) == result.man).all()
        wide = element.significand_width > 31
        assert result.significand().dtype == (np.int64 if wide else np.int32)
        signed = result.signed_significand()
        assert (np.abs(signed) == result.significand()).all()
        assert ((signed < 0) == ((result.sign == 1) & (result.significand() > 0))).all()


def test_field_types():
    x = np.ones((1, 1), np.float32)
    for element, man_type in ((MLS_E2M4, np.uint8), (ElementFormat(1, 9), np.uint16)):
        result = quantize(x, element, SCALE_E8M1)
        assert (result.sign.dtype, result.exp.dtype) == (np.uint8, np.uint8)
        assert result.man.dtype == man_type
        assert (result.scale_exp.dtype, result.scale_man.dtype) == (np.uint8, np.uint8)
        assert isinstance(result.tensor_scale, np.float32)


@pytest.mark.parametrize("k", [1, 5, 8, 9, 16])
def test_generator_words(k):
    """`rng` gives the words that `random_words` documents, and all of them occur evenly."""
    x = np.random.default_rng(8).standard_normal((4, 5, 6)).astype(np.float32)
    words = random_words(np.random.default_rng(9), x.shape, k)
    drawn = quantize(x, MLS_E2M4, SCALE_E8M1, random_bits=k, rng=np.random.default_rng(9))
    given = quantize(x, MLS_E2M4, SCALE_E8M1, random_bits=k, random=words)
    assert (drawn.codes() == given.codes()).all()
    many = random_words(np.random.default_rng(10), (64, 1 << 10), k)
    assert many.shape == (64, 1 << 10)
    assert abs(many.astype(np.float64).mean() / ((1 << k) - 1) - 0.5) < 0.01
    assert (np.unique(many >> max(k - 8, 0)) == np.arange(1 << min(k, 8))).all()


def test_unseeded_rounding_draws_fresh_words():
    x = np.random.default_rng(11).standard_normal((4, 4, 100)).astype(np.float32)
    first, second = (quantize(x, MLS_E2M4, SCALE_E8M1).codes() for _ in range(2))
    assert (first != second).any()


def test_members_and_strings_are_the_same():
    x = np.random.default_rng(12).standard_normal((4, 4, 4)).astype(np.float32)
    by_name = quantize(x, MLS_E2M4, SCALE_E8M1, group="c", rounding="nearest", carry="carry")
    by_member = quantize(
        x,
        MLS_E2M4,
        SCALE_E8M1,
        group=Grouping.C,
        rounding=Rounding.NEAREST,
        carry=Carry.CARRY,
    )
    assert (by_name.codes() == by_member.codes()).all()
    assert by_name.scale_exp.shape == (1, 4, 1)


X = np.ones((2, 2), np.float32)
REFUSED = [
    ({"x": X.astype(np.float64)}, TypeError, "x must be a float32 array"),
    ({"x": [1.0]}, TypeError, "x must be a float32 array"),
    ({"x": np.ma.masked_array(X, X > 2)}, TypeError, "x must be an array without a mask"),
    ({"x": X[0]}, ValueError, "x must be of rank 2 or more"),
    ({"x": X[0], "group": "c"}, ValueError, "x must be of rank 2 or more"),
    ({"x": X[0, 0:1].reshape(()), "group": "none"}, ValueError, "x must be of rank 1 or more"),
    ({"x": X[:0]}, ValueError, "x must be of at least one element"),
    ({"element": (2, 4)}, TypeError, "element must be an ElementFormat"),
    ({"scale": (8, 1)}, TypeError, "scale must be a ScaleFormat"),
    ({"group": "cn"}, ValueError, "group must be one of 'nc', 'n', 'c', 'none', not 'cn'"),
    ({"rounding": "up"}, ValueError, "rounding must be one of 'stochastic', 'nearest'"),
    ({"carry": True}, ValueError, "carry must be one of 'clip', 'carry', not True"),
    ({"random_bits": 0}, ValueError, "random_bits must be in 1..16, not 0"),
    ({"random_bits": 17}, ValueError, "random_bits must be in 1..16, not 17"),
    ({"random_bits": 8.0}, TypeError, "random_bits must be an integer"),
    (
        {"element": ElementFormat(2, 10), "scale": ScaleFormat(8, 2), "random_bits": 16},
        ValueError,
        "random_bits must be at most 15 for element <2,10> and scale <8,2>, not 16",
    ),
    ({"rng": 5}, TypeError, "rng must be a numpy.random.Generator, not 5"),
    ({"random": X}, TypeError, "random must be an array of integers"),
    ({"random": np.zeros(3, int)}, ValueError, "random must be of x's shape"),
    ({"random": np.full((2, 2), 256)}, ValueError, "random must be in 0..255, not 256..256"),
    ({"random": np.full((2, 2), -1)}, ValueError, "random must be in 0..255, not -1..-1"),
    (
        {"random": np.zeros((2, 2), int), "rng": np.random.default_rng(0)},
        ValueError,
        "random must be None where rng is given",
    ),
    (
        {"random": np.zeros((2, 2), int), "rounding": "nearest"},
        ValueError,
        "random must be None for nearest rounding",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), REFUSED)
def test_refused_arguments(change, error, message):
    arguments = {"x": X, "element": MLS_E2M4, "scale": SCALE_E8M1} | change
    with pytest.raises(error) as caught:
        quantize(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("group", GROUPS)
def test_not_finite_is_refused_with_its_place(value, group):
    x = np.ones((3, 4, 5), np.float32)
    x[1, 2, 3] = x[2, 0, 0] = value
    with pytest.raises(ValueError, match=r"x must be finite, not .* at index \(1, 2, 3\)"):
        quantize(x, MLS_E2M4, SCALE_E8M1, group=group)
