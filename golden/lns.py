"""Logarithmic numbers: products by adding exponents, their conversion to integers, the MAC, and
the encoding of tensors (docs/numerics.md section 13).
"""

import math

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .floats import check_codes, check_float32
from .grid import largest_magnitude
from .mac import MacTrace, accumulate_integers, check_operands
from .spec import MAX_TABLE_FRACTION, TABLE_FRACTION, LnsFormat, Overflow, check_int

# Less than any float32 number over another: what zeros are taken for, so that their field is 0.
_NEXT_TO_NOTHING = 2.0**-1000
# Elements worked on at a time: their temporaries stay in the second-level cache.
_TILE = 1 << 15


def conversion_table(
    format: LnsFormat, *, table_bits: int, table_fraction: int = TABLE_FRACTION
) -> list[int]:
    """`T[r] = round(2^(h / 2^table_bits) * (1 + l / 2^B) * 2^table_fraction)`, r = 0..2^B - 1.

    B is `format.fraction_bits`, h the high `table_bits` bits of r and l the others. `table_bits` =
    B: 2^(r / 2^B), the exact table. 0: Mitchell's 1 + r / 2^B. Between: both, limited to
    2^(table_fraction + 1) - 1, which one table alone exceeds (B = 4, `table_bits` 1).

    Parameters: `table_bits` 0..B; `table_fraction` B..30.
    Raises: TypeError, ValueError.
    Source: J. N. Mitchell, "Computer multiplication and division using binary logarithms", IRE
    Transactions on Electronic Computers 11(4), 1962; J. Zhao et al., "LNS-Madam: low-precision
    training in logarithmic number system using multiplicative weight update", 2022.
    """
    bits = format.fraction_bits
    check_int("table_bits", table_bits, 0, bits)
    check_int("table_fraction", table_fraction, bits, MAX_TABLE_FRACTION)
    low_bits = bits - table_bits
    table = []
    for r in range(1 << bits):
        high, low = r >> low_bits, r & ((1 << low_bits) - 1)
        # Twice the entry, floored: the integer root of 2^table_bits of its power, by square roots.
        linear = ((1 << bits) + low) << (table_fraction - bits + 1)
        power = linear ** (1 << table_bits) << high
        for _ in range(table_bits):
            power = math.isqrt(power)
        table.append(min((power + 1) >> 1, (2 << table_fraction) - 1))
    return table


def lns_product(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    format: LnsFormat,
    *,
    table_bits: int,
    table_fraction: int = TABLE_FRACTION,
) -> Codes:
    """`x * y` as signed integers (int64) in units of 2^-(table_fraction + 1).

    Magnitude `floor(T[r] * 2^(q - 2^(E - B + 1) + 1))` with `2^B q + r = e_x + e_y`, E and B the
    format's `exp_bits` and `fraction_bits`; 0 where an operand is zero.

    Parameters: `x`, `y`: codes of `format`, broadcasting; the rest as in `conversion_table`.
    Raises: TypeError, ValueError.
    """
    table = np.array(conversion_table(format, table_bits=table_bits, table_fraction=table_fraction))
    codes = [check_codes(name, code, format.code_width) for name, code in (("x", x), ("y", y))]
    exponents = [code & ((1 << format.exp_bits) - 1) for code in codes]
    quotient, remainder = np.divmod(exponents[0] + exponents[1], 1 << format.fraction_bits)
    right = (1 << (format.exp_bits - format.fraction_bits + 1)) - 1 - quotient
    magnitude = table[remainder] >> np.minimum(right, 63)
    magnitude = np.where((exponents[0] == 0) | (exponents[1] == 0), 0, magnitude)
    negative = (codes[0] ^ codes[1]) >> format.exp_bits != 0
    return np.where(negative, -magnitude, magnitude)


def lns_mac(
    w: npt.ArrayLike,
    a: npt.ArrayLike,
    start: npt.ArrayLike,
    format: LnsFormat,
    *,
    table_bits: int,
    acc_width: int,
    table_fraction: int = TABLE_FRACTION,
    overflow: Overflow | str = Overflow.SATURATE,
) -> MacTrace:
    """`acc = limit((start ? 0 : acc) + w * a)`, products as in `lns_product`.

    Parameters:
        w, a: codes of `format`, shape (T,).
        start: bool, shape (T,), the first one set.
        table_bits, table_fraction: as in `conversion_table`.
        acc_width, overflow: as in `accumulate_integers`.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 13.
    """
    check_lns(format)
    w, a, begins = check_operands(w, a, start, format.code_width)
    product = lns_product(w, a, format, table_bits=table_bits, table_fraction=table_fraction)
    return accumulate_integers(product, begins, acc_width=acc_width, overflow=overflow)


