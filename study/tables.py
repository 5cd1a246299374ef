"""The tables of each report: rows and the columns that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import columns as c
from .columns import Column
from .compare import KINDS, Compared, Comparison
from .quantizer_rows import QuantizerReport
from .rows import DotRow, FpgaRow, MacReport, MacRow, Report, TileRow
from .systems import BASELINES

if TYPE_CHECKING:  # its module measures: every command would wait for all of synth
    from .table5 import Table5


@dataclass(frozen=True)
class Table:
    """Rows in order, a column a figure; the first column names the row. Of the columns `given`
    those that have nothing in any row are left out.
    """

    title: str
    given: Sequence[Column]
    rows: Sequence[Any]

    @cached_property
    def columns(self) -> list[Column]:
        """What is shown."""
        first, *others = self.given
        return [first, *(column for column in others if not self._is_empty(column))]

    def _is_empty(self, column: Column) -> bool:
        return bool(self.rows) and all(column.text(row) == "-" for row in self.rows)


@dataclass(frozen=True)
class Sheet:
    """One row's figures, one a line.

    `parts`: columns, and a text for each heading, which stands for `{}` in it.
    """

    title: str
    parts: Sequence[tuple[str, Sequence[Column]]]
    row: Any

    def lines(self) -> list[tuple[str, str]]:
        """Name and value of each figure."""
        return [
            (text.format(column.heading), column.in_terminal(self.row))
            for text, columns in self.parts
            for column in columns
        ]


def _where(report: Report) -> str:
    laid_out = ", laid out" if report.layout else ""
    return f"{report.pdk}, {report.clock_mhz:g} MHz{laid_out}"


def layout_tables(rows: Sequence[MacRow | DotRow | TileRow], what: str) -> list[Table]:
    """Wires and clock tree, before and after: energy of `what`, its ratios, area and timing; none
    without a layout.
    """
    if not rows or rows[0].measured.layout is None:
        return []
    first = (c.UNIT,) if isinstance(rows[0], MacRow) else (c.UNIT, c.LANES)
    title = "Wires and clock tree"
    return [
        Table(f"{title}: energy {what}, pJ", (*first, *c.LAYOUT_ENERGIES), rows),
        Table(f"{title}: ratios of energies", (*first, *c.LAYOUT_RATIOS), rows),
        Table(f"{title}: area", (*first, *c.LAYOUT_AREAS), rows),
        Table(f"{title}: timing", (*first, *c.LAYOUT_TIMES), rows),
    ]


def mac_tables(report: MacReport) -> list[Table]:
    """Energy with ratios, then area and timing."""
    where = f"{_where(report)}, {report.stimulus.operations} operations"
    areas = (c.AREA, c.GATES, c.CELLS, c.FLOPS, c.PATH, c.CLOCK, c.ADDERS)
    return [
        Table(
            f"Energy per MAC ({where}); on the right, of combinational cells alone",
            (c.UNIT, *c.ENERGIES, c.HELD, *c.RATIOS, *c.COMBINATIONAL, *_own_ratios(report)),
            report.rows,
        ),
        Table("Area and timing", (c.UNIT, *areas), report.rows),
        *layout_tables(report.rows, KINDS["mac"]),
    ]


def _own_ratios(report: MacReport) -> list[Column]:
    """To baselines of a user's own kinds."""
    return [c.ratio_to(kind) for kind in report.baselines if kind not in BASELINES]


def mac_page(report: MacReport) -> Mapping[str, Table]:
    """Tables of report.html."""
    checks = (c.LEAKAGE, c.MISMATCHES, c.TOGGLED, c.BUILD)
    areas = (c.UNIT, c.AREA, c.GATES, c.FLOPS, c.PATH, c.CLOCK, *checks)
    ranges = (c.UNIT, *c.RANGE, *map(c.overflowed, report.stimulus.kinds))
    integers = [row for row in report.rows if row.accumulator]
    return {
        "energy": Table(
            "Energy per MAC",
            (c.UNIT, *c.ENERGIES, c.HELD, *c.RATIOS, *c.COMBINATIONAL, *_own_ratios(report)),
            report.rows,
        ),
        "area": Table("Area and timing", areas, report.rows),
        "split": Table("Where the energy goes", (c.UNIT, *c.SPLIT, c.ZERO_PRODUCTS), report.rows),
        "range": Table("Accumulator range", ranges, integers),
    }


def mac_sheet(report: MacReport) -> Sheet:
    """A single unit's figures."""
    (row,) = report.rows
    return Sheet(
        f"{row.unit}: {_where(report)}, {report.stimulus.operations} operations",
        (
            ("{}", (c.AREA, c.GATES, c.CELLS, c.FLOPS, c.PATH, c.CLOCK, c.ADDERS)),
            ("energy, {}", c.ENERGIES),
            ("of it, {} pJ", c.SPLIT),
            ("{}", (c.LEAKAGE, c.SLUG)),
            *(_OF_LAYOUT if row.measured.layout else ()),
        ),
        row,
    )


