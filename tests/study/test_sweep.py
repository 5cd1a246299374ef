"""Sweeps: what a grid asks for, the front, what is kept, what a killed run costs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mlsmac.study.builds import best
from mlsmac.study.conditions import Conditions
from mlsmac.study.html import sweep_html
from mlsmac.study.records import from_json, to_json
from mlsmac.study.rows import DotErrors
from mlsmac.study.stimuli.pairs import build
from mlsmac.study.sweep.grid import Grid, axis, spread
from mlsmac.study.sweep.jobs import FAILED, REFUSED, Job
from mlsmac.study.sweep.plot import sweep_plot
from mlsmac.study.sweep.rows import Outcome, SkippedRow, SweepReport
from mlsmac.study.sweep.sweep import front, make_sweep, objectives
from mlsmac.study.sweep.tables import sweep_csv, sweep_tables
from mlsmac.support.cache import Cache
from mlsmac.support.errors import ToolError, UserError
from mlsmac.synth.liberty import pdk as pdks

from .test_report import measured

STIMULUS = build(60, 7)


def labels(grid: Grid) -> list[str]:
    return [point.label for point in grid.points()[0]]


def test_ranges_are_written_out_in_order() -> None:
    assert spread(["1-2,3-4", "e4m3", "2,4"]) == ["1,3", "1,4", "2,3", "2,4", "e4m3"]
    for wrong in ("5-1", "0-99999"):
        with pytest.raises(UserError, match="a range must ascend"):
            spread([wrong])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("format=2,4  3,3", ("", "format", ["2,4", "3,3"])),
        ("fp8_mac.format=e4m3", ("fp8_mac", "format", ["e4m3"])),
        ("acc-width=auto 16", ("", "acc_width", ["auto", "16"])),
    ],
)
def test_an_axis_as_the_command_line_has_it(text: str, found: Any) -> None:
    assert axis(text) == found


@pytest.mark.parametrize("text", ["format", "=2,4", "format= ", ""])
def test_an_axis_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match="grid must be OPTION=VALUE"):
        axis(text)


def test_a_grid_has_every_combination_once_in_order() -> None:
    grid = Grid(["mls_mac"], {"format": ["2,1", "2,4"], "length": ["9", "64"]})
    assert labels(grid) == [
        "2,1 length 9",
        "2,1 length 64",
        "2,4 length 9",
        "2,4 length 64",
    ]
    alike = Grid(["mls_mac"], {"format": ["2,4"], "length": ["9", "16"]})
    assert labels(alike) == ["length 9"]  # 19 bits hold both


def test_accumulators_are_proven_where_a_grid_does_not_say() -> None:
    (point,), _ = Grid(["mls_mac"], {"format": ["3,3"]}).points()
    assert point.configuration.safe_length >= 256
    (point,), _ = Grid(["mls_mac"], {"format": ["3,3"], "length": ["9"]}).points()
    assert 9 <= point.configuration.safe_length < 256


def test_units_take_the_axes_that_they_have() -> None:
    grid = Grid(
        ["mls_mac", "fp8_mac", "fp32_mac"],
        {"format": ["2,4"], "group": ["nc", "block:16"], "subnormals": ["false"]},
        {"fp8_mac": {"format": ["e4m3", "e5m2"]}},
    )
    points, skipped = grid.points()
    assert [point.label for point in points] == [
        "mls_mac group nc",
        "mls_mac group block:16",
        "fp8_mac e4m3",
        "fp8_mac e5m2",
        "fp32_mac",
    ]
    assert skipped == []
    assert [point.coding is None for point in points] == [False, False, True, True, True]
    assert points[-1].configuration.options["subnormals"] is False


def test_what_there_is_not_is_left_out_with_the_reason() -> None:
    axes = {"format": ["2,4", "9,9"], "group": ["nc", "rows"], "acc_width": ["auto", "wide"]}
    points, skipped = Grid(["mls_mac"], axes).points()
    assert len(points) == 1
    reasons = {left.reason for left in skipped}
    assert len(skipped) == 7
    assert any("exp_bits must be in 0..5, not 9" in reason for reason in reasons)
    assert any("group must be nc, n, c, none or block:SIZE" in reason for reason in reasons)
    assert any("acc_width must be an integer, not 'wide'" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid(["mac"]), "unit must be one of mls_mac"),
        (Grid(["mls_mac"], {"lanes": ["4"]}), "grid must have options of its units"),
        (Grid(["mls_mac"], {}, {"fp8_mac": {"format": ["e4m3"]}}), "not of 'fp8_mac'"),
        (Grid(["mls_mac"], {}, {"mls_mac": {"lanes": ["4"]}}), "must have its options"),
        (Grid(["mls_mac"], {"acc_width": ["16"], "length": ["9"]}), "length needs an acc_width"),
        (Grid(["mls_mac"], {"format": ["9,9"]}), "no configuration .* exp_bits must be in 0..5"),
        (Grid(["mls_mac"], {"acc_width": ["auto", "2-128"], "length": ["1-999"]}), "at most 20000"),
    ],
)
def test_grids_that_are_refused(grid: Grid, message: str) -> None:
    with pytest.raises(UserError, match=message):
        grid.points()


@pytest.mark.parametrize("text", ["energy", "energy,energy", "energy,speed", ""])
def test_objectives_that_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="objectives must be two or more of energy, area"):
        objectives(text)


def outcome(energy: float | None, error: float | None = 0.1, **changes: Any) -> dict[str, Any]:
    """A job's result."""
    errors = None if error is None else DotErrors(w=error, a=error, e=error, outputs=error)
    told = best([measured(energy, **changes)])
    return to_json(Outcome(measured=told, accumulator=None, errors=errors))


