"""Placements: legal, complete, the same each time, and short."""

import re
from dataclasses import replace

import numpy as np
import pytest

from mlsmac.support.errors import ToolError, UserError
from mlsmac.synth.layout import coloquinte_placer
from mlsmac.synth.layout.placement import PLACERS, Point, check, default_placer, place
from mlsmac.synth.layout.wires import half_perimeters, lengths, pins, trees
from mlsmac.synth.mapping.netlist import Cell, Netlist


@pytest.fixture(params=PLACERS)
def placer(request):
    pytest.importorskip({"annealed": "numba"}.get(request.param, request.param))
    return request.param


def _inverter(name, a, y):
    return Cell(name, "INV", {"A": a, "Y": y})


def test_a_placement_is_legal_and_the_same_again(ring, tiny, placer):
    netlist = ring(40)
    placed = place(netlist, tiny, row_um=3, placer=placer)
    check(placed, netlist)
    assert placed.cells.keys() == netlist.cells.keys()
    assert placed.ports.keys() == {"clk", "n0", "n1"}
    assert placed.widths_um == {"NAND2": 1, "DFF": 3}
    assert placed.site_um == 1
    assert 0.6 < (20 * 3 + 20 * 9) / placed.area_um2 <= 0.7
    assert 0.8 < placed.width_um / placed.height_um < 1.25
    assert place(netlist, tiny, row_um=3, placer=placer) == placed


def test_what_is_joined_is_near(ring, tiny, placer):
    """Half the length that chance gives is easily met."""
    netlist = ring(60)
    placed = place(netlist, tiny, row_um=1, placer=placer)
    nets = netlist.nets()[3:]
    mixed = dict(zip(netlist.cells, np.random.default_rng(1).permutation(60), strict=True))
    corners = list(placed.cells.values())
    chance = replace(placed, cells={name: corners[number] for name, number in mixed.items()})
    own, by_chance = lengths(netlist, placed), lengths(netlist, chance)
    assert sum(own[net] for net in nets) < 0.5 * sum(by_chance[net] for net in nets)


@pytest.mark.parametrize("density", [0.3, 1.0])
def test_density_is_kept_as_far_as_there_is_room(ring, tiny, placer, density):
    netlist = ring(40)
    placed = place(netlist, tiny, row_um=3, density=density, placer=placer)
    covered = 240 / placed.area_um2
    assert density - 0.2 < covered <= density


def test_one_cell_and_cells_alone(tiny, placer):
    one = Netlist("one", {"g": _inverter("g", "a", "z")}, {"a": ["a"]}, {"z": ["z"]})
    assert len(place(one, tiny, row_um=1, placer=placer).cells) == 1
    flops = {f"f{n}": Cell(f"f{n}", "DFF", {"CK": "clk", "D": "d"}) for n in range(5)}
    flops["t"] = Cell("t", "TIE", {"Y": "y"})
    unread = Netlist("flops", flops, {"clk": ["clk"], "d": ["d"]}, {})
    placed = place(unread, tiny, row_um=1, placer=placer)
    assert len(placed.cells) == 6
    assert lengths(unread, placed)["y"] == 0


def test_no_port_and_no_net(tiny, placer):
    netlist = Netlist("alone", {f"t{n}": Cell(f"t{n}", "TIE", {}) for n in range(4)}, {}, {})
    placed = place(netlist, tiny, row_um=1, placer=placer)
    assert placed.ports == {}
    assert lengths(netlist, placed) == {}


def test_pins_of_ports_stand_evenly_around_the_core(ring, tiny):
    netlist = replace(ring(40), inputs={"clk": ["clk"], "x": [f"x[{n}]" for n in range(9)]})
    placed = place(netlist, tiny, row_um=1)
    width, height = placed.width_um, placed.height_um
    along = []
    for x, y in placed.ports.values():
        assert x in (0, width) or y in (0, height)
        side = [y, height + x, 2 * height + width - y, 2 * (height + width) - x]
        along.append(side[[x == 0, y == height, x == width, True].index(True)])
    assert np.diff(along) == pytest.approx(2 * (width + height) / 12, abs=0.002)


