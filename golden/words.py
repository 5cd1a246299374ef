"""How a port carries codes: one word a step, the lanes of an array side by side."""

from typing import Any

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 10
"""Steps at a time: every bit is an integer for a while."""


def words(codes: npt.NDArray[Any], width: int) -> list[int]:
    """A port's word at each step.

    Parameters:
        codes: integers, (T,), or (T, lanes) for an array of equal lanes; negative ones in two's
            complement.
        width: bits of the port, the lanes' widths together; lane 0 comes lowest.
    Raises: ValueError where the lanes do not share the width, or a lane does not hold a code.
    """
    lanes = codes.reshape(len(codes), -1)
    size, rest = divmod(width, lanes.shape[1])
    if rest or not size:
        raise ValueError(f"width must be a multiple of {lanes.shape[1]} lanes, not {width!r}")
    low, high = int(codes.min()), int(codes.max())
    if low < -(1 << (size - 1)) or high >= 1 << size:
        raise ValueError(f"codes must fit in {size} bits, not {low}..{high}")
    # Bits beyond the 64th are copies of the sign.
    places = np.minimum(np.arange(size), 63)
    result = []
    for first in range(0, len(lanes), _CHUNK):
        part = lanes[first : first + _CHUNK].astype(np.int64)
        bits = (part[:, :, None] >> places & 1).astype(np.uint8).reshape(len(part), width)
        packed = np.packbits(bits, axis=1, bitorder="little")
        result += [int.from_bytes(row.tobytes(), "little") for row in packed]
    return result
