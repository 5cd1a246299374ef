"""A command that a signal ends: one line, the signal's status, at once, and nothing left; whatever
follows the first signal.
"""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

MLSMAC = str(Path(sys.executable).parent / "mlsmac")
LONG = (
    ("synth", "fp32_mac", "--no-cache", "--json"),
    ("verify", "mls_tile", "--lanes", "2", "--operations", "100000", "--json"),
)


def _of_group(group: int) -> list[str]:
    """Processes of a session that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # ended meanwhile
            continue
        if int(session) == group and state != "Z":
            found.append(path.parent.name)
    return found


def _wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def _take_interrupts():
    """What a shell starts in the background ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def tmp_with_driver(tmp_path):
    """PATH and folder for temporary files of a command whose Icarus is a driver that waits for a
    compiler, which makes files in the folder for ever.
    """
    temporary, tools = tmp_path / "temporary", tmp_path / "tools"
    temporary.mkdir()
    tools.mkdir()
    driver = tools / "iverilog"
    compiler = 'while :; do mktemp -p "$TMPDIR" >&2 || sleep 0.01; done'
    driver.write_text(f"#!/bin/sh\n[ \"$1\" = -V ] && exit\nsh -c '{compiler}'\nexit\n")
    driver.chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return temporary, {"TMPDIR": str(temporary), "PATH": path}


@pytest.mark.eda
def test_no_process_of_a_tool_is_left(tmp_with_driver, tmp_path):
    temporary, environment = tmp_with_driver
    process = subprocess.Popen(
        [MLSMAC, "verify", "mls_mac", "--operations", "10"],
        cwd=tmp_path,
        env=os.environ | environment,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_take_interrupts,
    )
    try:
        _wait_until(lambda: len(list(temporary.rglob("tmp.*"))) > 4, 60)
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
        assert list(temporary.iterdir()) == []
        assert not _of_group(process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.eda
@pytest.mark.parametrize("command", LONG, ids=lambda command: command[0])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_nothing(command, first, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [MLSMAC, *command],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_take_interrupts,
    )
    try:
        # A simulation or a mapping has begun, or is about to.
        _wait_until(lambda: len(list(temporary.rglob("*"))) > 4, 120)
        begin = time.monotonic()
        for number in (first, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
            time.sleep(0.02)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    *progress, line = err.splitlines()
    assert all(re.match(r"\d+/\d+ ", each) for each in progress)
    # Which of them is the first is uncertain where all come during one call of a compiled function.
    number = process.returncode - 128
    assert line == f"mlsmac: ended by {signal.Signals(number).name}"
    assert (number in (first, signal.SIGINT), out) == (True, "")
    assert time.monotonic() - begin < 20
    assert list(temporary.iterdir()) == []
    _wait_until(lambda: not _of_group(process.pid), 20)
