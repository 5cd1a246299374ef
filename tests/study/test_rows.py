"""Rows of reports are the units that the documented results were measured on: no default of a unit
decides what is compared.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlsmac.study import quantizer_report, systems, tile_report
from mlsmac.study.systems import Entry
from mlsmac.units.emit import parameters

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def _rows(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
    return rows


def _measured() -> Iterator[tuple[Entry, Mapping[str, Any]]]:
    """Each entry of a report with its row of the results."""
    entries = {entry.label: entry for entry in systems.ENTRIES}
    for row in _rows("report"):
        yield entries[row["unit"]], row
    entries = {entry.label: entry for entry in tile_report.ENTRIES}
    for row in _rows("tiles"):
        entry = entries[row["unit"]]
        yield replace(entry, options={**entry.options, "lanes": row["lanes"]}), row


@pytest.mark.parametrize(
    ("entry", "row"), [pytest.param(*each, id=each[1]["slug"]) for each in _measured()]
)
def test_a_row_is_the_unit_that_was_measured(entry: Entry, row: Mapping[str, Any]) -> None:
    configuration = entry.configuration()
    told = parameters(configuration)
    assert configuration.options.keys() <= row["options"].keys()  # what decides how may miss
    assert {name: told[name] for name in row["options"]} == row["options"]
    assert row["slug"].startswith(configuration.slug)


def test_every_row_that_accumulates_integers_tells_its_width() -> None:
    """A default may change; what is compared with the papers may not."""
    entries = [*systems.ENTRIES, *tile_report.ENTRIES, *quantizer_report.MACS.values()]
    for entry in entries:
        if "acc_width" in entry.configuration().options:
            assert "acc_width" in entry.options, entry.label