def test_wires_are_bounded_by_boxes_and_constants_have_none(ring, tiny):
    netlist = ring(30)
    cells = netlist.cells | {"tied": Cell("tied", "NAND2", {"A": "1'1", "B": "n3", "Y": "n30"})}
    netlist = replace(netlist, cells=cells)
    placed = place(netlist, tiny, row_um=1)
    wires, boxes = lengths(netlist, placed), half_perimeters(netlist, placed)
    assert list(wires) == netlist.nets()
    assert all(boxes[net] <= wires[net] + 1e-9 for net in wires)
    assert wires["n30"] == 0
    assert {net: tree.length for net, tree in trees(netlist, placed).items()} == pytest.approx(
        wires
    )
    assert tuple(pins(netlist, placed)["n0"][0]) == placed.ports["n0"]


def test_a_wire_by_hand(tiny):
    """Two inverters, 2 um wide, in one row: a to the first one's centre, and so on."""
    cells = {"g": _inverter("g", "a", "m"), "h": _inverter("h", "m", "z")}
    netlist = Netlist("two", cells, {"a": ["a"]}, {"z": ["z"]})
    placed = place(netlist, tiny, row_um=1)
    placed = replace(
        placed,
        cells={"g": Point(0, 0), "h": Point(4, 1)},
        ports={"a": Point(0, 1), "z": Point(8, 1)},
    )
    assert lengths(netlist, placed) == {"a": 1.5, "z": 3.5, "m": 5}


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (Point(1, 0), "cells must not overlap, but a and b do"),
        (Point(0, 0.5), "must lie in a row"),
        (Point(0, 9), "must lie in a row"),
        (Point(-2, 0), "must lie in a row"),
        (Point(3, 0), "must lie in a row"),
        (Point(0.5, 1), "must lie in a row"),
    ],
)
def test_what_is_not_legal_is_found(tiny, point, said):
    cells = {"a": _inverter("a", "x", "y"), "b": Cell("b", "NAND2", {"A": "x", "Y": "z"})}
    netlist = Netlist("two", cells, {"x": ["x"]}, {})
    placed = place(netlist, tiny, row_um=1)
    placed = replace(placed, cells={"a": Point(0, 0), "b": point}, width_um=5)
    with pytest.raises(ToolError, match=said):
        check(placed, netlist)


def test_all_cells_must_be_placed(ring, tiny):
    placed = place(ring(10), tiny, row_um=1)
    with pytest.raises(ToolError, match="all cells of ring must be placed"):
        check(placed, ring(12))


def test_mistakes_have_one_line(ring, tiny):
    with pytest.raises(UserError, match="wires must have cells to be placed, but has none"):
        place(Netlist("wires", {}, {"a": ["a"]}, {"z": ["a"]}), tiny, row_um=1)
    with pytest.raises(UserError, match=r"density must be above 0 and at most 1, not 1\.5"):
        place(ring(4), tiny, row_um=1, density=1.5)
    with pytest.raises(UserError, match="placer must be one of coloquinte, annealed, not 'x'"):
        place(ring(4), tiny, row_um=1, placer="x")


def test_a_placer_that_fails_is_told_in_one_line(ring, tiny, monkeypatch):
    monkeypatch.setattr(coloquinte_placer, "_SCRIPT", "raise RuntimeError('no room')")
    with pytest.raises(ToolError, match=r"^coloquinte found no placement: RuntimeError: no room$"):
        place(ring(4), tiny, row_um=1, placer="coloquinte")
    monkeypatch.setattr(coloquinte_placer, "_SCRIPT", "import no_such_module")
    remedy = re.escape("pip install 'mlsmac[layout]'")
    with pytest.raises(ToolError, match=remedy):
        place(ring(4), tiny, row_um=1, placer="coloquinte")


def test_nothing_is_written_where_results_go(ring, tiny, placer, capfd):
    place(ring(20), tiny, row_um=1, placer=placer)
    assert capfd.readouterr() == ("", "")


def test_the_placer_has_a_name():
    assert default_placer() in PLACERS


@pytest.mark.eda
def test_a_mac_has_wires_as_long_as_either_placer_makes_them(mac):
    """The two placers know nothing of each other: their lengths differ by less than a fifth."""
    pytest.importorskip("coloquinte")
    pytest.importorskip("numba")
    totals = []
    for placer in PLACERS:
        placed = place(mac.netlist, mac.library, row_um=mac.pdk.row_um, placer=placer)
        totals.append(sum(lengths(mac.netlist, placed).values()))
    assert 0.8 < totals[0] / totals[1] < 1.25
