"""What a report is asked for: its rows, and what they are compared with.

A file (TOML) or words on the command line name units; the standard report's rows stand beside them
where they are asked for.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..support.errors import UserError
from ..units import UNITS, named
from ..units.request import Request, read, write
from . import dot_report, systems, tile_report
from .dot_report import DotEntry
from .foreign import foreign_entry
from .rows import Claim
from .stimuli.pairs import CAPTURED, NORMAL
from .systems import Entry

TABLES = ("units", "dots", "tiles")

ALL, BASELINES, NONE = "all", "baselines", "none"
"""Which rows of the standard report stand beside a user's own; else the label of one."""


@dataclass(frozen=True)
class Question:
    """Rows of a report by table, and the settings that a file gives, by the command's options."""

    units: tuple[Entry, ...] = ()
    dots: tuple[DotEntry, ...] = ()
    tiles: tuple[Entry, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: "Question") -> "Question":
        """The rows of both, and the settings of both."""
        return Question(
            self.units + other.units,
            self.dots + other.dots,
            self.tiles + other.tiles,
            {**self.settings, **other.settings},
        )

    def rows(self) -> Iterator[Entry | DotEntry]:
        """All rows."""
        yield from self.units
        yield from self.dots
        yield from self.tiles

    def check(self) -> None:
        """Raise UserError where there are no rows, or several of a table have one label."""
        if not any(self.rows()):
            raise UserError("a report must have rows: give --unit or --standard")
        for table in TABLES:
            # Of dot units with a label several may be, each of a width.
            names = [(row.label, getattr(row, "lanes", None)) for row in getattr(self, table)]
            if twice := [label for label, lanes in names if names.count((label, lanes)) > 1]:
                raise UserError(f"labels must differ, and {twice[0]} is of several rows")

    def compared_with(self, labels: Iterable[str]) -> "Question":
        """The same with ratios to the rows of those labels. Raises: UserError."""
        wanted = list(labels)
        known = [*dict.fromkeys(row.label for row in self.rows())]
        for label in wanted:
            if label not in known:
                raise UserError(f"baseline must be one of {', '.join(known)}, not {label!r}")

        def marked(rows: Iterable[Any]) -> tuple[Any, ...]:
            return tuple(
                replace(row, kinds=(*row.kinds, row.label)) if row.label in wanted else row
                for row in rows
            )

        return replace(
            self, units=marked(self.units), dots=marked(self.dots), tiles=marked(self.tiles)
        )


STANDARD = Question(systems.ENTRIES, dot_report.ENTRIES)
"""What `mlsmac report` is asked for where nothing else is."""

_EVERY = replace(STANDARD, tiles=tile_report.ENTRIES)
"""All rows that have a label to ask for them."""


def standard(which: Sequence[str], beside: Question) -> Question:
    """The rows of the standard report, which are "all", the "baselines" of the tables that the rows
    `beside` are in, "none", or those of labels. Raises: UserError.
    """
    found = Question()
    for name in which:
        if name == ALL:
            found += STANDARD
        elif name == BASELINES:
            found += Question(
                _baselines(systems.ENTRIES if beside.units else ()),
                _baselines(dot_report.ENTRIES if beside.dots else ()),
                _baselines(tile_report.ENTRIES if beside.tiles else ()),
            )
        elif name != NONE:
            found += _labelled(name, beside)
    return found


