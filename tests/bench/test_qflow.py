"""Files of the placer, the router and the extractor that bench/layout.py runs."""

import pytest
from qflow.design import def_text, parse_routes
from qflow.graywolf import cel_text, parse_pl1
from qflow.lef import Lef, Macro, Metal, parse_lef
from qflow.magic import parse_ext
from qflow.routing import failed_nets
from qflow.sites import on_sites

from mlsmac.support.errors import ToolError
from mlsmac.synth.layout.placement import Placement, Point
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.simulation.testbench import ShortNames

LEF = """
LAYER metal1
  TYPE ROUTING ;
  PITCH 1 ;
  WIDTH 0.3 ;
  CAPACITANCE CPERSQDIST 4e-05 ;
  EDGECAPACITANCE 8e-05 ;
END metal1
LAYER via
  TYPE CUT ;
END via
VIA M2_M1 DEFAULT
  LAYER metal1 ;
    RECT -0.2 -0.2 0.2 0.2 ;
END M2_M1
MACRO INV
  SIZE 1.6 BY 10 ;
  PIN A
    PORT
      LAYER metal1 ;
        RECT 0.2 1 0.6 2 ;
        RECT 0.2 3 0.6 5 ;
    END
  END A
  PIN Y
    PORT
      LAYER metal1 ;
        RECT 1 2 1.4 8 ;
    END
  END Y
END INV
"""
CHAIN = Netlist(
    "chain",
    {
        "one": Cell("one", "INV", {"A": "a", "Y": "b"}),
        "two": Cell("two", "INV", {"A": "b", "Y": "y"}),
    },
    {"a": ["a"]},
    {"y": ["y"]},
)
NAMES = ShortNames(CHAIN)  # a, y, b: n0, n1, n2; one, two: g0, g1
CELLS = Lef({}, {"INV": Macro(1.6, {"A": Point(0.4, 4), "Y": Point(1.2, 5)})})


def test_a_lef_file_has_metals_and_macros() -> None:
    lef = parse_lef(LEF)
    assert lef == Lef({"metal1": Metal(0.3, 4e-05, 8e-05)}, CELLS.macros)
    assert lef.metals["metal1"].pf_um == pytest.approx(0.3 * 4e-05 + 2 * 8e-05)


def test_graywolf_gets_cells_with_free_sites_and_pads() -> None:
    text = cel_text(CHAIN, NAMES, CELLS)
    # Four sites at 3/4: one free site in all, and the second cell has it.
    assert "cell 0 g0\nleft -80 right 80 bottom -500 top 500\n" in text
    assert "cell 1 g1\nleft -120 right 120 bottom -500 top 500\n" in text
    assert "pin name A signal n2 layer 1 -80 -100\n" in text
    assert text.count("twpin_") == 2


def test_a_placement_of_graywolf_starts_at_its_core() -> None:
    text = (
        "g0 -100 -200 140 800 3 1\ng1 140 800 380 1800 0 2\n"
        "twpin_n0 -400 50 -320 150 7 -1\ntwpin_n1 100 2000 180 2100 3 -4\n"
    )
    placed = parse_pl1(text, CHAIN, NAMES, CELLS)
    assert (placed.width_um, placed.rows, placed.widths_um) == (4.8, 2, {"INV": 1.6})
    assert placed.cells == {"one": Point(0, 0), "two": Point(2.4, 10)}
    assert placed.ports == {"a": Point(0, 3), "y": Point(2.4, 20)}


def _placed(first: float, second: float, width: float = 8.0) -> Placement:
    return Placement(
        width_um=width,
        row_um=10,
        rows=1,
        widths_um={"INV": 1.0},
        cells={"one": Point(first, 0), "two": Point(second, 0)},
        ports={"a": Point(0, 4.2), "y": Point(width, 5)},
    )


@pytest.mark.parametrize(
    ("first", "second", "width", "sites"),
    [
        (1.0, 5.0, 8.0, (0.8, 4.8)),  # the nearest ones
        (1.0, 2.1, 8.0, (0.8, 2.4)),  # wider than they were: the second makes way
        (6.0, 7.0, 8.0, (4.8, 6.4)),  # at the end the first one does
        (0.0, 1.0, 2.0, (0.0, 1.6)),  # the core grows
    ],
)
def test_cells_come_to_stand_on_sites(
    first: float, second: float, width: float, sites: tuple[float, float]
) -> None:
    legal = on_sites(_placed(first, second, width), CHAIN, CELLS)
    assert [legal.cells[name].x for name in CHAIN.cells] == pytest.approx(sites)
    assert legal.width_um == pytest.approx(max(width, 3.2))
    assert legal.ports == {"a": Point(0, 5), "y": Point(legal.width_um, 5)}


