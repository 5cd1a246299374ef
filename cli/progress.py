"""A bar on a terminal; elsewhere a line a step, so that a log tells too."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(
    console: Console, begin: str = "mapping and simulating"
) -> Iterator[Callable[[str, int, int], None]]:
    """A callback (what, done, total) that moves a bar on `console`; `begin`: what is said until
    then.
    """
    if not console.is_terminal:

        def tell(what: str, done: int, total: int) -> None:
            console.print(f"{done}/{total} {what}", highlight=False, soft_wrap=True)

        yield tell
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(begin, total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield step


class Clock:
    """Estimates the time left from what this run did: it is first told of what was kept."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._kept: int | None = None

    def left(self, done: int, total: int) -> str:
        """In words, behind a comma; nothing before the first result and at the end."""
        if self._kept is None:
            self._kept = done
        fresh = done - self._kept
        if fresh < 1 or done == total:
            return ""
        seconds = (time.monotonic() - self._begun) / fresh * (total - done)
        if seconds < 90:
            return f", about {seconds:.0f} s left"
        return f", about {seconds / 60:.0f} min left"
