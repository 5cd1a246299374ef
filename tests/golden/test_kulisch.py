"""The fixed-point accumulator against sums of fractions."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from mlsmac.golden import FP8_E4M3, FP8_E5M2, FP16, kulisch_mac

KINDS = {
    FP8_E4M3: (np.uint8, ml_dtypes.float8_e4m3fn),
    FP8_E5M2: (np.uint8, ml_dtypes.float8_e5m2),
    FP16: (np.uint16, np.float16),
}


def values(codes, format):
    unsigned, kind = KINDS[format]
    return codes.astype(unsigned).view(kind).astype(np.float64)


@pytest.mark.parametrize("rate", [0.3, 0.02])
@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(
    ("format", "width"),
    [(FP8_E4M3, 45), (FP8_E4M3, 24), (FP8_E5M2, 73), (FP8_E5M2, 64), (FP8_E5M2, 33), (FP16, 90)],
)
def test_sums_are_exact(format, width, wrap, rate):
    rng = np.random.default_rng(7)
    count = 2000
    w, a = rng.integers(0, 1 << format.code_width, (2, count))
    start = rng.random(count) < rate
    start[0] = True
    unit = Fraction(2) ** (2 * (format.min_exp - format.man_bits))
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    acc, sticky, expected = 0, False, []
    for x, y, begin in zip(values(w, format), values(a, format), start.tolist(), strict=True):
        invalid = not np.isfinite([x, y]).all()
        product = Fraction(0) if invalid else Fraction(x) * Fraction(y) / unit
        assert product.denominator == 1
        exact = (0 if begin else acc) + int(product)
        wrapped = (exact - low) % (1 << width) + low
        acc = wrapped if wrap else min(max(exact, low), high)
        sticky = invalid or acc != exact or (sticky and not begin)
        expected.append((acc, sticky))
    policy = "wrap" if wrap else "saturate"
    trace = kulisch_mac(w, a, start, format, acc_width=width, overflow=policy)
    assert list(zip(trace.acc.tolist(), trace.overflow.tolist(), strict=True)) == expected
    assert trace.acc.dtype == (np.int64 if width <= 64 else object)
    assert {sticky for _, sticky in expected} == {False, True}


ONE = np.array([1])
YES = np.array([True])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: kulisch_mac(ONE, ONE, YES, "e4m3", acc_width=45),
            TypeError,
            "format must be a F",
        ),
        (lambda: kulisch_mac(ONE, ONE, YES, FP16, acc_width=129), ValueError, "acc_width must be"),
        (lambda: kulisch_mac(ONE, ONE, ~YES, FP16, acc_width=90), ValueError, "start[0] must be"),
        (
            lambda: kulisch_mac(ONE + 255, ONE, YES, FP8_E4M3, acc_width=45),
            ValueError,
            "w must be in 0..255, not 256..256",
        ),
    ],
)
def test_refused_arguments(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
