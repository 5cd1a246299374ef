"""External programs: which Debian package each comes from."""

import functools
import shutil
import signal
import subprocess

from .errors import ToolError

PACKAGES = {
    "iverilog": "iverilog",
    "vvp": "iverilog",
    "sta": "opensta",
    "g++": "g++",
    "make": "make",
    "perl": "perl",
}
_VERSION_FLAGS = {"iverilog": "-V", "vvp": "-V", "sta": "-version"}


def require(*tools: str) -> None:
    """Raise ToolError, naming the package to install, unless every tool is on PATH."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} not found: install the Debian package {PACKAGES[tool]}")


def ended(status: int) -> str:
    """How a process ended, for a message: its exit status, or the signal that killed it."""
    if status >= 0:
        return f"it ended with status {status}"
    name = signal.Signals(-status).name
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"it was killed by {name}{hint}"


@functools.cache
def version(tool: str) -> str | None:
    """The first line a tool says of its version; None where it is not installed."""
    path = shutil.which(tool)
    if path is None:
        return None
    command = [path, _VERSION_FLAGS.get(tool, "--version")]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0] if lines else path
