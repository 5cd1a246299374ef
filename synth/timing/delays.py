"""Loads, slews and delays of a mapped netlist: NLDM tables, worst value of every net.

The clock's edges have no slew at its port. A net's load is the capacitance of its pins and of its
wire: lumped, a wire has no delay of its own.
"""

import graphlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...support.collection import no_collection
from ..liberty.boolean import truth_table
from ..liberty.cells import Arc, ArcKind, LibertyCell, Sense, Table
from ..liberty.library import LibertyError, Library
from ..mapping.netlist import CONSTANT_NETS, Cell, Netlist


class Edges(NamedTuple):
    """A quantity of a rising and of a falling edge."""

    rise: float
    fall: float


class ArcDelay(NamedTuple):
    """Delay through an instance in ns: what an SDF IOPATH says.

    `rise_ns` and `fall_ns` belong to the edge of `to_pin`, None where that edge has no arc; the
    worst of the arcs of different conditions. Tables continued below their first slew can give a
    delay slightly below zero.
    """

    instance: str
    from_pin: str
    to_pin: str
    kind: ArcKind
    sense: Sense
    rise_ns: float | None
    fall_ns: float | None

    @property
    def edges(self) -> Edges:
        """Both: one without an arc has the other's."""
        rise = self.fall_ns if self.rise_ns is None else self.rise_ns
        fall = self.rise_ns if self.fall_ns is None else self.fall_ns
        return Edges(rise or 0.0, fall or 0.0)


class Through(NamedTuple):
    """What surroundings make of an instance, and of all like it: delays, slews by output pin."""

    arcs: tuple[ArcDelay, ...]
    slews: tuple[tuple[str, Edges], ...]


_Surroundings = tuple[Edges | str | None, ...]
_Kinds = Mapping[str, LibertyCell]


@dataclass(frozen=True)
class Timing:
    """Loads (pF) and slews (ns) by net, delays by instance in topological order."""

    loads: dict[str, Edges]
    slews: dict[str, Edges]
    delays: tuple[ArcDelay, ...]


@no_collection()
def analyse(
    netlist: Netlist,
    library: Library,
    clock_net: str | None,
    *,
    wires_pf: Mapping[str, float] = {},
    input_slew_ns: float = 0.0,
    output_load_pf: float = 0.0,
) -> Timing:
    """Propagate slews from the input ports and the clock through every arc.

    load(net, edge) = sum of the pins' capacitances for that edge + wires_pf[net], nothing where it
    has none, + output_load_pf on output ports.
    slew(net, edge) = max over arcs of transition(slew of the causing edge, load), never below zero;
    the causing edge follows from unateness, for flops it is the clock edge.
    `clock_net` is None where all is combinational.
    Raises: LibertyError (unknown or incomplete cell); ValueError (a net with no driver or two, a
    combinational loop, a clock that is no input, a wire of no net).
    """
    inputs = {net for nets in netlist.inputs.values() for net in nets}
    if clock_net is not None and clock_net not in inputs:
        raise ValueError(f"clock_net must be an input port's net or None, not {clock_net!r}")
    kinds = {kind: library[kind] for kind in {cell.kind for cell in netlist.cells.values()}}
    related = {kind: _related(liberty) for kind, liberty in kinds.items()}
    loads = _loads(netlist, kinds, wires_pf, output_load_pf)
    slews = {net: Edges(input_slew_ns, input_slew_ns) for net in inputs}
    if clock_net is not None:
        slews[clock_net] = Edges(0.0, 0.0)
    delays: list[ArcDelay] = []
    known: dict[_Surroundings, Through] = {}
    for name in _order(netlist, kinds, related, inputs):
        cell = netlist.cells[name]
        around = _surroundings(cell, kinds[cell.kind], related[cell.kind], loads, slews)
        found = known.get(around)
        if found is None:
            found = known[around] = through(cell, kinds[cell.kind], loads, slews)
        for pin, worst in found.slews:
            slews[cell.pins[pin]] = worst
        delays += [ArcDelay(name, *arc[1:]) for arc in found.arcs]
    return Timing(loads, slews, tuple(delays))


