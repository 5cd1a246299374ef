"""Power of any mapped netlist from an activity that a simulator recorded: SAIF or VCD.

    netlist = read_netlist([Path("netlist.v")], library)
    activity = from_vcd(Path("run.vcd"), netlist, library)
    power = power_of(netlist, library, activity)
    joules = power.total * activity.seconds

The netlist is of cells of the library alone; its names are those of the record, below the instance
`scope` there. A SAIF has no states of cells: pins then count as independent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...support.errors import UserError
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Netlist, parse_yosys_json, verilog_to_json
from ..simulation.changes import ChangeCounter
from ..simulation.circuit import SimulationError, circuit
from ..simulation.counts import CountedShares
from ..simulation.dump import Dump
from ..simulation.saif import read_saif
from ..timing.delays import analyse
from .engine import Activity, PowerResult, evaluate
from .states import Shares

Place = TypeVar("Place")
Names = tuple[str, ...]
"""Scopes and a name in them."""


@dataclass(frozen=True)
class Recorded:
    """What a record tells of a netlist: activity by net, how often cells are in each state (None:
    it does not tell), and how long it is.
    """

    activity: Mapping[str, Activity]
    shares: Shares | None
    seconds: float


def read_netlist(files: Sequence[Path], library: Library, top: str | None = None) -> Netlist:
    """The netlist of structural Verilog: instances of the library's cells by named ports, modules
    of them, `assign` of nets and constants, vectors, escaped names. Instances without any pin
    (fillers, taps) are left out. `top`: the module, where several are in no other.

    Raises: UserError: a file that is none, a syntax error, a cell that is not of the library, or
    that lacks what power needs, a pin that it does not have.
    """
    try:
        netlist = parse_yosys_json(verilog_to_json(*files, top=top))
    except FileNotFoundError as error:
        raise UserError(f"netlist {str(error.filename)!r} not found") from None
    except ValueError as error:
        raise UserError(str(error)) from None
    cells = {name: cell for name, cell in netlist.cells.items() if cell.pins}
    for cell in cells.values():
        if cell.kind not in library.cells:
            rule = f"must be a cell of {library.name}"
            raise UserError(f"{cell.name} of {netlist.top} {rule}, not {cell.kind!r}")
        if odd := cell.pins.keys() - library[cell.kind].pins.keys():
            rule = f"pins of {cell.name} must be those of {cell.kind} in {library.name}"
            raise UserError(f"{rule}, not {min(odd)!r}")
    if not cells:
        raise UserError(f"netlist {netlist.top} must have cells, but has none")
    return replace(netlist, cells=cells)


def from_saif(path: Path, netlist: Netlist, library: Library, scope: str | None = None) -> Recorded:
    """The activity in a SAIF, by net, or by the output pin that drives it.

    Raises: UserError: no SAIF, no instance or several that have the netlist's ports, nets that it
    lacks.
    """
    try:
        saif = read_saif(path.read_text())
    except ValueError as error:
        raise UserError(f"{path.name}: {error}") from None
    counts = _located(path, saif.counts, netlist, library, scope)
    return Recorded(
        {
            net: Activity(own.toggles / (saif.duration * saif.step_s), own.high / saif.duration)
            for net, own in counts.items()
        },
        None,
        saif.duration * saif.step_s,
    )


def from_vcd(
    path: Path,
    netlist: Netlist,
    library: Library,
    scope: str | None = None,
    window_ns: tuple[float, float] | None = None,
) -> Recorded:
    """The activity and the states of cells in a VCD, between the two times of `window_ns`; all of
    it by default. A toggle at the second of them does not count.

    Raises: UserError: no VCD, no scope or several that have the netlist's ports, nets that it
    lacks, a window beyond its times or with an undefined net.
    """
    try:
        dump = Dump(path)
    except ValueError as error:
        raise UserError(f"{path.name}: {error}") from None
    edges = _window(dump, window_ns)
    known = {
        (*own.scope, bit): (own.code, place, len(own.bits))
        for own in dump.variables
        for place, bit in enumerate(own.bits)
    }
    places = _located(path, known, netlist, library, scope)
    own = circuit(netlist, library)
    wanted: dict[int, list[int]] = {}
    for net, (code, place, width) in places.items():
        wanted.setdefault(code, [-1] * width)[place] = own.number(net)
    counter = ChangeCounter(own, np.array(edges))
    for changes in dump.changes(wanted):
        # What a dump begins with was there before: no toggles.
        counter.add(changes._replace(time=changes.time - (changes.time == dump.first)))
    try:
        counts = counter.result()
    except SimulationError as error:
        raise UserError(f"{path.name}: {error}; the window must begin when all are") from None
    duration = edges[1] - edges[0]
    activity = counts.activity(own, duration, dump.step_s)
    return Recorded(activity, CountedShares.of(own, counts), duration * dump.step_s)


def power_of(netlist: Netlist, library: Library, recorded: Recorded) -> PowerResult:
    """Power in the record's window: no wires, no load on outputs, no slew of inputs and clocks.

    Raises: UserError (a combinational loop, a net without driver or with two, what the library
    lacks).
    """
    try:
        timing = analyse(netlist, library, None)
        return evaluate(
            netlist, library, timing, recorded.activity, clock_net=None, shares=recorded.shares
        )
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{netlist.top}: {error}") from None


def _window(dump: Dump, window_ns: tuple[float, float] | None) -> tuple[int, int]:
    """In units of the dump."""
    if window_ns is None:
        return dump.first, dump.last
    first, last = (round(time * 1e-9 / dump.step_s) for time in window_ns)
    if not dump.first <= first < last <= dump.last:
        low, high = (time * dump.step_s * 1e9 for time in (dump.first, dump.last))
        given = ",".join(f"{time:g}" for time in window_ns)
        raise UserError(f"window must rise within {low:g}..{high:g} ns of the dump, not {given}")
    return first, last


def _located(
    path: Path,
    known: Mapping[Names, Place],
    netlist: Netlist,
    library: Library,
    scope: str | None,
) -> dict[str, Place]:
    """What is known of each net of the netlist, given what is known by path."""
    every = (*netlist.inputs.values(), *netlist.outputs.values())
    ports = {net for nets in every for net in nets} - CONSTANT_NETS.keys()
    pins = {
        cell.pins[pin.name]: f"{cell.name}.{pin.name}"
        for cell in netlist.cells.values()
        for pin in library[cell.kind].outputs
        if pin.name in cell.pins
    }

    def found(prefix: Names) -> dict[str, Names]:
        """Paths of nets below a scope."""
        start = len(prefix)
        below = {".".join(own[start:]): own for own in known if own[:start] == prefix}
        names = {net: net if net in below else pins.get(net, net) for net in netlist.nets()}
        return {net: below[name] for net, name in names.items() if name in below}

    # A bench may have the ports too, but not what is within.
    places = max(map(found, _scopes(path, known, ports, netlist.top, scope)), key=len)
    missing = [net for net in netlist.nets() if net not in places]
    if missing:
        raise UserError(
            f"{path.name} must tell of every net of {netlist.top}, but lacks {len(missing)}, "
            f"{missing[0]} among them"
        )
    return {net: known[place] for net, place in places.items()}


def _scopes(
    path: Path, known: Iterable[Names], ports: set[str], top: str, scope: str | None
) -> list[Names]:
    """Where the netlist may be: in the scope that is given, else where its ports are."""
    names: dict[Names, set[str]] = {}
    for own in known:
        names.setdefault(own[:-1], set()).add(own[-1])
    if scope is None:
        having = [own for own, inside in names.items() if ports <= inside]
        if not having:
            raise UserError(f"{path.name} must have a scope with the ports of {top}, but has none")
        return having
    wanted = scope.replace("/", ".")
    given = [own for own in names if ".".join(own) == wanted]
    if not given:
        some = ", ".join(".".join(own) for own in list(names)[:3])
        raise UserError(f"scope must be one of {path.name} ({some}, ...), not {scope!r}")
    return given
