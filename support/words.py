"""How a port carries codes: one word a step, the lanes of an array side by side."""

from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
"""Codes of a port, an entry a step. Wider than 64 bits they are Python's integers (object)."""

_CHUNK = 1 << 10
"""Steps at a time: every bit is an integer for a while."""


def words(codes: npt.NDArray[Any], width: int) -> list[int]:
    """A port's word at each step.

    Parameters:
        codes: integers, (T,), or (T, lanes) for an array of equal lanes; negative ones in two's
            complement; Python's own (object) where they are wider than 64 bits.
        width: bits of the port, the lanes' widths together; lane 0 comes lowest.
    Raises: ValueError where the lanes do not share the width, or a lane does not hold a code.
    """
    check_words(codes, width)
    result = []
    for first in range(0, len(codes), _CHUNK):
        packed = np.packbits(bits(codes[first : first + _CHUNK], width), axis=1, bitorder="little")
        result += [int.from_bytes(row.tobytes(), "little") for row in packed]
    return result


def check_words(codes: npt.NDArray[Any], width: int) -> None:
    """Raise ValueError, as `words` does, where codes do not fit their port."""
    lanes = codes.reshape(len(codes), -1)
    size, rest = divmod(width, lanes.shape[1])
    if rest or not size:
        raise ValueError(f"width must be a multiple of {lanes.shape[1]} lanes, not {width!r}")
    low, high = int(codes.min()), int(codes.max())
    if low < -(1 << (size - 1)) or high >= 1 << size:
        raise ValueError(f"codes must fit in {size} bits, not {low}..{high}")


def bits(codes: npt.NDArray[Any], width: int) -> npt.NDArray[np.uint8]:
    """A port's bits at each step, (T, width), least significant first; parameters as `words`, whose
    rules the codes must meet.
    """
    lanes = codes.reshape(len(codes), -1)
    size = width // lanes.shape[1]
    if lanes.dtype == object:  # Python's integers
        length = -(-size // 8)
        every = (1 << size) - 1
        data = b"".join((code & every).to_bytes(length, "little") for code in lanes.ravel())
        octets = np.frombuffer(data, np.uint8).reshape(*lanes.shape, length)
        unpacked = np.unpackbits(octets, axis=2, bitorder="little")[:, :, :size]
        return unpacked.reshape(len(lanes), width)
    # Bits beyond the 64th are copies of the sign.
    places = np.minimum(np.arange(size), 63)
    each = lanes.astype(np.int64)[:, :, None] >> places & 1
    return each.astype(np.uint8).reshape(len(lanes), width)