def _loads(
    netlist: Netlist, kinds: _Kinds, wires_pf: Mapping[str, float], output_load_pf: float
) -> dict[str, Edges]:
    rise: dict[str, float] = {}
    fall: dict[str, float] = {}
    for cell in netlist.cells.values():
        pins = kinds[cell.kind].pins
        for name, net in cell.pins.items():
            pin = pins.get(name)
            if pin is None:
                raise LibertyError(f"pin of {cell.name} must be one of {cell.kind}, not {name!r}")
            rise[net] = rise.get(net, 0.0) + pin.rise_capacitance
            fall[net] = fall.get(net, 0.0) + pin.fall_capacitance
    for ports, load in ((netlist.inputs, 0.0), (netlist.outputs, output_load_pf)):
        for nets in ports.values():
            for net in nets:
                rise[net] = rise.get(net, 0.0) + load
                fall[net] = fall.get(net, 0.0) + load
    if unknown := sorted(wires_pf.keys() - rise.keys()):
        raise ValueError(f"wires_pf must be of nets of the netlist, not of {unknown[0]!r}")
    return {
        net: Edges(rise[net] + wire, fall[net] + wire)
        for net, wire in ((net, wires_pf.get(net, 0.0)) for net in rise)
        if net not in CONSTANT_NETS
    }


def _related(liberty: LibertyCell) -> frozenset[str]:
    """The pins that arcs start from."""
    return frozenset(arc.related for pin in liberty.outputs for arc in pin.arcs)


def _order(
    netlist: Netlist, kinds: _Kinds, related: Mapping[str, frozenset[str]], inputs: set[str]
) -> list[str]:
    """Instances, each after those that drive the pins its arcs start from."""
    drivers = _drivers(netlist, kinds, inputs)
    waits = dict.fromkeys(netlist.cells, 0)  # for how many pins that are not yet driven
    readers: dict[str, list[str]] = {}
    for name, cell in netlist.cells.items():
        for pin in related[cell.kind]:
            if driver := drivers.get(cell.pins[pin]):
                readers.setdefault(driver, []).append(name)
                waits[name] += 1
    order = [name for name, count in waits.items() if not count]
    for name in order:  # which grows
        for reader in readers.get(name, ()):
            waits[reader] -= 1
            if not waits[reader]:
                order.append(reader)
    if len(order) < len(waits):
        raise ValueError(f"the netlist must have no combinational loop, not {_loop(readers)}")
    return order


def _drivers(netlist: Netlist, kinds: _Kinds, inputs: set[str]) -> dict[str, str]:
    """The instance that drives each net, "" for an input port; every net that a pin reads has
    one.
    """
    drivers: dict[str, str] = dict.fromkeys(inputs, "")
    for name, cell in netlist.cells.items():
        for pin in kinds[cell.kind].outputs:
            net = cell.pins.get(pin.name)
            if net is not None and drivers.setdefault(net, name) != name:
                raise ValueError(f"net {net} must have one driver, not {drivers[net]} and {name}")
    for name, cell in netlist.cells.items():
        for pin in kinds[cell.kind].inputs:
            net = cell.pins.get(pin.name)
            if net is None or (net not in drivers and net not in CONSTANT_NETS):
                raise ValueError(f"pin {pin.name} of {name} must have a driver, but has none")
    return drivers


def _loop(readers: Mapping[str, list[str]]) -> str:
    """A loop among instances, as text."""
    try:
        graphlib.TopologicalSorter(readers).prepare()
    except graphlib.CycleError as error:
        # Sorted are readers before drivers.
        return " -> ".join(reversed(error.args[1]))
    return ""


