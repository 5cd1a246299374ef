"""`mlsmac synth` and `mlsmac report`: options to measurements to tables."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..golden.spec import choice
from ..study.html import figure, render_html
from ..study.measure import Conditions, States
from ..study.plots import area_plot, energy_plot
from ..study.report import make_report
from ..study.stimuli.pairs import Stimulus, build
from ..study.systems import BASELINES, Entry
from ..support.cache import Cache
from ..support.errors import UserError
from ..support.files import write_whole
from ..synth.liberty import pdk
from ..synth.mapping.mapper import ABC_SCRIPTS
from ..synth.simulation.gatesim import WARM_UP_CYCLES
from .options import check_range

CACHE = Path("build/cache")

Column = tuple[str, Callable[[dict[str, Any]], str]]


def _claim(field: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: figure(row["claim"] and row["claim"][field])


def _split(part: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: figure(row["energy_split_pj"] and row["energy_split_pj"][part])


ENERGY_COLUMNS: tuple[Column, ...] = (
    ("pJ/MAC", lambda row: figure(row["energy_pj_per_mac"])),
    ("mult.", lambda row: figure(row["multiplier_pj"])),
    ("acc.", lambda row: figure(row["accumulator_pj"])),
    ("0 delay", lambda row: figure(row["energy_pj_per_mac_zero_delay"])),
)
RATIO_COLUMNS: tuple[Column, ...] = (
    ("x FP32", lambda row: figure(row["ratio_to_fp32"])),
    ("claim", _claim("ratio_to_fp32")),
    ("x FP8", lambda row: figure(row["ratio_to_fp8"])),
    ("claim", _claim("ratio_to_fp8")),
    ("x any FP8", lambda row: figure(row["ratio_to_fp8_any"])),
)
AREA_COLUMNS: tuple[Column, ...] = (
    ("area um2", lambda row: figure(row["area_um2"], 5)),
    ("GE", lambda row: figure(row["gate_equivalents"], 4)),
    ("cells", lambda row: str(row["cells"])),
    ("flops", lambda row: str(row["flops"])),
    ("path ns", lambda row: figure(row["critical_path_ns"])),
    ("clock", lambda row: "met" if row["meets_timing"] else "MISSED"),
    ("adders", lambda row: row["adders"]),
)
SPLIT_COLUMNS: tuple[Column, ...] = (
    ("internal", _split("internal")),
    ("switching", _split("switching")),
    ("leakage", _split("leakage")),
    ("sequential", _split("sequential")),
    ("combinational", _split("combinational")),
    ("clock net", _split("clock")),
    ("input nets", _split("inputs")),
)


def conditions(
    name: str | None, liberty: Path | None, clock_mhz: float | None, script: str, states: str
) -> Conditions:
    """The conditions that a command's options name. Raises: UserError."""
    if script not in ABC_SCRIPTS:
        raise UserError(f"--script must be one of {', '.join(ABC_SCRIPTS)}, not {script!r}")
    try:
        counting = choice("--states", States, states)
    except ValueError as error:
        raise UserError(str(error)) from None
    found = pdk.find(name, liberty)
    clock = found.clock_mhz if clock_mhz is None else clock_mhz
    return Conditions(pdk=found, clock_mhz=clock, script=script, states=counting)


def stimulus(operations: int, seed: int, quick: bool) -> Stimulus:
    """The stimulus that a command's options name; a tenth of it if `quick`. Raises: UserError."""
    if quick:
        operations //= 10
    check_range("--operations", operations, WARM_UP_CYCLES + 1)
    check_range("--seed", seed, 0)
    return build(operations, seed)


