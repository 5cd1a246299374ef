"""OCP MX and NVFP4 as they lie in memory: presets, conversion to MLS operands and back, quantizing.

A block (elements that share a scale code) is an MLS group, so that whatever computes with MLS
operands computes with these. docs/formats.md lists the presets and what they cost.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .floats import check_codes, check_float32, to_float64
from .quantize import Float32, Float64, MlsTensor, element_fields, significand
from .rounding import rounding_words
from .spec import (
    FP8_E4M3,
    NVFP4_SCALE,
    RANDOM_BITS,
    BlockFormat,
    ElementCoding,
    Rounding,
    ScaleCoding,
    check_int,
    choice,
)

_E8M0_BIAS = 127
# The largest E4M3 numbers lie in [2^8, 2^9).
_E4M3_TOP_EXP = 8


def element_values(format: BlockFormat) -> Float64:
    """Value of each MLS code 0..`max_code`, ascending."""
    _, exp, man = element_fields(np.arange(format.max_code + 1), format.element)
    q = significand(exp, man, format.element).astype(np.float64)
    return np.ldexp(q * format.value_ratio, -format.element.fraction_bits)


@dataclass(frozen=True, eq=False)
class BlockTensor:
    """Encoded blocks along the last axis: `X = value(code) * value(scale code) * tensor_scale`.

    Members:
        codes: integers (..., size), each of `element.code_width` bits.
        scale_codes: integers (...), each a byte.
        tensor_scale: finite float32 >= 0; 1 for E8M0 scales.
        format: the block format.
    Raises: TypeError, ValueError.
    """

    codes: npt.NDArray[Any]
    scale_codes: npt.NDArray[Any]
    tensor_scale: np.float32
    format: BlockFormat

    def __post_init__(self) -> None:
        _check_format(self.format)
        check_codes("codes", self.codes, self.format.element.code_width)
        check_codes("scale_codes", self.scale_codes, 8)
        shape, size = np.shape(self.codes), self.format.size
        if shape[-1:] != (size,) or 0 in shape:
            raise ValueError(f"codes must be of shape (..., {size}) and not empty, not {shape!r}")
        if np.shape(self.scale_codes) != shape[:-1]:
            raise ValueError(
                f"scale_codes must be of shape {shape[:-1]!r}, not {np.shape(self.scale_codes)!r}"
            )
        if not isinstance(self.tensor_scale, np.float32):
            raise TypeError(f"tensor_scale must be a float32, not {self.tensor_scale!r}")
        if not 0 <= self.tensor_scale < np.inf:
            raise ValueError(f"tensor_scale must be finite and >= 0, not {self.tensor_scale!r}")
        if self.format.scale_coding is ScaleCoding.E8M0 and self.tensor_scale != 1:
            raise ValueError(f"tensor_scale must be 1 for E8M0 scales, not {self.tensor_scale!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the codes."""
        return np.shape(self.codes)

    def dequantize(self) -> Float64:
        """The exact values as float64, NaN where a code or its scale is; a zero keeps its sign."""
        format = self.format
        code, half = np.asarray(self.codes, np.int64), 1 << (format.element.code_width - 1)
        if format.element_coding is ElementCoding.INTEGER:
            signed = np.where(code >= half, code - 2 * half, code)
            values = np.ldexp(signed * format.value_ratio, -format.element.fraction_bits)
        else:
            numbers = np.append(element_values(format), np.nan)
            size = numbers[np.minimum(code % half, format.max_code + 1)]
            values = np.where(code >= half, -size, size)
        return values * self._scales()[..., None] * np.float64(self.tensor_scale)

    def _scales(self) -> Float64:
        codes = np.asarray(self.scale_codes, np.int64)
        if self.format.scale_coding is ScaleCoding.E4M3:
            return to_float64(codes, FP8_E4M3)
        return np.where(codes == 255, np.nan, np.ldexp(1.0, codes - _E8M0_BIAS))

    def to_mls(self) -> MlsTensor:
        """The same numbers as MLS operands, exactly; each block is a group.

        With `top` the largest scale's exponent (E8M0: of this tensor, as no constant fits both a
        float32 tensor scale and the product of two; E4M3: 8), `S_t = tensor_scale * value_ratio *
        2^top` and `S_g = 2^-top` times the block's scale. A block of scale +0 gets codes 0 (signs
        stay) and the smallest scale.

        Raises: ValueError, naming the place, for a NaN, a negative scale, the most negative
        integer; and where S_t is too large for float32.
        """
        format, scale = self.format, self.format.scale
        code = _to_mls_codes(np.asarray(self.codes, np.int64), format)
        index = np.asarray(self.scale_codes, np.int64)
        key, zero = _decode_scales(index, format)
        top = _E4M3_TOP_EXP if format.scale_coding is ScaleCoding.E4M3 else int(key.max())
        tensor_scale = float(self.tensor_scale) * format.value_ratio * 2.0**top
        if tensor_scale >= 2.0**128:
            place = _place(index == index.max())
            raise ValueError(
                f"S_t must be below 2^128, not {float(self.tensor_scale):g} * "
                f"{format.value_ratio:g} * 2^{top} (largest scale code {index.max()} at index "
                f"{place!r})"
            )
        sign, exp, man = element_fields(code, format.element)
        nonzero = ~zero[..., None]
        scale_exp = np.where(zero, scale.max_exp, top - (key >> scale.man_bits))
        return MlsTensor(
            sign=sign.astype(np.uint8),
            exp=(exp * nonzero).astype(np.uint8),
            man=(man * nonzero).astype(np.uint8),
            scale_exp=scale_exp[..., None].astype(np.uint8),
            scale_man=(key & ((1 << scale.man_bits) - 1))[..., None].astype(np.uint8),
            tensor_scale=np.float32(tensor_scale),
            element=format.element,
            scale=scale,
        )

    @classmethod
    def from_mls(cls, tensor: MlsTensor, format: BlockFormat) -> "BlockTensor":
        """The blocks that `to_mls` turns into these numbers, exactly.

        A block of zeros takes scale code 0 where its scale has no code. -0 is 0 in MXINT8.

        Parameters: `tensor`: groups of `format.size` along the last axis, with `format`'s element
        and scale formats.
        Raises: TypeError, ValueError, naming the place, where a scale or an element has no code,
        or the tensor scale none (E8M0 needs a power of two).
        """
        _check_format(format)
        _check_groups(tensor, format)
        magnitude = tensor.codes() & ((1 << (format.element.code_width - 1)) - 1)
        _refuse("element codes", magnitude, magnitude > format.max_code, "numbers")
        if format.element_coding is ElementCoding.INTEGER:
            signed = np.where(tensor.sign != 0, -magnitude, magnitude)
            codes = signed % (1 << format.element.code_width)
        else:
            codes = tensor.codes()
        tensor_scale, top = _split_tensor_scale(tensor.tensor_scale, format)

        keys, first = _scale_keys(format.scale_coding)
        bits = format.scale.man_bits
        key = ((top - tensor.scale_exp.astype(np.int64)) << bits) + tensor.scale_man
        index = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        absent = keys[index] != key
        used = magnitude.any(axis=-1, keepdims=True)
        _refuse(
            "scale_exp", tensor.scale_exp, absent & used, f"an {format.scale_coding.name} code's"
        )
        scale_codes = np.where(absent, 0, index + first)[..., 0]
        return cls(codes.astype(np.uint8), scale_codes.astype(np.uint8), tensor_scale, format)


