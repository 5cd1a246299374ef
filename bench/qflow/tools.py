"""The tools, and where their files are."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mlsmac.support.errors import ToolError

TECH = Path("/usr/share/qflow/tech/osu018")
LEF = TECH / "osu018_stdcells.lef"
TOOLS = ("graywolf", "qrouter", "magic")


def check_tools() -> None:
    """Raise ToolError unless all tools and their files are there."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} not found: install the Debian package {tool}")
    if not LEF.exists():
        raise ToolError(f"{LEF} not found: install the Debian package qflow-tech-osu018")


def run(command: Sequence[str], folder: Path, makes: str) -> str:
    """What a tool says. Raises: ToolError where it leaves no file of that name: most end with 0
    whatever happens.
    """
    done = subprocess.run(
        ["nice", *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode or not (folder / makes).exists():
        last = next(
            (line for line in reversed(done.stdout.splitlines()) if line.strip()), "nothing"
        )
        raise ToolError(f"{command[0]} must make {makes}, but ended saying: {last.strip()}")
    return done.stdout
