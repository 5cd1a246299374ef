"""The report: ratios and paper figures, what the page shows, and one real run from unit to rows."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlsmac.hw.mac.mac import Mac
from mlsmac.study import report
from mlsmac.study.builds import best, contenders
from mlsmac.study.columns import figure
from mlsmac.study.conditions import Conditions
from mlsmac.study.html import mac_html
from mlsmac.study.measure import Build, MeasureError, measure
from mlsmac.study.plots import area_plot, energy_plot
from mlsmac.study.records import to_json
from mlsmac.study.rows import (
    Batches,
    MacReport,
    MacRow,
    Measurement,
    Split,
    StimulusRow,
    ZeroDelay,
)
from mlsmac.study.stimuli.pairs import build
from mlsmac.study.systems import BASELINES, ENTRIES, Entry
from mlsmac.support.cache import Cache
from mlsmac.synth.liberty import pdk
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.units import UNITS, Configuration, reference

OPERATIONS = 120
SEED = 7
SHORT = (
    Entry("FP8 E5M2", "fp8_mac", {"format": "e5m2"}, ("fp8",)),
    Entry("MLS <2,4>", "mls_mac", {"format": "2,4", "acc_width": 16}),
)


def batches(*energies: float, macs: float = 10.0) -> Batches:
    """Batches of two kinds: three of each, alike but for small differences, where one energy is
    given.
    """
    if len(energies) == 1:
        energies = tuple(energies[0] * macs * (1 + 0.01 * part) for part in (-1, 0, 1, -1, 0, 1))
    strata = (0,) * (len(energies) // 2) + (1,) * (len(energies) - len(energies) // 2)
    return Batches(strata=strata, macs=(macs,) * len(energies), energy_pj=energies)


def measured(energy: float | None, **changes: Any) -> Measurement:
    """A build as `measure` tells of it."""
    split = Split(
        **dict.fromkeys(
            ("internal", "switching", "leakage", "sequential", "combinational", "clock", "inputs"),
            1.0,
        )
    )
    values = {
        "slug": "unit",
        "adders": "gates",
        "area_um2": 1234.5,
        "gate_equivalents": 51.4,
        "cells": 200,
        "flops": 48,
        "area_um2_by_stage": {},
        "critical_path_ns": 9.5,
        "meets_timing": energy is not None,
        "energy_pj": energy,
        "energy_pj_se": energy and 0.01 * energy,
        "combinational_pj_by_stage": {},
        "cycles": 120,
        "batches": energy and batches(energy),
        "energy_pj_by_stage": {
            "multiplier": 0.6 * (energy or 0),
            "accumulator": 0.4 * (energy or 0),
        },
        "multiplier_pj": energy and 0.6 * energy,
        "accumulator_pj": energy and 0.4 * energy,
        "energy_pj_zero_delay": 7.0,
        "leakage_uw": 0.1 if energy else None,
        "energy_split_pj": split if energy else None,
        "zero_delay": ZeroDelay(by_stage_pj={}, combinational_by_stage_pj={}, split_pj=split),
        "toggled_share": 0.97,
        "mismatches": 0 if energy else 5,
        "mismatches_zero_delay": 0,
    }
    return Measurement(**values | changes)


def row(unit: str, energy: float | None, **changes: Any) -> MacRow:
    """A row of one build."""
    values = {
        "unit": unit,
        "options": {},
        "zero_product_share": 0.25,
        "accumulator": None,
        "measured": best([measured(energy)]),
        "held_pj": None,
        "ratio_to_fp32": None,
        "ratio_to_fp8": None,
        "ratio_to_fp8_any": None,
        "ratio_to_fp32_se": None,
        "ratio_to_fp8_se": None,
        "ratio_to_fp8_any_se": None,
        "combinational_ratio_to_fp32": None,
        "combinational_ratio_to_fp8": None,
        "ties": (),
        "claim": None,
    }
    return MacRow(**values | changes)


def page(rows: list[MacRow]) -> MacReport:
    """A report around rows."""
    return MacReport(
        schema=3,
        pdk="osu018",
        clock_mhz=40.0,
        script="area",
        states="counted",
        simulator="events",
        precision=0.02,
        stimulus=StimulusRow(
            tensors="captured", operations=120, seed=7, kinds=("wa", "we", "ae"), digest=""
        ),
        tools={"pyosys": "0.70"},
        baselines={"fp32": "FP32 flush"},
        rows=tuple(rows),
    )


def test_paper_ratios_are_those_of_its_table_5() -> None:
    claims = {entry.label: entry.claim for entry in ENTRIES if entry.claim}
    mls, fp8 = claims["MLS <2,4>"], claims["FP8 E4M3"]
    assert mls.ratio_to_fp32 == 23.5
    assert mls.ratio_to_fp8 == 5.7
    assert fp8.ratio_to_fp32 == pytest.approx(0.672 / 0.163, abs=0.01)
    assert claims["FP32"].energy_pj == pytest.approx(6.72)


def test_every_mac_is_a_row_and_every_kind_has_one() -> None:
    macs = {name for name, unit in UNITS.items() if issubclass(unit.component, Mac)}
    assert macs - {entry.unit for entry in ENTRIES} == {"adder_mac"}  # which has no product
    assert {kind for entry in ENTRIES for kind in entry.kinds} == set(BASELINES)
    for entry in ENTRIES:
        entry.configuration()


def test_best_build_computes_at_the_clock_and_takes_least_energy() -> None:
    late = measured(None, slug="late", critical_path_ns=30.0)
    later = measured(None, slug="later", critical_path_ns=40.0)
    dear = measured(9.0, slug="dear")
    cheap = measured(8.0, slug="cheap", area_um2=9999.0)
    assert best([late, dear, cheap]).slug == "cheap"
    assert best([later, late]).slug == "late"
    told = best([dear, cheap]).builds
    assert [(build.slug, build.energy_pj) for build in told] == [("dear", 9.0), ("cheap", 8.0)]
    short = measured(7.0, slug="short", cycles=20)
    assert best([short, dear]).slug == "dear"


def test_builds_that_may_be_the_best_run_in_full() -> None:
    dear, cheap, late = measured(9.0), measured(8.0), measured(None)
    assert contenders([late, dear, cheap]) == [2]
    assert contenders([measured(None, critical_path_ns=30.0), late]) == [1]
    close = measured(8.07)
    assert contenders([close, cheap]) == [0, 1]
    # As close, but by batches that vary in unlike ways.
    apart = measured(8.5, batches=batches(90.0, 80.0, 85.0, 60.0, 85.0, 110.0))
    assert contenders([apart, cheap]) == [0, 1]
    assert contenders([measured(8.5), cheap]) == [1]


def test_a_wrong_build_is_told_even_if_another_wins() -> None:
    wrong = measured(None, slug="wrong", mismatches=500, mismatches_zero_delay=500)
    late = measured(None, slug="late", mismatches=5)
    good = measured(9.0, slug="good")
    assert best([wrong, good]).is_wrong
    assert not best([late, good]).is_wrong


def test_a_baseline_must_meet_the_clock() -> None:
    entries = [Entry(name, "fp32_mac", {}, ("fp32",)) for name in "ab"]
    builds = [best([measured(1.0, meets_timing=False)]), best([measured(2.0)])]
    chosen = report.cheapest(("fp32", "fp8"), entries, builds)
    assert chosen == {"fp32": (entries[1], builds[1])}
    assert report.ratio(chosen, "fp32", best([measured(0.5)])) == 4.0
    assert report.ratio(chosen, "fp8", builds[1]) is None


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, "-"),
        (0.0, 3, "0.00"),
        (123456.0, 5, "123,460"),
        (31.07, 3, "31.1"),
        (0.012345, 3, "0.0123"),
        (999.6, 3, "1,000"),
    ],
)
def test_figures_keep_significant_digits(value: float | None, digits: int, text: str) -> None:
    assert figure(value, digits) == text


def test_page_shows_figures_and_misses_and_loads_nothing() -> None:
    rows = [row("FP32", 540.0, ratio_to_fp32=1.0), row("slow", None)]
    plots = {"energy": energy_plot(rows), "area": area_plot(rows)}
    text = mac_html(page(rows), plots)
    assert text.count("<svg") == 2
    assert "540" in text
    assert "missed" in text
    assert "not at this clock" in text
    assert "<script" not in text
    assert 'src="http' not in text
    assert "None" not in text


def test_plots_are_deterministic() -> None:
    rows = [row("a", 1.0), row("b", 2.0)]
    assert energy_plot(rows) == energy_plot(copy.deepcopy(rows))
    assert area_plot(rows) == area_plot(copy.deepcopy(rows))


@pytest.mark.parametrize("stages", [{"operand": 0.25, "accumulator": 0.75}, {}])
def test_a_unit_of_other_stages_is_plotted_too(stages: dict[str, float]) -> None:
    other = replace(measured(1.0), energy_pj_by_stage=stages)
    plot = energy_plot([row("INT8", 2.0), row("other", 1.0, measured=best([other]))])
    assert plot.count("<svg") == 1


@pytest.mark.eda
def test_weights_that_are_held_take_less(tmp_path: Path) -> None:
    """The same build as the row's, with a register that changes once in 16 operations."""
    conditions = Conditions(pdk=pdk.find(), clock_mhz=40.0, all_builds=False)
    entries = tuple(entry for entry in ENTRIES if entry.label == "MLS <2,1>")
    given = {"entries": entries, "results": Cache(tmp_path)}
    (row,) = report.make_report(conditions, build(300, SEED), held=True, **given).rows
    assert 0.5 * row.measured.energy_pj < row.held_pj < row.measured.energy_pj
    assert to_json(row)["energy_pj_per_mac_held"] == row.held_pj
    (alone,) = report.make_report(conditions, build(300, SEED), **given).rows
    assert alone.held_pj is None


