"""Logarithmic numbers against real arithmetic in 50 digits and plain loops of integers."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from mlsmac.golden import LNS8, LnsFormat, lns_mac
from mlsmac.golden.lns import conversion_table, decode, encode, lns_product

FORMATS = [LNS8, LnsFormat(4, 1), LnsFormat(8, 4), LnsFormat(5, 2), LnsFormat(2, 1)]
EVERY = np.arange(256)


def power_of_two(numerator: int, denominator: int) -> Decimal:
    with localcontext() as context:
        context.prec = 50
        return Decimal(2) ** (Decimal(numerator) / denominator)


@pytest.mark.parametrize("table_fraction", [4, 9, 15, 30])
@pytest.mark.parametrize("format", FORMATS)
def test_table_is_the_rounded_power_times_mitchells_line(format, table_fraction):
    size = 1 << format.fraction_bits
    for table_bits in range(format.fraction_bits + 1):
        low = size >> table_bits
        expected = [
            power_of_two(r // low, 1 << table_bits)
            * (1 + Decimal(r % low) / size)
            * (1 << table_fraction)
            for r in range(size)
        ]
        table = conversion_table(format, table_bits=table_bits, table_fraction=table_fraction)
        largest = (2 << table_fraction) - 1
        assert table == [min(int(value + Decimal("0.5")), largest) for value in expected]


# Largest and mean of |T[r] / 2^(r / 8 + 15) - 1| over the remainders, in percent.
ERRORS = {3: (0.00068, 0.00026), 2: (3.17, 1.59), 1: (6.03, 3.58), 0: (6.07, 4.01)}


@pytest.mark.parametrize(("table_bits", "errors"), ERRORS.items())
def test_conversion_error_of_every_pair_of_codes(table_bits, errors):
    """Against 2^((e_x + e_y) / 8 - 16): the table's relative error and less than a unit more."""
    table = conversion_table(LNS8, table_bits=table_bits)
    relative = [float(T / power_of_two(r + 120, 8)) - 1 for r, T in enumerate(table)]
    largest, mean = (100 * x for x in (max(map(abs, relative)), np.mean(np.abs(relative))))
    assert 0.95 * errors[0] < largest <= errors[0]
    assert 0.95 * errors[1] < mean <= errors[1]
    x, y = np.meshgrid(EVERY, EVERY)
    product = lns_product(x, y, LNS8, table_bits=table_bits)
    total = x % 128 + y % 128
    exact = np.array([float(power_of_two(p - 128, 8)) for p in range(255)])[total]
    signed = np.where((x >= 128) ^ (y >= 128), -1, 1) * exact
    signed[(x % 128 == 0) | (y % 128 == 0)] = 0
    error = np.abs(product) - np.abs(signed)
    assert (product * signed >= 0).all()
    assert (error > -1 - 1e-9 - np.abs(signed) * max(0.0, *(-r for r in relative))).all()
    assert (error <= np.abs(signed) * max(relative) + 1e-9).all()


def test_values_and_products_of_codes():
    assert decode([0, 1, 128, 127, 120, 255], LNS8) == pytest.approx(
        [0, 2**-15.875, 0, 2**-0.125, 0.5, -(2**-0.125)], rel=1e-15
    )
    # 2^-1 * 2^-1 = 2^-2 in units of 2^-16; the smallest product that is left, and one below it.
    pairs = {(120, 120): 1 << 14, (248, 120): -(1 << 14), (127, 1): 1, (126, 1): 0, (120, 128): 0}
    x, y = np.array(list(pairs)).T
    assert lns_product(x, y, LNS8, table_bits=3).tolist() == list(pairs.values())


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("width", [17, 24, 65])
def test_lns_mac_matches_a_loop(width, wrap):
    rng = np.random.default_rng(3)
    w, a = rng.integers(0, 256, (2, 2000)) | (rng.random((2, 2000)) < 0.5) * 120
    start = rng.random(2000) < 0.05
    start[0] = True
    table = conversion_table(LNS8, table_bits=2)
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    acc, sticky, expected = 0, False, []
    for x, y, begin in zip(w.tolist(), a.tolist(), start.tolist(), strict=True):
        p = x % 128 + y % 128
        product = table[p % 8] * 2 ** (p // 8) // 2**31 if x % 128 and y % 128 else 0
        exact = (0 if begin else acc) + (-product if (x ^ y) & 128 else product)
        wrapped = (exact - low) % (1 << width) + low
        acc = wrapped if wrap else min(max(exact, low), high)
        sticky = acc != exact or (sticky and not begin)
        expected.append((acc, sticky))
    policy = "wrap" if wrap else "saturate"
    trace = lns_mac(w, a, start, LNS8, table_bits=2, acc_width=width, overflow=policy)
    assert list(zip(trace.acc.tolist(), trace.overflow.tolist(), strict=True)) == expected
    assert any(sticky for _, sticky in expected) == (width == 17)


@pytest.mark.parametrize("format", FORMATS)
def test_encode_is_nearest_in_the_logarithm(format):
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((4, 500)) * np.exp(rng.normal(0, 4, (4, 500)))).astype(np.float32)
    x[:, :9] = 0
    codes = encode(x, format)
    top = (1 << format.exp_bits) - 1
    assert codes.dtype == np.int64
    assert (codes & top).max() == top
    largest = np.abs(x).max()
    steps = float(1 << format.fraction_bits)
    for value, code in zip(x.ravel().tolist(), codes.ravel().tolist(), strict=True):
        exponent = code & top
        if value:
            distance = top + steps * np.log2(abs(value) / float(largest)) - exponent
            assert abs(distance) <= 0.5 + 1e-9 or (exponent == 0 and distance < 0.5)
        assert (code > top) == (value < 0 and exponent > 0)
        assert value or code == 0
    assert (encode(np.zeros((2, 3), np.float32), format) == 0).all()
    # A value that is a code's, but for the scale, gets that code back.
    every = np.arange(2 << format.exp_bits)
    back = encode(decode(every, format).astype(np.float32), format)
    assert (back == np.where(every & top, every, 0)).all()


ONE = np.array([1])
YES = np.array([True])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: lns_mac(ONE, ONE, YES, (7, 3), table_bits=3, acc_width=24),
            TypeError,
            "format must be an LnsForm",
        ),
        (
            lambda: lns_mac(ONE, ONE, YES, LNS8, table_bits=4, acc_width=24),
            ValueError,
            "table_bits must be in 0..3, not 4",
        ),
        (
            lambda: lns_mac(ONE, ONE, YES, LNS8, table_bits=3, table_fraction=2, acc_width=24),
            ValueError,
            "table_fraction must be in 3..30, not 2",
        ),
        (
            lambda: lns_mac(ONE + 255, ONE, YES, LNS8, table_bits=3, acc_width=24),
            ValueError,
            "w must be in 0..2",
        ),
        (
            lambda: lns_mac(ONE, ONE, ~YES, LNS8, table_bits=3, acc_width=24),
            ValueError,
            "start[0] must be True",
        ),
        (lambda: encode(np.ones(3), LNS8), TypeError, "x must be a float32 array, not dtype"),
        (lambda: encode(np.float32([1, np.inf]), LNS8), ValueError, "x must be finite"),
        (lambda: encode(np.float32([1]), (7, 3)), TypeError, "format must be an LnsFormat"),
        (lambda: decode([256], LNS8), ValueError, "codes must be in 0..255"),
        (lambda: decode([1], None), TypeError, "format must be an LnsFormat, not None"),
    ],
)
def test_refused_arguments(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
