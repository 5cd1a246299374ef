"""`mlsmac quality`: quantization errors of the captured tensors, as rows, tables and a plot."""

from pathlib import Path

from ..study.plots import quality_plot
from ..study.quality_report import QualityReport
from ..support.files import write_whole
from .output import json_text


def write(report: QualityReport, directory: Path) -> list[Path]:
    """Write quality.json and quality.svg into `directory`, each file whole."""
    files = {
        directory / "quality.json": json_text(report),
        directory / "quality.svg": quality_plot(report.rows),
    }
    write_whole(files)
    return list(files)


def remarks(report: QualityReport) -> list[str]:
    """What the tables' reader must know."""
    return [
        "average relative error: mean of |Q - X| / |X| over the elements X != 0, then the mean of "
        f"{len(report.tensors)} layers; bias: sum(|Q| - |X|) / sum|X|, likewise",
        f"random words: {report.generator}({report.seed}), {report.random_bits} bits, "
        "the same for every setting of a tensor",
    ]
