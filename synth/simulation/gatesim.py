"""Gate-level simulation of a mapped unit in Icarus: does it compute what it should, and how often
does every net toggle.

One operation a cycle: operands switch with the rising clock edge (non-blocking, as from a register
before them), results are compared just before the next one. The VCD goes through a pipe into the
counter of `vcd` and never to disk.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from numpy.typing import NDArray

from ...support.errors import ToolError
from ...support.files import fill
from ...support.tools import require
from ..liberty.library import Library
from ..mapping.netlist import CONSTANT_NETS, Netlist
from ..power.engine import Activity
from ..timing.delays import ArcDelay, Timing
from ..timing.sdf import sdf_text
from .cell_models import verilog_models
from .events import CountedShares, count
from .testbench import LEAD_TICKS, TICKS_PER_NS, Bench, ShortNames, bench_text, hex_words, unit_text
from .vcd import NetActivity, VcdError, activity

WARM_UP_CYCLES = 8
"""Cycles before the window in which activity counts, where a caller asks for no others: by then
real operands fill any pipeline that is not longer.
"""


class SimulationError(ToolError):
    """The simulation failed or left nets undefined; the message is one line."""


@dataclass(frozen=True)
class SimResult:
    """What a simulation showed.

    `activity` of every net but the constants; `pin_share`, the share of the cells' pins that are on
    a net whose activity was simulated or on a constant, `toggled_share` of those that toggled;
    `mismatches`, how many of the `operations` had an output that differed from the expected one (an
    undefined bit differs); `shares`, where they
    were asked for: how often every cell was in each state.
    """

    activity: dict[str, Activity]
    pin_share: float
    toggled_share: float
    mismatches: int
    operations: int
    shares: CountedShares | None = None


def simulate(
    netlist: Netlist,
    library: Library,
    timing: Timing | None,
    stimulus: Mapping[str, NDArray],
    expected: Mapping[str, NDArray],
    *,
    clock_ns: float,
    clock: str | None = "clk",
    latency: int,
    warm_up: int = WARM_UP_CYCLES,
    count_states: bool = False,
) -> SimResult:
    """Simulate `netlist`, one operation in each clock cycle of `clock_ns`.

    `stimulus` holds an integer array of N codes for every input port but `clock`, `expected` one
    for every output port to compare (negative codes in two's complement). The result of operation i
    is expected `latency` rising edges after the one with which its operands switch. Activity counts
    from cycle `warm_up` on: by then every net must be defined. `timing` None means zero delay; else
    the cells have its delays, and nets glitch. A unit slower than the clock is simulated as it
    would behave: the mismatches show it. `count_states` counts event by event how often every cell
    is in each state (a minute for a float32 multiplier and adder and a thousand operations).
    Raises: UserError (Icarus is missing), ValueError (a port without codes, codes that do not fit,
    too few of them), SimulationError (the simulator failed, an undefined net).
    """
    operations = _operations(netlist, stimulus, expected, clock, warm_up)
    require("iverilog", "vvp")
    names = ShortNames(netlist)
    bench = Bench(
        clock=clock,
        half=max(round(clock_ns * TICKS_PER_NS / 2), 2),
        latency=latency,
        operations=operations,
        driven=list(stimulus),
        compared=list(expected),
        timed=timing is not None,
    )
    kinds = {cell.kind for cell in netlist.cells.values()}
    files = {
        "cells.v": verilog_models(library, kinds, specify=bench.timed),
        "unit.v": unit_text(netlist, names),
        "bench.v": bench_text(netlist, names, bench),
        "stimulus.hex": hex_words(stimulus, {p: len(n) for p, n in netlist.inputs.items()}),
        "expected.hex": hex_words(expected, {p: len(n) for p, n in netlist.outputs.items()}),
    }
    if timing is not None:
        files |= _sdf_files(netlist, timing, names)
    start, end = (LEAD_TICKS + 2 * bench.half * cycle for cycle in (warm_up, operations))
    with tempfile.TemporaryDirectory(prefix="mlsmac-sim-") as name:
        directory = Path(name)
        fill(directory, files)
        _compile(directory, timed=bench.timed)
        nets = _run(directory, start, end, keep=count_states)
        mismatches = int((directory / "mismatches").read_text())
    found = _activity(nets, names, (end - start) / TICKS_PER_NS * 1e-9)
    shares = _shares(netlist, library, nets, names, start, end) if count_states else None
    pins = [net for cell in netlist.cells.values() for net in cell.pins.values()]
    pin_share = sum(net in found or net in CONSTANT_NETS for net in pins) / len(pins)
    toggled_share = sum(net in found and found[net].toggles_per_s > 0 for net in pins) / len(pins)
    return SimResult(found, pin_share, toggled_share, mismatches, operations, shares)


def _sdf_files(netlist: Netlist, timing: Timing, names: ShortNames) -> dict[str, str]:
    """The delays of each block."""
    by_instance: dict[str, list[ArcDelay]] = {}
    for delay in timing.delays:
        by_instance.setdefault(delay.instance, []).append(delay)
    files = {}
    for number, block in enumerate(names.blocks):
        own = [delay for name in block for delay in by_instance.get(name, ())]
        files[f"delays{number}.sdf"] = sdf_text(
            netlist, replace(timing, delays=tuple(own)), names.cells
        )
    return files


def _operations(
    netlist: Netlist,
    stimulus: Mapping[str, NDArray],
    expected: Mapping[str, NDArray],
    clock: str | None,
    warm_up: int,
) -> int:
    """Check ports and lengths of the vectors; the number of operations."""
    if set(stimulus) != set(netlist.inputs) - {clock}:
        ports = ", ".join(sorted(set(netlist.inputs) - {clock}))
        raise ValueError(
            f"stimulus must be of the ports {ports}, not {', '.join(sorted(stimulus))}"
        )
    if not expected or not set(expected) <= set(netlist.outputs):
        ports = ", ".join(netlist.outputs)
        raise ValueError(f"expected must be of ports among {ports}, not {', '.join(expected)}")
    lengths = {len(codes) for codes in (*stimulus.values(), *expected.values())}
    if len(lengths) != 1:
        raise ValueError(f"all vectors must have one length, not {sorted(lengths)}")
    operations = lengths.pop()
    if operations <= warm_up:
        raise ValueError(f"operations must be more than {warm_up}, not {operations}")
    return operations


def _compile(directory: Path, *, timed: bool) -> None:
    specify = ["-gspecify"] if timed else []
    command = ["iverilog", "-g2005", "-Ttyp", *specify, "-s", "bench", "-o", "bench.vvp"]
    command += ["cells.v", "unit.v", "bench.v"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        raise SimulationError(f"iverilog failed: {_first_line(done.stdout + done.stderr)}")


def _run(directory: Path, start: int, end: int, *, keep: bool) -> NetActivity:
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
                nets = activity(stream, start, end, keep=keep)
            except VcdError as error:
                process.kill()
                raise SimulationError(f"vvp failed: {_messages(log) or error}") from error
            except BaseException:
                process.kill()
                raise
    if process.returncode or _messages(log):
        raise SimulationError(f"vvp failed: {_messages(log) or f'status {process.returncode}'}")
    return nets


def _messages(log: Path) -> str:
    """The first line of the simulator's output that is not its usual greeting."""
    lines = (line for line in log.read_text(errors="replace").splitlines(keepends=True))
    return _first_line("".join(line for line in lines if not line.startswith("VCD info")))


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _activity(nets: NetActivity, names: ShortNames, seconds: float) -> dict[str, Activity]:
    """Activity under the netlist's own net names."""
    long = {short: name for name, short in names.nets.items()}
    counted = zip(nets.names, nets.toggles.tolist(), nets.duty.tolist(), nets.unknown, strict=True)
    # What the bench added to the netlist (second wires to one net) is not in `long`.
    own = [(long[name], *values) for name, *values in counted if name in long]
    undefined = [name for name, *_, unknown in own if unknown]
    if undefined:
        raise SimulationError(
            f"{len(undefined)} nets are undefined in simulation, {undefined[0]} among them"
        )
    return {name: Activity(toggles / seconds, duty) for name, toggles, duty, _ in own}


def _shares(
    netlist: Netlist, library: Library, nets: NetActivity, names: ShortNames, start: int, end: int
) -> CountedShares:
    """How often cells are in each state, from every change in the window."""
    long = {short: name for name, short in names.nets.items()}
    known = [long.get(name) for name in nets.names]
    initial: dict[str, bool] = {}
    changes: list[tuple[int, str, bool]] = []
    if nets.changes is None:
        raise ValueError("changes must have been kept")
    for index, time, value in zip(*(part.tolist() for part in nets.changes), strict=True):
        net = known[index]
        if net is None:
            continue
        if time < start:
            initial[net] = value == 1
        else:
            changes.append((time - start, net, value == 1))
    step_s = 1e-9 / TICKS_PER_NS
    return count(netlist, library, initial, changes, end - start, step_s=step_s)[1]
