"""One job of a sweep: a configuration in a library, measured at once; and its key."""

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...support.cache import Cache, digest, source_digest
from ...support.errors import ToolError
from ...synth.liberty.library import load
from ...units.emit import parameters
from ...units.workloads import Workload, dot_steps, pairs, tile_steps
from ..builds import Search, best, builds
from ..conditions import Conditions
from ..dot_errors import dot_errors, format_errors
from ..keys import engine, sources, tool_versions
from ..measure import measure
from ..records import to_json
from ..report import accumulator_row
from ..rows import Best, DotErrors
from ..stimuli.coding import Coding
from ..stimuli.own import Pairs
from ..stimuli.pairs import Stimulus
from .grid import Point
from .rows import Outcome

_ROOT = Path(__file__).parents[1]
_OWN = ("builds.py", "dot_errors.py", "report.py", "rows.py", "stimuli", "sweep/jobs.py")

REFUSED, FAILED = "refused", "failed"
"""Keys of a job's result that is a reason, and no outcome: golden takes no such configuration, or a
tool failed.
"""


@dataclass(frozen=True, eq=False)
class Job:
    """A point in a library."""

    point: Point
    conditions: Conditions

    @property
    def name(self) -> str:
        """For a line of progress."""
        return f"{self.point.label}, {self.conditions.pdk.name}"

    def key(self, stimulus: Stimulus) -> str:
        """Of its result: all that decides it."""
        own = self.point.configuration
        coding = self.point.coding.written() if self.point.coding else None
        given = [own.name, own.slug, parameters(own), coding, stimulus.digest]
        return digest(["sweep", *_circumstances(self.conditions), *given])


def makers(conditions: Conditions) -> str:
    """Digest of the code and the tools that make results."""
    return digest([_code(), np.__version__, tool_versions(conditions)])


@functools.cache
def _code() -> str:
    return digest([engine(), sources(), source_digest(*(_ROOT / name for name in _OWN))])


@functools.lru_cache(maxsize=16)
def _circumstances(conditions: Conditions) -> tuple[Any, ...]:
    """What decides results beside the configuration and the stimulus."""
    pdk = asdict(conditions.pdk)
    settings = {name: pdk[name] for name in pdk.keys() - {"liberty", "clock_mhz"}}
    how = [conditions.clock_mhz, conditions.script, conditions.states.value]
    how += [conditions.simulator.value, conditions.all_builds]
    files = [digest([path.read_bytes()]) for path in conditions.pdk.liberty]
    return makers(conditions), *files, settings, how


def run(job: Job, stimulus: Stimulus, results: Cache, maps: Cache) -> Mapping[str, Any]:
    """An outcome as JSON, or a reason under `REFUSED` or `FAILED`.

    `results` keeps measurements, as reports do; `maps` what is mapped, for other jobs.
    Raises: UserError, where no configuration can be measured.
    """
    own = job.point.configuration
    source = stimulus.coded(job.point.coding) if job.point.coding else stimulus
    try:
        workload = own.workload(source)
        own.reference(workload.inputs)
    except (TypeError, ValueError) as error:
        return {REFUSED: str(error)}
    try:
        measured = _best(job, workload, results, maps)
    except ToolError as error:
        return {FAILED: str(error)}
    found: dict[str, Any] = to_json(
        Outcome(
            measured=measured,
            accumulator=accumulator_row(own, source),
            errors=_errors(job.point, source),
        )
    )
    return found


def _best(job: Job, workload: Workload, results: Cache, maps: Cache) -> Best:
    """The configuration's build, or the best of all."""
    library = load(job.conditions.pdk.liberty)
    search = Search(0, builds(job.point.configuration, job.conditions, library))
    while runs := search.next():
        for each in runs:
            steps = workload.short() if each.short else workload
            told = measure(each.build, job.conditions, steps, results=results, maps=maps)
            search.done(each, told)
    return best(search.results())


def _errors(point: Point, source: Stimulus) -> DotErrors | None:
    """Of rounding to the format; None where the unit has none, or pairs are no tensors."""
    own = point.configuration
    if isinstance(source.layers[0], Pairs):
        return None
    if own.unit.workload is dot_steps:
        return dot_errors(source, own.options)
    if "format" not in own.options and own.unit.workload not in (pairs, tile_steps):
        return None  # of no operands: FP32 has no option
    if scale := own.options.get("scale"):
        source = replace(source, coding=Coding(scale=scale))
    return format_errors(source, own.options)
