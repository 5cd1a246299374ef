"""Commands that measure and compare."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ...sim.vectors import DEFAULT_SEED
from ...support.errors import UserError
from ...units.options import NONE
from ..options import (
    DOT_LANES,
    DOT_OPERATIONS,
    OF_LAYOUT,
    OF_STIMULUS,
    OF_UNIT,
    OF_VERILOG,
    TILE_OPERATIONS,
    DotLanes,
    Export,
    Json,
    Output,
    Scale,
    UnitName,
    WordSeed,
    check_range,
    configured,
    lane_counts,
    of_measuring,
    settled,
    takes,
)
from ..output import err, present, print_paths, show
from ..progress import progress_bar


@takes(options=OF_UNIT, given={**of_measuring(), **OF_LAYOUT})
def synth(
    unit: UnitName,
    options: Mapping[str, Any],
    given: Mapping[str, Any],
    export: Export = None,
    as_json: Json = False,
) -> None:
    """Measure one unit at its best build: area, timing, and energy from simulated activity."""
    from ...study.report import make_report
    from ...study.systems import Entry
    from ...study.tables import mac_sheet
    from .. import measuring

    configuration = configured(unit, options)
    given_options = {
        name: NONE if value is None else value for name, value in configuration.values.items()
    }
    entry = Entry(configuration.slug, unit, given_options)
    asked = measuring.asked(export, **given)
    result = measuring.measured(make_report, asked, entries=(entry,))
    show(result, as_json, [mac_sheet(result)], measuring.remarks(result))
    measuring.conclude(result)
    if export is not None:
        with err.status(f"simulating {configuration.slug} for {export}"):
            paths = measuring.export(asked, configuration, result.rows[0].measured, export)
        print_paths(paths)


@takes(verilog=OF_VERILOG, given={**of_measuring(), **OF_STIMULUS, **OF_LAYOUT})
def report(
    ctx: typer.Context,
    specification: Annotated[
        Path | None,
        typer.Argument(metavar="[SPEC.toml]", help="Rows and settings; see docs/questions.md."),
    ] = None,
    *,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            help="A row: '[LABEL: ]UNIT --option value ...', MAC, dot unit or tile; again for more."
        ),
    ] = None,
    standard: Annotated[
        list[str] | None,
        typer.Option(
            help="Standard rows: all (default where there are no others), baselines (default "
            "beside --unit), none (default of a SPEC), or a label; again for more."
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Label of a row that ratios are given to, too; again for more."),
    ] = None,
    verilog: Mapping[str, Any],
    lanes: DotLanes = DOT_LANES,
    output: Output = Path("build/report"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Compare MACs, dot units and tiles, and write report.json and report.html.

    Without rows of its own: every MAC, and dot units. With several libraries
    (--pdk osu018,sky130) each has a folder, and libraries.json and .html compare them.
    """
    from ...study.systems import Entry
    from .. import foreign, questions

    own: list[str | Entry] = [*(unit or []), *foreign.entries(**verilog)]
    question = questions.asked(specification, own, standard or [], baseline or [])
    settings = settled(ctx, {**given, "lanes": lanes}, question.settings)
    reports = questions.answered(question, settings, output)
    questions.present(reports, output, as_json)


@takes(given=of_measuring())
def table5(
    *,
    output: Output = Path("build/table5"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Show under which condition the ratios of the MLS paper's Table 5 come out."""
    from ...study.table5 import make_table5
    from ...study.tables import table5_table
    from .. import measuring
    from .. import table5 as shown

    asked = measuring.asked(output, **given)
    result = measuring.measured(make_table5, asked)
    present(result, [table5_table(result)], shown, output, as_json)


@takes(given={**of_measuring(TILE_OPERATIONS), **OF_LAYOUT})
def tiles(
    *,
    lanes: Annotated[str, typer.Option(help="Lane counts, commas between them.")] = "4,16,64",
    output: Output = Path("build/tiles"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Compare tiles of MACs (lanes, scales, adder tree, output) and write tiles.json and .html."""
    from ...study.tables import tile_tables
    from ...study.tile_report import make_tile_report
    from .. import measuring
    from .. import tiles as shown

    counts = lane_counts(lanes)
    asked = measuring.asked(output, **given)
    result = measuring.measured(make_tile_report, asked, lanes=counts)
    present(result, tile_tables(result, result.rows), shown, output, as_json)
    measuring.conclude(result)


@takes(given={**of_measuring(DOT_OPERATIONS), **OF_LAYOUT})
def dots(
    *,
    lanes: DotLanes = DOT_LANES,
    output: Output = Path("build/dots"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Compare dot units (many products, one scaled sum) and write dots.json and dots.html.

    Operations are steps, of as many products as there are lanes.
    """
    from ...study.dot_report import make_dot_report
    from ...study.tables import dot_tables
    from .. import dots as shown
    from .. import measuring

    counts = lane_counts(lanes, powers_of_two=True)
    asked = measuring.asked(output, **given)
    result = measuring.measured(make_dot_report, asked, lanes=counts)
    present(result, dot_tables(result, result.rows), shown, output, as_json)
    measuring.conclude(result)


@takes(given=of_measuring())
def quantizers(
    *,
    batch: Annotated[
        int | None, typer.Option(help="Samples of a training step; default: 128 and 256.")
    ] = None,
    output: Output = Path("build/quantizers"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Measure both passes of dynamic quantization and their share of a training step."""
    from ...study.quantizer_report import make_quantizer_report
    from ...study.tables import quantizer_tables
    from .. import measuring
    from .. import quantizers as shown

    if batch is not None:
        check_range("--batch", batch, 1)
    asked = measuring.asked(output, **given)
    result = measuring.measured(make_quantizer_report, asked, batch=batch)
    present(result, quantizer_tables(result), shown, output, as_json)
    measuring.conclude(result, {row.unit: row.measured for row in result.units})


def quality(
    output: Output = Path("build/quality"),
    scale: Scale = "8,1",
    seed: WordSeed = DEFAULT_SEED,
    as_json: Json = False,
) -> None:
    """Measure quantization errors of captured W, A, E by grouping, format, rounding and carry."""
    from ...data import load
    from ...golden.spec import ScaleFormat, parse_format
    from ...study.quality_report import make_quality_report, quality_tables
    from .. import measuring
    from .. import quality as shown

    check_range("--seed", seed, 0)
    try:
        scale_format = parse_format("--scale", ScaleFormat, scale)
    except ValueError as error:
        raise UserError(str(error)) from None
    measuring.check_writable(output)
    with progress_bar(err) as progress:
        result = make_quality_report(load(), scale_format, seed, progress)
    present(result, quality_tables(result), shown, output, as_json)


def compare(
    files: Annotated[
        list[Path], typer.Argument(metavar="A.json B.json...", help="Files of report, dots, tiles.")
    ],
    output: Output = Path("build/compare"),
    as_json: Json = False,
) -> None:
    """Show what moved between reports (runs, versions, corners), and whether beyond the errors."""
    from ...study.compare import compare, names, read
    from ...study.tables import comparison_tables
    from .. import comparing, measuring

    if len(files) < 2:
        raise UserError(f"files to compare must be two or more, not {len(files)}")
    compared = compare(dict(zip(names(files), map(read, files), strict=True)))
    measuring.check_writable(output)
    comparing.present(compared, comparison_tables(compared), "compare", output, as_json)
