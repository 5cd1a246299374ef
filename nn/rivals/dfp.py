"""Dynamic fixed point of Su et al."""

from dataclasses import dataclass

from torch import Tensor

from ...golden.integers import fixed_point_values
from ...golden.lowering import Kind
from ...golden.quantize import Float32
from ...golden.spec import RANDOM_BITS, IntFormat, Rounding, check_int, choice
from .. import device
from ..arrays import device_words
from ..config import Context
from .values import ValuesConfig, rounding


@dataclass(frozen=True, kw_only=True)
class DfpConfig(ValuesConfig):
    """Dynamic fixed point: W, A and E as integers times a power of two that a tensor shares.

    Of the paper: the format and stochastic rounding. Not: its choice of exponents, instead of which
    the smallest counts that saturates nothing (`golden.quantize_fixed_point`); fixed point of
    updates, batch norm and accumulators.

    Parameters:
        bits: 2..16, sign included.
        rounding: "stochastic" or "nearest"; random_bits: 1..16, of stochastic rounding.
    Raises: TypeError, ValueError.
    Source: Su et al. 2020, as of docs/baselines.md; docs/numerics.md section 12.
    """

    bits: int = 8
    rounding: Rounding | str = Rounding.STOCHASTIC
    random_bits: int = RANDOM_BITS

    def __post_init__(self) -> None:
        check_int("bits", self.bits, 2, 16)
        check_int("random_bits", self.random_bits, 1, 16)
        choice("rounding", Rounding, self.rounding)

    def values(self, x: Float32, letter: str, kind: Kind, context: Context) -> Float32:
        """By `golden.quantize_fixed_point`."""
        words = rounding(x, Rounding(self.rounding), self.random_bits, context)
        return fixed_point_values(x, IntFormat(self.bits), **words)

    def on_device(self, x: Tensor, letter: str, kind: Kind, context: Context) -> Tensor:
        """By torch's operators, the same bits for the same words."""
        words = None
        if Rounding(self.rounding) is Rounding.STOCHASTIC and context.training:
            words = device_words(x, self.random_bits, context.generator)
        return device.fixed_point_values(x, IntFormat(self.bits), self.random_bits, words)
