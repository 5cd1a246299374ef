"""The verdict on formats: what is claimed of one against another, and what dot units say here.

Each comparison is of two rows of the report on dot units with the same products a cycle, in every
library and with captured and normal tensors: the answer depends on both.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .columns import ERRORS, Column, figure
from .rows import DotRow
from .tables import Table

LANES = 16

Settings = Mapping[str, Sequence[DotRow]]
"""Rows of a report by library and tensors, in words."""


@dataclass(frozen=True)
class Comparison:
    """Energy or area a product of `one` over that of `other`; `claimed`: by whom, and how much."""

    one: str
    other: str
    claimed: str = ""
    area: bool = False


COMPARISONS = (
    Comparison("MXINT8", "MXFP8 E4M3", "-37 % (arXiv 2510.25602)"),
    Comparison("NVINT4", "NVFP4", "-38 % (arXiv 2510.25602)"),
    Comparison("MXFP4", "MXFP8 E4M3", "-47 to -64 % (arXiv 2603.04979)"),
    Comparison("FP8 E4M3, exact sum", "INT8", "+50 to +180 % (arXiv 2303.17951)", area=True),
    Comparison("FP8 E4M3, float32 sum", "INT8", "+50 to +180 % (arXiv 2303.17951)", area=True),
    Comparison("FP8 E4M3, exact sum", "INT8"),
    Comparison("FP8 E4M3, float32 sum", "INT8"),
    Comparison("MXINT8", "INT8"),
    Comparison("NVFP4", "MXFP4"),
    Comparison("MLS <2,4>", "FP8 E4M3, float32 sum", "-82 % (the MLS paper, a MAC)"),
    Comparison("MLS <2,4>", "FP8 E4M3, exact sum"),
    Comparison("MLS <2,4>", "MXFP8 E4M3"),
    Comparison("MLS <2,4>", "MXINT8"),
    Comparison("MLS <2,4>", "MXFP6 E2M3"),
    Comparison("MLS <2,1>", "MXFP4"),
    Comparison("MLS <2,1>", "NVFP4"),
    Comparison("MLS <2,1>", "NVINT4"),
)


@dataclass(frozen=True)
class VerdictRow:
    """A comparison, or a unit, in all settings."""

    what: str
    claimed: str
    figures: Mapping[str, str]


def claims_table(settings: Settings) -> Table:
    """Each comparison's change in every setting."""
    rows = []
    for comparison in COMPARISONS:
        what = f"{comparison.one} over {comparison.other}{', area' if comparison.area else ''}"
        changes = {name: _change(comparison, rows_) for name, rows_ in settings.items()}
        rows.append(VerdictRow(what, comparison.claimed or "-", changes))
    columns = (Column("", "energy a product (or area) of", "what", None), _CLAIMED)
    return Table("Verdict", (*columns, *_of(settings)), rows)


def ratios_table(settings: Settings) -> Table:
    """How many times less energy than FP32 each unit takes in every setting."""
    first = next(iter(settings.values()))
    names = [row.unit for row in first if row.lanes == LANES]

    def ratio(row: DotRow) -> str:
        return figure(row.ratio_to_fp32)

    rows = [
        VerdictRow(name, "", {key: _figure(own, name, ratio) for key, own in settings.items()})
        for name in names
    ]
    columns = (Column("", "times less energy a product than FP32", "what", None),)
    return Table("Ratios", (*columns, *_of(settings)), rows)


def errors_table(settings: Settings) -> Table:
    """Errors of operands and outputs by unit in every setting; rows of exact formats are out."""
    rows = [
        VerdictRow(
            row.unit,
            "",
            {
                f"{key}: {column.heading}": _figure(own, row.unit, column.text)
                for key, own in settings.items()
                for column in ERRORS
            },
        )
        for row in next(iter(settings.values()))
        if row.lanes == LANES and row.errors.outputs
    ]
    columns = (Column("", "error of rounding", "what", None),)
    return Table("Errors", (*columns, *_of(rows[0].figures)), rows)


_CLAIMED = Column("claimed", "claimed", "claimed", None)


def _of(names: Mapping[str, object]) -> tuple[Column, ...]:
    return tuple(Column(name, name, f"figures.{name}", None) for name in names)


def _figure(rows: Sequence[DotRow], unit: str, told: Callable[[DotRow], str]) -> str:
    found = [row for row in rows if row.unit == unit and row.lanes == LANES]
    return told(found[0]) if found else "-"


def _change(comparison: Comparison, rows: Sequence[DotRow]) -> str:
    """In percent with the standard error; a dash where a unit has no energy."""
    by_name = {row.unit: row for row in rows if row.lanes == LANES}
    pair = [by_name[comparison.one], by_name[comparison.other]]
    if comparison.area:
        one, other = (row.gate_equivalents_per_lane for row in pair)
        return f"{100 * (one / other - 1):+.0f} %"
    one, other = (row.measured.energy_pj or 0.0 for row in pair)
    if not one or not other:
        return "-"
    error = math.hypot(
        *((row.measured.energy_pj_se or 0.0) / (row.measured.energy_pj or 1.0) for row in pair)
    )
    return f"{100 * (one / other - 1):+.0f} ±{100 * one / other * error:.0f} %"
