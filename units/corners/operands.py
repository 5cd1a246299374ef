"""Operand codes that reach the corners of multipliers and accumulators."""

from dataclasses import dataclass

import numpy as np

from ...golden.spec import FloatFormat
from ...support.words import Codes

_MEAN_GROUP = 12


@dataclass(frozen=True)
class Groups:
    """Sums of random length; operands of one group share a character, so that groups reach
    extremes.
    """

    start: Codes
    index: Codes

    @classmethod
    def draw(cls, rng: np.random.Generator, operations: int) -> "Groups":
        start = (rng.random(operations) < 1 / _MEAN_GROUP).astype(np.int64)
        start[0] = 1
        return cls(start, np.cumsum(start) - 1)

    def each(self, rng: np.random.Generator, choices: int) -> Codes:
        """A random choice in [0, choices) for every group, spread over its operations."""
        return rng.integers(0, choices, int(self.index[-1]) + 1)[self.index]


def _signs(rng: np.random.Generator, groups: Groups) -> Codes:
    """Mixed in half of the groups, else constant, so that sums run away in both directions."""
    mode = groups.each(rng, 4)
    mixed = rng.integers(0, 2, len(mode))
    return np.where(mode < 2, mixed, mode - 2)


def sign_magnitude(rng: np.random.Generator, groups: Groups, width: int) -> Codes:
    """Uniform magnitudes, the top eighth, a handful around zero; also the code space of MLS
    elements.
    """
    top = (1 << (width - 1)) - 1
    size = len(groups.index)
    low = np.choose(groups.each(rng, 4), [0, 0, top - top // 8, 0])
    high = np.choose(groups.each(rng, 4), [top, top, top, min(3, top)])
    low = np.minimum(low, high)
    return (_signs(rng, groups) << (width - 1)) | rng.integers(low, high + 1, size)


def float_codes(rng: np.random.Generator, groups: Groups, format: FloatFormat) -> Codes:
    """Exponents around one, around both ends of the range and of its half (for products); edge
    mantissas.
    """
    size = len(groups.index)
    top = (1 << format.exp_bits) - 1
    reach = format.man_bits + 4
    centres = np.array([format.bias, format.bias // 2, format.bias + format.bias // 2, 0, top - 1])
    mode = groups.each(rng, 8)
    around = centres[np.minimum(mode, 4)] + rng.integers(-reach, reach + 1, size)
    close = format.bias + rng.integers(-2, 3, size)
    exponent = np.choose(mode, [around] * 5 + [close, close, rng.integers(0, top + 1, size)])
    # Infinities and NaN would swallow every longer sum: they come in few groups.
    specials_here = (groups.each(rng, 12) == 0) & (rng.random(size) < 0.2)
    exponent = np.where(specials_here, top, np.clip(exponent, 0, top - 1))
    ones = (1 << format.man_bits) - 1
    edges = np.array([0, 1, ones, ones - 1, (ones + 1) >> 1, ones >> 1])
    mantissa = np.where(
        rng.random(size) < 0.4, rng.choice(edges, size), rng.integers(0, ones + 1, size)
    )
    return (
        (_signs(rng, groups) << (format.code_width - 1)) | (exponent << format.man_bits) | mantissa
    )
