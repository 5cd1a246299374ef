"""Reports side by side."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mlsmac.study.compare import Comparison, compare, names, read, statement
from mlsmac.study.compare_plot import comparison_plot
from mlsmac.study.documents import RESULTS
from mlsmac.study.records import from_json, to_json
from mlsmac.study.rows import DotReport, MacReport, TileReport
from mlsmac.study.tables import comparison_tables, library_tables
from mlsmac.study.terminal import text
from mlsmac.support.errors import UserError

REPORT = read(RESULTS / "report.json")


def changed(factor: float, *, noise: float = 0.0) -> MacReport:
    """The report with energies of its first unit so much larger, every batch of it; `noise`: and
    every other batch by as much more, and less.
    """
    first, *others = REPORT.rows
    own = first.measured
    energies = tuple(
        energy * factor * (1 + noise * (-1) ** place)
        for place, energy in enumerate(own.batches.energy_pj)
    )
    measured = replace(
        own, energy_pj=own.energy_pj * factor, batches=replace(own.batches, energy_pj=energies)
    )
    return replace(REPORT, rows=(replace(first, measured=measured), *others))


def only(comparison: Comparison, unit: str):
    return next(row for row in comparison.rows if row.unit == unit and row.of == "mac")


def test_kinds_of_files_are_told_apart() -> None:
    files = {"report": MacReport, "tiles": TileReport, "dots_sky130": DotReport}
    for name, kind in files.items():
        assert type(read(RESULTS / f"{name}.json")) is kind


def test_same_report_is_the_same() -> None:
    found = compare({"a": REPORT, "b": REPORT})
    assert {row.changes["b"].verdict for row in found.rows} == {"same"}
    assert not found.circumstances
    assert [*statement(found)] == [f"b against a: {len(found.rows)} same"]


def test_shift_of_all_batches_is_no_error() -> None:
    """The same operations: errors are paired, and a percent more is a percent more."""
    row = only(compare({"a": REPORT, "b": changed(1.01)}), "FP32")
    assert row.changes["b"].verdict == "moved"
    assert row.changes["b"].energy == 1.01
    assert row.changes["b"].energy_se == pytest.approx(0, abs=1e-9)


def test_what_batches_cannot_tell_is_within_errors() -> None:
    """By hand: 2 % to and fro in n batches of equal weight are 2 % / sqrt(n) of the sum."""
    row = only(compare({"a": REPORT, "b": changed(1.001, noise=0.02)}), "FP32")
    count = len(REPORT.rows[0].measured.batches.energy_pj)
    assert row.changes["b"].verdict == "within errors"
    assert row.changes["b"].energy_se == pytest.approx(0.02 / math.sqrt(count), rel=0.5)


def test_other_operations_are_not_paired() -> None:
    other = replace(changed(1.01), stimulus=replace(REPORT.stimulus, digest="other", seed=7))
    found = compare({"a": REPORT, "b": other})
    row = only(found, "FP32")
    relative = REPORT.rows[0].measured.energy_pj_se / REPORT.rows[0].measured.energy_pj
    assert row.changes["b"].verdict == "within errors"
    assert row.changes["b"].energy_se == pytest.approx(1.01 * relative * math.sqrt(2), rel=0.02)
    assert found.circumstances["stimulus seed"] == {"a": REPORT.stimulus.seed, "b": 7}


def test_units_of_one_report_have_no_change() -> None:
    less = replace(REPORT, rows=REPORT.rows[1:], dots=())
    found = compare({"a": REPORT, "b": less})
    row = only(found, "FP32")
    assert (row.reports["b"], row.changes["b"]) == (None, None)
    assert f"{1 + len(REPORT.dots)} not in both" in [*statement(found)][-1]


def test_error_may_be_unknown() -> None:
    """Of too few groups nothing is known: no verdict that it moved."""
    first, *others = changed(1.1).rows
    bare = replace(first, measured=replace(first.measured, energy_pj_se=None, batches=None))
    row = only(compare({"a": REPORT, "b": replace(REPORT, rows=(bare, *others))}), "FP32")
    assert (row.changes["b"].verdict, row.changes["b"].energy) == ("error unknown", 1.1)


def test_missing_energy_has_a_verdict() -> None:
    first, *others = REPORT.rows
    late = replace(first, measured=replace(first.measured, energy_pj=None, energy_pj_se=None))
    row = only(compare({"a": REPORT, "b": replace(REPORT, rows=(late, *others))}), "FP32")
    assert (row.changes["b"].verdict, row.changes["b"].energy) == ("no energy", None)


def test_tables_and_plot_have_all_shared_rows() -> None:
    sky130, asap7 = (read(RESULTS / f"dots_{name}.json") for name in ("sky130", "asap7"))
    found = compare({"sky130": sky130, "asap7": asap7})
    shared = [row for row in found.rows if row.is_shared]
    energies, areas = comparison_tables(found)
    assert len(energies.rows) == len(areas.rows) == len(shared)
    (libraries,) = library_tables(found)
    lines = text(libraries).splitlines()
    own = next(row for row in sky130.rows if (row.unit, row.lanes) == ("MXFP4", 16))
    line = next(line for line in lines if "MXFP4, 16 lanes" in line)
    assert f"{own.ratio_to_fp32:.1f}" in line
    for ratios in (False, True):
        assert comparison_plot(found, ratios=ratios).count("MXFP4, 16 lanes") == 1
    assert from_json(Comparison, json.loads(json.dumps(to_json(found)))) == found


def test_names_are_the_shortest_that_differ(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("old/report.json", "new/report.json")]
    assert names(paths) == ["old/report", "new/report"]
    assert names([tmp_path / "a.json", tmp_path / "b.json"]) == ["a", "b"]
    with pytest.raises(UserError, match="must differ"):
        names([paths[0], paths[0]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no JSON", "must be JSON: "),
        ("[]", "must be a file that report, dots or tiles wrote"),
        ('{"rows": 5}', "must be a file that report, dots or tiles wrote"),
        ('{"objectives": []}', "must be a file that report, dots or tiles wrote, not a sweep"),
        ('{"rows": [{}]}', "must be a file that report, dots or tiles wrote: 'schema' is missing"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(f"{path} {message}")):
        read(path)


def test_fields_that_are_new_have_their_defaults(tmp_path: Path) -> None:
    """A file of the version before is read."""
    content = json.loads((RESULTS / "report.json").read_text())
    for row in content["rows"]:
        row.pop("ratios", None)
    content["stimulus"].pop("group", None)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(content))
    assert read(path) == REPORT
