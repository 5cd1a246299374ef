"""How the command ends. Exit status 0: done; 1: the hardware or a metric is wrong, or something
that is needed is missing, failed or is used up (a tool, a PDK, memory, the disk); 2: the request is
wrong (an option, a file or a path that it names); 128 and its number: a signal.
"""

import itertools
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import psutil
import typer

from ..support.errors import Interrupted, ToolError, UserError, exit_status
from .output import err

_CAUGHT = [
    each
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if signal.getsignal(each) is not signal.SIG_IGN
]
"""Signals that end the command; not those that are ignored from the start, as nohup does it."""

_PATIENCE_S = 5.0
"""What is left to do after a signal takes less."""

_UsageError: Any = typer.BadParameter.__base__
"""What the parser of options raises, wherever this version of typer keeps it."""


def run(app: Callable[..., Any]) -> NoReturn:
    """Run the command and exit; whatever ends it early is one line on stderr."""
    received = _catch_signals()
    try:
        _check_arguments(sys.argv[1:])
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        # What a signal interrupts may make another error of it.
        told = _told(Interrupted(received[0]) if received else error)
        if told is None:
            raise
        message, status = told
        _say(message)
    finally:  # nothing is left to be removed
        _handle_signals(signal.SIG_IGN if received else signal.SIG_DFL)
    sys.exit(status)


def _told(error: BaseException) -> tuple[str, int] | None:
    """The line of an error and the exit status; None of one that is a mistake of ours."""
    if isinstance(error, Interrupted):
        return f"ended by {signal.Signals(error.number).name}", 128 + error.number
    if isinstance(error, _UsageError):
        return _usage(error), 2
    if isinstance(error, UserError | ToolError):
        return str(error), exit_status(error)
    if isinstance(error, MemoryError):
        return f"out of memory: {error}", exit_status(error)
    if isinstance(error, OSError):
        if error.filename is None:
            _drop_output()
        why = error.strerror or str(error)
        if isinstance(error, FileExistsError):  # of making a folder
            why = "must be a folder, not a file"
        is_read = not isinstance(error, BrokenPipeError)  # else who read has read enough
        line = f"{error.filename or 'standard output'}: {why}" if is_read else ""
        return line, exit_status(error)
    return None


def _check_arguments(given: Sequence[str]) -> None:
    """Raise UserError for an empty one, such as of a shell's variable that is not set: a path would
    be the folder that the command runs in.
    """
    for before, each in itertools.pairwise(["", *given]):
        name, equals, value = each.partition("=")
        if not each or (each.startswith("--") and equals and not value):
            option = before if before.startswith("-") and not each else name
            raise UserError(f"{option or 'an argument'} must not be empty")


def _drop_output() -> None:
    """What is left in the buffer of stdout cannot be written: Python would try again at its end."""
    with suppress(OSError, ValueError):  # no file, as in a test
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    """One line, if any; the help of a command without arguments as it is."""
    is_line = "\n" not in message
    if message:
        said = f"mlsmac: {message}" if is_line else message
        err.print(said, style="bold red" if is_line else None, highlight=False, soft_wrap=True)


def _catch_signals() -> list[int]:
    """Make an exception of a signal, so that temporary files go; its number is in the list. Those
    that follow change nothing: the files go fast, and if not, a late one ends all at once.
    """
    owner = os.getpid()
    received: list[int] = []
    first = math.inf

    def interrupt(number: int, _: object) -> None:
        nonlocal first
        is_late = time.monotonic() - first > _PATIENCE_S
        if is_late or os.getpid() != owner:  # a worker that has not begun yet
            os._exit(128 + number)
        if not received:
            first = time.monotonic()
            received.append(number)
            sys.unraisablehook = lambda _: None  # of what is thrown away half done
            _end_tools()
            raise Interrupted(number)

    _handle_signals(interrupt)
    return received


def _end_tools() -> None:
    """Kill what the command has started with all that it has started in turn: a compiler's driver
    that is killed alone leaves the compiler, which goes on in the folder that is being removed.
    """
    found: set[psutil.Process] = set()
    while new := set(psutil.Process().children(recursive=True)) - found:
        found |= new
        for each in new:  # so that it starts nothing meanwhile
            with suppress(psutil.Error):
                each.suspend()
    for each in found:
        with suppress(psutil.Error):
            each.kill()


def _handle_signals(how: Any) -> None:
    for each in _CAUGHT:
        signal.signal(each, how)


_KINDS = {"int": "an integer", "float": "a number"}
"""By the beginning of the name of a rule of the parser's."""


def _usage(error: Any) -> str:
    """What the parser says, with the value, which it leaves out where it could not convert it."""
    found = getattr(error.__cause__, "errors", None)
    if found is None or error.param is None:
        message = error.format_message().rstrip(".")
        see = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return message if "\n" in message else f"{message}{see}"
    first = found()[0]
    rule = _KINDS.get(first["type"].partition("_")[0], first["msg"])
    return f"{error.param.opts[-1]} must be {rule}, not {first['input']!r}"