def quantize_blocks(
    x: Float32,
    format: BlockFormat,
    *,
    rounding: Rounding | str = Rounding.NEAREST,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
    tensor_scale: np.float32 | None = None,
) -> BlockTensor:
    """Quantize by the rules of OCP (E8M0 scales) or NVIDIA (E4M3), not by those of MLS.

    E8M0: scale `2^max(floor(log2 max|x|) - floor(log2 V), -127)`, V the largest element; 2^-127
    for a block of zeros. E4M3: `tensor_scale = fl(max|X| / (448 V))`, the scale is the number
    nearest to `max|x| / (V tensor_scale)`. Elements: the number nearest to x over both scales. All
    nearest ones are those of the exact quotient, ties to even codes, larger ones saturate. The
    sign of an element that rounds to zero stays.

    Stochastic: between two neighbouring numbers, t is how far the exact quotient lies from the one
    nearer to zero, 0 to 1; it becomes the other one where `floor(t * 2^k) + R >= 2^k`, k =
    `random_bits`. Scales are those of nearest.

    Parameters:
        x: float32 (..., size), finite: `reshape` makes blocks of an axis.
        rounding, random_bits, rng, random: as `quantize` has them.
        tensor_scale: float32 >= 0, of E4M3 instead of x's own, as that of an earlier tensor.
    Raises: TypeError, ValueError.
    Source: OCP MX v1.0, section 6.3; arXiv 2509.25149 (there in float32 with its roundings); for
    stochastic rounding docs/numerics.md section 16.
    """
    _check_format(format)
    rule = choice("rounding", Rounding, rounding)
    check_int("random_bits", random_bits, 1, 16)
    check_float32(x)
    if x.shape[-1:] != (format.size,) or x.size == 0:
        raise ValueError(f"x must be of shape (..., {format.size}) and not empty, not {x.shape!r}")
    _refuse("x", x, ~np.isfinite(x), "finite")
    words = rounding_words(x.shape, rule, random_bits, rng, random)
    values = element_values(format)
    peak = np.abs(x).max(axis=-1).astype(np.float64)
    scale_codes, divisor, tensor_scale = _block_scales(peak, values[-1], format, tensor_scale)
    quotient = _divide(np.abs(x).astype(np.float64), divisor[..., None])
    if rule is Rounding.NEAREST:
        magnitude = _nearest(quotient, values)
    else:
        magnitude = _stochastic(quotient, values, words, random_bits)
    negative = np.signbit(x)
    if format.element_coding is ElementCoding.INTEGER:
        codes = np.where(negative, -magnitude, magnitude) % (1 << format.element.code_width)
    else:
        codes = negative.astype(np.int64) << (format.element.code_width - 1) | magnitude
    return BlockTensor(codes.astype(np.uint8), scale_codes.astype(np.uint8), tensor_scale, format)


