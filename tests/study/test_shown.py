"""What the reports' rows become: the terminal's text to the character, JSON to the byte."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from mlsmac.cli import measuring, quality, quantizers, tiles
from mlsmac.cli.commands import sweep
from mlsmac.study import tables
from mlsmac.study.html import mac_html, tile_html
from mlsmac.study.quality_report import QualityReport, quality_tables
from mlsmac.study.quantizer_rows import QuantizerReport
from mlsmac.study.records import from_json, to_json
from mlsmac.study.rows import FpgaRow, MacReport, TileReport
from mlsmac.study.sweep.rows import SweepReport
from mlsmac.study.sweep.tables import sweep_tables
from mlsmac.study.terminal import WIDTH, shown

EXPECTED = Path(__file__).parent / "shown"
"""As the commands printed it when these tables were written by hand."""
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def read(kind: type, path: Path):
    return from_json(kind, json.loads(path.read_text()))


def printed(report, made, remarks) -> str:
    console = Console(width=WIDTH, file=io.StringIO())
    for table in made:
        console.print(shown(table))
    for line in remarks(report):
        console.print(line, highlight=False, soft_wrap=True)
    return console.file.getvalue()


REPORTS = {
    "report": (RESULTS, MacReport, tables.mac_tables, measuring),
    "tiles": (
        EXPECTED,
        TileReport,
        lambda report: tables.tile_tables(report, report.rows),
        tiles,
    ),
    "quantizers": (RESULTS, QuantizerReport, tables.quantizer_tables, quantizers),
    "quality": (RESULTS, QualityReport, quality_tables, quality),
    "sweep": (RESULTS, SweepReport, sweep_tables, sweep),
    "fpga": (
        EXPECTED,
        FpgaRow,
        lambda row: [tables.fpga_sheet(row)],
        SimpleNamespace(remarks=lambda row: []),
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_terminal_text(name: str) -> None:
    folder, kind, made, module = REPORTS[name]
    report = read(kind, folder / f"{name}.json")
    assert printed(report, made(report), module.remarks) == (EXPECTED / f"{name}.txt").read_text()


def tags_and_words(page: str) -> list[str]:
    """A page without the white space around its tags."""
    return [" ".join(part.split()) for part in re.split(r"(<[^>]*>)", page) if part.strip()]


@pytest.mark.parametrize(("name", "made"), [("report", mac_html), ("tiles", tile_html)])
def test_page(name: str, made) -> None:
    folder, kind, *_ = REPORTS[name]
    text = made(
        read(kind, folder / f"{name}.json"),
        {"energy": "E", "area": "A", "dots": "D", "trade": "T", "tiles": "S"},
    )
    assert tags_and_words(text) == tags_and_words((EXPECTED / f"{name}.html").read_text())


@pytest.mark.parametrize("name", REPORTS)
def test_json_is_the_same_after_reading(name: str) -> None:
    folder, kind, *_ = REPORTS[name]
    text = (folder / f"{name}.json").read_text()
    report = read(kind, folder / f"{name}.json")
    assert json.dumps(to_json(report), indent=2) + "\n" == text


def test_sheet_of_one_unit() -> None:
    report = read(MacReport, RESULTS / "report.json")
    rows = tuple(row for row in report.rows if row.unit == "MLS <2,4>")
    one = replace(report, rows=rows)
    text = printed(one, [tables.mac_sheet(one)], measuring.remarks)
    assert text == (EXPECTED / "synth.txt").read_text()


def test_a_unit_that_is_late() -> None:
    report = read(MacReport, RESULTS / "report.json")
    row = report.rows[0]
    late = replace(
        row.measured,
        meets_timing=False,
        energy_pj=None,
        multiplier_pj=None,
        accumulator_pj=None,
        energy_split_pj=None,
        leakage_uw=None,
        mismatches=3,
    )
    one = replace(report, rows=(replace(row, measured=late, claim=None),))
    text = printed(one, tables.mac_tables(one), measuring.remarks)
    assert text == (EXPECTED / "late.txt").read_text()
