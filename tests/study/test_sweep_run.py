"""Sweeps that measure: in processes of this machine, and on a Dask cluster that loses a worker."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlsmac.study.conditions import Conditions
from mlsmac.study.stimuli.pairs import build
from mlsmac.study.sweep.grid import Grid
from mlsmac.study.sweep.sweep import make_sweep
from mlsmac.study.sweep.workers import cluster, here
from mlsmac.support.cache import Cache
from mlsmac.support.errors import UserError

STIMULUS = build(120, 7)
AXES = {"format": ["0-1,1-2", "2,1", "e4m3"], "group": ["nc", "block:16"]}


def swept(osu018: Any, axes: dict[str, list[str]], **options: Any) -> Any:
    conditions = Conditions(pdk=osu018, clock_mhz=40, all_builds=False)
    points, skipped = Grid(["mls_mac"], axes).points()
    return make_sweep(points, skipped, [conditions], STIMULUS, **options)


@pytest.mark.eda
def test_processes_measure_and_kept_results_are_the_same(osu018, tmp_path: Path) -> None:
    axes = {"format": ["0,1", "0,2"], "acc_width": ["5", "auto"]}
    report = swept(osu018, axes, results=Cache(tmp_path / "cache"))
    assert [row.unit for row in report.rows] == [
        "0,1 acc_width 5",
        "0,1 acc_width auto",
        "0,2 acc_width 5",
        "0,2 acc_width auto",
    ]
    energies = [row.measured.energy_pj for row in report.rows]
    assert all(energies)
    assert energies[0] < energies[1] < energies[3]
    assert report.rows[0].errors == report.rows[1].errors
    assert report.rows[0].errors.outputs > report.rows[2].errors.outputs > 0
    narrow, proven = (row.accumulator for row in report.rows[2:])
    assert narrow.overflow_rate > 0 == proven.overflow_rate
    assert [row.pareto for row in report.rows] == [True, False, True, False]

    def none(*_: Any) -> Iterator[Any]:
        raise AssertionError("all of it is kept")

    assert swept(osu018, axes, results=Cache(tmp_path / "cache"), workers=none) == report


@pytest.mark.eda
@pytest.mark.slow
def test_the_best_build_takes_no_more_than_one_build(osu018, tmp_path: Path) -> None:
    points, _ = Grid(["mls_mac"], {"format": ["2,1"]}).points()
    one, searched = (
        make_sweep(
            points,
            [],
            [Conditions(pdk=osu018, clock_mhz=40, all_builds=every)],
            STIMULUS,
            results=Cache(tmp_path),
        )
        for every in (False, True)
    )
    assert len(one.rows[0].measured.builds) == 1 < len(searched.rows[0].measured.builds)
    assert searched.rows[0].measured.energy_pj <= one.rows[0].measured.energy_pj


def begin(*command: str) -> subprocess.Popen[bytes]:
    """A part of a cluster, as a user begins it."""
    module = f"distributed.cli.{command[0]}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", module, *command[1:]], **quiet)


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler on loopback, and its two workers, which nobody begins again."""
    pytest.importorskip("distributed")
    from distributed import Client

    place = tmp_path / "scheduler.json"
    where = ("--scheduler-file", str(place))
    scheduler = begin("dask_scheduler", *where, "--host", "127.0.0.1", "--port", "0", "--no-show")
    alone = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path))
    workers = [begin("dask_worker", *where, *alone, "--name", str(n)) for n in range(2)]
    try:
        with Client(scheduler_file=str(place), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield json.loads(place.read_text())["address"], workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


@pytest.mark.eda
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the cluster's own
def test_a_worker_that_is_killed_costs_no_row_and_gives_none_twice(
    osu018, dask, tmp_path: Path
) -> None:
    from distributed import Client

    address, workers = dask
    told: list[tuple[str, int]] = []
    lost: list[str] = []

    def kill_one(what: str, done: int, total: int) -> None:
        """Kill a worker in the middle of a job, once there is a result."""
        if done:
            told.append((what, done))
        if lost or not done:
            return
        with Client(address, set_as_default=False) as client:
            busy = client.run(os.getpid)
            for worker, own in client.processing().items():
                if own:
                    lost.extend(own)
                    os.kill(busy[worker], signal.SIGKILL)
                    return

    axes = AXES
    report = swept(
        osu018,
        axes,
        results=Cache(tmp_path / "cache"),
        workers=cluster(address),
        progress=kill_one,
    )
    assert any(key.startswith("mlsmac-") for key in lost)
    assert [worker.poll() is None for worker in workers].count(True) == 1
    names = [name for name, _ in told]
    assert [done for _, done in told] == list(range(1, 1 + len(names)))
    assert {*Counter(names).values()} == {1}
    assert len(report.rows) == len(names) == 10
    local = swept(osu018, axes, results=Cache(None), workers=here)
    assert report == local


@pytest.mark.filterwarnings("default")
def test_no_scheduler_is_one_line(osu018, monkeypatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("mlsmac.study.sweep.workers.SECONDS", 1)
    for address in ("127.0.0.1:9", "nowhere"):
        with pytest.raises(UserError, match="must be the address of a Dask scheduler") as raised:
            swept(osu018, {"format": ["2,1"]}, results=Cache(None), workers=cluster(address))
        assert "\n" not in str(raised.value)
