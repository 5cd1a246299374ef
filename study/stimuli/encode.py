"""Captured tensors in a unit's number format."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...data import Layer
from ...golden.floats import from_float32, to_float64
from ...golden.integers import quantize_affine, quantize_symmetric
from ...golden.lns import decode as decode_lns
from ...golden.lns import encode as encode_lns
from ...golden.spec import FP32, ElementFormat, FloatFormat, IntFormat, LnsFormat, Rounding
from .coding import USUAL, Coding
from .own import Pairs

Format = ElementFormat | FloatFormat | IntFormat | LnsFormat
"""What tensors can be cast to."""


def pooled(layers: Iterable[Layer | Pairs]) -> list[np.ndarray]:
    """Every tensor in pool order: w, a, e of the first layer, then of the next."""
    return [tensor for layer in layers for tensor in layer.tensors().values()]


def encode_tensor(
    x: np.ndarray, format: Format, rng: np.random.Generator, coding: Coding = USUAL
) -> np.ndarray:
    """Codes (int64, x's shape) of a float32 tensor of rank 4.

    MLS elements: dynamic quantization by `coding` (its default: `<8,1>` scales, "nc" groups),
    stochastic rounding from `rng`.
    Floating point with fewer than 8 exponent bits: nearest even after the tensor is scaled by the
    power of two that brings max |x| as high as does not overflow (the usual amax scaling), which is
    exact but where float32 underflows, far below what `format` holds. With 8 exponent bits:
    unscaled. Integers: symmetric, nearest even, max |x| becomes the largest number.
    Logarithmic: nearest in the logarithm after max |x| became the largest code.
    Raises: TypeError for another format.
    """
    if isinstance(format, ElementFormat):
        return coding.quantized(x, format, Rounding.STOCHASTIC, rng)[0]
    if type(format) not in _ENCODERS:
        rule = " or ".join(kind.__name__ for kind in (ElementFormat, *_ENCODERS))
        raise TypeError(f"format must be of {rule}, not {format!r}")
    return _ENCODERS[type(format)](x, format)


def _encode_floats(x: np.ndarray, format: FloatFormat) -> np.ndarray:
    if format == FP32:
        return x.view(np.uint32).astype(np.int64)
    scaled = x if format.exp_bits == FP32.exp_bits else np.ldexp(x, amax_shift(x, format))
    return from_float32(scaled, format).astype(np.int64)


def _encode_integers(x: np.ndarray, format: IntFormat) -> np.ndarray:
    return quantize_symmetric(x, format)[0]


def _encode_logarithms(x: np.ndarray, format: LnsFormat) -> np.ndarray:
    return encode_lns(x, format)


_ENCODERS: dict[type, Callable[..., np.ndarray]] = {
    FloatFormat: _encode_floats,
    IntFormat: _encode_integers,
    LnsFormat: _encode_logarithms,
}


def amax_shift(x: np.ndarray, format: FloatFormat) -> int:
    """Largest k with `max|x| * 2^k` at most the largest finite value of `format`; 0 for all
    zeros.
    """
    amax_mantissa, amax_exp = np.frexp(np.abs(x).max())
    if amax_mantissa == 0:
        return 0
    top_mantissa = 0.5 + (format.max_code & ((1 << format.man_bits) - 1)) * 0.5 ** (
        format.man_bits + 1
    )
    return int(format.max_exp + 1 - amax_exp - (amax_mantissa > top_mantissa))


def nearest(
    x: np.ndarray, format: Format, coding: Coding = USUAL, *, affine: bool = False
) -> np.ndarray:
    """What a float32 tensor of rank 4 becomes, rounded to nearest, in float64; integers with zero
    points if `affine`. Else as `encode_tensor`.

    Raises: TypeError for another format.
    """
    rng = np.random.default_rng(0)  # unused: nothing is drawn
    if isinstance(format, ElementFormat):
        return coding.quantized(x, format, Rounding.NEAREST, rng)[1]
    if isinstance(format, IntFormat):
        codes, zero, step = quantize_affine(x, format) if affine else _symmetric(x, format)
        return (_signed(codes, format) - _signed(zero, format)) * step
    codes = encode_tensor(x, format, rng)
    if isinstance(format, FloatFormat):
        scaled = format.exp_bits != FP32.exp_bits
        return np.ldexp(to_float64(codes, format), -amax_shift(x, format) if scaled else 0)
    values = decode_lns(codes, format)
    return values * (np.abs(x).max() / np.abs(values).max() if values.any() else 0)


def _symmetric(x: np.ndarray, format: IntFormat) -> tuple[np.ndarray, int, float]:
    codes, step = quantize_symmetric(x, format)
    return codes, 0, step


def _signed(codes: Any, format: IntFormat) -> Any:
    """Numbers of codes in two's complement."""
    sign = format.max_code + 1
    return (codes ^ sign) - sign