def conditions(name: str = "osu018") -> Conditions:
    """Of a library without a file: its jobs are not run here."""
    known = replace(pdks._KNOWN[name].pdk, liberty=())
    return Conditions(pdk=known, clock_mhz=known.clock_mhz, all_builds=False)


class Workers:
    """In the jobs' stead: results by label, as they come; ends after so many."""

    def __init__(self, results: dict[str, Any], ends_after: int | None = None) -> None:
        self.results, self.ends_after = results, ends_after
        self.ran: list[str] = []

    def __call__(self, jobs: Sequence[Any], *_: Any):
        for job in reversed(jobs):  # in another order than asked for
            if len(self.ran) == self.ends_after:
                raise KeyboardInterrupt
            self.ran.append(job.name)
            yield job, self.results[job.point.swept["format"]]


FORMATS = {"2,1": outcome(14.0, 0.20), "2,4": outcome(24.0, 0.02), "3,3": outcome(30.0, 0.02)}


def swept(
    results: dict[str, Any] = FORMATS, cache: Cache | None = None, **options: Any
) -> SweepReport:
    """A report of formats."""
    points, skipped = Grid(["mls_mac"], {"format": list(results)}).points()
    options = {"workers": Workers(results), **options}
    given = (points, skipped, options.pop("libraries", [conditions()]), STIMULUS)
    return make_sweep(*given, results=cache or Cache(None), **options)


def test_rows_are_in_the_grids_order_with_their_front() -> None:
    report = swept(libraries=[conditions(), conditions("sky130")])
    assert [(row.unit, row.pdk, row.pareto) for row in report.rows] == [
        (unit, pdk, unit != "3,3") for pdk in ("osu018", "sky130") for unit in FORMATS
    ]
    assert json.loads(json.dumps(to_json(report))) == to_json(report)
    assert from_json(SweepReport, to_json(report)) == report


@pytest.mark.parametrize(
    ("figures", "on_front"),
    [
        ([(1.0, 0.3), (2.0, 0.2), (3.0, 0.1)], [True, True, True]),
        ([(1.0, 0.1), (2.0, 0.2)], [True, False]),
        ([(1.0, 0.1), (1.0, 0.1)], [True, True]),  # none beats the other
        ([(1.0, 0.2), (1.0, 0.1)], [False, True]),
        ([(None, 0.01), (1.0, 0.1)], [False, True]),  # misses the clock
        ([(0.5, None), (1.0, 0.1)], [False, True]),  # without an error
    ],
)
def test_front(figures: list[tuple[Any, Any]], on_front: list[bool]) -> None:
    formats = [f"2,{place}" for place in range(1, 1 + len(figures))]
    results = {name: outcome(*own) for name, own in zip(formats, figures, strict=True)}
    rows = front(swept(results).rows, ("energy", "error"))
    assert [row.pareto for row in rows] == on_front


