"""A study: every arm from every seed, on several processes, and what came out by arm."""

import json
import platform
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from ...golden.spec import written
from ...nn import MlsConfig
from ...nn.formats import read_config
from ...support.workers import workers
from ..builds import Progress
from ..records import from_json
from .data import Source
from .rows import SCHEMA, ArmRow, Recipe, Run, TrainingReport
from .run import keep, kept, train

_LOOK_S = 5.0
"""Between looks at how far the runs are, which reads the file of every run."""


def train_all(
    folder: Path,
    recipe: Recipe,
    source: Source,
    arms: Sequence[str],
    seeds: Sequence[int],
    *,
    processes: int | None = None,
    progress: Progress | None = None,
) -> list[Run]:
    """Finish every run, seed by seed; what `folder` has of them is not done again.

    `progress`: called with what is under way, epochs done and epochs in all.
    Raises: OSError, ToolError where a process was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(arm, seed) for seed in seeds for arm in arms]
    left = [job for job in jobs if not kept(folder, recipe, *job).finished(recipe)]
    if left:
        with workers(processes) as pool:
            running = [pool.submit(train, folder, recipe, source, *job) for job in left]
            told = -1
            for _ in _until_done(running):
                done, total = _epochs(folder, recipe, jobs)
                if progress and done > told:
                    progress("training", done, total)
                    told = done
    return kept_runs(folder, recipe, arms, seeds)


def adopt(written: Path, folder: Path, recipe: Recipe) -> None:
    """Take the finished runs of an earlier report of the same recipe into `folder`, where it has
    none of them: a study goes on from its `training.json` alone.
    """
    try:
        earlier = from_json(TrainingReport, json.loads(written.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return  # none, or something else of that name
    if earlier.recipe != recipe:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for run in earlier.runs:
        if not kept(folder, recipe, run.arm, run.seed).epochs:
            keep(folder, recipe, run)


def kept_runs(folder: Path, recipe: Recipe, arms: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Every run as far as it is."""
    return [kept(folder, recipe, arm, seed) for seed in seeds for arm in arms]


def _until_done(running: Sequence["Future[Run]"]) -> Iterator[None]:
    """Now and then, until the last one is done. Raises: what one of them raises."""
    pending = set(running)
    while pending:
        done, pending = wait(pending, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
        for each in done:
            each.result()
        yield


def _epochs(folder: Path, recipe: Recipe, jobs: Sequence[tuple[str, int]]) -> tuple[int, int]:
    """Done, and in all; a run that ended early has none left."""
    runs = [kept(folder, recipe, *job) for job in jobs]
    done = sum(recipe.epochs if run.finished(recipe) else len(run.epochs) for run in runs)
    return done, recipe.epochs * len(runs)


def report(recipe: Recipe, runs: Sequence[Run]) -> TrainingReport:
    """What came out so far, by arm in the order of the runs."""
    import numpy
    import torch

    finished = [run for run in runs if run.finished(recipe)]
    arms = list(dict.fromkeys(run.arm for run in runs))
    base = {
        run.seed: run.accuracy
        for run in finished
        if run.arm == arms[0] and run.accuracy is not None
    }
    versions = {
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "torch": torch.__version__,
    }
    return TrainingReport(
        schema=SCHEMA,
        tools=versions,
        recipe=recipe,
        planned=len(runs),
        rows=tuple(_row(arm, [run for run in finished if run.arm == arm], base) for arm in arms),
        runs=tuple(finished),
    )


def accuracies(report: TrainingReport) -> list[dict[str, Any]]:
    """What `mlsmac sweep --accuracy` takes: the arms in MLS that say no more than an element, a
    group and a scale.
    """
    found = []
    for row in report.rows:
        config = read_config(row.arm)
        if isinstance(config, MlsConfig) and row.accuracy is not None and not row.diverged:
            options = {name: getattr(config, name) for name in ("element", "scale", "group")}
            if config == MlsConfig(**options):
                own = config.operands["w"]
                texts = {"format": written(own.element), "scale": written(own.scale)}
                found.append({**texts, "group": own.group.value, "accuracy": row.accuracy / 100})
    return found


def _row(arm: str, runs: Sequence[Run], base: dict[int, float]) -> ArmRow:
    found = {run.seed: run.accuracy for run in runs if run.accuracy is not None}
    accuracy, error = _mean([100 * own for own in found.values()])
    paired = [100 * (own - base[seed]) for seed, own in found.items() if seed in base]
    difference, difference_error = _mean(paired)
    kinds = sorted({kind for run in runs for kind in run.overflows})
    return ArmRow(
        arm=arm,
        runs=len(runs),
        accuracy=accuracy,
        accuracy_se=error,
        difference=difference,
        difference_se=difference_error,
        diverged=sum(run.diverged is not None for run in runs),
        overflows={k: statistics.fmean(run.overflows.get(k, 0.0) for run in runs) for k in kinds},
    )


def _mean(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and its standard error."""
    if not values:
        return None, None
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return statistics.fmean(values), error
