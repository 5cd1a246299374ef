"""Technology mapping: RTLIL to a flat netlist of library cells, with Yosys and ABC.

The stages of a unit are mapped apart and flattened last, so every cell's name begins with the stage
it came from (`stage.g12`) and area and power can be split. What a unit has several of, or several
units have, is mapped once. Yosys keeps its state in globals and ends the process on an error, so
each part has a process of its own: the result is a function of the part and nothing around it, and
callers may run several at once.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...support.cache import Cache, digest
from ...support.errors import ToolError, UserError
from ...support.files import fill, scratch
from ..liberty.adder_cells import adder_cells
from ..liberty.cells import LibertyCell
from ..liberty.library import Library
from ..liberty.pdk import Pdk
from .clock_gates import clock_gates, driving
from .hierarchy import PART, Part, parts
from .netlist import Netlist, flatten
from .recipes import ABC_SCRIPTS, RIPPLE, Adders, full_adder_map, yosys_script
from .verilog import to_verilog

_NOT_KEPT = Cache(None)

_YOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1])"


@dataclass(frozen=True)
class MappedNetlist:
    """A mapped unit: `cells` counts its cells by kind; `area` is the sum of the cells' Liberty
    areas (um2 in most libraries).
    """

    netlist: Netlist
    cells: dict[str, int]
    area: float

    @classmethod
    def of(cls, netlist: Netlist, library: Library) -> "MappedNetlist":
        """A netlist of the library's cells."""
        counts = Counter(cell.kind for cell in netlist.cells.values())
        kinds = {kind: counts[kind] for kind in sorted(counts)}
        if unmapped := [kind for kind in kinds if kind.startswith("$")]:
            raise MappingError(
                f"{netlist.top} must be mapped completely, but has {', '.join(unmapped)}"
            )
        area = sum(library.cells[kind].area_um2 * count for kind, count in kinds.items())
        return cls(netlist, kinds, area)

    @cached_property
    def verilog(self) -> str:
        """The flat netlist."""
        return to_verilog(self.netlist)


class MappingError(ToolError):
    """Yosys failed, or left something that is not a library cell; the message is one line."""


def map_unit(
    rtlil: str,
    top: str,
    pdk: Pdk,
    library: Library,
    *,
    adders: Adders = Adders.GATES,
    script: str = "area",
    clock_gating: bool = False,
    stages: Iterable[frozenset[str]] = (),
    kept: Cache = _NOT_KEPT,
) -> MappedNetlist:
    """Map the module `top` of the RTLIL text onto the cells of `pdk` that are usable, whose files
    `library` is.

    `stages` are sets of submodule names: where a module has all submodules of one of them, all its
    submodules are mapped apart. `script` is a key of `ABC_SCRIPTS`, used for gates; adders made
    of cells have their own. With `clock_gating` flops of a part with a common enable share a clock
    gate. `kept` has the parts of other units that need not be mapped again.
    Initial values are dropped: a register without reset has none in silicon. Deterministic: equal
    arguments give equal results, whatever is kept.
    Raises: UserError (unknown script, adders or gates that the library has no cells for),
    MappingError (Yosys's error, an unmapped cell, a latch, an undefined constant).
    """
    if script not in ABC_SCRIPTS:
        raise UserError(f"script must be one of {', '.join(ABC_SCRIPTS)}, not {script!r}")
    if adders not in possible_adders(library, pdk):
        raise UserError(f"adders must be gates in {library.name}, not {adders.value!r}")
    if top in library.cells:  # which OpenSTA would take for the cell
        raise UserError(f"a module must not be called like a cell of {library.name}: {top!r}")
    gates = clock_gates(library, pdk) if clock_gating else []
    try:
        apart = parts(rtlil, top, stages)
        mapped = _mapped(apart, _recipe(pdk, library, adders, script, gates), kept)
        netlist = flatten({part.name: part.named(mapped[part.text]) for part in apart}, top)
    except ValueError as error:
        raise MappingError(f"{top}: {error}") from None
    if gates:
        netlist = driving(netlist, library, gates)
    return MappedNetlist.of(netlist, library)


