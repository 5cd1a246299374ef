"""`mlsmac pdk`: what is understood of a cell library, before anything is mapped to it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..support.errors import UserError
from ..synth.liberty import roles
from ..synth.liberty.adder_cells import AdderCell, adder_cells
from ..synth.liberty.library import Library, load
from ..synth.liberty.pdk import NAMES, Pdk, find


def overview(given: Sequence[str]) -> tuple[dict[str, Any], UserError | None]:
    """What is understood of a named PDK, or of the Liberty files `given`, in JSON's types; and why
    units cannot be mapped to it, None where they can.

    Raises: UserError, ToolError, OSError where there is no library to show.
    """
    is_name = len(given) == 1 and given[0] in NAMES
    for each in () if is_name else given:
        if not Path(each).is_file():
            rule = f"must be one of {', '.join(NAMES)}, or Liberty files"
            raise UserError(f"the library {rule}, not {each!r}")
    files = find(given[0]).liberty if is_name else tuple(Path(each) for each in given)
    library = load(files)
    try:
        pdk = find(given[0]) if is_name else find(liberty=files)
    except UserError as error:
        return _facts(library, None, error), error
    return _facts(library, pdk, None), None


def _facts(library: Library, pdk: Pdk | None, refusal: UserError | None) -> dict[str, Any]:
    patterns = pdk.dont_use if pdk else ()
    usable = library.usable(patterns)
    adders = adder_cells(library, patterns)
    flops = {kind: cell for kind, cell in usable.items() if cell.flop}
    plain = [k for k, cell in flops.items() if roles.is_rising(cell) and roles.is_plain(cell)]
    read = library.readable
    ties = (pdk.tie_high, pdk.tie_low) if pdk else (None, None)
    height = library.row_height_um
    return {
        "pdk": pdk.name if pdk else None,
        "files": list(library.files),
        "library": library.name,
        "corner": {
            "name": library.corner.name,
            "process": library.corner.process,
            "celsius": library.corner.celsius,
        },
        "supply_v": library.volts,
        "cells": len(library.cells),
        "usable_cells": len(usable),
        "nand2": pdk.nand2 if pdk else None,
        "nand2_um2": library[pdk.nand2].area_um2 if pdk else None,
        "driver": pdk.driver if pdk else None,
        "load_ff": pdk.load_ff if pdk else None,
        "row_height_um": height,
        "full_adders": [adder.cell for adder in adders if len(adder.inputs) == 3],
        "half_adders": [adder.cell for adder in adders if len(adder.inputs) == 2],
        "flops": plain,
        "other_flops": [kind for kind in flops if kind not in plain],
        "latches": [k for k, cell in read.items() if cell.latch and not cell.clock_gate],
        "clock_gates": {k: cell.clock_gate.kind for k, cell in read.items() if cell.clock_gate},
        "tie_high": " ".join(ties[0]) if ties[0] else None,
        "tie_low": " ".join(ties[1]) if ties[1] else None,
        "giving_energy": [k for k, c in usable.items() if roles.gives_energy(c, library.volts)],
        "unusable": _by_reason(library, usable),
        "missing": list(_missing(pdk, refusal, adders, height)),
    }


def _by_reason(library: Library, usable: Mapping[str, Any]) -> dict[str, list[str]]:
    """The cells that mapping does not get, by why."""
    found: dict[str, list[str]] = {}
    for kind in library.cells:
        if kind not in usable:
            reason = library.unusable.get(kind, "the PDK's rules, by name")
            found.setdefault(reason, []).append(kind)
    return found


def _missing(
    pdk: Pdk | None, refusal: UserError | None, adders: Sequence[AdderCell], height: float | None
) -> Iterator[str]:
    if refusal:
        yield str(refusal)
    if not any(len(adder.inputs) == 3 for adder in adders):
        yield "a full adder: adders are made of gates"
    if pdk and not (pdk.tie_high and pdk.tie_low):
        yield "tie cells: constants stay constants"
    if height is None:
        yield "the height of a row: Liberty does not give it"


def lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each fact, as text."""
    return [
        line
        for key, value in facts.items()
        for line in (
            [(f"unusable: {reason}", _text(kinds)) for reason, kinds in value.items()]
            if key == "unusable"
            else [(key.replace("_", " "), _text(value))]
        )
    ]


def _text(value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