def _baselines(rows: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(row for row in rows if row.kinds)


def _labelled(label: str, beside: Question) -> Question:
    """The standard rows of a label: those in the tables of the rows `beside`, else in the first
    table that has any. Raises: UserError.
    """
    found = {
        table: tuple(row for row in getattr(_EVERY, table) if row.label == label)
        for table in TABLES
    }
    having = [table for table in TABLES if found[table]]
    if not having:
        labels = ", ".join(repr(own) for own in dict.fromkeys(row.label for row in _EVERY.rows()))
        rule = f"{ALL}, {BASELINES}, {NONE} or a label of {labels}"
        raise UserError(f"standard rows must be {rule}, not {label!r}")
    chosen = [table for table in having if getattr(beside, table)] or having[:1]
    units, dots, tiles = (found[table] if table in chosen else () for table in TABLES)
    return Question(units, dots, tiles)


def row(text: str, label: str = "", **more: Any) -> Question:
    """A row from the text that names its unit; `label` is the text where there is none; `more`:
    `kinds`, and for a dot unit `block` and `lanes`, as `DotEntry` has them, or `claim`.

    Raises: UserError.
    """
    try:
        request = read(text)
        unit = named(request.unit)
        options = dict(request.options)
        entry = Entry(label or text, unit.name, options)
        entry.configuration()
    except (TypeError, ValueError) as error:
        raise UserError(f"unit {text!r}: {error}") from None
    is_dot = unit.has_streams and not unit.one_build
    taken = {"kinds", *(("block", "lanes") if is_dot else ("claim",))}
    if unknown := more.keys() - taken:
        rule = f"unit {text!r} takes {', '.join(sorted(taken))} beside its label"
        raise UserError(f"{rule}, not {', '.join(sorted(unknown))}")
    if is_dot:
        return Question(dots=(DotEntry(entry.label, entry.unit, options, **more),))
    made = (replace(entry, **more),)
    return Question(tiles=made) if unit.one_build else Question(units=made)


def from_words(text: str) -> Question:
    """The row of `[LABEL: ]UNIT --option value ...`. Raises: UserError."""
    label, colon, rest = text.partition(": ")
    if colon and text.split()[0] not in UNITS:
        return row(rest.strip(), label.strip())
    return row(text.strip())


_MOST = {"block": 1024, "lanes": 64}
_FIGURES = ("energy_pj", "ratio_to_fp32", "ratio_to_fp8")
_KEYS = {"label", "unit", "kinds", "block", "lanes", "claim"}


def from_file(path: Path) -> Question:
    """What a file asks for. Raises: UserError, OSError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: {error}") from None
    if unknown := content.keys() - {"settings", "standard", "baselines", "unit", "verilog"}:
        rule = "a specification has settings, standard, baselines, [[unit]] and [[verilog]]"
        raise UserError(f"{path}: {rule}, not {', '.join(sorted(unknown))}")
    try:
        found = Question()
        for given in content.get("unit", []):
            found += _row_of(given)
        for given in content.get("verilog", []):
            found += Question(units=(_module_of(given, path.parent),))
        found = standard(_texts(content, "standard"), found) + found
        found = found.compared_with(_texts(content, "baselines"))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    settings = content.get("settings", {})
    if not isinstance(settings, dict):
        raise UserError(f"{path}: settings must be a table, not {settings!r}")
    return replace(found, settings=_from(path.parent, settings))


def _from(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with their paths seen from that folder."""
    found = dict(settings)
    if isinstance(tensors := found.get("tensors"), str) and tensors not in (CAPTURED, NORMAL):
        found["tensors"] = str(folder / tensors)
    if "liberty" in found:
        found["liberty"] = [str(folder / name) for name in _listed(found, "liberty")]
    if "pdk" in found:
        found["pdk"] = ",".join(_listed(found, "pdk"))
    return found


def _texts(content: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts. Raises: UserError."""
    value = content.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{key} must be a list of texts, not {value!r}")
    return value


def _listed(settings: Mapping[str, Any], key: str) -> list[str]:
    """The texts of a list, or the one text. Raises: UserError."""
    value = settings[key]
    return [value] if isinstance(value, str) else _texts(settings, key)


def _row_of(given: Any) -> Question:
    """The row of a `[[unit]]`. Raises: UserError."""
    if not isinstance(given, dict) or not isinstance(given.get("unit"), str):
        raise UserError(f"a [[unit]] must have unit, a text, not {given!r}")
    if unknown := given.keys() - _KEYS:
        rule = ", ".join(sorted(_KEYS))
        raise UserError(f"a [[unit]] has {rule}, not {', '.join(sorted(unknown))}")
    more = {key: given[key] for key in given.keys() & _MOST}
    for key, value in more.items():
        if type(value) is not int or not 1 <= value <= _MOST[key]:
            rule = f"{key} of unit {given['unit']!r} must be a number in 1..{_MOST[key]}"
            raise UserError(f"{rule}, not {value!r}")
    if not isinstance(given.get("label", ""), str):
        raise UserError(f"label of unit {given['unit']!r} must be a text, not {given['label']!r}")
    more["kinds"] = tuple(_texts(given, "kinds"))
    if "claim" in given:
        more["claim"] = _claim_of(given["unit"], given["claim"])
    return row(given["unit"], given.get("label", ""), **more)


def _claim_of(unit: str, given: Any) -> Claim:
    """What a paper says. Raises: UserError."""
    rule = f"claim of unit {unit!r} must have source, a text, and numbers {', '.join(_FIGURES)}"
    if not isinstance(given, dict) or not isinstance(given.get("source"), str):
        raise UserError(f"{rule}, not {given!r}")
    figures = {key: value for key, value in given.items() if key != "source"}
    for key, value in figures.items():
        if key not in _FIGURES or type(value) not in (int, float):
            raise UserError(f"{rule}, not {key} = {value!r}")
    return Claim(given["source"], **figures)


_OF_MODULE = {
    "label": str,
    "files": list,
    "top": str,
    "ports": str,
    "latency": int,
    "contract": str,
    "checked": bool,
    "kinds": list,
}
"""Keys of a `[[verilog]]` and what they hold."""


def _module_of(given: Any, folder: Path) -> Entry:
    """The row of a `[[verilog]]`, whose files are in `folder`. Raises: UserError."""
    if not isinstance(given, dict) or not {"files", "top", "latency"} <= given.keys():
        raise UserError(f"a [[verilog]] must have files, top and latency, not {given!r}")
    for key, value in given.items():
        kind = _OF_MODULE.get(key)
        if kind is None:
            raise UserError(f"a [[verilog]] has {', '.join(_OF_MODULE)}, not {key}")
        if type(value) is not kind:
            raise UserError(f"{key} of a [[verilog]] must be a {kind.__name__}, not {value!r}")
    entry = foreign_entry(
        given["label"] if "label" in given else given["top"],
        [folder / name for name in _texts(given, "files")],
        given["top"],
        given.get("ports", ""),
        given["latency"],
        given.get("contract"),
        checked=given.get("checked", True),
    )
    return replace(entry, kinds=tuple(_texts(given, "kinds")))


def to_toml(question: Question) -> str:
    """A file that asks for the same."""
    lines = []
    if question.settings:
        lines += ["[settings]", *_pairs(question.settings), ""]
    for own in question.rows():
        lines += ["[[unit]]", f"label = {json.dumps(own.label)}"]
        lines += [f"unit = {json.dumps(write(Request(own.unit, own.options)))}"]
        extra = {"block": getattr(own, "block", None), "lanes": getattr(own, "lanes", None)}
        lines += _pairs({**extra, "kinds": list(own.kinds) or None})
        if claim := getattr(own, "claim", None):
            lines.append(f"claim = {{ {', '.join(_pairs(vars(claim)))} }}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    """Keys with values, where there are any."""
    return [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
        if value is not None
    ]
