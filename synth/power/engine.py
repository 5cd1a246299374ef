"""Power of a mapped netlist from the activity of its nets and the tables of a Liberty file.

Three parts an instance, in watts, with D(p) the toggles of pin p per second (both edges), U(p) its
share of time at 1, C the load in pF (the larger of rise and fall), V the supply:

- switching: sum over output pins of 0.5 C V^2 D.
- internal, output z: D(z) * sum(w E) / sum(w) over the energy groups of each supply, with E the
  mean of the energies of a rise and a fall, each at the slew of the edge of the related pin r that
  causes it, and w = D(r) P(dz/dr) if r is in z's function, else D(r) P(when), else D(r) / 2.
- internal, input p (data and clock of what stores too): sum of D(p) * P(when) * (rise + fall) / 2.
- leakage: sum of the states' watts times P(when), the rest of the time at the cell's own value.

No instance drives the input ports and the clock: their 0.5 C V^2 D is in `PowerResult.nets`.
Source: Liberty User Guide (internal_power, leakage_power); the weights are OpenSTA's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..liberty.boolean import Bits
from ..liberty.cells import EnergyGroup, LibertyCell, Pin, Sense
from ..liberty.library import LibertyError, Library
from ..mapping.netlist import CONSTANT_NETS, Cell, Netlist
from ..timing.clock_network import ClockNetwork, clock_network
from ..timing.delays import Edges, Timing
from .states import (
    OPENSTA,
    OWN,
    Activity,
    Array,
    Conventions,
    DefaultGroups,
    IndependentPins,
    Instances,
    OutputPins,
    Shares,
    TiedPins,
    follows_state,
)

__all__ = [
    "OPENSTA",
    "Activity",
    "Conventions",
    "DefaultGroups",
    "InstancePower",
    "OutputPins",
    "PowerResult",
    "Shares",
    "TiedPins",
    "batch_joules",
    "evaluate",
]


class InstancePower(NamedTuple):
    """Watts; also of a group of instances."""

    internal: float
    switching: float
    leakage: float

    @property
    def total(self) -> float:
        """Sum of the three, W."""
        return self.internal + self.switching + self.leakage


@dataclass(frozen=True)
class PowerResult:
    """Watts by instance, and of the nets that no instance drives (input ports, the clock).

    Members:
        flops: the instances that are; clock: what is before them.
        toggling: all but leakage by the net whose toggles cause it: of the pins on it, and of its
            load.
    """

    instances: dict[str, InstancePower]
    nets: dict[str, float]
    flops: frozenset[str]
    clock: ClockNetwork
    toggling: dict[str, float]

    def of(self, names: Iterable[str]) -> InstancePower:
        """Sum over the instances named."""
        rows = [self.instances[name] for name in names]
        # fsum, so that the order of a set's names does not matter.
        return InstancePower(*(math.fsum(row[part] for row in rows) for part in range(3)))

    def below(self, prefix: str) -> InstancePower:
        """Sum over the instances whose names begin with `prefix`, such as `stage.`.

        Raises: ValueError if there are none.
        """
        names = [name for name in self.instances if name.startswith(prefix)]
        if not names:
            raise ValueError(f"prefix must begin the name of an instance, not {prefix!r}")
        return self.of(names)

    @cached_property
    def sequential(self) -> InstancePower:
        """Sum over the flops."""
        return self.of(self.flops)

    @cached_property
    def clocking(self) -> InstancePower:
        """Sum over the cells between the clocks' ports and the flops; those ports' nets are in
        `nets`.
        """
        return self.of(self.clock.cells)

    @cached_property
    def combinational(self) -> InstancePower:
        """Sum over all other instances."""
        return self.of(self.instances.keys() - self.flops - self.clock.cells)

    @cached_property
    def total(self) -> float:
        """Everything, the nets without driver included, W."""
        return self.of(self.instances).total + sum(self.nets.values())


def batch_joules(power: PowerResult, nets: Sequence[str], toggles: Array, seconds: Array) -> Array:
    """Energy of parts of the simulation that `power` is of; `seconds` each takes.

    toggles (part, net) of `nets`; each toggle of a net costs what it does on average over all.
    """
    counts = toggles.sum(axis=0)
    watts = np.array([power.toggling.get(net, 0.0) for net in nets])
    joules = seconds.sum() * np.divide(watts, counts, out=np.zeros(len(nets)), where=counts != 0)
    return toggles @ joules + seconds * power.of(power.instances).leakage


def evaluate(
    netlist: Netlist,
    library: Library,
    timing: Timing,
    activity: Mapping[str, Activity],
    *,
    clock_net: str | None,
    conventions: Conventions = OWN,
    shares: Shares | None = None,
) -> PowerResult:
    """Power of every instance; `activity` holds every net, the clock included.

    `clock_net` is None where all is combinational. A flop output without loads may lack activity
    where the flop's other output has it. `shares` says how often cells are in each state; the
    default is the pins' duties, taken as independent.
    Raises: ValueError naming the nets without activity; LibertyError.
    """
    kinds: dict[str, list[Cell]] = {}
    for cell in netlist.cells.values():
        kinds.setdefault(cell.kind, []).append(cell)
    pin_nets = {kind: _pin_nets(cells, library[kind]) for kind, cells in kinds.items()}
    known = dict(activity)
    _add_constants(known, clock_net, conventions.tied)
    for kind, columns in pin_nets.items():
        _complete(columns, library[kind], known)
    _check(known, [_inputs(netlist), *(n for c in pin_nets.values() for n in c.values())])
    around = _Around(
        rates={net: own.toggles_per_s for net, own in known.items()},
        duties={net: own.duty for net, own in known.items()},
        rises={net: slew.rise for net, slew in timing.slews.items()},
        falls={net: slew.fall for net, slew in timing.slews.items()},
        loads=timing.loads,
    )
    nets = {
        net: _net_watts(timing.loads[net], library.volts, known[net]) for net in _inputs(netlist)
    }
    powers: dict[str, InstancePower] = {}
    toggling = dict(nets)
    for kind, cells in kinds.items():
        names = [cell.name for cell in cells]
        instances = _instances(library[kind], names, pin_nets[kind], around, conventions)
        pins, leakage = _parts(instances, library.volts, shares or IndependentPins())
        none = np.zeros(len(cells))
        internal, switching = (
            np.sum([none, *(pin[part] for pin in pins.values())], axis=0) for part in range(2)
        )
        rows = map(InstancePower, internal.tolist(), switching.tolist(), leakage.tolist())
        powers.update(zip(names, rows, strict=True))
        for pin, (own, load) in pins.items():
            for net, watts in zip(pin_nets[kind][pin], (own + load).tolist(), strict=True):
                toggling[net] = toggling.get(net, 0.0) + watts
    flops = frozenset(c.name for c in netlist.cells.values() if library[c.kind].flop)
    return PowerResult(
        instances={name: powers[name] for name in netlist.cells},
        nets=nets,
        flops=flops,
        clock=clock_network(netlist, library),
        toggling=toggling,
    )


def _inputs(netlist: Netlist) -> list[str]:
    return [net for nets in netlist.inputs.values() for net in nets]


_PinNets = Mapping[str, list[str]]
"""The nets of a pin in all instances of a cell, by pin."""


def _pin_nets(cells: list[Cell], liberty: LibertyCell) -> _PinNets:
    """An output left open is a net of its own."""
    return {
        pin.name: [cell.pins.get(pin.name, f"{cell.name}/{pin.name}") for cell in cells]
        for pin in (*liberty.inputs, *liberty.outputs)
    }


_STILL = Activity(0.0, 0.0)


def _add_constants(known: dict[str, Activity], clock_net: str | None, tied: TiedPins) -> None:
    """Add the activity of constants."""
    clock = known.get(clock_net, _STILL) if clock_net else _STILL
    for net, value in CONSTANT_NETS.items():
        constant = tied is TiedPins.CONSTANT
        known[net] = Activity(0.0, value) if constant else Activity(clock.toggles_per_s / 20, 0.5)


def _check(known: Mapping[str, Activity], wanted: Iterable[list[str]]) -> None:
    """Raise ValueError where a net has no activity."""
    missing = sorted({net for nets in wanted for net in nets if net not in known})
    if missing:
        raise ValueError(f"activity must hold every net, but lacks {', '.join(missing)}")


def _net_watts(load: Edges, volts: float, activity: Activity) -> float:
    return 0.5 * max(load) * 1e-12 * volts**2 * activity.toggles_per_s


def _complete(nets: _PinNets, liberty: LibertyCell, known: dict[str, Activity]) -> None:
    """Add the activity of outputs that follows from the cell alone: ties, a flop's other output."""
    for pin in liberty.outputs:
        if pin.function is None:
            continue
        for place, net in enumerate(nets[pin.name]):
            if net in known:
                continue
            if not pin.function.pins:
                known[net] = Activity(0.0, float(pin.function.evaluate({})))
            for other in liberty.outputs if liberty.flop else ():
                twin = known.get(nets[other.name][place])
                if twin is not None:
                    same = follows_state(liberty, pin) is follows_state(liberty, other)
                    duty = twin.duty if same else 1.0 - twin.duty
                    known[net] = Activity(twin.toggles_per_s, duty)


