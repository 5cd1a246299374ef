"""Sizing with wires: what can stand for what, estimates against the whole, and what comes out."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from mlsmac.synth.layout.changes import State
from mlsmac.synth.layout.sizing import sized, uniform
from mlsmac.synth.layout.variants import neighbours, variants
from mlsmac.synth.liberty.boolean import parse
from mlsmac.synth.liberty.roles import is_buffer
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.power.engine import Activity, evaluate
from mlsmac.synth.simulation.simulate import Simulation
from mlsmac.synth.timing.delays import analyse

pytestmark = pytest.mark.eda  # OSU's library

DONT_USE = ("CLKBUF*", "TBUF*")


@pytest.fixture(scope="module")
def kinds(osu_library):
    return variants(osu_library, DONT_USE)


def test_variants_of_a_library(kinds):
    assert {tuple(group) for group in kinds.values()} == {
        ("INVX1", "INVX2", "INVX4", "INVX8"),
        ("BUFX2", "BUFX4"),
        ("AND2X1", "AND2X2"),
        ("OR2X1", "OR2X2"),
    }
    assert neighbours("INVX2", kinds) == ["INVX1", "INVX4"]
    assert neighbours("BUFX4", kinds) == ["BUFX2"]
    assert neighbours("NAND2X1", kinds) == []


def test_variants_have_equal_truth_tables(kinds, osu_library):
    """Row by row, by their expressions alone."""
    for kind, others in kinds.items():
        pins = sorted(pin.name for pin in osu_library[kind].inputs)
        for other, row in itertools.product(
            others, itertools.product((False, True), repeat=len(pins))
        ):
            values = dict(zip(pins, map(np.bool_, row), strict=True))
            for pin in osu_library[kind].outputs:
                own = osu_library[other].pins[pin.name].function
                assert own.evaluate(values) == pin.function.evaluate(values)


def test_flops_are_alike_by_edge_and_next_state(osu_library):
    flop = osu_library["DFFPOSX1"]
    stores = replace(flop.flop, next_state=osu_library["DFFNEGX1"].flop.next_state)
    inverted = replace(flop.flop, next_state=parse("!D"))
    more = {
        "SAME": replace(flop, name="SAME", area_um2=200.0, flop=stores),
        "INVERTED": replace(flop, name="INVERTED", flop=inverted),
    }
    cells = {kind: osu_library.cells[kind] for kind in osu_library.cells}
    found = variants(replace(osu_library, cells={**cells, **more}), DONT_USE)
    assert found["SAME"] == ["DFFPOSX1", "SAME"]
    assert not {"DFFNEGX1", "DFFSR", "INVERTED"} & found.keys()


def test_buffers_are_told_by_their_function(osu_library):
    cells = osu_library.usable(DONT_USE)
    assert {kind for kind in cells if is_buffer(cells[kind])} == {"BUFX2", "BUFX4"}


@pytest.fixture(scope="module")
def placed(mac):
    """The MAC with long wires; activity as in a simulation."""
    dice = random.Random(3)
    wires = {net: round(dice.uniform(0.0, 0.05), 6) for net in mac.netlist.nets()}
    return wires, _activity(mac)


def _simulated(mac, netlist, timing):
    simulation = Simulation(
        netlist,
        mac.library,
        mac.stimulus,
        mac.expected,
        clock_ns=25.0,
        latency=mac.configuration.build().latency,
    )
    return simulation.run(timing)


def _activity(mac):
    return lambda netlist, timing: _simulated(mac, netlist, timing).activity


def _watts(netlist, library, wires, activity_of):
    timing = analyse(netlist, library, "clk", wires_pf=wires)
    return evaluate(netlist, library, timing, activity_of(netlist, timing), clock_net="clk").total


def test_estimates_are_those_of_the_whole(mac, placed, kinds):
    """But for slews further on: every change by itself."""
    wires, _ = placed
    timing = analyse(mac.netlist, mac.library, "clk", wires_pf=wires)
    activity = _simulated(mac, mac.netlist, timing).activity
    state = State(mac.netlist, mac.library, wires, lambda *_: activity, "clk")
    changes = state.changes(mac.netlist.cells, kinds, 1e3, -1.0)
    assert {change.kind is None for change in changes} == {False, True}
    assert len(changes) > 20
    for change in changes:
        more = state.after([change]).watts - state.watts
        assert change.watts == pytest.approx(more, rel=0.25, abs=3e-5 * state.watts)
    some = random.Random(4).sample(changes, 5)
    assert {c.name for c in some} <= {name for c in some for name in c.touched}


def test_a_sized_netlist_computes_the_same_with_less(mac, placed, kinds):
    wires, activity_of = placed
    arguments = mac.netlist, mac.library, kinds, wires, activity_of
    netlist = sized(*arguments, clock_net="clk", room=1.5)
    assert netlist != mac.netlist
    assert netlist == sized(*arguments, clock_net="clk", room=1.5)
    nets = set(netlist.nets())
    left = {net: pf for net, pf in wires.items() if net in nets}
    before = _watts(mac.netlist, mac.library, wires, activity_of)
    assert _watts(netlist, mac.library, left, activity_of) < before
    for timing in (None, analyse(netlist, mac.library, "clk", wires_pf=left)):
        assert _simulated(mac, netlist, timing).mismatches == 0


def test_no_path_gets_longer_without_room(mac, placed, kinds):
    wires, activity_of = placed
    state = State(mac.netlist, mac.library, wires, activity_of, "clk")
    for room in (0.5, 1.0):
        netlist = sized(
            *(mac.netlist, mac.library, kinds, wires, activity_of), clock_net="clk", room=room
        )
        left = {net: pf for net, pf in wires.items() if net in set(netlist.nets())}
        after = State(netlist, mac.library, left, activity_of, "clk")
        assert after.longest_ns <= state.longest_ns


def _small(*cells, y="y"):
    return Netlist(
        "top",
        {cell.name: cell for cell in cells},
        {"clk": ["clk"], "a": ["a"]},
        {"y": [y]},
    )


FLOPS = (
    Cell("f0", "DFFPOSX1", {"CLK": "clk", "D": "a", "Q": "q"}),
    Cell("f1", "DFFPOSX1", {"CLK": "clk", "D": "d", "Q": "y"}),
)


def _sized(netlist, library, wires, toggles=0.2, activity_of=None):
    def assumed(netlist, timing):
        own = {"clock_net": "clk", "clock_mhz": 40.0, "toggles": toggles}
        return uniform(netlist, library, **own)

    found = variants(library, DONT_USE)
    given = netlist, library, found, wires, activity_of or assumed
    return sized(*given, clock_net="clk", room=10.0)


def test_a_load_above_the_limit_takes_a_stronger_cell(osu_library):
    """Whatever it costs; the smallest one that can bear it."""
    netlist = _small(*FLOPS, Cell("g", "INVX1", {"A": "q", "Y": "d"}))
    limits = [osu_library[f"INVX{n}"].pins["Y"].max_load_pf for n in (1, 2, 4)]
    assert limits[0] < 0.8 < limits[1] < 1.5 < limits[2]
    for wire, kind in ((0.8, "INVX2"), (1.5, "INVX4")):
        after = _sized(netlist, osu_library, {"d": wire})
        assert after.cells["g"].kind == kind
        assert {name: after.cells[name] for name in ("f0", "f1")} == {c.name: c for c in FLOPS}


def test_a_needless_cell_shrinks(osu_library):
    netlist = _small(*FLOPS, Cell("g", "INVX8", {"A": "q", "Y": "d"}))
    assert _sized(netlist, osu_library, {"d": 0.001}).cells["g"].kind == "INVX1"


def test_buffers_are_left_out(osu_library):
    """All that no load needs, one after another; not those of ports."""
    buffers = [
        Cell("b0", "BUFX2", {"A": "q", "Y": "n"}),
        Cell("b1", "BUFX4", {"A": "n", "Y": "d"}),
    ]
    wires = {"q": 0.001, "n": 0.002, "d": 0.003}
    after = _sized(_small(*FLOPS, *buffers), osu_library, wires)
    assert after == _small(FLOPS[0], replace(FLOPS[1], pins={**FLOPS[1].pins, "D": "q"}))
    port = Cell("b2", "BUFX2", {"A": "y", "Y": "z"})
    kept = _small(FLOPS[0], replace(FLOPS[1], pins={**FLOPS[1].pins, "D": "q"}), port, y="z")
    assert _sized(kept, osu_library, {}) == kept


def test_a_buffer_behind_a_port_is_left_out(osu_library):
    first = replace(FLOPS[0], pins={**FLOPS[0].pins, "D": "n"})
    second = replace(FLOPS[1], pins={**FLOPS[1].pins, "D": "q"})
    buffer = Cell("b0", "BUFX2", {"A": "a", "Y": "n"})
    after = _sized(_small(first, second, buffer), osu_library, {"n": 0.001})
    assert after == _small(FLOPS[0], second)


def test_a_buffer_that_bears_the_load_stays(osu_library):
    buffer = Cell("b0", "BUFX4", {"A": "q", "Y": "d"})
    flop, bearing = (osu_library[kind].pins for kind in ("DFFPOSX1", "BUFX4"))
    assert flop["Q"].max_load_pf < 1.5 < bearing["Y"].max_load_pf
    after = _sized(_small(*FLOPS, buffer), osu_library, {"d": 1.5})
    assert after.cells["b0"].kind in ("BUFX2", "BUFX4")
    assert after.cells["f1"].pins["D"] == "d"


def test_activity_is_the_judge(osu_library):
    """What glitches more is not taken, however small the cells are."""
    netlist = _small(*FLOPS, Cell("g", "INVX8", {"A": "q", "Y": "d"}))

    def glitching(netlist, timing):
        busy = 1e9 if netlist.cells["g"].kind != "INVX8" else 1e6
        return {net: Activity(busy, 0.5) for net in netlist.nets()}

    assert _sized(netlist, osu_library, {}, activity_of=glitching) == netlist
