"""Cells of a library by what they do for the flow: gate equivalent, driver, flops, ties."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

import numpy as np

from .boolean import Op, truth_table
from .cells import LibertyCell, LibertyError
from .library import Library

Cells = Mapping[str, LibertyCell]
TiePin = tuple[str, str]
"""A cell and its pin that is constant."""


def nand2(library: Library, cells: Cells) -> LibertyCell:
    """The smallest two-input NAND among `cells`. Raises: LibertyError."""
    return _smallest(library, cells, "a two-input NAND", [True, True, True, False])


def inverter(library: Library, cells: Cells) -> LibertyCell:
    """The smallest inverter among `cells`. Raises: LibertyError."""
    return _smallest(library, cells, "an inverter", [True, False])


def buffers(library: Library, patterns: Iterable[str]) -> list[LibertyCell]:
    """Cells that give their one input, by name; with `patterns` those whose names match one.

    Mapping may not use them, clock buffers among them, so that `dont_use` does not count.
    Raises: LibertyError where there is none.
    """
    wanted = tuple(patterns)
    found = [
        library.cells[kind]
        for kind in sorted(library.cells)
        if any(fnmatchcase(kind, pattern) for pattern in wanted or ("*",))
        and _is_whole(library, kind)
        and library.cells[kind].barred in (None, "dont_use")
        and is_buffer(library.cells[kind])
    ]
    if not found:
        named = f" named {' or '.join(wanted)}" if wanted else ""
        raise LibertyError(f"{', '.join(library.files)} must have a buffer{named}, but has none")
    return found


def is_buffer(cell: LibertyCell) -> bool:
    """Whether its one output is its one input."""
    return _computes(cell, [False, True])


def _is_whole(library: Library, kind: str) -> bool:
    try:
        return bool(library[kind])
    except LibertyError:
        return False


def _smallest(library: Library, cells: Cells, what: str, table: list[bool]) -> LibertyCell:
    found = [cell for cell in cells.values() if _computes(cell, table)]
    if found:
        return min(found, key=lambda cell: (cell.area_um2, cell.name))
    raise _missing(library, cells, what, lambda cell: _computes(cell, table))


def _computes(cell: LibertyCell, table: list[bool]) -> bool:
    names = [pin.name for pin in cell.inputs]
    if 1 << len(names) != len(table) or len(cell.outputs) != 1 or cell.flop:
        return False
    function = cell.outputs[0].function
    if function is None or function.pins != set(names):
        return False
    return bool(function.evaluate(truth_table(names)).tolist() == table)


def _missing(
    library: Library, cells: Cells, what: str, is_one: Callable[[LibertyCell], bool]
) -> LibertyError:
    """No cell of a role is usable: says which one would be it, and why it is not."""
    files = ", ".join(library.files)
    for kind in library.cells:
        if kind not in cells and kind not in library.odd and is_one(library.cells[kind]):
            reason = library.unusable.get(kind, "a name that the PDK's rules exclude")
            return LibertyError(f"{files} must have {what} to map to, but {kind} is none: {reason}")
    odd = f"; odd: {library.oddities()}" if library.odd else ""
    return LibertyError(f"{files} must have {what}, but has none{odd}")


def is_rising(cell: LibertyCell) -> bool:
    """Whether a flop takes its clock pin's rising edge."""
    return cell.flop is not None and cell.flop.clocked_on.op is Op.PIN


def is_plain(cell: LibertyCell) -> bool:
    """Whether a flop takes one pin, or its inverse, and no more (scan, enable)."""
    return cell.flop is not None and len(cell.flop.next_state.pins) == 1


def check_flops(library: Library, cells: Cells) -> None:
    """Raise LibertyError unless `cells` have a flop for every register: they all take the rising
    edge, and an inverter in the clock would be a second, later one.
    """
    flops = [cell for cell in cells.values() if cell.flop]
    if any(is_rising(cell) and is_plain(cell) for cell in flops):
        return
    what = "a flop that takes one data pin on a rising edge"
    if not flops:
        raise _missing(library, cells, what, lambda cell: cell.flop is not None)
    cell = flops[0]
    assert cell.flop is not None
    data, clock = (expr.verilog() for expr in (cell.flop.next_state, cell.flop.clocked_on))
    how = f"takes {data} on a rising edge of {clock}"
    raise LibertyError(f"{', '.join(library.files)} must have {what}: {cell.name} {how}")


def gives_energy(cell: LibertyCell, volts: float) -> bool:
    """Whether some rise and fall of an output give back more energy than they take from the supply,
    at some point of the tables: rise + fall + C V^2 < 0. No circuit does; some files say so.
    """
    for pin in cell.outputs:
        for group in pin.energies:
            slews = np.array(sorted({*group.rise.slews, *group.fall.slews}))[:, None]
            loads = np.array(sorted({*group.rise.loads, *group.fall.loads}))
            both = group.rise.each(slews, loads) + group.fall.each(slews, loads)
            if np.any(both + loads * volts**2 < 0):
                return True
    return False


def tie(library: Library, value: bool, patterns: Iterable[str] = ()) -> TiePin | None:
    """The smallest cell that gives a constant, None where there is none. Mapping never chooses it
    by itself, so that `dont_use` does not count, but `patterns` of names do.
    """
    found = [
        (cell.area_um2, kind, pin.name)
        for kind in library.cells
        if library.unusable.get(kind) in (None, "dont_use")
        and not (cell := library.cells[kind]).inputs
        and not any(fnmatchcase(kind, pattern) for pattern in patterns)
        for pin in cell.outputs
        if pin.function is not None
        and not pin.function.pins
        and bool(pin.function.evaluate({})) is value
    ]
    return min(found)[1:] if found else None
