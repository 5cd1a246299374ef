"""Quantization error of MLS tensors: the paper's Figure 3 (docs/quality.md)."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .floats import check_float32
from .quantize import Carry, Float32, Float64, Grouping, quantize
from .rounding import random_words
from .spec import RANDOM_BITS, ElementFormat, Rounding, ScaleFormat, check_int


class Coded(Protocol):
    """A tensor in codes: of MLS or of blocks."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the codes."""

    def dequantize(self) -> Float64:
        """Their values."""


@dataclass(frozen=True)
class QuantizationError:
    """What quantization does to the elements X of a tensor, Q being their dequantized codes.

    Members:
        average_relative: mean of `|Q - X| / |X|` over the elements X != 0, each counting alike.
        normalized: `sum |Q - X| / sum |X|`: large elements count more, as they do in a dot product.
        bias: `sum (|Q| - |X|) / sum |X|`: negative where magnitudes shrink.
    All are 0 for a tensor of zeros, which is exact.
    """

    average_relative: float
    normalized: float
    bias: float


def quantization_error(x: Float32, coded: Coded) -> QuantizationError:
    """The error of `coded` against the float32 tensor `x` that it was made from, in float64.

    Raises: TypeError for another kind of x, ValueError for another shape.
    """
    check_float32(x)
    if x.shape != coded.shape:
        raise ValueError(f"x must be of the codes' shape {coded.shape!r}, not {x.shape!r}")
    nonzero = x != 0  # zeros have the code 0: no error
    if not nonzero.any():
        return QuantizationError(0.0, 0.0, 0.0)
    size = np.abs(x[nonzero].astype(np.float64))
    # A code keeps the sign of its element, so magnitudes tell the error.
    change = np.abs(coded.dequantize()[nonzero]) - size
    error, total = np.abs(change), size.sum()
    return QuantizationError(
        average_relative=float((error / size).mean()),
        normalized=float(error.sum() / total),
        bias=float(change.sum() / total),
    )


@dataclass(frozen=True)
class Setting:
    """How a tensor is quantized; the members are those of `quantize`."""

    element: ElementFormat
    group: Grouping
    rounding: Rounding
    carry: Carry


SETTINGS = tuple(
    Setting(ElementFormat(exp_bits, man_bits), group, rounding, carry)
    for group, exp_bits, man_bits, rounding, carry in itertools.product(
        (Grouping.NONE, Grouping.N, Grouping.C, Grouping.NC), range(4), range(1, 7), Rounding, Carry
    )
)
"""Every grouping, `<0,1>` to `<3,6>`, both roundings, both carry rules."""


def measure_quality(
    tensors: Mapping[str, Sequence[Float32]],
    scale: ScaleFormat,
    *,
    settings: Sequence[Setting] = SETTINGS,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, dict[Setting, tuple[QuantizationError, ...]]]:
    """Errors by kind of tensor ("w", "a", "e"), setting and tensor.

    Random words: `random_words(default_rng(seed), shape, 8)`, tensor after tensor; all settings of
    a tensor have the same ones, so that settings differ by nothing else. `progress`: called with
    the kind, the tensors done and their number.
    Raises: TypeError, ValueError.
    """
    check_int("seed", seed, 0, (1 << 31) - 1)
    rng = np.random.default_rng(seed)
    total, done = sum(map(len, tensors.values())), 0
    found: dict[str, dict[Setting, tuple[QuantizationError, ...]]] = {}
    for kind, members in tensors.items():
        found[kind] = dict.fromkeys(settings, ())
        for x in members:
            words = random_words(rng, x.shape, RANDOM_BITS)
            for setting in settings:
                coded = quantize(
                    x,
                    setting.element,
                    scale,
                    group=setting.group,
                    rounding=setting.rounding,
                    carry=setting.carry,
                    random_bits=RANDOM_BITS,
                    random=words if setting.rounding is Rounding.STOCHASTIC else None,
                )
                found[kind][setting] += (quantization_error(x, coded),)
            done += 1
            progress(kind, done, total)
    return found
