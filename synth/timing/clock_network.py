"""The way of the clock from an input port to the flops: buffers, inverters, clock gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..liberty.boolean import Op
from ..liberty.cells import LibertyCell
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Cell, Netlist


@dataclass(frozen=True)
class ClockNetwork:
    """`ports`: the input nets that clock flops; `cells` between them and the flops."""

    ports: frozenset[str]
    cells: frozenset[str]


def clock_network(netlist: Netlist, library: Library) -> ClockNetwork:
    """What leads to the clock pins of flops in any netlist: through gates by all their pins,
    through clock gates by their clock pin alone.
    """
    drivers = {
        cell.pins[pin.name]: cell
        for cell in netlist.cells.values()
        for pin in library[cell.kind].outputs
        if pin.name in cell.pins
    }
    seen: set[str] = set()
    cells: set[str] = set()
    rest = [
        cell.pins[pin]
        for cell in netlist.cells.values()
        if (flop := library[cell.kind].flop)
        for pin in flop.clocked_on.pins
    ]
    while rest:
        net = rest.pop()
        if net in seen:
            continue
        seen.add(net)
        driver = drivers.get(net)
        if driver is not None and (pins := _passing(library[driver.kind])):
            cells.add(driver.name)
            rest += [driver.pins[pin] for pin in pins]
    inputs = {net for nets in netlist.inputs.values() for net in nets}
    return ClockNetwork(frozenset(seen & inputs), frozenset(cells))


def _passing(kind: LibertyCell) -> list[str]:
    """Pins by which a clock passes through a cell."""
    if kind.clock_gate:
        return [kind.clock_gate.clock] if kind.clock_gate.clock else []
    return [] if kind.states else [pin.name for pin in kind.inputs]


_Time = TypeVar("_Time", int, float)


@dataclass(frozen=True)
class ClockTree:
    """The way of one clock whose rising edge all flops take.

    Members:
        cells: buffers, inverters and clock gates by name, with the pin that the clock comes by,
            each after the one that drives it.
        rises: by net of the tree whether it rises with the clock, or falls.
        flops: by name the net of the clock pin.
    """

    cells: Mapping[str, str]
    rises: Mapping[str, bool]
    flops: Mapping[str, str]


def arrivals(
    netlist: Netlist, tree: ClockTree, paths: Mapping[tuple[str, str], Sequence[_Time]]
) -> dict[str, _Time]:
    """When the rising edge at the clock's port comes to each flop; `paths`: by cell of the tree and
    output pin what a rise and a fall of the output take from the clock's pin.
    """
    at: dict[str, _Time] = {}
    for name, pin in tree.cells.items():
        cell = netlist.cells[name]
        for out, net in cell.pins.items():
            if (name, out) in paths:
                rise, fall = paths[name, out]
                begin = at.get(cell.pins[pin], 0)  # 0 at the port
                at[net] = begin + (rise if tree.rises[net] else fall)
    return {flop: at.get(net, 0) for flop, net in tree.flops.items()}


def clock_tree(netlist: Netlist, library: Library, clock: str) -> ClockTree:
    """All that hangs on the clock port's net.

    Raises: ValueError where something else than clock pins of flops hangs on it, behind a cell that
    is neither buffer, inverter nor clock gate, a flop or a clock gate takes the falling edge, or a
    flop is clocked by another net.
    """
    readers: dict[str, list[tuple[Cell, str]]] = {}
    for cell in netlist.cells.values():
        for own in library[cell.kind].inputs:
            if (net := cell.pins.get(own.name)) is not None:
                readers.setdefault(net, []).append((cell, own.name))
    cells: dict[str, str] = {}
    flops: dict[str, str] = {}
    rises = {clock: True}
    nets = [clock]
    for clocked in nets:  # which grows
        for cell, pin in readers.get(clocked, ()):
            kind = library[cell.kind]
            if kind.flop:
                edge = kind.flop.clocked_on
                if pin not in edge.pins:
                    raise _stray(cell.name, pin)
                if edge.op is Op.PIN and rises[clocked]:
                    flops[cell.name] = clocked
                continue
            if cell.name in cells:
                raise ValueError(f"the clock must come to {cell.name} by one pin, not by two")
            cells[cell.name] = pin
            for out, follows in _outputs(cell, kind, pin):
                rises[out] = follows is rises[clocked]
                nets.append(out)
            if kind.clock_gate and not rises[clocked]:
                raise ValueError(f"{cell.name} must be clocked by the rising edge of the clock")
    for cell in netlist.cells.values():
        if library[cell.kind].flop and cell.name not in flops:
            raise ValueError(f"{cell.name} must be clocked by the rising edge of the clock")
    return ClockTree(cells, rises, flops)


def _outputs(cell: Cell, kind: LibertyCell, pin: str) -> list[tuple[str, bool]]:
    """The nets that a cell of the tree drives, and whether they follow its clock pin or are the
    inverse. Raises: ValueError where it is no cell for a clock.
    """
    outs = [own for own in kind.outputs if own.name in cell.pins]
    if gate := kind.clock_gate:
        if gate.clock == pin and gate.kind.startswith("latch_posedge") and kind.latch:
            return [(cell.pins[own.name], True) for own in outs]
    elif not kind.states:
        tied = {
            other: np.bool_(CONSTANT_NETS[net])
            for other, net in cell.pins.items()
            if net in CONSTANT_NETS
        }
        functions = [own.function for own in outs if own.function]
        if all(function.pins <= {pin, *tied} for function in functions):
            low, high = (
                [bool(function.evaluate({**tied, pin: np.bool_(bit)})) for function in functions]
                for bit in (False, True)
            )
            if all(one != two for one, two in zip(low, high, strict=True)):
                return [(cell.pins[o.name], one) for o, one in zip(outs, high, strict=True)]
    raise _stray(cell.name, pin)


def _stray(cell: str, pin: str) -> ValueError:
    return ValueError(f"the clock must go to clock pins of flops alone, not to {pin} of {cell}")
