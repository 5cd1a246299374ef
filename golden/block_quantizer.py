"""The ports of the block quantizer, beat by beat (docs/numerics.md section 16)."""

import numpy as np

from ..support.words import Codes
from .blocks import quantize_blocks
from .spec import FP8_E4M3, FP32, BlockFormat, Rounding, ScaleCoding

E8M0_NAN = 255
_MAGNITUDE = (1 << (FP32.code_width - 1)) - 1


def block_quantizer(
    x: Codes,
    start: Codes,
    tensor_scale: Codes | None,
    words: Codes | None,
    *,
    format: BlockFormat,
    random_bits: int,
) -> dict[str, Codes]:
    """Codes and scale code of every beat, by `quantize_blocks` alone.

    `x` (T, lanes): float32 codes, whole blocks; `start` (T,): at first beats of blocks alone, the
    first step is one; `tensor_scale` (T,): float32 magnitudes, of E4M3 scales, read with a block's
    last beat, else None; `words` (T, lanes): R, None for nearest. A block with a number that is not
    finite, or with such a tensor scale, has the scale code NaN and codes 0.
    Raises: ValueError.
    """
    lanes = x.shape[1]
    beats = format.size // lanes
    if len(x) % beats:
        raise ValueError(f"x must be whole blocks of {beats} beats, not {len(x)} beats")
    wrong = np.flatnonzero(start)
    wrong = wrong[wrong % beats != 0]
    if len(wrong):
        raise ValueError(f"start must be 1 at first beats of blocks alone, not at {wrong[0]}")
    blocks = x.reshape(-1, format.size)
    nan = (blocks & _MAGNITUDE).max(axis=1) >= FP32.infinity
    scales = np.zeros(len(blocks), np.int64) if tensor_scale is None else tensor_scale[::beats]
    nan |= scales >= FP32.infinity
    numbers = np.where(nan[:, np.newaxis], 0, blocks).astype(np.uint32).view(np.float32)
    random = None if words is None else words.reshape(blocks.shape)
    codes, scale_code = np.zeros_like(blocks), np.zeros(len(blocks), np.int64)
    for scale in np.unique(scales[~nan]):
        own = (scales == scale) & ~nan
        found = quantize_blocks(
            numbers[own],
            format,
            rounding=Rounding.NEAREST if random is None else Rounding.STOCHASTIC,
            random_bits=random_bits,
            random=None if random is None else random[own],
            tensor_scale=None if tensor_scale is None else _float32(scale),
        )
        codes[own], scale_code[own] = found.codes, found.scale_codes
    is_e8m0 = format.scale_coding is ScaleCoding.E8M0
    scale_code[nan] = E8M0_NAN if is_e8m0 else FP8_E4M3.nan
    return {"codes": codes.reshape(x.shape), "scale_code": np.repeat(scale_code, beats)}


def _float32(code: int) -> np.float32:
    return np.uint32(code).view(np.float32)
