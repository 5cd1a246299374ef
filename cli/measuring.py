"""`mlsmac synth` and `mlsmac report`: options to measurements to tables."""

import enum
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..golden.spec import choice
from ..study.columns import figure
from ..study.compare import called, rows_of
from ..study.conditions import Conditions, States
from ..study.dot_report import BASELINES as DOT_BASELINES
from ..study.dot_report import OPERATIONS_A_STEP
from ..study.export import export as make_export
from ..study.html import mac_html
from ..study.layout_rows import LayoutFigures
from ..study.plots import area_plot, dot_plot, energy_plot, tile_plot, trade_plot
from ..study.rows import (
    AccumulatorRow,
    Best,
    DotRow,
    MacReport,
    MacRow,
    Report,
)
from ..study.stimuli.coding import Coding
from ..study.stimuli.pairs import Stimulus, build
from ..study.systems import BASELINES
from ..support.cache import Cache
from ..support.errors import ToolError, UserError
from ..support.files import write_whole
from ..synth.layout.flow import Layout
from ..synth.layout.placement import DENSITY
from ..synth.liberty.library import load
from ..synth.liberty.pdk import find
from ..synth.mapping.mapper import ABC_SCRIPTS
from ..synth.simulation.simulate import Simulator
from ..units import Configuration
from ..units.workloads import WARM_UP_CYCLES
from .options import check_range
from .output import err, exit_if_wrong, json_text, warn
from .progress import progress_bar

CACHE = Path("build/cache")

Chosen = TypeVar("Chosen", bound=enum.Enum)
Result = TypeVar("Result")


class Asked(NamedTuple):
    """What a measuring command is given."""

    conditions: Conditions
    stimulus: Stimulus
    results: Cache


def asked(
    output: Path | None = None,
    *,
    operations: int,
    tensors: str,
    seed: int,
    quick: bool,
    use_cache: bool,
    group: str = "nc",
    scale: str = "8,1",
    **options: Any,
) -> Asked:
    """What a command's options name, `options` those of `conditions`; `output`: where it will
    write. Raises: UserError, OSError.
    """
    given = conditions(**options, quick=quick)
    pairs = stimulus(operations, tensors, seed, quick, group, scale)
    if output is not None:
        check_writable(output)
    results = cache(use_cache)
    library = load(given.pdk.liberty)
    if library.odd:
        files = ", ".join(library.files)
        err.print(f"{files}: not used: {library.oddities()}", highlight=False, soft_wrap=True)
    return Asked(given, pairs, results)


def conditions(
    *,
    pdk: str | None,
    liberty: Sequence[Path] | None,
    clock_mhz: float | None,
    script: str,
    states: str,
    simulator: str | None,
    precision: float,
    quick: bool,
    layout: bool = False,
    density: float | None = None,
    row_height: float | None = None,
    wire_capacitance: float | None = None,
) -> Conditions:
    """The conditions that a command's options name. Raises: UserError, ToolError."""
    if script not in ABC_SCRIPTS:
        raise UserError(f"--script must be one of {', '.join(ABC_SCRIPTS)}, not {script!r}")
    if not 0 < precision < math.inf:
        raise UserError(f"--precision must be positive and finite, not {precision}")
    counting = _chosen("--states", States, states)
    wanted = _chosen("--simulator", Simulator, simulator or Simulator.default().value)
    found = find(pdk, liberty or None)
    if layout:
        found = replace(
            found,
            row_um=found.row_um if row_height is None else row_height,
            wire_ff_um=found.wire_ff_um if wire_capacitance is None else wire_capacitance,
        )
    elif (density, row_height, wire_capacitance) != (None, None, None):
        raise UserError(
            "--density, --row-height and --wire-capacitance must be given with --layout"
        )
    clock = found.clock_mhz if clock_mhz is None else clock_mhz
    if wanted is Simulator.EVENTS is not Simulator.default():
        raise ToolError("--simulator events needs numba: pip install 'mlsmac[fast]'")
    return Conditions(
        pdk=found,
        clock_mhz=clock,
        script=script,
        states=counting,
        simulator=wanted,
        precision=precision / 100,
        all_builds=not quick,
        layout=Layout.of(found, DENSITY if density is None else density) if layout else None,
    )


