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

_RAW_BYTES = 8


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

    Of a NumPy generator: `golden.random_words`. Of torch's: the raw bits of an SFC64 that it
    seeds with 63 bits, which is faster than drawing all words there; little endian, 1 byte a word
    up to 8 bits, else 2; the upper `random_bits` of each; in the order of x's memory.
    """
    if isinstance(generator, np.random.Generator):
        return random_words(generator, x.shape, random_bits)
    seed = _seed(generator)
    width = 1 if random_bits <= 8 else 2
    raw = np.random.SFC64(seed).random_raw(-(-x.size * width // _RAW_BYTES))
    words: npt.NDArray[np.unsignedinteger] = raw.astype("<u8", copy=False).view(f"<u{width}")
    words = words[: x.size]
    if random_bits < 8 * width:
        words >>= np.uint8(8 * width - random_bits)
    if x.flags.c_contiguous or x.ndim != 4:
        return words.reshape(x.shape)
    n, c, h, w = x.shape
    return words.reshape(n, h, w, c).transpose(0, 3, 1, 2)


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