_OF_LAYOUT = (
    ("layout, {}", c.LAYOUT_ENERGIES),
    ("layout, {}", c.LAYOUT_AREAS),
    ("layout, {}", c.LAYOUT_TIMES),
)


def tile_tables(report: Report, rows: Sequence[TileRow]) -> list[Table]:
    """Energy by stage with ratios, then area and timing; where there are tiles of dots, theirs."""
    energies = (c.UNIT, c.LANES, c.ENERGY, *c.TILE_ENERGIES, c.TO_FP32, c.TO_FP8)
    areas = (c.UNIT, c.LANES, c.GATES_PER_LANE, *c.TILE_AREAS, c.PATH, c.BUSY)
    macs, dots = _with_stages(rows, c.TILE_STAGES), _with_stages(rows, c.DOT_STAGES)
    shown = []
    if macs:
        shown += [
            Table(f"Energy per MAC in a tile, pJ ({_where(report)})", energies, macs),
            Table("Area and timing", areas, macs),
        ]
    if dots:
        first = (c.UNIT, c.LANES, c.PRODUCTS)
        energies = (*first, c.ENERGY, *c.DOT_TILE_ENERGIES, c.TO_FP32, c.TO_FP8)
        areas = (*first, c.GATES, *c.DOT_TILE_AREAS, c.PATH, c.BUSY)
        shown += [
            Table(f"Energy per product in a tile of dots, pJ ({_where(report)})", energies, dots),
            Table("Area and timing", areas, dots),
        ]
    return shown + layout_tables(rows, KINDS["tile"])


def _with_stages(rows: Sequence[TileRow], stages: Mapping[str, str]) -> list[TileRow]:
    """The rows of tiles that have no other stages."""
    return [row for row in rows if row.measured.area_um2_by_stage.keys() <= stages.keys()]


def tile_page(rows: Sequence[TileRow]) -> Mapping[str, Table]:
    """Tables of tiles.html, and of the part of report.html on tiles."""
    ratios = (c.ZERO_DELAY, c.TO_FP32, c.TO_FP8, c.BUSY)
    checks = (*c.AREA_RATIOS, c.FLOPS, c.PATH, c.CLOCK, c.MISMATCHES, c.ADDERS)
    areas = (c.UNIT, c.LANES, c.AREA, c.GATES_PER_LANE, *c.TILE_AREAS, *checks)
    macs, dots = _with_stages(rows, c.TILE_STAGES), _with_stages(rows, c.DOT_STAGES)
    first = (c.UNIT, c.LANES, c.PRODUCTS)
    of_dots = (*first, c.AREA, c.GATES, *c.DOT_TILE_AREAS, *checks)
    return {
        "tiles": Table(
            "Energy per MAC", (c.UNIT, c.LANES, c.ENERGY, *c.TILE_ENERGIES, *ratios), macs
        ),
        "tiles_of_dots": Table(
            "Energy per product of dots", (*first, c.ENERGY, *c.DOT_TILE_ENERGIES, *ratios), dots
        ),
        "tile_areas": Table("Area and timing", areas, macs),
        "tile_of_dots_areas": Table("Area and timing of dots", of_dots, dots),
    }


def dot_tables(report: Report, rows: Sequence[DotRow]) -> list[Table]:
    """Energy by stage with ratios, then area, timing and errors, of a report's dot units."""
    ratios = (c.TO_FP32, c.TO_FP8, c.TO_MXFP8)
    return [
        Table(
            f"Energy per product in a dot unit, pJ ({_where(report)})",
            (c.UNIT, c.LANES, c.PRODUCT_ENERGY, *c.DOT_ENERGIES, c.ZERO_DELAY, *ratios),
            rows,
        ),
        Table(
            "Area and timing of dot units; errors of rounding operands to nearest",
            (c.UNIT, c.LANES, c.BLOCK, c.GATES_PER_PRODUCT, *c.DOT_AREA_RATIOS, c.PATH, *c.ERRORS),
            rows,
        ),
        *layout_tables(rows, KINDS["product"]),
    ]


def dot_page(rows: Sequence[DotRow]) -> Mapping[str, Table]:
    """Tables of dots.html, and of the part of report.html on dot units."""
    ratios = (c.ZERO_DELAY, c.TO_FP32, c.TO_FP8, c.TO_MXFP8, c.OUTPUT_ERROR)
    checks = (c.FLOPS, c.PATH, c.CLOCK, c.MISMATCHES, c.ADDERS)
    areas = (c.UNIT, c.LANES, c.BLOCK, c.AREA, c.GATES_PER_PRODUCT, *c.DOT_AREA_RATIOS, *checks)
    return {
        "dots": Table(
            "Energy per product in a dot unit",
            (c.UNIT, c.LANES, c.PRODUCT_ENERGY, *c.DOT_ENERGIES, *ratios),
            rows,
        ),
        "dot_areas": Table("Area and timing of dot units", areas, rows),
        "dot_errors": Table("Errors of rounding to nearest", (c.UNIT, c.LANES, *c.ERRORS), rows),
    }


