"""Processes for all cores that end with their work, whatever ends it."""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from .errors import ToolError
from .files import scratch


@contextmanager
def workers(count: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool whose temporary files lie in a folder of its own. After it nothing is left of workers,
    of what they started and of their files; an error, an interrupt too, does not wait for jobs.

    `count`: processes, None: as many as cores.
    Raises: ToolError where a worker was killed.
    """
    with scratch() as folder:
        pool = ProcessPoolExecutor(count or os.cpu_count(), initializer=_begin, initargs=(folder,))
        try:
            yield pool
        except BaseException as error:
            _kill((pool._processes or {}).values())  # those that are dead by now too
            if isinstance(error, BrokenProcessPool):
                how = "a worker process was killed, perhaps for want of memory"
                raise ToolError(how) from None
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(folder: Path) -> None:
    """In a worker, which leads a process group so that all it starts can be killed with it: by the
    pool, or by itself where the process that has the pool is gone. Ctrl-C is that one's alone.
    """
    os.setpgrp()
    tempfile.tempdir = str(folder)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as an exception it would be a job's result
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)


def _kill(processes: Iterable[BaseProcess]) -> None:
    for each in processes:
        with suppress(ProcessLookupError):  # of a worker that has not begun yet, or left nothing
            os.killpg(each.pid, signal.SIGKILL)  # type: ignore[arg-type]
        each.kill()
