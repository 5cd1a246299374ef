"""The main job: every MAC under one wrapper, one clock, one stimulus, one script."""

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import numpy as np

from ..golden.spec import FP32
from ..support.cache import Cache
from ..synth.liberty.library import load
from ..units.catalogue import Configuration
from ..units.emit import plain
from .keys import tool_versions
from .measure import Build, Conditions, best, builds, measure, rank
from .rows import AccumulatorRow, Best, MacReport, MacRow, Measurement, Report, StimulusRow
from .stimuli.pairs import Stimulus
from .stimuli.pairs import build as build_stimulus
from .systems import BASELINES, ENTRIES, Entry

SCHEMA = 2


RANGE_OPERATIONS = 300_000
"""Operations on which overflows are counted, by the golden model: rare events need many."""

Progress = Callable[[str, int, int], None]
"""Called with what was finished, how many builds are done, and how many there are."""


def make_report(
    conditions: Conditions,
    stimulus: Stimulus,
    *,
    entries: Sequence[Entry] = ENTRIES,
    results: Cache,
    progress: Progress | None = None,
) -> MacReport:
    """Measure every entry, all its builds, on all cores.

    Raises: what measuring raises.
    """
    library = load(conditions.pdk.liberty)
    every = [builds(entry.configuration(), conditions, library) for entry in entries]
    measured = [best(own) for own in measure_builds(conditions, stimulus, every, results, progress)]
    baselines = cheapest(BASELINES, entries, measured)
    return MacReport(
        **vars(circumstances(SCHEMA, conditions, stimulus)),
        baselines={kind: entry.label for kind, (entry, _) in baselines.items()},
        rows=tuple(
            _row(entry, own, baselines, stimulus)
            for entry, own in zip(entries, measured, strict=True)
        ),
    )


def circumstances(schema: int, conditions: Conditions, stimulus: Stimulus) -> Report:
    """What all rows of a report share: conditions, what the operands are drawn from, tools."""
    return Report(
        schema=schema,
        pdk=conditions.pdk.name,
        clock_mhz=conditions.clock_mhz,
        script=conditions.script,
        states=conditions.states.value,
        stimulus=StimulusRow(
            operations=len(stimulus),
            seed=stimulus.seed,
            kinds=tuple(kind.value for kind in stimulus.kinds),
            digest=stimulus.digest,
        ),
        tools=tool_versions(),
    )


Baselines = Mapping[str, tuple[Entry, Best]]
"""What ratios are against, by kind."""


def cheapest(kinds: Iterable[str], entries: Sequence[Entry], measured: Sequence[Best]) -> Baselines:
    """Of each kind of baseline the entry of least energy that meets the clock, if there is one."""
    usable = [pair for pair in zip(entries, measured, strict=True) if pair[1].usable]
    found = {}
    for kind in kinds:
        own = [pair for pair in usable if kind in pair[0].kinds]
        if own:
            found[kind] = min(own, key=lambda pair: rank(pair[1]))
    return found


def ratio(baselines: Baselines, kind: str, own: Best, figure: str = "energy_pj") -> float | None:
    """How many times less than the baseline of a kind; None where there is none or the row has no
    energy.
    """
    if kind not in baselines or own.energy_pj is None:
        return None
    _, baseline = baselines[kind]
    return float(round(getattr(baseline, figure) / getattr(own, figure), 3))


def measure_builds(
    conditions: Conditions,
    stimulus: Stimulus,
    entries: Sequence[Sequence[Build]],
    results: Cache,
    progress: Progress | None = None,
) -> list[list[Measurement]]:
    """What `measure` says of every build of every entry, on all cores."""
    done: dict[tuple[int, int], Measurement] = {}
    jobs = [(place, build) for place, own in enumerate(entries) for build in enumerate(own)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=_end_on_sigterm) as pool:
        places = {
            pool.submit(_job, build, conditions, stimulus, results): (place, number)
            for place, (number, build) in jobs
        }
        try:
            for count, job in enumerate(as_completed(places), 1):
                result = done[places[job]] = job.result()
                if progress:
                    progress(f"{result.slug}, {result.adders}", count, len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()  # leaving the pool waits for its jobs, which take minutes
            raise
    return [
        [done[place, number] for number in range(len(own))] for place, own in enumerate(entries)
    ]


def _end_on_sigterm() -> None:
    """A worker ends on SIGTERM, whatever the command does: as an exception it would be a job's
    result, and the pool would wait for more.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _job(build: Build, conditions: Conditions, stimulus: Stimulus, results: Cache) -> Measurement:
    return measure(build, conditions, build.configuration.workload(stimulus), results=results)


def _row(entry: Entry, measured: Best, baselines: Baselines, stimulus: Stimulus) -> MacRow:
    """A measured unit, what the stimulus does to it (zero products, overflows), and its ratios."""
    configuration = entry.configuration()
    options = configuration.options
    statistics = stimulus.statistics(options.get("format", FP32), options.get("a_format"))
    zeros = sum(part.zero_product * part.pairs for part in statistics.values()) / len(stimulus)
    return MacRow(
        unit=entry.label,
        options={name: plain(value) for name, value in options.items()},
        zero_product_share=round(zeros, 4),
        accumulator=accumulator_row(configuration, stimulus.seed),
        measured=measured,
        ratio_to_fp32=ratio(baselines, "fp32", measured),
        ratio_to_fp8=ratio(baselines, "fp8", measured),
        ratio_to_fp8_any=ratio(baselines, "fp8_any", measured),
        claim=entry.claim,
    )


@functools.cache
def _range_stimulus(seed: int) -> Stimulus:
    """The operations on which every unit's overflows are counted."""
    return build_stimulus(RANGE_OPERATIONS, seed)


def accumulator_row(configuration: Configuration, seed: int) -> AccumulatorRow | None:
    """Proven length and the overflow seen, by kind of convolution: share of groups that
    overflowed. Of a tile: that of its MACs. None where no sum can overflow.
    """
    if "overflow" not in configuration.options:
        return None
    stimulus = _range_stimulus(seed)
    mac = configuration.lane
    outputs = mac.reference(mac.workload(stimulus).inputs)
    last = np.append(stimulus.start[1:], True)
    flags = outputs["overflow"][last].astype(bool)
    kinds = stimulus.kind[last]
    return AccumulatorRow(
        width=mac.options["acc_width"],
        safe_length=mac.safe_length,
        groups=len(flags),
        overflows=int(flags.sum()),
        overflow_rate=round(float(flags.mean()), 6),
        overflow_rate_by_kind={
            kind.value: round(float(flags[kinds == index].mean()), 6)
            for index, kind in enumerate(stimulus.kinds)
        },
    )