@pytest.mark.eda
def test_report_from_unit_to_rows(tmp_path: Path) -> None:
    conditions = Conditions(pdk=pdk.find(), clock_mhz=40.0)
    stimulus = build(OPERATIONS, SEED)
    steps: list[tuple[str, int, int]] = []
    made = report.make_report(
        conditions,
        stimulus,
        entries=SHORT,
        results=Cache(tmp_path),
        progress=lambda *step: steps.append(step),
    )
    ran = [done for _, done, _ in steps]
    assert ran == list(range(1, len(steps) + 1))
    told = [total for *_, total in steps]
    assert min(told) >= len(SHORT)
    assert told[-1] == len(steps)
    json.dumps(to_json(made))
    for line in (row.measured for row in made.rows):
        assert line.mismatches == line.mismatches_zero_delay == 0
        assert line.meets_timing
        assert line.energy_pj > line.energy_pj_zero_delay > 0
        stages = line.multiplier_pj + line.accumulator_pj
        assert stages == pytest.approx(line.energy_pj, rel=1e-4)
        split = vars(line.energy_split_pj)
        for parts in (
            ("internal", "switching", "leakage"),
            ("sequential", "combinational", "clock", "inputs"),
        ):
            total = sum(split[part] for part in parts)
            assert total == pytest.approx(line.energy_pj, rel=1e-4)
        by_stage = sum(line.area_um2_by_stage.values())
        assert by_stage == pytest.approx(line.area_um2, rel=1e-9)
    rows = {row.unit: row for row in made.rows}
    fp8 = rows["FP8 E5M2"].measured.energy_pj
    mls = rows["MLS <2,4>"]
    assert mls.ratio_to_fp8 == pytest.approx(fp8 / mls.measured.energy_pj, abs=1e-3)
    assert mls.ratio_to_fp32 is None
    assert mls.accumulator.safe_length == 2
    again = report.make_report(conditions, stimulus, entries=SHORT, results=Cache(tmp_path))
    assert again == made


