"""The quantizer report: shares from made-up measurements, what is shown, and one real run."""

import json
from dataclasses import replace

import pytest

from mlsmac.cli.quantizers import remarks, write
from mlsmac.data.networks import RESNET_20
from mlsmac.study.builds import best
from mlsmac.study.columns import QUANTIZER_STAGES
from mlsmac.study.conditions import Conditions
from mlsmac.study.measure import Build, measure
from mlsmac.study.plots import step_plot
from mlsmac.study.quantizer_report import ENTRIES, OPERATIONS, make_quantizer_report, steps
from mlsmac.study.records import to_json
from mlsmac.study.stimuli.pairs import build
from mlsmac.study.tables import quantizer_tables
from mlsmac.support.cache import Cache
from mlsmac.synth.liberty import pdk
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.units import configure

ENERGIES = {entry.label: 0.0 for entry in (*ENTRIES, *OPERATIONS)} | {
    "statistics, 1": 3.0,
    "<2,4> stochastic, 1": 5.0,
    "MLS <2,4>": 2.0,
    "MLS <2,1>": 1.0,
    "FP32 multiplier": 10.0,
    "FP32 adder": 1.0,
}


def test_shares_follow_from_the_energies():
    step = steps(ENERGIES, None)[0]
    assert (step.network, step.unit, step.lanes) == ("ResNet-20", "<2,4> stochastic, 1", 1)
    elements, macs = RESNET_20.elements(128).total, RESNET_20.step_macs
    norm = RESNET_20.normalized
    expected = {
        "macs": 2 * macs,
        "statistics": 3 * elements,
        "quantization": 5 * elements,
        "batch_norm": (5 * 10 + 7) * norm,
        "batch_norm_by_paper": (2 * 10 + 2) * norm,
    }
    assert vars(step.energy_uj) == pytest.approx(
        {k: 1e-6 * v for k, v in expected.items()}, rel=1e-4
    )
    assert vars(step.pj_per_mac) == pytest.approx(
        {name: pj / macs for name, pj in expected.items()}, rel=1e-4
    )
    both = 8 * elements
    assert step.share_of_macs == pytest.approx(both / (2 * macs), rel=1e-4)
    assert step.ratio_to_batch_norm == pytest.approx(both / (57 * norm), rel=1e-4)
    assert step.ratio_to_batch_norm_by_paper == pytest.approx(both / (22 * norm), rel=1e-4)


def test_each_quantizer_goes_with_its_own_mac_and_first_pass():
    found = {row.unit: row.pj_per_mac for row in steps(ENERGIES, 64)[:6]}
    assert [row.macs for row in found.values()] == [2.0, 2.0, 1.0, 1.0, 2.0, 2.0]
    assert [name for name, row in found.items() if row.statistics == 0.0] == [
        "<2,4> stochastic, 4",
        "<2,1> stochastic, 4",
        "<2,4> nearest, 4",
    ]


def test_a_batch_amortizes_weights():
    usual, single = steps(ENERGIES, None), steps(ENERGIES, 1)
    assert {row.batch for row in usual} == {128, 256}
    assert {row.batch for row in single} == {1}
    for few, many in zip(single, usual, strict=True):
        assert few.pj_per_mac.statistics >= many.pj_per_mac.statistics
    assert single[0].share_of_macs > usual[0].share_of_macs


def test_what_has_no_energy_has_no_step():
    assert len(steps(ENERGIES, None)) == 12
    assert len(steps(ENERGIES | {"<2,1> stochastic, 4": None}, None)) == 10
    assert len(steps(ENERGIES | {"MLS <2,1>": None}, None)) == 8
    assert steps(ENERGIES | {"FP32 adder": None}, None) == []


@pytest.fixture(scope="module")
def conditions():
    return Conditions(pdk=pdk.find(), clock_mhz=40.0)


@pytest.fixture(scope="module")
def measured(conditions):
    """A small quantizer, from the unit to its metrics."""
    configuration = configure("mls_quantizer", format="0,1", scale="4,0", random_bits=2)
    beats = configuration.workload(build(60, 3))
    return measure(Build(configuration, Adders.GATES), conditions, beats, results=Cache(None))


@pytest.mark.eda
def test_a_quantizer_is_measured_by_stages(measured):
    assert measured.mismatches == measured.mismatches_zero_delay == 0
    own = [*measured.energy_pj_by_stage]
    assert own == [stage for stage in QUANTIZER_STAGES.values() if stage in own]
    assert own == ["group_scale", "lanes", "generator"]
    split = sum(measured.energy_pj_by_stage.values())
    assert split == pytest.approx(measured.energy_pj, rel=1e-4)


@pytest.fixture
def made(conditions, measured, monkeypatch):
    """A report whose measurements are made up: a build costs its place in the list."""

    def measure_builds(_conditions, _stimulus, entries, _results, _progress):
        return [
            best([replace(measured, energy_pj=place + 1.0) for _ in own])
            for place, own in enumerate(entries)
        ]

    monkeypatch.setattr("mlsmac.study.quantizer_report.measure_builds", measure_builds)
    return make_quantizer_report(conditions, build(60, 3), results=Cache(None))


@pytest.mark.eda
def test_energies_are_per_element_and_per_operation(made):
    first, last = len(ENTRIES) + 1, len(ENTRIES) + len(OPERATIONS) + 1
    assert [row.measured.energy_pj for row in made.rows] == [*range(1, first)]
    assert [row.measured.energy_pj for row in made.operations] == [*range(first, last)]
    told = to_json(made)
    assert [row["energy_pj_per_element"] for row in told["rows"]] == [*range(1, first)]
    assert [row["energy_pj_per_operation"] for row in told["operations"]] == [*range(first, last)]
    assert "energy_pj_per_mac" not in json.dumps(told)
    for row in made.rows:
        assert row.gate_equivalents_per_lane == pytest.approx(
            row.measured.gate_equivalents / row.lanes, abs=0.06
        )
    step = made.steps[0]
    assert step.pj_per_mac.macs == first
    assert step.pj_per_mac.quantization == pytest.approx(3 * step.pj_per_mac.statistics, rel=1e-3)


@pytest.mark.eda
def test_all_is_written_and_shown(made, tmp_path):
    paths = write(made, tmp_path)
    assert sorted(path.name for path in paths) == ["quantizers.json", "quantizers.svg"]
    assert json.loads((tmp_path / "quantizers.json").read_text()) == to_json(made)
    assert (tmp_path / "quantizers.svg").read_text().startswith("<svg")
    assert [len(table.rows) for table in quantizer_tables(made)] == [33, 33, 4, 2, 6, 6]
    assert any("comparable with a batch normalization" in line for line in remarks(made))
    assert not any("WRONG" in line for line in remarks(made))


@pytest.mark.eda
def test_a_wrong_unit_is_told(made):
    row = made.operations[0]
    build = replace(row.measured.builds[0], mismatches_zero_delay=1)
    wrong = replace(row, measured=replace(row.measured, builds=(build,)))
    told = remarks(replace(made, operations=(wrong,)))
    assert any(line.startswith(f"{wrong.unit}: A BUILD") for line in told)


def test_a_plot_without_steps_is_a_plot():
    assert step_plot([]).startswith("<svg")
