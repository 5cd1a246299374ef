"""Inputs that reach the corners of the dynamic quantizer's two passes."""

from typing import Any

import numpy as np

from ...golden.spec import FP32, Scaling
from ...support.words import Codes

_LARGEST = FP32.max_code
_SPECIAL = np.array([FP32.infinity, FP32.infinity + 1, FP32.nan, (1 << 31) - 1])
_SMALLEST_NORMAL = 1 << FP32.man_bits
_MEAN_RUN = 300
"""Mean beats between the first words of a quantizer's generators."""

_GROUPS_A_TENSOR = 6

_LARGER_SHARE = 0.5
"""Groups whose maximum exceeds the tensor's, with delayed scaling."""

_ABOVE = 3
"""Binades above the tensor's maximum in which edges of delayed scaling lie."""


def _marks(rng: np.random.Generator, size: int, share: float) -> Codes:
    """1 in `share` of the steps and in the first."""
    marks = (rng.random(size) < share).astype(np.int64)
    marks[0] = 1
    return marks


def _magnitudes(rng: np.random.Generator, size: int) -> Codes:
    """Anything finite: any bits, powers of two and their neighbours, subnormals, zero, around one,
    the largest.
    """
    field = rng.integers(0, 255, size)
    near = (field << FP32.man_bits) + rng.integers(-2, 3, size)
    kinds = [
        rng.integers(0, _LARGEST + 1, size),
        np.clip(near, 0, _LARGEST),
        rng.integers(0, 2 * _SMALLEST_NORMAL, size) >> rng.integers(0, 24, size),
        (FP32.bias << FP32.man_bits) + rng.integers(-_SMALLEST_NORMAL, _SMALLEST_NORMAL, size),
        np.zeros(size, np.int64),
        _LARGEST - rng.integers(0, 3, size),
        rng.integers(0, 4, size),
    ]
    choice = rng.choice(len(kinds), size, p=[0.2, 0.25, 0.15, 0.25, 0.05, 0.05, 0.05])
    return np.choose(choice, kinds)


def _value(magnitude: Codes) -> np.ndarray:
    return magnitude.astype(np.uint32).view(np.float32).astype(np.float64)


def _magnitude(value: np.ndarray) -> Codes:
    """Of a number not beyond float32, rounded."""
    limited = np.minimum(value, np.finfo(np.float32).max).astype(np.float32)
    return limited.view(np.uint32).astype(np.int64)


def _grid_multiple(
    rng: np.random.Generator, top: Codes, steps: int, reach: int, above: int = 0
) -> Codes:
    """A number `top * (1 + i / steps) / 2^n`, i below `steps` and n from `-above` up to `reach`; or
    one of its neighbours.
    """
    factor = 1 + rng.integers(0, steps, len(top)) / steps
    power = above - rng.integers(0, above + reach + 1, len(top))
    edge = _magnitude(np.ldexp(_value(top) * factor, power))
    return np.clip(edge + rng.integers(-1, 2, len(top)), 0, _LARGEST)


def _group_maxima(component: Any, rng: np.random.Generator, top: Codes) -> Codes:
    """Of a group: at edges of the scale grid (most), the tensor's own, zero, any smaller one; few
    larger.
    """
    fmt = component.scale
    kinds = [
        _grid_multiple(rng, top, 1 << fmt.man_bits, 4),
        _grid_multiple(rng, top, 1 << fmt.man_bits, fmt.max_exp + 2),
        top,
        np.zeros_like(top),
        rng.integers(0, top + 1),
        np.minimum(_magnitudes(rng, len(top)), top),
    ]
    choice = rng.choice(len(kinds), len(top), p=[0.4, 0.2, 0.1, 0.05, 0.1, 0.15])
    peak = np.minimum(np.choose(choice, kinds), top)
    wrong = rng.random(len(top))
    peak = np.where(wrong < 0.01, np.minimum(top + 1, (1 << 31) - 1), peak)
    return np.where((wrong >= 0.01) & (wrong < 0.02), rng.choice(_SPECIAL, len(top)), peak)


def _beyond(component: Any, rng: np.random.Generator, top: Codes) -> Codes:
    """A group's maximum above the tensor's, as delayed scaling has it: at edges of the scale grid
    and beyond it (most), the largest of all, any larger one; few infinities and NaN.
    """
    steps = 1 << component.scale.man_bits
    kinds = [
        _grid_multiple(rng, top, steps, 0, _ABOVE),
        _LARGEST - rng.integers(0, 3, len(top)),
        rng.integers(top, _LARGEST + 1),
        np.maximum(_magnitudes(rng, len(top)), top),
        rng.choice(_SPECIAL, len(top)),
    ]
    return np.choose(rng.choice(len(kinds), len(top), p=[0.5, 0.1, 0.2, 0.15, 0.05]), kinds)


