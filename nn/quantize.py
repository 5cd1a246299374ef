"""`quantize`: one tensor in an MLS format, as values and as codes."""

from dataclasses import dataclass

from torch import Tensor

from ..golden.quantize import MlsTensor
from .arrays import Generator, from_numpy
from .config import LETTERS, Context
from .mls import MlsConfig


@dataclass(frozen=True, eq=False)
class Quantized:
    """Members: `values`: float32, what the codes stand for, rounded once; `codes`."""

    values: Tensor
    codes: MlsTensor


def quantize(
    x: Tensor, config: MlsConfig, *, operand: str = "a", generator: Generator = None
) -> Quantized:
    """`golden.quantize` of a tensor on the CPU, as a layer that trains codes it.

    Parameters:
        x: float32, finite; of rank 4 for groups "nc" of planes.
        config: whose format of `operand`, "w", "a" or "e", counts.
        generator: source of the random words: torch's (None: the default one), or NumPy's, whose
            words are those of `golden.quantize(..., rng=generator)`.
    Raises: TypeError, ValueError; FloatingPointError for values that are not finite.
    """
    if not isinstance(config, MlsConfig):
        raise TypeError(f"config must be an MlsConfig, not {config!r}")
    if not isinstance(operand, str) or operand not in tuple(LETTERS):
        raise ValueError(f"operand must be one of {', '.join(LETTERS)}, not {operand!r}")
    codes = config.tensor(x, operand, Context(generator, training=True, name="x"))
    return Quantized(from_numpy(codes.dequantize()), codes)
