"""What the convolutions and the trees refuse, their corner cases, and the trees on their own."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import (
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M0,
    SCALE_E8M1,
    ElementFormat,
    aligned_tree,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    exact_tree,
    fp32_tree,
    quantize,
    scale_factor,
    to_float32,
)


def tensor(*shape, element=MLS_E2M4, scale=SCALE_E8M1, **options):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    return quantize(x, element, scale, rounding="nearest", **options)


W, A, E = tensor(3, 2, 3, 3), tensor(2, 2, 5, 5), tensor(2, 3, 3, 3)


def test_results_of_each_convolution():
    assert conv2d(W, A).z.shape == (2, 3, 3, 3)
    assert conv2d(W, A, segment=4).sum_count == 2 * 3 * 9 * 2 * 3
    assert conv2d_input_grad(W, E, input_size=(5, 5)).sum_count == 2 * 2 * 25 * 3
    assert conv2d_weight_grad(A, E, kernel_size=(3, 3)).sum_count == 3 * 2 * 9 * 2


@pytest.mark.parametrize("place", [(1, 1), (2, 0), (2, 1)])
def test_gradients_are_the_adjoints(place):
    """<conv(w, a), e> = <a, input_grad(w, e)> = <w, weight_grad(a, e)>, but for rounding."""
    stride, padding = place
    a, e = tensor(2, 2, 6, 7), tensor(2, 3, *((s + 2 * padding - 3) // stride + 1 for s in (6, 7)))
    options = {"stride": stride, "padding": padding, "acc_width": "auto"}
    z = conv2d(W, a, **options).z.astype(np.float64)
    to_input = conv2d_input_grad(W, e, input_size=(6, 7), **options).z.astype(np.float64)
    to_weights = conv2d_weight_grad(a, e, kernel_size=(3, 3), **options).z.astype(np.float64)
    product = (z * e.dequantize()).sum()
    assert abs(product) > 1e-2
    assert (to_input * a.dequantize()).sum() == pytest.approx(product, rel=1e-5)
    assert (to_weights * W.dequantize()).sum() == pytest.approx(product, rel=1e-5)


@pytest.mark.parametrize(("sign", "length"), [(1, 7), (1, 8), (-1, 8), (-1, 9)])
def test_the_last_sum_that_fits(sign, length):
    """Sums of `length` products of 1 in four bits, -8 to 7, on either side of the limits."""
    options = {"element": ElementFormat(0, 1), "scale": SCALE_E8M0, "rounding": "nearest"}
    w = quantize(np.full((1, 1, 1, length), sign, np.float32), **options)
    a = quantize(np.ones((1, 1, 1, length), np.float32), **options)
    assert np.abs(w.signed_significand()).min() == 1
    total = sign * length
    result = conv2d(w, a, acc_width=4)
    assert result.overflow_count == (not -8 <= total <= 7)
    assert result.z.item() == min(max(total, -8), 7) / 4
    assert conv2d(w, a, acc_width=4, overflow="wrap").z.item() == ((total + 8) % 16 - 8) / 4


def test_a_zero_tensor():
    zero = quantize(np.zeros((2, 2, 5, 5), np.float32), MLS_E2M4, SCALE_E8M1, rounding="nearest")
    z = conv2d(W, zero).z
    assert (z.view(np.uint32) == 0).all()


def test_infinite_tensor_scale():
    """0 times an infinite product of tensor scales is the one canonical NaN."""
    largest = np.finfo(np.float32).max
    a = replace(A, exp=A.exp.copy(), man=A.man.copy(), tensor_scale=largest)
    a.exp[0], a.man[0] = 0, 0
    z = conv2d(replace(W, tensor_scale=largest), a).z
    assert (z[0].view(np.uint32) == 0x7FC00000).all()
    assert np.isinf(z[1]).all()


def test_scale_factors():
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1)]
    man_w, man_a = np.array(pairs).T
    assert scale_factor(man_w, man_a, SCALE_E8M1).tolist() == [4, 6, 6, 9]
    assert scale_factor(np.array([0]), np.array([0]), SCALE_E8M0).tolist() == [1]


def test_rounding_to_float32():
    term = np.array([2**24 + 1, 2**24 + 3, -(2**24 + 1), 3, -1, 1, 0, -3])
    exponent = np.array([0, 0, 0, 150, 150, 150, 10, 149])
    tiny = 2.0**-149
    expected = [2.0**24, 2.0**24 + 4, -(2.0**24), 2 * tiny, 0, 0, 0, -3 * tiny]
    result = to_float32(term, exponent)
    assert result.tolist() == expected
    assert not np.signbit(result[4:7]).any()


def test_fp32_tree_by_hand():
    half, big = 2.0**-24, 2.0**24
    terms = np.array([[1, big], [half, 1], [half, 1], [half, -big]], np.float32)
    # ((1 + h) + (h + h)): the first add drops h, the second pair is a whole unit.
    # ((b + 1) + (1 - b)): the first add drops 1.
    assert fp32_tree(terms).tolist() == [1 + 2 * half, 1]
    # One after another, every h and every 1 is dropped.
    assert fp32_tree(terms, lanes=1).tolist() == [1, 0]
    assert fp32_tree(terms, lanes=3).tolist() == [1, 0]
    # An odd last one passes through: (h + h) + 1, (1 + 1) + b.
    assert fp32_tree(terms[[1, 2, 0]]).tolist() == [1 + 2 * half, 2 + big]
    assert terms[0, 0] == 1  # the argument is kept


def test_minus_zero_never_leaves_a_tree():
    terms = np.full((3, 1), -0.0, np.float32)
    assert not np.signbit(fp32_tree(terms)).any()


def test_aligned_tree_by_hand():
    terms, exponent = np.array([5, -1, 3, 1]), np.array([0, 3, 2, 200])
    # With one guard bit: 10, floor(-2 / 8) = -1, floor(6 / 4) = 1, 0; in halves.
    assert aligned_tree(terms, exponent, guard_bits=1) == 5
    assert aligned_tree(terms, exponent, guard_bits=3) == (40 - 1 + 6) / 8
    # Tiles of two align on their own.
    assert aligned_tree(terms, exponent, 2, guard_bits=1) == (10 - 1) / 2 + 6 / 8


def test_exact_tree_on_adversarial_terms():
    rng = np.random.default_rng(2)
    terms = rng.integers(-(2**19), 2**19, (24, 50))
    exponent = rng.integers(0, 500, terms.shape)
    terms[12:], exponent[12:] = -terms[:12], exponent[:12]  # cancels, but for what follows
    terms[0] += rng.integers(-1, 2, 50)
    terms[5] *= rng.integers(0, 2, 50)
    expected = [
        sum(Fraction(int(t)) / 2 ** int(x) for t, x in zip(*column, strict=True))
        for column in zip(terms.T, exponent.T, strict=True)
    ]
    result = exact_tree(terms, exponent)
    for value, exact in zip(result.tolist(), expected, strict=True):
        # Nearest: no float32 lies closer than the result.
        for other in (math.inf, -math.inf):
            neighbour = float(np.nextafter(np.float32(value), np.float32(other)))
            assert abs(Fraction(value) - exact) <= abs(Fraction(neighbour) - exact)


@pytest.mark.parametrize("below", [20, 27, 28, 29, 40, 60, 300])
def test_exact_tree_sees_a_tie_broken_far_below(below):
    terms, exponent = np.array([2**24, 1, 1]), np.array([0, 0, below])
    assert exact_tree(terms, exponent) == 2.0**24 + 2
    assert exact_tree(terms * [1, 1, -1], exponent) == 2.0**24
    assert exact_tree(terms * [1, 1, 0], exponent) == 2.0**24


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: conv2d(1, A), TypeError, "w must be an MlsTensor, not 1"),
        (lambda: conv2d(W, None), TypeError, "a must be an MlsTensor"),
        (lambda: conv2d(tensor(3, 2, 3), A), ValueError, "w must be of rank 4"),
        (lambda: conv2d(W, tensor(2, 2, 5, 5, group="n")), ValueError, "a must have groups 'nc'"),
        (lambda: conv2d(W, tensor(2, 2, 5, 5, group="none")), ValueError, "groups 'nc'"),
        (
            lambda: conv2d(W, tensor(2, 2, 5, 5, element=MLS_E2M1)),
            ValueError,
            "a must have w's element format <2,4>, not <2,1>",
        ),
        (
            lambda: conv2d(W, tensor(2, 2, 5, 5, scale=SCALE_E8M0)),
            ValueError,
            "a must have w's scale format <8,1>, not <8,0>",
        ),
        (lambda: conv2d(W, E), ValueError, "a must have w's 2 channels, not 3"),
        (lambda: conv2d(W, tensor(2, 2, 2, 5)), ValueError, "the kernel must fit"),
        (lambda: conv2d(W, A, stride=0), ValueError, "stride must be in 1.."),
        (lambda: conv2d(W, A, stride=(1, 1)), TypeError, "stride must be an integer"),
        (lambda: conv2d(W, A, padding=-1), ValueError, "padding must be in 0.."),
        (lambda: conv2d(W, A, acc_width=1), ValueError, "acc_width must be in 2..64"),
        (lambda: conv2d(W, A, acc_width="wide"), TypeError, "acc_width must be an integer"),
        (lambda: conv2d(W, A, overflow="clamp"), ValueError, "overflow must be one of"),
        (lambda: conv2d(W, A, segment=0), ValueError, "segment must be in 1.."),
        (lambda: conv2d(W, A, tree="int"), ValueError, "tree must be one of 'fp32', 'aligned'"),
        (lambda: conv2d(W, A, lanes=0), ValueError, "lanes must be in 1.."),
        (lambda: conv2d(W, A, lanes=2.0), TypeError, "lanes must be an integer"),
        (lambda: conv2d(W, A, guard_bits=33), ValueError, "guard_bits must be in 0..32"),
        (
            lambda: conv2d(W, A, tree="aligned", acc_width=40),
            ValueError,
            "guard_bits must keep the sum of 2 aligned terms within 54 bits for acc_width 40",
        ),
        (
            lambda: conv2d(*(tensor(2, 2, 3, 3, element=ElementFormat(5, 0)) for _ in "wa")),
            ValueError,
            "element must keep 9 scaled products below 2^52, not <5,0>",
        ),
        (
            lambda: conv2d_input_grad(W, E, input_size=[5, 5]),
            TypeError,
            "input_size must be a pair of integers",
        ),
        (
            lambda: conv2d_input_grad(W, E, input_size=(5, 6)),
            ValueError,
            "e must be of size (3, 4) for these sizes, not (3, 3)",
        ),
        (
            lambda: conv2d_input_grad(W, A, input_size=(7, 7)),
            ValueError,
            "e must have w's 3 output channels, not 2",
        ),
        (
            lambda: conv2d_weight_grad(A, E, kernel_size=(3, 0)),
            ValueError,
            "kernel_size must be in 1..",
        ),
        (
            lambda: conv2d_weight_grad(A, E, kernel_size=(2, 3)),
            ValueError,
            "e must be of size (4, 3) for these sizes, not (3, 3)",
        ),
        (
            lambda: conv2d_weight_grad(A, tensor(1, 3, 3, 3), kernel_size=(3, 3)),
            ValueError,
            "e must have a's 2 samples, not 1",
        ),
        (lambda: fp32_tree(np.ones((2, 1)), lanes=0), ValueError, "lanes must be in 1.."),
        (
            lambda: aligned_tree(np.ones((2, 1), int), np.zeros(1, int), guard_bits=-1),
            ValueError,
            "guard_bits must be in 0..32",
        ),
    ],
)
def test_refused_arguments(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
