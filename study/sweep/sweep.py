"""A sweep: every configuration of a grid in every library, and which of them nothing beats."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from ...support.cache import Cache
from ...support.errors import ToolError, UserError
from ...units.emit import parameters
from ...units.options import shown
from ..builds import Progress
from ..columns import at
from ..conditions import Conditions
from ..keys import tool_versions
from ..records import from_json
from ..report import circumstances
from ..stimuli.pairs import Stimulus
from .grid import Point
from .jobs import FAILED, REFUSED, Job
from .rows import LibraryRow, Outcome, SkippedRow, SweepReport, SweepRow
from .workers import Workers, here

SCHEMA = 1


@dataclass(frozen=True)
class Objective:
    """A figure to be small, or as large as it can be: its path in a row, and in words."""

    path: str
    title: str
    scale: float = 1
    largest: bool = False

    def of(self, row: SweepRow) -> float | None:
        """The row's figure, less being better; None where it has none, or misses the clock."""
        value = at(row, self.path) if row.measured.usable else None
        return value if value is None or not self.largest else -value


OBJECTIVES: Mapping[str, Objective] = {
    "energy": Objective("measured.energy_pj", "energy per product, pJ"),
    "area": Objective("gate_equivalents_per_product", "gate equivalents per product"),
    "delay": Objective("measured.critical_path_ns", "critical path, ns"),
    "error": Objective("errors.outputs", "error of outputs, % (rms)", 100),
    "accuracy": Objective("accuracy", "accuracy, %", 100, largest=True),
}
DEFAULT_OBJECTIVES = ("energy", "error")


def objectives(text: str) -> tuple[str, ...]:
    """The names of a list such as energy,error. Raises: UserError."""
    names = tuple(text.split(","))
    if len(names) < 2 or len(set(names)) < len(names) or not set(names) <= OBJECTIVES.keys():
        rule = f"two or more of {', '.join(OBJECTIVES)} with commas between"
        raise UserError(f"objectives must be {rule}, not {text!r}")
    return names


def make_sweep(
    points: Sequence[Point],
    skipped: Sequence[SkippedRow],
    libraries: Sequence[Conditions],
    stimulus: Stimulus,
    *,
    chosen: Sequence[str] = DEFAULT_OBJECTIVES,
    accuracies: Sequence[Mapping[str, Any]] = (),
    workers: Workers = here,
    results: Cache,
    progress: Progress | None = None,
) -> SweepReport:
    """Measure every point in every library; results that are kept are not measured again.

    `chosen`: objectives of the front; `accuracies`: of a training, as `docs/sweep.md` tells;
    `progress`: called with what was finished, how many are done, and how many there are; at first
    with those that were kept.
    Raises: ToolError where no configuration could be measured; what the workers raise.
    """
    jobs = [Job(point, own) for own in libraries for point in points]
    # Long ones first: the last to end should be short.
    jobs.sort(key=lambda job: -_products(job.point))
    found = _results(jobs, stimulus, workers, results, progress)
    rows, left = [], [*skipped]
    for own in libraries:
        for point in points:
            told = found[point, own]
            if REFUSED in told or FAILED in told:
                reason = _left(point, own, told)
                if reason not in left:  # golden refuses alike in every library
                    left.append(reason)
            else:
                rows.append(_row(point, own, from_json(Outcome, told), accuracies))
    if not rows:
        raise ToolError(f"no configuration could be measured: {left[-1].reason}")
    return _report(libraries, stimulus, chosen, front(rows, chosen), left)


def _results(
    jobs: Sequence[Job],
    stimulus: Stimulus,
    workers: Workers,
    results: Cache,
    progress: Progress | None,
) -> dict[tuple[Point, Conditions], Mapping[str, Any]]:
    """Of every job; each is kept as soon as it is there."""
    keys = {job: job.key(stimulus) for job in jobs}
    found = {job: kept for job, key in keys.items() if (kept := results.find(key)) is not None}
    missing = [job for job in jobs if job not in found]
    if progress:
        progress("kept results", len(found), len(jobs))
    if missing:
        with closing(workers(missing, stimulus, results)) as arriving:
            for job, told in arriving:
                found[job] = dict(told)
                if not (REFUSED in told or FAILED in told):
                    results.keep(keys[job], found[job])
                if progress:
                    progress(job.name, len(found), len(jobs))
    return {(job.point, job.conditions): found[job] for job in jobs}


