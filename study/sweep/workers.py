"""Where a sweep's jobs run: in processes of this machine, or on the workers of a Dask cluster.

Each way takes jobs and gives their results as they come, every job's once.
"""

import functools
import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...support.cache import Cache
from ...support.errors import ToolError, UserError
from ...support.files import scratch
from ...support.workers import workers
from ..stimuli.pairs import Stimulus
from .jobs import Job, makers, run

Results = Generator[tuple[Job, Mapping[str, Any]], None, None]
Workers = Callable[[Sequence[Job], Stimulus, Cache], Results]
"""Runs jobs on a stimulus; the cache keeps measurements where workers are of this machine."""


def here(jobs: Sequence[Job], stimulus: Stimulus, results: Cache) -> Results:
    """On all cores of this machine.

    Raises: ToolError where a process was killed; what `run` raises.
    """
    with scratch() as maps, workers() as pool:
        kept = Cache(maps)
        futures = {pool.submit(run, job, stimulus, results, kept): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


SECONDS = 15
"""How long a scheduler may take to answer, and its first worker to be there."""


def cluster(address: str) -> Workers:
    """On the workers of the Dask scheduler at an address, which have this version of mlsmac and the
    library's files at the same places.

    A job whose worker is lost runs again on another one. Results are asked for by key, so that none
    counts twice. The workers' own results stay with them: this machine keeps what arrives.
    Raises: UserError where there is no such scheduler, or no worker.
    """
    return functools.partial(_on_cluster, address)


def _on_cluster(address: str, jobs: Sequence[Job], stimulus: Stimulus, results: Cache) -> Results:
    with _connected(address) as client:
        source = client.submit(_same, stimulus, key=f"mlsmac-stimulus-{stimulus.digest}")
        futures = {}
        for job in jobs:
            key = f"mlsmac-{job.key(stimulus)}"
            given = (_placed(job), source, makers(job.conditions))
            futures[client.submit(_run_there, *given, key=key)] = job
        yield from _arriving(futures, client.loop)


def _arriving(futures: Mapping[Any, Job], loop: Any) -> Results:
    from distributed import as_completed as done
    from distributed.scheduler import KilledWorker

    for future in done(futures, loop=loop, raise_errors=False):
        try:
            yield futures[future], future.result()
        except KilledWorker as error:
            lost = f"{futures[future].name} ended {error.allowed_failures + 1} workers"
            raise ToolError(f"{lost}: see what their logs say") from None
        except CancelledError:
            raise ToolError("the scheduler was lost: run the sweep again to go on") from None


def _connected(address: str) -> Any:
    """A client with a worker or more. Raises: UserError."""
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--scheduler needs distributed: pip install 'mlsmac[sweep]'") from None
    _silence()
    try:
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        rule = "--scheduler must be the address of a Dask scheduler"
        raise UserError(f"{rule}, not {address!r} ({reason})") from None
    try:
        client.wait_for_workers(1, timeout=SECONDS)
    except TimeoutError:
        client.close()
        raise UserError(f"--scheduler {address} must have workers, but has none") from None
    return client


def _placed(job: Job) -> Job:
    """The job with its library's files where they are for any process."""
    pdk = job.conditions.pdk
    whole = replace(pdk, liberty=tuple(path.resolve() for path in pdk.liberty))
    return replace(job, conditions=replace(job.conditions, pdk=whole))


def _silence() -> None:
    """What the cluster's libraries log of a lost connection, an error says."""
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith(("distributed", "tornado", "asyncio")):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _same(stimulus: Stimulus) -> Stimulus:
    """As a task, a stimulus goes to each worker once, and is there again if its worker is lost."""
    return stimulus


_one = threading.Lock()
"""A process measures one job at a time, however many threads it has."""


def _run_there(job: Job, stimulus: Stimulus, wanted: str) -> Mapping[str, Any]:
    from distributed import get_worker

    worker: Any = get_worker()
    if makers(job.conditions) != wanted:
        rule = "must have the versions of mlsmac and of the tools that the command has"
        raise ToolError(f"worker {worker.name} {rule}")
    for path in job.conditions.pdk.liberty:
        if not path.is_file():
            raise ToolError(f"worker {worker.name} must have the Liberty file {path}")
    with _one:
        return run(job, stimulus, Cache(None), Cache(Path(worker.local_directory) / "mlsmac-maps"))
