"""`mlsmac dots`: options to measured dot units to tables."""

from pathlib import Path

from ..study.html import dot_html
from ..study.plots import dot_plot, trade_plot
from ..study.rows import DotReport
from ..support.files import write_whole
from .measuring import dot_remarks
from .output import json_text


def write(report: DotReport, directory: Path) -> list[Path]:
    """Write dots.json, dots.html, dots.svg and trade.svg into `directory`, each file whole."""
    plots = {"dots": dot_plot(report.rows), "trade": trade_plot(report.rows)}
    files = {
        directory / "dots.json": json_text(report),
        directory / "dots.html": dot_html(report, plots),
        **{directory / f"{name}.svg": svg for name, svg in plots.items()},
    }
    write_whole(files)
    return list(files)


def remarks(report: DotReport) -> list[str]:
    """What the tables' reader must know."""
    return [
        *dot_remarks(report.rows, report.baselines),
        f"energies with glitches; {report.surroundings}",
    ]
