"""Logarithmic numbers of LNS-Madam."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from ...golden.lns import lns_values
from ...golden.lowering import Kind
from ...golden.quantize import Float32
from ...golden.spec import LnsFormat, Rounding, check_int, choice
from ..config import Context
from ..convert import quantized_layers
from .madam import Madam
from .values import ValuesConfig, one_of


@dataclass(frozen=True, kw_only=True)
class LnsConfig(ValuesConfig):
    """LNS-Madam: W, A and E as a sign and a logarithm in steps of 1/gamma, and weights that are
    updated as such.

    Of the paper: the numbers, nearest in the logarithm, of a tensor's or for W of an output
    channel's largest magnitude downwards; Madam's update of exponents. Not: logarithmic weight
    gradients; the conversion of products by table and its sums (`golden.lns_mac` has them), which
    here are float32; codes for first and last layer, where `convert` leaves those out. Zero has a
    code here, and a magnitude below half a step under the smallest number becomes it.

    Biases, parameters of batch norm and the layers that are not converted are trained by stochastic
    gradient descent, in float32.

    Parameters:
        bits: 3..9 of a code, sign included; gamma: steps of an octave, 2, 4, 8 or 16, fewer than
            half of a code's exponent fields.
        scale: "tensor", or "channel": each output channel's weights have their own.
        update: "madam": `Madam`, codes of weights without a float copy; "sgd": float32 weights.
        update_bits: `bits`..16 of a weight's code in `Madam`, whose steps an octave are `gamma *
            2^(update_bits - bits)`: the same range; None: `bits`, while the paper's results have 16
            bits, and 10 at least.
        update_rate: `Madam`'s learning rate in octaves; the paper's is 2^-7.
        update_rounding: of exponents in `Madam`: "stochastic" or "nearest".
    Raises: TypeError, ValueError.
    Source: as of `Madam`.
    """

    bits: int = 8
    gamma: int = 8
    scale: str = "tensor"
    update: str = "madam"
    update_bits: int | None = None
    update_rate: float | str = 2.0**-7
    update_rounding: Rounding | str = Rounding.STOCHASTIC

    def __post_init__(self) -> None:
        check_int("bits", self.bits, 3, 9)
        check_int("gamma", self.gamma, 2, 16)
        if self.gamma.bit_count() != 1:
            raise ValueError(f"gamma must be a power of two, not {self.gamma!r}")
        self.format  # noqa: B018  checks the two together
        if self.update_bits is not None:
            check_int("update_bits", self.update_bits, self.bits, 16)
        one_of("scale", ("tensor", "channel"), self.scale)
        one_of("update", ("madam", "sgd"), self.update)
        choice("update_rounding", Rounding, self.update_rounding)
        object.__setattr__(self, "update_rate", _rate(self.update_rate))

    @property
    def format(self) -> LnsFormat:
        """Of W, A and E."""
        return LnsFormat(self.bits - 1, self.gamma.bit_length() - 1)

    def values(self, x: Float32, letter: str, kind: Kind, context: Context) -> Float32:
        """By the encoding of docs/numerics.md section 13."""
        axis = 0 if letter == "w" and self.scale == "channel" else None
        return lns_values(x, self.format, axis=axis)

    def optimizer(
        self, model: nn.Module, *, lr: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """`Madam` of the converted layers' weights, or stochastic gradient descent.

        Raises: ValueError for a model without such layers.
        """
        if self.update == "sgd":
            return super().optimizer(model, lr=lr, momentum=momentum, weight_decay=weight_decay)
        bits = self.bits if self.update_bits is None else self.update_bits
        layers = list(quantized_layers(model).values())
        if not layers:
            raise ValueError("model must have a converted layer for update 'madam'")
        weights = {id(layer.weight): layer.weight for layer in layers}
        others = [p for p in model.parameters() if id(p) not in weights]
        return Madam(
            weights.values(),  # type: ignore[arg-type]
            others,
            rate=float(self.update_rate),
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            bits=bits,
            gamma=self.gamma << (bits - self.bits),
            rounding=Rounding(self.update_rounding),
            generator=layers[0].generator,
        )


def _rate(value: float | str) -> float:
    """A positive number. Raises: ValueError."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise ValueError(f"update_rate must be a positive number, not {value!r}")
    return rate
