"""What a sweep is asked for: options of the command line over those of a file."""

import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from ..study.conditions import Conditions
from ..study.stimuli.pairs import Stimulus
from ..study.sweep.grid import Grid, Point, axis
from ..study.sweep.rows import SkippedRow
from ..study.sweep.sweep import objectives
from ..support.errors import UserError
from ..units.macs import MLS_MAC
from . import measuring

_NUMBER = (int, float)
_LISTED = (str, list)
_KINDS: Mapping[str, Any] = {
    "unit": _LISTED,
    "pdk": _LISTED,
    "liberty": _LISTED,
    "objectives": _LISTED,
    "grid": dict,
    "accuracy": str,
    "search": bool,
    "clock_mhz": _NUMBER,
    "script": str,
    "states": str,
    "simulator": str,
    "precision": _NUMBER,
    "operations": int,
    "tensors": str,
    "seed": int,
}
"""What a file may have, and as what."""

_WORDS = {
    str: "a text",
    bool: "true or false",
    int: "an integer",
    dict: "a table",
    _NUMBER: "a number",
    _LISTED: "a text or a list of texts",
}


class Asked(NamedTuple):
    """What `make_sweep` takes."""

    points: list[Point]
    skipped: list[SkippedRow]
    libraries: list[Conditions]
    stimulus: Stimulus
    objectives: tuple[str, ...]
    accuracies: list[dict[str, Any]]


def asked(spec: Path | None, options: Mapping[str, Any], named: Collection[str]) -> Asked:
    """What a file and the command's `options` ask for: those `named` on the command line go before
    the file's, of the grid axis by axis. Raises: UserError, OSError.
    """
    file = _read(spec) if spec else {}
    given = {**options, **{name: file[name] for name in file.keys() - named}}
    points, skipped = _grid(given, file, options).points()
    chosen = objectives(",".join(_listed(given["objectives"])))
    accuracies = _accuracies(given["accuracy"]) if given["accuracy"] else []
    if "accuracy" in chosen and not accuracies:
        raise UserError("objective accuracy needs --accuracy FILE")
    counted = (given["operations"], given["tensors"], given["seed"])
    stimulus = measuring.stimulus(*counted, quick=False)
    return Asked(points, skipped, _libraries(given), stimulus, chosen, accuracies)


def _read(path: Path) -> dict[str, Any]:
    """A file's options, files in it relative to it. Raises: UserError, OSError."""
    try:
        found = tomllib.loads(path.read_bytes().decode())
    except ValueError as error:
        raise UserError(f"{path} must be TOML: {error}") from None
    for name, value in found.items():
        if name not in _KINDS:
            raise UserError(f"{path} must have options of {', '.join(_KINDS)}, not {name!r}")
        kind = _KINDS[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{path}: {name} must be {_WORDS[kind]}, not {value!r}")
        if kind is _LISTED and not all(isinstance(text, str) for text in value):
            raise UserError(f"{path}: {name} must be {_WORDS[kind]}, not {value!r}")
    for name in found.keys() & {"accuracy", "liberty"}:
        places = [path.parent / text for text in _listed(found[name])]
        found[name] = places[0] if name == "accuracy" else places
    return found


def _listed(value: Any) -> list[Any]:
    """A list of what may be one."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _grid(given: Mapping[str, Any], file: Mapping[str, Any], options: Mapping[str, Any]) -> Grid:
    """The file's axes, and those of the command line in their stead. Raises: UserError."""
    axes: dict[str, list[str]] = {}
    own: dict[str, dict[str, list[str]]] = {}
    for name, value in file.get("grid", {}).items():
        if isinstance(value, dict):
            own[name] = {option: _texts(option, values) for option, values in value.items()}
        else:
            axes[name] = _texts(name, value)
    seen = set()
    for text in options["grid"] or ():
        unit, name, values = axis(text)
        if (unit, name) in seen:
            raise UserError(f"grid must have each option once, not {name} twice")
        seen.add((unit, name))
        (own.setdefault(unit, {}) if unit else axes)[name] = values
    units = _listed(given["unit"]) if given["unit"] else [MLS_MAC.name]
    return Grid(units, axes, own)


def _texts(name: str, value: Any) -> list[str]:
    """Values of an axis in a file, as the command line has them. Raises: UserError."""
    values = _listed(value)
    if not values or not all(isinstance(each, str | int) for each in values):
        raise UserError(f"grid: {name} must be texts, integers or truth values, not {value!r}")
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


_CONDITIONS = ("clock_mhz", "script", "states", "simulator", "precision")


def _libraries(given: Mapping[str, Any]) -> list[Conditions]:
    """Each library's conditions. Raises: UserError."""
    shared = {name: given[name] for name in _CONDITIONS}
    listed = ",".join(_listed(given["pdk"])) if given["pdk"] else None
    names: Sequence[str | None] = list(dict.fromkeys(listed.split(","))) if listed else [None]
    return [
        measuring.conditions(
            pdk=name, liberty=given["liberty"], **shared, quick=not given["search"]
        )
        for name in names
    ]


def _accuracies(path: Path) -> list[dict[str, Any]]:
    """Results of a training. Raises: UserError, OSError."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} must be JSON: {error}") from None
    rule = "must be a list of objects with an accuracy in 0..1 and what it is of"
    if not isinstance(found, list):
        raise UserError(f"{path} {rule}, not {type(found).__name__}")
    for entry in found:
        value = entry.get("accuracy") if isinstance(entry, dict) else None
        if not (_is_number(value) and 0 <= value <= 1 and len(entry) > 1):
            raise UserError(f"{path} {rule}, not {entry!r}")
    return found


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
