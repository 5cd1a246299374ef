"""How far a bench is, from the simulator's process to the command: by lines of a file."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Tell = Callable[[str, int, int], None]
"""Called with what is done now, how many steps are done, and how many there are."""

VARIABLE = "MLSMAC_PROGRESS"
"""Environment variable of the bench that names the file."""

_PARTS = 20
"""Lines of a whole run, about."""
_INTERVAL_S = 1.0


class Counter:
    """In a bench: called with the number of steps done, of `total`."""

    def __init__(self, total: int) -> None:
        self._path = Path(os.environ[VARIABLE])
        self._total, self._step = total, total // _PARTS + 1
        self._next = self._step

    def __call__(self, done: int) -> None:
        if done >= self._next:
            self._next = done + self._step
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{done} {self._total}\n")


@contextmanager
def watched(path: Path, what: str, tell: Tell | None) -> Iterator[None]:
    """Tell what a bench writes to `path`, meanwhile, once a second where it has changed."""
    if tell is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        told = None
        while not ended.wait(_INTERVAL_S):
            lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
            if len(lines) > 1 and lines[-2] != told:  # what follows the last line end may grow
                told = lines[-2]
                done, total = map(int, told.split())
                tell(what, done, total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