@pytest.mark.eda
def test_any_liberty_file_will_do(tmp_path: Path) -> None:
    """The same cells under another name: mapped, timed and measured from the file alone."""
    known = pdk.find()
    copy = tmp_path / "cells.lib"
    copy.write_bytes(known.liberty[0].read_bytes())
    entry = Entry("MLS", "mls_mac", {"format": "2,1", "acc_width": 16})
    energies = []
    for found in (known, pdk.find(liberty=copy)):
        conditions = Conditions(pdk=found, clock_mhz=40.0)
        made = report.make_report(
            conditions, build(OPERATIONS, SEED), entries=(entry,), results=Cache(None)
        )
        line = made.rows[0].measured
        assert not line.is_wrong
        energies.append(line.energy_pj)
    assert energies[1] == pytest.approx(energies[0], rel=0.1)


@pytest.mark.eda
def test_a_unit_too_slow_for_the_clock_gets_no_energy() -> None:
    conditions = Conditions(pdk=pdk.find(), clock_mhz=800.0)
    entry = Entry("INT4", "int_mac", {"format": "int4", "a_format": "int4"}, ("fp32",))
    made = report.make_report(
        conditions, build(OPERATIONS, SEED), entries=(entry,), results=Cache(None)
    )
    line = made.rows[0].measured
    assert not line.meets_timing
    assert line.mismatches > 0
    assert line.mismatches_zero_delay == 0
    assert line.energy_pj is None
    assert line.multiplier_pj is None
    assert line.energy_pj_zero_delay > 0
    assert made.baselines == {}


