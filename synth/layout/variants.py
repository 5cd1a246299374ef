"""Cells that can stand for each other."""

from collections.abc import Collection, Mapping

import numpy as np

from ..liberty.boolean import Expr, truth_table
from ..liberty.cells import LibertyCell
from ..liberty.library import Library

Variants = Mapping[str, list[str]]
"""By cell all that compute the same with the same pins."""


def variants(library: Library, dont_use: Collection[str] = ()) -> Variants:
    """By cell all that compute the same with the same pins, in order of area, among those that
    mapping may use; cells that are alone are left out.
    """
    alike: dict[object, list[LibertyCell]] = {}
    for cell in library.usable(dont_use).values():
        if cell.inputs:
            alike.setdefault(_function(cell), []).append(cell)
    found = {}
    for cells in alike.values():
        kinds = [cell.name for cell in sorted(cells, key=lambda own: (own.area_um2, own.name))]
        if len(kinds) > 1:
            found.update(dict.fromkeys(kinds, kinds))
    return found


def neighbours(kind: str, variants: Variants) -> list[str]:
    """The next smaller and the next larger variant of a cell."""
    kinds = variants.get(kind, [])
    if not kinds:
        return []
    place = kinds.index(kind)
    return [*kinds[max(place - 1, 0) : place], *kinds[place + 1 : place + 2]]


def _function(cell: LibertyCell) -> object:
    """Equal for cells that do the same: truth tables of the outputs and of what a flop does."""
    inputs = sorted(pin.name for pin in cell.inputs)
    flop = cell.flop
    table = truth_table([*inputs, *([flop.state] if flop else [])])
    columns = {**table, **({flop.inverse: ~table[flop.state]} if flop else {})}

    def bits(expr: Expr | None) -> bytes | None:
        if expr is None:
            return None
        return bytes(np.broadcast_to(expr.evaluate(columns), 1 << len(table)))

    outputs = {pin.name: bits(pin.function) for pin in cell.outputs}
    stored = (flop.next_state, flop.clocked_on, flop.clear, flop.preset) if flop else ()
    return tuple(inputs), tuple(sorted(outputs.items())), tuple(map(bits, stored))
