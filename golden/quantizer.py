"""The ports of the dynamic quantizer's two passes, beat by beat (docs/numerics.md section 15)."""

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .quantize import quantize, scale_value
from .spec import FP32, Carry, ElementFormat, Rounding, ScaleFormat, Scaling, check_int

Float64 = npt.NDArray[np.float64]

_SIGN = 1 << (FP32.code_width - 1)
_MAX_ROWS = 1 << 22
"""Elements, filled-up rows included, that are quantized at a time."""


def tensor_beats(
    tensor: npt.NDArray[np.float32], lanes: int, chosen: Codes | slice = slice(None)
) -> dict[str, Codes]:
    """A tensor of rank 4 as beats of both passes, groups "nc", all of them or those `chosen` by
    number; a group's last beat is filled with +0.

    `x` (T, lanes): float32 codes; (T,): the passes' marks `start`, `last`, `first`, `valid`, the
    maxima `group_max` and `tensor_max` (magnitudes), and `elements`, how many a beat has.
    """
    groups = tensor.reshape(-1, tensor.shape[2] * tensor.shape[3]).view(np.uint32).astype(np.int64)
    length = groups.shape[1]
    beats = -(-length // lanes)
    taken = groups[chosen]
    step = np.tile(np.arange(beats), len(taken))
    return {
        "x": np.pad(taken, ((0, 0), (0, beats * lanes - length))).reshape(-1, lanes),
        "start": (step == 0).astype(np.int64),
        "last": (step == beats - 1).astype(np.int64),
        "first": (np.arange(len(step)) == 0).astype(np.int64),
        "valid": np.ones(len(step), np.int64),
        "group_max": np.repeat((taken & (_SIGN - 1)).max(axis=1), beats),
        "tensor_max": np.full(len(step), (groups & (_SIGN - 1)).max()),
        "elements": np.minimum(length - step * lanes, lanes),
    }


def tensor_statistics(x: Codes, valid: Codes, first: Codes, last: Codes) -> dict[str, Codes]:
    """Running maxima of magnitudes since the group's and the tensor's first beat.

    `x` (T, lanes): float32 codes; the others (T,), 0 or 1. Beats are the steps where `valid`; the
    first step is one, with `first`. Outputs are those of the newest beat; `group_valid` is 1 in the
    step of a group's last beat alone.
    """
    steps = np.arange(len(valid))
    beats = np.flatnonzero(valid)
    magnitude = (x & (_SIGN - 1)).max(axis=1)[beats]
    begins_tensor = first[beats].astype(bool)
    begins_group = begins_tensor | np.append(True, last[beats][:-1])
    newest = np.searchsorted(beats, steps, side="right") - 1
    group_max = _running_max(magnitude, begins_group)[newest]
    tensor_max = _running_max(magnitude, begins_tensor)[newest]
    return {
        "group_max": group_max,
        "group_valid": valid & last,
        "tensor_max": tensor_max,
        "invalid": (tensor_max >= FP32.infinity).astype(np.int64),
    }


def _running_max(values: Codes, begins: npt.NDArray[np.bool_]) -> Codes:
    """Maximum since the last step of `begins`: a piece's number in front makes it the larger."""
    piece = np.cumsum(begins) << 32
    return np.maximum.accumulate(piece | values) - piece


def mls_quantizer(
    x: Codes,
    start: Codes,
    group_max: Codes,
    tensor_max: Codes,
    words: Codes | None,
    *,
    element: ElementFormat,
    scale: ScaleFormat,
    carry: Carry,
    random_bits: int,
    reciprocal_bits: int = 0,
    scaling: Scaling = Scaling.CURRENT,
) -> dict[str, Codes]:
    """Codes and scale code of every beat, by `quantize` alone where they are exact.

    `x` (T, lanes): float32 codes; `start` (T,): first beat of a group, the first step is one;
    `group_max`, `tensor_max` (T,): magnitudes, read at `start`; `words` (T, lanes): R, None for
    nearest. A beat is invalid from the one on whose element exceeds the group's maximum; where the
    maxima are not finite or the group's is the larger, the whole group is. Its codes are 0.
    `reciprocal_bits`: 0, or the bits p, 4..16, of a reciprocal whose product is the quotient.
    `scaling`: delayed, the group's maximum may be the larger unless the tensor's is 0.
    """
    begins = np.flatnonzero(start)
    group = np.cumsum(start) - 1
    peak, top = group_max[begins], tensor_max[begins]
    no_group = np.maximum(peak, top) >= FP32.infinity
    no_group |= (peak > top) & ((scaling is Scaling.CURRENT) | (top == 0))
    beyond = ((x & (_SIGN - 1)) > peak[group][:, np.newaxis]).any(axis=1) | no_group[group]
    invalid = _running_max(beyond.astype(np.int64), start.astype(bool))
    codes, scale_codes = np.zeros_like(x), np.zeros_like(start)
    lengths = np.diff(begins, append=len(start))
    cleaned = np.where(invalid[:, np.newaxis], 0, x)
    good = np.flatnonzero(~no_group)
    for tensor in np.unique(top[good]):
        own = good[top[good] == tensor]
        own = own[np.argsort(lengths[own], kind="stable")]
        for part in _parts(lengths[own] * x.shape[1]):
            chosen = own[part]
            places = begins[chosen][:, np.newaxis] + np.arange(lengths[chosen].max())
            inside = places < (begins + lengths)[chosen][:, np.newaxis]
            beats = np.where(inside, places, 0)
            rows = np.where(inside[..., np.newaxis], cleaned[beats], 0).reshape(len(chosen), -1)
            random = None if words is None else words[beats].reshape(len(chosen), -1)
            code, scale_code = _rows(
                *(rows, peak[chosen], tensor, random), element, scale, carry, random_bits
            )
            code = code.reshape(*beats.shape, x.shape[1])
            codes[beats[inside]] = code[inside]
            scale_codes[begins[chosen]] = scale_code
    scale_code = scale_codes[begins][group]
    if reciprocal_bits:
        check_int("reciprocal_bits", reciprocal_bits, 4, 16)
        scales = scale_value(*np.divmod(scale_code, 1 << scale.man_bits), scale)
        divisor = _value(np.where(invalid > 0, 0, top[group])) * scales
        nearest = np.full_like(x, 1 << (random_bits - 1))
        random = nearest if words is None else words
        codes = _by_reciprocal(
            *(cleaned, divisor, random, element, carry, random_bits, reciprocal_bits)
        )
    codes[invalid > 0] = 0
    return {"codes": codes, "scale_code": scale_code, "invalid": invalid}


def _value(magnitude: Codes) -> Float64:
    return magnitude.astype(np.uint32).view(np.float32).astype(np.float64)


def _by_reciprocal(
    x: Codes,
    divisor: Float64,
    words: Codes,
    element: ElementFormat,
    carry: Carry,
    random_bits: int,
    p: int,
) -> Codes:
    """Codes of `x` (T, lanes) from the upper p bits of x, of `divisor` (T,) and of its reciprocal:
    `Q = floor((2 X_p + 1) (2 J + 1) / 2^(2p+1) * 2^(M+1+k))`, `J = floor(2^(2p) / (2 D_p + 1))`.
    """
    man_bits, top = element.man_bits, (1 << element.exp_bits) - 1
    x_part, x_exponent = np.frexp(_value(x & (_SIGN - 1)))
    part, exponent = np.frexp(np.where(divisor > 0, divisor, 1))
    reciprocal = (1 << 2 * p) // (2 * (part * 2**p).astype(np.int64) + 1)
    product = (2 * (x_part * 2**p).astype(np.int64) + 1) * (2 * reciprocal + 1)[:, np.newaxis]
    spare = 2 * p - man_bits - random_bits
    quotient = product >> spare if spare > 0 else product << -spare
    first = quotient >> (man_bits + 1 + random_bits)
    distance = exponent[:, np.newaxis].astype(np.int64) - x_exponent
    field = top - distance + first
    normal = field > 0
    shift = np.where(normal, first, distance - (top - 1))
    r = ((quotient >> np.minimum(shift, 63)) + words) >> random_bits
    if carry is Carry.CLIP:
        r = np.minimum(r, (1 << man_bits) * (1 + normal) - 1)
    largest = (1 << (element.code_width - 1)) - 1
    code = np.minimum(np.where(normal, (field - 1) << man_bits, 0) + r, largest)
    code = np.where((distance < 0) | ((distance == 0) & (first == 1)), largest, code)
    sign = (x > _SIGN).astype(np.int64) << (element.code_width - 1)
    return sign | np.where(x & (_SIGN - 1), code, 0)


def _parts(lengths: Codes) -> list[slice]:
    """Cut rows, shortest first, so that each part's, filled up to its longest, stay few."""
    cuts, first = [], 0
    for row, length in enumerate(lengths):
        if row > first and (length + 1) * (row + 1 - first) > _MAX_ROWS:
            cuts.append(slice(first, row))
            first = row
    return [*cuts, slice(first, len(lengths))]


def _rows(
    rows: Codes,
    peaks: Codes,
    top: int,
    random: Codes | None,
    element: ElementFormat,
    scale: ScaleFormat,
    carry: Carry,
    random_bits: int,
) -> tuple[Codes, Codes]:
    """Quantize groups, a row each: their maxima as a further element. A tensor of zeros has none,
    and any other scale the same codes.
    """
    groups = np.zeros((len(rows), rows.shape[1] + 1), np.uint32)
    groups[:, :-1] = rows
    groups[:, -1] = peaks
    word = None
    if random is not None:
        word = np.zeros(groups.shape, np.int64)
        word[:, :-1] = random
    tensor = quantize(
        groups.view(np.float32),
        element,
        scale,
        group="n",
        rounding=Rounding.NEAREST if random is None else Rounding.STOCHASTIC,
        carry=carry,
        random_bits=random_bits,
        random=word,
        tensor_scale=np.uint32(top or 1).view(np.float32),
    )
    return tensor.codes()[:, :-1].astype(np.int64), tensor.scale_codes()[:, 0].astype(np.int64)
