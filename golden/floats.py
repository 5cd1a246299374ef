"""Integer arithmetic on floating-point codes of any `FloatFormat`: decode, exact, round and encode.

Arrays of codes in, int64 arrays of codes out, element by element with broadcasting; float64
appears only to count bits of exact integers. Rounding is to nearest, ties to even. Every NaN that
comes out is the format's canonical one.

`subnormals=False` (flush to zero): subnormal operands are read as zeros of their sign, and a
result whose full-precision rounding is below `2^min_exp` becomes zero of its sign.
Source: IEEE 754-2019 sections 4.3 and 6.3; OCP 8-bit floating point 1.0; docs/numerics.md 7.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .spec import FP32, FloatFormat, Specials

Flags = npt.NDArray[np.bool_]

_NOWHERE = np.int64(-(1 << 20))
"""Below every exponent: where the leading one of zero is."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Value `(-1)^sign * significand * 2^exponent` where neither `nan` nor `infinite`.

    Members: sign, nan, infinite: bool; significand: int64, at most M + 1 bits; exponent: int64, of
    the significand's unit: `min_exp - M` for zeros and subnormals.
    """

    sign: Flags
    significand: Codes
    exponent: Codes
    nan: Flags
    infinite: Flags

    @property
    def zero(self) -> Flags:
        """Where the value is zero of either sign."""
        return ~self.nan & ~self.infinite & (self.significand == 0)


def decode(codes: npt.ArrayLike, format: FloatFormat, *, subnormals: bool = True) -> Decoded:
    """Take codes of `format` apart; `subnormals=False` reads subnormals as zero.

    Raises: TypeError for codes that are no integers, ValueError for one outside the format's width.
    """
    code = check_codes("codes", codes, format.code_width)
    magnitude = code & ((1 << (format.code_width - 1)) - 1)
    field = magnitude >> format.man_bits
    man = magnitude & ((1 << format.man_bits) - 1)
    if not subnormals:
        man = np.where(field == 0, 0, man)
    if format.specials is Specials.IEEE:
        nan, infinite = magnitude > format.infinity, magnitude == format.infinity
    else:
        nan, infinite = magnitude == format.nan, np.zeros(code.shape, np.bool_)
    return Decoded(
        sign=code >> (format.code_width - 1) != 0,
        significand=man | (field > 0).astype(np.int64) << format.man_bits,
        exponent=np.maximum(field, 1) - format.bias - format.man_bits,
        nan=nan,
        infinite=infinite,
    )


def round_encode(
    sign: Flags,
    significand: Codes,
    exponent: Codes,
    format: FloatFormat,
    *,
    subnormals: bool = True,
) -> Codes:
    """Codes of `format` nearest to `(-1)^sign * significand * 2^exponent`, ties to even.

    `significand` is in 0..2^53 - 1. Above the largest finite number: infinity, or NaN where the
    format has no infinity.
    """
    # The leading one's weight; frexp counts bits exactly, as the significand fits float64.
    lead = exponent + np.frexp(significand.astype(np.float64))[1] - 1
    if subnormals:
        lead = np.maximum(lead, format.min_exp)
    # Keep what weighs 2^(lead - M) or more. A right shift of 55 leaves under a quarter unit.
    shift = lead - format.man_bits - exponent
    right = np.clip(shift, 0, 55)
    kept = significand << np.clip(-shift, 0, format.man_bits) >> right
    rest = significand & ((1 << right) - 1)
    half = (1 << right) >> 1
    kept += (rest > half) | ((rest == half) & (half > 0) & (kept & 1 == 1))
    # `kept` has the hidden bit (not in subnormals), worth one in the exponent field; a carry out of
    # rounding moves the exponent just as well.
    code = ((lead - format.min_exp) << format.man_bits) + kept
    smallest = 1 if subnormals else 1 << format.man_bits
    code = np.where((significand == 0) | (code < smallest), 0, code)
    overflow = code > format.max_code
    code |= sign.astype(np.int64) << (format.code_width - 1)
    return _place_specials(code, sign, overflow, np.zeros_like(overflow), format)


def multiply(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    format: FloatFormat,
    *,
    out: FloatFormat | None = None,
    subnormals: bool = True,
) -> Codes:
    """`x * y` of codes of `format`, rounded once to `out` (default `format`).

    Without subnormals, operands that are subnormal in `format` are kept where `out` has the wider
    exponent range: there they are normal numbers.
    Raises: as `decode`.
    """
    out = format if out is None else out
    keep = subnormals or format.min_exp > out.min_exp
    a, b = decode(x, format, subnormals=keep), decode(y, format, subnormals=keep)
    sign = a.sign ^ b.sign
    product, exponent = a.significand * b.significand, a.exponent + b.exponent
    code = round_encode(sign, product, exponent, out, subnormals=subnormals)
    nan = a.nan | b.nan | (a.infinite & b.zero) | (a.zero & b.infinite)
    return _place_specials(code, sign, a.infinite | b.infinite, nan, out)


def add(
    x: npt.ArrayLike, y: npt.ArrayLike, format: FloatFormat, *, subnormals: bool = True
) -> Codes:
    """`x + y` of codes of `format`; `x + -x = +0`, `-0 + -0 = -0`.

    The operand of smaller exponent is aligned under M + 3 guard bits and floored. It loses bits
    only where the exponents differ by more than M + 3; then it is below 1/8 unit of the other's
    last place (a normal number's), while the nearest rounding boundaries are 1/4 unit (below a
    power of two) or 1/2 unit away: the sum is the other operand, with or without those bits.
    Raises: as `decode`.
    """
    a, b = decode(x, format, subnormals=subnormals), decode(y, format, subnormals=subnormals)
    guard = format.man_bits + 3
    left = np.where(a.sign, -a.significand, a.significand)
    right = np.where(b.sign, -b.significand, b.significand)
    swap = a.exponent < b.exponent
    large, small = np.where(swap, right, left) << guard, np.where(swap, left, right) << guard
    distance = np.minimum(np.abs(a.exponent - b.exponent), 62)
    total = large + (small >> distance)
    sign = (total < 0) | ((total == 0) & a.sign & b.sign)
    exponent = np.maximum(a.exponent, b.exponent) - guard
    code = round_encode(sign, np.abs(total), exponent, format, subnormals=subnormals)
    nan = a.nan | b.nan | (a.infinite & b.infinite & (a.sign != b.sign))
    infinite_sign = np.where(a.infinite, a.sign, b.sign)
    return _place_specials(code, infinite_sign, a.infinite | b.infinite, nan, format)


def fma(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    z: npt.ArrayLike,
    format: FloatFormat,
    *,
    acc_format: FloatFormat | None = None,
    subnormals: bool = True,
) -> Codes:
    """`x * y + z` rounded once; `x`, `y` codes of `format`, `z` and the sum of `acc_format`
    (`format`).

    Zero times infinity is NaN whatever `z` is; an exact zero is -0 only where both addends are.
    Without subnormals, operands that are subnormal in `format` are kept where `acc_format` has the
    wider exponent range: there they are normal numbers.
    Raises: as `decode`. Source: IEEE 754-2019 section 5.4.1; docs/numerics.md 11.
    """
    out = format if acc_format is None else acc_format
    keep = subnormals or format.min_exp > out.min_exp
    a, b = decode(x, format, subnormals=keep), decode(y, format, subnormals=keep)
    c = decode(z, out, subnormals=subnormals)
    negative, infinite = a.sign ^ b.sign, a.infinite | b.infinite
    product = np.where(negative, -a.significand, a.significand) * b.significand
    total, unit = _sum_to_odd(
        product,
        a.exponent + b.exponent,
        np.where(c.sign, -c.significand, c.significand),
        c.exponent,
    )
    sign = (total < 0) | ((total == 0) & negative & c.sign)
    code = round_encode(sign, np.abs(total), unit, out, subnormals=subnormals)
    nan = a.nan | b.nan | c.nan | (a.infinite & b.zero) | (a.zero & b.infinite)
    nan |= infinite & c.infinite & (negative != c.sign)
    infinite_sign = np.where(infinite, negative, c.sign)
    return _place_specials(code, infinite_sign, infinite | c.infinite, nan, out)


def _sum_to_odd(x: Codes, x_unit: Codes, y: Codes, y_unit: Codes) -> tuple[Codes, Codes]:
    """`x * 2^x_unit + y * 2^y_unit` as a signed integer below 2^53 and its unit's exponent.

    Exact, or where bits had to be dropped odd: that rounds to 51 bits or fewer as the exact sum
    does. Addends have at most 48 bits. The larger one's leading one moves to 2^59, a shift to the
    left; the smaller one alone is cut, and then the sum has 59 bits or more.
    """
    lead = [
        np.where(value == 0, _NOWHERE, unit + _bit_length(value))
        for value, unit in ((x, x_unit), (y, y_unit))
    ]
    unit = np.maximum(*lead) - 60
    total = _shift_to_odd(x, x_unit - unit) + _shift_to_odd(y, y_unit - unit)
    excess = np.maximum(_bit_length(total) - 52, 0)
    return _shift_to_odd(total, -excess), unit + excess


def _bit_length(value: Codes) -> Codes:
    """Bits of |value|, or one more where float64 rounds it up to a power of two."""
    return np.frexp(np.abs(value).astype(np.float64))[1].astype(np.int64)


def _shift_to_odd(value: Codes, left: Codes) -> Codes:
    """`value * 2^left`; where that is no integer, the odd one of its neighbours."""
    right = np.clip(-left, 0, 63)
    moved = value << np.clip(left, 0, 62)
    kept = moved >> right
    return kept | (kept << right != moved)


def convert(
    codes: npt.ArrayLike, format: FloatFormat, out: FloatFormat, *, subnormals: bool = True
) -> Codes:
    """Codes of `out` nearest to codes of `format`, ties to even.

    Too large: infinity, or NaN where `out` has none (also for an infinity). Without subnormals,
    a result below `out`'s smallest normal number is zero; operands are taken as they are.
    Raises: as `decode`.
    """
    a = decode(codes, format)
    code = round_encode(a.sign, a.significand, a.exponent, out, subnormals=subnormals)
    return _place_specials(code, a.sign, a.infinite, a.nan, out)


def from_float32(
    x: npt.NDArray[np.float32], format: FloatFormat, *, subnormals: bool = True
) -> Codes:
    """Codes of `format` nearest to float32 numbers, as `convert` from FP32.

    Raises: TypeError for an array of another dtype.
    """
    check_float32(x)
    return convert(
        np.atleast_1d(x).view(np.uint32).reshape(x.shape), FP32, format, subnormals=subnormals
    )


def to_float64(codes: npt.ArrayLike, format: FloatFormat) -> npt.NDArray[np.float64]:
    """The exact values as float64, infinities, NaN and signed zeros among them.

    Exact: 24 bits of significand, exponents -149..127. Raises: as `decode`.
    """
    a = decode(codes, format)
    value = np.ldexp(a.significand.astype(np.float64), a.exponent)
    value = np.where(a.infinite, np.inf, np.where(a.nan, np.nan, value))
    return np.where(a.sign & ~a.nan, -value, value)


def check_codes(name: str, codes: npt.ArrayLike, width: int) -> Codes:
    """`codes` as int64, each in [0, 2^width).

    Raises: TypeError for a dtype other than an integer's, ValueError for a code out of range.
    """
    return check_integers(name, codes, 0, (1 << width) - 1)


def check_integers(name: str, values: npt.ArrayLike, low: int, high: int) -> Codes:
    """`values` as int64, each in [low, high], a range of int64's.

    Raises: TypeError for a dtype other than an integer's, ValueError for a value out of range.
    """
    check_unmasked(name, values)
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an array of integers, not of {array.dtype!r}")
    check_range(name, array, low, high)
    return array.astype(np.int64)


def check_range(name: str, array: npt.NDArray[np.integer], low: int, high: int) -> None:
    """Raise ValueError unless each of `array` is in [low, high]."""
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise ValueError(f"{name} must be in {low}..{high}, not {array.min()}..{array.max()}")


def check_float32(x: object) -> None:
    """Raise TypeError unless `x` is a float32 array."""
    check_unmasked("x", x)
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        raise TypeError(f"x must be a float32 array, not {getattr(x, 'dtype', type(x))!r}")


def check_unmasked(name: str, values: object) -> None:
    """Raise TypeError for a masked array: what it masks would count like the rest."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask, not a masked one: fill it first")


def _place_specials(
    code: Codes, sign: Flags, infinite: Flags, nan: Flags, format: FloatFormat
) -> Codes:
    """Put infinities of `sign` and NaN into `code`; NaN for both where there is no infinity."""
    if format.specials is Specials.IEEE:
        infinity = sign.astype(np.int64) << (format.code_width - 1) | format.infinity
        code = np.where(infinite, infinity, code)
    else:
        nan = nan | infinite
    return np.where(nan, format.nan, code)
