"""Adder cells of a library, found by what their outputs compute."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from .boolean import truth_table
from .cells import LibertyCell, Pin
from .library import Library


@dataclass(frozen=True)
class AdderCell:
    """A cell that adds two or three bits; either output may be the complement."""

    cell: str
    inputs: tuple[str, ...]
    carry: str
    sum: str
    carry_inverted: bool
    sum_inverted: bool


def adder_cells(library: Library, dont_use: Collection[str]) -> list[AdderCell]:
    """Half and full adders that mapping may use, the smallest first; `dont_use` as in
    `Library.usable`.
    """
    usable = (
        cell
        for cell in library.usable(dont_use).values()
        if cell.flop is None and len(cell.inputs) in (2, 3) and len(cell.outputs) == 2
    )
    found = [(cell.area_um2, adder) for cell in usable if (adder := _adder(cell))]
    return [adder for _, adder in sorted(found, key=lambda pair: (pair[0], pair[1].cell))]


def _adder(cell: LibertyCell) -> AdderCell | None:
    """`cell` as an adder; None if it is none, or has delays from output to output."""
    names = tuple(pin.name for pin in cell.inputs)
    if any(arc.related not in names for pin in cell.outputs for arc in pin.arcs):
        return None
    columns = truth_table(names)
    ones = np.sum(list(columns.values()), axis=0)
    wanted = {"carry": ones >= 2, "sum": ones % 2 == 1}
    found: dict[str, tuple[Pin, bool]] = {}
    for pin in cell.outputs:
        if pin.function is None or not pin.function.pins <= set(names):
            return None
        values = np.broadcast_to(pin.function.evaluate(columns), ones.shape)
        for role, table in wanted.items():
            if np.array_equal(values, table) or np.array_equal(values, ~table):
                found[role] = (pin, bool(values[0]))
    if found.keys() != wanted.keys():
        return None
    (carry, carry_inverted), (total, sum_inverted) = found["carry"], found["sum"]
    return AdderCell(cell.name, names, carry.name, total.name, carry_inverted, sum_inverted)
