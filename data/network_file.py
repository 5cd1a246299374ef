"""Networks as tables of their layers, read from and written to files.

Comma-separated values: a heading, a line a layer, the classifier last. Lines with `#` before them
may give `name: ...`, `data: ...` and `batch: ...`.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from ..support.errors import UserError
from .networks import Convolution, Network

DEFAULT_BATCH = 128
MOST_SAMPLES = 1 << 24
_MOST = {"in_channels": 1 << 20, "out_channels": 1 << 20, "groups": 1 << 20, "kernel": 1 << 10}
_MOST_OTHER = 1 << 16
_FIELDS = {field.name: field for field in fields(Convolution)}
_NEEDED = [name for name, field in _FIELDS.items() if field.default is MISSING]


def network_table(network: Network) -> str:
    """A network as the text of a file, which `parse_network` reads."""
    about = {"name": network.name, "data": network.data, "batch": network.batch}
    lines = [f"# {key}: {value}" for key, value in about.items()]
    lines.append(",".join(_FIELDS))
    for layer in network.layers:
        lines.append(",".join(str(int(getattr(layer, name))) for name in _FIELDS))
    return "\n".join(lines) + "\n"


def read_network(path: Path) -> Network:
    """The network of a file. Raises: UserError that names line and rule, OSError."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be text: {error}") from None
    return parse_network(text, str(path), path.stem)


def parse_network(text: str, source: str = "network", name: str = "network") -> Network:
    """The network of a file's text, `name` where it has none. Raises: UserError, which names
    `source`, line and rule.
    """
    about: dict[str, str] = {"name": name, "data": source}
    heading: list[str] = []
    layers: list[Convolution] = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{source}, line {number}"
        if line.startswith("#"):
            key, colon, value = line[1:].partition(":")
            if colon and key.strip() in ("name", "data", "batch"):
                about[key.strip()] = value.strip()
        elif line.strip():
            cells = [cell.strip() for cell in next(csv.reader([line]))]
            if heading:
                layers.append(_layer(_named(heading, cells, where), where))
            else:
                heading = _heading(cells, where)
    found = checked(layers, source)
    given = about.pop("batch", str(DEFAULT_BATCH))
    batch = _integer("batch", given, MOST_SAMPLES, source)
    return Network(**about, batch=batch, convolutions=found[:-1], classifier=found[-1])


def checked(layers: Sequence[Convolution], source: str) -> tuple[Convolution, ...]:
    """Layers that can be a network. Raises: UserError, which names `source`."""
    if len(layers) < 3:
        rule = "must have three layers or more, since the first and the last are not quantized"
        raise UserError(f"{source} {rule}, not {len(layers)}")
    return tuple(layers)


def _heading(cells: Sequence[str], where: str) -> list[str]:
    if unknown := [cell for cell in cells if cell not in _FIELDS]:
        raise UserError(f"{where}: columns are {', '.join(_FIELDS)}, not {unknown[0]!r}")
    if missing := [name for name in _NEEDED if name not in cells]:
        raise UserError(f"{where}: there must be a column {missing[0]}")
    if twice := [cell for cell in cells if cells.count(cell) > 1]:
        raise UserError(f"{where}: a column must stand once, and {twice[0]} does not")
    return list(cells)


def _named(heading: Sequence[str], cells: Sequence[str], where: str) -> dict[str, str]:
    if len(cells) != len(heading):
        raise UserError(f"{where}: there must be {len(heading)} values, not {len(cells)}")
    return dict(zip(heading, cells, strict=True))


def _layer(cells: Mapping[str, str], where: str) -> Convolution:
    found: dict[str, Any] = {}
    for name, text in cells.items():
        if not text and name not in _NEEDED:
            continue
        if _FIELDS[name].type is bool:
            if text not in ("0", "1"):
                raise UserError(f"{where}: {name} must be 0 or 1, not {text!r}")
            found[name] = text == "1"
        else:
            found[name] = _integer(name, text, _MOST.get(name, _MOST_OTHER), where)
    layer = Convolution(**found)
    for name in ("in_channels", "out_channels"):
        if found[name] % layer.groups:
            rule = f"groups must divide {name}, {found[name]}"
            raise UserError(f"{where}: {rule}, and {layer.groups} does not")
    return layer


def _integer(name: str, text: str, most: int, where: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
        raise UserError(f"{where}: {name} must be an integer in 1..{most}, not {text!r}")
    return int(text)
