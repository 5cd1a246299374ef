"""Inputs that reach the corners of the block quantizer."""

from typing import Any

import numpy as np

from ...golden.spec import FP32, ScaleCoding
from ...support.words import Codes

_BLOCKS_A_SEED = 10
"""Mean blocks between the first words of the generators."""


def _peaks(rng: np.random.Generator, size: int) -> Codes:
    """Exponent fields of largest elements: any; both ends of the scale; around one; rarely of
    infinity and NaN.
    """
    kinds = [
        rng.integers(0, 255, size),
        rng.integers(0, 12, size),
        rng.integers(245, 255, size),
        FP32.bias + rng.integers(-3, 4, size),
    ]
    field = np.choose(rng.choice(len(kinds), size, p=[0.3, 0.3, 0.1, 0.3]), kinds)
    return np.where(rng.random(size) < 0.03, 255, field)


def _mantissas(rng: np.random.Generator, size: int, man_bits: int) -> Codes:
    """Any; of few bits, which are the elements and the ties between them, and their neighbours;
    all ones.
    """
    bits = FP32.man_bits
    few = rng.integers(0, 4 << man_bits, size) << (bits - 2 - man_bits)
    kinds = [
        rng.integers(0, 1 << bits, size),
        few,
        np.clip(few + rng.integers(-1, 2, size), 0, (1 << bits) - 1),
        (1 << bits) - 1 - rng.integers(0, 2, size),
        rng.integers(0, 1 << bits, size) >> rng.integers(0, bits, size),
    ]
    return np.choose(rng.choice(len(kinds), size, p=[0.2, 0.3, 0.3, 0.1, 0.1]), kinds)


def _shared(component: Any, count: int, rng: np.random.Generator) -> Codes:
    """Magnitudes of blocks: elements some binades below their block's largest, as far as codes
    reach and beyond.
    """
    element, size = component.format.element, component.format.size
    peak = _peaks(rng, count)[:, np.newaxis]
    reach = (1 << element.exp_bits) + element.man_bits + component.random_bits
    below = rng.integers(0, reach, (count, size)) * (rng.random((count, size)) < 0.8)
    below[np.arange(count), rng.integers(0, size, count)] = 0
    mantissa = _mantissas(rng, count * size, element.man_bits).reshape(count, size)
    return np.maximum(peak - below, 0) << FP32.man_bits | mantissa


def _near(rng: np.random.Generator, value: np.ndarray) -> Codes:
    """The float32 magnitudes nearest to numbers, or one of their neighbours."""
    limited = np.minimum(value, np.finfo(np.float32).max).astype(np.float32)
    magnitude = limited.view(np.uint32).astype(np.int64)
    return np.clip(magnitude + rng.integers(-1, 2, value.shape), 0, FP32.max_code)


def _by_ratio(component: Any, count: int, scales: Codes, rng: np.random.Generator) -> Codes:
    """Magnitudes of blocks: the largest at numbers of the scale, between two of them, and beyond
    both ends; elements at numbers and ties of the element, over a scale near it.
    """
    size = component.format.size
    finite = np.minimum(scales, FP32.max_code).astype(np.uint32).view(np.float32)
    tensor = np.maximum(finite.astype(np.float64), 2.0**-149)
    # Numbers and ties of E4M3 are multiples of half a last bit.
    exponent = rng.integers(-8, 10, count)
    scale = np.ldexp(rng.integers(8, 33, count) / 16, exponent)
    few = rng.integers(0, 5, count) / 2 * 2.0**-9
    scale = np.where(rng.random(count) < 0.2, few, scale)
    number = np.round(scale * 2.0**9) / 2.0**9  # of the subnormal ones; others may be a tie
    number = np.ldexp(np.round(np.ldexp(number, 3 - exponent)), exponent - 3)
    largest = _near(rng, 6 * scale * tensor)
    step = rng.integers(0, 30, (count, size)) / 4 * (number * tensor)[:, np.newaxis]
    shift = rng.integers(0, 3, (count, size))
    x = _near(rng, np.ldexp(step, -shift))
    any_ = rng.integers(0, 1 << 31, (count, size)) >> rng.integers(0, 31, (count, size))
    x = np.where(rng.random(x.shape) < 0.1, any_, x)
    x = np.minimum(x, largest[:, np.newaxis])
    x[np.arange(count), rng.integers(0, size, count)] = largest
    wrong = rng.random(x.shape) < 0.02 / size
    return np.where(wrong, rng.integers(FP32.infinity, 1 << 31, x.shape), x)


def _tensor_scales(rng: np.random.Generator, count: int) -> Codes:
    """Float32 magnitudes, each for a few blocks: any number, small ones, near one; zero; rarely
    one that is none.
    """
    size = count // 4 + 1
    kinds = [
        rng.integers(0, FP32.infinity, size),
        rng.integers(0, 1 << 27, size) >> rng.integers(0, 24, size),
        (FP32.bias << FP32.man_bits) + rng.integers(-(1 << 25), 1 << 25, size),
        (FP32.bias << FP32.man_bits) + (rng.integers(-9, 9, size) << FP32.man_bits),
        np.zeros(size, np.int64),
        rng.integers(FP32.infinity, 1 << 31, size),
    ]
    chosen = rng.choice(len(kinds), size, p=[0.15, 0.15, 0.4, 0.2, 0.05, 0.05])
    return np.repeat(np.choose(chosen, kinds), 4)[:count]


def quantizer(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Whole blocks; some are all zero, or but for few, or all equal."""
    size, lanes = component.format.size, component.lanes
    beats = size // lanes
    count = max(operations // beats, 1)
    scales = _tensor_scales(rng, count)
    if component.format.scale_coding is ScaleCoding.E8M0:
        x = _shared(component, count, rng)
    else:
        x = _by_ratio(component, count, scales, rng)
    kind = rng.random((count, 1))
    x = np.where(kind < 0.04, x[:, :1], x)
    x = np.where((kind > 0.94) & (rng.random(x.shape) < 0.9), 0, x)
    x = np.where(kind > 0.97, 0, x)
    x |= rng.integers(0, 2, x.shape) << (FP32.code_width - 1)
    first = np.arange(count * beats) % beats == 0
    # Needed once; a count goes on by itself.
    start = first & (rng.random(len(first)) < 0.5)
    start[0] = True
    seed = rng.random(len(first)) < np.where(first, 1 / _BLOCKS_A_SEED, 0.5)
    seed[0] = True
    # The scale says nothing but with first beats.
    scale = np.where(first, np.repeat(scales, beats), rng.integers(0, 1 << 31, len(first)))
    drawn = {"x": x.reshape(-1, lanes), "start": start, "tensor_scale": scale, "seed": seed}
    ports = component.signature.members
    return {port: codes.astype(np.int64) for port, codes in drawn.items() if port in ports}