@dataclass(frozen=True)
class _Around:
    """What nets bring to instances: toggles per second, duties, slews (none: a constant), loads."""

    rates: Mapping[str, float]
    duties: Mapping[str, float]
    rises: Mapping[str, float]
    falls: Mapping[str, float]
    loads: Mapping[str, Edges]


def _instances(
    cell: LibertyCell, names: list[str], nets: _PinNets, around: _Around, conventions: Conventions
) -> Instances:
    """Gather the columns of all instances of a cell."""

    def column(values: Mapping[str, float], pin: str) -> Array:
        return np.array([values.get(net, 0.0) for net in nets[pin]])

    def load(pin: Pin) -> Array:
        own = Edges(pin.rise_capacitance, pin.fall_capacitance)
        return np.array([max(around.loads.get(net, own)) for net in nets[pin.name]])

    return Instances(
        cell=cell,
        names=names,
        toggles={pin: column(around.rates, pin) for pin in nets},
        duty={pin: column(around.duties, pin) for pin in nets},
        rise_slew={pin.name: column(around.rises, pin.name) for pin in cell.inputs},
        fall_slew={pin.name: column(around.falls, pin.name) for pin in cell.inputs},
        load={pin.name: load(pin) for pin in cell.outputs},
        conventions=conventions,
    )


