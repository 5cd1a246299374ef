"""What a bench tells of its steps reaches the command while it runs."""

import threading

from mlsmac.sim.progress import VARIABLE, Counter, watched


def test_steps_are_told_while_a_bench_runs(tmp_path, monkeypatch):
    path = tmp_path / "steps.txt"
    monkeypatch.setenv(VARIABLE, str(path))
    told, heard = [], threading.Event()

    def tell(*what):
        told.append(what)
        if what[1] == 561:
            heard.set()

    with watched(path, "simulating", tell):
        count = Counter(1000)
        for done in range(600):
            count(done)
        assert heard.wait(30)
    assert told[-1] == ("simulating", 561, 1000)
    assert len(path.read_text().splitlines()) == 11


def test_short_benches_tell_nothing(tmp_path, monkeypatch):
    path = tmp_path / "steps.txt"
    monkeypatch.setenv(VARIABLE, str(path))
    count = Counter(3)
    count(0)
    assert not path.exists()
    with watched(path, "simulating", None):
        pass
