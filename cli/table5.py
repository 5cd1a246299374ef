"""`mlsmac table5`: under which condition the ratios of the MLS paper come out."""

from pathlib import Path

from ..study.table5 import Table5, statement
from ..support.files import write_whole
from .output import json_text


def write(report: Table5, directory: Path) -> list[Path]:
    """Write table5.json into `directory`."""
    path = directory / "table5.json"
    write_whole({path: json_text(report)})
    return [path]


def remarks(report: Table5) -> list[str]:
    """What the table's reader must know."""
    return [
        statement(report),
        "combinational: no registers, no clock, no input nets; vectorless: random input bits, each "
        "toggles in a tenth of the cycles, zero delay; pre-layout: no wires, ideal clock",
    ]
