"""8-bit floating point as libraries train with it."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...golden.floats import MAX_GRID_BITS, float_values, to_float64
from ...golden.grid import largest_magnitude
from ...golden.lowering import Kind
from ...golden.quantize import Float32
from ...golden.spec import FP8_E4M3, FP8_E5M2, FloatFormat, parse_format
from .. import device
from ..config import LETTERS, Context
from .values import ValuesConfig, one_of


@dataclass(frozen=True, kw_only=True)
class Fp8Config(ValuesConfig):
    """FP8: W and A in E4M3, E in E5M2, each tensor scaled so that its largest magnitude becomes the
    format's largest number.

    Of the paper: both formats with their subnormals, rounding to nearest even, saturation. Of the
    libraries that followed: scales of the tensor at hand ("current", tensorwise), a float32 number
    `s = max / max|x|`; values are `fl(fp8(fl(x s)) / s)`. Not: scales of earlier steps ("delayed"),
    powers of two for scales, scales of rows or blocks (`BlockConfig`), sums of fewer bits than
    float32.

    Parameters:
        w, a, e: formats of up to 20 mantissa bits, or what `--format` takes: `e4m3`, `4,3`.
        scaling: "current" or "none", which saturates what is too large.
    Raises: TypeError, ValueError.
    Source: P. Micikevicius et al., "FP8 formats for deep learning", 2022 (arXiv 2209.05433).
    """

    w: FloatFormat | str = FP8_E4M3
    a: FloatFormat | str = FP8_E4M3
    e: FloatFormat | str = FP8_E5M2
    scaling: str = "current"

    def __post_init__(self) -> None:
        one_of("scaling", ("current", "none"), self.scaling)
        for letter in LETTERS:
            format = getattr(self, letter)
            if isinstance(format, str):
                format = parse_format(letter, FloatFormat, format)
                object.__setattr__(self, letter, format)
            if not isinstance(format, FloatFormat):
                raise TypeError(f"{letter} must be a FloatFormat, not {format!r}")
            if format.man_bits > MAX_GRID_BITS:
                rule = f"{letter} must have at most {MAX_GRID_BITS} mantissa bits"
                raise ValueError(f"{rule}, not {format}")

    def values(self, x: Float32, letter: str, kind: Kind, context: Context) -> Float32:
        """By `golden.from_float32`."""
        format: FloatFormat = getattr(self, letter)
        largest = np.float32(to_float64(format.max_code, format))
        scale = self._scale(largest_magnitude(x).item(), largest)
        scaled = x * scale
        np.clip(scaled, -largest, largest, out=scaled)
        values = float_values(scaled, format)
        values /= scale
        return values

    def on_device(self, x: Tensor, letter: str, kind: Kind, context: Context) -> Tensor:
        """By torch's operators, the same bits."""
        format: FloatFormat = getattr(self, letter)
        largest = np.float32(to_float64(format.max_code, format))
        scale = self._scale(x.abs().max().item(), largest)
        scaled = (x * float(scale)).clamp(-float(largest), float(largest))
        return device.float_values(scaled, format) / float(scale)

    def _scale(self, peak: float, largest: np.float32) -> np.float32:
        """s by the largest magnitude; 1 for a tensor of zeros, and finite."""
        if not np.isfinite(peak):
            raise ValueError("x must be finite, not infinite or NaN")
        if self.scaling == "none" or peak == 0:
            return np.float32(1)
        with np.errstate(over="ignore"):
            return np.minimum(largest / np.float32(peak), np.finfo(np.float32).max)
