"""The report on dot units: what is compared with what, errors of rounding, and one real run."""

from dataclasses import replace

import numpy as np
import pytest

from mlsmac.cli.dots import remarks
from mlsmac.cli.options import lane_counts
from mlsmac.golden.quantize import quantize
from mlsmac.golden.spec import (
    FP32,
    MLS_E2M1,
    MXFP8_E4M3,
    SCALE_E8M1,
    Rounding,
)
from mlsmac.study.builds import best
from mlsmac.study.conditions import Conditions
from mlsmac.study.dot_errors import dot_errors
from mlsmac.study.dot_report import ENTRIES, DotEntry, make_dot_report
from mlsmac.study.errors import relative_error
from mlsmac.study.html import dot_html
from mlsmac.study.measure import Build, measure
from mlsmac.study.plots import dot_plot, trade_plot
from mlsmac.study.records import from_json, to_json
from mlsmac.study.rows import DotReport
from mlsmac.study.stimuli.pairs import NORMAL, build
from mlsmac.study.tables import dot_tables
from mlsmac.support.cache import Cache
from mlsmac.support.errors import UserError
from mlsmac.synth.liberty import pdk
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.units import configure
from mlsmac.units.dots import PRESETS


@pytest.fixture(scope="module")
def conditions():
    return Conditions(pdk=pdk.find(), clock_mhz=40.0)


@pytest.fixture(scope="module")
def stimulus():
    return build(300, 3)


@pytest.mark.parametrize("lanes", [8, 16, 32, 64])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.label)
def test_a_width_keeps_the_block(entry: DotEntry, lanes: int) -> None:
    width = entry.lanes or lanes
    options = entry.at(width).configuration().options
    groups, cycles = options.get("groups", 1), options.get("cycles", 1)
    assert options["lanes"] * groups == width
    assert entry.block is None or options["lanes"] * cycles == entry.block
    assert groups == 1 or cycles == 1


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "mls_e2m1", "mxint8", "int8", "fp8_e4m3"])
def test_values_are_what_codes_stand_for(stimulus, name: str) -> None:
    """Outputs of the exact sum of codes, over those of the values: a factor for each two tensors,
    that of their tensor scales.
    """
    lanes = 16
    unit = configure("block_dot", **{**PRESETS[name], "lanes": lanes, "accumulate": "exact"})
    dots = stimulus.dots(lanes, 1, 1)
    found = unit.reference(dots.inputs(unit.options))
    z = found["z"][found["valid"] == 1].astype(np.uint32).view(np.float32)
    format, scale = unit.options["format"], unit.options["scale"]
    w, a = (dots.coded(side, format, scale).values for side in (dots.w, dots.a))
    begins = np.flatnonzero(dots.first)
    exact = np.add.reduceat((w * a).sum(axis=1), begins)
    pairs = 100 * dots.w.tensor[begins] + dots.a.tensor[begins]
    for pair in np.unique(pairs):
        own = (pairs == pair) & (exact != 0)
        factors = exact[own] / z[own]
        np.testing.assert_allclose(factors, factors[:1].repeat(own.sum()), rtol=1e-6)


def test_held_weights_are_loaded_once_for_many_steps(stimulus) -> None:
    """The sum is that of 16 outputs, whose blocks take turns; the activations are of each."""
    unit = configure("block_dot", **{**PRESETS["mls_e2m1"], "lanes": 32, "hold": True})
    dots = stimulus.dots(32, 1, 1, held=16)
    inputs = dots.inputs(unit.options)
    places = dots.w.places.reshape(-1, 16, 32)
    assert (places == places[:, :1]).all()
    assert (inputs["w"].reshape(-1, 16, 32) == inputs["w"].reshape(-1, 16, 32)[:, :1]).all()
    # A block that is as the one before need not be loaded.
    loads = inputs["load"].reshape(-1, 16)
    assert not loads[:, 1:].any()
    assert loads[:, 0].mean() > 0.9
    activations = dots.a.places.reshape(-1, 16, 32)
    assert (activations[:, 1:] != activations[:, :1]).any(axis=2).mean() > 0.9
    lengths = np.flatnonzero(dots.finish) + 1 - np.flatnonzero(dots.first)
    assert (lengths % 16 == 0).all()
    assert set(dots.kind.tolist()) == {0, 1, 2}
    # What golden holds are the codes that come with each step anyway.
    always = {**inputs, "load": np.ones_like(inputs["load"])}
    assert (unit.reference(inputs)["z"] == unit.reference(always)["z"]).all()


