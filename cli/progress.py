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


def with_time_left(step: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """The callback, which says how long the rest takes by what this run did: it is first told of
    what was kept.
    """
    begun = time.monotonic()
    kept: int | None = None

    def tell(what: str, done: int, total: int) -> None:
        nonlocal kept
        kept = done if kept is None else kept
        step(f"{what}{left(done - kept, total - done)}", done, total)

    def left(fresh: int, missing: int) -> str:
        """Behind a comma; nothing before the first result and at the end."""
        if fresh < 1 or not missing:
            return ""
        seconds = (time.monotonic() - begun) / fresh * missing
        if seconds < 90:
            return f", about {seconds:.0f} s left"
        return f", about {seconds / 60:.0f} min left"

    return tell
