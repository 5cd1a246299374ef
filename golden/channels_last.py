"""Values of tensors whose channels lie side by side in memory (n, h, w, c), as PyTorch convolves
fastest on a CPU: `compiled_codes.py` for groups that are columns, the same bits.
"""

from typing import Any

import numpy as np
from numba import njit

from .compiled_codes import (
    floors_of,
    rounding_rules,
    row_factors,
    scale_codes,
    taken,
    to_values,
    value_rule,
)
from .group_codes import Coding, Float32, RowScales
from .rounding import WordSource

__all__ = ["row_peaks", "scale_codes", "values"]

# Elements worked on at a time, measured: about as many, a multiple of the channels.
_BLOCK = 512
# Elements between two looks at the source of random words.
_PIECE = 1 << 17


def row_peaks(samples: Float32) -> Float32:
    """Largest magnitude of each column of each sample (N, P, C): (N, C); ordered by bits."""
    peaks = np.zeros((samples.shape[0], samples.shape[2]), np.uint32)
    _column_peaks(samples.view(np.uint32), peaks)
    return peaks.view(np.float32)


@njit(cache=True)
def _column_peaks(bits: Any, peaks: Any) -> None:
    for n in range(len(bits)):
        own = peaks[n]
        for p in range(bits.shape[1]):
            row = bits[n, p]
            for c in range(len(row)):
                magnitude = np.uint32(row[c] & np.uint32(0x7FFFFFFF))
                own[c] = np.uint32(max(own[c], magnitude))


def values(
    samples: Float32, scales: RowScales, words: WordSource, coding: Coding, out: Float32
) -> None:
    """The codes' values in `out`, (N, P, C); `scales` of all columns, (N * C,)."""
    count, _, columns = samples.shape
    size = samples[0].size
    factors = [factor.reshape(count, columns) for factor in row_factors(scales)]
    rules = (*rounding_rules(coding), value_rule(coding))
    block = -(-_BLOCK // columns) * columns
    step = max(_PIECE // size, 1)
    for begin in range(0, count, step):
        part = slice(begin, begin + step)
        tile = samples[part].reshape(-1, size)
        word = taken(words, tile.size).reshape(tile.shape)
        own = (factor[part] for factor in factors)
        _column_values(tile, word, block, *own, *rules, out[part].reshape(-1, size))


@njit(cache=True)
def _column_values(
    x: Any,
    words: Any,
    block: Any,
    reciprocal: Any,
    first: Any,
    second: Any,
    floor_rule: Any,
    round_rule: Any,
    value_rule: Any,
    out: Any,
) -> None:
    floors = np.empty(block, np.uint32)
    factor = np.empty(block)
    pair = np.empty((2, block), np.float32)
    columns = reciprocal.shape[1]
    for n in range(len(x)):
        for i in range(0, block, columns):
            factor[i : i + columns] = reciprocal[n]
            pair[0, i : i + columns] = first[n]
            pair[1, i : i + columns] = second[n]
        for start in range(0, x.shape[1], block):
            span = slice(start, min(start + block, x.shape[1]))
            floors_of(x[n, span], factor, *floor_rule, floors)
            own = x[n, span], floors, words[n, span], pair[0], pair[1]
            to_values(*own, *round_rule, *value_rule, out[n, span])
