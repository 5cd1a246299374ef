"""Netlists to place."""

from pathlib import Path

import pytest

from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.netlist import Cell, Netlist

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"


@pytest.fixture(scope="session")
def tiny():
    """INV of area 2, NAND2 3, TIE 1, DFF 9: their widths in rows of 1 um."""
    return load(TINY)


@pytest.fixture(scope="session")
def ring():
    """A maker of netlists: NAND gates and flops in turn, each joined to the next and to one that is
    two apart.
    """

    def made(count):
        cells = {}
        for number in range(count):
            own, last, other = (f"n{(number - back) % count}" for back in (0, 1, 2))
            name = f"g{number:03}"
            if number % 2:
                cells[name] = Cell(name, "NAND2", {"A": last, "B": other, "Y": own})
            else:
                cells[name] = Cell(name, "DFF", {"CK": "clk", "D": last, "Q": own})
        return Netlist("ring", cells, {"clk": ["clk"]}, {"z": ["n0", "n1", "1'0"]})

    return made
