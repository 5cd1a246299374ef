"""OCP MX and NVFP4 as they lie in memory: presets, conversion to MLS operands and back, quantizing.

A block (elements that share a scale code) is an MLS group, so that whatever computes with MLS
operands computes with these. docs/formats.md lists the presets and what they cost.
"""

import enum
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .floats import check_codes, check_float32, to_float64
from .quantize import Float32, Float64, MlsTensor, element_fields, significand
from .spec import (
    FP8_E4M3,
    MXFP4_E2M1,
    MXFP6_E2M3,
    MXFP6_E3M2,
    MXFP8_E4M3,
    MXINT8,
    NVFP4_E2M1,
    NVFP4_SCALE,
    SCALE_E8M0,
    ElementFormat,
    ScaleFormat,
    check_int,
    min_acc_width,
)

_E8M0_BIAS = 127
# The largest E4M3 numbers lie in [2^8, 2^9).
_E4M3_TOP_EXP = 8


def ocp_value_ratio(element: ElementFormat) -> float:
    """OCP MX value of a code divided by its MLS value: 2^(1 - bias - M + fraction_bits), bias
    2^(E-1) - 1.

    OCP reads exponent field e >= 1 as (1 + m/2^M) * 2^(e - bias), MLS as (2^M + m) * 2^(e - 1 -
    fraction_bits); their subnormals follow suit. Raises: ValueError for E = 0, which OCP has no
    float element of.
    """
    if element.exp_bits == 0:
        raise ValueError(f"element must have exponent bits, not {element}")
    bias = (1 << (element.exp_bits - 1)) - 1
    return math.ldexp(1.0, 1 - bias - element.man_bits + element.fraction_bits)


class ElementCoding(enum.Enum):
    """How an element's code differs from its MLS code {sign, exp, man}."""

    NUMBERS = "numbers"
    """Not at all."""

    NAN = "nan"
    """All ones below the sign are NaN, as in OCP E4M3, and no MLS code."""

    INTEGER = "integer"
    """Two's complement, value `code * 2^-(M-1)`; the most negative code has no MLS code."""


class ScaleCoding(enum.Enum):
    """What a block's scale byte means."""

    E8M0 = "e8m0"
    """`2^(code - 127)`; 255 is NaN. There is no tensor scale."""

    E4M3 = "e4m3"
    """An FP8 E4M3 number that is positive or +0, times the float32 tensor scale."""


_SCALES = {ScaleCoding.E8M0: SCALE_E8M0, ScaleCoding.E4M3: NVFP4_SCALE}