def encode(x: npt.NDArray[np.float32], format: LnsFormat, *, axis: int | None = None) -> Codes:
    """Codes (int64, x's shape) of a tensor whose max |x| becomes the largest code:
    `e = 2^E - 1 + round(2^B log2(|x| / max|x|))`, nearest in the logarithm; zero where e < 1.

    Zeros have sign 0, an all-zero tensor is all zeros.

    Parameters: `axis`: each index of it has a largest code, and so a scale, of its own; None: the
    whole tensor has one.
    Raises: TypeError for what is no float32 array or format; ValueError for NaN and infinities, and
    for an axis that x does not have.
    """
    exponent = _exponents(x, _largest(x, format, axis), format)
    sign = (x < 0).astype(np.int64) << format.exp_bits
    return np.where(exponent > 0, sign | exponent, 0)


def lns_values(
    x: npt.NDArray[np.float32], format: LnsFormat, *, axis: int | None = None
) -> npt.NDArray[np.float32]:
    """`decode(encode(x)) * scale` in float64, then float32, where `scale` is `max|x|` over the
    largest code's value, so that the largest elements stay as they are.

    Raises: as `encode`.
    """
    largest = _largest(x, format, axis)
    numbers = decode(np.arange(1 << format.exp_bits), format)
    if axis is not None:
        values = numbers[_exponents(x, largest, format)] * (largest / numbers[-1])
        values = values.astype(np.float32)
    else:
        numbers = (numbers * (largest.item() / numbers[-1])).astype(np.float32)
        values = np.empty(x.shape, np.float32)
        source, target = np.ravel(x), values.reshape(-1)
        for begin in range(0, x.size, _TILE):
            part = slice(begin, begin + _TILE)
            np.take(numbers, _exponents(source[part], largest.ravel(), format), out=target[part])
    np.copysign(values, x, out=values)
    values += np.float32(0)  # a code of zero has no sign
    return values


def _largest(
    x: npt.NDArray[np.float32], format: LnsFormat, axis: int | None
) -> npt.NDArray[np.float64]:
    """max |x| of each index of `axis`, broadcasting against x."""
    check_lns(format)
    check_float32(x)
    if axis is not None and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be one of x's {x.ndim}, not {axis!r}")
    others = None if axis is None else tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    largest = largest_magnitude(x, others).astype(np.float64)
    if not np.isfinite(largest).all():
        raise ValueError("x must be finite, not infinite or NaN")
    return largest


def _exponents(
    x: npt.NDArray[np.float32], largest: npt.NDArray[np.float64], format: LnsFormat
) -> Codes:
    """Exponent fields, 0 of zeros."""
    magnitude = np.abs(x).astype(np.float64)
    magnitude[magnitude == 0] = _NEXT_TO_NOTHING
    steps = np.divide(magnitude, np.where(largest > 0, largest, 1.0), out=magnitude)
    np.log2(steps, out=steps)
    steps *= 1 << format.fraction_bits
    np.rint(steps, out=steps)
    steps += (1 << format.exp_bits) - 1
    # None exceeds the largest code, as no ratio exceeds 1.
    return np.maximum(steps, 0, out=steps).astype(np.int64)


def decode(codes: npt.ArrayLike, format: LnsFormat) -> npt.NDArray[np.float64]:
    """Values `(-1)^s * 2^((e - 2^E) / 2^B)` as float64, rounded once by its power; 0 for e = 0.

    Raises: TypeError, ValueError.
    """
    check_lns(format)
    code = check_codes("codes", codes, format.code_width)
    exponent = code & ((1 << format.exp_bits) - 1)
    value = np.exp2(
        np.ldexp((exponent - (1 << format.exp_bits)).astype(float), -format.fraction_bits)
    )
    value = np.where(exponent == 0, 0.0, value)
    return np.where(code >> format.exp_bits, -value, value)


def check_lns(format: object) -> None:
    """Raise TypeError unless `format` is an LnsFormat."""
    if not isinstance(format, LnsFormat):
        raise TypeError(f"format must be an LnsFormat, not {format!r}")