def stimulus(
    operations: int, tensors: str, seed: int, quick: bool, group: str = "nc", scale: str = "8,1"
) -> Stimulus:
    """The stimulus that a command's options name; a tenth of it if `quick`. Raises: UserError."""
    if quick:
        operations //= 10
    check_range("--operations", operations, WARM_UP_CYCLES + 1)
    check_range("--seed", seed, 0)
    try:
        coding = Coding.read(group, scale)
    except ValueError as error:
        option = "" if str(error).startswith(("group", "scale")) else f"scale {scale!r}: "
        raise UserError(f"--{option}{error}") from None
    drawn = build(operations, seed, tensors=tensors, coding=coding)
    if len(drawn) < operations:
        warn([f"{tensors} has {len(drawn)} pairs, not {operations}: all of them are taken"])
    return drawn


def _chosen(option: str, kind: type[Chosen], value: str) -> Chosen:
    """The member that an option's value names. Raises: UserError."""
    try:
        return choice(option, kind, value)
    except ValueError as error:
        raise UserError(str(error)) from None


def measured(make: Callable[..., Result], given: Asked, **how: Any) -> Result:
    """What `make`, one of the study's makers of reports, measures, with a progress bar; `how`: its
    own arguments.
    """
    with progress_bar(err) as progress:
        return make(
            given.conditions, given.stimulus, results=given.results, progress=progress, **how
        )


