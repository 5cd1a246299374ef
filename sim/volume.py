"""Floating-point units on as many vectors as one likes: corners built on purpose, and what float64
makes of them.

The oracle shares no code with golden: the product of two significands of at most 24 bits is exact
in float64; a sum is rounded to odd there, by the error that two-sum finds, and a number rounded to
odd in two bits more than the result's rounds to the result as the exact sum does.
Source: S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
using rounding to odd", IEEE Transactions on Computers 57(4), 2008.
"""

import enum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.spec import BF16, FP16, FP32, FloatFormat
from ..support.words import Codes
from ..units.catalogue import Configuration
from .vectors import Vectors

Reals = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]


class Operation(enum.Enum):
    """What a unit does with its operands: names of the ports, operands first."""

    MULTIPLY = ("x", "y", "product")
    ADD = ("x", "y", "sum")
    FMA = ("x", "y", "z", "sum")

    @property
    def operands(self) -> tuple[str, ...]:
        """Input ports."""
        return self.value[:-1]

    @property
    def result(self) -> str:
        """Output port."""
        return self.value[-1]

    @classmethod
    def of(cls, configuration: Configuration) -> "Operation":
        """Of a unit, by its ports. Raises: ValueError for any other unit."""
        return cls(tuple(configuration.build().signature.members))


_DTYPES: dict[FloatFormat, np.dtype[Any]] = {FP32: np.dtype(np.float32), FP16: np.dtype(np.float16)}


def volume_vectors(
    configuration: Configuration, operations: int, rng: np.random.Generator
) -> Vectors:
    """`operations` steps for a unit of one `Operation` with one of the formats FP32, FP16, BF16."""
    fmt, subnormals = configuration.options["format"], configuration.options["subnormals"]
    operation = Operation.of(configuration)
    operands = draw_operands(operation, fmt, operations, rng)
    inputs = dict(zip(operation.operands, operands, strict=True))
    expected = expect(operation, fmt, operands, subnormals=subnormals)
    widths = dict.fromkeys(operation.value, fmt.code_width)
    return Vectors(inputs, {operation.result: expected}, widths, delay=1, clocked=False)


def expect(
    operation: Operation, fmt: FloatFormat, operands: list[Codes], *, subnormals: bool = True
) -> Codes:
    """The codes that an operation gives, by float64."""
    values = [to_real(codes, fmt) for codes in operands]
    if not subnormals:
        tiny = 2.0**fmt.min_exp
        values = [np.where(np.abs(x) < tiny, np.copysign(0.0, x), x) for x in values]
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        if operation is Operation.ADD:
            total = _add_to_odd(*values)
        elif operation is Operation.MULTIPLY:
            total = values[0] * values[1]
        else:
            total = _add_to_odd(values[0] * values[1], values[2])
        if not subnormals:
            # What rounds to less than the smallest normal number in full precision.
            below = 2.0**fmt.min_exp - 2.0 ** (fmt.min_exp - fmt.man_bits - 2)
            total = np.where(np.abs(total) < below, np.copysign(0.0, total), total)
        return _to_codes(total, fmt)


def to_real(codes: Codes, fmt: FloatFormat) -> Reals:
    """The numbers that codes stand for."""
    if fmt == BF16:  # the upper half of a float32
        codes, fmt = codes << 16, FP32
    dtype = _DTYPES[fmt]
    with np.errstate(invalid="ignore"):
        return codes.astype(f"u{dtype.itemsize}").view(dtype).astype(np.float64)


def _to_codes(x: Reals, fmt: FloatFormat) -> Codes:
    """Codes of numbers rounded once, to nearest even; NaN is canonical."""
    if fmt == BF16:
        word = _float32_to_odd(x).view(np.uint32).astype(np.int64)
        codes = word + 0x7FFF + (word >> 16 & 1) >> 16
    else:
        dtype = _DTYPES[fmt]
        codes = x.astype(dtype).view(f"u{dtype.itemsize}").astype(np.int64)
    return np.where(np.isnan(x), fmt.nan, codes)


def _add_to_odd(x: Reals, y: Reals) -> Reals:
    """`x + y`, rounded to odd: the neighbour with an odd last bit wherever it is not exact."""
    total = x + y
    part = total - x
    error = (x - (total - part)) + (y - part)
    inexact = np.isfinite(total) & (error != 0)
    even = total.view(np.int64) & 1 == 0
    return np.where(inexact & even, np.nextafter(total, np.copysign(np.inf, error)), total)


def _float32_to_odd(x: Reals) -> Float32s:
    """Float32 numbers, rounded to odd; what is too large is infinite, as it is in BF16."""
    rounded = x.astype(np.float32)
    error = x - rounded
    inexact = np.isfinite(rounded) & (error != 0)
    even = rounded.view(np.int32) & 1 == 0
    away = np.copysign(np.inf, error).astype(np.float32)
    return np.where(inexact & even, np.nextafter(rounded, away), rounded)


def draw_operands(
    operation: Operation, fmt: FloatFormat, operations: int, rng: np.random.Generator
) -> list[Codes]:
    """Operands, all kinds of corners mixed: see the functions below, one a kind.

    At last a third of the first operands move by one unit in the last place, off the exact halves,
    and some of all become special values.
    """
    x, y = _factors(fmt, operations, rng)
    operands = [x, y]
    if operation is Operation.ADD:
        operands = [x, _addends(x, fmt, rng)]
    elif operation is Operation.FMA:
        product = expect(Operation.MULTIPLY, fmt, operands)
        operands.append(_addends(product, fmt, rng))
    operands[0] = _moved(operands[0], rng.choice([-1, 0, 0, 0, 0, 1], operations), fmt)
    return [_with_specials(codes, fmt, rng) for codes in operands]


