"""The verdict's tables, against the result files as they lie."""

import json
from pathlib import Path

import pytest

from mlsmac.study import documents
from mlsmac.study.verdict import COMPARISONS, claims_table, errors_table, ratios_table

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def rows(name: str) -> dict[str, dict]:
    """JSON of the dot units with 16 products a cycle, by unit."""
    data = json.loads((RESULTS / f"{name}.json").read_text())
    every = data["dots"] if name == "report" else data["rows"]
    return {row["unit"]: row for row in every if row["lanes"] == 16}


@pytest.mark.parametrize("setting", documents.SETTINGS)
def test_changes_are_those_of_the_results(setting: str) -> None:
    own = rows(documents.SETTINGS[setting])
    shown = claims_table(documents.dots()).rows
    assert len(shown) == len(COMPARISONS)
    for comparison, row in zip(COMPARISONS, shown, strict=True):
        figure = "gate_equivalents_per_lane" if comparison.area else "energy_pj_per_product"
        one, other = (own[unit][figure] for unit in (comparison.one, comparison.other))
        told, *error = row.figures[setting].removesuffix(" %").split(" ±")
        assert told == "-" if None in (one, other) else told == f"{100 * one / other - 100:+.0f}"
        assert bool(error) == (not comparison.area and told != "-")


def test_ratios_and_errors_are_those_of_the_results() -> None:
    own = rows("report")
    (first, *_), shown = (
        ratios_table(documents.dots()).rows,
        errors_table(documents.dots("OSU 180")),
    )
    assert first.what == "FP32"
    assert first.figures["OSU 180"] == "1.00"
    assert [row.what for row in shown.rows] == [unit for unit in own if unit != "FP32"]
    for row in shown.rows:
        error = own[row.what]["errors"]["outputs"]
        assert float(row.figures["OSU 180: outputs %"]) == pytest.approx(100 * error, rel=0.05)


@pytest.mark.parametrize("setting", documents.SETTINGS)
def test_all_settings_have_the_same_units_and_seed(setting: str) -> None:
    """And each computed every output as golden does, or has no energy."""
    data = json.loads((RESULTS / f"{documents.SETTINGS[setting]}.json").read_text())
    assert data["stimulus"]["tensors"] == ("normal" if "normal" in setting else "captured")
    assert data["stimulus"]["seed"] == 2026
    own = rows(documents.SETTINGS[setting])
    assert list(own) == list(rows("report"))
    for row in own.values():
        wrong = row["mismatches"] or row["mismatches_zero_delay"]
        assert (row["energy_pj_per_product"] is None) == bool(wrong)
