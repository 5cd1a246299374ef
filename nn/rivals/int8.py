"""8-bit integers of Banner et al."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ...golden.integers import affine_values, symmetric_values
from ...golden.lowering import Kind
from ...golden.quantize import Float32
from ...golden.spec import RANDOM_BITS, IntFormat, Rounding, check_int, choice
from ..arrays import Generator
from ..config import Context
from .range_norm import with_range_norms
from .values import ValuesConfig, one_of, rounding

_SCHEMES = {"affine": affine_values, "symmetric": symmetric_values}


@dataclass(frozen=True, kw_only=True)
class Int8Config(ValuesConfig):
    """INT8 training with a precise path to the weights: W and A of 8 bits, E of 8 bits for the
    input gradient and of 16 for the weight gradient ("gradients bifurcation"), Range BN.

    Of the paper: gemmlowp's affine scheme, bifurcation, rounding of gradients that is stochastic
    (of W and A it is to nearest), Range BN. Not: 8 bits inside Range BN and at its gradient, codes
    of biases; nor what the authors' code has, scales by channel of W and means over samples of the
    extremes of A and E, instead of which the tensor's own extremes count.

    Parameters:
        bits, grad_bits: 2..16, of all operands but one, and of E in A*E.
        scheme: "affine" (`golden.quantize_affine`) or "symmetric" (`golden.quantize_symmetric`).
        norm: "range" puts `RangeBatchNorm2d` in place of `nn.BatchNorm2d`, "batch" leaves it.
        rounding: of E: "stochastic" or "nearest"; random_bits: 1..16, of stochastic rounding.
    Raises: TypeError, ValueError.
    Source: R. Banner, I. Hubara, E. Hoffer, D. Soudry, "Scalable methods for 8-bit training of
    neural networks", NeurIPS 2018.
    """

    separate: ClassVar[frozenset[str]] = frozenset("e")

    bits: int = 8
    grad_bits: int = 16
    scheme: str = "affine"
    norm: str = "range"
    rounding: Rounding | str = Rounding.STOCHASTIC
    random_bits: int = RANDOM_BITS

    def __post_init__(self) -> None:
        for name in ("bits", "grad_bits"):
            check_int(name, getattr(self, name), 2, 16)
        check_int("random_bits", self.random_bits, 1, 16)
        one_of("scheme", tuple(_SCHEMES), self.scheme)
        one_of("norm", ("range", "batch"), self.norm)
        choice("rounding", Rounding, self.rounding)

    def values(self, x: Float32, letter: str, kind: Kind, context: Context) -> Float32:
        """By `scheme`; stochastic for E alone."""
        format = IntFormat(self.grad_bits if letter == "e" and kind is Kind.AE else self.bits)
        rule = Rounding(self.rounding) if letter == "e" else Rounding.NEAREST
        return _SCHEMES[self.scheme](x, format, **rounding(x, rule, self.random_bits, context))

    def prepare(self, model: nn.Module, generator: Generator = None) -> nn.Module:
        """The model with INT8 layers, and Range BN where `norm` says so."""
        model = super().prepare(model, generator)
        return with_range_norms(model) if self.norm == "range" else model
