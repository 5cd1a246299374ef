"""Cell libraries: what one or several Liberty files say, in one set of units.

Units everywhere: ns, pF, pJ, W, V, um^2. Cells are converted when first asked for.
Source: Liberty User Guide (NLDM, internal_power, leakage_power); energies in power tables are in
capacitive_load_unit * voltage_unit^2, leakage is in leakage_power_unit.
"""

import functools
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from .cells import LibertyCell, LibertyError
from .reader import CellReader
from .rules import Corner, check_cell, check_head, check_text, corner, family
from .syntax import Group, cleaned, decoded, parse, written
from .tables import TEMPLATES

Files: TypeAlias = Path | str | Sequence[Path]
"""A Liberty file, or several that make one library."""


def paths(files: Files) -> tuple[Path, ...]:
    """Each file's path."""
    return (Path(files),) if isinstance(files, str | Path) else tuple(files)


@dataclass(frozen=True, eq=False)
class Library:
    """A library: `volts` is the supply of the default operating conditions.

    `cells` converts a cell when it is first asked for; `library[kind]` also checks it is complete.
    """

    name: str
    files: tuple[str, ...]
    """File names, for messages."""
    corner: Corner
    cells: Mapping[str, LibertyCell]
    heads: tuple[Group, ...] = field(repr=False)
    """The library groups, one or more, all of one corner and in one set of units."""

    @property
    def volts(self) -> float:
        """The supply, V."""
        return self.corner.volts

    def __getitem__(self, kind: str) -> LibertyCell:
        """The cell `kind`, for timing and power. Raises: LibertyError (absent, incomplete)."""
        if kind not in self._complete:
            if kind not in self.cells:
                where = f"library {self.name} ({', '.join(self.files)})"
                raise LibertyError(f"cell must be one of {where}, not {kind!r}")
            try:
                check_cell(self.cells[kind])
            except LibertyError as error:
                raise LibertyError(f"{', '.join(self.files)}: {error}") from None
            self._complete[kind] = self.cells[kind]
        return self._complete[kind]

    @cached_property
    def _complete(self) -> dict[str, LibertyCell]:
        """Cells that were checked: a netlist asks for each of them a thousand times."""
        return {}

    @cached_property
    def odd(self) -> dict[str, str]:
        """Cells that we cannot read, or that lack something, and the rule that they break."""
        found: dict[str, str] = {}
        for kind in self.cells:
            try:
                if _kept_out(self.cells[kind]) is None:
                    check_cell(self.cells[kind])
            except LibertyError as error:
                found[kind] = str(error)
        return found

    def oddities(self, limit: int = 3) -> str:
        """The rules that cells break, some of them and how many more."""
        some = "; ".join(list(self.odd.values())[:limit])
        more = len(self.odd) - limit
        return some + (f"; and {more} more" if more > 0 else "")

    @cached_property
    def unusable(self) -> dict[str, str]:
        """Cells that mapping must not use, with why: what they are in two words, or the rule that
        they break.
        """
        return {
            kind: reason
            for kind in self.cells
            if (reason := self.odd.get(kind) or _kept_out(self.cells[kind]))
        }

    @cached_property
    def readable(self) -> dict[str, LibertyCell]:
        """Cells that can be converted, usable or not: latches and clock gates too."""
        return {kind: self.cells[kind] for kind in self.cells if kind not in self.odd}

    @property
    def row_height_um(self) -> float | None:
        """Of the first cell that gives a height or a width, which Liberty does not define but some
        files have; None where none does.
        """
        for head in self.heads:
            for cell in head.of("cell"):
                height, width, area = map(cell.get, ("cell_height", "cell_width", "area"))
                if height:
                    return float(height)
                if width and area:
                    return float(area) / float(width)
        return None

    def usable(self, dont_use: Collection[str] = ()) -> dict[str, LibertyCell]:
        """Cells that mapping may use, less those whose names match one of the patterns
        `dont_use`.
        """
        return {
            kind: self.cells[kind]
            for kind in self.cells
            if kind not in self.unusable
            and not any(fnmatchcase(kind, pattern) for pattern in dont_use)
        }

    def text(self, kinds: Collection[str], *, wire_loads: bool = True) -> str:
        """One Liberty text with the cells `kinds`, for tools that read fewer dialects and one file:
        no comments, no continued lines, and without `wire_loads` no default ones.
        """
        first = self.heads[0]
        is_dropped = () if wire_loads else "default_wire_load"
        values = {k: v for k, v in first.values.items() if not k.startswith(is_dropped)}
        head = Group(first.kind, first.args, values, first.lists)
        templates: dict[tuple[str, str], str] = {}  # texts so far
        cells: list[str] = []
        for number, library in enumerate(self.heads):
            known = {(group.kind, group.name) for group in head.groups}
            renamed: dict[str, str] = {}
            for group in library.of(*TEMPLATES):
                whole = "".join(written(group))
                if templates.setdefault((group.kind, group.name), whole) != whole:
                    renamed[group.name] = f"{group.name}__{number}"
            for group in library.groups:
                if group.kind in TEMPLATES:
                    name = renamed.get(group.name, group.name)
                    templates[group.kind, name] = "".join(written(_named(group, name)))
                elif group.kind == "cell":
                    cells += written(group, renamed) if group.name in kinds else ()
                elif (group.kind, group.name) not in known:
                    head.groups.append(group)
        *start, end = written(head)
        return "".join([*start, *templates.values(), *cells, end])


