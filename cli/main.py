"""The `mlsmac` command. Exit 0: done; 1: the hardware or a metric is wrong; 2: the request is."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ..sim.vectors import DEFAULT_OPERATIONS, DEFAULT_SEED
from ..support.errors import ToolError, UserError
from ..units import UNITS, StreamConfiguration, configure, emit
from ..units.emit import parameters
from ..units.options import NONE
from .options import (
    DOT_LANES,
    DOT_OPERATIONS,
    OF_UNIT,
    TILE_OPERATIONS,
    DotLanes,
    Export,
    Interface,
    Json,
    Output,
    Results,
    Scale,
    Seed,
    UnitCommand,
    UnitName,
    UseCache,
    WordSeed,
    check_range,
    configured,
    lane_counts,
    of_measuring,
    takes,
)
from .output import err, out, present, print_json, print_paths, show
from .sweep import sweep

app = typer.Typer(
    name="mlsmac",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; a mistake of the user's is one line on stderr and exit status 2, a failure
    of a tool one line and 1.
    """
    # As an exception, so that temporary files go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except UserError as error:
        fail(str(error))
    except ToolError as error:
        fail(str(error), status=1)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _show_version(asked: bool) -> None:
    if asked:
        from .. import __version__

        out.print(f"mlsmac {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Generate, verify and measure multi-level-scaling MACs and the baselines beside them."""


def fail(message: str, status: int = 2) -> None:
    """Print one line and exit."""
    err.print(f"mlsmac: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(status)


@app.command()
def units(as_json: Json = False) -> None:
    """List the units that can be generated, verified and synthesized."""
    every = [configure(name) for name in UNITS]
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "description": each.unit.description,
                    "options": parameters(each),
                }
                for each in every
            ]
        )
        return
    table = Table("unit", "what it is", "options (defaults)")
    for each in every:
        options = ", ".join(
            each.unit.options[name].row.written(value) for name, value in each.values.items()
        )
        table.add_row(each.name, each.unit.description, options)
    out.print(table)


@app.command(cls=UnitCommand)
@takes(options=OF_UNIT)
def generate(
    unit: UnitName,
    options: Mapping[str, Any],
    interface: Interface = "wires",
    results: Results = None,
    output: Output = Path(),
    as_json: Json = False,
) -> None:
    """Write a unit's Verilog and its JSON sidecar (ports, latency, parameters, tool versions)."""
    configuration = configured(unit, options, interface, results)
    emitted = emit(configuration)
    paths = emitted.write(output)
    if as_json:
        print_json(emitted.sidecar)
    else:
        for path in paths:
            out.print(str(path), highlight=False, soft_wrap=True)


