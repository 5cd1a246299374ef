"""The paper's Table 5: its own ratios, and one small run from units to rows."""

from dataclasses import replace

import numpy as np
import pytest

from mlsmac.study import table5
from mlsmac.study.conditions import Conditions
from mlsmac.study.stimuli import vectorless
from mlsmac.study.stimuli.pairs import build
from mlsmac.support.cache import Cache
from mlsmac.synth.liberty import pdk
from mlsmac.units import configure


def test_bits_are_random_and_toggle_in_a_tenth_of_the_cycles():
    workload = vectorless.build(configure("mls_mac", format="2,4", acc_width=16), 4000, 3)
    again = vectorless.build(configure("mls_mac", format="2,4", acc_width=16), 4000, 3)
    for port, width in {"w": 7, "a": 7, "start": 1}.items():
        codes = workload.inputs[port]
        np.testing.assert_array_equal(codes, again.inputs[port])
        bits = codes[:, np.newaxis] >> np.arange(width) & 1
        assert codes.max() < 1 << width
        assert np.abs(np.diff(bits[1:], axis=0)).mean() == pytest.approx(0.1, abs=0.01)
        assert bits.mean() == pytest.approx(0.5, abs=0.1)
    assert workload.inputs["start"][0] == 1


@pytest.mark.eda
def test_from_units_to_ratios(monkeypatch):
    """Two units stand for the four, so that ratios are 1 or known."""
    monkeypatch.setattr(
        table5,
        "UNITS",
        {"fp32": "MLS <2,4>", "fp8": "MLS <2,1>", "e4m3": "MLS <2,1>", "mls": "MLS <2,1>"},
    )
    conditions = Conditions(pdk=pdk.find(), clock_mhz=40.0, all_builds=False)
    made = table5.make_table5(conditions, build(120, 7), results=Cache(None))
    paper, *others = made.rows
    assert vars(paper) == {
        "condition": "the paper",
        "multiplier_fp32_to_fp8": 23.13,
        "multiplier_fp32_to_mls": 27.71,
        "accumulator_fp32_to_mls": 14.89,
        "fp32_multiplier_to_accumulator": 3.8,
        "mac_fp32_to_mls": 23.5,
        "mac_fp8_to_mls": 5.699,
        "mac_e4m3_to_mls": None,
    }
    assert len(others) == 5
    for row in others:
        assert row.mac_fp8_to_mls == row.mac_e4m3_to_mls == 1
        assert row.mac_fp32_to_mls > 1
    assert len({row.mac_fp32_to_mls for row in others}) == 5
    assert "within" in table5.statement(made)


def test_the_statement_has_the_figures_of_the_rows():
    row = table5.Table5Row(
        condition="",
        multiplier_fp32_to_fp8=1.0,
        multiplier_fp32_to_mls=1.0,
        accumulator_fp32_to_mls=1.0,
        fp32_multiplier_to_accumulator=1.0,
        mac_fp32_to_mls=20.0,
        mac_fp8_to_mls=5.0,
        mac_e4m3_to_mls=None,
    )
    rows = (
        replace(row, condition="the paper"),
        replace(row, condition="whole, glitches", mac_fp32_to_mls=10.0),
        replace(row, condition="combinational, glitches", mac_fp32_to_mls=18.0),
    )
    text = table5.statement(type("Made", (), {"rows": rows}))
    assert "takes 10.0 times less than FP32 and 5.0 less than FP8" in text
    assert "within 10 % of the paper" in text