def test_a_front_of_three_has_what_is_best_in_the_third() -> None:
    results = {
        "2,1": outcome(1.0, 0.1, gate_equivalents=50.0),
        "2,2": outcome(2.0, 0.2, gate_equivalents=40.0),
    }
    chosen = ("energy", "error", "area")
    assert [row.pareto for row in swept(results).rows] == [True, False]
    assert [row.pareto for row in swept(results, chosen=chosen).rows] == [True, True]


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path) -> None:
    cache = Cache(tmp_path)
    first = Workers(FORMATS, ends_after=2)
    with pytest.raises(KeyboardInterrupt):
        swept(cache=cache, workers=first)
    told: list[tuple[str, int, int]] = []
    second = Workers(FORMATS)
    report = swept(cache=cache, workers=second, progress=lambda *line: told.append(line))
    assert sorted(first.ran + second.ran) == [f"{name}, osu018" for name in FORMATS]
    assert told == [("kept results", 2, 3), (second.ran[0], 3, 3)]
    assert report == swept()
    third = Workers(FORMATS)
    assert swept(cache=cache, workers=third) == report
    assert third.ran == []


def test_reasons_are_told_and_not_kept(tmp_path) -> None:
    results = {**FORMATS, "2,5": {REFUSED: "too wide"}, "2,6": {FAILED: "sta fell"}}
    for _ in range(2):
        workers = Workers(results)
        report = swept(results, Cache(tmp_path), workers=workers)
        assert {"2,5, osu018", "2,6, osu018"} <= set(workers.ran)
        assert [(left.unit, left.reason, left.failed) for left in report.skipped] == [
            ("2,5", "too wide", False),
            ("2,6", "osu018: sta fell", True),
        ]
    both = swept(results, libraries=[conditions(), conditions("sky130")])
    assert [left.reason for left in both.skipped] == [
        "too wide",
        "osu018: sta fell",
        "sky130: sta fell",
    ]
    with pytest.raises(ToolError, match="no configuration could be measured: osu018: sta fell"):
        swept({"2,6": {FAILED: "sta fell"}})


def test_keys_tell_jobs_apart() -> None:
    grid = {"format": ["2,1", "2,4"], "group": ["nc", "n"], "overflow": ["saturate", "wrap"]}
    points, _ = Grid(["mls_mac"], grid).points()
    libraries = [conditions(), conditions("sky130"), replace(conditions(), all_builds=True)]
    jobs = [Job(point, own) for point in points for own in libraries]
    assert len({job.key(STIMULUS) for job in jobs}) == len(jobs) == 24
    again = Job(Grid(["mls_mac"], grid).points()[0][0], conditions())
    assert again.key(STIMULUS) == jobs[0].key(STIMULUS)
    assert again.key(build(60, 8)) != jobs[0].key(STIMULUS)


def test_accuracies_join_what_they_are_of() -> None:
    given = [
        {"format": "2,1", "accuracy": 0.90},
        {"format": "2,4", "group": "nc", "unit": "mls_mac", "accuracy": 0.93},
        {"label": "3,3", "group": "block:16", "accuracy": 0.1},
    ]
    report = swept(accuracies=given, chosen=("energy", "accuracy"))
    assert [row.accuracy for row in report.rows] == [0.90, 0.93, None]
    assert [row.pareto for row in report.rows] == [True, True, False]
    assert "accuracy %" in [column.heading for column in sweep_tables(report)[0].columns]
    with pytest.raises(UserError, match="accuracy of 2,1 must be given once, not 2 times"):
        swept(accuracies=[given[0], {"unit": "mls_mac", "accuracy": 0.5}])


def test_tables_page_and_plot_show_the_front() -> None:
    report = swept()
    left = SkippedRow(unit="9,9", swept={"format": "9,9"}, reason="<none> of these")
    report = replace(report, skipped=(left,))
    every, own, skipped = sweep_tables(report)
    assert [row.unit for row in every.rows] == ["2,1", "2,4", "3,3"]
    assert [row.unit for row in own.rows] == ["2,1", "2,4"]
    assert skipped.rows == (left,)
    headings = [column.heading for column in every.columns]
    assert not {"library", "accuracy %", "GE/product"} & set(headings)
    plot = sweep_plot(report)
    assert plot == sweep_plot(report)
    assert ">2,1</text>" in plot
    assert ">3,3</text>" not in plot
    page = sweep_html(report, plot)
    assert "&lt;none&gt; of these" in page
    assert page.count("<svg") == 1
    header, *lines = sweep_csv(report).splitlines()
    assert header.startswith("label,unit,pdk,format,products_per_cycle,energy_pj_per_product,")
    assert lines[1].startswith('"2,4",mls_mac,osu018,"2,4",1,24.0,0.24,')
    assert len(lines) == 3


def test_plot_of_nothing_to_show() -> None:
    results = {"2,1": outcome(None)}
    assert "<svg" in sweep_plot(swept(results))