def test_errors_of_a_whole_tensor(stimulus) -> None:
    """Groups of 3x3 kernels are quantized with their tensor: every weight of the layers."""
    options = {"format": MLS_E2M1, "scale": SCALE_E8M1, "lanes": 9}
    told = dot_errors(stimulus, options)
    own = []
    for layer in stimulus.layers:
        if layer.w.shape[2:] == (3, 3) and layer.stride == 1:
            w = quantize(layer.w, MLS_E2M1, SCALE_E8M1, rounding=Rounding.NEAREST).dequantize()
            own.append(np.sqrt(((w - layer.w) ** 2).sum() / (layer.w.astype(float) ** 2).sum()))
    # Drawn outputs reach some weights more often than others.
    assert told.w == pytest.approx(np.mean(own), rel=0.02)
    assert told.w < told.outputs < 2 * told.w


def test_errors_follow_the_mantissa(stimulus) -> None:
    """Relative steps of 2^-M: each mantissa bit halves errors. FP32's operands are exact."""
    shape = {"lanes": 16}
    exact = dot_errors(stimulus, {"format": FP32, **shape})
    assert (exact.w, exact.a, exact.e, exact.outputs) == (0, 0, 0, 0)
    coarse = dot_errors(stimulus, {**shape, "format": MLS_E2M1, "scale": SCALE_E8M1})
    fine = replace(MLS_E2M1, man_bits=4)
    told = dot_errors(stimulus, {**shape, "format": fine, "scale": SCALE_E8M1})
    assert told.w == pytest.approx(coarse.w / 8, rel=0.3)
    floating = dot_errors(stimulus, {**shape, "format": MXFP8_E4M3, "scale": None})
    # Uniform over a binade's mantissas: 2^-4 / sqrt(3) / 1.44 of a number, at most.
    assert 0.02 < floating.w < 2**-4 / np.sqrt(3)


def test_normal_tensors_have_the_shapes_of_the_capture(stimulus) -> None:
    drawn = build(300, 3, tensors=NORMAL)
    assert drawn.digest != stimulus.digest
    for own, captured in zip(drawn.layers, stimulus.layers, strict=True):
        for x, y in zip(own.tensors().values(), captured.tensors().values(), strict=True):
            assert x.shape == y.shape
            assert x.dtype == np.float32
    every = np.concatenate([x.ravel() for y in drawn.layers for x in y.tensors().values()])
    assert abs(every.mean()) < 0.01
    assert abs(every.std() - 1) < 0.01
    assert drawn.digest == build(300, 3, tensors=NORMAL).digest
    # Independent ones: a value comes twice about as seldom as chance has it.
    assert len(np.unique(every)) > 0.99 * len(every)


@pytest.fixture(scope="module")
def measured(conditions, stimulus):
    """A small unit, from the unit to its metrics."""
    configuration = configure("block_dot", **{**PRESETS["mxfp4"], "lanes": 4, "cycles": 2})
    workload = configuration.workload(stimulus)
    return measure(Build(configuration, Adders.GATES), conditions, workload, results=Cache(None))


@pytest.mark.eda
def test_a_dot_unit_is_measured_by_stages(measured) -> None:
    assert measured.mismatches == measured.mismatches_zero_delay == 0
    split = measured.energy_pj_by_stage
    assert list(split) == ["operands", "dot", "scale", "accumulate"]
    assert sum(split.values()) == pytest.approx(measured.energy_pj, rel=1e-4)


LISTED = (
    DotEntry("FP32", "float_dot", {}, kinds=("fp32",)),
    DotEntry("MX", "block_dot", PRESETS["mxfp4"], 32, kinds=("mxfp8",)),
    DotEntry("MLS", "block_dot", PRESETS["mls_e2m1"], 9, lanes=18),
)


