"""What rounding to a unit's format does to operands and to outputs."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data import Layer
from ..golden.spec import FP32, Rounding
from .records import significant
from .rows import DotErrors
from .stimuli.dots import KERNEL, DotStimulus, Side, build
from .stimuli.encode import Format, nearest, pooled
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
    return _errors(stimulus, exact, rounded)


def format_errors(source: Stimulus, options: Mapping[str, Any]) -> DotErrors | None:
    """The same of a MAC of these options: tensors are cast whole, MLS elements by the source's
    coding. None of a format that tensors are not cast to.
    """
    format = options.get("format", FP32)
    a_format = options.get("a_format", format)
    if not all(isinstance(own, Format) for own in (format, a_format)):
        return None
    stimulus = _drawn(source, KERNEL)
    sides = (stimulus.w, stimulus.a)
    affine = bool(options.get("zero_points"))
    exact = [_values(source, side, FP32, False) for side in sides]
    rounded = [
        _values(source, side, own, affine)
        for side, own in zip(sides, (format, a_format), strict=True)
    ]
    return _errors(stimulus, exact, rounded)


def _values(source: Stimulus, side: Side, format: Format, affine: bool) -> np.ndarray:
    """Of a side's blocks, rounded to nearest; 0 where there is none."""
    tensors = pooled(source.layers)
    found = np.zeros(side.places.shape)
    for number in np.unique(side.tensor[side.tensor >= 0]):
        own = side.tensor == number
        values = nearest(tensors[number], format, source.coding, affine=affine)
        found[own] = np.where(side.places[own] < 0, 0, values.ravel()[side.places[own]])
    return found


def _errors(
    stimulus: DotStimulus, exact: Sequence[np.ndarray], rounded: Sequence[np.ndarray]
) -> DotErrors:
    """From the values of both sides' blocks."""
    found: dict[str, list[float]] = {letter: [] for letter in "wae"}
    for side, x, q in zip((stimulus.w, stimulus.a), exact, rounded, strict=True):
        _add_operands(found, side, x, q)
    begins = np.flatnonzero(stimulus.first) * stimulus.groups
    z, y = (np.add.reduceat((w * a).sum(axis=1), begins) for w, a in (exact, rounded))
    pairs = stimulus.w.tensor[begins] * (1 + stimulus.a.tensor.max()) + stimulus.a.tensor[begins]
    outputs = [_relative(z[pairs == pair], y[pairs == pair]) for pair in np.unique(pairs)]
    means = {letter: significant(float(np.mean(own)), 4) for letter, own in found.items()}
    return DotErrors(**means, outputs=significant(float(np.mean(outputs)), 4))


def _drawn(source: Stimulus, lanes: int, groups: int = 1, cycles: int = 1) -> DotStimulus:
    return _outputs(source.seed, source.layers, lanes, groups, cycles)


@functools.lru_cache(maxsize=8)
def _outputs(
    seed: int, layers: tuple[Layer, ...], lanes: int, groups: int, cycles: int
) -> DotStimulus:
    """Whole outputs; which ones, no coding decides."""
    shape = {"lanes": lanes, "groups": groups, "cycles": cycles}
    return build(PRODUCTS // (lanes * groups), seed, layers, **shape)


def _add_operands(
    found: Mapping[str, list[float]], side: Side, exact: np.ndarray, rounded: np.ndarray
) -> None:
    """Errors of the tensors of a side, by letter."""
    for number in np.unique(side.tensor[side.tensor >= 0]):
        own = side.tensor == number
        found["wae"[number % 3]].append(_relative(exact[own], rounded[own]))


def _relative(exact: np.ndarray, rounded: np.ndarray) -> float:
    return float(np.sqrt(((rounded - exact) ** 2).sum() / (exact**2).sum()))