def of_dots(given: Asked) -> Asked:
    """The same for dot units, which have many products a step, hence fewer steps."""
    steps = max(len(given.stimulus) // OPERATIONS_A_STEP, WARM_UP_CYCLES + 1)
    return given._replace(stimulus=given.stimulus.resized(steps))


def cache(use_cache: bool) -> Cache:
    """Where results are kept. Raises: OSError."""
    if use_cache:
        check_writable(CACHE)
    return Cache(CACHE if use_cache else None)


def verdict(name: str, measured: Best, period: float | None = None) -> list[str]:
    """Lines where a unit misses the clock, whose `period` may be told, or computed something else
    than golden.
    """
    lines = []
    own = measured.layout
    breaks_hold = own is not None and (own.hold_slack_ns or 0) < 0
    if not measured.meets_timing and not breaks_hold:
        given = "" if period is None else f" of {period:g} ns"
        lines.append(f"{name} misses the clock: {figure(measured.critical_path_ns)} ns{given}")
    if own:
        lines += _excesses(name, own)
    if measured.is_wrong:
        count, cycles = max((own.wrong, own.cycles) for own in measured.builds)
        lines.append(
            f"{name}: A BUILD COMPUTES WRONG RESULTS, {count} of {cycles}, see builds in the JSON"
        )
    elif measured.mismatches:
        lines.append(f"{name}: {measured.mismatches} wrong results with delays: no energy given")
    return lines


def _excesses(name: str, own: LayoutFigures) -> Iterator[str]:
    """Lines of what a layout does not keep."""
    if own.hold_slack_ns is not None and own.hold_slack_ns < 0:
        missed = figure(-own.hold_slack_ns)
        yield f"{name} breaks hold times by {missed} ns: no clock is slow enough"
    if own.over_limits:
        yield f"{name}: {own.over_limits} cells have loads or edges beyond the library's limits"
    if own.clock_within_limits is False:
        yield f"{name}: its clock tree has slower edges or more load or skew than it should"


def conclude(report: Report, units: Mapping[str, Best] | None = None) -> None:
    """After a report is shown: say what is uncertain, and exit 1 where a unit, by name, computed
    anything wrong though it meets the clock; `units`: those of a report without rows of MACs, dot
    units or tiles.
    """
    if units is None:
        units = {name: row.measured for _, name, row in rows_of(report)}
    warn(_cautions(report, units))
    exit_if_wrong(units.values())


def _cautions(report: Report, units: Mapping[str, Best]) -> list[str]:
    """A line where fewer operations were simulated than the stated precision needs."""
    late = []
    for name, own in units.items():
        if own.energy_pj is None:
            continue
        if own.energy_pj_se is None:
            late.append(f"{name} (too few groups to tell)")
        elif (error := own.energy_pj_se / own.energy_pj) > report.precision:
            needed = report.stimulus.operations * (error / report.precision) ** 2
            late.append(f"{name} (±{100 * error:.2g} %, about {figure(needed, 2)} needed)")
    if not late:
        return []
    head = f"{report.stimulus.operations} operations are too few for standard errors of "
    return [f"{head}{100 * report.precision:g} %: {', '.join(late)}"]


def _ties(rows: Iterable[MacRow]) -> Iterator[str]:
    """Units that tie, each pair once."""
    told: set[str] = set()
    for row in rows:
        others = [name for name in row.ties if name not in told]
        told.add(row.unit)
        if others:
            yield f"{row.unit} = {', '.join(others)}"


def check_writable(directory: Path) -> None:
    """Fail now rather than after minutes of work. Raises: OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        pass


def write(report: MacReport, directory: Path) -> list[Path]:
    """Write report.json, report.html and its plots into `directory`, each file whole."""
    plots: dict[str, str] = {}
    if report.rows:
        plots |= {"energy": energy_plot(report.rows), "area": area_plot(report.rows)}
    if report.dots:
        plots |= {"dots": dot_plot(report.dots), "trade": trade_plot(report.dots)}
    if report.tiles:
        plots |= {"tiles": tile_plot(report.tiles)}
    texts = {
        "report.json": json_text(report),
        "report.html": mac_html(report, plots),
        **{f"{name}.svg": svg for name, svg in plots.items()},
    }
    files = {directory / name: text for name, text in texts.items()}
    write_whole(files)
    return list(files)


def export(
    given: Asked, configuration: Configuration, measured: Best, directory: Path
) -> list[Path]:
    """Write what other tools need to repeat a measurement into `directory`, all files or none."""
    texts = make_export(configuration, given.conditions, given.stimulus, measured)
    files = {directory / name: text for name, text in texts.items()}
    write_whole(files)
    return list(files)


def remarks(report: MacReport) -> list[str]:
    """What the table's reader must know: misses, ranges, what the figures leave out."""
    lines = []
    for row in report.rows:
        lines += verdict(row.unit, row.measured, 1e3 / report.clock_mhz)
        if row.accumulator:
            lines.append(f"{row.unit}: {_range(row.accumulator)}")
    if report.rows:
        zeros = (f"{row.unit} {100 * row.zero_product_share:.2g} %" for row in report.rows)
        lines.append(f"products that are zero: {', '.join(zeros)}")
    lines.append(
        f"energies in pJ, glitches included; {report.surroundings}; in parentheses the standard "
        "error, counted in the last digit"
    )
    if pairs := "; ".join(_ties(report.rows)):
        lines.append(f"ties, less than two standard errors apart: {pairs}")
    if report.baselines:
        names = (f"{BASELINES.get(kind, kind)}: {unit}" for kind, unit in report.baselines.items())
        lines.append(
            f"x: how many times less energy than the cheapest of its kind ({'; '.join(names)}); "
            "claim: the same by the system's own paper, against its own baselines"
        )
    if report.dots:
        lines += dot_remarks(report.dots, report.dot_baselines)
    return [*lines, *(line for row in report.tiles for line in verdict(called(row), row.measured))]


def dot_remarks(rows: Iterable[DotRow], baselines: Mapping[str, str]) -> list[str]:
    """What the reader of dot units' tables must know."""
    lines = [line for row in rows for line in verdict(called(row), row.measured)]
    names = "; ".join(
        f"{DOT_BASELINES.get(kind, kind)}: {unit}" for kind, unit in baselines.items()
    )
    return [
        *lines,
        "dot units: energies of products of busy lanes; x: how many times less a product than the "
        f"cheapest of its kind ({names}); errors: root mean square of what rounding to nearest "
        "does, over that of the values",
    ]


def _range(accumulator: AccumulatorRow) -> str:
    kinds = ", ".join(
        f"{kind} {100 * rate:.2g} %" for kind, rate in accumulator.overflow_rate_by_kind.items()
    )
    return (
        f"{accumulator.width}-bit accumulator, proven for {accumulator.safe_length} products; "
        f"{accumulator.overflows} of {accumulator.groups} groups overflowed "
        f"({100 * accumulator.overflow_rate:.2g} %; {kinds})"
    )
