"""`mlsmac train`: a small study as a user runs it, and what it leaves behind."""

import json
import shlex
import shutil

import pytest

from mlsmac.cli.main import app

STUDY = "--data digits --size 8 --epochs 1 --seeds 2 --batch 256 --processes 1 -o out"


def _run(capsys, text):
    with pytest.raises(SystemExit) as ended:
        app(["train", *shlex.split(text)], standalone_mode=True)
    assert ended.value.code == 0
    return capsys.readouterr()


def test_a_study_from_nothing_and_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = f"{STUDY} --arm float32 --grid 'element=2,1-2' --grid 'group=nc none'"
    before = json.loads(_run(capsys, f"{asked} --finished --json").out)
    assert (before["planned"], before["runs"]) == (10, [])
    assert before["rows"][0]["accuracy"] is None

    told = _run(capsys, asked)
    assert "10/10 training" in told.err
    report = json.loads((tmp_path / "out" / "training.json").read_text())
    arms = [row["arm"] for row in report["rows"]]
    assert arms == [
        "float32",
        *(f"mls --element 2,{m} --group {group}" for m in (1, 2) for group in ("nc", "none")),
    ]
    for row in report["rows"]:
        assert row["runs"] == 2
        assert row["arm"] in told.out
        own = [run["epochs"][-1]["accuracy"] for run in report["runs"] if run["arm"] == row["arm"]]
        assert row["accuracy"] == pytest.approx(50 * sum(own))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {*("runs", "accuracies.json", "training.json", "training.html", "training.svg")}
    told_to_sweep = json.loads((tmp_path / "out" / "accuracies.json").read_text())
    assert [(x["format"], x["scale"], x["group"]) for x in told_to_sweep] == [
        (f"2,{m}", "8,1", group) for m in (1, 2) for group in ("nc", "none")
    ]
    assert told_to_sweep[0]["accuracy"] == report["rows"][1]["accuracy"] / 100
    assert "mls --element 2,1 --group none" in (tmp_path / "out" / "training.html").read_text()

    shutil.rmtree(tmp_path / "out" / "runs")  # the report alone does, too
    again = _run(capsys, f"{asked} --json")
    assert json.loads(again.out) == report
    assert "training" not in again.err.replace("out/training", "")


def test_default_arms(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report = json.loads(_run(capsys, "--data digits --finished --json").out)
    assert [row["arm"] for row in report["rows"]] == ["float32", "mls"]