def _surroundings(
    cell: Cell,
    liberty: LibertyCell,
    related: frozenset[str],
    loads: Mapping[str, Edges],
    slews: Mapping[str, Edges],
) -> _Surroundings:
    """All that the delays of an instance depend on."""
    found: list[Edges | str | None] = []
    for pin in liberty.inputs:
        net = cell.pins[pin.name]
        if net in CONSTANT_NETS:
            found.append(net)
        elif pin.name in related:
            found.append(slews[net])
        else:
            found.append(None)
    for pin in liberty.outputs:
        driven = cell.pins.get(pin.name)
        found.append(None if driven is None else loads[driven])
    return (cell.kind, *found)


def through(
    cell: Cell, liberty: LibertyCell, loads: Mapping[str, Edges], slews: Mapping[str, Edges]
) -> Through:
    """Delays of one instance, and the slews of its output pins."""
    constants = {pin: CONSTANT_NETS[net] for pin, net in cell.pins.items() if net in CONSTANT_NETS}
    arcs: list[ArcDelay] = []
    worst: list[tuple[str, Edges]] = []
    for pin in liberty.outputs:
        net = cell.pins.get(pin.name)
        if net is None:
            continue
        worst_rise = worst_fall = 0.0
        found: dict[str, ArcDelay] = {}
        for arc in pin.arcs:
            if arc.related in constants or (constants and _never(arc, constants)):
                continue
            slew = slews[cell.pins[arc.related]]
            rise_slew, fall_slew = _causes(arc, slew)
            rise, rise_transition = _edge(
                arc.cell_rise, arc.rise_transition, rise_slew, loads[net].rise
            )
            fall, fall_transition = _edge(
                arc.cell_fall, arc.fall_transition, fall_slew, loads[net].fall
            )
            worst_rise = max(worst_rise, rise_transition)
            worst_fall = max(worst_fall, fall_transition)
            delay = ArcDelay(cell.name, arc.related, pin.name, arc.kind, arc.sense, rise, fall)
            known = found.get(arc.related)
            found[arc.related] = delay if known is None else _worse(known, delay)
        worst.append((pin.name, Edges(worst_rise, worst_fall)))
        arcs += found.values()
    return Through(tuple(arcs), tuple(worst))


def _never(arc: Arc, constants: Mapping[str, int]) -> bool:
    """Whether the tied pins contradict the arc's condition."""
    if arc.when is None:
        return False
    tied = {pin: np.bool_(bit) for pin, bit in constants.items()}
    free = truth_table(sorted(arc.when.pins - tied.keys()))
    return not np.any(arc.when.evaluate({**free, **tied}))


def _causes(arc: Arc, slew: Edges) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Slews of the input edges that make the output rise, and fall."""
    rise, fall = (slew.rise,), (slew.fall,)
    if arc.kind is ArcKind.RISING_EDGE:
        return rise, rise
    if arc.kind is ArcKind.FALLING_EDGE:
        return fall, fall
    if arc.sense is Sense.POSITIVE:
        return rise, fall
    if arc.sense is Sense.NEGATIVE:
        return fall, rise
    return rise + fall, rise + fall


def _edge(
    delay: Table | None, transition: Table | None, slews: tuple[float, ...], load: float
) -> tuple[float | None, float]:
    """Worst delay (None without a table) and worst transition of an output edge."""
    worst = max(transition(slew, load) for slew in slews) if transition else 0.0
    return max(delay(slew, load) for slew in slews) if delay else None, worst


def _worse(one: ArcDelay, two: ArcDelay) -> ArcDelay:
    """Two arcs between the same pins as one."""
    sense = one.sense if one.sense is two.sense else Sense.NON_UNATE
    return one._replace(
        sense=sense,
        rise_ns=max((d.rise_ns for d in (one, two) if d.rise_ns is not None), default=None),
        fall_ns=max((d.fall_ns for d in (one, two) if d.fall_ns is not None), default=None),
    )
