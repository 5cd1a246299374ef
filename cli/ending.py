"""How the command ends. Exit status 0: done; 1: the hardware or a metric is wrong, or something
that is needed is missing, failed or is used up (a tool, a PDK, memory, the disk); 2: the request is
wrong (an option, a file or a path that it names); 128 and its number: a signal.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import typer

from ..support.errors import Interrupted, ToolError, UserError, exit_status
from .output import err

_CAUGHT = [
    each
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if signal.getsignal(each) is not signal.SIG_IGN
]
"""Signals that end the command; not those that are ignored from the start, as nohup does it."""

_UsageError: Any = typer.BadParameter.__base__
"""What the parser of options raises, wherever this version of typer keeps it."""


def run(app: Callable[..., Any]) -> NoReturn:
    """Run the command and exit; whatever ends it early is one line on stderr."""
    _catch_signals()
    try:
        sys.exit(_told(app))
    except Interrupted as error:
        fail(f"ended by {signal.Signals(error.number).name}", 128 + error.number)
    finally:  # nothing is left to be removed
        _handle_signals(signal.SIG_DFL)


def _told(app: Callable[..., Any]) -> Any:
    """What the command returns; an error is told."""
    try:
        _check_arguments(sys.argv[1:])
        result = app(standalone_mode=False)
        sys.stdout.flush()
        return result
    except _UsageError as error:
        fail(_usage(error), 2)
    except (UserError, ToolError) as error:
        fail(str(error), exit_status(error))
    except BrokenPipeError:  # who read has read enough
        _drop_output()
        sys.exit(1)
    except FileExistsError as error:  # of making a folder
        fail(f"{error.filename}: must be a folder, not a file", exit_status(error))
    except OSError as error:
        if error.filename is None:
            _drop_output()
        why = error.strerror or str(error)
        fail(f"{error.filename or 'standard output'}: {why}", exit_status(error))
    except MemoryError as error:
        fail(f"out of memory: {error}" if str(error) else "out of memory", exit_status(error))


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


def fail(message: str, status: int) -> NoReturn:
    """Print one line and exit; the help of a command without arguments as it is."""
    is_line = "\n" not in message
    style = "bold red" if is_line else None
    said = f"mlsmac: {message}" if is_line else message
    err.print(said, style=style, highlight=False, soft_wrap=True)
    sys.exit(status)


def _catch_signals() -> None:
    """A signal is an exception, so that temporary files go, and what follows it changes nothing:
    they go fast.
    """
    owner = os.getpid()

    def interrupt(number: int, _: object) -> None:
        if os.getpid() != owner:  # a worker that has not begun yet
            os._exit(128 + number)
        _handle_signals(signal.SIG_IGN)
        raise Interrupted(number)

    _handle_signals(interrupt)


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
