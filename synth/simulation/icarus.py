"""Gate-level simulation in Icarus Verilog.

The VCD goes through a pipe into the counter of `changes` and never to disk.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...support.files import fill, scratch
from ...support.tools import ended, require
from ..liberty.library import Library
from ..mapping.netlist import Netlist
from ..timing.delays import ArcDelay, Timing
from ..timing.sdf import sdf_text
from .cell_models import verilog_models
from .changes import ChangeCounter
from .circuit import Circuit, SimulationError
from .counts import Counts
from .testbench import (
    LEAD_TICKS,
    TICKS_PER_NS,
    Bench,
    ShortNames,
    bench_text,
    hex_words,
    path_ticks,
    unit_text,
)
from .vcd import Changes, VcdError, read


def run(
    circuit: Circuit,
    library: Library,
    timing: Timing | None,
    bench: Bench,
    stimulus: Mapping[str, NDArray],
    expected: Mapping[str, NDArray],
    batches: Sequence[int],
) -> tuple[int, Counts]:
    """Simulate all cycles: the number of wrong results, and what the window counted.

    `batches`: the cycle each of them begins with, and the end of the last.
    Raises: ToolError (Icarus is missing), SimulationError (it failed, an undefined net).
    """
    require("iverilog", "vvp")
    names = ShortNames(circuit.netlist)
    files = sources(circuit, names, library, timing, bench, stimulus, expected)
    counter = ChangeCounter(circuit, LEAD_TICKS + 2 * bench.half * np.array(batches))
    with scratch() as directory:
        fill(directory, files)
        compile_bench(directory, timed=timing is not None)
        _run(directory, circuit, names, counter, LEAD_TICKS + 2 * bench.half * batches[-1])
        mismatches = int((directory / "mismatches").read_text())
    return mismatches, counter.result()


def sources(
    circuit: Circuit,
    names: ShortNames,
    library: Library,
    timing: Timing | None,
    bench: Bench,
    stimulus: Mapping[str, NDArray],
    expected: Mapping[str, NDArray],
) -> dict[str, str]:
    """All files of a simulation of a netlist under short `names`, by file name."""
    netlist = circuit.netlist
    files = {
        "cells.v": verilog_models(
            library,
            {kind.cell.name for kind in circuit.kinds},
            specify=timing is not None,
            late=bench.tree,
        ),
        "unit.v": unit_text(netlist, names),
        "bench.v": bench_text(netlist, names, bench, timed=timing is not None),
        "stimulus.hex": hex_words(stimulus, {p: len(n) for p, n in netlist.inputs.items()}),
        "expected.hex": hex_words(expected, {p: len(n) for p, n in netlist.outputs.items()}),
    }
    return files if timing is None else files | _sdf_files(netlist, timing, names)


def _sdf_files(netlist: Netlist, timing: Timing, names: ShortNames) -> dict[str, str]:
    """The delays of each block, in whole ticks as the other simulator has them."""
    by_instance: dict[str, list[ArcDelay]] = {}
    ticks = path_ticks(timing.delays) / TICKS_PER_NS
    for delay, (rise, fall) in zip(timing.delays, ticks.tolist(), strict=True):
        whole = delay._replace(rise_ns=rise, fall_ns=fall)
        by_instance.setdefault(delay.instance, []).append(whole)
    files = {}
    for number, block in enumerate(names.blocks):
        own = [delay for name in block for delay in by_instance.get(name, ())]
        files[f"delays{number}.sdf"] = sdf_text(
            netlist, replace(timing, delays=tuple(own)), names.cells
        )
    return files


def compile_bench(directory: Path, *, timed: bool) -> None:
    """Make `bench.vvp` of the files of `sources`. Raises: SimulationError."""
    specify = ["-gspecify"] if timed else []
    command = ["iverilog", "-g2005", "-Ttyp", *specify, "-s", "bench", "-o", "bench.vvp"]
    command += ["cells.v", "unit.v", "bench.v"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        raise SimulationError(f"iverilog failed: {_first_line(done.stdout + done.stderr)}")


def _run(
    directory: Path, circuit: Circuit, names: ShortNames, counter: ChangeCounter, end: int
) -> None:
    """Run the simulator and count its VCD; whatever it says, about SDF above all, is an error."""
    read_end, write_end = os.pipe()
    # The simulator appends `.vcd` to a name without a dot, so it gets the pipe by a link.
    (directory / "activity.vcd").symlink_to(f"/dev/fd/{write_end}")
    log = directory / "log"
    with os.fdopen(read_end, "rb") as stream, log.open("w") as output:
        try:
            process = subprocess.Popen(
                ["vvp", "-n", "bench.vvp"],
                cwd=directory,
                stdout=output,
                stderr=output,
                pass_fds=(write_end,),
            )
        finally:
            os.close(write_end)
        with process:  # waits for its end
            try:
                dumped, changes = read(stream, end)
                own = {short: circuit.nets[net] for net, short in names.nets.items()}
                # What the bench added to the netlist (second wires to one net) is not in `own`.
                numbers = np.array([own.get(name, -1) for name in dumped])
                if missing := own.keys() - set(dumped):
                    raise VcdError(f"the dump must have all nets, but lacks {min(missing)}")
                for part in changes:
                    known = numbers[part.net]
                    kept = known >= 0
                    counter.add(Changes(known[kept], part.time[kept], part.value[kept]))
            except VcdError as error:
                process.kill()
                raise SimulationError(f"vvp failed: {_why(process, log) or error}") from error
            except BaseException:
                process.kill()
                raise
    if process.returncode or _messages(log):
        raise SimulationError(f"vvp failed: {_why(process, log)}")


def _why(process: subprocess.Popen[bytes], log: Path) -> str:
    """What the simulator said, or how it ended."""
    return _messages(log) or ended(process.wait())


def _messages(log: Path) -> str:
    """The first line of the simulator's output that is not its usual greeting."""
    lines = (line for line in log.read_text(errors="replace").splitlines(keepends=True))
    return _first_line("".join(line for line in lines if not line.startswith("VCD info")))


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
