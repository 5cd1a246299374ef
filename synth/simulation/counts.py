"""What a simulation counts of a circuit, and how often its cells are in each of their states.

`power.evaluate` takes the duties of a cell's pins as independent unless it is given shares; these
are exact for one simulation: correlated inputs, conditions on a flop's state at its clock edges.
Pins of a cell that toggle at the same time leave the state before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..power.states import Activity, Array, Instances, OutputPins
from .circuit import Circuit


@dataclass(frozen=True, eq=False)
class Counts:
    """In a window of time, all in ticks.

    Members:
        toggles: by batch and net. high: time at 1, by net. cells: by cell the time in each state,
            then by input pin its toggles that left each state; places as `Circuit.counts_start`.
    """

    toggles: NDArray[np.int64]
    high: NDArray[np.int64]
    cells: NDArray[np.int64]

    @classmethod
    def none(cls, circuit: Circuit, batches: int) -> "Counts":
        """Of nothing yet."""
        nets = len(circuit.nets)
        return cls(
            np.zeros((batches, nets), np.int64),
            np.zeros(nets, np.int64),
            np.zeros(circuit.counts_start[-1], np.int64),
        )

    def activity(self, circuit: Circuit, duration: int, step_s: float) -> dict[str, Activity]:
        """Of every net, over `duration` ticks of `step_s` seconds."""
        rates = self.toggles.sum(axis=0) / (duration * step_s)
        duties = self.high / duration
        columns = zip(circuit.nets, rates.tolist(), duties.tolist(), strict=True)
        return {net: Activity(rate, duty) for net, rate, duty in columns}


@dataclass(frozen=True)
class CountedShares:
    """Shares of time and of toggles in each state; rows as in `Instances.table`.

    Only for `OutputPins.FOLLOW_FUNCTION`: outputs are no part of a state. `names` of the instances
    of each kind, `time` of theirs (state, instance), `toggles` (pin, state, instance).
    """

    names: Mapping[str, list[str]]
    time: Mapping[str, Array]
    toggles: Mapping[str, Array]

    @classmethod
    def of(cls, circuit: Circuit, counts: Counts) -> "CountedShares":
        """Of what was counted."""
        names, time, toggles = {}, {}, {}
        every = np.array(list(circuit.netlist.cells), dtype=object)
        for number, kind in enumerate(circuit.kinds):
            cells = np.flatnonzero(circuit.kind == number)
            states, pins = 1 << kind.bits, len(kind.pins)
            name = kind.cell.name
            names[name] = every[cells].tolist()
            places = circuit.counts_start[cells][:, np.newaxis] + np.arange((1 + pins) * states)
            own = counts.cells[places].reshape(len(cells), 1 + pins, states).transpose(1, 2, 0)
            time[name], toggles[name] = own[0].astype(float), own[1:].astype(float)
        return cls(names, time, toggles)

    def of_time(self, instances: Instances) -> Array:
        """Share of time."""
        return self._shares(instances, self.time[instances.cell.name])

    def at_toggles(self, instances: Instances, pin: str) -> Array:
        """Share of the toggles of an input pin, by the state before; 0 if it never toggles."""
        place = [own.name for own in instances.cell.inputs].index(pin)
        return self._shares(instances, self.toggles[instances.cell.name][place])

    def _shares(self, instances: Instances, counts: Array) -> Array:
        if instances.conventions.outputs is not OutputPins.FOLLOW_FUNCTION:
            raise ValueError("counted shares must be used with outputs that follow their function")
        if instances.names != self.names[instances.cell.name]:
            raise ValueError("counted shares must be of the same netlist, but are of another")
        total = counts.sum(axis=0)
        return counts / np.where(total == 0.0, 1.0, total)
