"""Which build of a unit is its result, and all of them measured on all cores.

A unit has several builds: its multiplier without and with Booth recoding, its adders made of gates
or of library adders. The build of least energy is the unit's result: each unit is compared at its
best. A short run ranks them; only those that it cannot tell from the best one run in full.
"""

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from pathlib import Path

from ..support.cache import Cache
from ..synth.liberty.library import Library
from ..synth.mapping.mapper import possible_adders
from ..synth.mapping.recipes import Adders
from ..units import Configuration, Workload
from .conditions import Conditions
from .errors import difference_error
from .measure import Build, measure
from .rows import Best, BuildRow, Measurement
from .stimuli.pairs import Stimulus

Progress = Callable[[str, int, int], None]
"""Called with what was finished, how many runs are done, and how many there are so far."""

_SURE = 3.0
"""Standard errors by which a build must be worse in a short run to be out."""

_MARGIN = 0.01
"""And the share of the energy: what a short run's choice of operations may hide."""


def builds(configuration: Configuration, conditions: Conditions, library: Library) -> list[Build]:
    """Every build of a unit that computes the same. The script "speed" is for gates alone.

    A tile takes long to map and has one build: adders of full adder cells where there are any,
    multipliers as configured. So has every unit where not `conditions.all_builds`.
    """
    possible = possible_adders(library, conditions.pdk)
    adders = possible if conditions.script == "area" else [Adders.GATES]
    if configuration.unit.is_tile or not conditions.all_builds:
        full = Adders.FULL_ADDERS
        return [Build(configuration, full if full in adders else Adders.GATES)]
    return [Build(variant, kind) for variant in configuration.variants() for kind in adders]


def best(builds: Sequence[Measurement]) -> Best:
    """The build of least energy among those that compute at the clock, else the fastest; of those
    that ran in full.
    """
    told = tuple(
        BuildRow(**{field.name: getattr(build, field.name) for field in fields(BuildRow)})
        for build in builds
    )
    full = max(build.cycles for build in builds)
    chosen = min((build for build in builds if build.cycles == full), key=rank)
    return Best(**vars(chosen), builds=told)


def rank(build: Measurement) -> tuple[bool, float]:
    """Orders builds: usable ones first, by energy; then the others by their path."""
    figure = build.energy_pj if build.usable else build.critical_path_ns
    return not build.usable, figure or 0.0


def chosen(every: Iterable[Build], measured: Measurement) -> Build:
    """The one of the builds that a result is of."""
    wanted = measured.slug, measured.adders
    return next(own for own in every if (own.configuration.slug, own.adders.value) == wanted)


def contenders(short: Sequence[Measurement]) -> list[int]:
    """Places of the builds that may be the best one, as far as short runs can tell."""
    first = min(short, key=rank)
    return [place for place, build in enumerate(short) if _may_be_best(build, first)]


def _may_be_best(build: Measurement, first: Measurement) -> bool:
    if build is first:
        return True
    if not (build.usable and first.usable) or not build.energy_pj or not first.energy_pj:
        return False
    error = difference_error(build.batches, first.batches) or 0.0
    return build.energy_pj / first.energy_pj - 1 <= max(_SURE * error, _MARGIN)


@dataclass(frozen=True)
class _Job:
    """A build of the entry at `place`, on all operations or few."""

    place: int
    number: int
    build: Build
    short: bool


def measure_builds(
    conditions: Conditions,
    stimulus: Stimulus,
    entries: Sequence[Sequence[Build]],
    results: Cache,
    progress: Progress | None = None,
) -> list[Best]:
    """The best build of every entry, given the builds of each."""
    done = [dict[int, Measurement]() for _ in entries]
    with (
        tempfile.TemporaryDirectory(prefix="mlsmac-maps-") as folder,
        ProcessPoolExecutor(os.cpu_count(), initializer=_end_on_sigterm) as pool,
    ):
        jobs = [
            _Job(place, number, build, len(own) > 1)
            for place, own in enumerate(entries)
            for number, build in enumerate(own)
        ]
        count, total = 0, len(jobs)
        try:
            while jobs:
                maps = Path(folder)
                running = {
                    pool.submit(_run, job, conditions, stimulus, results, maps): job for job in jobs
                }
                short: dict[int, dict[int, Measurement]] = {}
                for future in as_completed(running):
                    job = running[future]
                    result = done[job.place][job.number] = future.result()
                    if job.short:
                        short.setdefault(job.place, {})[job.number] = result
                    count += 1
                    if progress:
                        progress(f"{result.slug}, {result.adders}", count, total)
                jobs = list(_in_full(entries, short))
                total += len(jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()  # leaving the pool waits for its jobs, which take minutes
            raise
    return [best([own[number] for number in sorted(own)]) for own in done]


def _in_full(
    entries: Sequence[Sequence[Build]], short: dict[int, dict[int, Measurement]]
) -> Iterable[_Job]:
    """What must run in full after short runs."""
    for place, own in short.items():
        for number in contenders([own[number] for number in sorted(own)]):
            yield _Job(place, number, entries[place][number], False)


def _end_on_sigterm() -> None:
    """A worker ends on SIGTERM, whatever the command does: as an exception it would be a job's
    result, and the pool would wait for more.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(
    job: _Job, conditions: Conditions, stimulus: Stimulus, results: Cache, maps: Path
) -> Measurement:
    workload: Workload = job.build.configuration.workload(stimulus)
    if job.short:
        workload = workload.short()
    return measure(job.build, conditions, workload, results=results, maps=Cache(maps))
