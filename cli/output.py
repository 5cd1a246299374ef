"""What commands print: results on stdout, progress and places of files on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console

from ..study.records import to_json
from ..study.rows import Best
from ..study.tables import Sheet, Table
from ..study.terminal import WIDTH, shown

# A terminal has its own width. Brackets and colons are text: of names, paths and remedies.
out = Console(width=None if sys.stdout.isatty() else WIDTH, markup=False, emoji=False)
err = Console(stderr=True, markup=False, emoji=False)


def json_text(value: Any) -> str:
    """Records as the text of a JSON file, the same bytes for the same value."""
    return json.dumps(to_json(value), indent=2) + "\n"


def print_json(value: Any) -> None:
    """JSON on stdout."""
    print(json_text(value), end="")


def present(
    report: Any, tables: Sequence[Table], module: ModuleType, output: Path, as_json: bool
) -> None:
    """Write a report's files and print it; its command's module has both ways."""
    paths = module.write(report, output)
    show(report, as_json, tables, module.remarks(report))
    print_paths(paths)


def print_paths(paths: Iterable[Path]) -> None:
    """Places of files on stderr."""
    for path in paths:
        err.print(str(path), highlight=False, soft_wrap=True)


def show(
    report: Any, as_json: bool, tables: Sequence[Table | Sheet], remarks: Sequence[str] = ()
) -> None:
    """Print a report, as JSON or as tables with remarks."""
    if as_json:
        print_json(report)
        return
    for table in tables:
        out.print(shown(table))
    for line in remarks:
        out.print(line, highlight=False, soft_wrap=True)


def warn(lines: Iterable[str]) -> None:
    """What a reader of the figures must know, beside JSON too: on stderr."""
    for line in lines:
        err.print(f"mlsmac: {line}", style="yellow", highlight=False, soft_wrap=True)


def exit_if_wrong(measured: Iterable[Best]) -> None:
    """Exit 1 where a unit computed anything wrong though it meets the clock."""
    if any(unit.is_wrong for unit in measured):
        sys.exit(1)
