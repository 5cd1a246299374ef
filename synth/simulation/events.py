"""How often cells are in each state, counted event by event: the reference for independent pins.

`power.evaluate` takes the duties of a cell's pins as independent unless it is given shares; these
are exact for one simulation: correlated inputs, conditions on a flop's state at its clock edges.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..liberty.cells import LibertyCell
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Cell, Netlist
from ..power.states import Activity, Array, Instances, OutputPins, follows_state


@dataclass(frozen=True)
class CountedShares:
    """Shares of time and of toggles in each state; rows as in `Instances.table`.

    Only for `OutputPins.FOLLOW_FUNCTION`: outputs are no part of a state.
    """

    time: dict[str, Array]
    """Time in each state, by instance."""
    toggles: dict[tuple[str, str], Array]
    """Toggles of an input pin that leave each state, by instance and pin."""

    def of_time(self, instances: Instances) -> Array:
        """Share of time."""
        return self._shares(instances, [self.time[name] for name in instances.names])

    def at_toggles(self, instances: Instances, pin: str) -> Array:
        """Share of the toggles of an input pin, by the state before; 0 if it never toggles."""
        return self._shares(instances, [self.toggles[name, pin] for name in instances.names])

    def _shares(self, instances: Instances, counts: list[Array]) -> Array:
        if instances.conventions.outputs is not OutputPins.FOLLOW_FUNCTION:
            raise ValueError("counted shares must be used with outputs that follow their function")
        columns = np.array(counts, dtype=float).T
        total = columns.sum(axis=0)
        return columns / np.where(total == 0.0, 1.0, total)


class _Counter:
    """State of one instance: an integer with bit i for variable i of its cell."""

    def __init__(self, cell: Cell, liberty: LibertyCell, values: Mapping[str, bool]) -> None:
        self.pins = [pin.name for pin in liberty.inputs]
        self.bits = [(cell.pins[pin], False) for pin in self.pins]
        if liberty.flop:
            output = next(pin for pin in liberty.outputs if pin.name in cell.pins)
            self.bits.append((cell.pins[output.name], not follows_state(liberty, output)))
        levels = (values[net] ^ inverted for net, inverted in self.bits)
        self.state = sum(level << i for i, level in enumerate(levels))
        self.since = 0
        self.time = np.zeros(1 << len(self.bits), dtype=np.int64)
        self.toggles = np.zeros((len(self.pins), 1 << len(self.bits)), dtype=np.int64)

    def stay(self, now: int) -> None:
        """Count the time since the last change."""
        self.time[self.state] += now - self.since
        self.since = now

    def flip(self, bit: int, now: int) -> None:
        """A variable toggles."""
        self.stay(now)
        if bit < len(self.pins):
            self.toggles[bit, self.state] += 1
        self.state ^= 1 << bit


class _Level:
    """Value of one net, its toggles, and its time at 1 up to the last toggle."""

    def __init__(self, value: bool) -> None:
        self.value, self.toggles, self.high, self.since = value, 0, 0, 0

    def write(self, value: bool, now: int) -> bool:
        """Whether the net toggles."""
        if value == self.value:
            return False
        self.high += (now - self.since) * self.value
        self.toggles += 1
        self.value, self.since = value, now
        return True

    def activity(self, duration: int, step_s: float) -> Activity:
        """Over the whole simulation."""
        high = self.high + (duration - self.since) * self.value
        return Activity(self.toggles / (duration * step_s), high / duration)


def count(
    netlist: Netlist,
    library: Library,
    initial: Mapping[str, bool],
    changes: Iterable[tuple[int, str, bool]],
    duration: int,
    *,
    step_s: float,
) -> tuple[dict[str, Activity], CountedShares]:
    """Activity and shares of a simulation of `duration` time steps of `step_s` seconds.

    `initial` holds every net at time 0, `changes` (time, net, value) in order of time and, within a
    time, of cause; writing a net's own value again is no toggle.
    Raises: ValueError (a net without initial value, time that runs backwards or beyond the end).
    """
    nets = {net for cell in netlist.cells.values() for net in cell.pins.values()}
    nets.update(net for port in netlist.inputs.values() for net in port)
    values = {**initial, **{net: bool(bit) for net, bit in CONSTANT_NETS.items()}}
    if missing := sorted(nets - values.keys()):
        raise ValueError(f"initial must hold every net, but lacks {', '.join(missing)}")
    counters: dict[str, _Counter] = {}
    readers: dict[str, list[tuple[_Counter, int]]] = {net: [] for net in values}
    for cell in netlist.cells.values():
        counter = counters[cell.name] = _Counter(cell, library[cell.kind], values)
        for bit, (net, _) in enumerate(counter.bits):
            readers[net].append((counter, bit))
    levels = {net: _Level(values[net]) for net in nets}
    now = 0
    for time, net, value in changes:
        if not now <= time <= duration:
            raise ValueError(f"time must be in {now}..{duration}, not {time!r}")
        now = time
        if net in levels and levels[net].write(value, time):
            for counter, bit in readers[net]:
                counter.flip(bit, time)
    for counter in counters.values():
        counter.stay(duration)
    activity = {
        net: levels[net].activity(duration, step_s) for net in sorted(nets - CONSTANT_NETS.keys())
    }
    pins = {
        (name, pin): counter.toggles[i]
        for name, counter in counters.items()
        for i, pin in enumerate(counter.pins)
    }
    return activity, CountedShares({name: c.time for name, c in counters.items()}, pins)
