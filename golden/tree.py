"""Group scaler and inter-group sums, bit-exact (docs/numerics.md sections 7 and 8).

Leaves lie along axis 0, in the order in which they enter; everything behind it is elementwise.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .quantize import Float32, Float64, Integers
from .spec import GUARD_BITS, ElementFormat, ScaleFormat, check_int

EXACT_BITS = 54
"""Signed bits of a term or an aligned sum that float64 holds exactly, so that float32 rounds it
once.
"""


def scale_factor(man_w: Integers, man_a: Integers, scale: ScaleFormat) -> npt.NDArray[np.int64]:
    """`(2^Mg + man_w) * (2^Mg + man_a)`: 4, 6, 6, 9 for `<8,1>`; at most 2 Mg + 2 bits."""
    hidden = np.int64(1 << scale.man_bits)
    return (hidden + man_w) * (hidden + man_a)


def scaled_terms(
    sums: npt.NDArray[np.int64],
    w_scale: npt.NDArray[np.int64],
    a_scale: npt.NDArray[np.int64],
    element: ElementFormat,
    scale: ScaleFormat,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """T and e of the groups' values `T * 2^-e`: `T = P * scale factor`, `e = eg_w + eg_a + 2 Mg +
    2F`.

    Parameters: `sums`: P; `w_scale`, `a_scale`: scale codes {exp, man}; one shape.
    Source: docs/numerics.md section 7.
    """
    mask = (1 << scale.man_bits) - 1
    exponent = (w_scale >> scale.man_bits) + (a_scale >> scale.man_bits)
    unit = 2 * (scale.man_bits + element.fraction_bits)
    return sums * scale_factor(w_scale & mask, a_scale & mask, scale), exponent + unit


def float32_codes(values: Float32) -> npt.NDArray[np.int64]:
    """Codes of float32 numbers."""
    return values.view(np.uint32).astype(np.int64)


def to_float32(term: npt.NDArray[Any], exponent: Integers | int) -> Float32:
    """`term * 2^-exponent` rounded once to float32, subnormals kept; a zero result is +0.

    Parameters: `term`: integers (any integer or float dtype) below 2^53 in magnitude; `exponent`:
    at most 1000, so that float64 holds the product exactly.
    """
    exact = np.ldexp(term.astype(np.float64), -np.asarray(exponent, np.int32))
    return exact.astype(np.float32) + np.float32(0)


def fp32_tree(terms: Float32, lanes: int | None = None) -> Float32:
    """Sum of `terms` (count, ...) in float32: tiles of `lanes` neighbours as balanced binary trees,
    an odd last one passing through; then `acc = tile 0`, `acc = fl(acc + tile t)`.

    Parameters: `lanes`: leaves of a tile, >= 1; None: all of them. The last tile may be shorter.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 8.
    """
    return add_tree(np.array(terms, np.float32), lanes)


def add_tree(terms: Float32, lanes: int | None = None) -> Float32:
    """`fp32_tree` that uses `terms` as its scratch memory."""
    tile = check_lanes(lanes, len(terms))
    acc = terms[0]
    for first in range(0, len(terms), tile):
        lane = terms[first : first + tile]
        step = 1
        while step < len(lane):
            right = lane[step :: 2 * step]
            left = lane[:: 2 * step][: len(right)]
            np.add(left, right, out=left)
            step *= 2
        if first:
            np.add(acc, lane[0], out=acc)
    # A sum is -0 only where every leaf is: a scaler's zero is +0, hence so is the sum's.
    return acc + np.float32(0)


def aligned_width(acc_width: int, scale: ScaleFormat, guard_bits: int, lanes: int) -> int:
    """Bits, sign included, of the aligned sum of `lanes` terms: acc_width + 2 Mg + 2 + guard_bits
    each, and one bit more for each doubling.

    Proof: |P| <= 2^(acc_width-1) and the scale factor is below 2^(2 Mg + 2).
    """
    return acc_width + 2 * scale.man_bits + 2 + guard_bits + (lanes - 1).bit_length()


def aligned_tree(
    terms: npt.NDArray[np.int64],
    exponent: Integers,
    lanes: int | None = None,
    *,
    guard_bits: int = GUARD_BITS,
) -> Float32:
    """Sum of `terms * 2^-exponent` with one rounding a tile.

    In a tile, `low = min(exponent)` (the largest scale), and the tile is
    `fl(sum(floor(term * 2^(guard_bits - (exponent - low)))) * 2^-(low + guard_bits))`: an
    arithmetic right shift drops what is below the guard bits. Tiles accumulate in float32.

    Parameters: `terms`: T = P * scale factor, int64 (count, ...), such that a tile's aligned sum is
    within 54 bits (`aligned_width`); `exponent`: broadcasts against it; `lanes` as in `fp32_tree`;
    `guard_bits`: 0..32.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 8.
    """
    check_int("guard_bits", guard_bits, 0, 32)
    grain = np.broadcast_to(np.ldexp(1.0, -np.asarray(exponent, np.int32)), terms.shape)
    return add_aligned(terms * grain, grain, lanes, guard_bits)


def add_aligned(terms: Float64, grain: Float64, lanes: int | None, guard_bits: int) -> Float32:
    """`aligned_tree` of exact products `terms`; `grain`: `2^-exponent`, (count, ...)."""
    tile = check_lanes(lanes, len(terms))
    acc = np.zeros(terms.shape[1:], np.float32)
    for first in range(0, len(terms), tile):
        lane = slice(first, first + tile)
        # Powers of two and integers below 2^53: every step is exact.
        grid = 2.0**guard_bits / grain[lane].max(axis=0)
        aligned = terms[lane] * grid
        part = (np.floor(aligned, out=aligned).sum(axis=0) / grid).astype(np.float32)
        acc = acc + part if first else part
    return acc + np.float32(0)


def exact_tree(terms: npt.NDArray[np.int64], exponent: Integers) -> Float32:
    """`fl(sum(terms * 2^-exponent))`, rounded once; a zero sum is +0.

    Parameters: `terms`: T, int64 (count, ...); `exponent`: integers that broadcast against it.
    Source: docs/numerics.md section 8.
    """
    exponent = np.broadcast_to(exponent, terms.shape).astype(np.int32)
    used = terms != 0
    if not used.any():
        return np.zeros(terms.shape[1:], np.float32)
    unit = int(exponent[used].max())
    reach = unit - int(exponent[used].min())
    largest = max(int(terms.max()), -int(terms.min()))
    if (largest * len(terms)).bit_length() + reach <= 53:
        # Every partial sum is a multiple of 2^-unit below 2^53 of them: float64 adds exactly.
        total = np.ldexp(terms.astype(np.float64), -exponent, where=used, out=np.zeros(terms.shape))
        return total.sum(axis=0).astype(np.float32) + np.float32(0)
    shift = np.where(used, unit - exponent, 0).astype(object)
    totals = (terms.astype(object) << shift).sum(axis=0)
    return to_float32(*_round_to_odd(np.asarray(totals, object), unit))


def round_exactly(values: npt.NDArray[Any], exponent: Integers | int) -> npt.NDArray[np.int64]:
    """Codes of `values * 2^-exponent` rounded once to float32, for integers of any length.

    Parameters: as of `to_float32`, without its bound on `values`.
    """
    if max(abs(int(values.min())), abs(int(values.max()))) >> 53:
        values, exponent = _round_to_odd(values.astype(object), exponent)
    return float32_codes(to_float32(values, exponent))


def check_lanes(lanes: int | None, count: int) -> int:
    """Leaves of a tile: `lanes`, at most `count`; None: `count`. Raises: TypeError, ValueError."""
    if lanes is None:
        return count
    check_int("lanes", lanes, 1, 1 << 20)
    return min(lanes, count)


def _round_to_odd(
    totals: npt.NDArray[Any], unit: Integers | int
) -> tuple[Float64, npt.NDArray[np.int32]]:
    """53 leading bits of Python integers in units of 2^-unit, and the exponents of their last bits.

    Dropped ones set the last bit, so that a later rounding to 24 bits or fewer sees on which side
    of a boundary the sum lies.
    """
    leading = np.empty(totals.shape, np.float64)
    exponent = np.array(np.broadcast_to(unit, totals.shape), np.int32)
    for index in np.ndindex(totals.shape):
        total = int(totals[index])
        size = abs(total)
        drop = max(size.bit_length() - 53, 0)
        kept = size >> drop | (size & ((1 << drop) - 1) != 0)
        leading[index] = -kept if total < 0 else kept
        exponent[index] -= drop
    return leading, exponent
