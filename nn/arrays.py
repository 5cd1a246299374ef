"""Tensors to NumPy and back, and the random words of stochastic rounding."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..golden import random_words
from ..golden.quantize import Float32

Generator = torch.Generator | np.random.Generator | None
"""Where random words come from; None: torch's default generator."""


def to_numpy(x: Tensor) -> Float32:
    """`x` with its channels first or last in memory, as it has them; shares memory where it can."""
    x = x.detach().cpu()
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    return (x if dense else x.contiguous()).numpy()


def from_numpy(x: npt.NDArray[Any]) -> Tensor:
    """A float32 tensor; shares memory where it can."""
    return torch.from_numpy(np.asarray(x, dtype=np.float32))


def rounding_words(
    x: npt.NDArray[Any], random_bits: int, generator: Generator
) -> npt.NDArray[np.unsignedinteger]:
    """Words R of `random_bits` bits for `golden.quantize` of `x`.

    They are `golden.random_words`: of a NumPy generator itself, or of an SFC64 that torch's seeds
    with 63 bits, in the order of x's memory; drawing all words from torch's takes longer.
    """
    if isinstance(generator, np.random.Generator):
        return random_words(generator, x.shape, random_bits)
    drawn = np.random.Generator(np.random.SFC64(_seed(generator)))
    if x.flags.c_contiguous or x.ndim != 4:
        return random_words(drawn, x.shape, random_bits)
    n, c, h, w = x.shape
    return random_words(drawn, (n, h, w, c), random_bits).transpose(0, 3, 1, 2)


def device_words(x: Tensor, random_bits: int, generator: Generator) -> Tensor:
    """The same of a generator on the device of `x`, which `generator` seeds: other words than on
    the CPU.
    """
    own = torch.Generator(x.device).manual_seed(_seed(generator))
    kind = torch.uint8 if random_bits <= 8 else torch.int32
    return torch.randint(1 << random_bits, x.shape, generator=own, dtype=kind, device=x.device)


def _seed(generator: Generator) -> int:
    if isinstance(generator, np.random.Generator):
        return int(generator.integers((1 << 63) - 1))
    return int(torch.randint((1 << 63) - 1, (1,), generator=generator))