@dataclass(frozen=True, kw_only=True)
class BlockFormat:
    """`size` elements with one scale code: `X = value(code) * value(scale code) * tensor scale`.

    Parameters: `element`: at most 8 bits; `size`: 1..2^15; `scale_coding`; `element_coding`:
    INTEGER for elements without exponent bits and only for those.
    Raises: TypeError, ValueError.
    Source: OCP Microscaling Formats (MX) v1.0; arXiv 2509.25149 for NVFP4.
    """

    element: ElementFormat
    size: int
    scale_coding: ScaleCoding
    element_coding: ElementCoding = ElementCoding.NUMBERS

    def __post_init__(self) -> None:
        for name, kind, value in (
            ("element", ElementFormat, self.element),
            ("scale_coding", ScaleCoding, self.scale_coding),
            ("element_coding", ElementCoding, self.element_coding),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{name} must be of type {kind.__name__}, not {value!r}")
        check_int("size", self.size, 1, 1 << 15)
        if self.element.code_width > 8:
            raise ValueError(f"element must be of at most 8 bits, not {self.element}")
        if (self.element_coding is ElementCoding.INTEGER) != (self.element.exp_bits == 0):
            raise ValueError(
                f"element_coding must be INTEGER for elements without exponent bits and only for "
                f"them, not {self.element_coding} for {self.element}"
            )

    @property
    def scale(self) -> ScaleFormat:
        """The MLS group scale with every value that a scale code has."""
        return _SCALES[self.scale_coding]

    @property
    def value_ratio(self) -> float:
        """Value of an element code over that of its MLS code, a power of two."""
        if self.element_coding is ElementCoding.INTEGER:
            return 2.0
        return ocp_value_ratio(self.element)

    @property
    def max_code(self) -> int:
        """Largest MLS code (sign 0) that is an element."""
        largest = (1 << (self.element.code_width - 1)) - 1
        return largest - (self.element_coding is ElementCoding.NAN)

    @property
    def acc_width(self) -> int:
        """Smallest accumulator width in bits that is proven to hold a block's products."""
        return min_acc_width(self.element, self.size)

    def values(self) -> Float64:
        """Value of each MLS code 0..`max_code`, ascending."""
        _, exp, man = element_fields(np.arange(self.max_code + 1), self.element)
        q = significand(exp, man, self.element).astype(np.float64)
        return np.ldexp(q * self.value_ratio, -self.element.fraction_bits)


BLOCK_PRESETS = {
    "mxfp4": BlockFormat(element=MXFP4_E2M1, size=32, scale_coding=ScaleCoding.E8M0),
    "mxfp6_e2m3": BlockFormat(element=MXFP6_E2M3, size=32, scale_coding=ScaleCoding.E8M0),
    "mxfp6_e3m2": BlockFormat(element=MXFP6_E3M2, size=32, scale_coding=ScaleCoding.E8M0),
    "mxfp8_e4m3": BlockFormat(
        element=MXFP8_E4M3,
        size=32,
        scale_coding=ScaleCoding.E8M0,
        element_coding=ElementCoding.NAN,
    ),
    "mxint8": BlockFormat(
        element=MXINT8,
        size=32,
        scale_coding=ScaleCoding.E8M0,
        element_coding=ElementCoding.INTEGER,
    ),
    "nvfp4": BlockFormat(element=NVFP4_E2M1, size=16, scale_coding=ScaleCoding.E4M3),
}


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


def quantize_blocks(x: Float32, format: BlockFormat) -> BlockTensor:
    """Quantize by the rules of OCP (E8M0 scales) or NVIDIA (E4M3), not by those of MLS.

    E8M0: scale `2^max(floor(log2 max|x|) - floor(log2 V), -127)`, V the largest element; 2^-127
    for a block of zeros. E4M3: `tensor_scale = fl(max|X| / (448 V))`, the scale is the number
    nearest to `max|x| / (V tensor_scale)`. Elements: the number nearest to x over both scales. All
    nearest ones are those of the exact quotient, ties to even codes, larger ones saturate. The
    sign of an element that rounds to zero stays.

    Parameters: `x`: float32 (..., size), finite: `reshape` makes blocks of an axis.
    Raises: TypeError, ValueError.
    Source: OCP MX v1.0, section 6.3; arXiv 2509.25149 (there in float32 with its roundings).
    """
    _check_format(format)
    check_float32(x)
    if x.shape[-1:] != (format.size,) or x.size == 0:
        raise ValueError(f"x must be of shape (..., {format.size}) and not empty, not {x.shape!r}")
    _refuse("x", x, ~np.isfinite(x), "finite")
    values = format.values()
    peak = np.abs(x).max(axis=-1).astype(np.float64)
    if format.scale_coding is ScaleCoding.E8M0:
        tensor_scale = np.float32(1)
        exp = np.frexp(peak)[1] - np.frexp(values[-1])[1]
        exp = np.where(peak == 0, -_E8M0_BIAS, np.maximum(exp, -_E8M0_BIAS))
        scale_codes = exp + _E8M0_BIAS
        divisor = np.ldexp(1.0, exp)
    else:
        numbers = to_float64(np.arange(FP8_E4M3.nan), FP8_E4M3)
        tensor_scale = np.float32(peak.max()) / np.float32(numbers[-1] * values[-1])
        step = values[-1] * np.float64(tensor_scale)
        scale_codes = _nearest(_divide(peak, step), numbers)
        divisor = numbers[scale_codes] * np.float64(tensor_scale)
    magnitude = _nearest(_divide(np.abs(x).astype(np.float64), divisor[..., None]), values)
    negative = np.signbit(x)
    if format.element_coding is ElementCoding.INTEGER:
        codes = np.where(negative, -magnitude, magnitude) % (1 << format.element.code_width)
    else:
        codes = negative.astype(np.int64) << (format.element.code_width - 1) | magnitude
    return BlockTensor(codes.astype(np.uint8), scale_codes.astype(np.uint8), tensor_scale, format)


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


def _refuse(name: str, array: npt.NDArray[Any], bad: npt.NDArray[np.bool_], rule: str) -> None:
    """ValueError with the first bad entry and its index, if there is one."""
    if bad.any():
        index = _place(bad)
        raise ValueError(f"{name} must be {rule}, not {array[index].item()!r} at index {index!r}")


def _place(where: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(axis[0]) for axis in np.nonzero(where))