@contextmanager
def progress_bar(console: Console) -> Iterator[Any]:
    """A callback (what, done, total) that moves a bar on `console`."""
    if not console.is_terminal:

        def tell(what: str, done: int, total: int) -> None:
            console.print(f"{done}/{total} {what}", highlight=False, soft_wrap=True)

        yield tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("mapping and simulating", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield step


def run(
    given: Conditions,
    pairs: Stimulus,
    console: Console,
    *,
    entries: tuple[Entry, ...],
    use_cache: bool,
) -> dict[str, Any]:
    """Measure the entries with a progress bar."""
    results = cache(use_cache)
    with progress_bar(console) as progress:
        return make_report(given, pairs, entries=entries, results=results, progress=progress)


def cache(use_cache: bool) -> Cache:
    """Where results are kept. Raises: OSError."""
    if use_cache:
        check_writable(CACHE)
    return Cache(CACHE if use_cache else None)


def is_wrong(row: dict[str, Any]) -> bool:
    """Whether any build computed something else than golden, other than by missing the clock."""
    return any(
        build["mismatches_zero_delay"] or (build["mismatches"] and build["meets_timing"])
        for build in row["builds"]
    )


def verdict(name: str, row: dict[str, Any]) -> list[str]:
    """A line where a unit computed something else than golden."""
    if is_wrong(row):
        return [f"{name}: A BUILD COMPUTES WRONG RESULTS, see builds in the JSON"]
    if row["mismatches"]:
        return [f"{name}: {row['mismatches']} wrong results with delays: no energy given"]
    return []


def check_writable(directory: Path) -> None:
    """Fail now rather than after minutes of work. Raises: OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        pass


def write(report: dict[str, Any], directory: Path) -> list[Path]:
    """Write report.json, report.html and its plots into `directory`, each file whole."""
    plots = {"energy": energy_plot(report["rows"]), "area": area_plot(report["rows"])}
    texts = {
        "report.json": json.dumps(report, indent=2) + "\n",
        "report.html": render_html(report, plots),
        **{f"{name}.svg": svg for name, svg in plots.items()},
    }
    files = {directory / name: text for name, text in texts.items()}
    write_whole(files)
    return list(files)


def tables(report: dict[str, Any]) -> list[Table]:
    """The rows as the terminal shows them: energy with ratios, then area and timing."""
    operations = report["stimulus"]["operations"]
    where = f"{report['pdk']}, {report['clock_mhz']:g} MHz, {operations} operations"
    return [
        table(f"Energy per MAC ({where})", (*ENERGY_COLUMNS, *RATIO_COLUMNS), report["rows"]),
        table("Area and timing", AREA_COLUMNS, report["rows"]),
    ]


def table(title: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> Table:
    """Rows by unit, a column a figure."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("unit", no_wrap=True)
    for heading, _ in columns:
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(row["unit"], *(show(row) for _, show in columns))
    return shown


def sheet(report: dict[str, Any]) -> Table:
    """A single unit's figures, one a line."""
    row = report["rows"][0]
    operations = report["stimulus"]["operations"]
    title = f"{row['unit']}: {report['pdk']}, {report['clock_mhz']:g} MHz, {operations} operations"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right")
    for heading, show in AREA_COLUMNS:
        table.add_row(heading, show(row))
    for heading, show in ENERGY_COLUMNS:
        table.add_row(f"energy, {heading}", show(row))
    for heading, show in SPLIT_COLUMNS:
        table.add_row(f"of it, {heading} pJ", show(row))
    table.add_row("leakage uW", figure(row["leakage_uw"]))
    table.add_row("build", row["slug"])
    return table


def remarks(report: dict[str, Any]) -> list[str]:
    """What the table's reader must know: misses, ranges, what the figures leave out."""
    lines = []
    for row in report["rows"]:
        if not row["meets_timing"]:
            period = 1e3 / report["clock_mhz"]
            path = figure(row["critical_path_ns"])
            lines.append(f"{row['unit']} misses the clock: {path} ns of {period:g} ns")
        lines += verdict(row["unit"], row)
        if accumulator := row["accumulator"]:
            lines.append(
                f"{row['unit']}: {accumulator['width']}-bit accumulator, proven for "
                f"{accumulator['safe_length']} products; {accumulator['overflows']} of "
                f"{accumulator['groups']} groups overflowed "
                f"({100 * accumulator['overflow_rate']:.2g} %; "
                + ", ".join(
                    f"{kind} {100 * rate:.2g} %"
                    for kind, rate in accumulator["overflow_rate_by_kind"].items()
                )
                + ")"
            )
    zeros = ", ".join(
        f"{row['unit']} {100 * row['zero_product_share']:.2g} %" for row in report["rows"]
    )
    lines.append(f"products that are zero: {zeros}")
    lines.append("energies in pJ, glitches included; pre-layout: no wires, ideal clock")
    if report["baselines"]:
        names = (f"{BASELINES[kind]}: {unit}" for kind, unit in report["baselines"].items())
        lines.append(
            f"x: how many times less energy than the cheapest of its kind ({'; '.join(names)}); "
            "claim: the same by the system's own paper, against its own baselines"
        )
    return lines
