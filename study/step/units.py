"""Measured units, as reports have them: what an operation takes, by stage and by convolution."""

import functools
import importlib.resources
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ...golden.lowering import Kind
from ...support.errors import UserError
from ..compare import read, rows_of
from ..quantizer_rows import QuantizerReport
from ..records import from_json, significant, to_json
from ..rows import Batches, Measurement, Report

KINDS = tuple(kind.value for kind in Kind)
BASELINES = ("fp32", "fp8")
FILE = "measured.json"
"""Units of docs/results, which stand where no reports are given; `documents` makes it."""


@dataclass(frozen=True, kw_only=True)
class MeasuredUnit:
    """A unit of a report."""

    table: Annotated[str, "where it stands: `macs`, `dots`, `tiles` or `parts`"]
    unit: Annotated[str, "label"]
    lanes: Annotated[int | None, "of a dot unit or tile"]
    energy_pj: Annotated[float, "of an operation"]
    by_stage_pj: Annotated[Mapping[str, float], "the same by stage"]
    by_kind_pj: Annotated[Mapping[str, float], "the same by convolution, where it is known"]
    errors: Annotated[
        Mapping[str, float], "relative standard errors of its ratios to the report's baselines"
    ]

    def of(self, kind: str) -> float:
        """pJ of an operation of a convolution."""
        return self.by_kind_pj.get(kind, self.energy_pj)


@dataclass(frozen=True, kw_only=True)
class MeasuredUnits:
    """Units measured under the same conditions."""

    pdk: Annotated[str, "library"]
    clock_mhz: Annotated[float, "clock"]
    tensors: Annotated[str, "what the operands were"]
    units: Annotated[tuple[MeasuredUnit, ...], "one a unit"]

    def find(self, table: str, unit: str, lanes: int | None = None) -> MeasuredUnit | None:
        """The unit of a table, label and, where there are several, lanes."""
        return self._places.get((table, unit, lanes))

    def lanes(self, table: str, label: str) -> set[int]:
        """Lane counts of a unit, which is of a table that has such."""
        every = (unit for unit in self.units if (unit.table, unit.unit) == (table, label))
        return {unit.lanes for unit in every if unit.lanes}

    @functools.cached_property
    def _places(self) -> Mapping[tuple[str, str, int | None], MeasuredUnit]:
        return {(unit.table, unit.unit, unit.lanes): unit for unit in self.units}


def default_units() -> MeasuredUnits:
    """What docs/results has."""
    text = (importlib.resources.files(__package__) / FILE).read_text(encoding="utf-8")
    return from_json(MeasuredUnits, json.loads(text))


def read_units(paths: Sequence[Path]) -> MeasuredUnits:
    """Units of files that `report`, `dots`, `tiles` and `quantizers` wrote.

    Raises: UserError (a file that is none, other conditions than those of the first), OSError.
    """
    return units_of({str(path): _report(path) for path in paths})


def units_of(reports: Mapping[str, Report]) -> MeasuredUnits:
    """Units of reports by name; of those that are in several the first. Raises: UserError."""
    (first, shared), *others = reports.items()
    for name, report in others:
        for what in ("pdk", "clock_mhz"):
            one, other = getattr(shared, what), getattr(report, what)
            if one != other:
                raise UserError(
                    f"{what} of all reports must be one: {one} ({first}), {other} ({name})"
                )
    found: dict[tuple[str, str, int | None], MeasuredUnit] = {}
    for report in reports.values():
        for unit in _units(report):
            found.setdefault((unit.table, unit.unit, unit.lanes), unit)
    tensors = dict.fromkeys(report.stimulus.tensors for report in reports.values())
    return MeasuredUnits(
        pdk=shared.pdk,
        clock_mhz=shared.clock_mhz,
        tensors=", ".join(tensors),
        units=tuple(found.values()),
    )


def to_text(units: MeasuredUnits) -> str:
    """The text of `FILE`: a line a unit."""
    content = to_json(units)
    lines = ",\n".join(f"    {json.dumps(unit)}" for unit in content.pop("units"))
    return f'{json.dumps(content)[:-1]}, "units": [\n{lines}\n]}}\n'


def _report(path: Path) -> Report:
    rule = f"{path} must be a file that report, dots, tiles or quantizers wrote"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "networks" in content:
            return from_json(QuantizerReport, content)
        return read(path)
    except (UserError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        raise UserError(rule) from None


def _units(report: Report) -> Iterator[MeasuredUnit]:
    """All that have an energy."""
    if isinstance(report, QuantizerReport):
        for part in report.units:
            if part.measured.usable:
                yield _unit("parts", part.unit, None, part.measured, {}, {})
        return
    kinds = report.stimulus.kinds
    for of, _, row in rows_of(report):
        if row.measured.usable:
            table = {"mac": "macs", "product": "dots", "tile": "tiles"}[of]
            lanes = row.lanes if table != "macs" else None
            by_kind = _by_kind(row.measured.batches, kinds)
            yield _unit(table, row.unit, lanes, row.measured, by_kind, _errors(row))


def _unit(
    table: str,
    unit: str,
    lanes: int | None,
    measured: Measurement,
    by_kind: Mapping[str, float],
    errors: Mapping[str, float],
) -> MeasuredUnit:
    energy = measured.energy_pj
    assert energy is not None
    stages = measured.energy_pj_by_stage
    return MeasuredUnit(
        table=table,
        unit=unit,
        lanes=lanes,
        energy_pj=energy,
        by_stage_pj=stages,
        by_kind_pj=by_kind,
        errors=errors,
    )


def _by_kind(batches: Batches | None, kinds: Sequence[str]) -> dict[str, float]:
    """pJ an operation of each convolution; none where the operands are not of all three."""
    if batches is None or tuple(kinds) != KINDS or set(batches.strata) != set(range(len(KINDS))):
        return {}
    found = {}
    for place, kind in enumerate(KINDS):
        own = [number for number, stratum in enumerate(batches.strata) if stratum == place]
        energy = sum(batches.energy_pj[number] for number in own)
        found[kind] = significant(energy / sum(batches.macs[number] for number in own), 6)
    return found


def _errors(row: Any) -> dict[str, float]:
    ratios = {kind: getattr(row, f"ratio_to_{kind}") for kind in BASELINES}
    errors = {kind: getattr(row, f"ratio_to_{kind}_se") for kind in BASELINES}
    return {
        kind: significant(errors[kind] / ratios[kind], 3)
        for kind in BASELINES
        if ratios[kind] and errors[kind]
    }
