"""What commands print: results on stdout, progress and places of files on stderr."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

# A file has room for the widest table; a terminal has its own width.
out = Console(width=None if sys.stdout.isatty() else 132)
err = Console(stderr=True)


def print_json(value: Any) -> None:
    """JSON on stdout, the same bytes for the same value."""
    print(json.dumps(value, indent=2))


def present(result: dict[str, Any], shown: ModuleType, output: Path, as_json: bool) -> None:
    """Write a report's files and print it."""
    paths = shown.write(result, output)
    show(result, as_json, shown.tables(result), shown.remarks(result))
    for path in paths:
        err.print(str(path), highlight=False, soft_wrap=True)


def show(
    result: dict[str, Any], as_json: bool, tables: Sequence[Table], remarks: Sequence[str]
) -> None:
    """Print a report, as JSON or as tables with remarks."""
    if as_json:
        print_json(result)
    else:
        for table in tables:
            out.print(table)
        for line in remarks:
            out.print(line, highlight=False, soft_wrap=True)


def exit_if_wrong(rows: Sequence[dict[str, Any]]) -> None:
    """Exit 1 where a unit computed anything wrong though it meets the clock."""
    from .measuring import is_wrong

    if any(is_wrong(row) for row in rows):
        sys.exit(1)
