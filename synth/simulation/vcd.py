"""Activity of nets from a VCD stream: toggles and duty in a window of time, in bounded memory.

Only scalars are read, which is what a flat netlist of single-bit nets dumps. A simulator writes a
net again after a pulse of no width, with the value it had: only a change from 0 to 1 or back is a
toggle.
Source: IEEE Std 1364-2005, clause 18.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 8 << 20
_UNKNOWN = 2
_NEWLINE, _HASH, _DOLLAR, _ZERO, _ONE = b"\n#$01"
_RADIX = (
    95  # identifier characters are ! to ~, so each counts 1..94 and no two identifiers get one code
)


class VcdError(ValueError):
    """Not a VCD of scalars, or cut off."""


@dataclass(frozen=True)
class NetActivity:
    """Per net, in the order of `names`: `toggles` in the window, `duty` its share of time at 1,
    `unknown` whether it was X or Z at any time of the window; `changes`, where they were kept: net
    index, time and value of every one up to the end, in the dump's order.
    """

    names: list[str]
    toggles: NDArray[np.int64]
    duty: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    changes: tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]] | None


def activity(stream: BinaryIO, start: int, end: int, *, keep: bool = False) -> NetActivity:
    """Toggles and duty of every net in `start` <= time < `end`, times in the dump's own unit.

    `keep` keeps the changes too, 13 bytes each.
    Raises: VcdError (a vector or real net, an unknown identifier, no net at all, a stream that ends
    before `end`).
    """
    names, codes, rest = _header(stream)
    counter = _Counter(codes, start, end, keep)
    for chunk in _whole_lines(stream, rest):
        counter.feed(np.frombuffer(chunk, dtype=np.uint8))
    if counter.time < end:
        raise VcdError(
            f"the dump must reach time {end}, not {counter.time}: did the simulation stop early?"
        )
    return counter.result(names)


def _header(stream: BinaryIO) -> tuple[list[str], NDArray[np.int64], bytes]:
    """Net names, their identifiers' codes, and what was read beyond the definitions."""
    text = b""
    while (at := text.find(b"$enddefinitions $end")) < 0:
        if not (more := stream.read(1 << 16)):
            raise VcdError(
                "the dump must contain $enddefinitions, but does not: did the simulation start?"
            )
        text += more
    names, codes = [], []
    for width, code, name in re.findall(rb"\$var\s+\w+\s+(\d+)\s+(\S+)\s+(.*?)\s+\$end", text[:at]):
        if width != b"1":
            raise VcdError(f"net {name.decode()} must have one bit, not {width.decode()}")
        names.append(name.decode())
        codes.append(sum((byte - 32) * _RADIX**i for i, byte in enumerate(code)))
    if not names:
        raise VcdError("the dump must contain nets, but has none")
    return names, np.array(codes), text[at + len(b"$enddefinitions $end") :]


def _whole_lines(stream: BinaryIO, rest: bytes) -> Iterator[bytes]:
    """The stream in pieces of about CHUNK_BYTES that end with a line."""
    while more := stream.read(CHUNK_BYTES):
        piece = rest + more
        cut = piece.rfind(b"\n") + 1
        rest = piece[cut:]
        if cut:
            yield piece[:cut]
    if rest.strip():
        yield rest + b"\n"


class _Counter:
    """Running totals over the pieces of a dump; `time` is the last time seen."""

    def __init__(self, codes: NDArray[np.int64], start: int, end: int, keep: bool) -> None:
        self.time = 0
        self._keep = keep
        self._kept: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]] = []
        self._start, self._end = start, end
        self._index = np.full(int(codes.max()) + 1, -1, dtype=np.int32)
        self._index[codes] = np.arange(len(codes))
        self._value = np.full(len(codes), _UNKNOWN, dtype=np.uint8)
        self._toggles = np.zeros(len(codes), dtype=np.int64)
        # Time at 1 and at X or Z within the window, as if every net kept its value for no time;
        # `result` adds the time since the last change.
        self._high = np.zeros(len(codes))
        self._unknown = np.full(len(codes), -float(start))  # unknown from the start on

    def feed(self, buffer: NDArray[np.uint8]) -> None:
        """Count the changes of whole lines."""
        ends = np.flatnonzero(buffer == _NEWLINE)
        starts = np.concatenate(([0], ends[:-1] + 1))
        starts, ends = starts[ends > starts], ends[ends > starts]
        first = buffer[starts]
        is_time = first == _HASH
        times = _decimal(buffer, starts[is_time] + 1, ends[is_time])
        is_change = ~is_time & (first != _DOLLAR)
        time = np.concatenate(([self.time], times))[np.cumsum(is_time)[is_change]]
        net = self._nets(buffer, starts[is_change] + 1, ends[is_change])
        value = np.full(len(net), _UNKNOWN, dtype=np.uint8)
        value[first[is_change] == _ZERO] = 0
        value[first[is_change] == _ONE] = 1
        self._count(net, time, value)
        if self._keep:
            before = time < self._end
            self._kept.append((net[before], time[before], value[before]))
        if len(times):
            self.time = int(times[-1])

    def _nets(
        self, buffer: NDArray[np.uint8], at: NDArray[np.intp], ends: NDArray[np.intp]
    ) -> NDArray[np.int32]:
        """Net indices of the identifiers that begin at `at`."""
        code = np.zeros(len(at), dtype=np.int64)
        length = ends - at
        for i in range(int(length.max(initial=0))):
            inside = length > i
            code[inside] += (buffer[at[inside] + i].astype(np.int64) - 32) * _RADIX**i
        if len(code) and (code.min() < 0 or code.max() >= len(self._index)):
            _unknown_identifier()
        net = self._index[code]
        if len(net) and net.min() < 0:
            _unknown_identifier()
        return net

    def _count(
        self, net: NDArray[np.int32], time: NDArray[np.int64], value: NDArray[np.uint8]
    ) -> None:
        """Add changes, given in order of time."""
        few = len(self._value) <= 1 << 16  # NumPy sorts 16-bit keys by radix
        order = np.argsort(net.astype(np.uint16) if few else net, kind="stable")
        net, time, value = net[order], time[order], value[order]
        begins = np.ones(len(net), dtype=bool)
        begins[1:] = net[1:] != net[:-1]
        before = np.empty_like(value)
        before[1:] = value[:-1]
        before[begins] = self._value[net[begins]]
        inside = (time >= self._start) & (time < self._end)
        toggled = inside & (before != value) & (before != _UNKNOWN) & (value != _UNKNOWN)
        size = len(self._value)
        self._toggles += np.bincount(net[toggled], minlength=size)
        clipped = np.clip(time, self._start, self._end).astype(float)
        for state, total in ((1, self._high), (_UNKNOWN, self._unknown)):
            left = (before == state).astype(float) - (value == state)
            total += np.bincount(net, weights=left * clipped, minlength=size)
        last = np.ones(len(net), dtype=bool)
        last[:-1] = begins[1:]
        self._value[net[last]] = value[last]

    def result(self, names: list[str]) -> NetActivity:
        """Close the window."""
        high, unknown = (
            total + np.where(self._value == state, float(self._end), 0.0)
            for state, total in ((1, self._high), (_UNKNOWN, self._unknown))
        )
        duty = high / (self._end - self._start)
        changes = None
        if self._keep:
            net, time, kept = (np.concatenate(part) for part in zip(*self._kept, strict=True))
            changes = (net, time, kept)
        return NetActivity(names, self._toggles, duty, unknown > 0, changes)


def _decimal(
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