def _parts(
    instances: Instances, volts: float, shares: Shares
) -> tuple[dict[str, tuple[Array, Array]], Array]:
    """By pin the internal and the switching watts of its toggles; leakage."""
    at_toggles = {pin: shares.at_toggles(instances, pin) for pin in instances.rise_slew}
    none = np.zeros(len(instances.names))
    pins = {}
    for pin in instances.cell.inputs:
        pins[pin.name] = _input_watts(pin, instances, at_toggles[pin.name]), none
    for pin in instances.cell.outputs:
        toggles = instances.toggles[pin.name]
        internal = 1e-12 * _output_energy(pin, instances, at_toggles) * toggles
        pins[pin.name] = internal, 0.5e-12 * volts**2 * instances.load[pin.name] * toggles
    return pins, _leakage(instances, shares.of_time(instances))


def _leakage(instances: Instances, of_time: Array) -> Array:
    watts, rest = np.zeros(len(instances.names)), np.ones(len(instances.names))
    for state in instances.cell.leakage:
        share = _share(state.when.evaluate(instances.table), of_time)
        watts += state.watts * share
        rest -= share
    return watts + np.maximum(rest, 0.0) * (instances.cell.leakage_watts or 0.0)


def _share(rows: Bits, shares: Array) -> Array:
    """Sum of the shares of the rows that are true, by instance."""
    return np.broadcast_to(rows, len(shares)).astype(float) @ shares


def _input_watts(pin: Pin, instances: Instances, at_toggles: Array) -> Array:
    energy = np.zeros(len(instances.names))
    for group in pin.energies:
        own = _energy(group, pin.name, Sense.POSITIVE, instances, np.zeros(1))
        energy += own * _share(instances.condition(group, pin), at_toggles)
    return 1e-12 * energy * instances.toggles[pin.name]


def _output_energy(pin: Pin, instances: Instances, at_toggles: Mapping[str, Array]) -> Array:
    """Mean energy of a toggle of an output, pJ: the groups' weighted mean, summed over supplies."""
    count = len(instances.names)
    weights: dict[str | None, Array] = {}
    energies: dict[str | None, Array] = {}
    for group in pin.energies:
        related = group.related
        if related is None:
            raise LibertyError(
                f"internal_power of {pin.name} of {instances.cell.name} must have a related_pin"
            )
        if pin.function is not None and related in pin.function.pins:
            difference = pin.function.difference(related, instances.table)
            share = _share(difference, at_toggles[related])
        elif group.when is not None:
            share = _share(group.when.evaluate(instances.table), at_toggles[related])
        else:
            share = np.full(count, 0.5)
        sense = next((arc.sense for arc in pin.arcs if arc.related == related), Sense.POSITIVE)
        weight = instances.toggles[related] * share
        energy = weight * _energy(group, related, sense, instances, instances.load[pin.name])
        weights[group.supply] = weights.get(group.supply, 0.0) + weight
        energies[group.supply] = energies.get(group.supply, 0.0) + energy
    total = np.zeros(count)
    for supply, weight in weights.items():
        # Where no related pin can cause a toggle there is none.
        total += np.divide(energies[supply], weight, out=np.zeros(count), where=weight != 0.0)
    return total


def _energy(
    group: EnergyGroup, related: str, sense: Sense, instances: Instances, load: Array
) -> Array:
    """Mean energy of a rise and a fall, pJ, each at the slew of the edge that causes it."""
    slews = instances.rise_slew[related], instances.fall_slew[related]
    rise_slew, fall_slew = slews[::-1] if sense is Sense.NEGATIVE else slews
    return (group.rise.each(rise_slew, load) + group.fall.each(fall_slew, load)) / 2
