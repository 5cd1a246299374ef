"""Dynamic quantization of float32 tensors to MLS elements with group scales (docs/numerics.md 3).

Checks, groups and results; the arithmetic is that of `group_codes.py`, or, with numba, of
`compiled_codes.py`.
"""

import enum
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import group_codes
from .floats import check_float32
from .group_codes import (
    Coding,
    Float32,
    Float64,
    Integers,
    Octets,
    RowScales,
    multiplies,
    scale_value,
)
from .rounding import WordSource, word_source
from .spec import RANDOM_BITS, Carry, ElementFormat, Rounding, ScaleFormat, check_int, choice

# (n, c, h, w) to (n, h, w, c) and back.
_LAST, _FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


class Grouping(enum.Enum):
    """Which elements share a group scale."""

    NC = "nc"
    """One group for each pair of indices of dimensions 0 and 1."""

    N = "n"
    """One group for each index of dimension 0."""

    C = "c"
    """One group for each index of dimension 1."""

    NONE = "none"
    """The whole tensor is one group."""


def element_fields(
    codes: npt.NDArray[np.int64], element: ElementFormat
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sign, exponent field and mantissa field of packed codes."""
    man = codes & ((1 << element.man_bits) - 1)
    exp = (codes >> element.man_bits) & ((1 << element.exp_bits) - 1)
    return codes >> (element.code_width - 1), exp, man


def significand(exp: Integers, man: Integers, element: ElementFormat) -> npt.NDArray[np.int64]:
    """Integer significand `q = man` where `exp == 0`, else `(2^M + man) << (exp - 1)`; int64."""
    field = exp.astype(np.int64)
    hidden = (field > 0).astype(np.int64) << element.man_bits
    return (hidden + man) << np.maximum(field - 1, 0)


@dataclass(frozen=True, eq=False)
class MlsTensor:
    """MLS elements: `X = (-1)^sign * q * 2^-F * S_g * S_t`, where F is `element.fraction_bits`.

    Members:
        sign, exp, man: fields of the codes, x's shape; uint8 (`man` uint16 from 9 bits).
        scale_exp, scale_man: uint8, x's rank, broadcast against x;
            `S_g = (1 + scale_man / 2^Mg) * 2^-scale_exp`.
        tensor_scale: float32 S_t.
        element, scale: the formats.
    Source: docs/numerics.md sections 1 and 2.
    """

    sign: npt.NDArray[np.uint8]
    exp: npt.NDArray[np.uint8]
    man: npt.NDArray[np.unsignedinteger]
    scale_exp: npt.NDArray[np.uint8]
    scale_man: npt.NDArray[np.uint8]
    tensor_scale: np.float32
    element: ElementFormat
    scale: ScaleFormat

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the quantized tensor."""
        return self.sign.shape

    def significand(self) -> npt.NDArray[np.int32] | npt.NDArray[np.int64]:
        """Magnitude `q` in units of `2^-F`, without the sign; int32 (int64 where q is wider)."""
        man_bits = self.element.man_bits
        fields = np.arange(1 << (self.element.code_width - 1))
        q = significand(fields >> man_bits, fields & ((1 << man_bits) - 1), self.element)
        table = q.astype(np.int32) if self.element.significand_width <= 31 else q
        return table[self.exp.astype(np.uint16) << man_bits | self.man]

    def signed_significand(self) -> npt.NDArray[np.int32] | npt.NDArray[np.int64]:
        """`(-1)^sign * q` in units of `2^-F`: the integer that multiplier and accumulator see."""
        q = self.significand()
        return np.where(self.sign != 0, -q, q)

    def codes(self) -> npt.NDArray[np.int32]:
        """Packed codes `{sign, exp, man}`, int32, of `element.code_width` bits."""
        man_bits, exp_bits = self.element.man_bits, self.element.exp_bits
        fields = self.sign.astype(np.int32) << exp_bits | self.exp
        return fields << man_bits | self.man

    def scale_codes(self) -> npt.NDArray[np.int32]:
        """Packed group scale codes `{exp, man}`, int32, of `scale.code_width` bits, in the shape of
        `scale_exp`.
        """
        return self.scale_exp.astype(np.int32) << self.scale.man_bits | self.scale_man

    def group_scale(self) -> Float64:
        """`S_g`, exact in float64, in the shape of `scale_exp`."""
        return scale_value(self.scale_exp, self.scale_man, self.scale)

    def dequantize(self) -> Float64:
        """The exact values as float64; a zero keeps its sign.

        Exact: the significands of q, S_g and S_t have at most 11, 4 and 24 bits, 39 in all, and the
        exponent stays above -149 - 255 - 41.
        """
        steps = self.group_scale() * np.ldexp(
            np.float64(self.tensor_scale), -self.element.fraction_bits
        )
        value = self.significand() * steps
        return np.where(self.sign != 0, -value, value)


def quantize(
    x: Float32,
    element: ElementFormat,
    scale: ScaleFormat,
    *,
    group: Grouping | str = Grouping.NC,
    rounding: Rounding | str = Rounding.STOCHASTIC,
    carry: Carry | str = Carry.CLIP,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
    tensor_scale: np.float32 | None = None,
) -> MlsTensor:
    """Quantize `x` to `element` codes with one `scale` per group and one float32 per tensor.

    `S_r = max|x|` by group, `S_t = max S_r`, `S_g` = smallest grid value >= S_r / S_t (the smallest
    of all where the ratio is below the grid); `t = |x| / (S_g * S_t) / 2^(Exp - M)` with Exp the
    element's binade; the mantissa is `(floor(t * 2^k) + R) >> k`, clipped or carried. Every step is
    exact. An all-zero tensor has `S_t = 0` and codes 0. The sign bit is 1 exactly where x < 0.

    Parameters:
        x: float32, finite, rank >= 1 (>= 2 for groups "c" and "nc"), not empty.
        group, rounding, carry: member of the enum or its string.
        random_bits: k, 1..16; `man_bits + k` at most 25 (24) for scales with 2 (3) mantissa bits.
        rng: source of R for stochastic rounding; a fresh, unseeded one if neither is given.
        random: the words R themselves, integers in [0, 2^k) in x's shape, instead of `rng`.
        tensor_scale: S_t, finite and > 0, instead of x's own, as that of an earlier tensor: `S_g`
            is then the largest grid value where the ratio is above the grid, and what exceeds the
            largest code saturates.
    Raises: TypeError for a wrong kind, ValueError for a wrong value, a NaN or an infinity.
    Source: Algorithm 1 of the MLS paper as fixed in docs/numerics.md section 3.
    """
    given = (x, element, scale, group, rounding, carry, random_bits, rng, random, tensor_scale)
    job = _prepare(*given, worth=0 if "numba" in sys.modules else group_codes.WORTH)
    fields = job.steps.encode(*job.arguments)
    sign, exp, man = (field.reshape(x.shape) for field in fields)
    scale_shape = (job.scale_exp.shape + (1,) * x.ndim)[: x.ndim]
    return MlsTensor(
        sign=sign,
        exp=exp,
        man=man,
        scale_exp=job.scale_exp.reshape(scale_shape),
        scale_man=job.scale_man.reshape(scale_shape),
        tensor_scale=job.row_scales.tensor_scale,
        element=element,
        scale=scale,
    )


def quantize_values(
    x: Float32,
    element: ElementFormat,
    scale: ScaleFormat,
    *,
    group: Grouping | str = Grouping.NC,
    rounding: Rounding | str = Rounding.STOCHASTIC,
    carry: Carry | str = Carry.CLIP,
    random_bits: int = RANDOM_BITS,
    rng: np.random.Generator | None = None,
    random: npt.ArrayLike | None = None,
    tensor_scale: np.float32 | None = None,
    out: Float32 | None = None,
) -> Float32:
    """`quantize(x, ...).dequantize()` rounded once to float32, nearest even, without the codes.

    A zero keeps its sign as in `dequantize`: -0 where x < 0, else +0. What a given tensor scale
    near the end of float32's range takes beyond it is infinite.

    An x whose memory has its channels last, as PyTorch's `channels_last`, keeps that layout.

    Parameters: those of `quantize`, and
        out: C-contiguous float32 of x's shape to put the values into; may be x.
    Raises: TypeError, ValueError, before anything is put into `out`.
    """
    given = (x, element, scale, group, rounding, carry, random_bits, rng, random, tensor_scale)
    job = _prepare(*given, keeps_layout=out is None)
    if job.channels_last:
        values = np.empty([x.shape[axis] for axis in _LAST], np.float32)
        job.steps.values(*job.arguments, values.reshape(job.rows.shape))
        return values.transpose(_FIRST)
    out = np.empty(x.shape, np.float32) if out is None else _checked_out(out, x)
    job.steps.values(*job.arguments, out.reshape(job.rows.shape))
    return out


@dataclass(frozen=True, eq=False)
class _Job:
    """What is to be quantized, and by which module's functions.

    `rows` (R, P) lie each in one group, or with channels last columns (N, P, C) do; `row_scales`
    are theirs, `scale_exp` and `scale_man` those of groups.
    """

    steps: Any
    rows: Float32
    row_scales: RowScales
    scale_exp: Octets
    scale_man: Octets
    words: WordSource
    coding: Coding
    channels_last: bool

    @property
    def arguments(self) -> tuple[Float32, RowScales, WordSource, Coding]:
        """Of `steps.encode` and `steps.values`."""
        return self.rows, self.row_scales, self.words, self.coding


def _prepare(
    x: Float32,
    element: ElementFormat,
    scale: ScaleFormat,
    group: Grouping | str,
    rounding: Rounding | str,
    carry: Carry | str,
    random_bits: int,
    rng: np.random.Generator | None,
    random: npt.ArrayLike | None,
    tensor_scale: np.float32 | None,
    *,
    worth: int = 0,
    keeps_layout: bool = False,
) -> _Job:
    """The checks, and the scales; compiled from `worth` elements on; `keeps_layout`: where that
    works, channels that are last in memory stay there.
    """
    grouping = choice("group", Grouping, group)
    rule = choice("rounding", Rounding, rounding)
    coding = Coding(element, random_bits, choice("carry", Carry, carry))
    _check_formats(element, scale, random_bits)
    _check_input(x, grouping)
    _check_tensor_scale(tensor_scale)
    compiled = group_codes.COMPILED and x.size >= worth and multiplies(coding, scale)
    # Words that are drawn here come in C order.
    ordered = rule is Rounding.NEAREST or (random is not None and np.shape(random) == x.shape)
    last = keeps_layout and compiled and ordered and _has_channels_last(x)
    memory = np.ascontiguousarray(x.transpose(_LAST) if last else x)
    if last and random is not None:
        random = np.transpose(random, _LAST)
    words = word_source(memory.shape, rule, random_bits, rng, random)
    by_column = last and grouping in (Grouping.NC, Grouping.C)
    steps = _steps(compiled, by_column)

    shape = _cell_shape(x.shape, grouping)
    rows = memory.reshape(shape[0], -1, shape[1]) if by_column else memory.reshape(-1, shape[2])
    maxima = steps.row_peaks(rows).reshape(shape[:2])
    _check_finite(x, maxima)
    if grouping is Grouping.C:
        maxima = maxima.max(axis=0, keepdims=True)
    top = maxima.max() if tensor_scale is None else tensor_scale
    exp, man = steps.scale_codes(maxima, top, scale)
    row_exp, row_man = (np.broadcast_to(f, shape[:2]).reshape(-1) for f in (exp, man))
    row_scales = RowScales(row_exp, row_man, top, scale, saturates=tensor_scale is not None)
    return _Job(steps, rows, row_scales, exp, man, words, coding, last)


def _steps(compiled: bool, by_column: bool) -> Any:
    """The module whose functions take the steps: numba's loops where it is installed, or NumPy."""
    if not compiled:
        return group_codes
    if by_column:
        from . import channels_last

        return channels_last
    from . import compiled_codes

    return compiled_codes


def _has_channels_last(x: Float32) -> bool:
    if x.ndim != 4 or x.flags.c_contiguous:
        return False
    return x.transpose(_LAST).flags.c_contiguous


def _check_formats(element: ElementFormat, scale: ScaleFormat, random_bits: int) -> None:
    if not isinstance(element, ElementFormat):
        raise TypeError(f"element must be an ElementFormat, not {element!r}")
    if not isinstance(scale, ScaleFormat):
        raise TypeError(f"scale must be a ScaleFormat, not {scale!r}")
    check_int("random_bits", random_bits, 1, 16)
    # The largest M + k for which the proof in `group_codes` holds.
    limit = min(26, 27 - scale.man_bits)
    if element.man_bits + random_bits > limit:
        raise ValueError(
            f"random_bits must be at most {limit - element.man_bits} for element {element} "
            f"and scale {scale}, not {random_bits!r}"
        )


def _check_input(x: Float32, grouping: Grouping) -> None:
    check_float32(x)
    need = 2 if grouping in (Grouping.C, Grouping.NC) else 1
    if x.ndim < need:
        raise ValueError(
            f"x must be of rank {need} or more for groups {grouping.value!r}, not {x.ndim!r}"
        )
    if x.size == 0:
        raise ValueError(f"x must be of at least one element, not of shape {x.shape!r}")


def _check_tensor_scale(tensor_scale: object) -> None:
    if tensor_scale is None:
        return
    if not isinstance(tensor_scale, np.float32):
        raise TypeError(f"tensor_scale must be a float32, not {tensor_scale!r}")
    if not 0 < tensor_scale < np.inf:
        raise ValueError(f"tensor_scale must be finite and > 0, not {tensor_scale!r}")


def _checked_out(out: object, x: Float32) -> Float32:
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        raise TypeError(f"out must be a float32 array, not {getattr(out, 'dtype', type(out))!r}")
    if out.shape != x.shape:
        raise ValueError(f"out must be of x's shape {x.shape!r}, not {out.shape!r}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError("out must be C-contiguous and writeable, not another array")
    if np.may_share_memory(x, out) and (
        x.__array_interface__["data"] != out.__array_interface__["data"] or x.strides != out.strides
    ):
        raise ValueError("out must be x itself or apart from it, not a part that overlaps")
    return out


def _cell_shape(shape: tuple[int, ...], grouping: Grouping) -> tuple[int, int, int]:
    """(N, C, P) such that each cell of P elements lies in one group, P as large as possible."""
    rows = 1 if grouping is Grouping.NONE else shape[0]
    columns = shape[1] if grouping in (Grouping.NC, Grouping.C) else 1
    return rows, columns, math.prod(shape) // (rows * columns)


def _check_finite(x: Float32, maxima: Float32) -> None:
    if np.isfinite(maxima).all():
        return
    index = tuple(int(axis[0]) for axis in np.nonzero(~np.isfinite(x)))
    raise ValueError(f"x must be finite, not {float(x[index])!r} at index {index!r}")
