"""`mlsmac sweep` without EDA tools: what is asked for, mistakes, progress."""

from pathlib import Path
from typing import Any

import pytest

from mlsmac.cli.options import of_measuring
from mlsmac.cli.progress import with_time_left
from mlsmac.cli.sweep_request import Asked, asked
from mlsmac.support.errors import UserError

OPTIONS: dict[str, Any] = {
    "unit": None,
    "grid": None,
    "objectives": "energy,error",
    "accuracy": None,
    "search": False,
    **{name: default for name, (_, default) in of_measuring().items() if name != "quick"},
}

SPEC = """
unit = ["mls_mac", "fp8_mac"]
pdk = "osu018"
operations = 120
seed = 5
clock_mhz = 20
objectives = ["energy", "area"]
accuracy = "results.json"

[grid]
format = ["2,1-2"]
acc_width = ["auto", 16]

[grid.fp8_mac]
format = "e4m3"
"""


def request(spec: Path | None = None, **given: Any) -> Asked:
    return asked(spec, {**OPTIONS, **given}, given.keys())


def labels(found: Asked) -> list[str]:
    return [point.label for point in found.points]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A file beside results of a training."""
    (tmp_path / "results.json").write_text('[{"format": "2,1", "accuracy": 0.9}]')
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path / "spec.toml"


def test_a_file_says_what_the_command_line_does_not(osu018, spec: Path) -> None:
    found = request(spec)
    assert labels(found) == [
        "mls_mac 2,1 acc_width auto",
        "mls_mac 2,1 acc_width 16",
        "mls_mac 2,2 acc_width auto",
        "mls_mac 2,2 acc_width 16",
        "fp8_mac",
    ]
    assert (len(found.stimulus), found.stimulus.seed) == (120, 5)
    assert found.objectives == ("energy", "area")
    assert found.accuracies == [{"format": "2,1", "accuracy": 0.9}]
    (own,) = found.libraries
    assert (own.pdk.name, own.clock_mhz, own.all_builds) == ("osu018", 20, False)


def test_the_command_line_goes_before_a_file(osu018, spec: Path) -> None:
    given = {"unit": ["mls_mac"], "grid": ["acc-width=auto"], "seed": 6, "search": True}
    text = SPEC.replace("[grid.fp8_mac]", "[grid.mls_mac]").replace('"e4m3"', '"3,3"')
    spec.write_text(text)
    found = request(spec, **given)
    assert labels(found) == ["mls_mac"]
    assert str(found.points[0].configuration.options["format"]) == "<3,3>"
    assert (len(found.stimulus), found.stimulus.seed) == (120, 6)
    assert found.libraries[0].all_builds


def test_without_a_file_the_unit_is_the_mls_mac(osu018) -> None:
    found = request()
    assert labels(found) == ["mls_mac"]
    assert found.libraries[0].pdk.name == "osu018"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unit = ", "must be TOML: "),
        ("units = 'mls_mac'", "must have options of unit, .*, not 'units'"),
        ("seed = true", "seed must be an integer, not True"),
        ("seed = 1.5", "seed must be an integer, not 1.5"),
        ("grid = 'format'", "grid must be a table, not 'format'"),
        ("pdk = [1]", "pdk must be a text or a list of texts"),
        ("[grid]\nformat = []", "grid: format must be texts, integers or truth values"),
        ("[grid]\nformat = [1.5]", "grid: format must be texts, integers or truth values"),
        ("[grid.nothing]\nformat = '2,4'", "grid must be of mls_mac, not of 'nothing'"),
        ("accuracy = 'none.json'", "none.json"),
        ("operations = 5", "--operations must be in 9.."),
        ("objectives = 'energy'", "objectives must be two or more of"),
        ("objectives = ['energy', 'accuracy']", "objective accuracy needs --accuracy FILE"),
        ("pdk = 'tsmc65'", "pdk must be one of osu018"),
    ],
)
def test_files_that_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises((UserError, OSError), match=message) as raised:
        request(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON"),
        ("{}", "must be a list of objects .*, not dict"),
        ("[1]", "must be a list of objects .*, not 1"),
        ('[{"format": "2,4"}]', "with an accuracy in 0..1"),
        ('[{"accuracy": 0.5}]', "and what it is of"),
        ('[{"format": "2,4", "accuracy": 93}]', "with an accuracy in 0..1"),
        ('[{"format": "2,4", "accuracy": NaN}]', "with an accuracy in 0..1"),
        ('[{"format": "2,4", "accuracy": true}]', "with an accuracy in 0..1"),
    ],
)
def test_accuracies_that_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        request(accuracy=path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.toml"], "none.toml: No such file or directory"),
        (["--grid", "format"], "grid must be OPTION=VALUE ..., not 'format'"),
        (["--grid", "length=9", "--grid", "length=16"], "each option once, not length twice"),
        (["--grid", "lanes=4"], "grid must have options of its units"),
        (["--grid", "format=9,9"], "exp_bits must be in 0..5, not 9"),
        (["--unit", "nothing"], "unit must be one of mls_mac"),
        (["--objectives", "energy,speed"], "objectives must be two or more of energy, area"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    run, arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = run("sweep", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_time_left_counts_what_this_run_did(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("mlsmac.cli.progress.time.monotonic", lambda: now[0])
    told: list[str] = []
    step = with_time_left(lambda what, done, total: told.append(f"{done}/{total} {what}"))
    step("a", 40, 100)  # kept
    now[0] += 10
    step("b", 41, 100)
    now[0] += 10
    step("c", 60, 100)
    step("d", 100, 100)
    assert told[:2] == ["40/100 a", "41/100 b, about 10 min left"]
    assert told[2:] == ["60/100 c, about 40 s left", "100/100 d"]
    fresh = with_time_left(lambda what, done, total: told.append(what))
    fresh("e", 0, 3)
    now[0] += 5
    fresh("f", 1, 3)
    assert told[4:] == ["e", "f, about 10 s left"]
