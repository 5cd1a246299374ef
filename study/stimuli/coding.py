"""How tensors become MLS elements: which elements share a scale, and what the scale is."""

from dataclasses import dataclass

import numpy as np

from ...golden.blocks import BlockFormat, ElementCoding, ScaleCoding, quantize_blocks
from ...golden.quantize import Grouping, MlsTensor, quantize
from ...golden.spec import (
    MXFP8_E4M3,
    NVFP4_SCALE,
    SCALE_E8M0,
    SCALE_E8M1,
    ElementFormat,
    Rounding,
    ScaleFormat,
    parse_format,
    written,
)
from ...support.words import Codes

MAX_BLOCK = 4096
"""Elements of a block."""

Group = Grouping | int
"""What shares a scale: a group of the MLS paper, or so many elements in a row, as blocks of MX and
NVFP4 lie.
"""

_SCALES = {SCALE_E8M0: ScaleCoding.E8M0, NVFP4_SCALE: ScaleCoding.E4M3}
"""Scales whose blocks have rules of their own."""

_BLOCK = "block"


@dataclass(frozen=True)
class Coding:
    """Elements that share a scale, by `Grouping` or so many in a row, channels last; the scale."""

    group: Group = Grouping.NC
    scale: ScaleFormat = SCALE_E8M1

    @classmethod
    def read(cls, group: str, scale: str) -> "Coding":
        """From what a user writes: nc, n, c, none or block:16; E,M or a preset.

        Raises: ValueError.
        """
        kind, _, size = group.partition(":")
        format = parse_format("scale", ScaleFormat, scale)
        known = [member.value for member in Grouping]
        if group in known:
            return cls(Grouping(group), format)
        if kind != _BLOCK or not size.isdecimal():
            rule = f"{', '.join(known)} or {_BLOCK}:SIZE"
            raise ValueError(f"group must be {rule}, not {group!r}")
        if not 1 <= int(size) <= MAX_BLOCK:
            raise ValueError(f"group block:SIZE must have a size in 1..{MAX_BLOCK}, not {size}")
        return cls(int(size), format)

    def written(self) -> dict[str, str]:
        """As `read` takes it."""
        own = self.group
        group = own.value if isinstance(own, Grouping) else f"{_BLOCK}:{own}"
        return {"group": group, "scale": written(self.scale)}

    def quantized(
        self, x: np.ndarray, element: ElementFormat, rounding: Rounding, rng: np.random.Generator
    ) -> tuple[Codes, np.ndarray]:
        """Codes (int64) and float64 values of a tensor of rank 4, both in its shape.

        Blocks follow the rules of OCP and NVIDIA where the scale is theirs: they round to nearest.
        Raises: what `quantize` and `quantize_blocks` raise.
        """
        if isinstance(self.group, Grouping):
            whole = quantize(x, element, self.scale, group=self.group, rounding=rounding, rng=rng)
            return whole.codes().astype(np.int64), whole.dequantize()
        last = np.moveaxis(x, 1, -1)
        padded = np.append(last.ravel(), np.zeros(-x.size % self.group, np.float32))
        whole = quantize_rows(padded.reshape(-1, self.group), element, self.scale, rounding, rng)
        codes, values = (
            np.moveaxis(part.ravel()[: x.size].reshape(last.shape), -1, 1)
            for part in (whole.codes(), whole.dequantize())
        )
        return codes.astype(np.int64), values


USUAL = Coding()
"""That of the paper: groups "nc", `<8,1>` scales."""


def quantize_rows(
    x: np.ndarray,
    element: ElementFormat,
    scale: ScaleFormat,
    rounding: Rounding,
    rng: np.random.Generator,
) -> MlsTensor:
    """Rows (blocks, size), each a group: by the rules of OCP and NVIDIA where the scale is theirs,
    else by those of MLS.
    """
    if scale in _SCALES:
        return quantize_blocks(x, block_format(element, scale, x.shape[1])).to_mls()
    return quantize(x[:, np.newaxis], element, scale, rounding=rounding, rng=rng)


def block_format(element: ElementFormat, scale: ScaleFormat, size: int) -> BlockFormat:
    """The format of OCP's or NVIDIA's rules with that element, scale and size."""
    coding = ElementCoding.NUMBERS if element.exp_bits else ElementCoding.INTEGER
    if element == MXFP8_E4M3:
        coding = ElementCoding.NAN
    return BlockFormat(
        element=element, size=size, scale_coding=_SCALES[scale], element_coding=coding
    )


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
    """Rows of `x` (float32), each a block of a tensor of that `largest` magnitude."""
    # The tensor's largest element decides its scales: it is a block more.
    more = np.zeros((1, x.shape[1]), np.float32)
    more[0, 0] = largest
    x = np.concatenate([x, more])
    whole = quantize_rows(x, format, scale, rounding, rng)
    codes, values = (y.reshape(x.shape)[:-1] for y in (whole.codes(), whole.dequantize()))
    return Coded(codes.astype(np.int64), whole.scale_codes().astype(np.int64).ravel()[:-1], values)