def _block_scales(
    peak: Float64, largest: np.float64, format: BlockFormat, tensor_scale: np.float32 | None
) -> tuple[npt.NDArray[np.int64], Float64, np.float32]:
    """Scale code and value of both scales, of each block by its largest magnitude; the tensor's
    scale. `largest` is that of the elements.
    """
    if format.scale_coding is ScaleCoding.E8M0:
        if tensor_scale is not None:
            raise ValueError(f"tensor_scale must be None for E8M0 scales, not {tensor_scale!r}")
        exp = np.frexp(peak)[1].astype(np.int64) - np.frexp(largest)[1]
        exp = np.where(peak == 0, -_E8M0_BIAS, np.maximum(exp, -_E8M0_BIAS))
        return exp + _E8M0_BIAS, np.ldexp(1.0, exp), np.float32(1)
    numbers = to_float64(np.arange(FP8_E4M3.nan), FP8_E4M3)
    if tensor_scale is None:
        tensor_scale = np.float32(peak.max()) / np.float32(numbers[-1] * largest)
    elif not isinstance(tensor_scale, np.float32):
        raise TypeError(f"tensor_scale must be a float32, not {tensor_scale!r}")
    elif not 0 <= tensor_scale < np.inf:
        raise ValueError(f"tensor_scale must be finite and >= 0, not {tensor_scale!r}")
    own = np.float64(tensor_scale)
    scale_codes = _nearest(_divide(peak, largest * own), numbers)
    return scale_codes, numbers[scale_codes] * own, tensor_scale


def _check_format(format: BlockFormat) -> None:
    if not isinstance(format, BlockFormat):
        raise TypeError(f"format must be a BlockFormat, not {format!r}")


def _check_groups(tensor: MlsTensor, format: BlockFormat) -> None:
    if not isinstance(tensor, MlsTensor):
        raise TypeError(f"tensor must be an MlsTensor, not {tensor!r}")
    if (tensor.element, tensor.scale) != (format.element, format.scale):
        raise ValueError(
            f"tensor must have element {format.element} and scale {format.scale}, not "
            f"{tensor.element} and {tensor.scale}"
        )
    shape, scale_shape = tensor.shape, tensor.scale_exp.shape
    if shape[-1] != format.size or scale_shape != (*shape[:-1], 1):
        raise ValueError(
            f"tensor must have groups of {format.size} along its last axis, not shape {shape!r} "
            f"with scales {scale_shape!r}"
        )


