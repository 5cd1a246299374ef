"""The main job: every MAC under one wrapper, one clock, one stimulus, one script."""

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np

from ..golden.spec import FP32
from ..support.cache import Cache
from ..units.catalogue import Configuration
from ..units.emit import plain
from .measure import ENERGY, Build, Conditions, best, builds, load_library, measure, tool_versions
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
) -> dict[str, Any]:
    """The report as JSON's types; docs/report.md describes every field.

    Raises: what measuring raises.
    """
    rows = measure_all(conditions, stimulus, entries, results, progress)
    baselines = {
        kind: row for kind in BASELINES if (row := cheapest(kind, entries, rows)) is not None
    }
    for row, entry in zip(rows, entries, strict=True):
        for kind in BASELINES:
            row[f"ratio_to_{kind}"] = ratio(ENERGY, baselines.get(kind), row)
        row["claim"] = entry.claim and entry.claim.row()
    return {
        "schema": SCHEMA,
        **circumstances(conditions, stimulus),
        "baselines": {kind: row["unit"] for kind, row in baselines.items()},
        "rows": rows,
    }


def circumstances(conditions: Conditions, stimulus: Stimulus) -> dict[str, Any]:
    """What all rows of a report share: conditions, what the operands are drawn from, tools."""
    return {
        "pdk": conditions.pdk.name,
        "clock_mhz": conditions.clock_mhz,
        "script": conditions.script,
        "states": conditions.states.value,
        "stimulus": _stimulus_row(stimulus),
        "tools": tool_versions(),
    }


def _stimulus_row(stimulus: Stimulus) -> dict[str, Any]:
    return {
        "operations": len(stimulus),
        "seed": stimulus.seed,
        "kinds": [kind.value for kind in stimulus.kinds],
        "digest": stimulus.digest,
    }


def cheapest(
    kind: str, entries: Sequence[Entry], rows: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """The row of least energy that meets the clock, among the entries of the baseline's
    `kind`.
    """
    pairs = zip(entries, rows, strict=True)
    own = [row for entry, row in pairs if kind in entry.kinds and row["meets_timing"]]
    own = [row for row in own if row[ENERGY] is not None]
    return min(own, key=lambda row: row[ENERGY], default=None)


def ratio(field: str, baseline: Mapping[str, Any] | None, row: Mapping[str, Any]) -> float | None:
    """How many times less than the baseline; None where there is none or the row has no energy."""
    if baseline is None or row[ENERGY] is None:
        return None
    return float(round(baseline[field] / row[field], 3))


def measure_all(
    conditions: Conditions,
    stimulus: Stimulus,
    entries: Sequence[Entry],
    results: Cache,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """A row for each entry, all its builds measured, on all cores."""
    library = load_library(conditions.pdk.liberty)
    every = [builds(entry.configuration(), conditions, library) for entry in entries]
    measured = measure_builds(conditions, stimulus, every, results, progress)
    return [
        _describe(entry, stimulus) | best(own) for entry, own in zip(entries, measured, strict=True)
    ]


def measure_builds(
    conditions: Conditions,
    stimulus: Stimulus,
    entries: Sequence[Sequence[Build]],
    results: Cache,
    progress: Progress | None = None,
) -> list[list[dict[str, Any]]]:
    """What `measure` says of every build of every entry, on all cores."""
    done: list[list[dict[str, Any]]] = [[{} for _ in own] for own in entries]
    jobs = [(place, build) for place, own in enumerate(entries) for build in enumerate(own)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=_end_on_sigterm) as pool:
        places = {
            pool.submit(_job, build, conditions, stimulus, results): (place, number)
            for place, (number, build) in jobs
        }
        try:
            for count, job in enumerate(as_completed(places), 1):
                place, number = places[job]
                result = done[place][number] = job.result()
                if progress:
                    progress(f"{result['slug']}, {result['adders']}", count, len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()  # leaving the pool waits for its jobs, which take minutes
            raise
    return done


def _end_on_sigterm() -> None:
    """A worker ends on SIGTERM, whatever the command does: as an exception it would be a job's
    result, and the pool would wait for more.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _job(
    build: Build, conditions: Conditions, stimulus: Stimulus, results: Cache
) -> dict[str, Any]:
    return measure(build, conditions, build.configuration.workload(stimulus), results=results)


def _describe(entry: Entry, stimulus: Stimulus) -> dict[str, Any]:
    """What a row is, and what the stimulus does to it: zero products, overflows."""
    configuration = entry.configuration()
    options = configuration.options
    format = options.get("format", FP32)
    statistics = stimulus.statistics(format, options.get("a_format"))
    zeros = sum(part.zero_product * part.pairs for part in statistics.values()) / len(stimulus)
    return {
        "unit": entry.label,
        "options": {name: plain(value) for name, value in options.items()},
        "zero_product_share": round(zeros, 4),
        "accumulator": (
            accumulator_row(configuration, stimulus.seed) if "overflow" in options else None
        ),
    }


@functools.cache
def _range_stimulus(seed: int) -> Stimulus:
    """The operations on which every unit's overflows are counted."""
    return build_stimulus(RANGE_OPERATIONS, seed)


def accumulator_row(configuration: Configuration, seed: int) -> dict[str, Any]:
    """Proven length and the overflow seen, by kind of convolution: share of groups that
    overflowed. Of a tile: that of its MACs.
    """
    stimulus = _range_stimulus(seed)
    mac = configuration.lane
    outputs = mac.reference(mac.workload(stimulus).inputs)
    last = np.append(stimulus.start[1:], True)
    flags = outputs["overflow"][last].astype(bool)
    kinds = stimulus.kind[last]
    return {
        "width": mac.options["acc_width"],
        "safe_length": mac.safe_length,
        "groups": len(flags),
        "overflows": int(flags.sum()),
        "overflow_rate": round(float(flags.mean()), 6),
        "overflow_rate_by_kind": {
            kind.value: round(float(flags[kinds == index].mean()), 6)
            for index, kind in enumerate(stimulus.kinds)
        },
    }
