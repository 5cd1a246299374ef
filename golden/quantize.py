"""Dynamic quantization of float32 tensors to MLS elements with group scales (docs/numerics.md 3).

Everything here is exact: float64 only carries numbers that fit it, or quotients whose distance from
the next rounding boundary is proven to exceed the float64 error (see `_encode`).
"""

import enum
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .floats import check_float32, check_integers
from .spec import RANDOM_BITS, Carry, ElementFormat, Rounding, ScaleFormat, check_int, choice

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]

# Elements worked on at a time: the float64 temporaries of a tile stay in the second-level cache.
_TILE = 1 << 15
# NumPy's loops along so few elements cost more than the elements: work along the other axis.
_SHORT = 64


class Grouping(enum.Enum):
    """Which elements share a group scale."""

    NC = "nc"
    """One group for each pair of indices of dimensions 0 and 1."""

    N = "n"
    """One group for each index of dimension 0."""

    C = "c"
    """One group for each index of dimension 1."""

    NONE = "none"
    """The whole tensor is one group."""


def element_fields(
    codes: npt.NDArray[np.int64], element: ElementFormat
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sign, exponent field and mantissa field of packed codes."""
    man = codes & ((1 << element.man_bits) - 1)
    exp = (codes >> element.man_bits) & ((1 << element.exp_bits) - 1)
    return codes >> (element.code_width - 1), exp, man


def significand(exp: Integers, man: Integers, element: ElementFormat) -> npt.NDArray[np.int64]:
    """Integer significand `q = man` where `exp == 0`, else `(2^M + man) << (exp - 1)`; int64."""
    field = exp.astype(np.int64)
    hidden = (field > 0).astype(np.int64) << element.man_bits
    return (hidden + man) << np.maximum(field - 1, 0)


@dataclass(frozen=True, eq=False)
class MlsTensor:
    """MLS elements: `X = (-1)^sign * q * 2^-F * S_g * S_t`, where F is `element.fraction_bits`.

    Members:
        sign, exp, man: fields of the codes, x's shape; uint8 (`man` uint16 from 9 bits).
        scale_exp, scale_man: uint8, x's rank, broadcast against x;
            `S_g = (1 + scale_man / 2^Mg) * 2^-scale_exp`.
        tensor_scale: float32 S_t.
        element, scale: the formats.
    Source: docs/numerics.md sections 1 and 2.
    """

    sign: npt.NDArray[np.uint8]
    exp: npt.NDArray[np.uint8]
    man: npt.NDArray[np.unsignedinteger]
    scale_exp: npt.NDArray[np.uint8]
    scale_man: npt.NDArray[np.uint8]
    tensor_scale: np.float32
    element: ElementFormat
    scale: ScaleFormat

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the quantized tensor."""
        return self.sign.shape

    def significand(self) -> npt.NDArray[np.int32] | npt.NDArray[np.int64]:
        """Magnitude `q` in units of `2^-F`, without the sign; int32 (int64 where q is wider)."""
        man_bits = self.element.man_bits
        fields = np.arange(1 << (self.element.code_width - 1))
        q = significand(fields >> man_bits, fields & ((1 << man_bits) - 1), self.element)
        table = q.astype(np.int32) if self.element.significand_width <= 31 else q
        return table[self.exp.astype(np.uint16) << man_bits | self.man]

    def signed_significand(self) -> npt.NDArray[np.int32] | npt.NDArray[np.int64]:
        """`(-1)^sign * q` in units of `2^-F`: the integer that multiplier and accumulator see."""
        q = self.significand()
        return np.where(self.sign != 0, -q, q)

    def codes(self) -> npt.NDArray[np.int32]:
        """Packed codes `{sign, exp, man}`, int32, of `element.code_width` bits."""
        man_bits, exp_bits = self.element.man_bits, self.element.exp_bits
        fields = self.sign.astype(np.int32) << exp_bits | self.exp
        return fields << man_bits | self.man

    def scale_codes(self) -> npt.NDArray[np.int32]:
        """Packed group scale codes `{exp, man}`, int32, of `scale.code_width` bits, in the shape of
        `scale_exp`.
        """
        return self.scale_exp.astype(np.int32) << self.scale.man_bits | self.scale_man

    def group_scale(self) -> Float64:
        """`S_g`, exact in float64, in the shape of `scale_exp`."""
        return scale_value(self.scale_exp, self.scale_man, self.scale)

    def dequantize(self) -> Float64:
        """The exact values as float64; a zero keeps its sign.

        Exact: the significands of q, S_g and S_t have at most 11, 4 and 24 bits, 39 in all, and the
        exponent stays above -149 - 255 - 41.
        """
        steps = self.group_scale() * np.ldexp(
            np.float64(self.tensor_scale), -self.element.fraction_bits
        )
        value = self.significand() * steps
        return np.where(self.sign != 0, -value, value)


def random_words(
    rng: np.random.Generator, shape: tuple[int, ...], random_bits: int
) -> npt.NDArray[np.unsignedinteger]:
    """The words R that `quantize(..., rng=rng)` uses: uniform in [0, 2^random_bits), C order.

    Bytes of `rng`, little endian, 1 a word up to 8 bits, else 2; the upper `random_bits` of each.
    """
    width = 1 if random_bits <= 8 else 2
    count = math.prod(shape)
    words: npt.NDArray[np.unsignedinteger] = np.frombuffer(rng.bytes(count * width), f"<u{width}")
    if random_bits < 8 * width:
        words = words >> np.uint8(8 * width - random_bits)
    return words.reshape(shape)


def quantize(
    x: Float32,
    element: ElementFormat,
    scale: ScaleFormat,
    *,
    group: Grouping | str = Grouping.NC,
    rounding: Rounding | str = Rounding.STOCHASTIC,
    carry: Carry | str = Carry.CLIP,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
) -> MlsTensor:
    """Quantize `x` to `element` codes with one `scale` per group and one float32 per tensor.

    `S_r = max|x|` by group, `S_t = max S_r`, `S_g` = smallest grid value >= S_r / S_t (the smallest
    of all where the ratio is below the grid); `t = |x| / (S_g * S_t) / 2^(Exp - M)` with Exp the
    element's binade; the mantissa is `(floor(t * 2^k) + R) >> k`, clipped or carried. Every step is
    exact. An all-zero tensor has `S_t = 0` and codes 0. The sign bit is 1 exactly where x < 0.

    Parameters:
        x: float32, finite, rank >= 1 (>= 2 for groups "c" and "nc"), not empty.
        group, rounding, carry: member of the enum or its string.
        random_bits: k, 1..16; `man_bits + k` at most 25 (24) for scales with 2 (3) mantissa bits.
        rng: source of R for stochastic rounding; a fresh, unseeded one if neither is given.
        random: the words R themselves, integers in [0, 2^k) in x's shape, instead of `rng`.
    Raises: TypeError for a wrong kind, ValueError for a wrong value, a NaN or an infinity.
    Source: Algorithm 1 of the MLS paper as fixed in docs/numerics.md section 3.
    """
    grouping = choice("group", Grouping, group)
    rule = choice("rounding", Rounding, rounding)
    carry_rule = choice("carry", Carry, carry)
    _check_formats(element, scale, random_bits)
    _check_input(x, grouping)
    words = rounding_words(x.shape, rule, random_bits, rng, random)
    cells = np.ascontiguousarray(x).reshape(_cell_shape(x.shape, grouping))
    maxima = _group_maxima(cells, grouping)
    _check_finite(x, maxima)
    tensor_scale = maxima.max()
    scale_exp, scale_man = _scale_codes(maxima, tensor_scale, scale)
    divisor = scale_value(scale_exp, scale_man, scale) * np.float64(tensor_scale or 1)

    rows = cells.reshape(-1, cells.shape[2])
    divisors = np.broadcast_to(divisor, cells.shape[:2]).reshape(-1, 1)
    fields = _encode(rows, divisors, words, element, random_bits, carry_rule)
    sign, exp, man = (field.reshape(x.shape) for field in fields)
    scale_shape = (maxima.shape + (1,) * x.ndim)[: x.ndim]
    return MlsTensor(
        sign=sign,
        exp=exp,
        man=man,
        scale_exp=scale_exp.reshape(scale_shape),
        scale_man=scale_man.reshape(scale_shape),
        tensor_scale=tensor_scale,
        element=element,
        scale=scale,
    )


def _check_formats(element: ElementFormat, scale: ScaleFormat, random_bits: int) -> None:
    if not isinstance(element, ElementFormat):
        raise TypeError(f"element must be an ElementFormat, not {element!r}")
    if not isinstance(scale, ScaleFormat):
        raise TypeError(f"scale must be a ScaleFormat, not {scale!r}")
    check_int("random_bits", random_bits, 1, 16)
    # The largest M + k for which the proof in `_encode` holds.
    limit = min(26, 27 - scale.man_bits)
    if element.man_bits + random_bits > limit:
        raise ValueError(
            f"random_bits must be at most {limit - element.man_bits} for element {element} "
            f"and scale {scale}, not {random_bits!r}"
        )


def _check_input(x: Float32, grouping: Grouping) -> None:
    check_float32(x)
    need = 2 if grouping in (Grouping.C, Grouping.NC) else 1
    if x.ndim < need:
        raise ValueError(
            f"x must be of rank {need} or more for groups {grouping.value!r}, not {x.ndim!r}"
        )
    if x.size == 0:
        raise ValueError(f"x must be of at least one element, not of shape {x.shape!r}")


def rounding_words(
    shape: tuple[int, ...],
    rule: Rounding,
    random_bits: int,
    rng: np.random.Generator | None,
    random: npt.ArrayLike | None,
) -> int | Integers:
    """R as one integer (nearest) or an array of x's shape."""
    if random is None:
        if rule is Rounding.NEAREST:
            return 1 << (random_bits - 1)
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator, not {rng!r}")
        return random_words(rng or np.random.default_rng(), shape, random_bits)
    if rule is Rounding.NEAREST:
        raise ValueError("random must be None for nearest rounding, not an array")
    if rng is not None:
        raise ValueError("random must be None where rng is given, not an array")
    words = check_integers("random", random, 0, (1 << random_bits) - 1)
    if words.shape != shape:
        raise ValueError(f"random must be of x's shape {shape!r}, not {words.shape!r}")
    return words.astype(np.uint16)


def _cell_shape(shape: tuple[int, ...], grouping: Grouping) -> tuple[int, int, int]:
    """(N, C, P) such that each cell of P elements lies in one group, P as large as possible."""
    rows = 1 if grouping is Grouping.NONE else shape[0]
    columns = shape[1] if grouping in (Grouping.NC, Grouping.C) else 1
    return rows, columns, math.prod(shape) // (rows * columns)


def _tiles(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Cut a matrix into pieces of about `_TILE` elements."""
    rows, columns = shape
    row_step = max(_TILE // columns, 1)
    for row in range(0, rows, row_step):
        for column in range(0, columns, _TILE):
            yield slice(row, row + row_step), slice(column, column + _TILE)


def _group_maxima(cells: Float32, grouping: Grouping) -> Float32:
    """`S_r` of shape (N or 1, C or 1); `cells` is (N, C, P), finite or not.

    Magnitude bits of float32 order like the magnitudes, with infinities and NaN above all numbers.
    """
    bits = cells.view(np.uint32).reshape(-1, cells.shape[2])
    peaks = np.zeros(len(bits), np.uint32)
    for rows, columns in _tiles(bits.shape):
        tile = bits[rows, columns] & np.uint32(0x7FFFFFFF)
        short = tile.shape[1] < _SHORT
        peak = functools.reduce(np.maximum, tile.T) if short else tile.max(axis=1)
        np.maximum(peaks[rows], peak, out=peaks[rows])
    maxima = peaks.view(np.float32).reshape(cells.shape[:2])
    return maxima.max(axis=0, keepdims=True) if grouping is Grouping.C else maxima


def _check_finite(x: Float32, maxima: Float32) -> None:
    if np.isfinite(maxima).all():
        return
    index = tuple(int(axis[0]) for axis in np.nonzero(~np.isfinite(x)))
    raise ValueError(f"x must be finite, not {float(x[index])!r} at index {index!r}")


def _scale_codes(
    maxima: Float32, tensor_scale: np.float32, scale: ScaleFormat
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Exponent and mantissa codes of the smallest `S_g >= S_r / S_t`, or of the smallest `S_g`.

    `frexp` gives the e with `2^-e < S_r / S_t <= 2^(1-e)`; within that binade the mantissa is the
    number of grid values below the ratio. Each comparison `grid * S_t < S_r` is exact: grid values
    have at most 4 bits and S_t 24, which float64 holds, and their exponents stay above -450.
    """
    top = np.float64(tensor_scale)
    peaks = maxima.astype(np.float64)
    peak_fraction, peak_exp = np.frexp(peaks)
    top_fraction, top_exp = np.frexp(top)
    exp = top_exp - peak_exp + (peak_fraction <= top_fraction)
    steps = 1 << scale.man_bits
    man = np.zeros_like(exp)
    for step in range(steps):
        man += np.ldexp((1 + step / steps) * top, -exp) < peaks
    exp -= man == steps
    man[man == steps] = 0
    below = (exp > scale.max_exp) | (peaks == 0)
    exp[below] = scale.max_exp
    man[below] = 0
    return exp.astype(np.uint8), man.astype(np.uint8)


def scale_value(exp: Integers, man: Integers, scale: ScaleFormat) -> Float64:
    """`S_g = (1 + man / 2^Mg) * 2^-exp`, exact."""
    return np.ldexp(1 + man / (1 << scale.man_bits), -exp.astype(np.int32))


def _encode(
    rows: Float32,
    divisor: Float64,
    words: int | Integers,
    element: ElementFormat,
    random_bits: int,
    carry: Carry,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.unsignedinteger]]:
    """Sign, exponent and mantissa fields of `rows` (R, P) divided by `divisor` (R, 1).

    `words`: R, one integer or an array of as many as `rows` in any shape.

    With `x = |rows| / divisor` and `low = 2^(1-2^E)`, the smallest normal value (E = 0: 1),
    `y = x + max(x, low)` is 2x for normal x and low + x below: float64's own exponent and leading
    fraction bits are then the element's exponent field (offset) and `t`, in one piece.

    Proof that float64 suffices. Let `v = t * 2^k < n`, n the next integer, p = M + k. The divisor
    is an integer d < D = 2^24 * (2^(Mg+1) - 1) times a power of two and |rows| one < 2^24, so
    n - v >= min(1/D, 2^-25) wherever v >= 1/2. (If |rows|'s power is the lower one, v = a / (d 2^s)
    with a < 2^24, hence d 2^s < 2^25 and n - v >= 1 / (d 2^s).) The quotient rounds by at most
    2^(p-53) for normal x, where 2x is exact, and by 2^(p-54) below, where the sum rounds by at most
    2^(p-53) more. 1.5 * 2^(p-53) < 1/D holds as `_check_formats` limits p, so y stays below the
    boundary n; and rounding is monotonic, so y never falls below the last one.
    """
    man_bits, top_exp = element.man_bits, 1 << element.exp_bits
    fraction_bits = man_bits + random_bits
    low = 2.0 ** (1 - top_exp)
    # `exact` reaches 2^(E+p) at x = 1, plus a word below 2^k. Arithmetic is modulo 2^width.
    width = 16 if element.exp_bits + fraction_bits <= 15 else 32
    integer: type[np.unsignedinteger] = np.uint16 if width == 16 else np.uint32
    offset = integer(((1023 + 1 - top_exp) << fraction_bits) % (1 << width))
    shift = np.uint64(52 - fraction_bits)
    mask, largest = np.uint16((1 << man_bits) - 1), integer((top_exp << man_bits) - 1)

    if not isinstance(words, int):
        words = words.reshape(rows.shape)
    sign = np.empty(rows.shape, np.uint8)
    exp = np.empty(rows.shape, np.uint8)
    man = np.empty(rows.shape, np.uint8 if man_bits <= 8 else np.uint16)
    for tile in _tiles(rows.shape):
        np.less(rows[tile], 0, out=sign[tile].view(np.bool_))
        y = np.abs(rows[tile]).astype(np.float64)
        short = y.shape[1] < _SHORT
        y /= divisor[tile[0]].repeat(y.shape[1], axis=1) if short else divisor[tile[0]]
        y += np.maximum(y, low)
        exact = (y.view(np.uint64) >> shift).astype(integer)  # drops the exponent's top bits
        exact -= offset
        word = words if isinstance(words, int) else words[tile]
        code = np.right_shift(np.add(exact, word), random_bits)
        if carry is Carry.CLIP:
            np.minimum(code, (exact >> random_bits) | mask, out=code)
        code = np.minimum(code, largest).astype(np.uint16, copy=False)
        exp[tile] = code >> man_bits
        man[tile] = code & mask
    return sign, exp, man
