"""Sums and scales that reach the corners of scalers and trees."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ...golden.spec import ScaleFormat
from ...support.words import Codes

_RUN = 16
"""Steps that a character of sums lasts, so that all tiles of an output share it."""


def _sums(rng: np.random.Generator, shape: tuple[int, ...], width: int) -> Codes:
    """Signed sums: of every magnitude, corners, and 0."""
    top = 1 << (width - 1)
    magnitude = rng.integers(0, top, shape) >> rng.integers(0, width, shape)
    corners = np.array([0, 1, 2, 3, top // 2, top // 2 - 1, top // 2 + 1, top - 2, top - 1])
    chosen = np.where(rng.random(shape) < 0.3, rng.choice(corners, shape), magnitude)
    # The complement of 0..top-1 is -1..-top.
    return np.where(rng.random(shape) < 0.5, chosen, ~chosen)


def split(rng: np.random.Generator, total: Codes, largest: int) -> tuple[Codes, Codes]:
    """Two numbers in 0..largest whose sum is `total`."""
    first = rng.integers(np.maximum(total - largest, 0), np.minimum(total, largest) + 1)
    return first, total - first


def scaler(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Every sum of exponent fields with every pair of mantissas, round and round."""
    scale: ScaleFormat = component.scale
    count = np.arange(operations) % ((2 * scale.max_exp + 1) << (2 * scale.man_bits))
    mantissas = (1 << scale.man_bits) - 1
    w_exp, a_exp = split(rng, count >> (2 * scale.man_bits), scale.max_exp)
    return {
        "p": _sums(rng, (operations,), component.acc_width),
        "w_scale": w_exp << scale.man_bits | (count & mantissas),
        "a_scale": a_exp << scale.man_bits | (count >> scale.man_bits & mantissas),
    }


def leaves(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Float32 leaves of a tile: exponents together, 2^20 and more apart, near either end; leaves
    that cancel each other; zeros. No -0, infinity or NaN: no scaler makes them.
    """
    shape = (operations, component.leaves)
    centre = rng.choice([127, 127, 100, 20, 1, 230], (operations, 1))
    spread = rng.choice([0, 1, 3, 12, 24, 40], (operations, 1))
    exponent = np.clip(centre + rng.integers(-spread, spread + 1, shape), 0, 240)
    mantissa = rng.integers(0, 1 << 23, shape)
    mantissa = np.where(rng.random(shape) < 0.3, rng.choice([0, 1, (1 << 23) - 1], shape), mantissa)
    codes = exponent << 23 | mantissa
    codes |= rng.integers(0, 2, shape) << 31
    _repeat_half(codes, rng.random(operations) < 0.25)
    codes[:, component.leaves // 2 :] ^= (rng.random((operations, 1)) < 0.5).astype(np.int64) << 31
    codes[rng.random(shape) < 0.05] = 0
    codes[codes == 1 << 31] = 0
    valid = _valid(rng, operations)
    if component.leaves == 1:  # wires: nothing holds
        valid[:] = 1
    return {"i": codes, "valid": valid}


def _repeat_half(values: Codes, steps: npt.NDArray[np.bool_]) -> None:
    """In the chosen `steps` the second half of a tile repeats the first."""
    half = values.shape[1] // 2
    values[steps, half : 2 * half] = values[steps, :half]


def _valid(rng: np.random.Generator, operations: int) -> Codes:
    """Three steps in four; the first."""
    valid = (rng.random(operations) < 0.75).astype(np.int64)
    valid[0] = 1
    return valid


def groups(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Sums and scales of a tile's lanes: scales together, spread a little, over the guard bits, and
    over everything; sums that cancel; the largest that can be; idle lanes.
    """
    scale: ScaleFormat = component.scale
    shape = (operations, component.lanes)
    # All scales, those whose sums are not too small for float32, and those around the smallest.
    bounds = np.minimum([(0, 2 * scale.max_exp), (0, 120), (100, 150)], 2 * scale.max_exp)
    low, high = rng.choice(bounds, operations).T[:, :, None]
    centre = rng.integers(low, high + 1)
    spread = rng.choice([0, 1, 4, 14, 40, 2 * scale.max_exp], (operations, 1))
    total = centre + rng.integers(-spread, spread + 1, shape)
    w_exp, a_exp = split(rng, np.clip(total, 0, 2 * scale.max_exp), scale.max_exp)
    mantissas = (1 << scale.man_bits) - 1
    w_man, a_man = (rng.integers(0, mantissas + 1, shape) for _ in "wa")
    p = _sums(rng, shape, component.acc_width)

    repeats = rng.random(operations) < 0.25
    for values in (p, w_exp, a_exp, w_man, a_man):
        _repeat_half(values, repeats)
    cancels = repeats & (rng.random(operations) < 0.7)
    p[cancels, component.lanes // 2 :] *= -1
    largest = 1 << (component.acc_width - 1)
    p = np.minimum(p, largest - 1)  # the smallest sum has no opposite

    runs = np.arange(operations) // _RUN
    extreme = (rng.random(runs[-1] + 1) < 0.1)[runs]
    p[extreme] = np.where(runs[extreme] % 2, -largest, largest - 1)[:, None]
    for values, value in ((w_exp, 0), (a_exp, 0), (w_man, mantissas), (a_man, mantissas)):
        values[extreme] = value

    idle = (rng.random(shape) < 0.1) & ~extreme[:, None]
    for values, value in ((p, 0), (w_exp, scale.max_exp), (a_exp, scale.max_exp)):
        values[idle] = value
    return {
        "p": p,
        "w_scale": w_exp << scale.man_bits | w_man,
        "a_scale": a_exp << scale.man_bits | a_man,
        "valid": _valid(rng, operations),
    }


def outputs(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Outputs of a few tiles each, up to as many as the sum holds."""
    inputs = groups(component, operations, rng)
    lengths = rng.integers(1, min(component.tiles, _RUN // 2) + 1, operations)
    starts = np.cumsum(lengths) - lengths
    valid = np.flatnonzero(inputs["valid"])
    first = rng.integers(0, 2, operations)
    first[valid] = np.isin(np.arange(len(valid)), starts)
    return {**inputs, "first": first}
