"""`quantize`, its values and `MlsTensor` as a caller meets them: results' parts, random words,
refusals.
"""

import tracemalloc
from fractions import Fraction
from importlib.util import find_spec

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
    group_codes,
    quantize,
    quantize_values,
    random_words,
)
from mlsmac.golden.rounding import word_source

WAYS = [False, True] if find_spec("numba") else [False]
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
    ({"random": np.full((2, 2), 9, np.uint8), "random_bits": 3}, ValueError, "in 0..7, not 9..9"),
    ({"tensor_scale": 1.0}, TypeError, "tensor_scale must be a float32, not 1.0"),
    ({"tensor_scale": np.float64(1)}, TypeError, "tensor_scale must be a float32"),
    *(
        ({"tensor_scale": np.float32(bad)}, ValueError, "tensor_scale must be finite and > 0, not")
        for bad in (0.0, -0.0, -1.0, np.inf, np.nan)
    ),
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
    for function in (quantize, quantize_values):
        with pytest.raises(error) as caught:
            function(**arguments)
        assert message in str(caught.value)


FROZEN = np.ones((2, 2), np.float32)
FROZEN.flags.writeable = False
REFUSED_OUTS = [
    ([1.0], TypeError, "out must be a float32 array, not <class 'list'>"),
    (np.zeros((2, 2)), TypeError, "out must be a float32 array, not dtype('float64')"),
    (np.zeros(4, np.float32), ValueError, "out must be of x's shape (2, 2), not (4,)"),
    (np.zeros((2, 4), np.float32)[:, ::2], ValueError, "out must be C-contiguous and writeable"),
    (FROZEN, ValueError, "out must be C-contiguous and writeable"),
]


@pytest.mark.parametrize(("out", "error", "message"), REFUSED_OUTS)
def test_refused_outs(out, error, message):
    with pytest.raises(error) as caught:
        quantize_values(X, MLS_E2M4, SCALE_E8M1, out=out)
    assert message in str(caught.value)


def test_an_overlapping_out_is_refused():
    memory = np.ones(6, np.float32)
    x, out = memory[:4].reshape(2, 2), memory[2:].reshape(2, 2)
    with pytest.raises(ValueError, match="out must be x itself or apart from it"):
        quantize_values(x, MLS_E2M4, SCALE_E8M1, out=out)
    square = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="out must be x itself or apart from it"):
        quantize_values(square.T, MLS_E2M4, SCALE_E8M1, out=square)


@pytest.mark.parametrize("compiled", WAYS)
@pytest.mark.parametrize("shape", [(3, 4, 3, 3), (3, 4, 40, 40)])
def test_out_is_filled_and_may_be_x(monkeypatch, compiled, shape):
    monkeypatch.setattr(group_codes, "COMPILED", compiled)
    x = np.random.default_rng(13).standard_normal(shape).astype(np.float32)
    expected = quantize_values(x, MLS_E2M4, SCALE_E8M1, rounding="nearest")
    apart = np.full_like(x, np.nan)
    for out in (apart, x):
        given = quantize_values(x, MLS_E2M4, SCALE_E8M1, rounding="nearest", out=out)
        assert given is out
        assert (out == expected).all()


@pytest.mark.parametrize("compiled", WAYS)
def test_out_is_left_alone_where_x_is_refused(monkeypatch, compiled):
    monkeypatch.setattr(group_codes, "COMPILED", compiled)
    x, out = np.full((2, 2), np.nan, np.float32), np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="x must be finite"):
        quantize_values(x, MLS_E2M4, SCALE_E8M1, out=out)
    assert (out == 1).all()


@pytest.mark.parametrize(
    ("compiled", "limit"), [(False, 5 << 20), (True, 3 << 20)][: len(WAYS)], ids=str
)
@pytest.mark.parametrize("shape", [(4, 4, 512, 1024), (1, 1, 1 << 23), (1 << 10, 1 << 13)])
def test_memory_beside_the_result_is_bounded(monkeypatch, compiled, limit, shape):
    """Blocks of 2^15 or 2^17 elements, whatever the tensor's size."""
    monkeypatch.setattr(group_codes, "COMPILED", compiled)
    x = np.ones(shape, np.float32)
    rng, out = np.random.default_rng(14), np.empty_like(x)
    small = np.ones((2, 2), np.float32)
    quantize_values(small, MLS_E2M4, SCALE_E8M1, group="n")  # compiles
    tracemalloc.start()
    quantize_values(x, MLS_E2M4, SCALE_E8M1, group="n", rng=rng, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.SFC64])
@pytest.mark.parametrize("random_bits", [3, 8, 11])
@pytest.mark.parametrize("size", [1, 3, 6, 8, 13, 1000, 1001])
def test_words_are_the_generators_bytes(bits, random_bits, size):
    """The same words, and the same state after them, also after an odd number of 32-bit draws."""
    for before in (0, 1):
        ours, oracle = (np.random.Generator(bits(15)) for _ in range(2))
        for rng in (ours, oracle):
            rng.integers(0, 1 << 32, before, np.uint32)
        words = random_words(ours, (size,), random_bits)
        width = 1 if random_bits <= 8 else 2
        octets = np.frombuffer(oracle.bytes(size * width), f"<u{width}")
        assert (words == octets >> (8 * width - random_bits)).all()
        assert ours.bytes(12) == oracle.bytes(12)


@pytest.mark.parametrize("random_bits", [3, 8, 11])
def test_words_in_pieces_are_those_drawn_at_once(random_bits):
    sizes = [1, 5, 8, 1000, 3, 1024, 7, 1]
    shape = (sum(sizes),)
    rngs = [np.random.default_rng(16) for _ in range(2)]
    take = word_source(shape, Rounding.STOCHASTIC, random_bits, rngs[0], None)
    pieces = np.concatenate([take(size) for size in sizes])
    assert (pieces == random_words(rngs[1], shape, random_bits)).all()
    assert rngs[0].bytes(12) == rngs[1].bytes(12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("group", GROUPS)
def test_not_finite_is_refused_with_its_place(value, group):
    x = np.ones((3, 4, 5), np.float32)
    x[1, 2, 3] = x[2, 0, 0] = value
    with pytest.raises(ValueError, match=r"x must be finite, not .* at index \(1, 2, 3\)"):
        quantize(x, MLS_E2M4, SCALE_E8M1, group=group)
