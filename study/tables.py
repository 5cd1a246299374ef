"""The tables of each report: rows and the columns that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import columns as c
from .columns import Column
from .quantizer_rows import QuantizerReport
from .rows import DotRow, FpgaRow, MacReport, Report, TileReport, TileRow
from .table5 import Table5


@dataclass(frozen=True)
class Table:
    """Rows in order, a column a figure; the first column names the row."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]


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
    return f"{report.pdk}, {report.clock_mhz:g} MHz"


def mac_tables(report: MacReport) -> list[Table]:
    """Energy with ratios, then area and timing."""
    where = f"{_where(report)}, {report.stimulus.operations} operations"
    areas = (c.AREA, c.GATES, c.CELLS, c.FLOPS, c.PATH, c.CLOCK, c.ADDERS)
    return [
        Table(
            f"Energy per MAC ({where}); on the right, of combinational cells alone",
            (c.UNIT, *c.ENERGIES, c.HELD, *c.RATIOS, *c.COMBINATIONAL),
            report.rows,
        ),
        Table("Area and timing", (c.UNIT, *areas), report.rows),
    ]


def mac_page(report: MacReport) -> Mapping[str, Table]:
    """Tables of report.html."""
    checks = (c.LEAKAGE, c.MISMATCHES, c.TOGGLED, c.BUILD)
    areas = (c.UNIT, c.AREA, c.GATES, c.FLOPS, c.PATH, c.CLOCK, *checks)
    ranges = (c.UNIT, *c.RANGE, *map(c.overflowed, report.stimulus.kinds))
    integers = [row for row in report.rows if row.accumulator]
    return {
        "energy": Table(
            "Energy per MAC",
            (c.UNIT, *c.ENERGIES, c.HELD, *c.RATIOS, *c.COMBINATIONAL),
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
        ),
        row,
    )


def tile_tables(report: TileReport) -> list[Table]:
    """Energy by stage with ratios, then area and timing; where there are tiles of dots, theirs."""
    energies = (c.UNIT, c.LANES, c.ENERGY, *c.TILE_ENERGIES, c.TO_FP32, c.TO_FP8)
    areas = (c.UNIT, c.LANES, c.GATES_PER_LANE, *c.TILE_AREAS, c.PATH, c.BUSY)
    macs, dots = _with_stages(report, c.TILE_STAGES), _with_stages(report, c.DOT_STAGES)
    shown = [
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
    return shown


def _with_stages(report: TileReport, stages: Mapping[str, str]) -> list[TileRow]:
    """The rows of tiles that have no other stages."""
    return [row for row in report.rows if row.measured.area_um2_by_stage.keys() <= stages.keys()]


def tile_page(report: TileReport) -> Mapping[str, Table]:
    """Tables of tiles.html."""
    ratios = (c.ZERO_DELAY, c.TO_FP32, c.TO_FP8, c.BUSY)
    checks = (*c.AREA_RATIOS, c.FLOPS, c.PATH, c.CLOCK, c.MISMATCHES, c.ADDERS)
    areas = (c.UNIT, c.LANES, c.AREA, c.GATES_PER_LANE, *c.TILE_AREAS, *checks)
    macs, dots = _with_stages(report, c.TILE_STAGES), _with_stages(report, c.DOT_STAGES)
    first = (c.UNIT, c.LANES, c.PRODUCTS)
    of_dots = (*first, c.AREA, c.GATES, *c.DOT_TILE_AREAS, *checks)
    return {
        "energy": Table(
            "Energy per MAC", (c.UNIT, c.LANES, c.ENERGY, *c.TILE_ENERGIES, *ratios), macs
        ),
        "dots": Table(
            "Energy per product of dots", (*first, c.ENERGY, *c.DOT_TILE_ENERGIES, *ratios), dots
        ),
        "area": Table("Area and timing", areas, macs),
        "dots_area": Table("Area and timing of dots", of_dots, dots),
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


def table5_table(report: Table5) -> Table:
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
