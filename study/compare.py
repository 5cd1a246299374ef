"""Reports side by side: what moved between them, and whether by more than their errors."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..support.errors import UserError
from .errors import TIE, difference_error, relative_error
from .records import from_json, significant
from .rows import (
    DotReport,
    DotRow,
    MacReport,
    MacRow,
    Measurement,
    Ratio,
    Report,
    TileReport,
    TileRow,
)

SCHEMA = 1

KINDS = {"mac": "per MAC", "product": "per product in a dot unit", "tile": "per MAC in a tile"}
"""What energies are of, by the table that a row is in."""

_CIRCUMSTANCES = ("pdk", "clock_mhz", "script", "states", "simulator", "surroundings")
_OF_STIMULUS = ("tensors", "operations", "seed", "group", "scale", "digest")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A unit in one report."""

    energy_pj: Annotated[float | None, "its energy"]
    energy_pj_se: Annotated[float | None, "standard error"]
    area_um2: Annotated[float, "cell area"]
    gate_equivalents: Annotated[float, "cell area over the NAND2 of the library"]
    critical_path_ns: Annotated[float, "shortest clock period"]
    meets_timing: Annotated[bool, "whether the clock is slower"]
    ratios: Annotated[
        Mapping[str, Ratio], "how many times less energy than the report's baselines, by kind"
    ]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of a unit since the first report."""

    energy: Annotated[float | None, "energy over that of the first"]
    energy_se: Annotated[float | None, "its standard error: paired where the operations are alike"]
    area: Annotated[float, "cell area over that of the first"]
    path: Annotated[float, "critical path over that of the first"]
    verdict: Annotated[
        str,
        "of energy: `same` to the digit, `within errors` (two standard errors), `moved`, "
        "`error unknown` where too few groups tell it, or `no energy` where one has none",
    ]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A unit in all reports."""

    unit: Annotated[str, "label, with lanes where there are several"]
    of: Annotated[str, "what its energies are of: `mac`, `product` or `tile`"]
    reports: Annotated[Mapping[str, Standing | None], "by the report's name; null: not in it"]
    changes: Annotated[Mapping[str, Change | None], "of all reports but the first"]

    @property
    def is_shared(self) -> bool:
        """Whether several reports have it."""
        return sum(own is not None for own in self.reports.values()) > 1


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`compare.json`, `libraries.json`."""

    schema: Annotated[int, "grows when a field changes its name or meaning"]
    reports: Annotated[tuple[str, ...], "names, in order"]
    circumstances: Annotated[
        Mapping[str, Mapping[str, Any]],
        "what differs between them (library, clock, stimulus, tools), by report",
    ]
    rows: Annotated[tuple[Compared, ...], "one a unit"]

    @property
    def kinds(self) -> list[str]:
        """Kinds of baseline that the reports have ratios to."""
        standings = (own for row in self.rows for own in row.reports.values() if own)
        return [*dict.fromkeys(kind for own in standings for kind in own.ratios)]


def read(path: Path) -> Report:
    """A report from its file. Raises: UserError, OSError."""
    rule = f"{path} must be a file that report, dots or tiles wrote"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if "objectives" in content:
            raise UserError(f"{rule}, not a sweep")
        return from_json(_kind(content), content)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} must be JSON: {error}") from None
    except KeyError as error:
        raise UserError(f"{rule}: {error} is missing") from None
    except (AttributeError, TypeError):
        raise UserError(rule) from None


def _kind(content: Any) -> type[Report]:
    """Which report a file holds. Raises: KeyError, TypeError, AttributeError."""
    rows = content["rows"]
    if rows and "products_per_cycle" in rows[0]:
        return TileReport
    return DotReport if rows and "block" in rows[0] else MacReport


def names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths, without suffix, that differ. Raises: UserError."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("files to compare must differ, and one is given twice")
    parts = [path.resolve().with_suffix("").parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(own[-length:]) for own in parts]
        if len(set(ends)) == len(ends):
            return ends
    return [str(path) for path in paths]  # they differ in their suffixes alone


def compare(reports: Mapping[str, Report]) -> Comparison:
    """Units of the same table, label and lanes, of all reports."""
    found: dict[tuple[str, str], dict[str, tuple[Standing, Measurement]]] = {}
    for name, report in reports.items():
        for of, label, row in rows_of(report):
            found.setdefault((of, label), {})[name] = _standing(row), row.measured
    return Comparison(
        schema=SCHEMA,
        reports=tuple(reports),
        circumstances=_circumstances(reports),
        rows=tuple(_compared(of, label, own, reports) for (of, label), own in found.items()),
    )


def rows_of(report: Report) -> Iterator[tuple[str, str, Any]]:
    """What each row's energy is of (a key of `KINDS`), its label, with lanes where there are
    several, and the row.
    """
    every: Sequence[Any] = getattr(report, "rows", ())
    for row in (*every, *getattr(report, "dots", ()), *getattr(report, "tiles", ())):
        of = {MacRow: "mac", DotRow: "product", TileRow: "tile"}[type(row)]
        yield of, row.unit if of == "mac" else called(row), row


def called(row: TileRow | DotRow) -> str:
    """A unit's name among those of all lane counts."""
    return f"{row.unit}, {row.lanes} lanes"


