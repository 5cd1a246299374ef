"""Sums and scales that reach the corners of scalers and trees."""

from collections.abc import Callable, Mapping

import numpy as np
from amaranth.lib import wiring

from ..golden.formats import ScaleFormat
from .vectors import Codes


def _sums(rng: np.random.Generator, shape: tuple[int, ...], width: int) -> Codes:
    """Signed sums: of every magnitude, corners, and 0."""
    top = 1 << (width - 1)
    magnitude = rng.integers(0, top, shape) >> rng.integers(0, width, shape)
    corners = np.array([0, 1, 2, 3, top // 2, top // 2 - 1, top // 2 + 1, top - 2, top - 1])
    chosen = np.where(rng.random(shape) < 0.3, rng.choice(corners, shape), magnitude)
    # The complement of 0..top-1 is -1..-top.
    return np.where(rng.random(shape) < 0.5, chosen, ~chosen)


def _split(rng: np.random.Generator, total: Codes, largest: int) -> tuple[Codes, Codes]:
    """Two numbers in 0..largest whose sum is `total`."""
    first = rng.integers(np.maximum(total - largest, 0), np.minimum(total, largest) + 1)
    return first, total - first


def _scaler(
    component: wiring.Component, operations: int, rng: np.random.Generator
) -> dict[str, Codes]:
    """Every sum of exponent fields with every pair of mantissas, round and round."""
    scale: ScaleFormat = component.scale
    count = np.arange(operations) % ((2 * scale.max_exp + 1) << (2 * scale.man_bits))
    mantissas = (1 << scale.man_bits) - 1
    w_exp, a_exp = _split(rng, count >> (2 * scale.man_bits), scale.max_exp)
    return {
        "p": _sums(rng, (operations,), component.acc_width),
        "w_scale": w_exp << scale.man_bits | (count & mantissas),
        "a_scale": a_exp << scale.man_bits | (count >> scale.man_bits & mantissas),
    }


TREE_CORNERS: Mapping[
    str, Callable[[wiring.Component, int, np.random.Generator], dict[str, Codes]]
] = {"group_scaler": _scaler}
"""Input ports, step by step, of each unit that the general operands do not suit."""
