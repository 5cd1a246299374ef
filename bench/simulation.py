"""CPU time of Icarus Verilog over that of the project's own gate-level simulator, in the same run.

    python bench/simulation.py                       # OSU 180 nm, minutes: it maps all units
    python bench/simulation.py fp8 --operations 500  # units whose label has these letters

MACs and MLS tiles, with delays and without, the same netlist and vectors in both. Icarus:
`iverilog` and `vvp` alone, user and system time, the dump thrown away unread: nothing of what the
project does to write sources and to count changes. Own: all from a netlist and vectors to the
counts, in one thread, the shortest of some runs, none of which compiles; then wall time of two
threads.
Icarus's toggles are of another run, whose dump is read; shown is by how many they differ. Memory:
of `vvp` what was resident at most; own, what Python and NumPy held at most. The FP8 MAC stands
there with parts of its operations too.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mlsmac.study.stimuli.pairs import build
from mlsmac.study.systems import Entry
from mlsmac.support.errors import UserError
from mlsmac.support.files import fill
from mlsmac.synth.liberty import pdk
from mlsmac.synth.liberty.library import Library, load
from mlsmac.synth.mapping.mapper import map_unit, possible_adders
from mlsmac.synth.mapping.netlist import Netlist
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.synth.simulation import icarus
from mlsmac.synth.simulation.circuit import circuit
from mlsmac.synth.simulation.simulate import SimResult, Simulation, Simulator
from mlsmac.synth.simulation.testbench import TICKS_PER_NS, Bench, ShortNames
from mlsmac.synth.timing.delays import Timing, analyse
from mlsmac.units import configure
from mlsmac.units.emit import to_rtlil

SEED = 2026
UNITS = (
    Entry("MLS MAC", "mls_mac", {"acc_width": 16}),
    Entry("FP8 MAC", "fp8_mac"),
    Entry("FP32 MAC", "fp32_mac"),
    Entry("MLS tile, 4 lanes", "mls_tile", {"lanes": 4, "acc_width": 16}),
    Entry("MLS tile, 16 lanes", "mls_tile", {"lanes": 16, "acc_width": 16}),
)
SCALED = ("FP8 MAC", Adders.GATES, (8, 4, 2))
"""The unit of the last rows, and the parts of its operations."""


@dataclass(frozen=True)
class Unit:
    """A mapped unit with its vectors; what `Simulation` takes beside them in `settings`."""

    label: str
    library: Library
    netlist: Netlist
    timing: Timing
    inputs: dict[str, Any]
    expected: dict[str, Any]
    settings: dict[str, Any]

    def part(self, share: int) -> "Unit":
        """With one in `share` of the operations, from the first on."""
        cycles = len(next(iter(self.inputs.values()))) // share
        inputs, expected = (
            {port: codes[:cycles] for port, codes in ports.items()}
            for ports in (self.inputs, self.expected)
        )
        starts = [start for start in self.settings["batches"] if start < cycles]
        settings = {**self.settings, "batches": starts}
        label = f"{self.label}, 1/{share} of it"
        return Unit(label, self.library, self.netlist, self.timing, inputs, expected, settings)

    def run(self, simulator: Simulator, timed: bool) -> SimResult:
        """All of a simulation."""
        simulation = Simulation(
            self.netlist,
            self.library,
            self.inputs,
            self.expected,
            simulator=simulator,
            **self.settings,
        )
        return simulation.run(self.timing if timed else None)


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU time and of wall time, MiB."""

    cpu_s: float
    wall_s: float
    mib: float


def mapped(label: str, name: str, options: dict[str, Any], adders: Adders, given: "Given") -> Unit:
    """A unit on its workload."""
    configuration = configure(name, **options)
    component = configuration.build()
    workload = configuration.workload(build(given.operations, SEED))
    rtlil, slug = to_rtlil(configuration), configuration.slug
    found = map_unit(
        rtlil, slug, given.pdk, given.library, adders=adders, stages=component.stage_sets
    )
    netlist = found.netlist
    settings = {
        "clock_ns": 1e3 / given.pdk.clock_mhz,
        "latency": component.latency,
        "warm_up": workload.warm_up,
        "batches": list(workload.batches.starts[1:]),
    }
    return Unit(
        f"{label}, {adders.value.replace('_', ' ')}",
        given.library,
        netlist,
        analyse(netlist, given.library, "clk"),
        workload.inputs,
        dict(configuration.reference(workload.inputs)),
        settings,
    )


@dataclass(frozen=True)
class Given:
    """What the command line says."""

    pdk: pdk.Pdk
    library: Library
    operations: int
    repeats: int


