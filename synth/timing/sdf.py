"""Standard Delay Format text of a timing analysis, for annotation in gate-level simulation.

Paths from a clock pin name no edge: an output that follows one edge cannot change with the other.
Every delay is a triple min:typ:max of one value, since Icarus takes the one it was compiled for and
warns of absent ones.
Source: IEEE Std 1497-2001 (SDF 3.0).
"""

from collections.abc import Iterable, Mapping
from itertools import groupby

from ..mapping.netlist import Netlist
from .delays import ArcDelay, Edges, Timing


def sdf_text(netlist: Netlist, timing: Timing, instances: Mapping[str, str] | None = None) -> str:
    """SDF of `timing.delays` in ns, to the femtosecond.

    `instances` renames instances (default: their own names, special characters escaped). A negative
    delay, which tables continued beyond their ends can give, is written as 0. Where an arc has one
    edge only, it stands for both.
    """
    lines = [
        "(DELAYFILE",
        '  (SDFVERSION "3.0")',
        f'  (DESIGN "{netlist.top}")',
        "  (DIVIDER .)",
        "  (TIMESCALE 1ns)",
    ]
    for instance, delays in groupby(timing.delays, key=lambda delay: delay.instance):
        name = instances[instance] if instances else _escaped(instance)
        lines += [
            "  (CELL",
            f'    (CELLTYPE "{netlist.cells[instance].kind}")',
            f"    (INSTANCE {name})",
            "    (DELAY (ABSOLUTE",
            *_paths(delays),
            "    ))",
            "  )",
        ]
    return "\n".join([*lines, ")", ""])


def path_ns(delay: ArcDelay) -> Edges:
    """Delays of both edges as they are written."""
    return Edges(*(round(max(ns, 0.0), 6) for ns in delay.edges))


def _paths(delays: Iterable[ArcDelay]) -> Iterable[str]:
    for delay in delays:
        rise, fall = path_ns(delay)
        yield f"      (IOPATH {delay.from_pin} {delay.to_pin} {_triple(rise)} {_triple(fall)})"


def _triple(ns: float) -> str:
    """One value as (min:typ:max)."""
    return f"({ns:.6f}:{ns:.6f}:{ns:.6f})"


def _escaped(name: str) -> str:
    """A name in which every character but letters, digits and _ is escaped, so that `.` divides no
    hierarchy.
    """
    return "".join(c if c.isalnum() or c == "_" else f"\\{c}" for c in name)
