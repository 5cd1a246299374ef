"""README.md and docs/ say what docs/results and the rows' documentation say."""

import json
from pathlib import Path

import pytest

from mlsmac.study.documents import (
    BLOCKS,
    GATED,
    LAYOUTS,
    RESULTS,
    SETTINGS,
    generated,
    stale,
    tile_lines,
)
from mlsmac.study.quality_report import QualityReport
from mlsmac.study.quantizer_rows import (
    NetworkRow,
    OperationRow,
    QuantizerReport,
    QuantizerRow,
    StepRow,
)
from mlsmac.study.records import documented, from_json
from mlsmac.study.routed import RoutedReport, RoutedRow
from mlsmac.study.rows import FpgaRow, MacReport, MacRow, TileReport, TileRow
from mlsmac.study.sweep.rows import SweepReport, SweepRow


def test_no_table_and_no_plot_is_stale() -> None:
    assert list(stale()) == [], "make documents"


def test_blocks_are_made_anew_and_all_else_stays() -> None:
    page = "before\n<!-- table: quantizers.operations -->\nold\n<!-- end -->\nafter\n"
    fresh = generated(page)
    assert fresh.startswith("before\n\n<!-- table: quantizers.operations -->\n\n| unit |")
    assert fresh.endswith("|\n\n<!-- end -->\n\nafter\n")
    assert "old" not in fresh
    assert generated(fresh) == fresh
    with pytest.raises(KeyError):
        generated("<!-- table: nothing -->\n<!-- end -->")


def test_every_block_is_in_the_documentation() -> None:
    root = RESULTS.parents[1]
    pages = [root / "README.md", *(root / "docs").glob("*.md")]
    text = "".join(page.read_text() for page in pages)
    assert [name for name in BLOCKS if f"<!-- table: {name} -->" not in text] == []


KINDS = (MacReport, MacRow, TileReport, TileRow, FpgaRow, SweepReport, SweepRow)
ROUTED_KINDS = (RoutedReport, RoutedRow)
QUANTIZER_KINDS = (QuantizerReport, QuantizerRow, OperationRow, NetworkRow, StepRow)


def test_every_result_is_there() -> None:
    kept = {path.stem for path in RESULTS.glob("*.json")}
    assert kept == {
        "report",
        "tiles",
        "table5",
        "quantizers",
        "quality",
        "sweep",
        "training",
        "layout-routed",
        *(f"layout_{library}" for library in LAYOUTS),
        *(f"layout_gates_{library}" for library in GATED),
        *SETTINGS.values(),
    }


def test_tiles_of_some_lanes_without_title_and_rule() -> None:
    shown = Path(__file__).parent / "shown" / "tiles"
    report = from_json(TileReport, json.loads(shown.with_suffix(".json").read_text()))
    text = shown.with_suffix(".txt").read_text()
    expected = [line for line in text.splitlines() if line.startswith((" unit", " FP", " MLS"))]
    heads = [place for place, line in enumerate(expected) if line.startswith(" unit")]
    energies, areas, of_dots, dot_areas = heads
    for lines, dots in ((expected[energies:areas], False), (expected[of_dots:dot_areas], True)):
        told = tile_lines(report, 4, dots).splitlines()
        assert told == [f"    {line.rstrip()}" for line in lines]
    assert len(tile_lines(report, 16).splitlines()) == 1


@pytest.mark.parametrize("kind", [*KINDS, *QUANTIZER_KINDS, *ROUTED_KINDS])
def test_every_field_is_documented(kind: type) -> None:
    assert [key for key, doc in documented(kind) if not doc] == []


def test_a_missing_field_is_an_error() -> None:
    quality = json.loads((RESULTS / "quality.json").read_text())
    del quality["seed"]
    with pytest.raises(KeyError, match="seed"):
        from_json(QualityReport, quality)
