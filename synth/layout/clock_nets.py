"""The nets of a clock that has no tree yet: the port's, and those behind clock gates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..liberty.cells import LibertyCell
from ..liberty.library import Library
from ..mapping.netlist import Netlist


class Sink(NamedTuple):
    """A pin on a net of the clock."""

    instance: str
    pin: str


@dataclass(frozen=True)
class ClockNet:
    """A net of the clock and all pins that read it, sorted by name."""

    name: str
    gate: str | None
    """The clock gate that drives it, None where the port does."""
    sinks: tuple[Sink, ...]


def clock_nets(netlist: Netlist, library: Library, clock: str) -> list[ClockNet]:
    """The net of the clock port and those of the gates behind it, each after those behind its own
    gates; where nothing reads it, none.
    """
    readers = _readers(netlist, library)

    def behind(net: str, gate: str | None) -> Iterator[ClockNet]:
        sinks = tuple(readers.get(net, ()))
        for sink in sinks:
            cell = netlist.cells[sink.instance]
            output = gated(library.cells[cell.kind], sink.pin)
            if output is not None and output in cell.pins:
                yield from behind(cell.pins[output], sink.instance)
        if sinks:
            yield ClockNet(net, gate, sinks)

    return list(behind(clock, None))


def _readers(netlist: Netlist, library: Library) -> dict[str, list[Sink]]:
    """The input pins on each net, sorted by name."""
    readers: dict[str, list[Sink]] = {}
    for name, cell in sorted(netlist.cells.items()):
        for pin in library.cells[cell.kind].inputs:
            readers.setdefault(cell.pins[pin.name], []).append(Sink(name, pin.name))
    return readers


def gated(cell: LibertyCell, pin: str) -> str | None:
    """The output pin that a clock at `pin` goes on from through a clock gate, None in other
    cells.
    """
    gate = cell.clock_gate
    return gate.output if gate is not None and gate.clock == pin else None
