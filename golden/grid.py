"""Numbers of fewer mantissa bits by float arithmetic alone: the values that the codes of small
floating-point formats have, without the codes. For training, where values are all that is wanted.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Floats = Float32 | npt.NDArray[np.float64]

# Exponent field and mantissa bits by the type's size in bytes.
_FIELDS: dict[int, tuple[Any, int, int]] = {
    4: (np.int32, 0x7F80 << 16, 23),
    8: (np.int64, 0x7FF0 << 48, 52),
}
# Magnitudes that every step below is exact for in float32, none of them subnormal.
_SMALLEST, _LARGEST = 2.0**-96, 2.0**96


def largest_magnitude(x: Float32, axis: int | tuple[int, ...] | None = None) -> Float32:
    """max |x| over `axis` (None: all), which stays as an axis of one index; 0 of no element, not
    finite where an element is not.
    """
    most = x.max(axis=axis, initial=0, keepdims=True)
    least = x.min(axis=axis, initial=0, keepdims=True)
    return np.maximum(np.abs(most), np.abs(least))


def working(x: Float32, peak: Floats) -> Floats:
    """`x`, or as float64 where float32 would not do for the functions below: by the largest
    magnitudes of its parts, zeros aside.
    """
    used = peak[peak > 0]
    narrow = used.size == 0 or (used.min() >= _SMALLEST and used.max() <= _LARGEST)
    return x if narrow else x.astype(np.float64)


def round_nearest(x: Floats, lowest: Any, man_bits: int) -> Floats:
    """The number of `man_bits` mantissa bits nearest to each x, ties to even; a zero keeps x's
    sign.

    With `p = max(2^floor(log2|x|), lowest)` the numbers are multiples of `p * 2^-man_bits`. Adding
    `1.5 * 2^(digits - man_bits) * p`, an even multiple, leaves a sum whose last digit is just that
    (|x| < 2 p is at most a quarter of what was added), so that the addition rounds; taking it off
    again is exact.

    Parameters: `lowest`: the smallest normal number, a power of two, broadcasting; `man_bits`: at
    least 3 fewer than x's type has.
    """
    added = _binade(x, lowest)
    added *= 1.5 * 2.0 ** (_FIELDS[x.itemsize][2] - man_bits)
    result = x + added
    result -= added
    return np.copysign(result, x, out=result)


def round_stochastic(x: Floats, lowest: Any, man_bits: int, words: Any, random_bits: int) -> Floats:
    """One of the two such numbers around each x: the one away from zero where `floor(t * 2^k) + R
    >= 2^k`, t being how far x lies from the other, 0 to 1; k = `random_bits`, R = `words`.

    All is exact: x over a power of two, at most `man_bits + 1 + k` bits after the floor.
    """
    step = _binade(x, lowest)
    step *= 2.0**-man_bits
    result = np.abs(x)
    result /= step
    add_and_floor(result, words, random_bits)
    result *= step
    return np.copysign(result, x, out=result)


def add_and_floor(steps: Floats, words: Any, random_bits: int) -> None:
    """`steps = (floor(steps * 2^k) + words) >> k`, in place; exact where it fits the type."""
    steps *= 1 << random_bits
    np.floor(steps, out=steps)
    steps += words
    steps *= 2.0**-random_bits
    np.floor(steps, out=steps)


def _binade(x: Floats, lowest: Any) -> Floats:
    """`2^floor(log2|x|)`, at least `lowest`."""
    kind, field, _ = _FIELDS[x.itemsize]
    power: Floats = (x.view(kind) & kind(field)).view(x.dtype)
    return np.maximum(power, np.asarray(lowest, x.dtype), out=power)
