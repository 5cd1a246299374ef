"""Technology mapping: RTLIL to a flat netlist of library cells, with Yosys and ABC.

The two parts of a MAC are optimised apart and flattened last, so every cell's name begins with the
part it came from (`multiplier.g12`) and area and power can be split. Yosys keeps its state in
globals and ends the process on an error, so it runs in a process of its own: the result is a
function of the arguments, and callers may run several at once.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .errors import UserError
from .pdk import Pdk

# yosys-abc reads no abc.rc, hence compress2rs in full.
_COMPRESS2RS = (
    "balance -l; resub -K 6 -l; rewrite -l; resub -K 6 -N 2 -l; refactor -l; resub -K 8 -l; "
    "balance -l; resub -K 8 -N 2 -l; rewrite -l; resub -K 10 -l; rewrite -z -l; "
    "resub -K 10 -N 2 -l; balance -l; resub -K 12 -l; refactor -z -l; resub -K 12 -N 2 -l; "
    "rewrite -z -l; balance -l"
)
# Without a limit of conflicts, the equivalence check takes half a minute on an FP32 multiplier.
_PREPARE = f"strash; &get -n; &fraig -x -C 100; &put; scorr; dc2; dc2; {_COMPRESS2RS}"
_BUFFER = "topo; buffer -c; topo"
# At a delay target (ps) that everything meets, upsize does nothing and dnsize takes the smallest
# cell everywhere.
_RELAXED = 1_000_000
ABC_SCRIPTS = {
    "area": f"{_PREPARE}; dch; amap -m; {_BUFFER}; upsize -D {_RELAXED}; dnsize -D {_RELAXED}",
    "speed": (
        f"{_PREPARE}; dc2; if -g -K 6; strash; dch; map -B 0.9 -D 1; {_BUFFER}; upsize; dnsize"
    ),
}
"""ABC scripts by name: the smallest netlist, and the fastest; both add buffers where a load is too
large.
"""

PARTS = ("multiplier", "accumulator")
"""Submodules of the top that are optimised apart, where it has them; everything else is flattened
first.
"""

_YOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1])"


@dataclass(frozen=True)
class MappedNetlist:
    """A mapped unit.

    `verilog` and `json` (Yosys `write_json`) hold the same flat netlist; `cells` counts its cells
    by kind, `flop_count` of them are registers; `area` is the sum of the cells' Liberty areas (um2
    in most libraries).
    """

    verilog: str
    json: str
    cells: dict[str, int]
    flop_count: int
    area: float


class MappingError(RuntimeError):
    """Yosys failed, or left something that is not a library cell; the message is one line."""


def liberty_bytes(liberty: Path) -> bytes:
    """The text of a Liberty file, plain or compressed (`.gz`)."""
    data = liberty.read_bytes()
    return gzip.decompress(data) if liberty.suffix == ".gz" else data


def map_unit(
    rtlil: str, top: str, pdk: Pdk, *, booth: bool = False, script: str = "area"
) -> MappedNetlist:
    """Map the module `top` of the RTLIL text onto the cells of `pdk`.

    `booth` has Yosys build multipliers by Booth recoding; `script` is a key of `ABC_SCRIPTS`.
    Initial values are dropped: a register without reset has none in silicon. Deterministic: equal
    arguments give equal bytes.
    Raises: UserError (unknown script), MappingError (Yosys's error, an unmapped cell, a latch, an
    undefined constant).
    """
    if script not in ABC_SCRIPTS:
        raise UserError(f"script must be one of {', '.join(ABC_SCRIPTS)}, not {script!r}")
    with tempfile.TemporaryDirectory(prefix="mlsmac-map-") as name:
        directory = Path(name)
        (directory / "cells.lib").write_bytes(liberty_bytes(pdk.liberty))
        files = {
            "unit.il": rtlil,
            "constraints": f"set_driving_cell {pdk.driver}\nset_load {pdk.load_ff}\n",
            "map.ys": _yosys_script(top, pdk, booth=booth, script=script),
        }
        for file, text in files.items():
            (directory / file).write_text(text)
        _run_yosys(directory)
        results = {
            f: (directory / f).read_text()
            for f in ("generic.json", "out.json", "stat.json", "out.v")
        }
    generic, cells = (_cell_kinds(results[file]) for file in ("generic.json", "out.json"))
    for kind, count in generic.items():
        if "LATCH" in kind or "_SR_" in kind:
            raise MappingError(f"{top} must have no latches, not {count} of {kind}")
    _check(results["out.json"], cells, top)
    flops = sum(count for kind, count in generic.items() if "DFF" in kind)
    area = json.loads(results["stat.json"])["modules"][f"\\{top}"]["area"] if cells else 0.0
    # OpenSTA's reader stops at `signed`, which means nothing in a netlist of gates.
    verilog = re.sub(
        r"^( *(?:input|output|wire)) signed ", r"\1 ", results["out.v"], flags=re.MULTILINE
    )
    return MappedNetlist(verilog, results["out.json"], cells, flops, area)


def _yosys_script(top: str, pdk: Pdk, *, booth: bool, script: str) -> str:
    """The Yosys commands; file names are relative to the working directory."""
    dont_use = "".join(f" -dont_use {pattern}" for pattern in pdk.dont_use)
    ties = [
        f"-{option} {tie[0]} {tie[1]}"
        for option, tie in (("hicell", pdk.tie_high), ("locell", pdk.tie_low))
        if tie
    ]
    # Inline, since ABC cannot source a file with a space in its path; commas stand for blanks.
    inline = ABC_SCRIPTS[script].replace(" ", ",")
    lines = [
        "read_rtlil unit.il",
        f"hierarchy -check -top {top}",
        "setattr -unset init w:*",
        *(f"setattr -set keep_hierarchy 1 {top}/c:{part}" for part in PARTS),
        f"synth -noabc -flatten{' -booth' if booth else ''} -top {top}",
        "write_json generic.json",
        f"dfflibmap{dont_use} -liberty cells.lib",
        f"abc -liberty cells.lib -script +{inline} -constr constraints{dont_use}",
        *([f"hilomap -singleton {' '.join(ties)}"] if ties else []),
        "setattr -unset keep_hierarchy c:*",
        "opt_clean -purge",
        "splitnets",
        "opt_clean -purge",
        "rename -enumerate -pattern g% c:*",
        "rename -enumerate -pattern n% w:*",
        "flatten",
        "opt_clean -purge",
        f"tee -q -o stat.json stat -json -top {top} -liberty cells.lib",
        "write_json out.json",
        "write_verilog -noattr out.v",
    ]
    return "\n".join(lines) + "\n"


def _run_yosys(directory: Path) -> None:
    """Run `map.ys` in `directory`; Yosys's own error line becomes the exception."""
    command = [sys.executable, "-c", _YOSYS, "map.ys"]
    # Yosys leaves a cache of the Liberty file in TMPDIR; relative, since ABC trips over spaces.
    environment = os.environ | {"TMPDIR": "."}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise MappingError(lines[-1] if lines else f"Yosys ended with status {done.returncode}")


def _cell_kinds(text: str) -> dict[str, int]:
    """Cells by kind over all modules of a Yosys JSON text; instances of its own modules do not
    count.
    """
    modules = json.loads(text)["modules"]
    counts = Counter(c["type"] for m in modules.values() for c in m["cells"].values())
    return {
        kind: counts[kind]
        for kind in sorted(counts)
        if kind not in modules and kind != "$scopeinfo"
    }


def _check(text: str, cells: dict[str, int], top: str) -> None:
    """Raise MappingError unless every cell is a library cell and every pin has a defined value."""
    unmapped = [kind for kind in cells if kind.startswith("$")]
    if unmapped:
        raise MappingError(f"{top} must be mapped completely, but has {', '.join(unmapped)}")
    module = json.loads(text)["modules"][top]
    ends = {f"port {name}": port["bits"] for name, port in module["ports"].items()}
    for name, cell in module["cells"].items():
        ends |= {f"pin {pin} of {name}": bits for pin, bits in cell["connections"].items()}
    for end, bits in ends.items():
        if "x" in bits or "z" in bits:
            raise MappingError(f"{end} of {top} must be driven, not undefined")
