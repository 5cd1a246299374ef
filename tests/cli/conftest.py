"""What tests of the command line share: a command in this process, whose start is most of one."""

import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mlsmac.cli import ending
from mlsmac.cli.main import main

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """What a command built and did not elaborate would warn in whatever test comes next."""
    yield
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the command with what a user types, in `cwd`: from its arguments to its
    exit status and what stands on stdout and stderr. Signals stay the tests' own.
    """
    monkeypatch.setattr(ending, "_catch_signals", list)
    monkeypatch.setattr(ending, "_CAUGHT", [])

    def command(*arguments: str, cwd: Path | None = None) -> CompletedProcess[str]:
        capfd.readouterr()
        with monkeypatch.context() as own:
            own.setattr("sys.argv", ["mlsmac", *arguments])
            own.chdir(cwd or Path.cwd())
            with pytest.raises(SystemExit) as ended:
                main()
        return CompletedProcess(arguments, ended.value.code or 0, *capfd.readouterr())

    return command
