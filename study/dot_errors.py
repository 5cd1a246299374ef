"""What rounding to a dot unit's format does to operands and to outputs."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..golden.spec import FP32, Rounding
from .records import significant
from .rows import DotErrors
from .stimuli.dots import DotStimulus, Side
from .stimuli.pairs import Stimulus

PRODUCTS = 200_000
"""Products on which errors are counted: more than energy needs, and golden alone computes them."""


def dot_errors(source: Stimulus, options: Mapping[str, Any]) -> DotErrors:
    """Errors of the operands that a unit of these options would read.

    Every format rounds to nearest here, whatever the stimulus does. Root mean squares of the
    rounding error over those of the values: of each tensor (outputs: of each pair of tensors),
    then the mean over the tensors of a kind, each counting alike. An output's is that of its
    operands alone, summed up in float64.
    """
    stimulus = _drawn(source, options["lanes"], options.get("groups", 1), options.get("cycles", 1))
    format, scale = options.get("format", FP32), options.get("scale")
    exact = [stimulus.coded(side, FP32, None).values for side in (stimulus.w, stimulus.a)]
    rounded = [
        stimulus.coded(side, format, scale, Rounding.NEAREST).values
        for side in (stimulus.w, stimulus.a)
    ]
    found: dict[str, list[float]] = {letter: [] for letter in "wae"}
    for side, x, q in zip((stimulus.w, stimulus.a), exact, rounded, strict=True):
        _add_operands(found, side, x, q)
    begins = np.flatnonzero(stimulus.first) * stimulus.groups
    z, y = (np.add.reduceat((w * a).sum(axis=1), begins) for w, a in (exact, rounded))
    pairs = stimulus.w.tensor[begins] * (1 + stimulus.a.tensor.max()) + stimulus.a.tensor[begins]
    outputs = [_relative(z[pairs == pair], y[pairs == pair]) for pair in np.unique(pairs)]
    means = {letter: significant(float(np.mean(own)), 4) for letter, own in found.items()}
    return DotErrors(**means, outputs=significant(float(np.mean(outputs)), 4))


@functools.lru_cache(maxsize=8)
def _drawn(source: Stimulus, lanes: int, groups: int, cycles: int) -> DotStimulus:
    return source.dots(lanes, groups, cycles, steps=PRODUCTS // (lanes * groups))


def _add_operands(
    found: Mapping[str, list[float]], side: Side, exact: np.ndarray, rounded: np.ndarray
) -> None:
    """Errors of the tensors of a side, by letter."""
    for number in np.unique(side.tensor[side.tensor >= 0]):
        own = side.tensor == number
        found["wae"[number % 3]].append(_relative(exact[own], rounded[own]))


def _relative(exact: np.ndarray, rounded: np.ndarray) -> float:
    return float(np.sqrt(((rounded - exact) ** 2).sum() / (exact**2).sum()))
