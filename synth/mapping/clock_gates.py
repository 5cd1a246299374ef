"""Integrated clock gates: which cells of a library, how Yosys puts them in, which of them drives
the flops behind it.

A gate is a latch and an AND gate in one cell: while the clock is low it takes the enable, and the
clock's high phase passes where that was 1. Registers with a common enable share one, and need no
multiplexer in front of each.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from ...support.errors import UserError
from ..liberty.cells import ClockGate, LibertyCell
from ..liberty.library import Library
from ..liberty.pdk import Pdk
from .netlist import Cell, Netlist

FEWEST = 4
"""Flops from which on a gate is put before them.

By the libraries' tables, in the energy of a flop's clock pin a cycle, a gate takes 0.7 (SG13G2),
0.9 (SKY130) or 1.5 (ASAP7) where it is closed, 1.1, 1.3 or 2.3 where it is open: opened in half of
the cycles it saves energy from 1.7, 2.2 or 3.9 flops on.
"""


def clock_gates(library: Library, pdk: Pdk) -> list[LibertyCell]:
    """The gates that `pdk` names for flops of the rising edge, the smallest first. Raises:
    UserError where the library has none.
    """
    found = [
        cell
        for kind, cell in library.readable.items()
        if any(fnmatchcase(kind, pattern) for pattern in pdk.clock_gates)
        and cell.latch is not None
        and (gate := cell.clock_gate) is not None
        and gate.kind.startswith("latch_posedge")
        and all((gate.clock, gate.enable, gate.output))
        and {pin.name for pin in cell.inputs} <= {gate.clock, gate.enable, gate.test}
    ]
    if not found:
        rule = f"clock_gating must be off with {library.name}"
        raise UserError(f"{rule}, which has no integrated clock gate that {pdk.name} names")
    return sorted(found, key=lambda cell: (cell.area_um2, cell.name))


def command(cell: LibertyCell) -> str:
    """Yosys's, that puts the gate before flops with a common enable."""
    gate = _roles(cell)
    test = f" -tie_lo {gate.test}" if gate.test in cell.pins else ""
    pins = f"{gate.enable}:{gate.clock}:{gate.output}"
    return f"clockgate -pos {cell.name} {pins}{test} -min_net_size {FEWEST}"


def driving(netlist: Netlist, library: Library, gates: Sequence[LibertyCell]) -> Netlist:
    """Each gate as the one of `gates`, or several with a share of the flops each, that take the
    least area and drive them: within the gate's delay tables, and so fast that no flop which is
    clocked without a gate changes what is taken behind it.
    """
    kinds = {gate.name: gate for gate in gates}
    found = {name: cell for name, cell in netlist.cells.items() if cell.kind in kinds}
    outputs = {cell.pins[_output(kinds[cell.kind])]: name for name, cell in found.items()}
    loads: dict[str, list[tuple[str, str, float]]] = {name: [] for name in found}
    for name, cell in netlist.cells.items():
        for pin, net in cell.pins.items():
            if net in outputs and name != outputs[net]:
                capacitance = library.cells[cell.kind].pins[pin].capacitance
                loads[outputs[net]].append((name, pin, capacitance))
    latest = _fastest_flop(library, {cell.kind for cell in netlist.cells.values()})
    reaches = {gate.name: _reach(gate, latest) for gate in gates}
    cells = dict(netlist.cells)
    for name, cell in found.items():
        whole = sum(load for _, _, load in loads[name])
        counts = {
            gate.name: min(len(loads[name]), math.ceil(whole / reaches[gate.name]))
            for gate in gates
        }
        chosen = min(gates, key=lambda gate: (counts[gate.name] * gate.area_um2, counts[gate.name]))
        cells |= _driven(cell, loads[name], chosen, counts[chosen.name], cells)
    return replace(netlist, cells={name: cells[name] for name in sorted(cells)})


def _driven(
    cell: Cell,
    loads: Sequence[tuple[str, str, float]],
    chosen: LibertyCell,
    count: int,
    cells: Mapping[str, Cell],
) -> dict[str, Cell]:
    """A gate as `count` ones, and the flops behind it."""
    output = _output(chosen)
    made: dict[str, Cell] = {}
    share = math.ceil(len(loads) / max(count, 1))
    for number in range(max(count, 1)):
        name = f"{cell.name}_{number}" if number else cell.name
        net = f"{cell.pins[output]}_{number}" if number else cell.pins[output]
        made[name] = Cell(name, chosen.name, cell.pins | {output: net})
        for flop, pin, _ in loads[number * share : (number + 1) * share]:
            before = made.get(flop, cells[flop])
            made[flop] = replace(before, pins=before.pins | {pin: net})
    return made


def _fastest_flop(library: Library, kinds: Iterable[str]) -> float:
    """From a clock's edge to the first change of a flop of these kinds, ns, at the load of the
    smallest pin that one can drive.
    """
    cells = [library.cells[kind] for kind in kinds]
    load = np.full(1, min((pin.capacitance for cell in cells for pin in cell.inputs), default=0.0))
    arcs = (
        arc
        for cell in cells
        if cell.flop
        for pin in cell.outputs
        for arc in pin.arcs
        if arc.related in cell.flop.clocked_on.pins
    )
    delays = (
        float(table.each(np.zeros(1), load)[0])
        for arc in arcs
        for table in (arc.cell_rise, arc.cell_fall)
        if table is not None
    )
    return min(delays, default=0.0)


def _reach(cell: LibertyCell, latest: float) -> float:
    """The largest load (pF) of a gate, by its tables, at which the clock rises behind it by
    `latest` (ns) after its own edge.
    """
    gate = _roles(cell)
    tables = [
        arc.cell_rise
        for arc in cell.pins[_output(cell)].arcs
        if arc.cell_rise is not None and arc.related == gate.clock
    ]
    reach = math.inf
    for table in tables:
        loads = np.array(table.loads)
        delays = table.each(np.zeros(len(loads)), loads)
        reach = min(reach, float(np.interp(latest, np.maximum.accumulate(delays), loads)))
    return max(reach, 1e-9)


def _roles(cell: LibertyCell) -> ClockGate:
    assert cell.clock_gate is not None
    return cell.clock_gate


def _output(cell: LibertyCell) -> str:
    output = _roles(cell).output
    assert output is not None
    return output
