"""Random words of a linear feedback shift register, bit-exact (docs/numerics.md section 12)."""

import numpy as np
import numpy.typing as npt

from .spec import LFSR_BITS, MAX_LANES, MAX_RANDOM_BITS, RANDOM_BITS, check_int

_LAGS = (25, 26, 30, 32)
"""The output bits satisfy o[n] = o[n-25] ^ o[n-26] ^ o[n-30] ^ o[n-32]."""

_LANE_STRIDE = 2654435769
"""Steps from a lane's seed to the next one's: 2^32 over the golden ratio."""


def lfsr_words(
    count: int, *, lanes: int = 1, random_bits: int = RANDOM_BITS, seed: int = 1
) -> npt.NDArray[np.int64]:
    """The first `count` words of each lane, shape (count, lanes), in [0, 2^random_bits).

    Lane i begins with `lane_seed(seed, i)`. Word t has the output bits `k t` to `k t + k - 1`, the
    first one lowest, k being `random_bits`: no bit is used twice.

    Parameters: `count` 1..2^31; `lanes` 1..1024; `random_bits` 1..24; `seed` 1..2^32 - 1.
    Raises: TypeError, ValueError.
    """
    check_int("count", count, 1, 1 << 31)
    check_int("lanes", lanes, 1, MAX_LANES)
    check_int("random_bits", random_bits, 1, MAX_RANDOM_BITS)
    seeds = np.array([lane_seed(seed, lane) for lane in range(lanes)])
    bits = _output_bits(seeds, count * random_bits)
    places = np.arange(random_bits)[:, np.newaxis]
    return (bits.reshape(count, random_bits, lanes).astype(np.int64) << places).sum(axis=1)


def lane_seed(seed: int, lane: int) -> int:
    """State that lane `lane` begins with: `seed` after `lane * 2654435769` steps, never zero.

    All lanes run through the one sequence of 2^32 - 1 states, each in a place of its own.
    Raises: TypeError, ValueError.
    """
    check_int("seed", seed, 1, (1 << LFSR_BITS) - 1)
    check_int("lane", lane, 0, MAX_LANES - 1)
    # A step's matrix over GF(2) by columns: what each bit of the state becomes.
    step = [(1 << 31 | 1 << 29 | 1 << 25 | 1 << 24), *(1 << bit for bit in range(31))]
    steps = lane * _LANE_STRIDE
    while steps:
        if steps & 1:
            seed = _apply(step, seed)
        step = [_apply(step, column) for column in step]
        steps >>= 1
    return seed


def _apply(columns: list[int], vector: int) -> int:
    result = 0
    for bit, column in enumerate(columns):
        if vector >> bit & 1:
            result ^= column
    return result


def _output_bits(seeds: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.uint8]:
    """The first `count` output bits of each seed, (count, lanes).

    Squaring a polynomial over GF(2) doubles its exponents: the recurrence holds with all lags times
    2^j too, so ever longer pieces follow at once.
    """
    bits = np.zeros((max(count, LFSR_BITS), len(seeds)), np.uint8)
    for n in range(LFSR_BITS):
        bits[n] = seeds >> n & 1
        for lag in _LAGS:
            if n >= lag:
                bits[n] ^= bits[n - lag]
    done, scale = LFSR_BITS, 1
    while done < count:
        while 2 * scale * LFSR_BITS <= done:
            scale *= 2
        end = min(done + scale * _LAGS[0], count)
        for lag in _LAGS:
            bits[done:end] ^= bits[done - scale * lag : end - scale * lag]
        done = end
    return bits[:count]
