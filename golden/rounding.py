"""The words R that decide how a number is rounded (docs/numerics.md section 3, step 4)."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .floats import check_integers, check_range, check_unmasked
from .spec import Rounding

Words = npt.NDArray[np.unsignedinteger]
WordSource = Callable[[int], int | Words]
"""The next so many words in C order, in one dimension; one integer where all are the same."""

# Generators that give 32 bits as the lower, then the upper half of the next 64.
_HALVING = (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)


def random_words(rng: np.random.Generator, shape: tuple[int, ...], random_bits: int) -> Words:
    """The words R that `quantize(..., rng=rng)` uses: uniform in [0, 2^random_bits), C order.

    Bytes of `rng`, little endian, 1 a word up to 8 bits, else 2; the upper `random_bits` of each.
    """
    return _drawn(rng, shape, random_bits)(math.prod(shape)).reshape(shape)


def rounding_words(
    shape: tuple[int, ...],
    rule: Rounding,
    random_bits: int,
    rng: np.random.Generator | None,
    random: npt.ArrayLike | None,
) -> int | Words:
    """R as one integer (nearest) or an array of x's shape."""
    words = word_source(shape, rule, random_bits, rng, random)(math.prod(shape))
    return words if isinstance(words, int) else words.reshape(shape)


def word_source(
    shape: tuple[int, ...],
    rule: Rounding,
    random_bits: int,
    rng: np.random.Generator | None,
    random: npt.ArrayLike | None,
) -> WordSource:
    """R of an x of `shape` piece by piece, drawn as they are asked for.

    Raises: TypeError, ValueError.
    """
    if random is None:
        if rule is Rounding.NEAREST:
            return lambda count: 1 << (random_bits - 1)
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator, not {rng!r}")
        return _drawn(rng or np.random.default_rng(), shape, random_bits)
    if rule is Rounding.NEAREST:
        raise ValueError("random must be None for nearest rounding, not an array")
    if rng is not None:
        raise ValueError("random must be None where rng is given, not an array")
    return _given(random, shape, random_bits)


def _drawn(
    rng: np.random.Generator, shape: tuple[int, ...], random_bits: int
) -> Callable[[int], Words]:
    """Words of `rng`; of the bytes drawn, those that no word took yet are kept.

    The bytes are `rng.bytes(n)` for all words together, which are 4 for each 32 bits drawn.
    """
    width = 1 if random_bits <= 8 else 2
    excess = np.uint8(8 * width - random_bits)
    left = -(-math.prod(shape) * width // 4) * 4
    kept = np.empty(0, np.uint8)

    def take(count: int) -> Words:
        nonlocal kept, left
        need = count * width - len(kept)
        size = min(-(-need // 8) * 8, left)
        left -= size
        drawn = _draw_bytes(rng, size)
        if len(kept):
            drawn = np.concatenate([kept, drawn])
        kept = drawn[count * width :]
        words: Words = drawn[: count * width].view(f"<u{width}")
        return words >> excess if excess else words

    return take


def _draw_bytes(rng: np.random.Generator, size: int) -> npt.NDArray[np.uint8]:
    """`rng.bytes(size)`, a multiple of 4, in a quarter of the time where 32 bits are half of 64."""
    generator = rng.bit_generator
    if not isinstance(generator, _HALVING) or generator.state["has_uint32"]:
        return np.frombuffer(rng.bytes(size), np.uint8)
    drawn = rng.integers((1 << 64) - 1, size=size // 8, dtype=np.uint64, endpoint=True)
    octets = drawn.astype("<u8", copy=False).view(np.uint8)
    if size % 8:
        octets = np.concatenate([octets, np.frombuffer(rng.bytes(4), np.uint8)])
    return octets


def _given(
    random: npt.ArrayLike, shape: tuple[int, ...], random_bits: int
) -> Callable[[int], Words]:
    """The caller's words; those of one or two bytes are neither widened nor copied."""
    largest = (1 << random_bits) - 1
    check_unmasked("random", random)
    words = np.asarray(random)
    if words.dtype not in (np.uint8, np.uint16):
        words = check_integers("random", words, 0, largest).astype(np.uint16)
    elif np.iinfo(words.dtype).max > largest:
        check_range("random", words, 0, largest)
    if words.shape != shape:
        raise ValueError(f"random must be of x's shape {shape!r}, not {words.shape!r}")
    flat = words.reshape(-1)
    taken = 0

    def take(count: int) -> Words:
        nonlocal taken
        taken += count
        return flat[taken - count : taken]

    return take
