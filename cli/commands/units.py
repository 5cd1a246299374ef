"""Commands of one unit: list, generate, verify, place on an FPGA."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ...sim.vectors import DEFAULT_OPERATIONS, DEFAULT_SEED
from ...support.errors import UserError
from ...units import UNITS, StreamConfiguration, configure, emit
from ...units.emit import parameters
from ..companions import (
    BenchSeed,
    Core,
    KeptVectors,
    Steps,
    Testbench,
    companions,
    keep_vectors,
)
from ..layers import OF_LAYER, check_alone, check_left_out, verify_layer
from ..options import (
    OF_UNIT,
    Interface,
    Json,
    Output,
    Results,
    Seed,
    UnitName,
    UseCache,
    check_range,
    configured,
    takes,
)
from ..output import err, out, print_json, show
from ..progress import progress_bar

if TYPE_CHECKING:
    from ...sim.runner import BenchResult


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


@takes(options=OF_UNIT)
def generate(
    unit: UnitName,
    options: Mapping[str, Any],
    interface: Interface = "wires",
    results: Results = None,
    testbench: Testbench = False,
    core: Core = False,
    operations: Steps = None,
    seed: BenchSeed = None,
    output: Output = Path(),
    as_json: Json = False,
) -> None:
    """Write a unit's Verilog and its JSON sidecar (ports, latency, parameters, tool versions)."""
    configuration = configured(unit, options, interface, results)
    beside = companions(
        configuration, testbench=testbench, core=core, operations=operations, seed=seed
    )
    emitted = emit(configuration)
    paths = emitted.write(output, beside)
    if as_json:
        print_json({**emitted.sidecar, "files": [str(path) for path in paths]})
    else:
        for path in paths:
            out.print(str(path), highlight=False, soft_wrap=True)


@takes(options=OF_UNIT, layer=OF_LAYER)
def verify(
    unit: UnitName,
    options: Mapping[str, Any],
    layer: Mapping[str, Any],
    interface: Interface = "wires",
    results: Results = None,
    simulator: Annotated[
        str | None,
        typer.Option(help="icarus or verilator; default: icarus, for a layer verilator."),
    ] = None,
    operations: Annotated[
        int | None,
        typer.Option(
            help=f"Steps to simulate, behind streams to the end of an output, or all inputs where "
            f"they are few; default: {DEFAULT_OPERATIONS} over the lanes."
        ),
    ] = None,
    seed: Seed = DEFAULT_SEED,
    vectors: KeptVectors = None,
    directory: Annotated[
        Path, typer.Option("--build", help="Where the simulation and a waveform go.")
    ] = Path("build/verify"),
    as_json: Json = False,
) -> None:
    """Check a unit against the golden model in a simulator; exit 1 on any mismatch."""
    from ...sim.runner import SIMULATORS, run_bench
    from ...sim.streams import run_stream_bench

    if simulator not in (None, *SIMULATORS):
        raise UserError(f"--simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    check_range("--seed", seed, 0)
    if layer["layer"] is not None:
        without = {"--operations": operations, "--vectors": vectors, "--results": results}
        check_left_out(without | {"--interface": None if interface == "wires" else interface})
        how: dict[str, Any] = {"simulator": simulator or "verilator", "seed": seed}
        verify_layer(unit, options, layer, directory=directory, as_json=as_json, **how)
        return
    check_alone(layer)
    simulator = simulator or "icarus"
    configuration = configured(unit, options, interface, results)
    if operations is None:
        operations = DEFAULT_OPERATIONS // configuration.options.get("lanes", 1)
    check_range("--operations", operations, 1)
    if vectors is not None:
        keep_vectors(configuration, vectors, operations, seed)
    with progress_bar(err, f"preparing {configuration.slug}") as progress:
        place = directory / configuration.slug
        how = {"simulator": simulator, "operations": operations, "seed": seed, "progress": progress}
        if isinstance(configuration, StreamConfiguration):
            result = run_stream_bench(configuration, place, **how)
        else:
            result = run_bench(configuration, place, **how)
    _show_bench(configuration.slug, result, simulator, seed, as_json=as_json)
    if result.mismatches:
        sys.exit(1)


def _show_bench(
    slug: str, result: "BenchResult", simulator: str, seed: int, *, as_json: bool
) -> None:
    """Print what a bench checked."""
    waveform = str(result.waveform) if result.waveform else None
    if as_json:
        print_json(
            {
                "unit": slug,
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
            f"{slug}: {result.operations} operations, {result.checked} outputs, "
            f"seed {seed}, {simulator}: {verdict}",
            highlight=False,
            soft_wrap=True,
        )


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
    from ...study.fpga import FpgaTarget, measure_fpga
    from ...study.tables import fpga_sheet
    from .. import measuring

    configuration = configured(unit, options)
    target = FpgaTarget(device=device, speed_grade=speed_grade, dsp=dsp)
    check_range("--seeds", seeds, 1)
    results = measuring.cache(use_cache)
    with err.status(f"placing {configuration.slug} with {seeds} seeds"):
        row = measure_fpga(configuration, target, seeds=range(1, seeds + 1), results=results)
    show(row, as_json, [fpga_sheet(row)])
