"""`mlsmac report` with rows, tensors and libraries of a user's own, and `mlsmac compare`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mlsmac.cli.main import app
from mlsmac.support.errors import UserError

MINE = "Mine <3,3>: mls_mac --format 3,3 --length 16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unit", "fp9_mac"], "unit 'fp9_mac': unit must be one of mls_mac"),
        (["--unit", "mls_mac --acc-width 9"], "acc_width must be"),
        (["--unit", "mls_mac", "--unit", "mls_mac"], "labels must differ"),
        (["--standard", "FP9"], "standard rows must be all, baselines, none or a label of 'FP32'"),
        (["--standard", "none"], "a report must have rows: give --unit or --standard"),
        (["--unit", "mls_mac", "--baseline", "FP9"], "baseline must be one of"),
        (
            ["--unit", "mls_mac", "--group", "block:0"],
            "--group block:SIZE must have a size in 1..4096, not 0",
        ),
        (["--unit", "mls_mac", "--scale", "x"], "--scale must"),
        (
            ["--unit", "mls_mac", "--tensors", "no.npz"],
            "--tensors must be captured, normal",
        ),
        (["--unit", "mls_mac", "--pdk", "osu018,osu018"], "--pdk must name each library once"),
        (["--unit", "mls_mac", "--pdk", "osu018,nope"], "pdk must be one of osu018"),
        (
            ["--unit", "block_dot", "--tensors", "pairs.npz"],
            "pairs w and a are operands of MACs alone",
        ),
        (["--unit", "mls_mac", "--tensors", "short.npz"], "must have 9 pairs or more, not 5"),
        (["--unit", "mls_mac", "--scale", "0,0"], "--scale '0,0': exp_bits must be in 1..8"),
        (["--unit", "mls_mac", "--unchecked"], "--unchecked must be given with --verilog"),
        (["no.toml"], "No such file or directory"),
        (["bad.toml"], "settings are "),
        (["worse.toml"], "Input should be a valid integer"),
    ],
)
def test_error_comes_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "pairs.npz", w=np.ones(20), a=np.ones(20))
    np.savez(tmp_path / "short.npz", w=np.ones(5), a=np.ones(5))
    (tmp_path / "bad.toml").write_text("settings = {speed = 1}\n[[unit]]\nunit = 'mls_mac'")
    (tmp_path / "worse.toml").write_text("settings = {seed = 'x'}\n[[unit]]\nunit = 'mls_mac'")
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(Exception, match=re.escape(message)) as error:
        app(["report", *arguments, "-o", "out"], standalone_mode=False)
    assert isinstance(error.value, UserError | OSError) or "BadParameter" in repr(error.type)
    left = {path.name for path in tmp_path.iterdir()} - before
    assert left <= {"build", "out"}  # empty folders
    assert not [path for name in left for path in Path(name).rglob("*") if path.is_file()]


@pytest.mark.eda
def test_question_is_answered_and_compared(run, tmp_path: Path) -> None:
    """Own row with a baseline on own pairs, by words and by a file: the same report."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "pairs.npz", w=rng.standard_normal((40, 8)), a=rng.standard_normal((40, 8)))
    (tmp_path / "own.toml").write_text(
        """
        standard = ["MLS <2,1>"]
        baselines = ["MLS <2,1>"]
        [settings]
        tensors = "pairs.npz"
        operations = 3200
        quick = true
        [[unit]]
        label = "Mine <3,3>"
        unit = "mls_mac --format 3,3 --length 16"
        """
    )
    words = ["--unit", MINE, "--standard", "MLS <2,1>", "--baseline", "MLS <2,1>", "--quick"]
    words += ["--tensors", "pairs.npz", "--operations", "3200", "--json", "-o", "a"]
    one = run("report", *words, cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    report = json.loads(one.stdout)
    assert report["stimulus"]["tensors"] == "pairs.npz"
    assert report["stimulus"]["operations"] == 320
    base, mine = report["rows"]
    assert (base["unit"], mine["unit"]) == ("MLS <2,1>", "Mine <3,3>")
    expected = base["energy_pj_per_mac"] / mine["energy_pj_per_mac"]
    assert mine["ratios"]["MLS <2,1>"]["value"] == pytest.approx(expected, abs=5e-4)
    again = run("report", "own.toml", "--json", "-o", "b", cwd=tmp_path)
    assert again.stdout == one.stdout
    assert (tmp_path / "a" / "report.html").exists()

    compared = run("compare", "a/report.json", "b/report.json", "--json", cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    verdicts = [
        row["changes"]["b/report"]["verdict"] for row in json.loads(compared.stdout)["rows"]
    ]
    assert verdicts == ["same", "same"]
    assert (tmp_path / "build" / "compare" / "compare.html").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["x.json"], "files to compare must be two or more, not 1"),
        (["x.json", "x.json"], "files to compare must differ"),
        (["x.json", "y.json"], "x.json must be a file that report, dots or tiles wrote"),
    ],
)
def test_comparison_needs_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.json").write_text("{}")
    with pytest.raises(UserError, match=message):
        app(["compare", *files], standalone_mode=False)
