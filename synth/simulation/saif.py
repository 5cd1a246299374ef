"""Switching Activity Interchange Format: how often nets toggle, and how long they are at 1.

Source: SAIF 2.0 as in IEEE Std 1801-2009, annex I.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class SaifError(ValueError):
    """Not a SAIF, or one that lacks what power needs."""


@dataclass(frozen=True)
class Saif:
    """Counts of nets and pins by the instances around them and their name; ticks of `step_s`."""

    duration: int
    step_s: float
    counts: Mapping[tuple[str, ...], Count]


_WORD = re.compile(r'\(|\)|"[^"]*"|(?:\\.|[^\s()"\\])+')
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}


def read_saif(text: str) -> Saif:
    """What a SAIF says of every net, port and pin.

    Raises: SaifError (no SAIF, no duration or timescale, a net without T1 and TC).
    """
    (file,) = _lists(iter([*_WORD.findall(re.sub(r"//.*", "", text)), ")"]))[:1] or [[]]
    if not isinstance(file, list) or file[:1] != ["SAIFILE"]:
        raise SaifError("the activity must be a SAIF, but does not begin with SAIFILE")
    heads = {entry[0]: entry[1:] for entry in file[1:] if isinstance(entry, list)}
    scale = re.fullmatch(r"([\d.]+)\s*([munpf]?s)", "".join(heads.get("TIMESCALE", [])))
    if scale is None or not heads.get("DURATION"):
        raise SaifError("a SAIF must have TIMESCALE and DURATION, but lacks one")
    duration = float(heads["DURATION"][0])
    if duration <= 0:
        raise SaifError(f"DURATION must be positive, not {duration:g}")
    counts = dict(_counts((), file[1:]))
    return Saif(int(duration), float(scale[1]) * _UNITS[scale[2]], counts)


def _lists(words: Iterator[str]) -> list[Any]:
    """Words and lists of them up to the next `)`."""
    found: list[Any] = []
    for word in words:
        if word == ")":
            break
        found.append(_lists(words) if word == "(" else re.sub(r"\\(.)", r"\1", word))
    return found


def _counts(path: tuple[str, ...], entries: list[Any]) -> Iterator[tuple[tuple[str, ...], Count]]:
    for entry in entries:
        if not isinstance(entry, list) or not entry:
            continue
        if entry[0] == "INSTANCE":
            named = [word for word in entry[1:3] if isinstance(word, str) and word[0] != '"']
            yield from _counts((*path, *named[:1]), entry[1:])
        elif entry[0] in ("NET", "PORT"):
            for name, *states in (each for each in entry[1:] if isinstance(each, list)):
                yield (*path, name), _count((*path, name), states)


def _count(path: tuple[str, ...], states: list[Any]) -> Count:
    own = {state[0]: float(state[1]) for state in states if len(state) == 2}
    if not {"T1", "TC"} <= own.keys():
        raise SaifError(f"net {'/'.join(path)} must have T1 and TC")
    return Count(int(own["T1"]), int(own["TC"]))
