"""What formats share whose operands are float32 values that golden rounds."""

import abc
from typing import Any

from torch import Tensor

from ...golden.lowering import Kind
from ...golden.quantize import Float32
from ...golden.spec import Rounding
from ..arrays import from_numpy, rounding_words, to_numpy
from ..config import Config, Context


class ValuesConfig(Config):
    """A format whose codes are never needed: the values they have are multiplied in float32."""

    def code(self, x: Tensor, letter: str, kind: Kind, context: Context) -> Tensor:
        """The values of `x`'s codes. Raises: FloatingPointError."""
        with context.refusals(letter):
            if x.device.type != "cpu":
                return self.on_device(x, letter, kind, context)
            return from_numpy(self.values(to_numpy(x), letter, kind, context))

    @abc.abstractmethod
    def values(self, x: Float32, letter: str, kind: Kind, context: Context) -> Float32:
        """As golden has them. Raises: ValueError for values that are not finite."""

    def on_device(self, x: Tensor, letter: str, kind: Kind, context: Context) -> Tensor:
        """The same of a tensor on another device; by way of the CPU, unless a class has more."""
        return from_numpy(self.values(to_numpy(x), letter, kind, context)).to(x.device)


def rounding(x: Float32, rule: Rounding, random_bits: int, context: Context) -> dict[str, Any]:
    """Arguments of golden's quantizers. Words are drawn where rounding is stochastic and the layer
    trains; one that evaluates rounds to nearest.
    """
    if rule is Rounding.NEAREST or not context.training:
        return {"rounding": Rounding.NEAREST, "random_bits": random_bits}
    words = rounding_words(x, random_bits, context.generator)
    return {"rounding": rule, "random_bits": random_bits, "random": words}


def one_of(name: str, allowed: tuple[str, ...], value: object) -> None:
    """Raise ValueError unless `value` is one of the words `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r}")