def icarus_cost(unit: Unit, timed: bool) -> Cost:
    """Of `iverilog` and `vvp`, whose dump goes to /dev/null."""
    bench = Bench(
        clock="clk",
        half=max(round(unit.settings["clock_ns"] * TICKS_PER_NS / 2), 2),
        latency=unit.settings["latency"],
        operations=len(next(iter(unit.inputs.values()))),
        driven=list(unit.inputs),
        compared=list(unit.expected),
    )
    timing = unit.timing if timed else None
    numbered = circuit(unit.netlist, unit.library)
    vectors = unit.inputs, unit.expected
    names = ShortNames(unit.netlist)
    files = icarus.sources(numbered, names, unit.library, timing, bench, *vectors)
    with tempfile.TemporaryDirectory(prefix="mlsmac-bench-") as name:
        directory = Path(name)
        fill(directory, files)
        (directory / "activity.vcd").symlink_to("/dev/null")
        before, begin, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0
        icarus.compile_bench(directory, timed=timed)
        process = subprocess.Popen(
            ["vvp", "-n", "bench.vvp"], cwd=directory, stdout=subprocess.DEVNULL
        )
        while process.poll() is None:
            peak = max(peak, _resident_kib(process.pid))
            time.sleep(0.005)
        wall = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise RuntimeError(f"vvp must end with 0, not {process.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, wall, peak / 1024)


def _resident_kib(process: int) -> int:
    """The most that a running process held so far; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """The simulator sees so many cores."""
    cores = os.cpu_count
    os.cpu_count = lambda: count
    try:
        yield
    finally:
        os.cpu_count = cores


def own_cost(unit: Unit, timed: bool, repeats: int, count: int) -> Cost:
    """Of the shortest run of some, in `count` threads; the memory of one more."""
    with threads(count):
        cpu, wall = [], []
        for _ in range(repeats):
            used, begin = time.process_time(), time.perf_counter()
            unit.run(Simulator.EVENTS, timed)
            cpu.append(time.process_time() - used)
            wall.append(time.perf_counter() - begin)
        tracemalloc.start()
        unit.run(Simulator.EVENTS, timed)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return Cost(min(cpu), min(wall), peak / (1 << 20))


def compare(unit: Unit, timed: bool, repeats: int) -> dict[str, Any]:
    """A row of the table."""
    own, other = (unit.run(simulator, timed) for simulator in Simulator)
    costs = {
        "icarus": icarus_cost(unit, timed),
        "own": own_cost(unit, timed, repeats, 1),
        "own, two threads": own_cost(unit, timed, repeats, 2),
    }
    return {
        "unit": unit.label,
        "cells": len(unit.netlist.cells),
        "operations": own.operations,
        "delays": timed,
        "toggles": int(own.batches.toggles.sum()),
        "toggles_icarus": int(other.batches.toggles.sum()),
        "ratio": costs["icarus"].cpu_s / costs["own"].cpu_s,
        **{name: asdict(cost) for name, cost in costs.items()},
    }


def _table(rows: list[dict[str, Any]], given: Given) -> Table:
    table = Table(title=f"{given.pdk.name}, {given.operations} operations of MACs")
    for heading in (
        *("unit", "cells", "cycles", "delays", "toggles", "Icarus"),
        *("Icarus CPU, wall s", "own CPU, wall s", "ratio", "two threads, s", "MiB, Icarus, own"),
    ):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    for row in rows:
        other, own, both = (row[name] for name in ("icarus", "own", "own, two threads"))
        table.add_row(
            row["unit"],
            str(row["cells"]),
            str(row["operations"]),
            "yes" if row["delays"] else "no",
            str(row["toggles"]),
            f"{row['toggles_icarus'] - row['toggles']:+d}",
            f"{other['cpu_s']:.2f}, {other['wall_s']:.2f}",
            f"{own['cpu_s']:.3f}, {own['wall_s']:.3f}",
            f"{row['ratio']:.0f}",
            f"{both['wall_s']:.3f}",
            f"{other['mib']:.0f}, {own['mib']:.0f}",
        )
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("unit", nargs="?", default="", help="letters of the labels")
    parser.add_argument("--pdk", default=pdk.DEFAULT_PDK, choices=pdk.NAMES)
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5, help="runs of the own simulator")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    arguments = parser.parse_args()
    try:
        found = pdk.find(arguments.pdk)
    except UserError as error:
        parser.error(str(error))
    given = Given(found, load(found.liberty), arguments.operations, arguments.repeats)
    kinds = [a for a in possible_adders(given.library, found) if a is not Adders.ADDER_CELLS]
    rows = []
    for entry in UNITS:
        if arguments.unit.lower() not in entry.label.lower():
            continue
        for adders in kinds[-1:] if "lanes" in entry.options else kinds:
            print(f"{entry.label}, {adders.value}", file=sys.stderr, flush=True)
            unit = mapped(entry.label, entry.unit, dict(entry.options), adders, given)
            shares = SCALED[2] if SCALED[:2] == (entry.label, adders) else ()
            for each in (*(unit.part(share) for share in shares), unit):
                rows += [compare(each, timed, given.repeats) for timed in (False, True)]
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        Console(width=150).print(_table(rows, given))


if __name__ == "__main__":
    main()
