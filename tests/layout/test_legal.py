"""Cells put into rows near where they are wished."""

from dataclasses import replace

import pytest

from mlsmac.synth.layout.legal import legalize
from mlsmac.synth.layout.placement import Point, check, place
from mlsmac.synth.mapping.netlist import Cell, Netlist


def test_a_legal_placement_stays(ring, tiny):
    netlist = ring(60)
    placed = place(netlist, tiny, row_um=1)
    assert legalize(netlist, tiny, placed) == placed


def test_new_and_wider_cells_push_the_others_a_little(ring, tiny):
    netlist = ring(60)
    placed = place(netlist, tiny, row_um=1)
    wider = {"g001": replace(netlist.cells["g001"], kind="DFF")}
    buffer = Cell("b", "INV", {"A": "n3", "Y": "b"})
    changed = replace(netlist, cells=netlist.cells | wider | {"b": buffer})
    wish = placed.centre("g003", "NAND2")
    after = legalize(changed, tiny, placed, {"b": wish})
    check(after, changed)
    x, y = after.centre("b", "INV")
    assert abs(x - wish.x) + abs(y - wish.y) <= 6
    assert (after.rows, after.width_um, after.ports) == (placed.rows, placed.width_um, placed.ports)
    stay = sum(after.cells[name] == point for name, point in placed.cells.items())
    assert stay > 30


def test_a_core_without_room_gets_rows(tiny):
    cells = {f"g{n}": Cell(f"g{n}", "INV", {"A": f"n{n}", "Y": f"n{n + 1}"}) for n in range(9)}
    netlist = Netlist("chain", cells, {"a": ["n0"]}, {"z": ["n9"]})
    placed = place(netlist, tiny, row_um=1, density=1)
    corner = Point(placed.width_um, placed.height_um)
    placed = replace(placed, ports={"n0": corner, "n9": Point(0, 0)})
    flops = {f"f{n}": Cell(f"f{n}", "DFF", {"D": "n0", "CK": "n1"}) for n in range(2)}
    more = replace(netlist, cells=cells | flops)
    after = legalize(more, tiny, placed, dict.fromkeys(flops, Point(0, 0)))
    check(after, more)
    assert after.rows > placed.rows
    assert after.width_um == 9  # a flop's, which is wider than the core was
    assert after.ports == {"n0": Point(9, after.height_um), "n9": Point(0, 0)}


def test_a_cell_without_a_place_is_an_error(ring, tiny):
    placed = place(ring(10), tiny, row_um=1)
    with pytest.raises(ValueError, match="cell g010 must have a place before or be wished"):
        legalize(ring(12), tiny, placed)