def _left(point: Point, own: Conditions, told: Mapping[str, Any]) -> SkippedRow:
    reason = told.get(REFUSED) or f"{own.pdk.name}: {told[FAILED]}"
    return SkippedRow(unit=point.label, swept=point.swept, reason=reason, failed=FAILED in told)


def _products(point: Point) -> int:
    options = point.configuration.options
    return math.prod(int(options.get(name, 1)) for name in ("lanes", "groups", "products"))


def _row(
    point: Point, own: Conditions, outcome: Outcome, accuracies: Sequence[Mapping[str, Any]]
) -> SweepRow:
    configuration, products = point.configuration, _products(point)
    row = SweepRow(
        unit=point.label,
        kind=configuration.name,
        pdk=own.pdk.name,
        swept=point.swept,
        options=parameters(configuration),
        coding=point.coding.written() if point.coding else None,
        products_per_cycle=products,
        gate_equivalents_per_product=round(outcome.measured.gate_equivalents / products, 1),
        errors=outcome.errors,
        accumulator=outcome.accumulator,
        accuracy=None,
        pareto=False,
        measured=outcome.measured,
    )
    return replace(row, accuracy=_accuracy(row, point, accuracies))


def _accuracy(row: SweepRow, point: Point, accuracies: Sequence[Mapping[str, Any]]) -> float | None:
    """Of the one entry whose other members are all the row's. Raises: UserError for several."""
    names = {"label": {row.unit}, "unit": {row.kind}, "pdk": {row.pdk}}
    for name, value in point.configuration.values.items():
        names[name] = {shown(value)}
    for name, text in [*point.swept.items(), *(row.coding or {}).items()]:
        names.setdefault(name, set()).add(text)
    own = [
        entry
        for entry in accuracies
        if all(str(entry[name]) in names.get(name, ()) for name in entry if name != "accuracy")
    ]
    if len(own) > 1:
        raise UserError(f"accuracy of {row.unit} must be given once, not {len(own)} times")
    return float(own[0]["accuracy"]) if own else None


def front(rows: Sequence[SweepRow], chosen: Sequence[str]) -> list[SweepRow]:
    """The rows, marked where no other of the same library is as good in all objectives and better
    in one; a row that lacks one of them is none of the front.
    """
    places = [tuple(OBJECTIVES[name].of(row) for name in chosen) for row in rows]
    complete = [
        (row.pdk, place)
        for row, place in zip(rows, places, strict=True)
        if not any(value is None for value in place)
    ]
    return [
        replace(
            row,
            pareto=(row.pdk, place) in complete
            and not any(pdk == row.pdk and _beats(other, place) for pdk, other in complete),
        )
        for row, place in zip(rows, places, strict=True)
    ]


def _beats(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return one != other and all(x <= y for x, y in zip(one, other, strict=True))


def _report(
    libraries: Sequence[Conditions],
    stimulus: Stimulus,
    chosen: Sequence[str],
    rows: Sequence[SweepRow],
    skipped: Sequence[SkippedRow],
) -> SweepReport:
    shared = circumstances(SCHEMA, libraries[0], stimulus)
    return SweepReport(
        schema=SCHEMA,
        libraries=tuple(LibraryRow(pdk=own.pdk.name, clock_mhz=own.clock_mhz) for own in libraries),
        script=shared.script,
        states=shared.states,
        simulator=shared.simulator,
        precision=shared.precision,
        search=libraries[0].all_builds,
        objectives=tuple(chosen),
        stimulus=shared.stimulus,
        tools=tool_versions(libraries[0]),
        rows=tuple(rows),
        skipped=tuple(skipped),
    )


def fronts(report: SweepReport) -> Iterator[tuple[str, list[SweepRow]]]:
    """The front of each library, in the order of its first objective."""
    first: Callable[[SweepRow], Any] = OBJECTIVES[report.objectives[0]].of
    for library in report.libraries:
        own = [row for row in report.rows if row.pareto and row.pdk == library.pdk]
        yield library.pdk, sorted(own, key=first)
