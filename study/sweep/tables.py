"""Tables of a sweep, and its rows as comma-separated values."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from .. import columns as c
from ..columns import Column, at
from ..tables import Table
from .rows import SkippedRow, SweepReport, SweepRow
from .sweep import fronts

_PDK = Column("library", "library", "pdk", None)
_MARK = Column("front", "on the\nfront", "mark", None)
_GATES = Column("GE/product", "gate equivalents\na product", "gate_equivalents_per_product", 4)
_OVERFLOWS = Column("over %", "over-\nflowed", "accumulator.overflow_rate", 2, 100, unit="%")
_ACCURACY = Column("accuracy %", "accuracy", "accuracy", 4, 100, unit="%")


def sweep_tables(report: SweepReport) -> list[Table]:
    """All rows, then each library's front in the order of its first objective, then what was left
    out.
    """
    libraries = ", ".join(f"{own.pdk} at {own.clock_mhz:g} MHz" for own in report.libraries)
    where = f"{libraries}; {report.stimulus.operations} operations"
    columns = _columns(report)
    what = ", ".join(report.objectives)
    found = [Table(f"Sweep ({where})", columns, report.rows)]
    for pdk, own in fronts(report):
        less = [column for column in columns if column not in (_PDK, _MARK)]
        found.append(Table(f"Pareto front of {what} ({pdk})", less, own))
    return [*found, *_left(report.skipped)]


def _columns(report: SweepReport) -> list[Column]:
    """Those that have something to say."""
    rows = report.rows
    wide = any(row.products_per_cycle > 1 for row in rows)
    overflows = any(row.accumulator and row.accumulator.overflows for row in rows)
    shown = {
        c.UNIT: True,
        _PDK: len(report.libraries) > 1,
        _MARK: True,
        c.PRODUCT_ENERGY: True,
        c.AREA: True,
        c.GATES: True,
        _GATES: wide,
        c.PATH: True,
        c.CLOCK: True,
        **dict.fromkeys(c.ERRORS, any(row.errors for row in rows)),
        _OVERFLOWS: overflows,
        _ACCURACY: any(row.accuracy is not None for row in rows),
    }
    return [column for column, has in shown.items() if has]


def _left(skipped: Sequence[SkippedRow]) -> list[Table]:
    columns = (c.UNIT, Column("reason", "reason", "reason", None))
    return [Table("Left out", columns, skipped)] if skipped else []


def sweep_page(report: SweepReport) -> Mapping[str, Any]:
    """Tables of sweep.html."""
    every, *rest = sweep_tables(report)
    count = len(report.libraries)
    return {"every": every, "fronts": rest[:count], "left": rest[count:]}


_FIGURES = {
    "products_per_cycle": "products_per_cycle",
    "energy_pj_per_product": "measured.energy_pj",
    "energy_pj_per_product_se": "measured.energy_pj_se",
    "area_um2": "measured.area_um2",
    "gate_equivalents": "measured.gate_equivalents",
    "gate_equivalents_per_product": "gate_equivalents_per_product",
    "critical_path_ns": "measured.critical_path_ns",
    "meets_timing": "measured.meets_timing",
    "leakage_uw": "measured.leakage_uw",
    "error_w": "errors.w",
    "error_a": "errors.a",
    "error_e": "errors.e",
    "error_outputs": "errors.outputs",
    "overflow_rate": "accumulator.overflow_rate",
    "accuracy": "accuracy",
    "pareto": "pareto",
    "slug": "measured.slug",
    "adders": "measured.adders",
}
"""Columns of sweep.csv behind those of the grid, and where their values are."""


def sweep_csv(report: SweepReport) -> str:
    """A line a row: its name, what was swept, its figures. Nothing stands for what is not there."""
    swept = list(dict.fromkeys(name for row in report.rows for name in row.swept))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "unit", "pdk", *swept, *_FIGURES])
    for row in report.rows:
        grid = [row.swept.get(name, "") for name in swept]
        writer.writerow([row.unit, row.kind, row.pdk, *grid, *_figures(row)])
    return text.getvalue()


def _figures(row: SweepRow) -> list[Any]:
    found = [at(row, path) for path in _FIGURES.values()]
    return ["" if value is None else value for value in found]
