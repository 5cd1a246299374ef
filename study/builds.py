"""Which build of a unit is its result, and all of them measured on all cores.

A unit has several builds: its multiplier without and with Booth recoding, its adders made of gates
or of library adders. The build of least energy is the unit's result: each unit is compared at its
best. Short runs rank them; only those that cannot be told from the best one run in full.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ..support.cache import Cache
from ..support.files import scratch
from ..support.workers import workers
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

_ORDER = (Adders.FULL_ADDERS, Adders.GATES, Adders.ADDER_CELLS)
"""In which short runs try what adders are made of."""

_FAR = 1.3
"""Energy of gates over that of full adders from which on gates glitch so much that a mapping of
gates and some adder cells between them cannot be the best one.
"""


def builds(configuration: Configuration, conditions: Conditions, library: Library) -> list[Build]:
    """Every build of a unit that computes the same. The script "speed" is for gates alone.

    A tile takes long to map and has one build: adders of full adder cells where there are any,
    multipliers as configured. So has every unit where not `conditions.all_builds`.
    """
    possible = possible_adders(library, conditions.pdk)
    adders = possible if conditions.script == "area" else [Adders.GATES]
    if configuration.unit.one_build or not conditions.all_builds:
        full = Adders.FULL_ADDERS
        return [Build(configuration, full if full in adders else Adders.GATES)]
    return [Build(variant, kind) for variant in configuration.variants() for kind in adders]


def best(builds: Sequence[Measurement]) -> Best:
    """The build of least energy among those that compute at the clock, else the fastest; of those
    that ran in full.
    """
    full = max(build.cycles for build in builds)
    chosen = min((build for build in builds if build.cycles == full), key=rank)
    return Best(**vars(chosen), builds=tuple(map(_told, builds)))


def _told(build: Measurement) -> BuildRow:
    return BuildRow(**{field.name: getattr(build, field.name) for field in fields(BuildRow)})


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
class Job:
    """A build of the entry at `place`, on all operations or few."""

    place: int
    number: int
    build: Build
    short: bool


class Search:
    """The way to the best build of the entry at `place`, by short runs at first: every multiplier
    with full adders, which take least energy in most units; the best ones with gates; and with
    adder cells, which take longest to map, where gates are not far behind. All are tried where full
    adders miss the clock with every multiplier. Those that cannot be told from the best one run in
    full.
    """

    def __init__(self, place: int, builds: Sequence[Build]) -> None:
        self._place = place
        self._builds = builds
        kinds = {build.adders for build in builds}
        self._rounds = [kind for kind in _ORDER if kind in kinds] if len(builds) > 1 else []
        self._leading = [n for n, own in enumerate(builds) if own.adders in self._rounds[:1]]
        self._short: dict[int, Measurement] = {}
        self._full: dict[int, Measurement] = {}
        self._asked = 0
        self._expected = len(self._leading) + len(self._rounds[1:]) + 1

    @property
    def runs(self) -> int:
        """How many there will be, as far as is known."""
        return max(self._asked, self._expected)

    @property
    def is_idle(self) -> bool:
        """Whether all that was asked for is done."""
        return len(self._short) + len(self._full) == self._asked

    def done(self, job: Job, result: Measurement) -> None:
        """Take a job's result."""
        (self._short if job.short else self._full)[job.number] = result

    def next(self) -> list[Job]:
        """What to run now that all that was asked for is done; nothing at the end."""
        short = self._next_short()
        found = short or [n for n in self._contenders(self._short) if n not in self._full]
        jobs = [Job(self._place, n, self._builds[n], bool(short)) for n in found]
        self._asked += len(jobs)
        if not short:
            self._expected = self._asked
        return jobs

    def results(self) -> list[Measurement]:
        """Of each build that ran, that of its longest run."""
        known = {**self._short, **self._full}
        return [known[n] for n in sorted(known)]

    def _next_short(self) -> list[int]:
        """Places of the next builds to rank; nothing once all are that may be the best one."""
        if not self._rounds:
            return []
        kind = self._rounds.pop(0)
        if not self._short:
            return self._leading
        if kind is Adders.ADDER_CELLS and self._gates_are_far_behind():
            return []
        usable = any(self._short[n].usable for n in self._leading)
        leading = self._contenders(self._leading) if usable else self._leading
        best = {self._builds[n].configuration.slug for n in leading}
        builds = enumerate(self._builds)
        return [n for n, own in builds if own.adders is kind and own.configuration.slug in best]

    def _gates_are_far_behind(self) -> bool:
        first = min((self._short[n] for n in self._leading), key=rank)
        gates = min((own for n, own in self._short.items() if n not in self._leading), key=rank)
        if not (first.usable and first.energy_pj and gates.energy_pj):
            return False
        return gates.energy_pj > _FAR * first.energy_pj

    def _contenders(self, numbers: Iterable[int]) -> list[int]:
        if len(self._builds) == 1:
            return [0]
        ordered = sorted(numbers)
        return [ordered[place] for place in contenders([self._short[n] for n in ordered])]


def measure_builds(
    conditions: Conditions,
    stimulus: Stimulus,
    entries: Sequence[Sequence[Build]],
    results: Cache,
    progress: Progress | None = None,
) -> list[Best]:
    """The best build of every entry, given the builds of each; of a layout also what the best one
    is without it.
    """
    ways = [conditions]
    if conditions.layout:
        ways = [replace(conditions, layout=None), conditions]
    searches = [Search(place, own) for place, own in enumerate([*entries] * len(ways))]
    with scratch() as maps, workers() as pool:
        running: dict[Future[Measurement], Job] = {}

        def start(place: int) -> None:
            for job in searches[place].next():
                under = ways[job.place // len(entries)]
                future = pool.submit(_run, job, under, stimulus, results, maps)
                running[future] = job

        for place in _longest_first([*entries] * len(ways)):
            start(place)
        count = 0
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, result = running.pop(future), future.result()
                searches[job.place].done(job, result)
                if searches[job.place].is_idle:
                    start(job.place)
                count += 1
                if progress:
                    total = sum(search.runs for search in searches)
                    laid_out = ", laid out" if result.layout else ""
                    progress(f"{result.slug}, {result.adders}{laid_out}", count, total)
    found = [best(search.results()) for search in searches]
    if not conditions.layout:
        return found
    pairs = zip(found[: len(entries)], found[len(entries) :], strict=True)
    return [replace(own, bare=_told(bare)) for bare, own in pairs]


def _longest_first(entries: Sequence[Sequence[Build]]) -> list[int]:
    """Places of entries, those of many lanes first: the last ones to end should be short."""
    lanes = [own[0].configuration.values.get("lanes", 1) for own in entries]
    return sorted(range(len(entries)), key=lambda place: -lanes[place])


def _run(
    job: Job, conditions: Conditions, stimulus: Stimulus, results: Cache, maps: Path
) -> Measurement:
    workload: Workload = job.build.configuration.workload(stimulus)
    if job.short:
        workload = workload.short()
    return measure(job.build, conditions, workload, results=results, maps=Cache(maps))
