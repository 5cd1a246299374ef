"""Switching Activity Interchange Format: how often nets toggle, and how long they are at 1.

Source: SAIF 2.0 as in IEEE Std 1801-2009, annex I.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..liberty.library import Library
from ..mapping.netlist import Netlist
from .portable import INSTANCE, LegalNames


class Count(NamedTuple):
    """Of a net in a window: ticks at 1, and toggles."""

    high: int
    toggles: int


def saif_text(
    netlist: Netlist,
    names: LegalNames,
    library: Library,
    counts: Mapping[str, Count],
    duration: int,
    version: str,
) -> str:
    """SAIF 2.0 of a window of `duration` ticks of 1 ps: every net of the netlist, and once more by
    the output pin that drives it, which is where OpenSTA looks.
    """

    def entry(name: str, net: str, indent: str) -> str:
        high, toggles = counts[net]
        escaped = name.replace("[", r"\[").replace("]", r"\]")
        times = f"(T0 {duration - high}) (T1 {high}) (TX 0)"
        return f"{indent}({escaped} {times} (TC {toggles}) (IG 0))"

    lines = [
        "(SAIFILE",
        '(SAIFVERSION "2.0")',
        '(DIRECTION "backward")',
        f'(DESIGN "{netlist.top}")',
        '(PROGRAM_NAME "mlsmac")',
        f'(VERSION "{version}")',
        "(DIVIDER /)",
        "(TIMESCALE 1 ps)",
        f"(DURATION {duration})",
        "(INSTANCE bench",
        f"  (INSTANCE {INSTANCE}",
        "    (NET",
        *(entry(name, net, "      ") for net, name in names.nets.items()),
        "    )",
    ]
    for cell in netlist.cells.values():
        outputs = [pin.name for pin in library[cell.kind].outputs if pin.name in cell.pins]
        if outputs:
            lines += [f"    (INSTANCE {names.cells[cell.name]}", "      (NET"]
            lines += [entry(pin, cell.pins[pin], "        ") for pin in outputs]
            lines += ["      )", "    )"]
    return "\n".join([*lines, "  )", ")", ")", ""])