def _kept_out(cell: LibertyCell) -> str | None:
    return cell.barred or (None if cell.outputs else "no output")


def _named(group: Group, name: str) -> Group:
    return Group(group.kind, (name,), group.values, group.lists, group.groups)


class _LazyCells(Mapping[str, LibertyCell]):
    """Cells by name, each converted from its group on first use."""

    def __init__(self, nodes: Mapping[str, tuple[CellReader, Group]]) -> None:
        self._nodes = nodes
        self._cells: dict[str, LibertyCell] = {}

    def __getitem__(self, kind: str) -> LibertyCell:
        if kind not in self._cells:
            reader, node = self._nodes[kind]
            self._cells[kind] = reader.cell(node)
        return self._cells[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


def load(files: Files) -> Library:
    """Read a library from a Liberty file, plain or compressed, or from several of one family.

    Raises: OSError; LibertyError, in one line with the file (not there, no Liberty file, no power
    tables, leakage, area or flop description at all, unreadable units, and what `rules` has);
    cells are checked one by one when first used. Equal files are parsed once a process.
    """
    every = paths(files)
    for path in every:
        if not path.is_file():
            there = "is a folder" if path.is_dir() else "is a device or a pipe"
            found = there if path.exists() else "is not there"
            raise LibertyError(f"Liberty file must be a file, but {str(path)!r} {found}")
    return _parsed(tuple(path.name for path in every), tuple(path.read_bytes() for path in every))


@functools.lru_cache(maxsize=4)
def _parsed(names: tuple[str, ...], contents: tuple[bytes, ...]) -> Library:
    """Once a process: whoever reads the same files shares the cells that were converted."""
    texts = [cleaned(decoded(d, name), name) for name, d in zip(names, contents, strict=True)]
    check_text(texts, names)
    found = [
        (name, group)
        for name, text in zip(names, texts, strict=True)
        for group in parse(text, name)
    ]
    return _library(found, names)


def _library(found: Sequence[tuple[str, Group]], names: tuple[str, ...]) -> Library:
    nodes: dict[str, tuple[CellReader, Group]] = {}
    places: dict[str, str] = {}
    for file, group in found:
        try:
            check_head(group)
            reader = CellReader(group)
            where = corner(group)
        except ValueError as error:
            raise LibertyError(f"{file}: {error}") from None
        for node in group.of("cell"):
            if node.name in nodes:
                both = " and ".join(dict.fromkeys([places[node.name], file]))
                raise LibertyError(f"{both}: cell {node.name} must stand once, but stands twice")
            nodes[node.name], places[node.name] = (reader, node), file
    for (one, first), (two, second) in itertools.pairwise(found):
        if differing := family(first, second):
            raise LibertyError(f"{one} and {two} must agree in {differing} to be one library")
    heads = tuple(group for _, group in found)
    return Library(heads[0].name, names, where, _LazyCells(nodes), heads)
