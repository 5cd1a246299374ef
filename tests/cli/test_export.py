"""`mlsmac export`, and what `generate` and `verify` write beside the Verilog."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlsmac.cli.main import app
from mlsmac.study.documents import RESULTS
from mlsmac.support.errors import UserError

SKY = RESULTS / "dots_sky130.json"
SLUG = "mls_mac_e2m4_acc23_saturate"


def invoke(*arguments: object) -> Result:
    """A command that succeeds."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.exception
    return result


def files(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_all_forms_at_once(tmp_path: Path) -> None:
    def export(name: str) -> dict[str, bytes]:
        to = tmp_path / name
        forms = [("--hwcomponents", "h"), ("--accelergy", "a"), ("--zigzag", "z"), ("--csv", "t")]
        places = [word for option, place in forms for word in (option, to / place)]
        rows = json.loads(invoke("export", SKY, *places, "--json").stdout)
        assert len(rows) == len(json.loads(SKY.read_text())["rows"])
        return files(to)

    once, again = export("once"), export("again")
    assert once == again
    assert {name.partition("/")[0] for name in once} == {"h", "a", "z", "t"}
    assert not any(b"/tmp" in text for text in once.values())


def test_one_refused_form_leaves_none(tmp_path: Path) -> None:
    """OSU 180 has a table, and no models of hwcomponents."""
    to = ["--csv", tmp_path / "t.csv", "--hwcomponents", tmp_path / "h"]
    report = RESULTS / "report.json"
    result = CliRunner().invoke(app, [str(word) for word in ("export", report, *to)])
    assert isinstance(result.exception, UserError)
    assert list(tmp_path.iterdir()) == []


def test_rows_left_out_are_told(tmp_path: Path) -> None:
    report = json.loads(SKY.read_text())
    report["rows"][0] |= {"energy_pj_per_product": None}
    (tmp_path / "r.json").write_text(json.dumps(report))
    result = invoke("export", tmp_path / "r.json", "--csv", tmp_path / "t.csv")
    assert "left out, since they compute nothing at their clock: FP32" in result.stderr


def test_generate_writes_bench_and_packages(tmp_path: Path) -> None:
    options = ("--testbench", "--core", "--operations", "50", "--seed", "4")
    for name in ("once", "again"):
        invoke("generate", "mls_mac", *options, "-o", tmp_path / name)
    once = files(tmp_path / "once")
    assert once == files(tmp_path / "again")
    ports = ("w", "a", "start", "acc", "overflow")
    vectors = {f"{SLUG}.{port}.hex" for port in ports}
    unit = {f"{SLUG}.v", f"{SLUG}.json"}
    bench = {f"{SLUG}_tb.v", f"{SLUG}.vectors.json", *vectors}
    assert set(once) == unit | bench | {f"{SLUG}.core", "Bender.yml"}
    assert all(len(once[name].splitlines()) == 50 for name in vectors)
    invoke("generate", "mls_mac", "-o", tmp_path / "alone")
    assert set(files(tmp_path / "alone")) == unit


@pytest.mark.parametrize("options", [[], ["--operations", "9"]])
def test_steps_of_a_bench_are_over_the_lanes(options: list[str], tmp_path: Path) -> None:
    unit = ("mls_dot", "--lanes", "5", "--testbench")
    invoke("generate", *unit, *options, "-o", tmp_path)
    (about,) = tmp_path.glob("*.vectors.json")
    told = json.loads(about.read_text())
    assert told["steps"] == (9 if options else 2000)
    lanes = {port["name"]: port["lanes"] for port in told["ports"]}
    assert 5 in lanes.values()
    for port in told["ports"]:
        assert port["width"] % port["lanes"] == 0
        lines = (tmp_path / port["file"]).read_text().split()
        assert len(lines) == told["steps"]
        assert max(int(line, 16) for line in lines) < 1 << port["width"]


@pytest.mark.eda
def test_verify_keeps_the_vectors_of_its_bench(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    some = ("--operations", "50", "--seed", "4")
    invoke("verify", "mls_mac", *some, "--vectors", kept, "--build", tmp_path / "build")
    invoke("generate", "mls_mac", "--testbench", *some, "-o", tmp_path / "bench")
    bench = files(tmp_path / "bench")
    assert files(kept) == {name: text for name, text in bench.items() if name in files(kept)}
    assert len(files(kept)) == 6
