"""Tables as the terminal shows them, as Markdown, and as text that stands still."""

import io
from collections.abc import Iterable

import rich.table
from rich import box
from rich.console import Console

from .tables import Sheet, Table

WIDTH = 132
"""Columns where there is no terminal: room for the widest table."""


def shown(table: Table | Sheet) -> rich.table.Table:
    """For a console."""
    return _sheet(table) if isinstance(table, Sheet) else _table(table)


def _table(table: Table) -> rich.table.Table:
    made = rich.table.Table(
        title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    first, *others = table.columns
    made.add_column(first.heading, no_wrap=True)
    for column in others:
        made.add_column(column.heading, justify="right")
    for row in table.rows:
        made.add_row(*(column.in_terminal(row) for column in table.columns))
    return made


def _sheet(sheet: Sheet) -> rich.table.Table:
    return pairs(sheet.title, sheet.lines())


def pairs(title: str, lines: Iterable[tuple[str, str]]) -> rich.table.Table:
    """Names with their values, one a line."""
    made = rich.table.Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=False
    )
    made.add_column("figure", no_wrap=True)
    made.add_column("value", justify="right")
    for name, value in lines:
        made.add_row(name, value)
    return made


def text(table: Table | Sheet) -> str:
    """What a console shows, without trailing spaces."""
    console = Console(width=WIDTH, file=io.StringIO(), markup=False, emoji=False)
    with console.capture() as capture:
        console.print(shown(table))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).rstrip("\n")


def markdown(table: Table) -> str:
    """A table of Markdown; headings are the columns' titles."""
    lines = [
        [column.title.replace("\n", " ") for column in table.columns],
        *([column.text(row) for column in table.columns] for row in table.rows),
    ]
    heading, *rows = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([heading, "|---" * len(table.columns) + "|", *rows])
