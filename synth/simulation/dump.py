"""A VCD file of any nets in scopes: what is declared, and changes of the bits that one asks for.

Source: IEEE Std 1364-2005, clause 18.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .vcd import END, UNKNOWN, Changes, VcdError, definitions, lines, number, numbers, whole_times


class Variable(NamedTuple):
    """A declared net: the scopes around it, names of its bits, most significant first."""

    scope: tuple[str, ...]
    bits: tuple[str, ...]
    code: int


class Dump:
    """A VCD file: its `variables`, `step_s` seconds a unit of time, the `first` and the `last`
    time. Raises: VcdError (no VCD, no time at all), OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as stream:
            text, _ = definitions(stream)
            self._start = len(text) + len(END)
            times = [*re.finditer(rb"^#(\d+)", _ends(stream, self._start), re.MULTILINE)]
        self.variables = list(_variables(text))
        scale = re.search(rb"\$timescale\s+(\d+)\s*([munpf]?)s\s+\$end", text)
        if not times or not scale:
            raise VcdError(f"{path.name} must have a timescale and times, but lacks one")
        self.step_s = int(scale[1]) * _UNITS[scale[2]]
        self.first, self.last = int(times[0][1]), int(times[-1][1])

    def changes(self, wanted: Mapping[int, Sequence[int]]) -> Iterator[Changes]:
        """Changes of the nets with these codes, by the numbers of their bits, most significant
        first; -1: of no interest.
        """
        single = {code: bits[0] for code, bits in wanted.items() if len(bits) == 1}
        index = np.full(max(single, default=0) + 2, -1, dtype=np.int32)
        index[list(single)] = list(single.values())
        with self._path.open("rb") as stream:
            stream.seek(self._start)
            last = 0
            for chunk in whole_times(stream, b""):
                changes, last = _changes(chunk, last, index, wanted)
                yield changes


_UNITS = {b"": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9, b"p": 1e-12, b"f": 1e-15}


def _ends(stream: BinaryIO, start: int) -> bytes:
    """Both ends of what stands from `start` on, as long as they must be to have a time each."""
    size, length = stream.seek(0, os.SEEK_END), 1 << 16
    while True:
        stream.seek(start)
        head = stream.read(length)
        if length >= size - start:
            return head
        stream.seek(size - length)
        tail = stream.read()
        if b"\n#" in head and b"\n#" in tail:
            return head[: head.rfind(b"\n")] + tail[tail.find(b"\n") :]
        length *= 4


_DEFINITION = re.compile(
    rb"\$scope\s+\w+\s+(?P<scope>\S+)\s+\$end"
    rb"|(?P<end>\$upscope)\s+\$end"
    rb"|\$var\s+(?P<kind>\w+)\s+(?P<width>\d+)\s+(?P<code>\S+)\s+(?P<name>.*?)\s+\$end"
)


def _variables(text: bytes) -> Iterator[Variable]:
    """All declared nets; no reals, events or parameters."""
    scope: list[str] = []
    for part in _DEFINITION.finditer(text):
        if part["scope"]:
            scope.append(part["scope"].decode().removeprefix("\\"))
        elif part["end"]:
            del scope[-1:]
        elif part["kind"] not in (b"real", b"realtime", b"event", b"parameter"):
            bits = _bits(part["name"].decode().removeprefix("\\"), int(part["width"]))
            yield Variable(tuple(scope), bits, number(part["code"]))


def _bits(name: str, width: int) -> tuple[str, ...]:
    """Names of a net's bits: of `acc [7:0]`, of `acc [3]`, of `acc`."""
    if found := re.fullmatch(r"(.*?)\s*\[(\d+):(\d+)\]", name):
        high, low = int(found[2]), int(found[3])
        step = -1 if high >= low else 1
        places = range(high, low + step, step)
        if len(places) == width:
            return tuple(f"{found[1]}[{place}]" for place in places)
    if width == 1:
        return (re.sub(r"\s+\[", "[", name),)
    return tuple(f"{name}[{place}]" for place in range(width - 1, -1, -1))


_ZERO, _ONE = b"01"
_SCALARS = np.frombuffer(b"01xXzZ", np.uint8)
_VECTORS = np.frombuffer(b"bB", np.uint8)
_BIT = {ord("0"): 0, ord("1"): 1}


def _changes(
    chunk: bytes, last: int, index: NDArray[np.int32], wanted: Mapping[int, Sequence[int]]
) -> tuple[Changes, int]:
    """Changes in a piece of whole times; `last`: the time before it, then its own last one."""
    buffer, starts, ends, first, is_time, times = lines(chunk, last)
    now = times[np.cumsum(is_time)]
    scalar = np.isin(first, _SCALARS)
    code = numbers(buffer, starts[scalar] + 1, ends[scalar])
    net = index[np.where((code > 0) & (code < len(index)), code, len(index) - 1)]
    value = np.where(first[scalar] == _ONE, 1, np.where(first[scalar] == _ZERO, 0, UNKNOWN))
    vectors = [
        (number, at, bit)
        for line in np.flatnonzero(np.isin(first, _VECTORS)).tolist()
        for number, at, bit in _vector(chunk[starts[line] : ends[line]], now[line], wanted)
    ]
    more = np.array(vectors, np.int64).reshape(-1, 3).T
    known = net >= 0
    nets = np.concatenate((net[known], more[0]))
    when = np.concatenate((now[scalar][known], more[1]))
    values = np.concatenate((value[known], more[2]))
    whole = Changes(nets.astype(np.int32), when.astype(np.int64), values.astype(np.uint8))
    return whole, int(times[-1])


def _vector(
    line: bytes, now: int, wanted: Mapping[int, Sequence[int]]
) -> Iterator[tuple[int, int, int]]:
    """Number, time and value of each bit of a line such as `b0101 #`."""
    digits, code = line[1:].split()
    bits = wanted.get(number(code))
    if bits is None:
        return
    fill = b"0" if digits[:1] in (b"0", b"1") else digits[:1]
    for place, digit in zip(bits, digits.rjust(len(bits), fill), strict=True):
        if place >= 0:
            yield place, now, _BIT.get(digit, UNKNOWN)
