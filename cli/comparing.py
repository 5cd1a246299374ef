"""Reports side by side, of `mlsmac compare` and of several libraries: tables, page, plot."""

from collections.abc import Sequence
from pathlib import Path

from ..study.compare import Comparison, statement
from ..study.compare_plot import comparison_plot
from ..study.html import comparison_html
from ..study.tables import Table
from ..support.files import write_whole
from .output import json_text, print_paths, show

_TITLES = {"compare": "What moved between reports", "libraries": "Libraries side by side"}


def present(
    comparison: Comparison, tables: Sequence[Table], name: str, output: Path, as_json: bool
) -> None:
    """Write NAME.json, NAME.html and NAME.svg into `output`, each whole, and print the tables."""
    plot = comparison_plot(comparison, ratios=name == "libraries")
    page = comparison_html(comparison, tables, {name: plot}, _TITLES[name])
    texts = {"json": json_text(comparison), "html": page, "svg": plot}
    files = {output / f"{name}.{suffix}": text for suffix, text in texts.items()}
    write_whole(files)
    show(comparison, as_json, tables, [*statement(comparison, moves=name == "compare")])
    print_paths(files)
