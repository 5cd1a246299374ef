"""Changes of nets from a VCD stream, piece by piece in bounded memory.

Only scalars are read, which is what a flat netlist of single-bit nets dumps.
Source: IEEE Std 1364-2005, clause 18.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 8 << 20
UNKNOWN = 2
"""Value of a net that is X or Z."""

END = b"$enddefinitions $end"
"""What ends the definitions."""

_NEWLINE, _HASH, _DOLLAR, _ZERO, _ONE = b"\n#$01"
_RADIX = (
    95  # identifier characters are ! to ~, so each counts 1..94 and no two identifiers get one code
)


class VcdError(ValueError):
    """Not a VCD of scalars, or cut off."""


class Changes(NamedTuple):
    """Whole times of a dump, in its order: nets by number, times in its unit, values written, which
    may be those that the nets have.
    """

    net: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.uint8]


def read(stream: BinaryIO, end: int) -> tuple[list[str], Iterator[Changes]]:
    """Names of the nets in the order of their numbers, and all changes.

    Raises: VcdError (a vector or real net, an unknown identifier, no net at all, a stream that ends
    before the time `end`).
    """
    names, codes, rest = _header(stream)
    return names, _changes(stream, rest, codes, end)


def _header(stream: BinaryIO) -> tuple[list[str], NDArray[np.int64], bytes]:
    """Net names, their identifiers' codes, and what was read beyond the definitions."""
    text, rest = definitions(stream)
    names, codes = [], []
    for width, code, name in re.findall(rb"\$var\s+\w+\s+(\d+)\s+(\S+)\s+(.*?)\s+\$end", text):
        if width != b"1":
            raise VcdError(f"net {name.decode()} must have one bit, not {width.decode()}")
        names.append(name.decode())
        codes.append(number(code))
    if not names:
        raise VcdError("the dump must contain nets, but has none")
    return names, np.array(codes), rest


def definitions(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The text of the definitions, and what was read beyond them. Raises: VcdError."""
    text = b""
    while (at := text.find(END)) < 0:
        if not (more := stream.read(1 << 16)):
            raise VcdError(
                "the dump must contain $enddefinitions, but does not: did the simulation start?"
            )
        text += more
    return text[:at], text[at + len(END) :]


def number(code: bytes) -> int:
    """What an identifier is as a number; no two are the same."""
    return sum((byte - 32) * _RADIX**i for i, byte in enumerate(code))


def _changes(
    stream: BinaryIO, rest: bytes, codes: NDArray[np.int64], end: int
) -> Iterator[Changes]:
    index = np.full(int(codes.max()) + 1, -1, dtype=np.int32)
    index[codes] = np.arange(len(codes))
    last = 0
    for chunk in whole_times(stream, rest):
        buffer, starts, ends, first, is_time, times = lines(chunk, last)
        last = int(times[-1])
        is_change = ~is_time & (first != _DOLLAR)
        value = np.full(int(is_change.sum()), UNKNOWN, dtype=np.uint8)
        value[first[is_change] == _ZERO] = 0
        value[first[is_change] == _ONE] = 1
        net = _nets(buffer, starts[is_change] + 1, ends[is_change], index)
        yield Changes(net, times[np.cumsum(is_time)[is_change]], value)
    if last < end:
        raise VcdError(
            f"the dump must reach time {end}, not {last}: did the simulation stop early?"
        )


class Lines(NamedTuple):
    """The lines of a piece that are not empty: where they are in its `buffer`, their `first`
    bytes, whether they are times, and `times`: the one before the piece, and all in it.
    """

    buffer: NDArray[np.uint8]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    first: NDArray[np.uint8]
    is_time: NDArray[np.bool_]
    times: NDArray[np.int64]


def lines(chunk: bytes, last: int) -> Lines:
    """Of a piece behind the time `last`."""
    buffer = np.frombuffer(chunk, dtype=np.uint8)
    ends = np.flatnonzero(buffer == _NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    starts, ends = starts[ends > starts], ends[ends > starts]
    first = buffer[starts]
    is_time = first == _HASH
    times = np.concatenate(([last], decimal(buffer, starts[is_time] + 1, ends[is_time])))
    return Lines(buffer, starts, ends, first, is_time, times)


def whole_times(stream: BinaryIO, rest: bytes) -> Iterator[bytes]:
    """The stream in pieces of about CHUNK_BYTES, each time's changes in one of them."""
    while more := stream.read(CHUNK_BYTES):
        piece = rest + more
        cut = piece.rfind(b"\n#") + 1
        rest = piece[cut:]
        if cut:
            yield piece[:cut]
    if rest.strip():
        yield rest + b"\n"


def _nets(
    buffer: NDArray[np.uint8],
    at: NDArray[np.intp],
    ends: NDArray[np.intp],
    index: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Nets of the identifiers that begin at `at`; `index`: nets by code."""
    code = numbers(buffer, at, ends)
    if len(code) and (code.min() < 0 or code.max() >= len(index)):
        _unknown_identifier()
    net = index[code]
    if len(net) and net.min() < 0:
        _unknown_identifier()
    return net


def numbers(
    buffer: NDArray[np.uint8], at: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.int64]:
    """`number` of each identifier that begins at `at`."""
    code = np.zeros(len(at), dtype=np.int64)
    length = ends - at
    for i in range(int(length.max(initial=0))):
        inside = length > i
        code[inside] += (buffer[at[inside] + i].astype(np.int64) - 32) * _RADIX**i
    return code


def decimal(
    buffer: NDArray[np.uint8], at: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Integers written in decimal at `at` up to `ends`."""
    value = np.zeros(len(at), dtype=np.int64)
    length = ends - at
    for i in range(int(length.max(initial=0))):
        inside = length > i
        value[inside] = value[inside] * 10 + (buffer[at[inside] + i] - _ZERO)
    return value


def _unknown_identifier() -> NoReturn:
    raise VcdError("every value change must be of a declared scalar net, but one is not")
