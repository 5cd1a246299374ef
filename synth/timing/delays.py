"""Loads, slews and delays of a mapped netlist without wires: NLDM tables, worst value of every net.

Ideal clock: its edges have no slew. No wire loads: a net's load is the capacitance of its pins.
"""

import graphlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..liberty.boolean import truth_table
from ..liberty.cells import Arc, ArcKind, Sense, Table
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


@dataclass(frozen=True)
class Timing:
    """Loads (pF) and slews (ns) by net, delays by instance in topological order."""

    loads: dict[str, Edges]
    slews: dict[str, Edges]
    delays: tuple[ArcDelay, ...]


def analyse(
    netlist: Netlist,
    library: Library,
    clock_net: str | None,
    *,
    input_slew_ns: float = 0.0,
    output_load_pf: float = 0.0,
) -> Timing:
    """Propagate slews from the input ports and the clock through every arc.

    load(net, edge) = sum of the pins' capacitances for that edge + output_load_pf on output ports.
    slew(net, edge) = max over arcs of transition(slew of the causing edge, load), never below zero;
    the causing edge follows from unateness, for flops it is the clock edge.
    `clock_net` is None where all is combinational.
    Raises: LibertyError (unknown or incomplete cell); ValueError (a net with no driver or two, a
    combinational loop, a clock that is no input).
    """
    inputs = {net for nets in netlist.inputs.values() for net in nets}
    if clock_net is not None and clock_net not in inputs:
        raise ValueError(f"clock_net must be an input port's net or None, not {clock_net!r}")
    loads = _loads(netlist, library, output_load_pf)
    slews = {net: Edges(input_slew_ns, input_slew_ns) for net in inputs}
    if clock_net is not None:
        slews[clock_net] = Edges(0.0, 0.0)
    delays: list[ArcDelay] = []
    for name in _order(netlist, library, inputs):
        delays += _through(netlist.cells[name], library, loads, slews)
    return Timing(loads, slews, tuple(delays))


def _loads(netlist: Netlist, library: Library, output_load_pf: float) -> dict[str, Edges]:
    rise: dict[str, float] = {}
    fall: dict[str, float] = {}

    def add(net: str, rise_pf: float, fall_pf: float) -> None:
        rise[net] = rise.get(net, 0.0) + rise_pf
        fall[net] = fall.get(net, 0.0) + fall_pf

    for cell in netlist.cells.values():
        pins = library[cell.kind].pins
        for pin, net in cell.pins.items():
            if pin not in pins:
                raise LibertyError(f"pin of {cell.name} must be one of {cell.kind}, not {pin!r}")
            add(net, pins[pin].rise_capacitance, pins[pin].fall_capacitance)
    for nets in netlist.inputs.values():
        for net in nets:
            add(net, 0.0, 0.0)
    for nets in netlist.outputs.values():
        for net in nets:
            add(net, output_load_pf, output_load_pf)
    return {net: Edges(rise[net], fall[net]) for net in rise if net not in CONSTANT_NETS}


def _order(netlist: Netlist, library: Library, inputs: set[str]) -> list[str]:
    """Instances, each after those that drive the pins its arcs start from."""
    drivers: dict[str, str] = dict.fromkeys(inputs, "")
    for cell in netlist.cells.values():
        for pin in library[cell.kind].outputs:
            net = cell.pins.get(pin.name)
            if net is not None and drivers.setdefault(net, cell.name) != cell.name:
                raise ValueError(
                    f"net {net} must have one driver, not {drivers[net]} and {cell.name}"
                )
    before: dict[str, list[str]] = {}
    for cell in netlist.cells.values():
        liberty = library[cell.kind]
        for pin in liberty.inputs:
            net = cell.pins.get(pin.name)
            if net is None or (net not in drivers and net not in CONSTANT_NETS):
                raise ValueError(f"pin {pin.name} of {cell.name} must have a driver, but has none")
        # No sets, whose order differs from process to process.
        related = dict.fromkeys(arc.related for pin in liberty.outputs for arc in pin.arcs)
        driving = dict.fromkeys(drivers.get(cell.pins[pin], "") for pin in related)
        before[cell.name] = [name for name in driving if name]
    try:
        return list(graphlib.TopologicalSorter(before).static_order())
    except graphlib.CycleError as error:
        loop = " -> ".join(error.args[1])
        raise ValueError(f"the netlist must have no combinational loop, not {loop}") from None


def _through(
    cell: Cell, library: Library, loads: Mapping[str, Edges], slews: dict[str, Edges]
) -> list[ArcDelay]:
    """Delays of one instance; puts the slews of its output nets into `slews`."""
    constants = {pin: CONSTANT_NETS[net] for pin, net in cell.pins.items() if net in CONSTANT_NETS}
    delays: list[ArcDelay] = []
    for pin in library[cell.kind].outputs:
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
        slews[net] = Edges(worst_rise, worst_fall)
        delays += found.values()
    return delays


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
