"""Workers end with their work, and with them what they started and their temporary files."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlsmac.support import files
from mlsmac.support.workers import workers

SCRIPT = """
import signal, subprocess, sys
from mlsmac.support.files import scratch
from mlsmac.support.workers import workers

def job():
    with scratch():
        child = subprocess.Popen(["sleep", "600"])
        print(child.pid, flush=True)
        child.wait()

signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
with workers() as pool:
    pool.submit(job).result()
"""


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until(holds, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def working(tmp_path):
    """A process in whose worker another process runs: it, and that one's number."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process, int(process.stdout.readline())
        process.kill()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_jobs_have_results_and_a_folder_that_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    with workers() as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_all_at_once(working, tmp_path):
    process, grandchild = working
    process.terminate()
    assert "told to end" in process.communicate(timeout=30)[1]
    _wait_until(lambda: not _is_alive(grandchild))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_is_an_error_of_the_tools(working, tmp_path):
    process, grandchild = working
    os.kill(_parent(grandchild), 9)
    assert "ToolError: a worker process was killed, perhaps" in process.communicate(timeout=30)[1]
    _wait_until(lambda: not _is_alive(grandchild))
    assert list(tmp_path.iterdir()) == []


def test_workers_end_with_a_process_that_is_killed_and_the_next_one_cleans_up(
    working, tmp_path, monkeypatch
):
    process, grandchild = working
    worker = _parent(grandchild)
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    process.kill()
    _wait_until(lambda: not _is_alive(grandchild) and not _is_alive(worker))
    (left,) = tmp_path.iterdir()
    os.utime(left / "held", (0, 0))
    files._sweep.cache_clear()
    with files.scratch() as own:
        assert list(tmp_path.iterdir()) == [own]


def test_folders_that_are_held_or_of_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    (tmp_path / "mlsmac-other").mkdir()
    with files.scratch() as first:
        os.utime(first / "held", (0, 0))
        files._sweep.cache_clear()
        with files.scratch() as second:
            names = {path.name for path in tmp_path.iterdir()}
            assert names == {first.name, second.name, "mlsmac-other"}


def _fail_beside_a_long_job():
    with workers() as pool:
        first = pool.submit(divmod, 1, 0)
        pool.submit(time.sleep, 600)
        first.result()


def test_an_error_of_a_job_does_not_wait_for_others():
    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        _fail_beside_a_long_job()
    assert time.monotonic() - begin < 60