def _factors(fmt: FloatFormat, size: int, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """x and y whose product has a chosen exponent, and in half of the steps is an exact half.

    The product's exponent field: anywhere, around 1, at and below the smallest normal number, at
    overflow. A product of significands of a and b bits, both odd, has a + b - 1 or a + b bits: with
    one more than the result keeps, it is an exact half.
    """
    top, bits = (1 << fmt.exp_bits) - 1, fmt.man_bits + 1
    field = np.choose(
        rng.integers(0, 4, size),
        [
            rng.integers(-bits, top + 2, size),
            fmt.bias + rng.integers(-2, 3, size),
            rng.integers(-bits - 1, 3, size),
            top + rng.integers(-3, 2, size),
        ],
    )
    low, high = np.maximum(0, field + fmt.bias - top + 1), np.minimum(top - 1, field + fmt.bias)
    x_field = rng.integers(np.minimum(low, high), high + 1)
    y_field = np.clip(field + fmt.bias - x_field, 0, top - 1)
    kept = np.clip(bits + np.minimum(field - 1, 0), 0, bits)
    x_bits = rng.integers(1, bits + 1, size)
    y_bits = np.clip(kept + 1 + rng.integers(0, 2, size) - x_bits, 1, bits)
    half = rng.random(size) < 0.5
    x_man, y_man = (
        _mantissas(fmt, np.where(half, length, bits), rng) for length in (x_bits, y_bits)
    )
    return _pack(fmt, x_field, x_man, rng), _pack(fmt, y_field, y_man, rng)


def _addends(x: Codes, fmt: FloatFormat, rng: np.random.Generator) -> Codes:
    """Partners of x in a sum, in equal shares: what cancels it up to a few units in the last place
    (of either binade); what makes x's last set bit an exact half; numbers near it; any numbers.
    """
    size = len(x)
    sign_bit = 1 << (fmt.code_width - 1)
    magnitude = x & (sign_bit - 1)
    field, mantissa = magnitude >> fmt.man_bits, magnitude & ((1 << fmt.man_bits) - 1)
    significand = mantissa | (field > 0).astype(np.int64) << fmt.man_bits
    zeros = np.log2(np.maximum(significand & -significand, 1)).astype(np.int64)
    reach = fmt.man_bits + 4
    half = np.maximum(field, 1) + zeros + 1
    near = field + rng.integers(-reach, reach + 1, size)
    partner = np.where(rng.random(size) < 0.5, half, near)
    partner = np.clip(partner, 0, (1 << fmt.exp_bits) - 2)
    lengths = np.full(size, fmt.man_bits + 1)
    return np.choose(
        rng.integers(0, 4, size),
        [
            _moved(x ^ sign_bit, rng.choice([-2, -1, 0, 1, 2, 3, 7], size), fmt),
            *[_pack(fmt, partner, _mantissas(fmt, lengths, rng), rng)] * 2,
            rng.integers(0, 1 << fmt.code_width, size),
        ],
    )


def _mantissas(fmt: FloatFormat, length: Codes, rng: np.random.Generator) -> Codes:
    """Mantissas of odd significands of `length` bits, 1 to M + 1; many all ones or all zeros."""
    drawn = rng.integers(0, 1 << fmt.man_bits, len(length))
    ends = np.array([0, (1 << fmt.man_bits) - 1])
    drawn = np.where(rng.random(len(length)) < 0.25, rng.choice(ends, len(length)), drawn)
    below = fmt.man_bits + 1 - length  # zeros below the last one
    odd = (drawn >> below | 1) << below
    return np.where(length > 1, odd, 0) & ((1 << fmt.man_bits) - 1)


def _pack(fmt: FloatFormat, field: Codes, mantissa: Codes, rng: np.random.Generator) -> Codes:
    """Codes of random sign."""
    sign = rng.integers(0, 2, len(field)) << (fmt.code_width - 1)
    return sign | field << fmt.man_bits | mantissa


def _moved(x: Codes, units: Codes, fmt: FloatFormat) -> Codes:
    """Finite codes a few units in the last place away, towards or from zero, sign kept."""
    sign_bit = 1 << (fmt.code_width - 1)
    magnitude = x & (sign_bit - 1)
    moved = np.clip(magnitude + units, 0, fmt.max_code)
    return x & sign_bit | np.where(magnitude > fmt.max_code, magnitude, moved)


def _with_specials(x: Codes, fmt: FloatFormat, rng: np.random.Generator) -> Codes:
    """A sixteenth of them special: zero, both ends of the subnormal and normal numbers, one,
    infinity, NaN of both kinds.
    """
    smallest, one = 1 << fmt.man_bits, fmt.bias << fmt.man_bits
    ends = [0, 1, smallest - 1, smallest, smallest + 1, one, fmt.max_code - 1, fmt.max_code]
    specials = np.array([*ends, fmt.infinity, fmt.infinity + 1, fmt.nan])
    chosen = rng.choice(specials, len(x)) | rng.integers(0, 2, len(x)) << (fmt.code_width - 1)
    return np.where(rng.random(len(x)) < 1 / 16, chosen, x)
