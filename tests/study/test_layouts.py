"""Reports of layouts: the same sums as without, ratios before and after, and what is exported."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mlsmac.cli.measuring import verdict
from mlsmac.study import report
from mlsmac.study.conditions import Conditions
from mlsmac.study.export import export
from mlsmac.study.html import mac_html
from mlsmac.study.layout_rows import LayoutRatio
from mlsmac.study.ratios import bare_energies, cheapest, layout_ratios
from mlsmac.study.records import from_json, to_json
from mlsmac.study.rows import MacReport
from mlsmac.study.stimuli.pairs import build
from mlsmac.study.systems import Entry
from mlsmac.study.tables import mac_sheet, mac_tables
from mlsmac.support.cache import Cache
from mlsmac.support.errors import UserError
from mlsmac.synth.layout.flow import Layout
from mlsmac.synth.liberty import pdk

pytestmark = pytest.mark.eda

FP8 = Entry("FP8 E5M2", "fp8_mac", {"format": "e5m2"}, ("fp8",))
MLS = Entry("MLS <2,1>", "mls_mac", {"format": "2,1", "acc_width": 10})


def conditions() -> Conditions:
    osu018 = pdk.find()
    layout = Layout.of(osu018, 0.7)
    return Conditions(pdk=osu018, clock_mhz=40.0, all_builds=False, layout=layout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MacReport:
    results = Cache(tmp_path_factory.mktemp("results"))
    return report.make_report(conditions(), build(120, 7), entries=(FP8, MLS), results=results)


def test_a_layout_costs_energy_and_time(made: MacReport) -> None:
    for row in made.rows:
        own, bare = row.measured, row.measured.bare
        assert own.layout is not None
        assert bare is not None
        assert own.mismatches == own.mismatches_zero_delay == bare.mismatches == 0
        assert own.energy_pj > bare.energy_pj
        assert own.critical_path_ns > bare.critical_path_ns
        # Sizing may take more away than the tree adds.
        assert own.layout.core_um2 * 0.75 > own.area_um2 > 0.95 * bare.area_um2
        assert own.layout.light_pj < own.energy_pj < own.layout.heavy_pj
        assert own.layout.clock_buffers > 0
        assert 0 < own.layout.skew_ns < own.layout.insertion_ns
        assert own.layout.hold_slack_ns > 0
        assert own.layout.wire_ff == pytest.approx(0.115 * own.layout.wire_um, rel=1e-5)


def test_parts_make_the_whole(made: MacReport) -> None:
    for own in (row.measured for row in made.rows):
        stages = sum(own.energy_pj_by_stage.values())
        assert stages == pytest.approx(own.energy_pj, rel=1e-4)
        split = vars(own.energy_split_pj)
        for parts in (
            ("internal", "switching", "leakage"),
            ("sequential", "combinational", "clock", "inputs"),
        ):
            total = sum(split[part] for part in parts)
            assert total == pytest.approx(own.energy_pj, rel=1e-4)
        assert own.layout.clock_share == pytest.approx(split["clock"] / own.energy_pj, abs=1e-4)
        # The tree is of no stage.
        assert sum(own.area_um2_by_stage.values()) < own.area_um2


def test_a_layout_is_read_back_and_shown(made: MacReport) -> None:
    assert from_json(MacReport, json.loads(json.dumps(to_json(made)))) == made
    assert made.layout is not None
    assert made.layout.placer in ("coloquinte", "annealed")
    titles = [table.title for table in mac_tables(made)]
    assert [title for title in titles if title.startswith("Wires and clock tree")] == titles[2:]
    assert len(titles) == 6
    text = mac_html(made, {"energy": "", "area": ""})
    assert all(title in text for title in titles[2:])
    assert "wires and a clock tree (0.115 fF a um of wire" in text
    lines = dict(mac_sheet(replace(made, rows=made.rows[1:])).lines())
    assert float(lines["layout, insertion ns"]) > 0


def test_ratios_before_and_after(made: MacReport) -> None:
    fp8, mls = (row.measured for row in made.rows)
    ratio = made.rows[1].layout_ratios["fp8"]
    assert ratio.bare == pytest.approx(fp8.bare.energy_pj / mls.bare.energy_pj, abs=1e-3)
    assert ratio.light == pytest.approx(fp8.layout.light_pj / mls.layout.light_pj, abs=1e-3)
    assert ratio.heavy == pytest.approx(fp8.layout.heavy_pj / mls.layout.heavy_pj, abs=1e-3)
    assert made.rows[0].layout_ratios["fp8"] == LayoutRatio(bare=1.0, light=1.0, heavy=1.0)


def test_the_cheapest_before_may_be_another_one(made: MacReport) -> None:
    fp8, mls = (row.measured for row in made.rows)
    other = replace(fp8, bare=replace(fp8.bare, energy_pj=fp8.bare.energy_pj / 2), energy_pj=1e3)
    entries, every = (FP8, MLS, FP8), (fp8, mls, other)
    baselines = cheapest(["fp8", "fp32"], entries, every)
    bare = bare_energies(["fp8", "fp32"], entries, every)
    assert bare == {"fp8": other.bare.energy_pj}
    found = layout_ratios(baselines, bare, mls)["fp8"]
    assert found.bare == pytest.approx(other.bare.energy_pj / mls.bare.energy_pj, abs=1e-3)
    assert found.light == made.rows[1].layout_ratios["fp8"].light
    missed = replace(fp8, bare=replace(fp8.bare, meets_timing=False))
    assert bare_energies(["fp8"], (FP8,), (missed,)) == {}
    assert layout_ratios(baselines, bare, replace(mls, layout=None, bare=None)) == {}


def test_an_exported_layout_is_whole(made: MacReport, tmp_path: Path) -> None:
    chosen = made.rows[1].measured
    texts = export(MLS.configuration(), conditions(), build(120, 7), chosen)
    slug = chosen.slug
    assert {f"{slug}.{kind}" for kind in ("def", "spef", "sdc", "sdf", "saif", "v")} <= set(texts)
    assert "config.json" not in texts  # LibreLane has no osu018
    delay = re.search(r"set_input_delay (\S+) ", texts[f"{slug}.sdc"])
    assert float(delay[1]) == pytest.approx(chosen.layout.insertion_ns, abs=1e-6)
    assert texts[f"{slug}.def"].count("clock_tree") > chosen.layout.clock_buffers
    assert "through the buffers of the netlist" in texts["README.md"]
    power = json.loads(texts["manifest.json"])["power_uw"]["counted"]
    groups = power["groups"]
    cells = [groups[name]["total"] for name in ("sequential", "combinational", "clock_cells")]
    parts = [*cells, groups["clock_net"], groups["input_nets"]]
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(power["total"], rel=1e-5)
    assert groups["clock_net"] < groups["clock_cells"]["total"]  # the port drives one buffer
    assert sum(power["stages"].values()) == pytest.approx(power["total"], rel=1e-5)


def test_a_clock_that_comes_too_late_is_a_miss(tmp_path: Path) -> None:
    fast = replace(conditions(), clock_mhz=2000.0)
    result = report.make_report(fast, build(120, 7), entries=(MLS,), results=Cache(tmp_path))
    own = result.rows[0].measured
    assert own.layout is not None
    assert own.layout.insertion_ns > 0.25
    assert not own.meets_timing
    assert own.energy_pj is own.layout.light_pj is own.layout.heavy_pj is None
    assert not own.is_wrong
    json.dumps(to_json(result))
    assert any("misses the clock" in line for line in verdict("MLS", own))


def test_what_a_layout_does_not_keep_is_told(made: MacReport) -> None:
    own = made.rows[1].measured
    assert own.layout is not None
    assert (own.layout.over_limits, own.layout.clock_within_limits) == (0, True)
    assert verdict("MLS", own) == []
    broken = replace(own.layout, over_limits=3, clock_within_limits=False, hold_slack_ns=-0.125)
    lines = verdict("MLS", replace(own, layout=broken, meets_timing=False))
    assert [line.split("MLS")[1] for line in lines] == [
        " breaks hold times by 0.125 ns: no clock is slow enough",
        ": 3 cells have loads or edges beyond the library's limits",
        ": its clock tree has slower edges or more load or skew than it should",
    ]


def test_rules_that_are_missing_or_impossible() -> None:
    osu018 = pdk.find()
    for changed, density, message in (
        ({"row_um": None}, 0.7, "the row height of osu018 must be given"),
        ({"wire_ff_um": None}, 0.7, "the wire capacitance of osu018 must be given"),
        ({"wire_ff_um": -1.0}, 0.7, "wire capacitance must be positive and finite, not -1.0"),
        ({"row_um": float("nan")}, 0.7, "row height must be positive and finite, not nan"),
        ({}, 1.01, "density must be above 0 and at most 1, not 1.01"),
        ({}, 0.0, "density must be above 0 and at most 1, not 0.0"),
    ):
        with pytest.raises(UserError, match=message):
            Layout.of(replace(osu018, **changed), density)
