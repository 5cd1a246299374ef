"""How the operands of a layer's three products are coded and multiplied: what a number format is to
training.
"""

import abc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..golden.lowering import Kind
from .arrays import Generator
from .products import Products

LETTERS = "wae"
"""Weights, activations, errors (gradients of the loss by a layer's output)."""


class Config(abc.ABC):
    """A number format in training.

    A layer codes W and A for its output, E for the two gradients (Algorithm 2 of the MLS paper),
    and has the codes multiplied; gradients pass straight through the coding.

    Members: `separate`: the letters of operands that are coded anew for each product they are part
    of (each is part of two); the others share their codes.
    """

    separate: ClassVar[frozenset[str]] = frozenset()

    @abc.abstractmethod
    def code(self, x: Tensor, letter: str, kind: Kind, context: "Context") -> Any:
        """What `multiply` takes for `x`, a tensor of rank 4.

        Parameters: `letter`: of `LETTERS`; `kind`: the product that it is coded for.
        Raises: FloatingPointError for values that are not finite.
        """

    def multiply(self, kind: Kind, products: Products, left: Any, right: Any) -> Tensor:
        """One of the three products of coded operands, in the order of the letters of `kind`;
        unless a class says otherwise in float32.
        """
        return products.multiply(kind, left, right)

    def check(self, products: Products) -> None:  # noqa: B027 - most formats multiply any layer
        """Raises: ValueError for a layer that this format has no arithmetic for."""

    def prepare(self, model: nn.Module, generator: Generator = None) -> nn.Module:
        """The model in this format: `convert`, and what else its source changes."""
        from .convert import convert

        return convert(model, self, generator=generator)

    def optimizer(
        self, model: nn.Module, *, lr: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """What trains the model: stochastic gradient descent, unless a class says otherwise."""
        return torch.optim.SGD(
            model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay
        )


@dataclass(frozen=True)
class Context:
    """What coding depends on beside the tensor.

    Members: `generator`: where random words come from; `training`: whether the layer trains, or
    evaluates, which rounds to nearest; `tensor_scale`: that of the step before, None: the tensor's
    own; `name`: of the layer, for errors.
    """

    generator: Generator
    training: bool
    tensor_scale: np.float32 | None = None
    name: str = ""

    @contextmanager
    def refusals(self, letter: str) -> Iterator[None]:
        """What golden refuses of an operand is its values: FloatingPointError, which says where."""
        try:
            yield
        except ValueError as error:
            raise FloatingPointError(f"{self.name or 'layer'}, {letter}: {error}") from None


class Float32Config(Config):
    """The baseline: operands as they are."""

    def code(self, x: Tensor, letter: str, kind: Kind, context: Context) -> Tensor:
        """`x` itself."""
        return x

    def prepare(self, model: nn.Module, generator: Generator = None) -> nn.Module:
        """The model as it is."""
        return model