def quantizer_tables(report: QuantizerReport) -> list[Table]:
    """Units, operations beside them, networks, training steps."""
    energies = (c.UNIT, c.ELEMENT_ENERGY, *c.QUANTIZER_ENERGIES, c.ZERO_DELAY)
    areas = (c.UNIT, c.GATES_PER_LANE, *c.QUANTIZER_AREAS, c.PATH, c.FLOPS)
    return [
        Table(f"Energy of both passes, by lanes ({_where(report)})", energies, report.rows),
        Table("Area and timing", areas, report.rows),
        operation_table(report),
        Table(
            "A training step, a sample: MACs, elements quantized",
            (c.NETWORK, *c.NETWORKS),
            report.networks,
        ),
        *(
            Table(
                f"Energy of a training step of {network.network}, uJ a sample",
                (c.QUANTIZER, *c.STEPS),
                [step for step in report.steps if step.network == network.network],
            )
            for network in report.networks
        ),
    ]


def operation_table(report: QuantizerReport) -> Table:
    """What the units of the quantizer are compared with."""
    columns = (c.UNIT, c.OPERATION_ENERGY, c.GATES, c.PATH, c.FLOPS)
    return Table("Operations beside them", columns, report.operations)


def quantizer_summary(report: QuantizerReport) -> Table:
    """Energy and area of the units side by side."""
    figures = (c.ELEMENT_ENERGY, *c.QUANTIZER_ENERGIES, c.GATES_PER_LANE, c.PATH)
    return Table("Both passes", (c.UNIT, *figures), report.rows)


def step_summary(report: QuantizerReport) -> Table:
    """Training steps of all networks."""
    return Table("Training steps", (c.NETWORK, c.QUANTIZER, *c.STEPS), report.steps)


def table5_table(report: "Table5") -> Table:
    """The ratios of the MLS paper's Table 5 under each condition."""
    return Table(f"Ratios of the MLS paper's Table 5 ({_where(report)})", c.TABLE_5, report.rows)


def fpga_sheet(row: FpgaRow) -> Sheet:
    """A unit's figures on an FPGA."""
    multipliers = "DSP blocks allowed" if row.dsp else "no DSP blocks"
    return Sheet(
        f"{row.slug}: {row.device}, speed grade {row.speed_grade}, {multipliers}",
        (("{}", c.placed(len(row.placed.fmax_mhz_by_seed))),),
        row,
    )


def comparison_tables(comparison: Comparison) -> list[Table]:
    """By what energies are of: energies with what became of them, then area and path."""
    first, *others = comparison.reports
    energies = [c.UNIT, c.standing(first, "energy_pj", f"{first}, pJ")]
    areas = [c.UNIT, *(c.standing(first, *figure) for figure in _OF_AREA)]
    for name in others:
        energies += [
            c.standing(name, "energy_pj", f"{name}, pJ"),
            c.change(name, "energy", "ratio"),
            c.change(name, "verdict", "verdict"),
        ]
        areas += [c.change(name, *figure) for figure in (("area", "x area"), ("path", "x path"))]
    shown = []
    for of, what in KINDS.items():
        if rows := [row for row in comparison.rows if row.of == of and row.is_shared]:
            shown += [
                Table(f"Energy {what}; ratio to {first}", energies, rows),
                Table(f"Area and timing; ratio to {first}", areas, rows),
            ]
    return shown


_OF_AREA = (("gate_equivalents", "GE", 4), ("critical_path_ns", "path ns"))


def library_tables(comparison: Comparison) -> list[Table]:
    """By what energies are of: energies and ratios in each library."""
    shown = []
    for of, what in KINDS.items():
        rows = [row for row in comparison.rows if row.of == of]
        kinds = [kind for kind in comparison.kinds if any(_has(row, kind) for row in rows)]
        columns = [c.UNIT]
        for name in comparison.reports:
            columns.append(c.standing(name, "energy_pj", f"{name}, pJ"))
            columns += [
                c.standing_ratio(name, kind, f"x {_SHORT.get(kind, kind)}") for kind in kinds
            ]
        if rows:
            shown.append(Table(f"Energy {what}; x: times less than the baseline", columns, rows))
    return shown


_SHORT = {"fp32": "FP32", "fp8": "FP8", "fp8_any": "any FP8", "mxfp8": "MXFP8"}


def _has(row: Compared, kind: str) -> bool:
    return any(kind in own.ratios for own in row.reports.values() if own)
