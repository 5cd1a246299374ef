"""`mlsmac sweep`: a grid of options to measured rows, their front, tables and a plot."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ...study.sweep.rows import SweepReport
from ..options import Json, Output, of_measuring, takes
from ..output import err, exit_if_wrong, json_text, print_paths, show, warn
from ..progress import progress_bar, with_time_left


def _of_sweep() -> dict[str, tuple[Any, Any]]:
    """What other commands that measure take, of several libraries, less `--quick`."""
    known = {name: option for name, option in of_measuring().items() if name != "quick"}
    libraries = Annotated[
        str | None,
        typer.Option(help="Libraries, commas between them; default: osu018. See mlsmac doctor."),
    ]
    return known | {"pdk": (libraries, None)}


Units = Annotated[
    list[str] | None,
    typer.Option("--unit", help="A unit of the grid; again for more. Default: mls_mac."),
]
Axes = Annotated[
    list[str] | None,
    typer.Option(
        "--grid",
        metavar="OPTION=VALUE...",
        help="Values of an option, blanks between them, ranges allowed: 'format=1-4,1-5 e4m3'; "
        "UNIT.OPTION=... of one unit alone. Beside the units' options: length (what acc_width auto "
        "is proven for), and of MLS MACs group (nc, n, c, none, block:16) and scale.",
    ),
]
Search = Annotated[
    bool, typer.Option("--search", help="Each configuration at its best build, not at one.")
]


@takes(given=_of_sweep())
def sweep(
    *,
    context: typer.Context,
    spec: Annotated[
        Path | None,
        typer.Argument(metavar="SPEC.toml", help="The same options from a file, by their names."),
    ] = None,
    unit: Units = None,
    grid: Axes = None,
    objectives: Annotated[
        str, typer.Option(help="Of the Pareto front: energy, area, delay, error, accuracy.")
    ] = "energy,error",
    accuracy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Results of a training (JSON).")
    ] = None,
    search: Search = False,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on the workers of a Dask scheduler."),
    ] = None,
    output: Output = Path("build/sweep"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Measure every configuration of a grid: area, delay, energy, error, and the Pareto front."""
    from ...study.sweep.sweep import make_sweep
    from ...study.sweep.tables import sweep_tables
    from ...study.sweep.workers import cluster, here
    from .. import measuring
    from ..sweep_request import asked

    own = {"unit": unit, "grid": grid, "objectives": objectives, "accuracy": accuracy}
    options = {**own, "search": search, **given}
    source = {name: context.get_parameter_source(name) for name in options}
    named = {name for name, where in source.items() if where and where.name != "DEFAULT"}
    request = asked(spec, options, named)
    measuring.check_writable(output)
    results = measuring.cache(given["use_cache"])
    with progress_bar(err) as step:
        report = make_sweep(
            request.points,
            request.skipped,
            request.libraries,
            request.stimulus,
            chosen=request.objectives,
            accuracies=request.accuracies,
            workers=cluster(scheduler) if scheduler else here,
            results=results,
            progress=with_time_left(step),
        )
    paths = write(report, output)
    show(report, as_json, sweep_tables(report), remarks(report))
    print_paths(paths)
    warn(_cautions(report, len(request.accuracies)))
    exit_if_wrong(row.measured for row in report.rows)
    if any(left.failed for left in report.skipped):
        sys.exit(1)


def write(report: SweepReport, directory: Path) -> list[Path]:
    """Write sweep.json, .html, .csv and .svg into `directory`, all or none."""
    from ...study.html import sweep_html
    from ...study.sweep.plot import sweep_plot
    from ...study.sweep.tables import sweep_csv
    from ...support.files import write_whole

    plot = sweep_plot(report)
    texts = {
        "sweep.json": json_text(report),
        "sweep.html": sweep_html(report, plot),
        "sweep.csv": sweep_csv(report),
        "sweep.svg": plot,
    }
    files = {directory / name: text for name, text in texts.items()}
    write_whole(files)
    return list(files)


def remarks(report: SweepReport) -> list[str]:
    """What the tables' reader must know."""
    builds = "the best build" if report.search else "one build"
    lines = [
        f"{len(report.rows)} rows, {builds} of each; *: no other row of its library is as good in "
        f"{', '.join(report.objectives)} and better in one of them",
        "energies in pJ a product, glitches included; pre-layout: no wires, ideal clock; errors: "
        "root mean square of what rounding to nearest does, over that of the values",
    ]
    late = [row.unit for row in report.rows if not row.measured.meets_timing]
    return [*lines, *([f"{len(late)} miss the clock: {', '.join(late)}"] if late else [])]


def _cautions(report: SweepReport, accuracies: int) -> Iterator[str]:
    """Errors above the stated precision, in one line; results of a training that no row has."""
    errors = [
        (row.measured.energy_pj_se or 0) / row.measured.energy_pj
        for row in report.rows
        if row.measured.energy_pj
    ]
    wide = [error for error in errors if error > report.precision]
    if wide:
        needed = report.stimulus.operations * (max(wide) / report.precision) ** 2
        yield (
            f"{len(wide)} of {len(errors)} energies have standard errors above "
            f"{100 * report.precision:g} %, up to {100 * max(wide):.2g} %: "
            f"about {needed:,.0f} operations needed"
        )
    told = {id(row.swept) for row in report.rows if row.accuracy is not None}
    if accuracies > len(told):
        yield f"{accuracies - len(told)} of {accuracies} accuracies are of no configuration here"
