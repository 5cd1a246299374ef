"""Madam: multiplicative update of weights that are kept as logarithmic codes."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...golden.grid import add_and_floor
from ...golden.quantize import Float32, Float64
from ...golden.spec import Rounding
from ..arrays import Generator, from_numpy, rounding_words, to_numpy

DECAY = 0.999
"""Of the mean of squared gradients."""

LARGEST_RATIO = 10.0
"""Of a gradient to the root of their mean square."""

LARGEST_WEIGHT = 3.0
"""Of a tensor, times the root mean square of the initial weights."""

_RANDOM_BITS = 16


class Madam(torch.optim.Optimizer):
    """LNS-Madam's update: a weight is `(-1)^s * 2^((e - 2^(bits-1)) / gamma) * scale`, and a step
    moves its exponent field,

        v = 0.999 v + 0.001 g^2,   r = clip(g / sqrt(v / (1 - 0.999^t)), -10, 10),
        e = clip(Q(e - rate * gamma * (-1)^s * r), 1, 2^(bits-1) - 1),

    Q being stochastic rounding of the change to integers (of 16 random bits) or rounding to
    nearest; r is 0 where v is. Signs and scales stay as they begin: the largest code is 3 times the
    root mean square of the initial weights, which are rounded to nearest in the logarithm and have
    no zero. What `weights` hold are the codes' values in float32; codes are the optimizer's state,
    and nothing finer is kept.

    The other parameters take stochastic gradient descent with momentum and weight decay, which
    codes do not have.

    Parameters: `weights`, `others`: parameters; `rate`: learning rate of the exponents, in octaves;
    `lr`, `momentum`, `weight_decay`: of the others; `bits`: 3..16 of a code; `gamma`: steps of an
    octave; `generator`: where random words come from.
    Raises: ValueError.
    Source: J. Zhao et al., "LNS-Madam: low-precision training in logarithmic number system using
    multiplicative weight update", 2022; J. Bernstein et al., "Learning compositional functions via
    multiplicative weight updates", 2020.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        others: Iterable[Tensor],
        *,
        rate: float,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        bits: int = 8,
        gamma: int = 8,
        rounding: Rounding = Rounding.STOCHASTIC,
        generator: Generator = None,
    ):
        if not 0 < rate < math.inf:
            raise ValueError(f"rate must be positive and finite, not {rate!r}")
        self.bits, self.gamma, self.rounding, self.generator = bits, gamma, rounding, generator
        groups = [
            {"params": list(weights), "lr": rate, "coded": True},
            {"params": list(others), "lr": lr, "momentum": momentum, "coded": False},
        ]
        defaults = {"momentum": 0.0, "weight_decay": weight_decay}
        super().__init__([group for group in groups if group["params"]], defaults)
        for group in self.param_groups:
            if group["coded"]:
                for weight in group["params"]:
                    self._encode(weight)

    @property
    def top(self) -> int:
        """The largest exponent field."""
        return (1 << (self.bits - 1)) - 1

    def values(self, codes: npt.NDArray[Any], scale: float) -> Float32:
        """Of signed exponent fields."""
        octaves = (np.abs(codes) - (self.top + 1.0)) / self.gamma
        return np.copysign(np.exp2(octaves) * scale, codes).astype(np.float32)

    @torch.no_grad()
    def _encode(self, weight: Tensor) -> None:
        """Code a weight, and put the codes' values in its place. Raises: ValueError."""
        w = to_numpy(weight).astype(np.float64)
        limit = LARGEST_WEIGHT * math.sqrt(np.square(w).mean())
        if not 0 < limit < math.inf:
            raise ValueError("weights must be finite and not all zero")
        magnitude = np.maximum(np.abs(w), limit * 2.0**-1000)
        field = self.top + np.rint(np.log2(magnitude / limit) * self.gamma)
        codes = np.copysign(np.clip(field, 1, self.top), w).astype(np.int32)
        scale = limit * 2.0 ** (1 / self.gamma)
        self.state[weight] = {
            "codes": torch.from_numpy(codes),
            "scale": scale,
            "mean_square": torch.zeros_like(weight),
            "step": 0,
        }
        weight.copy_(from_numpy(self.values(codes, scale)))

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._multiply if group["coded"] else self._add
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, self.state[parameter], group)
        return loss

    def _multiply(
        self, weight: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        state["step"] += 1
        square = state["mean_square"]
        square.mul_(DECAY).addcmul_(grad, grad, value=1 - DECAY)
        # A checkpoint that was read has floats, which hold the integers.
        codes = state["codes"].numpy().astype(np.int32)
        root = np.sqrt(to_numpy(square).astype(np.float64) / (1 - DECAY ** state["step"]))
        ratio = np.divide(to_numpy(grad), root, where=root > 0, out=np.zeros(root.shape))
        np.clip(ratio, -LARGEST_RATIO, LARGEST_RATIO, out=ratio)
        change = self._rounded(ratio * np.sign(codes) * (-group["lr"] * self.gamma))
        field = np.clip(np.abs(codes) + change, 1, self.top)
        codes = np.copysign(field, codes).astype(np.int32)
        state["codes"] = torch.from_numpy(codes)
        weight.copy_(from_numpy(self.values(codes, state["scale"])))

    def _rounded(self, change: Float64) -> Float64:
        """As integers."""
        if self.rounding is Rounding.NEAREST:
            return np.rint(change)
        words = rounding_words(change, _RANDOM_BITS, self.generator)
        add_and_floor(change, words, _RANDOM_BITS)
        return change

    @staticmethod
    def _add(parameter: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """`b = momentum * b + (g + decay * p)`, `p = p - lr * b`; b begins as its addend."""
        direction = grad.add(parameter, alpha=group["weight_decay"])
        if "buffer" in state:
            direction = state["buffer"].mul_(group["momentum"]).add_(direction)
        elif group["momentum"]:
            state["buffer"] = direction
        parameter.sub_(direction, alpha=group["lr"])
