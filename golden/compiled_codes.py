"""The steps of `group_codes.py` as plain loops, compiled by numba: the same bits.

`quantize.py` imports this where numba is installed (extra `fast`). Loops are written so that LLVM
vectorizes them: one width of numbers each, no branches, integers cast back to the width that they
have (numba widens). No fast-math. Machine code is kept as that of `compiled.py`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from .group_codes import BELOW_TWO, DEEP, LIFT, Coding, Float32, Float64, Octets, RowScales, tiles
from .rounding import Words, WordSource
from .spec import ScaleFormat

# Elements worked on at a time, measured: all that is known of them stays in the first cache.
_BLOCK = 512
# Rows of fewer elements are not worth a loop of their own.
_SHORT = 64
# Elements that one store fills.
_WIDE = 8
# Elements between two looks at the source of random words.
_PIECE = 1 << 17
_BELOW_TWO, _DEEPEST, _LIFTED = float(BELOW_TWO), 2.0**-DEEP, 2.0**LIFT


@intrinsic
def _fill(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """`array[index : index + _WIDE] = value`, unchecked: numba leaves short loops scalar."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        lane = ir.IntType(32)
        vector = ir.VectorType(arguments[2].type, _WIDE)
        nothing = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(nothing, arguments[2], ir.Constant(lane, 0))
        zeros = ir.Constant(ir.VectorType(lane, _WIDE), [0] * _WIDE)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        builder.store(builder.shuffle_vector(first, nothing, zeros), place, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


def _at(factors: Any, index: Any) -> Any:
    """Entry of an array, or the one number."""


@overload(_at)
def _choose_at(factors: Any, index: Any) -> Any:
    def entry(factors: Any, index: Any) -> Any:
        return factors[index]

    def number(factors: Any, index: Any) -> Any:
        return factors

    return entry if isinstance(factors, types.Array) else number


def row_peaks(rows: Float32) -> Float32:
    """Largest magnitude of each row, ordered by bits: infinities and NaN above all numbers."""
    peaks = np.empty(len(rows), np.uint32)
    _row_peaks(rows.reshape(-1).view(np.uint32), rows.shape[1], peaks)
    return peaks.view(np.float32)


@njit(cache=True)
def _row_peaks(bits: Any, length: Any, peaks: Any) -> None:
    for r in range(len(peaks)):
        row = bits[r * length : (r + 1) * length]
        peak = np.uint32(0)
        for i in range(len(row)):
            peak = np.uint32(max(peak, np.uint32(row[i] & np.uint32(0x7FFFFFFF))))
        peaks[r] = peak


def scale_codes(
    peaks: Float32, tensor_scale: np.float32, scale: ScaleFormat
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Exponent and mantissa codes of S_g, as `group_codes.scale_codes`."""
    exp, man = np.empty(peaks.shape, np.uint8), np.empty(peaks.shape, np.uint8)
    _scale_codes(
        peaks.reshape(-1),
        np.float64(tensor_scale),
        1 << scale.man_bits,
        scale.max_exp,
        exp.reshape(-1),
        man.reshape(-1),
    )
    return exp, man


@njit(cache=True)
def _scale_codes(peaks: Any, top: Any, steps: Any, max_exp: Any, exp: Any, man: Any) -> None:
    """By exponent and fraction fields of float64, in which no float32 is subnormal."""
    one, fraction = np.int64(1023 << 52), np.int64((1 << 52) - 1)
    top_bits = np.float64(top).view(np.int64)
    top_part = top_bits & fraction
    unit = np.int64(top_part | one).view(np.float64) / steps
    ratio = np.empty(_BLOCK)
    e, m = np.empty((2, _BLOCK), np.int64)
    for start in range(0, len(peaks), _BLOCK):
        peak = peaks[start : start + _BLOCK]
        for i in range(len(peak)):
            bits = np.float64(peak[i]).view(np.int64)
            part = bits & fraction
            above = np.int64(part <= top_part)
            # In (1, 2] times `top`'s fraction: 2^-e times this is S_r / S_t.
            ratio[i] = np.int64((part | one) + (above << 52)).view(np.float64)
            e[i] = (top_bits >> 52) - (bits >> 52) + above
            m[i] = 0
        for step in range(steps):
            bound = (steps + step) * unit
            for i in range(len(peak)):
                m[i] += bound < ratio[i]
        part_exp, part_man = exp[start : start + _BLOCK], man[start : start + _BLOCK]
        for i in range(len(peak)):
            full = m[i] == steps
            e_i = e[i] - full
            m_i = 0 if full else m[i]
            m_i = steps - 1 if e_i < 0 else m_i
            below = (e_i > max_exp) | (peak[i] == np.float32(0))
            part_exp[i] = max_exp if below else max(e_i, 0)
            part_man[i] = 0 if below else m_i


def encode(
    rows: Float32, scales: RowScales, words: WordSource, coding: Coding
) -> tuple[Octets, Octets, npt.NDArray[np.unsignedinteger]]:
    """Sign, exponent and mantissa fields, as `group_codes.encode`."""
    sign, exp = np.empty(rows.shape, np.uint8), np.empty(rows.shape, np.uint8)
    man = np.empty(rows.shape, np.uint8 if coding.element.man_bits <= 8 else np.uint16)
    for part, *steps in _pieces(rows, scales, words, coding):
        fields = (field[part].reshape(-1) for field in (sign, exp, man))
        x, word, length, reciprocal, _, _, *rules = steps
        man_bits = np.uint32(coding.element.man_bits)
        _encode(x, word, length, reciprocal, *rules, man_bits, *fields)
    return sign, exp, man


def values(
    rows: Float32, scales: RowScales, words: WordSource, coding: Coding, out: Float32
) -> None:
    """The codes' values in `out`, as `group_codes.values`."""
    rule = value_rule(coding)
    for part, *steps in _pieces(rows, scales, words, coding):
        _values(*steps, rule, out[part].reshape(-1))


def _pieces(
    rows: Float32, scales: RowScales, words: WordSource, coding: Coding
) -> Iterator[tuple[Any, ...]]:
    """Pieces of `rows`, each with what the loops take."""
    factors = row_factors(scales)
    rules = rounding_rules(coding)
    for part in tiles(rows.shape, _PIECE):
        tile = rows[part]
        own = (factor[part[0]] for factor in factors)
        yield part, tile.reshape(-1), taken(words, tile.size), tile.shape[1], *own, *rules


def taken(words: WordSource, count: int) -> Words:
    """The next words, as an array."""
    found = words(count)
    return np.full(count, found, np.uint16) if isinstance(found, int) else found


def row_factors(scales: RowScales) -> tuple[Float64, Float32, Float32]:
    """What `_row_factors` makes of scales (R,)."""
    factors = np.empty(len(scales.exp)), *np.empty((2, len(scales.exp)), np.float32)
    _row_factors(
        scales.exp,
        scales.man,
        np.float64(scales.tensor_scale),
        0.5**scales.scale.man_bits,
        *factors,
    )
    return factors


def rounding_rules(coding: Coding) -> tuple[Any, Any]:
    """What `floors` and then rounding take."""
    fraction_bits = coding.fraction_bits
    offset = np.uint32(((1023 + coding.low_exp) << fraction_bits) % (1 << 32))
    floor_rule = coding.low, np.uint64(52 - fraction_bits), offset
    return floor_rule, (np.uint32(coding.random_bits), np.uint32(coding.ceiling))


def value_rule(coding: Coding) -> tuple[Any, Any, Any]:
    """What `to_values` takes to make a value of a code."""
    base = np.uint32((127 + coding.low_exp) << 23)
    return np.uint32(23 - coding.element.man_bits), base, np.float32(coding.low)


@njit(cache=True)
def _row_factors(
    exp: Any, man: Any, top: Any, step: Any, reciprocal: Any, first: Any, second: Any
) -> None:
    """The reciprocal of `RowScales.divisor`, the next number above, and `RowScales.factors`."""
    positive = top if top > 0 else 1.0
    for r in range(len(exp)):
        fraction = 1 + np.float64(np.int32(man[r])) * step
        power = np.int64(np.int64(1023 - np.int64(exp[r])) << 52).view(np.float64)
        divisor = fraction * power * positive
        reciprocal[r] = np.int64(np.float64(1 / divisor).view(np.int64) + 1).view(np.float64)
        deep = divisor < _DEEPEST
        first[r] = fraction * (1 / _LIFTED if deep else 1.0)
        second[r] = top * power * (_LIFTED if deep else 1.0)


@njit(cache=True)
def _values(
    x: Any,
    words: Any,
    length: Any,
    reciprocal: Any,
    first: Any,
    second: Any,
    floor_rule: Any,
    round_rule: Any,
    value_rule: Any,
    out: Any,
) -> None:
    floors = np.empty(_BLOCK, np.uint32)
    factor = np.empty(_BLOCK + _WIDE)
    pair = np.empty((2, _BLOCK + _WIDE), np.float32)
    start = 0
    while start < len(x):
        span = _span(start, length, len(x))
        row = start // length
        if length >= _SHORT:
            floors_of(x[span], reciprocal[row], *floor_rule, floors)
            own = x[span], floors, words[span], first[row], second[row]
            to_values(*own, *round_rule, *value_rule, out[span])
        else:
            _spread(reciprocal, length, span, factor)
            _spread(first, length, span, pair[0])
            _spread(second, length, span, pair[1])
            floors_of(x[span], factor, *floor_rule, floors)
            spread = x[span], floors, words[span], pair[0], pair[1]
            to_values(*spread, *round_rule, *value_rule, out[span])
        start = span.stop


@njit(cache=True)
def _encode(
    x: Any,
    words: Any,
    length: Any,
    reciprocal: Any,
    floor_rule: Any,
    round_rule: Any,
    man_bits: Any,
    sign: Any,
    exp: Any,
    man: Any,
) -> None:
    floors = np.empty(_BLOCK, np.uint32)
    factors = np.empty(_BLOCK + _WIDE)
    start = 0
    while start < len(x):
        span = _span(start, length, len(x))
        if length >= _SHORT:
            floors_of(x[span], reciprocal[start // length], *floor_rule, floors)
        else:
            _spread(reciprocal, length, span, factors)
            floors_of(x[span], factors, *floor_rule, floors)
        fields = sign[span], exp[span], man[span]
        _to_codes(x[span], floors, words[span], *round_rule, man_bits, *fields)
        start = span.stop


@njit(cache=True)
def _span(start: Any, length: Any, total: Any) -> Any:
    """A block from `start` on; where rows are long, of one row."""
    stop = min(start + _BLOCK, total)
    if length >= _SHORT:
        stop = min(stop, (start // length + 1) * length)
    return slice(start, stop)


@njit(cache=True)
def _spread(row_factors: Any, length: Any, span: Any, factors: Any) -> None:
    """Elements' factors from those of rows of `length`, for a `span` of elements.

    A store that passes a row's end is made good by the next row's.
    """
    row = span.start // length
    stop = (row + 1) * length - span.start
    size = span.stop - span.start
    i = 0
    while i < size:
        stop = min(stop, size)
        for j in range(i, stop, _WIDE):
            _fill(factors, j, row_factors[row])
        i = stop
        row += 1
        stop += length


@njit(cache=True)
def floors_of(x: Any, reciprocal: Any, low: Any, shift: Any, offset: Any, floors: Any) -> None:
    """`floor(t * 2^k)` behind the exponent field."""
    shift = np.uint64(shift & np.uint64(63))
    for i in range(len(x)):
        ratio = np.float64(abs(x[i])) * _at(reciprocal, i)
        y = ratio + (ratio if ratio > low else low)
        y = y if y < _BELOW_TWO else _BELOW_TWO
        floors[i] = np.uint32(np.uint32(np.float64(y).view(np.uint64) >> shift) - offset)


@njit(cache=True)
def _round(floors: Any, word: Any, random_bits: Any, ceiling: Any) -> Any:
    """The code: `(floors + word) >> k`, clipped or carried."""
    code = np.uint32(np.uint32(floors + np.uint32(word)) >> random_bits)
    return np.uint32(min(code, np.uint32(np.uint32(floors >> random_bits) | ceiling)))


@njit(cache=True)
def to_values(
    x: Any,
    floors: Any,
    words: Any,
    first: Any,
    second: Any,
    random_bits: Any,
    ceiling: Any,
    up: Any,
    base: Any,
    low: Any,
    out: Any,
) -> None:
    random_bits = np.uint32(random_bits & np.uint32(31))
    up = np.uint32(up & np.uint32(31))
    half, zero = np.float32(0.5), np.float32(0)
    for i in range(len(x)):
        code = _round(floors[i], words[i], random_bits, ceiling)
        y = np.uint32(np.uint32(code << up) + base).view(np.float32)
        x_half = y * half
        value = (y - (x_half if x_half > low else low)) * _at(first, i) * _at(second, i)
        out[i] = -value if x[i] < zero else value


@njit(cache=True)
def _to_codes(
    x: Any,
    floors: Any,
    words: Any,
    random_bits: Any,
    ceiling: Any,
    man_bits: Any,
    sign: Any,
    exp: Any,
    man: Any,
) -> None:
    random_bits = np.uint32(random_bits & np.uint32(31))
    man_bits = np.uint32(man_bits & np.uint32(31))
    mask = np.uint32((np.uint32(1) << man_bits) - 1)
    zero = np.float32(0)
    for i in range(len(x)):
        code = _round(floors[i], words[i], random_bits, ceiling)
        sign[i] = x[i] < zero
        exp[i] = code >> man_bits
        man[i] = code & mask