@pytest.fixture
def made(conditions, stimulus, measured, monkeypatch):
    """A report whose measurements are made up: wider units take less, FP32 ten times as much; a
    unit has 100 gates for each of its options' lanes.
    """
    calls = []

    def measure_builds(asked, _stimulus, entries, _results, _progress):
        assert not asked.all_builds
        told = []
        for own in entries:
            calls.append([(x.configuration.slug, x.adders) for x in own])
            told.append(best([replace(measured, **invented(one)) for one in own]))
        return told

    def invented(one):
        options = one.configuration.options
        width = options["lanes"] * options.get("groups", 1)
        energy = (10.0 if one.configuration.name == "float_dot" else 1.0) + 1 / width
        areas = {"area_um2": 500.0 * width, "gate_equivalents": 100.0 * width}
        return {"slug": one.configuration.slug, "energy_pj": energy, **areas}

    monkeypatch.setattr("mlsmac.study.dot_report.measure_builds", measure_builds)
    report = make_dot_report(
        conditions, stimulus, lanes=[16, 8], entries=LISTED, results=Cache(None)
    )
    return report, calls


@pytest.mark.eda
def test_ratios_are_to_the_cheapest_of_any_width(made) -> None:
    report, calls = made
    assert report.baselines == {"fp32": "FP32, 16", "mxfp8": "MX, 16"}
    found = [
        (row.unit, row.lanes, row.ratio_to_fp32, row.area_ratio_to_fp32) for row in report.rows
    ]
    cheapest = 10 + 1 / 16
    assert found == [
        ("FP32", 8, round(cheapest / (10 + 1 / 8), 3), 1.0),
        ("FP32", 16, 1.0, 1.0),
        ("MX", 8, round(cheapest / (1 + 1 / 8), 3), 1.0),
        ("MX", 16, round(cheapest / (1 + 1 / 16), 3), 1.0),
        ("MLS", 18, round(cheapest / (1 + 1 / 18), 3), 1.0),
    ]
    assert all(row.ratio_to_fp8 is None for row in report.rows)
    assert {row.gate_equivalents_per_lane for row in report.rows} == {100.0}
    assert [len(own) for own in calls] == [1] * 5
    assert {adders for own in calls for _, adders in own} == {Adders.FULL_ADDERS}


@pytest.mark.eda
def test_errors_of_ratios_are_of_independent_draws(made) -> None:
    report, _ = made
    first, *others = (row for row in report.rows if row.ratio_to_mxfp8 is not None)
    for row in others:
        if row.ratio_to_fp32 == 1:
            assert row.ratio_to_fp32_se is None
            continue
        # All rows have the same batches here.
        relative = row.measured.energy_pj_se / first.measured.energy_pj_se
        assert relative == 1
        expected = row.ratio_to_fp32 * 2**0.5 * relative_error(row.measured.batches)
        assert row.ratio_to_fp32_se == pytest.approx(expected, rel=0.01)


@pytest.mark.eda
def test_a_report_is_read_back_and_shown(made) -> None:
    report, _ = made
    data = to_json(report)
    assert from_json(DotReport, data) == report
    assert data["stimulus"]["tensors"] == "captured"
    assert {"energy_pj_per_product", "energy_pj_by_stage"} <= data["rows"][0].keys()
    assert "multiplier_pj" not in data["rows"][0]
    plots = {"dots": dot_plot(report.rows), "trade": trade_plot(report.rows)}
    assert "FP32" not in plots["trade"]
    text = dot_html(report, plots)
    assert text.count("<svg") == 2
    assert "None" not in text
    assert len(dot_tables(report, report.rows)) == 2
    assert any("MXFP8: MX, 16" in line for line in remarks(report))


def test_widths_are_powers_of_two() -> None:
    assert lane_counts("32,8", powers_of_two=True) == [8, 32]
    for text in ("", "9", "8,12", "0", "128"):
        with pytest.raises(UserError, match=r"--lanes must be powers of two in 1\.\.64"):
            lane_counts(text, powers_of_two=True)
