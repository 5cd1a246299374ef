"""Blocks of elements in a number format, by the rules of whose scale it is."""

from dataclasses import dataclass

import numpy as np

from ...golden.blocks import BlockFormat, ElementCoding, ScaleCoding, quantize_blocks
from ...golden.quantize import quantize
from ...golden.spec import (
    MXFP8_E4M3,
    NVFP4_SCALE,
    SCALE_E8M0,
    ElementFormat,
    Rounding,
    ScaleFormat,
)
from ...support.words import Codes

_SCALES = {SCALE_E8M0: ScaleCoding.E8M0, NVFP4_SCALE: ScaleCoding.E4M3}
"""Scales whose blocks have rules of their own."""


@dataclass(frozen=True, eq=False)
class Coded:
    """Blocks in a format: element codes (blocks, size), scale codes (blocks,), and the float64
    values that both stand for, the tensor's scale included.
    """

    codes: Codes
    scales: Codes
    values: np.ndarray


def encode_blocks(
    x: np.ndarray,
    largest: np.float32,
    format: ElementFormat,
    scale: ScaleFormat,
    rounding: Rounding,
    rng: np.random.Generator,
) -> Coded:
    """Rows of `x` (float32), each a block of a tensor of that `largest` magnitude: by the rules of
    OCP and NVIDIA where the scale is theirs, which round to nearest, else by those of MLS.
    """
    # The tensor's largest element decides its scales: it is a block more.
    more = np.zeros((1, x.shape[1]), np.float32)
    more[0, 0] = largest
    x = np.concatenate([x, more])
    if scale in _SCALES:
        whole = quantize_blocks(x, block_format(format, scale, x.shape[1])).to_mls()
    else:
        whole = quantize(x[:, np.newaxis], format, scale, rounding=rounding, rng=rng)
    codes, values = (y.reshape(x.shape)[:-1] for y in (whole.codes(), whole.dequantize()))
    return Coded(codes.astype(np.int64), whole.scale_codes().astype(np.int64).ravel()[:-1], values)


def block_format(element: ElementFormat, scale: ScaleFormat, size: int) -> BlockFormat:
    """The format of OCP's or NVIDIA's rules with that element, scale and size."""
    coding = ElementCoding.NUMBERS if element.exp_bits else ElementCoding.INTEGER
    if element == MXFP8_E4M3:
        coding = ElementCoding.NAN
    return BlockFormat(
        element=element, size=size, scale_coding=_SCALES[scale], element_coding=coding
    )
