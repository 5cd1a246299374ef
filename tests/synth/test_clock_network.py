"""The way of the clock to the flops: what it is, and what is none."""

import pytest

from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.timing.clock_network import ClockNetwork, ClockTree, clock_network, clock_tree

CELLS = {
    "b": ("BUF", {"A": "clk", "Y": "k0"}),
    "i": ("INV", {"A": "k0", "Y": "k1"}),
    "j": ("INV", {"A": "k1", "Y": "k2"}),
    "g": ("CGATET", {"CK": "k2", "E": "e", "SE": "1'0", "GCK": "k3"}),
    "h": ("CGATE", {"CK": "k3", "E": "x", "GCK": "k4"}),
    "n": ("NAND2", {"A": "k1", "B": "1'1", "Y": "k5"}),
    "x": ("INV", {"A": "e", "Y": "x"}),
    "f0": ("DFF", {"CK": "clk", "D": "d", "Q": "q0"}),
    "f1": ("DFF", {"CK": "k0", "D": "d", "Q": "q1"}),
    "f2": ("DFFE", {"CK": "k4", "D": "d", "E": "e", "Q": "q2"}),
    "f3": ("DFF", {"CK": "k5", "D": "d", "Q": "q3"}),
}


def made(cells):
    cells = {name: Cell(name, kind, pins) for name, (kind, pins) in cells.items()}
    return Netlist("top", cells, {"clk": ["clk"], "d": ["d"], "e": ["e"]}, {})


def test_tree(toy):
    """Each cell after the one that drives it, with the pin that the clock comes by."""
    tree = clock_tree(made(CELLS), toy, "clk")
    assert tree == ClockTree(
        {"b": "A", "i": "A", "j": "A", "g": "CK", "h": "CK", "n": "A"},
        {"clk": True, "k0": True, "k1": False, "k2": True, "k3": True, "k4": True, "k5": True},
        {"f0": "clk", "f1": "k0", "f2": "k4", "f3": "k5"},
    )
    order = list(tree.cells)
    assert all(order.index(one) < order.index(two) for one, two in ("bi", "ij", "jg", "gh", "in"))


def test_network(toy):
    """Not what opens the gates."""
    cells = frozenset({"b", "i", "j", "g", "h", "n"})
    assert clock_network(made(CELLS), toy) == ClockNetwork(frozenset({"clk"}), cells)


ALONE = "the clock must go to clock pins of flops alone"


@pytest.mark.parametrize(
    ("name", "kind", "pins", "message"),
    [
        ("f0", "DFF", {"CK": "k1", "D": "d", "Q": "q0"}, "f0 must be clocked by the rising edge"),
        ("f0", "DFFN", {"CK": "clk", "D": "d", "Q": "q0"}, "f0 must be clocked by the rising edge"),
        ("f0", "DFF", {"CK": "d", "D": "d", "Q": "q0"}, "f0 must be clocked by the rising edge"),
        ("f0", "DFF", {"CK": "k0", "D": "k2", "Q": "q0"}, ALONE),
        ("g", "CGATE", {"CK": "k1", "E": "e", "GCK": "k3"}, "g must be clocked by the rising edge"),
        ("g", "CGATE", {"CK": "e", "E": "k2", "GCK": "k3"}, ALONE),
        ("n", "NAND2", {"A": "k1", "B": "e", "Y": "k5"}, ALONE),
        ("n", "NAND2", {"A": "k1", "B": "1'0", "Y": "k5"}, ALONE),
        ("n", "NAND2", {"A": "k1", "B": "k2", "Y": "k5"}, ALONE),
        ("h", "CGATE", {"CK": "k3", "E": "k3", "GCK": "k4"}, "come to h by one pin, not by two"),
    ],
)
def test_what_is_no_tree(toy, name, kind, pins, message):
    with pytest.raises(ValueError, match=message):
        clock_tree(made(CELLS | {name: (kind, pins)}), toy, "clk")