def _recipe(
    pdk: Pdk, library: Library, adders: Adders, script: str, gates: Sequence[LibertyCell]
) -> dict[str, str]:
    """The files that decide how a part is mapped."""
    cells = adder_cells(library, pdk.dont_use)
    gate = gates[0] if gates else None
    files = {
        "cells.lib": _cells(pdk, library),
        "constraints": f"set_driving_cell {pdk.driver}\nset_load {pdk.load_ff}\n",
        "ripple.v": RIPPLE,
        "map.ys": yosys_script(PART, pdk, adders=adders, cells=cells, script=script, gate=gate),
    }
    if adders is Adders.FULL_ADDERS:
        files["fa.v"] = full_adder_map(next(cell for cell in cells if len(cell.inputs) == 3))
    return files


def _mapped(apart: Iterable[Part], recipe: Mapping[str, str], kept: Cache) -> dict[str, Any]:
    """Yosys's JSON of the mapped module of each part, by the part's text."""
    how = [version("pyosys"), *(text for item in sorted(recipe.items()) for text in item)]
    found: dict[str, Any] = {}
    for text in dict.fromkeys(part.text for part in apart):
        found[text] = kept.get(digest([*how, text]), partial(_map_part, text, recipe))
    return found


def _map_part(text: str, recipe: Mapping[str, str]) -> dict[str, Any]:
    """Yosys's JSON of the mapped module. Raises: MappingError, ValueError (a latch)."""
    with scratch() as directory:
        fill(directory, {"unit.il": text, **recipe})
        run_yosys(directory, "map.ys")
        generic, mapped = (
            json.loads(file)["modules"][PART]
            for file in _read(directory, ("generic.json", "out.json"))
        )
    counts = Counter(cell["type"] for cell in generic["cells"].values())
    for kind, count in sorted(counts.items()):
        if "LATCH" in kind or "_SR_" in kind:
            raise ValueError(f"there must be no latches, not {count} of {kind}")
    return {field: mapped[field] for field in ("ports", "cells", "netnames")}


@lru_cache(maxsize=4)
def _cells(pdk: Pdk, library: Library) -> str:
    """The cells that mapping may choose, and ties, which it is told to take."""
    ties = {tie[0] for tie in (pdk.tie_high, pdk.tie_low) if tie}
    return library.text(library.usable(pdk.dont_use).keys() | ties)


def _read(directory: Path, files: Iterable[str]) -> list[str]:
    """The texts that Yosys wrote. Raises: MappingError where it ended well without one."""
    found = []
    for file in files:
        try:
            found.append((directory / file).read_text())
        except FileNotFoundError:
            raise MappingError(f"Yosys must write {file}, but did not") from None
    return found


def possible_adders(library: Library, pdk: Pdk) -> list[Adders]:
    """What adders can be made of: cells only where the library has a full adder."""
    full = any(len(cell.inputs) == 3 for cell in adder_cells(library, pdk.dont_use))
    return list(Adders) if full else [Adders.GATES]


def run_yosys(directory: Path, script: str) -> None:
    """Run the script file in `directory`; Yosys's own error line, with ABC's, becomes the
    exception.

    Raises: MappingError.
    """
    done = yosys(directory, script)
    if done.returncode:
        why = _complaint(done.stdout + done.stderr)
        raise MappingError(why or f"Yosys ended with status {done.returncode}")


def yosys(directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    """What the script file in `directory` did, in a process of its own."""
    command = [sys.executable, "-c", _YOSYS, script]
    # Yosys leaves a cache of the Liberty file in TMPDIR; relative, since ABC trips over spaces.
    # Among several threads the first decides names of nets, and together they take longer.
    environment = os.environ | {"TMPDIR": ".", "YOSYS_MAX_THREADS": "1"}
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, errors="replace"
    )


_ABC_FAULT = re.compile(
    r"^ABC: (.*(?:error|cannot|can't|failed|aborted|killed|fault).*)$", re.IGNORECASE | re.MULTILINE
)


def _complaint(told: str) -> str:
    """The last error in what Yosys said, empty where there is none. Of ABC it only says that the
    output is missing: its own first error is added.
    """
    errors = [line for line in told.splitlines() if "ERROR" in line]
    if not errors or "ABC" not in errors[-1]:
        return errors[-1] if errors else ""
    fault = _ABC_FAULT.search(told)
    return f"{errors[-1]} ABC: {fault[1].strip() if fault else 'nothing of an error'}"
