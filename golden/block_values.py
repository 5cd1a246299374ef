"""Blocks of OCP MX and NVFP4 as values: `quantize_blocks` and `dequantize` in one, along any axis,
for training; the same numbers without codes, an order of magnitude faster.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import block_scales, check_format, element_values, tensor_scale_of
from .floats import check_float32
from .grid import Floats, largest_magnitude, round_nearest, round_stochastic, working
from .quantize import Float32, Float64
from .rounding import rounding_words
from .spec import FP8_E4M3, RANDOM_BITS, BlockFormat, Rounding, ScaleCoding, check_int, choice

# Elements worked on at a time: their temporaries stay in the second-level cache.
_TILE = 1 << 16


def block_values(
    x: Float32,
    format: BlockFormat,
    *,
    axis: int = -1,
    rounding: Rounding | str = Rounding.NEAREST,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
    tensor_scale: np.float32 | None = None,
) -> Float32:
    """Values of `quantize_blocks(...).dequantize()` in float32, of blocks along `axis`; an
    incomplete last block is filled up with zeros.

    Parameters: as of `quantize_blocks`; `x`: of any shape that is not empty; `random`: words in x's
    shape.
    Raises: TypeError, ValueError.
    """
    check_format(format)
    rule = choice("rounding", Rounding, rounding)
    check_int("random_bits", random_bits, 1, 16)
    check_float32(x)
    if x.size == 0 or not -x.ndim <= axis < x.ndim:
        raise ValueError(f"x must have elements along axis {axis!r}, not shape {x.shape!r}")
    words: Any = rounding_words(x.shape, rule, random_bits, rng, random)
    axis %= x.ndim
    blocks = _blocks(x, axis, format.size)
    peak = largest_magnitude(blocks, axis=2)
    if not np.isfinite(peak).all():
        raise ValueError("x must be finite, not infinite or NaN")
    values = element_values(format)
    scale = _scales(peak.astype(np.float64), values[-1], format, tensor_scale)
    if rule is Rounding.STOCHASTIC:
        words = _blocks(words, axis, format.size)
    result = np.empty_like(blocks)
    for tile in _tiles(blocks.shape):
        part = words[tile] if rule is Rounding.STOCHASTIC else None
        result[tile] = _values(blocks[tile], peak[tile], scale[tile], format, part, random_bits)
    shape = (*x.shape[:axis], -1, *x.shape[axis + 1 :])
    inside = (slice(None),) * axis + (slice(x.shape[axis]),)
    return np.ascontiguousarray(result.reshape(shape)[inside])


def _scales(
    peak: Float64, largest: np.float64, format: BlockFormat, tensor_scale: np.float32 | None
) -> Float64:
    """What `block_scales` has for the scales of both levels together, without codes."""
    if format.scale_coding is ScaleCoding.E8M0:
        return block_scales(peak, largest, format, tensor_scale)[1]
    own = np.float64(tensor_scale_of(float(peak.max()), largest, tensor_scale))
    if own == 0:
        return np.zeros_like(peak)
    scale = round_nearest(peak / (largest * own), 2.0**FP8_E4M3.min_exp, FP8_E4M3.man_bits)
    return np.minimum(scale, 448.0) * own


def _values(
    x: Float32, peak: Float32, scale: Float64, format: BlockFormat, words: Any, random_bits: int
) -> Floats:
    """Values of a tile; `words` None: nearest."""
    values, factor = element_values(format), None
    # The elements: numbers of so many mantissa bits, normal from `lowest` on, up to `largest`.
    man_bits = format.element.man_bits - (format.element.exp_bits == 0)
    lowest, largest = values[1] * 2.0**man_bits, values[-1]
    if format.scale_coding is ScaleCoding.E8M0:
        # A power of two: instead of dividing x by it, the elements are taken times it.
        numbers, lowest, largest = working(x, peak), lowest * scale, largest * scale
    else:
        numbers, factor = x / np.where(scale == 0, np.inf, scale), scale
    if words is None:
        result = round_nearest(numbers, lowest, man_bits)
    else:
        result = round_stochastic(numbers, lowest, man_bits, words, random_bits)
    limit: Any = np.asarray(largest, result.dtype)
    np.minimum(result, limit, out=result)
    np.maximum(result, -limit, out=result)
    if factor is not None:
        result *= factor
    if format.element.exp_bits == 0:
        result += 0.0  # -0 is 0 in two's complement
    return result


def _blocks(x: npt.NDArray[Any], axis: int, size: int) -> npt.NDArray[Any]:
    """(before, blocks, elements, behind): `axis` as two. One that is shorter than a block is a
    block, as zeros behind it change nothing.
    """
    length = x.shape[axis]
    size = min(size, length)
    if missing := -length % size:
        x = np.pad(x, [(0, missing if i == axis else 0) for i in range(x.ndim)])
    return x.reshape(math.prod(x.shape[:axis]), -1, size, math.prod(x.shape[axis + 1 :]))


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Slices of whole blocks of about `_TILE` elements, along the longer one of the outer axes."""
    place = 0 if shape[0] >= shape[3] else 3
    step = max(1, _TILE * shape[place] // math.prod(shape))
    for begin in range(0, shape[place], step):
        yield (slice(None),) * place + (slice(begin, begin + step),)
