"""The tile report: what is compared with what, what the page shows, and one real run."""

from dataclasses import replace

import pytest

from mlsmac.cli.options import lane_counts
from mlsmac.cli.tiles import remarks
from mlsmac.study.builds import best
from mlsmac.study.conditions import Conditions
from mlsmac.study.html import tile_html
from mlsmac.study.measure import Build, measure
from mlsmac.study.plots import tile_plot
from mlsmac.study.records import from_json, to_json
from mlsmac.study.rows import TileReport
from mlsmac.study.stimuli.pairs import build
from mlsmac.study.systems import Entry
from mlsmac.study.tables import tile_tables
from mlsmac.study.tile_report import make_tile_report
from mlsmac.support.cache import Cache
from mlsmac.support.errors import UserError
from mlsmac.synth.liberty import pdk
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.units import configure
from mlsmac.units.dots import PRESETS

ENTRIES = (
    Entry("FP8", "fp8_tile", {"format": "e4m3"}, ("fp8",)),
    Entry("MLS", "mls_tile", {"format": "2,1", "acc_width": 16}),
    Entry("FP8 dots", "block_dot", PRESETS["fp8_e4m3"], ("fp8",)),
    Entry("MLS dots", "dot_tile", {"format": "2,1"}),
)
# Quick to map: no float32 multiplier.
SMALL = {"format": "2,1", "acc_width": 16, "lanes": 2, "tensor_scale": False}


@pytest.fixture(scope="module")
def conditions():
    return Conditions(pdk=pdk.find(), clock_mhz=40.0)


@pytest.fixture(scope="module")
def measured(conditions):
    """A tile of two lanes, from the unit to its metrics."""
    configuration = configure("mls_tile", **SMALL)
    pairs = configuration.workload(build(300, 3))
    return measure(Build(configuration, Adders.GATES), conditions, pairs, results=Cache(None))


@pytest.mark.eda
def test_a_tile_is_measured_by_stages(measured):
    assert measured.mismatches == measured.mismatches_zero_delay == 0
    split, areas = measured.energy_pj_by_stage, measured.area_um2_by_stage
    assert list(split) == list(areas) == ["macs", "collector", "scalers", "tree", "output"]
    assert sum(split.values()) == pytest.approx(measured.energy_pj, rel=1e-4)
    assert sum(areas.values()) == pytest.approx(measured.area_um2, rel=1e-9)
    assert split["macs"] > 0.1 * measured.energy_pj


@pytest.fixture
def made(conditions, measured, monkeypatch):
    """A report whose measurements are made up: a build costs as much as it has lanes, FP8 three
    times that.
    """
    return make_up(conditions, measured, monkeypatch)


@pytest.mark.eda
def test_dots_of_many_lanes_are_left_out(conditions, measured, monkeypatch):
    monkeypatch.setattr("mlsmac.study.tile_report.MOST_DOTS", 1)
    report, _ = make_up(conditions, measured, monkeypatch)
    assert [row.lanes for row in report.rows] == [1] * 4 + [2] * 2
    assert report.baselines["2"] == {"fp8": "FP8"}


def make_up(conditions, measured, monkeypatch):
    calls = []

    def measure_builds(_conditions, _stimulus, entries, _results, progress):
        told = []
        for own in entries:
            calls.append([(x.configuration.slug, x.adders) for x in own])
            for one in own:
                progress(one.configuration.slug, 1, 1)
            told.append(best([replace(measured, **invented(one)) for one in own]))
        return told

    def invented(one):
        configuration = one.configuration
        factor = {"fp8_tile": 3.0, "block_dot": 5.0}.get(configuration.name, 1.0)
        energy = configuration.options["lanes"] * factor
        return {"slug": configuration.slug, "energy_pj": energy}

    monkeypatch.setattr("mlsmac.study.tile_report.measure_builds", measure_builds)
    report = make_tile_report(
        conditions,
        build(60, 3),
        lanes=[2, 1],
        entries=ENTRIES,
        results=Cache(None),
        progress=lambda *_: None,
    )
    return report, calls


@pytest.mark.eda
def test_ratios_are_to_tiles_of_the_same_lanes(made):
    report, _ = made
    found = [(row.unit, row.lanes, row.ratio_to_fp8) for row in report.rows]
    ratios = {"FP8": 1.0, "MLS": 3.0, "FP8 dots": 1.0, "MLS dots": 5.0}
    assert found == [(unit, lanes, ratio) for lanes in (1, 2) for unit, ratio in ratios.items()]
    both = {"fp8": "FP8", "fp8_dots": "FP8 dots"}
    assert report.baselines == {"1": both, "2": both}
    assert [row.products_per_cycle for row in report.rows] == [1, 1, 1, 9, 2, 2, 2, 18]
    assert all(row.ratio_to_fp32 is None for row in report.rows)
    assert all(0 < row.utilisation <= 1 for row in report.rows)


@pytest.mark.eda
def test_every_tile_has_one_build_of_full_adders(made):
    _, calls = made
    assert [len(own) for own in calls] == [1] * 8
    assert {adders for own in calls for _, adders in own} == {Adders.FULL_ADDERS}


@pytest.mark.eda
def test_a_report_is_read_back_and_shown(made):
    report, _ = made
    assert from_json(TileReport, to_json(report)) == report
    assert "multiplier_pj" not in to_json(report)["rows"][0]
    plot = tile_plot(report.rows)
    assert plot == tile_plot(from_json(TileReport, to_json(report)).rows)
    text = tile_html(report, {"tiles": plot})
    assert text.count("<svg") == 1
    assert "None" not in text
    assert len(tile_tables(report, report.rows)) == 2
    assert any("Table 5" in line for line in remarks(report))


@pytest.mark.eda
def test_dots_have_tables_of_their_own(made):
    report, _ = made
    row = report.rows[-1]
    stages = dict.fromkeys(("operands", "dot", "scale", "accumulate", "output"), 1.0)
    split = {"area_um2_by_stage": stages, "energy_pj_by_stage": stages}
    dots = replace(row, measured=replace(row.measured, **split))
    report = replace(report, rows=(*report.rows[:-1], dots))
    shown = tile_tables(report, report.rows)
    assert [len(table.rows) for table in shown] == [7, 7, 1, 1]
    text = tile_html(report, {"tiles": tile_plot(report.rows)})
    assert "Energy per product of dots" in text


def test_lane_counts():
    assert lane_counts("16,4") == [4, 16]
    for text in ("", "4,", "0", "65", "a"):
        with pytest.raises(UserError, match=r"--lanes must be numbers in 1\.\.64"):
            lane_counts(text)
