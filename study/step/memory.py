"""What a training step moves to and from memory, and what that takes.

Every operation reads each tensor once and writes it once, whatever it does with it meanwhile; what
can stand behind another operation (activation function, addition of a shortcut) does.
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

from ...data.networks import Convolution, Network
from ...support.errors import UserError
from .systems import Codes

FLOAT = 32
SOURCE = "Horowitz, ISSCC 2014, 45 nm, accesses of 64 bits"
PJ_PER_64_BITS = {"sram-8k": 10, "sram-32k": 20, "sram-1m": 100, "dram": 1300}
"""Horowitz's caches, and the lower end of his DRAM (1.3 to 2.6 nJ)."""


class Passes(enum.Enum):
    """How tensors are quantized."""

    TWO = "two passes"
    """Float32 is read for the maxima, and again to encode."""
    ONE = "one pass"
    """With the tensor scale of the step before, float32 is read once."""
    FUSED = "one pass, fused"
    """The same behind what makes the tensor: activations and errors are written as codes alone, but
    where a shortcut adds or a float32 layer reads them.
    """

    @property
    def reads(self) -> int:
        """Of float32, by the quantizer."""
        return {Passes.TWO: 2, Passes.ONE: 1, Passes.FUSED: 0}[self]


@dataclass(frozen=True)
class Traffic:
    """Bits moved, a sample, by tensor; `z`: outputs of convolutions, `g`: gradients and update."""

    w: float
    a: float
    z: float
    e: float
    g: float

    @property
    def total(self) -> float:
        """Of all."""
        return math.fsum(vars(self).values())


def pj_per_bit(text: str) -> tuple[float, str]:
    """The energy of a bit that a user gives, as a number or as a name, and where it is from.

    Raises: UserError.
    """
    if text in PJ_PER_64_BITS:
        return PJ_PER_64_BITS[text] / 64, f"{text}: {SOURCE}"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e6:
        names = ", ".join(PJ_PER_64_BITS)
        raise UserError(
            f"--memory-pj-per-bit must be a number from 0, or one of {names}, not {text!r}"
        )
    return value, "given"


def traffic(network: Network, batch: int, codes: Codes | None, passes: Passes) -> Traffic:
    """Of a step; `codes`: None where nothing is quantized."""
    bits = _Bits(codes)
    inner, first, last = network.quantized, network.convolutions[0], network.classifier
    read = [layer for layer in inner if not layer.shortcut]
    added, inputs = FLOAT * network.added, FLOAT * sum(layer.inputs for layer in inner)
    made = FLOAT * sum(layer.outputs for layer in network.layers)
    normalized = FLOAT * network.normalized
    is_fused = codes is not None and passes is Passes.FUSED
    floats = 0 if codes is None else FLOAT * passes.reads
    # Codes are read by two convolutions. What updates weights is not what quantizes them.
    weights = math.fsum(bits.moves * bits.w(layer) for layer in inner)
    weights += (floats or (FLOAT if is_fused else 0)) * sum(layer.weights for layer in inner)
    activations = math.fsum((bits.moves - 2) * bits.a(layer) for layer in read)
    activations += 2 * math.fsum(bits.a(layer) for layer in inner)
    activations += floats * sum(layer.inputs for layer in read)
    errors = math.fsum(bits.moves * bits.e(layer) + floats * layer.outputs for layer in inner)
    return Traffic(
        w=(FLOAT * (first.weights + 2 * last.weights) + weights) / batch,
        # Float32 layers read theirs twice, shortcuts once; written by batch normalization.
        a=2 * FLOAT * (first.inputs + last.inputs)
        + activations
        + added
        + (added + FLOAT * last.inputs if is_fused else made),
        # Written once; read for the sums and to normalize, forward and backward.
        z=FLOAT * sum(layer.outputs for layer in network.layers) + 4 * normalized,
        # Those of inputs, written by W*E; read for the sums and to make those of outputs.
        e=inputs
        + FLOAT * (last.inputs + first.outputs)
        + 2 * normalized
        + added
        + errors
        + (FLOAT * first.outputs if is_fused else made),
        g=6 * FLOAT * network.weights / batch,  # written; read with w and v, which are written
    )


def held_bits(network: Network) -> int:
    """Float32 of the largest plane that is quantized: one pass holds a group for its maximum."""
    sizes = [
        size for layer in network.quantized for size in (layer.size * layer.stride, layer.size)
    ]
    return FLOAT * max(sizes) ** 2


@dataclass(frozen=True)
class _Bits:
    """Bits of a tensor's codes and scales, a layer."""

    codes: Codes | None

    @property
    def moves(self) -> int:
        """How often it is written and read; blocks lie otherwise for the other convolution, and
        float32 is there.
        """
        if self.codes is None:
            return 2
        return 4 if self.codes.block else 3

    def w(self, layer: Convolution) -> float:
        return self._of(layer.weights, layer.kernels)

    def a(self, layer: Convolution) -> float:
        return self._of(layer.inputs, layer.in_channels)

    def e(self, layer: Convolution) -> float:
        return self._of(layer.outputs, layer.out_channels)

    def _of(self, elements: int, groups: int) -> float:
        if self.codes is None:
            return FLOAT * elements
        scales = elements / self.codes.block if self.codes.block else groups
        return self.codes.element * elements + self.codes.scale * scales


SHOWN: Mapping[str, tuple[Codes | None, tuple[Passes, ...]]] = {
    "FP32": (None, (Passes.TWO,)),
    "FP8": (Codes(8), (Passes.ONE, Passes.FUSED)),
    "MLS <2,4>": (Codes(7, 9), tuple(Passes)),
    "MLS <2,1>": (Codes(4, 9), tuple(Passes)),
}
"""Formats whose traffic is shown, with the ways to quantize; FP8's scale needs no pass."""
