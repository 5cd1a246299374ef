"""Sums of products by groups as plain loops in the contract's order, compiled by numba.

The bits are those of `group_sums.py` in NumPy, which imports this where numba is installed (extra
`fast`). Machine code is kept beside this file, in `__pycache__`, or where that cannot be written in
numba's own cache. No fast-math: LLVM may not reorder or contract float operations.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from .quantize import Float32, Float64
from .spec import Overflow, Tree

# Columns worked on at a time, measured: one group's operands and sums stay in the first cache.
_BLOCK = 512


def sum_groups(
    left: npt.NDArray[Any],
    right: npt.NDArray[Any],
    left_unit: Float64,
    right_unit: Float64,
    left_scale: Float64,
    right_scale: Float64,
    *,
    segment: int,
    acc_width: int,
    overflow: Overflow,
    tree: Tree,
    lanes: int,
    guard_bits: int,
) -> tuple[Float32, int]:
    """Scaled sums (rows, columns) before the tensor scale, and how many accumulators overflowed.

    Parameters:
        left: integers (groups, rows, length), right: (groups, length, columns), int32 or int64,
            such that no sum of a segment's products passes half of the type's range.
        left_unit, right_unit: powers of two (groups, rows), (groups, b), b a divisor of the
            columns, whose neighbours share: the tile with the largest aligns.
        left_scale, right_scale: the same times the scale factors.
        segment: products of an accumulated sum.
        lanes: leaves of a tile, at most groups times segments; without effect on "exact", whose
            terms float64 must add exactly.
    """
    kind = left.dtype.type
    # A wider accumulator than this holds every sum.
    high = (1 << (min(acc_width, 8 * left.itemsize - 1) - 1)) - 1
    acc = np.empty((left.shape[1], right.shape[2]), np.float32)
    overflows = _sum_groups(
        left,
        right,
        left_unit,
        right_unit,
        left_scale,
        right_scale,
        segment,
        kind(high),
        overflow is Overflow.WRAP,
        tree is Tree.FP32,
        len(left) * -(-left.shape[2] // segment) if tree is Tree.EXACT else lanes,
        2.0**guard_bits if tree is Tree.ALIGNED else 0.0,
        acc,
    )
    return acc + np.float32(0), int(overflows)


@njit(cache=True)
def _sum_groups(
    left: Any,
    right: Any,
    left_unit: Any,
    right_unit: Any,
    left_scale: Any,
    right_scale: Any,
    segment: Any,
    high: Any,
    wrap: Any,
    fp32: Any,
    lanes: Any,
    guard: Any,
    acc: Any,
) -> Any:  # format: skip
    """`sum_groups` by blocks of columns: fills `acc`, returns how many sums overflowed.

    `guard` is `2^guard_bits`, 0 for "exact". Terms, sums times scales, are exact in float64.
    """
    groups, rows, length = left.shape
    columns = right.shape[2]
    share = columns // right_unit.shape[1]
    segments = (length + segment - 1) // segment
    leaves = groups * segments
    sums = np.empty(_BLOCK, left.dtype)
    flags = np.empty(_BLOCK, left.dtype)
    scales = np.empty(_BLOCK)
    owners = np.empty(_BLOCK, np.int64)
    depth = 1
    while 1 << (depth - 1) < lanes:
        depth += 1
    nodes = np.empty((rows, depth, _BLOCK), np.float32)
    totals = np.empty((1, 1) if fp32 else (rows, _BLOCK))
    grids = np.empty(totals.shape)
    overflows = 0
    for first in range(0, columns, _BLOCK):
        size = min(_BLOCK, columns - first)
        for c in range(size):
            owners[c] = (first + c) // share
        for tile in range(0, leaves, lanes):
            end = min(tile + lanes, leaves)
            if not fp32:
                totals[:, :size] = 0
                span = slice(tile // segments, (end - 1) // segments + 1)
                _set_grids(left_unit[span], right_unit[span], owners[:size], guard, grids)
            for leaf in range(tile, end):
                group, begin = leaf // segments, leaf % segments * segment
                for c in range(size):
                    scales[c] = right_scale[group, owners[c]]
                stop = min(begin + segment, length)
                for r in range(rows):
                    x, y = left[group, r], right[group]
                    overflows += _accumulate(
                        x, y, begin, stop, first, high, wrap, sums[:size], flags[:size]
                    )
                    scale = left_scale[group, r]
                    if fp32:
                        _add_leaf(sums[:size], scale, scales, leaf - tile, nodes[r])
                    else:
                        _add_term(sums[:size], scale, scales, guard, grids[r], totals[r])
            for r in range(rows):
                if fp32:
                    part = _join(nodes[r], end - tile, size)
                else:
                    part = nodes[r, 0]
                    for c in range(size):
                        part[c] = totals[r, c] / grids[r, c]
                out = acc[r, first : first + size]
                for c in range(size):
                    out[c] = out[c] + part[c] if tile else part[c]
    return overflows


@njit(cache=True)
def _limit(total: Any, low: Any, high: Any, wrap: Any) -> Any:
    if wrap:
        return type(total)(((total - low) & (high - low)) + low)
    return min(max(total, low), high)


@njit(cache=True)
def _accumulate(
    x: Any, y: Any, begin: Any, stop: Any, first: Any, high: Any, wrap: Any, sums: Any, flags: Any
) -> Any:
    """Sums of `x[t] * y[t]` in the order of t, begin <= t < stop; how many overflowed.

    Three products a pass, so that sums stay in registers; those past the end are zero and change
    neither sum nor flag.
    """
    kind = x.dtype.type
    low = kind(-high - 1)
    size = len(sums)
    columns = slice(first, first + size)
    sums[:] = 0
    flags[:] = 0
    for t in range(begin, stop, 3):
        second, third = min(t + 1, stop - 1), min(t + 2, stop - 1)
        x0 = x[t]
        x1 = x[second] if t + 1 < stop else kind(0)
        x2 = x[third] if t + 2 < stop else kind(0)
        y0, y1, y2 = y[t, columns], y[second, columns], y[third, columns]
        for c in range(size):
            exact0 = kind(sums[c] + x0 * y0[c])
            sum0 = kind(_limit(exact0, low, high, wrap))
            exact1 = kind(sum0 + x1 * y1[c])
            sum1 = kind(_limit(exact1, low, high, wrap))
            exact2 = kind(sum1 + x2 * y2[c])
            sum2 = kind(_limit(exact2, low, high, wrap))
            sums[c] = sum2
            flags[c] |= (exact0 ^ sum0) | (exact1 ^ sum1) | (exact2 ^ sum2)
    count = 0
    for c in range(size):
        count += flags[c] != 0
    return count


@njit(cache=True)
def _add_leaf(sums: Any, scale: Any, scales: Any, index: Any, nodes: Any) -> None:
    """Leaf `index` of a tile: a balanced tree adds two nodes of a level as soon as both are there.

    `nodes[i]` is of level i: the sum of the latest `2^i` leaves of which no neighbour came yet.
    """
    level = 0
    while index >> level & 1:
        level += 1
    size = len(sums)
    node = nodes[level]
    if level == 0:
        for c in range(size):
            node[c] = sums[c] * (scale * scales[c])
        return
    first = nodes[0]
    for c in range(size):
        node[c] = first[c] + np.float32(sums[c] * (scale * scales[c]))
    for below in range(1, level):
        other = nodes[below]
        for c in range(size):
            node[c] = other[c] + node[c]


@njit(cache=True)
def _join(nodes: Any, count: Any, size: Any) -> Any:
    """Sum of a tile of `count` leaves: odd last nodes pass through to where they meet another."""
    level = 0
    while not count >> level & 1:
        level += 1
    total = nodes[level]
    for above in range(level + 1, len(nodes)):
        if count >> above & 1:
            other = nodes[above]
            for c in range(size):
                total[c] = other[c] + total[c]
    return total


@njit(cache=True)
def _set_grids(left_unit: Any, right_unit: Any, owners: Any, guard: Any, grids: Any) -> None:
    """`2^(low + guard_bits)`, where 2^-low is the largest unit of a tile; 1 for "exact"."""
    for r in range(len(grids)):
        for c in range(len(owners)):
            largest = 0.0
            for g in range(len(left_unit)):
                largest = max(largest, left_unit[g, r] * right_unit[g, owners[c]])
            grids[r, c] = guard / largest if guard else 1.0


@njit(cache=True)
def _add_term(sums: Any, scale: Any, scales: Any, guard: Any, grid: Any, total: Any) -> None:
    """Exact sum of terms or, for "aligned", of the floors of terms in units of the grid."""
    if guard:
        for c in range(len(sums)):
            total[c] += np.floor(sums[c] * (scale * scales[c]) * grid[c])
    else:
        for c in range(len(sums)):
            total[c] += sums[c] * (scale * scales[c])
