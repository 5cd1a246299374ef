"""Group scales and codes of a matrix whose rows each lie in one group: the steps of `quantize`.

With numba, `compiled_codes.py` has the same functions. Everything is exact: float64 only carries
numbers that fit it, or quotients whose distance from the next rounding boundary is proven to exceed
their error (see `_ratios`).
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from .rounding import WordSource
from .spec import Carry, ElementFormat, ScaleFormat

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]
Octets = npt.NDArray[np.uint8]

# Numba's loops where it is installed (extra `fast`), NumPy elsewhere: the same bits.
COMPILED = find_spec("numba") is not None
# Elements from which on codes are worth the second that numba takes to load.
WORTH = 1 << 24
# Elements worked on at a time: the float64 temporaries of a tile stay in the second-level cache.
_TILE = 1 << 15
# NumPy's loops along so few elements cost more than the elements: work along the other axis.
_SHORT = 64
# A scale S_g * S_t below 2^-DEEP is applied to values that are LIFT binades smaller.
DEEP = 40
LIFT = 80
# x = 1 and all above it become the largest code, whatever the word.
BELOW_TWO = np.nextafter(2.0, 0.0)


@dataclass(frozen=True)
class Coding:
    """How `x = |X| / (S_g * S_t)` becomes a code `{exp, man}`, with `y = x + max(x, low)`.

    `y` is 2x for normal x and low + x below: float's own exponent and leading fraction bits are
    then the element's exponent field (but for an offset) and `t`, in one piece.
    """

    element: ElementFormat
    random_bits: int
    carry: Carry

    @property
    def fraction_bits(self) -> int:
        """Bits of `t * 2^k` behind the hidden one."""
        return self.element.man_bits + self.random_bits

    @property
    def low(self) -> float:
        """Smallest normal value, 2^(1-2^E); E = 0: 1."""
        return 2.0 ** (1 - (1 << self.element.exp_bits))

    @property
    def low_exp(self) -> int:
        """Exponent of `low`, unbiased."""
        return 1 - (1 << self.element.exp_bits)

    @property
    def largest(self) -> int:
        """Largest code."""
        return (1 << (self.element.exp_bits + self.element.man_bits)) - 1

    @property
    def ceiling(self) -> int:
        """A rounded code is at most the code before rounding with these bits set."""
        clip = self.carry is Carry.CLIP
        return (1 << self.element.man_bits) - 1 if clip else self.largest


def multiplies(coding: Coding, scale: ScaleFormat) -> bool:
    """Whether a multiplication by the reciprocal is proven to suffice (see `_codes`)."""
    return coding.fraction_bits <= 24 - scale.man_bits


def tiles(shape: tuple[int, int], size: int) -> Iterator[tuple[slice, slice]]:
    """Cut a matrix into pieces of about `size` elements, in C order."""
    rows, columns = shape
    row_step = max(size // columns, 1)
    for row in range(0, rows, row_step):
        for column in range(0, columns, size):
            yield slice(row, row + row_step), slice(column, column + size)


def row_peaks(rows: Float32) -> Float32:
    """Largest magnitude of each row, finite or not.

    Magnitude bits of float32 order like the magnitudes, with infinities and NaN above all numbers.
    """
    bits = rows.view(np.uint32)
    peaks = np.zeros(len(bits), np.uint32)
    for part in tiles(bits.shape, _TILE):
        tile = bits[part] & np.uint32(0x7FFFFFFF)
        short = tile.shape[1] < _SHORT
        peak = functools.reduce(np.maximum, tile.T) if short else tile.max(axis=1)
        np.maximum(peaks[part[0]], peak, out=peaks[part[0]])
    return peaks.view(np.float32)


def scale_codes(
    peaks: Float32, tensor_scale: np.float32, scale: ScaleFormat
) -> tuple[Octets, Octets]:
    """Exponent and mantissa codes of the smallest `S_g >= S_r / S_t`, or of the end of the grid.

    `frexp` gives the e with `2^-e < S_r / S_t <= 2^(1-e)`; within that binade the mantissa is the
    number of grid values below the ratio. Each comparison `grid * S_t < S_r` is exact: grid values
    have at most 4 bits and S_t 24, which float64 holds, and their exponents stay above -450.
    """
    top = np.float64(tensor_scale)
    wide = peaks.astype(np.float64)
    peak_fraction, peak_exp = np.frexp(wide)
    top_fraction, top_exp = np.frexp(top)
    exp = top_exp - peak_exp + (peak_fraction <= top_fraction)
    steps = 1 << scale.man_bits
    man = np.zeros_like(exp)
    for step in range(steps):
        man += np.ldexp((1 + step / steps) * top, -exp) < wide
    exp -= man == steps
    man[man == steps] = 0
    above = exp < 0
    exp[above], man[above] = 0, steps - 1
    below = (exp > scale.max_exp) | (peaks == 0)
    exp[below], man[below] = scale.max_exp, 0
    return exp.astype(np.uint8), man.astype(np.uint8)


def scale_value(exp: Integers, man: Integers, scale: ScaleFormat) -> Float64:
    """`S_g = (1 + man / 2^Mg) * 2^-exp`, exact."""
    return np.ldexp(1 + man / (1 << scale.man_bits), -exp.astype(np.int32))


@dataclass(frozen=True, eq=False)
class RowScales:
    """What the rows (R,) are divided and multiplied by."""

    exp: Octets
    man: Octets
    tensor_scale: np.float32
    scale: ScaleFormat

    @property
    def divisor(self) -> Float64:
        """`S_g * S_t`, at most 28 bits; of an all-zero tensor S_g."""
        return scale_value(self.exp, self.man, self.scale) * np.float64(self.tensor_scale or 1)

    @property
    def factors(self) -> tuple[Float32, Float32]:
        """The scale as two factors of a value v: `v * first` is exact, and rounds once by `second`.

        v is 0 or 2^-41 to 1, of at most 11 bits, first has 4 and second 24. Where the scale is so
        small that second loses bits, in spite of `LIFT`, the product is below 2^-200, and 0.
        """
        deep = np.where(self.divisor < 2.0**-DEEP, LIFT, 0).astype(np.int32)
        first = np.ldexp(1 + self.man / (1 << self.scale.man_bits), -deep)
        second = np.ldexp(np.float64(self.tensor_scale), deep - self.exp.astype(np.int32))
        return first.astype(np.float32), second.astype(np.float32)


def encode(
    rows: Float32, scales: RowScales, words: WordSource, coding: Coding
) -> tuple[Octets, Octets, npt.NDArray[np.unsignedinteger]]:
    """Sign, exponent and mantissa fields of `rows` (R, P)."""
    man_bits = coding.element.man_bits
    sign = np.empty(rows.shape, np.uint8)
    exp = np.empty(rows.shape, np.uint8)
    man = np.empty(rows.shape, np.uint8 if man_bits <= 8 else np.uint16)
    for part, code in _codes(rows, scales, words, coding):
        np.less(rows[part], 0, out=sign[part].view(np.bool_))
        exp[part] = code >> man_bits
        man[part] = code & ((1 << man_bits) - 1)
    return sign, exp, man


def values(
    rows: Float32, scales: RowScales, words: WordSource, coding: Coding, out: Float32
) -> None:
    """The values of the codes that `encode` gives, rounded to float32, in `out`."""
    first, second = (factor.reshape(-1, 1) for factor in scales.factors)
    man_bits = coding.element.man_bits
    base = np.uint32((127 + coding.low_exp) << 23)
    for part, code in _codes(rows, scales, words, coding):
        y = (code.astype(np.uint32) << np.uint32(23 - man_bits)) + base
        value = y.view(np.float32)
        value -= np.maximum(value * np.float32(0.5), np.float32(coding.low))
        value *= first[part[0]]
        with np.errstate(over="ignore"):
            value *= second[part[0]]
        # A negative zero counts as a positive one.
        np.copysign(value, rows[part] + np.float32(0), out=out[part])


def _codes(
    rows: Float32, scales: RowScales, words: WordSource, coding: Coding
) -> Iterator[tuple[Any, npt.NDArray[np.unsignedinteger]]]:
    """Codes without sign of pieces of `rows`, and which piece.

    Proof that float64 suffices. Let `v = t * 2^k < n`, n the next integer, p = M + k. The divisor
    is an integer d < D = 2^24 * (2^(Mg+1) - 1) times a power of two and |rows| one < 2^24, so
    n - v >= min(1/D, 2^-25) wherever v >= 1/2. (If |rows|'s power is the lower one, v = a / (d 2^s)
    with a < 2^24, hence d 2^s < 2^25 and n - v >= 1 / (d 2^s).)

    The reciprocal is the float64 number above 1/d that follows the nearest one: it exceeds 1/d, by
    at most 1.5 * 2^-52 of it. So |rows| times it is at least v, and as rounding is monotonic stays
    so where v reaches a boundary; with the product's rounding it is below v (1 + 2^-50), hence
    below v + 2^(p-49) for normal x, where 2x is exact, and below, where v < 2^p and the sum rounds
    by at most 2^(p-53) more. 2^(p-49) < min(1/D, 2^-25) holds for p <= 24 - Mg, so no y passes n.

    For larger p the quotient itself: it rounds by at most 2^(p-53) for normal x, and by 2^(p-54)
    below, the sum by at most 2^(p-53) more. 1.5 * 2^(p-53) < 1/D holds as `quantize` limits p.
    """
    fraction_bits, random_bits = coding.fraction_bits, coding.random_bits
    # A code before rounding stays below 2^(E+p), plus a word below 2^k.
    width = 16 if coding.element.exp_bits + fraction_bits <= 15 else 32
    integer: type[np.unsignedinteger] = np.uint16 if width == 16 else np.uint32
    offset = integer(((1023 + coding.low_exp) << fraction_bits) % (1 << width))
    shift = np.uint64(52 - fraction_bits)
    ceiling = integer(coding.ceiling)
    divisor = scales.divisor.reshape(-1, 1)
    operation, operand = np.divide, divisor
    if multiplies(coding, scales.scale):
        operation, operand = np.multiply, np.nextafter(1 / divisor, np.inf)
    for part in tiles(rows.shape, _TILE):
        tile = rows[part]
        factor = operand[part[0]]
        if tile.shape[1] < _SHORT:
            factor = factor.repeat(tile.shape[1], axis=1)
        y = np.abs(tile).astype(np.float64)
        operation(y, factor, out=y)
        y += np.maximum(y, coding.low)
        np.minimum(y, BELOW_TWO, out=y)
        exact = (y.view(np.uint64) >> shift).astype(integer)  # drops the exponent's top bits
        exact -= offset
        word = words(tile.size)
        if not isinstance(word, int):
            word = word.reshape(tile.shape)
        code = np.right_shift(np.add(exact, word, dtype=integer), random_bits)
        exact >>= integer(random_bits)
        exact |= ceiling
        yield part, np.minimum(code, exact, out=exact)