def _elements(component: Any, rng: np.random.Generator, peak: Codes, top: Codes) -> Codes:
    """Of a group: at edges of the codes (most), the maximum, zero, any smaller one; few larger."""
    man_bits, reach = component.format.man_bits, (1 << component.format.exp_bits) + 4
    size = len(peak)
    # The scale is near: multiples of what the tensor's maximum is at the group's binade.
    low = np.maximum((top >> FP32.man_bits) - (peak >> FP32.man_bits), 0)
    power = low + rng.integers(-2, reach, size)
    step = rng.integers(0, 4 << man_bits, size) / (2 << man_bits)
    scaled = _value(top) * (1 + rng.integers(0, 8, size) / 8) * step
    edges = _magnitude(np.ldexp(scaled, -power)) + rng.integers(-1, 2, size)
    binades = rng.integers(0, reach + component.random_bits, size)
    kinds = [
        edges,
        edges,
        rng.integers(0, peak + 1),
        peak - (binades << FP32.man_bits) + rng.integers(-1, 2, size),
        rng.integers(0, 1 << 31, size) >> rng.integers(0, 31, size),
        peak,
        np.zeros_like(peak),
        peak - rng.integers(0, reach << FP32.man_bits, size),
    ]
    drawn = np.choose(rng.integers(0, len(kinds), size), kinds)
    return np.clip(drawn, 0, np.minimum(peak, _LARGEST))


def quantizer(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    lanes = component.lanes
    start = _marks(rng, operations, 1 / 5)
    group = np.cumsum(start) - 1
    count = group[-1] + 1
    tensor = np.cumsum(_marks(rng, count, 1 / _GROUPS_A_TENSOR)) - 1
    tops = _magnitudes(rng, tensor[-1] + 1)
    wrong = rng.random(len(tops)) < 0.01
    top = np.where(wrong, rng.choice(_SPECIAL, len(tops)), tops)[tensor]
    finite = np.minimum(top, _LARGEST)
    peak = _group_maxima(component, rng, finite)
    if component.scaling is Scaling.DELAYED:
        larger = rng.random(count) < _LARGER_SHARE
        peak = np.where(larger, _beyond(component, rng, finite), peak)
    peak_here, top_here = (np.repeat(values[group], lanes) for values in (peak, finite))
    magnitude = _elements(component, rng, peak_here, top_here)
    equal = np.repeat((rng.random(count) < 0.05)[group], lanes)  # all elements of a group
    lonely = np.repeat((rng.random(count) < 0.05)[group], lanes)  # one large, all others tiny
    magnitude = np.where(equal, np.minimum(peak_here, _LARGEST), magnitude)
    tiny = np.minimum(magnitude, rng.integers(0, _SMALLEST_NORMAL, len(magnitude)))
    magnitude = np.where(lonely & (rng.random(len(magnitude)) < 0.9), tiny, magnitude)
    bad = rng.random(len(magnitude))
    magnitude = np.where(bad < 0.003, np.minimum(peak_here + 1, (1 << 31) - 1), magnitude)
    magnitude = np.where(bad > 0.998, rng.choice(_SPECIAL, len(magnitude)), magnitude)
    signs = rng.integers(0, 2, len(magnitude)) << 31
    x = (signs | magnitude).reshape(operations, lanes)
    # The last beat of a group may have unused lanes.
    ends = np.append(start[1:], 1) > 0
    used = np.where(ends, rng.integers(1, lanes + 1, operations), lanes)
    x[np.arange(lanes) >= used[:, np.newaxis]] = 0
    # The maxima say nothing where no group starts.
    starts = start > 0
    noise = rng.integers(0, 1 << 31, (2, operations))
    inputs = {
        "x": x,
        "start": start,
        "group_max": np.where(starts, peak[group], noise[0]),
        "tensor_max": np.where(starts, top[group], noise[1]),
    }
    if hasattr(component, "seed"):
        inputs["seed"] = _marks(rng, operations, 1 / _MEAN_RUN)
    return inputs


def statistics(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    size = operations * component.lanes
    bits = _magnitudes(rng, size)
    bits = np.where(rng.random(size) < 0.001, rng.choice(_SPECIAL, size), bits)
    # Around one number for a while, so that small differences decide.
    near = (FP32.bias << FP32.man_bits) + rng.integers(-20, 20, size)
    calm = np.repeat(rng.random(operations // 100 + 1) < 0.5, 100 * component.lanes)[:size]
    bits = np.where(calm, near, bits) | rng.integers(0, 2, size) << 31
    valid = (rng.random(operations) < 0.9).astype(np.int64)
    valid[0] = 1
    return {
        "x": bits.reshape(operations, component.lanes),
        "valid": valid,
        "first": _marks(rng, operations, 1 / 30),
        "last": (rng.random(operations) < 1 / 5).astype(np.int64),
    }