@pytest.mark.eda
def test_a_wrong_netlist_gives_no_energy_and_a_missing_flop_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conditions = Conditions(pdk=pdk.find(), clock_mhz=40.0)
    configuration = Entry("MLS", "mls_mac", {"acc_width": 16}).configuration()
    build_of_gates = Build(configuration, Adders.GATES)
    pairs = configuration.workload(build(OPERATIONS, SEED))

    def off_by_one(self: Configuration, inputs: Any) -> dict[str, Any]:
        outputs = reference(self.name, self.options, inputs)
        outputs["acc"] = outputs["acc"] + (outputs["acc"] == outputs["acc"].max())
        return outputs

    with monkeypatch.context() as patch:
        patch.setattr(Configuration, "reference", off_by_one)
        wrong = measure(build_of_gates, conditions, pairs, results=Cache(None))
    assert wrong.mismatches > 0
    assert wrong.energy_pj is None
    assert wrong.energy_pj_zero_delay is None

    monkeypatch.setattr("mlsmac.hw.mac.mac.Mac.registers", 49)
    with pytest.raises(MeasureError, match="must map to its 49 registers, not to 48 flops"):
        measure(build_of_gates, conditions, pairs, results=Cache(None))


@pytest.mark.eda
@pytest.mark.parametrize(
    "unit", ["mls_multiplier", "exponent_shifter", "int_accumulator", "float_adder"]
)
def test_parts_are_measured_too(unit: str) -> None:
    options = {"format": "bf16"} if unit == "float_adder" else {}
    entry = Entry(unit, unit, options)
    conditions = Conditions(pdk=pdk.find(), clock_mhz=40.0)
    made = report.make_report(
        conditions, build(OPERATIONS, SEED), entries=(entry,), results=Cache(None)
    )
    line = made.rows[0].measured
    assert line.mismatches == 0
    assert line.energy_pj > 0
    assert line.multiplier_pj is None
    assert made.baselines == {}