def _standing(row: Any) -> Standing:
    ratios = {
        kind: Ratio(value, getattr(row, f"ratio_to_{kind}_se"))
        for kind in ("fp32", "fp8", "fp8_any", "mxfp8")
        if (value := getattr(row, f"ratio_to_{kind}", None)) is not None
    }
    own: Measurement = row.measured
    shared = {name: getattr(own, name) for name in Standing.__annotations__ if name != "ratios"}
    return Standing(**shared, ratios={**ratios, **row.ratios})


def _compared(
    of: str,
    label: str,
    own: Mapping[str, tuple[Standing, Measurement]],
    reports: Mapping[str, Report],
) -> Compared:
    first, *others = reports
    return Compared(
        unit=label,
        of=of,
        reports={name: own[name][0] if name in own else None for name in reports},
        changes={
            name: _change(
                own[first][1],
                own[name][1],
                reports[first].stimulus.digest == reports[name].stimulus.digest,
            )
            if first in own and name in own
            else None
            for name in others
        },
    )


def _change(before: Measurement, after: Measurement, alike: bool) -> Change:
    """`alike`: whether both saw the same operations."""
    ratio, error = None, None
    if before.energy_pj and after.energy_pj:
        ratio = after.energy_pj / before.energy_pj
        error = _error(before, after, alike)
    return Change(
        energy=ratio and significant(ratio, 5),
        energy_se=None if ratio is None or error is None else significant(ratio * error, 3),
        area=significant(after.area_um2 / before.area_um2, 5),
        path=significant(after.critical_path_ns / before.critical_path_ns, 5),
        verdict=_verdict(before, after, ratio, error),
    )


def _error(before: Measurement, after: Measurement, alike: bool) -> float | None:
    """Standard error of the ratio of two energies over it."""
    if alike and (paired := difference_error(before.batches, after.batches)) is not None:
        return paired
    errors = [relative_error(own.batches) for own in (before, after)]
    return None if None in errors else math.hypot(*(error or 0.0 for error in errors))


def _verdict(
    before: Measurement, after: Measurement, ratio: float | None, error: float | None
) -> str:
    if ratio is None:
        return "no energy"
    if before.energy_pj == after.energy_pj:
        return "same"
    if error is None:
        return "error unknown"
    return "moved" if abs(math.log(ratio)) >= TIE * error else "within errors"


def _circumstances(reports: Mapping[str, Report]) -> dict[str, dict[str, Any]]:
    """What all of a report's rows share, where it is not the same in all reports."""
    told = {name: _shared(report) for name, report in reports.items()}
    keys = dict.fromkeys(key for own in told.values() for key in own)
    found = {key: {name: own.get(key) for name, own in told.items()} for key in keys}
    first = next(iter(reports))
    return {
        key: values
        for key, values in found.items()
        if any(value != values[first] for value in values.values())
    }


def _shared(report: Report) -> dict[str, Any]:
    stimulus = {f"stimulus {name}": getattr(report.stimulus, name) for name in _OF_STIMULUS}
    return {**{name: getattr(report, name) for name in _CIRCUMSTANCES}, **stimulus, **report.tools}


def statement(comparison: Comparison, *, moves: bool = True) -> Iterator[str]:
    """In words: what differs in the circumstances, and (`moves`) how many units moved."""
    for key, values in comparison.circumstances.items():
        is_name = all(name == value for name, value in values.items())
        if key != "stimulus digest" and not is_name:
            told = ", ".join(f"{value} ({name})" for name, value in values.items())
            yield f"{key}: {told}"
    first, *others = comparison.reports
    for name in others if moves else ():
        verdicts = [
            change.verdict if (change := row.changes[name]) else "not in both"
            for row in comparison.rows
        ]
        counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        yield f"{name} against {first}: {told}"
