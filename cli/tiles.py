"""`mlsmac tiles`: options to measured tiles to tables."""

from pathlib import Path

from ..study.html import tile_html
from ..study.plots import tile_plot
from ..study.rows import TileReport
from ..support.files import write_whole
from .measuring import called, verdict
from .output import json_text


def write(report: TileReport, directory: Path) -> list[Path]:
    """Write tiles.json, tiles.html and tiles.svg into `directory`, each file whole."""
    plot = tile_plot(report.rows)
    files = {
        directory / "tiles.json": json_text(report),
        directory / "tiles.html": tile_html(report, {"tiles": plot}),
        directory / "tiles.svg": plot,
    }
    write_whole(files)
    return list(files)


def remarks(report: TileReport) -> list[str]:
    """What the tables' reader must know."""
    lines = [line for row in report.rows for line in verdict(called(row), row.measured)]
    claim = report.claim
    lines += [
        "the paper, one float32 add a 3x3 group, by its Table 5: "
        f"x FP32 {claim.ratio_to_fp32}, x FP8 {claim.ratio_to_fp8}; "
        f"by its Eq. 9: {claim.ratio_to_fp32_3x3} (3x3), {claim.ratio_to_fp32_1x1} (1x1)",
        f"energies of products of busy lanes, glitches included; {report.surroundings}",
        "x: how many times less energy than the cheapest FP32, FP8 tile of the same lanes and kind",
    ]
    return lines