@app.command(cls=UnitCommand)
@takes(options=OF_UNIT)
def verify(
    unit: UnitName,
    options: Mapping[str, Any],
    interface: Interface = "wires",
    results: Results = None,
    simulator: Annotated[str, typer.Option(help="icarus or verilator.")] = "icarus",
    operations: Annotated[
        int | None,
        typer.Option(help=f"Steps to simulate; default: {DEFAULT_OPERATIONS} over the lanes."),
    ] = None,
    seed: Seed = DEFAULT_SEED,
    directory: Annotated[
        Path, typer.Option("--build", help="Where the simulation and a waveform go.")
    ] = Path("build/verify"),
    as_json: Json = False,
) -> None:
    """Check a unit against the golden model in a simulator; exit 1 on any mismatch."""
    from ..sim.runner import SIMULATORS, run_bench
    from ..sim.streams import run_stream_bench

    configuration = configured(unit, options, interface, results)
    if simulator not in SIMULATORS:
        raise UserError(f"--simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if operations is None:
        operations = DEFAULT_OPERATIONS // configuration.options.get("lanes", 1)
    check_range("--operations", operations, 1)
    check_range("--seed", seed, 0)
    with err.status(f"simulating {configuration.slug} in {simulator}"):
        place = directory / configuration.slug
        how: dict[str, Any] = {"simulator": simulator, "operations": operations, "seed": seed}
        if isinstance(configuration, StreamConfiguration):
            result = run_stream_bench(configuration, place, **how)
        else:
            result = run_bench(configuration, place, **how)
    waveform = str(result.waveform) if result.waveform else None
    if as_json:
        print_json(
            {
                "unit": configuration.slug,
                "simulator": simulator,
                "seed": seed,
                "operations": result.operations,
                "outputs_checked": result.checked,
                "mismatches": list(result.mismatches),
                "waveform": waveform,
            }
        )
    else:
        for line in result.mismatches:
            err.print(line, highlight=False, soft_wrap=True)
        verdict = f"FAILED, waveform {waveform}" if result.mismatches else "ok"
        out.print(
            f"{configuration.slug}: {result.operations} operations, {result.checked} outputs, "
            f"seed {seed}, {simulator}: {verdict}",
            highlight=False,
            soft_wrap=True,
        )
    if result.mismatches:
        sys.exit(1)


@app.command(cls=UnitCommand)
@takes(options=OF_UNIT, given=of_measuring())
def synth(
    unit: UnitName,
    options: Mapping[str, Any],
    given: Mapping[str, Any],
    export: Export = None,
    as_json: Json = False,
) -> None:
    """Measure one unit at its best build: area, timing, and energy from simulated activity."""
    from ..cli import measuring
    from ..study.systems import Entry
    from ..study.tables import mac_sheet

    configuration = configured(unit, options)
    given_options = {
        name: NONE if value is None else value for name, value in configuration.values.items()
    }
    entry = Entry(configuration.slug, unit, given_options)
    asked = measuring.asked(export, **given)
    result = measuring.run(asked, err, entries=(entry,))
    show(result, as_json, [mac_sheet(result)], measuring.remarks(result))
    measuring.conclude(result, {row.unit: row.measured for row in result.rows})
    if export is not None:
        with err.status(f"simulating {configuration.slug} for {export}"):
            paths = measuring.export(asked, configuration, result.rows[0].measured, export)
        print_paths(paths)


@app.command()
@takes(given=of_measuring())
def report(
    *,
    lanes: DotLanes = DOT_LANES,
    output: Output = Path("build/report"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Compare every MAC, and dot units, and write report.json and report.html."""
    from ..cli import measuring
    from ..study.systems import ENTRIES
    from ..study.tables import dot_tables, mac_tables

    counts = lane_counts(lanes, powers_of_two=True)
    asked = measuring.asked(output, **given)
    result = measuring.run(asked, err, entries=ENTRIES, held=True)
    own = measuring.run_dots(measuring.of_dots(asked), err, lanes=counts)
    result = replace(result, dot_baselines=own.baselines, dots=own.rows)
    tables = [*mac_tables(result), *dot_tables(result, result.dots)]
    present(result, tables, measuring, output, as_json)
    macs = {row.unit: row.measured for row in result.rows}
    every = macs | {measuring.called(row): row.measured for row in own.rows}
    measuring.conclude(result, every)


@app.command()
@takes(given=of_measuring())
def table5(
    *,
    output: Output = Path("build/table5"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Show under which condition the ratios of the MLS paper's Table 5 come out."""
    from ..cli import measuring
    from ..cli import table5 as shown
    from ..study.table5 import make_table5
    from ..study.tables import table5_table

    asked = measuring.asked(output, **given)
    with measuring.progress_bar(err) as progress:
        result = make_table5(
            asked.conditions, asked.stimulus, results=asked.results, progress=progress
        )
    present(result, [table5_table(result)], shown, output, as_json)


@app.command()
@takes(given=of_measuring(TILE_OPERATIONS))
def tiles(
    *,
    lanes: Annotated[str, typer.Option(help="Lane counts, commas between them.")] = "4,16,64",
    output: Output = Path("build/tiles"),
    given: Mapping[str, Any],
    as_json: Json = False,
) -> None:
    """Compare tiles of MACs (lanes, scales, adder tree, output) and write tiles.json and .html."""
    from ..cli import measuring
    from ..cli import tiles as shown
    from ..study.tables import tile_tables
    from ..study.tile_report import make_tile_report

    counts = lane_counts(lanes)
    asked = measuring.asked(output, **given)
    with measuring.progress_bar(err) as progress:
        result = make_tile_report(
            asked.conditions,
            asked.stimulus,
            lanes=counts,
            results=asked.results,
            progress=progress,
        )
    present(result, tile_tables(result), shown, output, as_json)
    measuring.conclude(result, {measuring.called(row): row.measured for row in result.rows})


@app.command()
@takes(given=of_measuring(DOT_OPERATIONS))
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
    from ..cli import dots as shown
    from ..cli import measuring
    from ..study.tables import dot_tables

    counts = lane_counts(lanes, powers_of_two=True)
    asked = measuring.asked(output, **given)
    result = measuring.run_dots(asked, err, lanes=counts)
    present(result, dot_tables(result, result.rows), shown, output, as_json)
    measuring.conclude(result, {measuring.called(row): row.measured for row in result.rows})


app.command()(sweep)


@app.command()
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
    from ..cli import measuring
    from ..cli import quantizers as shown
    from ..study.quantizer_report import make_quantizer_report
    from ..study.tables import quantizer_tables

    if batch is not None:
        check_range("--batch", batch, 1)
    asked = measuring.asked(output, **given)
    with measuring.progress_bar(err) as progress:
        result = make_quantizer_report(
            asked.conditions,
            asked.stimulus,
            batch=batch,
            results=asked.results,
            progress=progress,
        )
    present(result, quantizer_tables(result), shown, output, as_json)
    measuring.conclude(result, {row.unit: row.measured for row in result.units})


@app.command(cls=UnitCommand)
@takes(options=OF_UNIT)
def fpga(
    unit: UnitName,
    options: Mapping[str, Any],
    device: Annotated[str, typer.Option(help="Lattice ECP5 part: 25k, 45k or 85k (LUTs).")] = "25k",
    speed_grade: Annotated[int, typer.Option(help="6, 7 or 8; 8 is the fastest.")] = 6,
    dsp: Annotated[
        bool, typer.Option("--dsp/--no-dsp", help="Multipliers in DSP blocks, or in LUTs alone.")
    ] = True,
    seeds: Annotated[int, typer.Option(help="Placements, with the seeds 1 to this.")] = 3,
    use_cache: UseCache = True,
    as_json: Json = False,
) -> None:
    """Place and route one unit on an FPGA: LUTs, flip-flops, DSP blocks and clock."""
    from ..cli import measuring
    from ..study.fpga import FpgaTarget, measure_fpga
    from ..study.tables import fpga_sheet

    configuration = configured(unit, options)
    target = FpgaTarget(device=device, speed_grade=speed_grade, dsp=dsp)
    check_range("--seeds", seeds, 1)
    results = measuring.cache(use_cache)
    with err.status(f"placing {configuration.slug} with {seeds} seeds"):
        row = measure_fpga(configuration, target, seeds=range(1, seeds + 1), results=results)
    show(row, as_json, [fpga_sheet(row)])


@app.command()
def quantize(
    source: Annotated[Path, typer.Argument(metavar="IN.npy", help="A float32 array file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .npz file to write.")],
    element: Annotated[str, typer.Option("--format", help="Element format: E,M or a name.")] = (
        "2,4"
    ),
    scale: Scale = "8,1",
    group: Annotated[str, typer.Option(help="Elements of a scale: nc, n, c or none.")] = "nc",
    rounding: Annotated[str, typer.Option(help="stochastic or nearest.")] = "stochastic",
    carry: Annotated[str, typer.Option(help="clip (the paper's) or carry (like IEEE 754).")] = (
        "clip"
    ),
    random_bits: Annotated[int, typer.Option(help="Bits of a random word.")] = 8,
    seed: WordSeed = DEFAULT_SEED,
    dequantize: Annotated[
        bool, typer.Option("--dequantize", help="Write the exact values too, as float64.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Quantize a float32 array to MLS codes, group scales and a tensor scale, in a .npz file."""
    from ..cli import quantize as work

    asked = work.request(element, scale, group, rounding, carry, random_bits, seed)
    work.check_output(output, source)
    with err.status(f"quantizing {source}"):
        x = work.read(source)
        coded = work.codes(asked, x, source)
        row = work.summary(asked, x, coded)
        work.write(asked, coded, output, dequantize=dequantize)
    if as_json:
        print_json(row)
    else:
        out.print(work.sheet(row, output))


@app.command()
def quality(
    output: Output = Path("build/quality"),
    scale: Scale = "8,1",
    seed: WordSeed = DEFAULT_SEED,
    as_json: Json = False,
) -> None:
    """Measure quantization errors of captured W, A, E by grouping, format, rounding and carry."""
    from ..cli import measuring
    from ..cli import quality as shown
    from ..data import load
    from ..golden.spec import ScaleFormat, parse_format
    from ..study.quality_report import make_quality_report, quality_tables

    check_range("--seed", seed, 0)
    try:
        scale_format = parse_format("--scale", ScaleFormat, scale)
    except ValueError as error:
        raise UserError(str(error)) from None
    measuring.check_writable(output)
    with measuring.progress_bar(err) as progress:
        result = make_quality_report(load(), scale_format, seed, progress)
    present(result, quality_tables(result), shown, output, as_json)


@app.command()
def pdk(
    library: Annotated[
        list[str],
        typer.Argument(metavar="NAME|FILE...", help="A PDK, or a library's Liberty files."),
    ],
    as_json: Json = False,
) -> None:
    """Show what is understood of a cell library; exit 2 if units cannot be mapped to it."""
    from ..study.terminal import pairs
    from .pdk import lines, overview

    facts, refusal = overview(library)
    if as_json:
        print_json(facts)
    else:
        out.print(pairs(facts["library"], lines(facts)))
    if refusal:
        raise refusal


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show which tools and PDKs are found; exit 1 if something the main job needs is missing."""
    from .doctor import findings

    found = list(findings())
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        table = Table("what", "found", "what to do")
        for finding in found:
            state = finding.found or ("MISSING" if finding.needed else "not found (optional)")
            table.add_row(finding.what, state, "" if finding.found else finding.remedy)
        out.print(table)
    if any(finding.needed and finding.found is None for finding in found):
        sys.exit(1)
