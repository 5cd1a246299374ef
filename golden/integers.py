"""Integers: INT8 training and dynamic fixed point, bit-exact (docs/numerics.md section 12)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .floats import check_codes, check_float32, check_integers
from .grid import add_and_floor
from .mac import MacTrace, accumulate_integers, check_operands, check_start
from .quantize import Float32, Float64
from .rounding import rounding_words
from .spec import MAX_RANDOM_BITS, RANDOM_BITS, IntFormat, Overflow, Rounding, check_int, choice

MAX_SHIFT = 31
"""Largest shift of a requantizer."""


def int_mac(
    w: npt.ArrayLike,
    a: npt.ArrayLike,
    start: npt.ArrayLike,
    format: IntFormat,
    a_format: IntFormat | None = None,
    *,
    acc_width: int,
    w_zero: npt.ArrayLike = 0,
    a_zero: npt.ArrayLike = 0,
    overflow: Overflow | str = Overflow.SATURATE,
) -> MacTrace:
    """`acc = limit((start ? 0 : acc) + (w - w_zero) * (a - a_zero))`.

    The first product of a segment is limited too. The sticky overflow flag clears with `start`.

    Parameters:
        w, a: codes of `format` and `a_format` (default: `format`), shape (T,).
        start: bool, shape (T,), the first one set.
        w_zero, a_zero: zero points, codes that broadcast against `w` and `a`.
        acc_width: accumulator width in bits, sign included, 2..128.
        overflow: "saturate" or "wrap".
    Raises: TypeError, ValueError.
    """
    a_format = format if a_format is None else a_format
    _check_format("format", format)
    _check_format("a_format", a_format)
    w, a, begins = check_operands(w, a, start, format.width, a_format.width)
    x = _signed("w", w, format) - _signed("w_zero", w_zero, format)
    y = _signed("a", a, a_format) - _signed("a_zero", a_zero, a_format)
    return accumulate_integers(x * y, begins, acc_width=acc_width, overflow=overflow)


def adder_mac(
    w: npt.ArrayLike,
    start: npt.ArrayLike,
    format: IntFormat,
    *,
    acc_width: int,
    overflow: Overflow | str = Overflow.SATURATE,
) -> MacTrace:
    """`acc = limit((start ? 0 : acc) + w)`, in units of w's last bit: no product.

    The first operand of a segment is limited too. The sticky overflow flag clears with `start`.

    Parameters:
        w: codes of `format`, shape (T,).
        start: bool, shape (T,), the first one set.
        acc_width: accumulator width in bits, sign included, 2..128.
        overflow: "saturate" or "wrap".
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 12.
    """
    _check_format("format", format)
    values, begins = _stream("w", w, start, format)
    return accumulate_integers(values, begins, acc_width=acc_width, overflow=overflow)


@dataclass(frozen=True, eq=False)
class RangeTrace:
    """Statistics after each value, int64 (T,): largest and smallest value since the last start,
    and `range`, their difference.
    """

    max: Codes
    min: Codes
    range: Codes


def range_statistic(x: npt.ArrayLike, start: npt.ArrayLike, format: IntFormat) -> RangeTrace:
    """`max`, `min` and `max - min` of the values since `start`, that value included: the statistic
    of Range Batch-Norm.

    Parameters: `x`: codes of `format`, (T,); `start`: bool, (T,), the first one set.
    Raises: TypeError, ValueError.
    """
    _check_format("format", format)
    values, begins = _stream("x", x, start, format)
    # Each segment lies above all before it, so a running maximum does not look back.
    lift = np.cumsum(begins) << format.width
    largest = np.maximum.accumulate(values + lift) - lift
    smallest = lift - np.maximum.accumulate(lift - values)
    return RangeTrace(largest, smallest, largest - smallest)


def requantize(
    acc: npt.ArrayLike,
    shift: npt.ArrayLike,
    random: npt.ArrayLike | None,
    format: IntFormat,
    *,
    random_bits: int = RANDOM_BITS,
) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """`r = (floor(acc * 2^(k - shift)) + R) >> k`, k being `random_bits`, limited to `format`.

    Returns: values (not codes) in the shape of `acc`, and whether each was limited.
    Parameters:
        acc: integers of at most 64 bits.
        shift: 0..31; it broadcasts against `acc`.
        random: the words R in 0..2^k - 1; None: 2^(k-1), nearest, ties towards +infinity.
    Raises: TypeError, ValueError.
    """
    _check_format("format", format)
    check_int("random_bits", random_bits, 1, MAX_RANDOM_BITS)
    acc = check_integers("acc", acc, -(1 << 63), (1 << 63) - 1)
    shift = check_integers("shift", shift, 0, MAX_SHIFT)
    given = 1 << (random_bits - 1) if random is None else random
    words = check_integers("random", given, 0, (1 << random_bits) - 1)
    # acc * 2^(k - shift) = whole * 2^k + rest * 2^(k - shift); only the rest loses bits.
    whole = acc >> shift
    rest = acc - (whole << shift)
    carry = ((rest << random_bits >> shift) + words) >> random_bits
    # A carry is 0 or 1: two below the lowest and one above the highest, r is outside either way.
    low, high = -format.max_code - 1, format.max_code
    r = np.clip(whole, low - 2, high + 1) + carry
    return np.clip(r, low, high), (r < low) | (r > high)


def quantize_symmetric(
    x: Float32,
    format: IntFormat,
    *,
    rounding: Rounding | str = Rounding.NEAREST,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
) -> tuple[Codes, float]:
    """Codes of `rint(x / scale)`, nearest even, with `scale = max|x| / max_code`; and the scale.

    `x = code * scale`: the values -max_code to max_code. All zeros: scale 0. Stochastic:
    `(floor(q * 2^k) + R) >> k` of the float64 quotient q; k and R as in `quantize`.
    Raises: TypeError, ValueError.
    """
    draw = _words(x, format, rounding, random_bits, rng, random)
    steps, scale = _symmetric(x, format, draw)
    return _codes(steps.astype(np.int64), format), scale


def symmetric_values(x: Float32, format: IntFormat, **rounding: Any) -> Float32:
    """`code * scale` of `quantize_symmetric`, in float64 and then float32. Raises: as it does."""
    steps, scale = _symmetric(x, format, _words(x, format, **rounding))
    steps += 0.0  # a code has one zero
    steps *= scale
    return steps.astype(np.float32)


def _symmetric(x: Float32, format: IntFormat, draw: "_Words") -> tuple[Float64, float]:
    """Steps, integers, and what one is worth."""
    amax = max(map(abs, _ends(x)))
    steps = x.astype(np.float64)
    if amax:
        # One rounding: the numerator has at most 39 bits, and no quotient is so near to a tie.
        steps *= format.max_code
        steps /= amax
    return draw.round(steps), amax / format.max_code


def quantize_affine(
    x: Float32,
    format: IntFormat,
    *,
    rounding: Rounding | str = Rounding.NEAREST,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
) -> tuple[Codes, int, float]:
    """Codes of `clip(rint(x / scale) + zero)`, the code of the zero point, and the scale, with
    `low = min(x, 0)`, `high = max(x, 0)`, `scale = (high - low) / (2^width - 1)` and
    `zero = rint(-low / scale) - 2^(width-1)`, all in float64, nearest even.

    `x = (value - zero) * scale`, zero exactly. All zeros: scale 0, zero point 0. Stochastic:
    `x / scale` as of `quantize_symmetric`.
    Raises: TypeError, ValueError.
    """
    draw = _words(x, format, rounding, random_bits, rng, random)
    steps, zero, scale = _affine(x, format, draw)
    steps += zero
    return _codes(steps.astype(np.int64), format), zero & ((1 << format.width) - 1), scale


def affine_values(x: Float32, format: IntFormat, **rounding: Any) -> Float32:
    """`(value - zero) * scale` of `quantize_affine`, in float64 and then float32. Raises: as it
    does.
    """
    steps, _, scale = _affine(x, format, _words(x, format, **rounding))
    steps *= scale
    return steps.astype(np.float32)


def _affine(x: Float32, format: IntFormat, draw: "_Words") -> tuple[Float64, int, float]:
    """Steps from the zero point, integers; the zero point; what a step is worth."""
    least, most = _ends(x)
    low, high = min(least, 0.0), max(most, 0.0)
    scale = (high - low) / ((1 << format.width) - 1)
    if scale == 0:
        return np.zeros(x.shape), 0, 0.0
    zero = round(-low / scale) - format.max_code - 1
    steps = x.astype(np.float64)
    steps /= scale
    steps = draw.round(steps)
    # Integers: one of them is +0, which -0 becomes by the sum.
    steps += zero
    np.clip(steps, -format.max_code - 1, format.max_code, out=steps)
    steps -= zero
    return steps, zero, scale


def quantize_fixed_point(
    x: Float32,
    format: IntFormat,
    *,
    rounding: Rounding | str = Rounding.STOCHASTIC,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
) -> tuple[Codes, int]:
    """Dynamic fixed point: codes of `r = (floor(x * 2^(k - e)) + R) >> k` and the tensor's shared
    exponent e, the smallest with `max|x| <= max_code * 2^e`; hence nothing saturates.

    `x = r * 2^e`. R as in `quantize`: k = `random_bits` (1..16) random bits an element, C order, or
    2^(k-1) for nearest (ties towards +infinity). All zeros: e = 0.
    Raises: TypeError, ValueError.
    """
    draw = _words(x, format, rounding, random_bits, rng, random)
    steps, exponent = _fixed_point(x, format, draw)
    return _codes(steps.astype(np.int64), format), exponent


def fixed_point_values(
    x: Float32, format: IntFormat, rounding: Rounding | str = Rounding.STOCHASTIC, **words: Any
) -> Float32:
    """`r * 2^e` of `quantize_fixed_point`, in float64 and then float32. Raises: as it does."""
    steps, exponent = _fixed_point(x, format, _words(x, format, rounding, **words))
    steps += 0.0  # a code has one zero
    steps *= 2.0**exponent
    return steps.astype(np.float32)


def _fixed_point(x: Float32, format: IntFormat, draw: "_Words") -> tuple[Float64, int]:
    """Steps, integers, and the exponent of what one is worth. All exact: at most 31 bits."""
    exponent = shared_exponent(max(map(abs, _ends(x))), format)
    steps = x.astype(np.float64)
    steps *= 2.0**-exponent
    add_and_floor(steps, draw.words, draw.random_bits)
    return steps, exponent


@dataclass(frozen=True)
class _Words:
    """How quotients become integers; `words`: R, an integer or an array."""

    rule: Rounding
    words: Any
    random_bits: int

    def round(self, steps: Float64) -> Float64:
        """Nearest, ties to even, or stochastic, in place."""
        if self.rule is Rounding.NEAREST:
            return np.rint(steps, out=steps)
        add_and_floor(steps, self.words, self.random_bits)
        return steps


def _words(
    x: Float32,
    format: IntFormat,
    rounding: Rounding | str = Rounding.NEAREST,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
) -> _Words:
    """The parameters of a quantizer, checked. Raises: TypeError, ValueError."""
    _check_format("format", format)
    check_float32(x)
    if x.size == 0:
        raise ValueError(f"x must be of at least one element, not of shape {x.shape!r}")
    check_int("random_bits", random_bits, 1, 16)
    rule = choice("rounding", Rounding, rounding)
    return _Words(rule, rounding_words(x.shape, rule, random_bits, rng, random), random_bits)


def _ends(x: Float32) -> tuple[float, float]:
    """Smallest and largest element. Raises: ValueError for what is not finite."""
    least, most = float(x.min()), float(x.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        raise ValueError("x must be finite, not infinite or NaN")
    return least, most


def shared_exponent(amax: float, format: IntFormat) -> int:
    """The smallest e with `amax <= max_code * 2^e`; 0 of zero."""
    if amax == 0:
        return 0
    mantissa, exponent = math.frexp(amax)
    top_mantissa, top_exponent = math.frexp(format.max_code)
    return exponent - top_exponent + (mantissa > top_mantissa)


def _codes(values: Codes, format: IntFormat) -> Codes:
    return values & ((1 << format.width) - 1)


def _signed(name: str, codes: npt.ArrayLike, format: IntFormat) -> Codes:
    checked = check_codes(name, codes, format.width)
    return checked - ((checked > format.max_code).astype(np.int64) << format.width)


def _stream(
    name: str, codes: npt.ArrayLike, start: npt.ArrayLike, format: IntFormat
) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Values of the one operand of each step, and where segments begin, both (T,)."""
    values, begins = _signed(name, codes, format), np.asarray(start)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be of shape (T,) with T >= 1, not {values.shape!r}")
    check_start(begins, values)
    return values, begins


def _check_format(name: str, format: object) -> None:
    if not isinstance(format, IntFormat):
        raise TypeError(f"{name} must be an IntFormat, not {format!r}")
