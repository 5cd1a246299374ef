"""What another variant of a cell does to the power around it, and what leaving out a buffer does.

Exact as far as a slew goes: slews beyond the readers of a changed net are taken as they were.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..liberty.cells import LibertyCell, Pin, Table
from ..liberty.library import Library
from ..liberty.roles import is_buffer
from ..mapping.netlist import CONSTANT_NETS, Cell, Netlist
from ..power.engine import Activity, evaluate
from ..timing.delays import ArcDelay, Edges, Timing, analyse, through
from .variants import Variants, neighbours

Activities = Callable[[Netlist, Timing], Mapping[str, Activity]]
"""The activity of every net of a netlist with its delays: as simulated, or as assumed."""


class Change(NamedTuple):
    """Another variant for a cell, None where it is a buffer to leave out; how much more watts, and
    loads and slews above their limits, it makes; all cells that notice.
    """

    name: str
    kind: str | None
    excess: float
    watts: float
    touched: frozenset[str]


def beyond_limits(
    cell: Cell, liberty: LibertyCell, loads: Mapping[str, Edges], slews: Mapping[str, Edges]
) -> float:
    """By how much loads and slews of a cell's outputs are above their limits, as shares of these:
    the library's, of slews where it has none the end of the tables.
    """
    excess = 0.0
    for pin in liberty.outputs:
        net = cell.pins.get(pin.name)
        if net is None or net not in slews:
            continue
        if pin.max_load_pf:
            excess += max(max(loads[net]) / pin.max_load_pf - 1, 0.0)
        if limit := pin.max_slew_ns or max((t.slews[-1] for t in _tables(pin)), default=0.0):
            excess += max(max(slews[net]) / limit - 1, 0.0)
    return excess


class _Around:
    """Loads and slews that a change leads to, and the cells that drive them."""

    def __init__(self, timing: Timing) -> None:
        self.loads: ChainMap[str, Edges] = ChainMap({}, timing.loads)
        self.slews: ChainMap[str, Edges] = ChainMap({}, timing.slews)
        self.drivers: dict[str, Cell] = {}
        self.longer_ns = 0.0
        self.watts = 0.0

    def add(self, net: str, rise: float, fall: float) -> None:
        """More load."""
        load = self.loads[net]
        self.loads[net] = Edges(load.rise + rise, load.fall + fall)


class State:
    """A netlist with its timing and its power."""

    def __init__(
        self,
        netlist: Netlist,
        library: Library,
        wires_pf: Mapping[str, float],
        activity_of: Activities,
        clock_net: str | None,
    ) -> None:
        self.netlist = netlist
        self._library, self._wires = library, wires_pf
        self._activity_of, self._clock = activity_of, clock_net
        self._timing = analyse(netlist, library, clock_net, wires_pf=wires_pf)
        self._activity = activity_of(netlist, self._timing)
        power = evaluate(netlist, library, self._timing, self._activity, clock_net=clock_net)
        self._watts = {name: own.total for name, own in power.instances.items()}
        self.watts = power.total
        self._ports = {net for nets in netlist.outputs.values() for net in nets}
        self._drivers: dict[str, str] = {}
        self._readers: dict[str, list[str]] = {}
        for name, cell in netlist.cells.items():
            liberty = library[cell.kind]
            self._drivers |= {
                cell.pins[p.name]: name for p in liberty.outputs if p.name in cell.pins
            }
            for net in dict.fromkeys(cell.pins[pin.name] for pin in liberty.inputs):
                self._readers.setdefault(net, []).append(name)
        cells = netlist.cells.values()
        self.excess = self._excess(cells, self._timing.loads, self._timing.slews)
        self._arcs: dict[str, list[tuple[str, str, float]]] = {}
        for delay in self._timing.delays:
            pins = netlist.cells[delay.instance].pins
            arc = pins[delay.from_pin], pins[delay.to_pin], _worst_ns(delay)
            self._arcs.setdefault(delay.instance, []).append(arc)
        self._before, self._behind = self._paths()
        self.longest_ns = max(self._before.values(), default=0.0)

    def _paths(self) -> tuple[dict[str, float], dict[str, float]]:
        """The longest path that ends at each net, and that begins there; rises and falls alike."""
        arcs = [arc for own in self._arcs.values() for arc in own]
        before: dict[str, float] = {}
        behind: dict[str, float] = {}
        for start, end, ns in arcs:
            before[end] = max(before.get(end, 0.0), before.get(start, 0.0) + ns)
        for start, end, ns in reversed(arcs):
            behind[start] = max(behind.get(start, 0.0), behind.get(end, 0.0) + ns)
        return before, behind

    def after(self, changes: Iterable[Change]) -> "State":
        """The state that changes lead to; a wire of a buffer that is left out adds to that before
        it.
        """
        cells = dict(self.netlist.cells)
        wires = dict(self._wires)
        for name, kind, *_ in changes:
            if kind is not None:
                cells[name] = replace(cells[name], kind=kind)
                continue
            source, target = self._ends(cells.pop(name))
            wires[source] = wires.get(source, 0.0) + wires.pop(target, 0.0)
            for reader in self._readers.get(target, ()):
                pins = {pin: source if n == target else n for pin, n in cells[reader].pins.items()}
                cells[reader] = replace(cells[reader], pins=pins)
        netlist = replace(self.netlist, cells=cells)
        return State(netlist, self._library, wires, self._activity_of, self._clock)

    def changes(
        self, names: Iterable[str], variants: Variants, limit_ns: float, gain: float
    ) -> list[Change]:
        """All of the cells `names` that save a share `gain` of the power by themselves, or bring a
        load or a slew nearer to its limit, and make no path longer than `limit_ns`.
        """
        found: list[tuple[Change, slice]] = []
        probes: list[tuple[Cell, _Around]] = []
        for name in names:
            cell = self.netlist.cells[name]
            kinds: list[str | None] = list(neighbours(cell.kind, variants))
            if is_buffer(self._library[cell.kind]) and self._ends(cell)[1] not in self._ports:
                kinds.append(None)
            for kind in kinds:
                if around := self._around(cell, kind, limit_ns):
                    start = len(probes)
                    touched = self._touched(cell, kind, around)
                    probes += [(own, around) for own in touched.values()]
                    own = slice(start, len(probes))
                    found.append((self._change(cell, kind, around, touched), own))
        watts = self._probed(probes)
        all_ = [change._replace(watts=change.watts + watts[own].sum()) for change, own in found]
        least = -gain * self.watts
        return [c for c in all_ if c.excess < -1e-6 or (c.excess <= 0.0 and c.watts < least)]

    def _around(self, cell: Cell, kind: str | None, limit_ns: float) -> _Around | None:
        """What there is around a cell of another kind, or none; None where a path gets too long."""
        around = _Around(self._timing)
        pins = self._library[cell.kind].pins.values()
        nets = [cell.pins[pin.name] for pin in self._library[cell.kind].inputs]
        if kind is None:
            source, target = self._ends(cell)
            rise = self._timing.loads[target].rise - sum(pin.rise_capacitance for pin in pins)
            fall = self._timing.loads[target].fall - sum(pin.fall_capacitance for pin in pins)
            around.add(source, rise, fall)
            around.loads[target] = around.loads[source]
        else:
            for pin in pins:
                net, own = cell.pins.get(pin.name), self._library[kind].pins[pin.name]
                if net is not None and net not in CONSTANT_NETS:
                    rise = own.rise_capacitance - pin.rise_capacitance
                    around.add(net, rise, own.fall_capacitance - pin.fall_capacitance)
        for net in dict.fromkeys(nets):
            driver = self._drivers.get(net)
            if driver is None:
                self._add_port(net, around)
            elif driver not in (cell.name, *around.drivers):
                self._drive(self.netlist.cells[driver], around)
        if kind is None:
            around.slews[target] = around.slews[source]
            tails = [self._behind.get(target, 0.0), *self._tails(source, cell.name)]
            path = self._before.get(source, 0.0) + max(tails)
        else:
            self._drive(replace(cell, kind=kind), around)
            path = max((self._path(own) for own in around.drivers), default=0.0)
        return around if path + around.longer_ns <= max(limit_ns, path) else None

    def _add_port(self, net: str, around: _Around) -> None:
        """The power of a net that no cell drives."""
        if net not in CONSTANT_NETS:
            more = max(around.loads[net]) - max(self._timing.loads[net])
            rate = self._activity[net].toggles_per_s
            around.watts += 0.5e-12 * self._library.volts**2 * more * rate

    def _drive(self, cell: Cell, around: _Around) -> None:
        """What a cell makes of the loads around it."""
        passed = through(cell, self._library[cell.kind], around.loads, around.slews)
        for pin, slew in passed.slews:
            around.slews[cell.pins[pin]] = slew
        own = max((ns for *_, ns in self._arcs.get(cell.name, ())), default=0.0)
        worst = max(map(_worst_ns, passed.arcs), default=0.0)
        around.longer_ns += max(worst - own, 0.0)
        around.drivers[cell.name] = cell

    def _path(self, name: str) -> float:
        """The longest one through a cell."""
        return max(
            (
                self._before.get(start, 0.0) + ns + self._behind.get(end, 0.0)
                for start, end, ns in self._arcs.get(name, ())
            ),
            default=0.0,
        )

    def _tails(self, net: str, but: str) -> list[float]:
        """The longest path from a net through each of its readers but one."""
        return [
            ns + self._behind.get(end, 0.0)
            for reader in self._readers[net]
            if reader != but
            for start, end, ns in self._arcs.get(reader, ())
            if start == net
        ]

    def _touched(self, cell: Cell, kind: str | None, around: _Around) -> dict[str, Cell]:
        """Drivers and readers of all nets that change, as they will be."""
        touched = dict(around.drivers)
        for net in around.slews.maps[0]:
            for reader in self._readers.get(net, ()):
                touched.setdefault(reader, self.netlist.cells[reader])
        if kind is None:
            touched.pop(cell.name, None)  # not there behind a port, which no cell drives
        return touched

    def _change(
        self, cell: Cell, kind: str | None, around: _Around, touched: Mapping[str, Cell]
    ) -> Change:
        """A change but for the watts that the cells will take."""
        names = {cell.name, *touched}
        own_loads, own_slews = self._timing.loads, self._timing.slews
        before = [self.netlist.cells[name] for name in names]
        excess = self._excess(touched.values(), around.loads, around.slews)
        excess -= self._excess(before, own_loads, own_slews)
        watts = around.watts - sum(self._watts[name] for name in sorted(names))
        return Change(cell.name, kind, excess, watts, frozenset(names))

    def _ends(self, buffer: Cell) -> tuple[str, str]:
        """The net that a buffer reads, and that it drives."""
        liberty = self._library[buffer.kind]
        return buffer.pins[liberty.inputs[0].name], buffer.pins[liberty.outputs[0].name]

    def _excess(
        self, cells: Iterable[Cell], loads: Mapping[str, Edges], slews: Mapping[str, Edges]
    ) -> float:
        return sum(beyond_limits(own, self._library[own.kind], loads, slews) for own in cells)

    def _probed(self, probes: list[tuple[Cell, _Around]]) -> np.ndarray:
        """Watts of cells: each by itself, as if no two were connected."""
        cells: dict[str, Cell] = {}
        loads: dict[str, Edges] = {}
        slews: dict[str, Edges] = {}
        activity: dict[str, Activity] = {}
        for place, (cell, around) in enumerate(probes):
            name = str(place)
            pins: dict[str, str] = {}
            for pin in self._library[cell.kind].pins:
                net = cell.pins.get(pin)
                known = self._activity.get(net or f"{cell.name}/{pin}")
                if net is not None and net in CONSTANT_NETS:
                    pins[pin] = net
                elif known is not None:
                    own = pins[pin] = f"{name}/{pin}"
                    activity[own] = known
                    if net is not None:
                        loads[own], slews[own] = around.loads[net], around.slews[net]
            cells[name] = Cell(name, cell.kind, pins)
        netlist = Netlist(self.netlist.top, cells, {}, {})
        power = evaluate(netlist, self._library, Timing(loads, slews, ()), activity, clock_net=None)
        return np.array([own.total for own in power.instances.values()])


def _worst_ns(delay: ArcDelay) -> float:
    return max(delay.rise_ns or 0.0, delay.fall_ns or 0.0)


def _tables(pin: Pin) -> list[Table]:
    """Of the slews of an output's edges."""
    return [t for arc in pin.arcs for t in (arc.rise_transition, arc.fall_transition) if t]