def _to_mls_codes(codes: npt.NDArray[np.int64], format: BlockFormat) -> npt.NDArray[np.int64]:
    """MLS codes of a block format's element codes."""
    half = 1 << (format.element.code_width - 1)
    if format.element_coding is ElementCoding.INTEGER:
        _refuse("codes", codes, codes == half, f"a code other than {half}, which is -{half}")
        return np.where(codes > half, 3 * half - codes, codes)
    _refuse("codes", codes, codes % half > format.max_code, "numbers")
    return codes


def _scale_keys(coding: ScaleCoding) -> tuple[npt.NDArray[np.int64], int]:
    """`exponent << Mg | mantissa` of each positive scale `(1 + mantissa / 2^Mg) * 2^exponent` in
    the order of the codes, which is ascending, and the first one's code.
    """
    if coding is ScaleCoding.E8M0:
        return np.arange(255) - _E8M0_BIAS, 0
    fraction, exp = np.frexp(to_float64(np.arange(1, FP8_E4M3.nan), FP8_E4M3))
    hidden = 1 << NVFP4_SCALE.man_bits
    man = (fraction * 2 * hidden).astype(np.int64) - hidden
    return ((exp.astype(np.int64) - 1) << NVFP4_SCALE.man_bits) + man, 1


def _decode_scales(
    codes: npt.NDArray[np.int64], format: BlockFormat
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Keys of scale codes (0 for a zero scale), and which are zero."""
    keys, first = _scale_keys(format.scale_coding)
    _refuse("scale_codes", codes, codes >= first + len(keys), "numbers >= 0")
    zero = codes < first
    return np.where(zero, 0, keys[codes - first]), zero


def _split_tensor_scale(scale: np.float32, format: BlockFormat) -> tuple[np.float32, int]:
    """A tensor's own scale and `top`, such that the MLS one is `own * value_ratio * 2^top`."""
    if format.scale_coding is ScaleCoding.E8M0:
        fraction, exp = math.frexp(float(scale) / format.value_ratio)
        if fraction != 0.5:
            raise ValueError(f"tensor_scale must be a power of two for E8M0 scales, not {scale!r}")
        return np.float32(1), exp - 1
    own = float(scale) / (format.value_ratio * 2.0**_E4M3_TOP_EXP)
    if float(np.float32(own)) != own:
        raise ValueError(f"tensor_scale must stay a float32 number as {own!r}, not {scale!r}")
    return np.float32(own), _E4M3_TOP_EXP


def _divide(x: Float64, divisor: Float64 | np.float64) -> Float64:
    """`x / divisor`, 0 where the divisor is."""
    return np.divide(x, divisor, where=np.not_equal(divisor, 0), out=np.zeros_like(x))


def _nearest(x: Float64, values: Float64) -> npt.NDArray[np.int64]:
    """Index of the ascending value nearest to each x, ties to even indices, the last for larger x.

    A float64 quotient x of a float32 number by one of up to 28 bits rounds as the exact one: a
    boundary b has at most 8 bits, 5 for E4M3 (32 with the divisor of NVFP4; MX divides exactly), so
    an exact quotient other than b is at least `2^-32 b` away, or equal to it.
    """
    boundaries = (values[:-1] + values[1:]) / 2
    below = np.searchsorted(boundaries, x, side="left")
    above = np.searchsorted(boundaries, x, side="right")
    return np.where(below % 2, above, below)


def _stochastic(
    x: Float64, values: Float64, words: int | npt.NDArray[Any], random_bits: int
) -> npt.NDArray[np.int64]:
    """Index of one of the two ascending values around each x, the last for larger x.

    `floor(t * 2^k)` of a quotient x is that of the exact one: it changes at numbers of at most 19
    bits, so that by the argument of `_nearest` another exact quotient is `2^-47` of one away.
    """
    below = np.searchsorted(values, x, side="right") - 1
    gap = np.append(np.diff(values), np.inf)[below]
    # Exact: a value that is not zero is at least half of the next one.
    t = ((x - values[below]) / gap * (1 << random_bits)).astype(np.int64)
    return below + (t + words >= 1 << random_bits)


def _refuse(name: str, array: npt.NDArray[Any], bad: npt.NDArray[np.bool_], rule: str) -> None:
    """ValueError with the first bad entry and its index, if there is one."""
    if bad.any():
        index = _place(bad)
        raise ValueError(f"{name} must be {rule}, not {array[index].item()!r} at index {index!r}")


def _place(where: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(axis[0]) for axis in np.nonzero(where))