def test_ports_without_room_are_an_error() -> None:
    wide = _placed(0, 4)
    nets = {f"p{number}": Point(0, 5) for number in range(6)}
    crowded = Placement(**{**vars(wide), "ports": nets})
    with pytest.raises(ToolError, match="room for 6 places, not 5"):
        on_sites(crowded, CHAIN, CELLS)


def test_a_design_has_cells_and_pins_on_tracks() -> None:
    text = def_text(CHAIN, NAMES, on_sites(_placed(1.0, 5.0), CHAIN, CELLS))
    assert "- g0 INV + PLACED ( 120 50 ) N ;\n" in text
    assert "- n1 + NET n1\n  + LAYER metal3 ( 0 0 ) ( 1 1 )\n  + PLACED ( 880 500 ) N ;\n" in text
    assert "- n2\n  ( g0 Y )\n  ( g1 A ) ;\n" in text


def test_lengths_are_those_of_wires_by_layer() -> None:
    text = """PINS 1 ;
- n0 + NET n0
  + PLACED ( 0 900 ) N ;
END PINS
NETS 3 ;
- n0
  ( PIN n0 )
  ( g1 A )
+ ROUTED metal2 ( 100 1000 ) ( * 600 ) M3_M2
  NEW metal3 ( 100 600 ) ( 350 * ) ( * 610 ) M3_M2
  NEW metal2 ( 350 600 ) M2_M1
  NEW metal2 ( 350 600 0 ) ( * 500 0 ) M2_M1 ;
- n2
  ( g0 Y )
  ( g1 A ) ;
- n1 ( PIN n1 ) ( g2 Y )
+ ROUTED metal1 ( 0 0 ) ( 40 * ) ;
END NETS
SPECIALNETS 1 ;
- n1
+ ROUTED metal1 40 ( 40 0 ) ( * 30 )
  NEW metal1 40 ( 0 0 ) ( * 10 ) ;
- n2
;
END SPECIALNETS
"""
    assert parse_routes(text) == {
        "n0": {"metal2": pytest.approx(5.0), "metal3": pytest.approx(2.6)},
        "n2": {},
        "n1": {"metal1": pytest.approx(0.8)},
    }
    with pytest.raises(ToolError, match="must have NETS"):
        parse_routes("END DESIGN\n")


EXT = """scale 1000 1 10
use INV g0 1 0 4 0 1 5
node "m1_5_5#" 3 300 5 5 m1 0 0
node "n0" 3 100 0 0 m2 0 0
node "n1" 3 50 0 0 m2 0 0
subcap "n0" -60
cap "n0" "m1_5_5#" 1000
cap "g0/vdd" "n0" 20
cap "g0/Y" "g1/A" 7000
merge "g0/Y" "g1/A" -10 0 0
merge "g1/A" "m1_5_5#"
merge "g0/A" "n0" -5 0 0
merge "g1/Y" "n1"
"""


def test_magic_s_capacitances_are_of_nets() -> None:
    found = parse_ext(EXT, CHAIN, NAMES)
    assert found == pytest.approx({"a": 1055e-6, "b": 1290e-6, "y": 50e-6})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXT + 'equiv "n0" "n1"\n', "nets a and y must be apart, but are joined"),
        (EXT.replace('"g0/Y" "g1/A"', '"g0/Y" "g9/A"'), "net b must join two, but its wires do"),
        (EXT.replace("1000 1 10", "1000 10 10"), "in aF, not in 10 of them"),
    ],
)
def test_wires_that_are_not_the_netlist_are_an_error(text: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        parse_ext(text, CHAIN, NAMES)


def test_failed_nets_are_those_of_the_last_stage() -> None:
    log = "Progress: Stage 1\nFailed net routes: 12\n...\nFinal: {}\n"
    assert failed_nets(log.format("No failed routes!")) == 0
    assert failed_nets(log.format("Failed net routes: 3")) == 3
    with pytest.raises(ToolError, match="qrouter must tell"):
        failed_nets("Abort\n")
