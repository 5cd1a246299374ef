"""Power: by hand on a tiny library, and against OpenSTA 3.1 on four real ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty import pdk
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.netlist import Cell, Netlist, parse_yosys_json, verilog_to_json
from mlsmac.synth.power.engine import (
    OPENSTA,
    Activity,
    Conventions,
    DefaultGroups,
    OutputPins,
    TiedPins,
    evaluate,
)
from mlsmac.synth.simulation.simulate import Simulation, Simulator
from mlsmac.synth.timing.clock_network import ClockNetwork
from mlsmac.synth.timing.delays import analyse

DATA = Path(__file__).parents[1] / "data" / "power"

NETLIST = Netlist(
    "top",
    {
        "part.u0": Cell("part.u0", "NAND2", {"A": "a", "B": "b", "Y": "n"}),
        "part.u1": Cell("part.u1", "INV", {"A": "n", "Y": "m"}),
        "f0": Cell("f0", "DFF", {"CK": "clk", "D": "m", "Q": "q"}),  # QN is open
    },
    {"a": ["a"], "b": ["b"], "clk": ["clk"]},
    {"q": ["q"]},
)
ACTIVITY = {
    "a": Activity(1e6, 0.25),
    "b": Activity(3e6, 0.5),
    "n": Activity(2e6, 0.75),
    "m": Activity(4e6, 0.375),
    "q": Activity(5e6, 0.125),
    "clk": Activity.clock(10),
}
V2 = 2.0**2


@pytest.fixture(scope="module")
def tiny():
    return load(DATA / "tiny.liberty")


def _evaluate(library, netlist=NETLIST, activity=ACTIVITY, **options):
    timing = analyse(netlist, library, "clk", output_load_pf=0.125)
    return evaluate(netlist, library, timing, activity, clock_net="clk", **options)


def test_clock_activity():
    assert Activity.clock(100) == Activity(200e6, 0.5)


def test_switching(tiny):
    power = _evaluate(tiny)
    # Half of C V^2 a toggle, C the larger of the rise and fall loads.
    assert power.instances["part.u0"].switching == pytest.approx(0.5 * 0.625e-12 * V2 * 2e6)
    assert power.instances["part.u1"].switching == pytest.approx(0.5 * 0.25e-12 * V2 * 4e6)
    assert power.instances["f0"].switching == pytest.approx(0.5 * 0.125e-12 * V2 * 5e6)


def test_nets_without_driver_have_rows_of_their_own(tiny):
    expected = {"a": 0.5 * 1e6, "b": 0.25 * 3e6, "clk": 0.5 * 20e6}
    assert _evaluate(tiny).nets == {
        net: pytest.approx(0.5e-12 * V2 * value) for net, value in expected.items()
    }


def test_nets_count_the_larger_load(tiny):
    cell = Cell("part.u1", "INV", {"A": "n", "Y": "m"})
    netlist = Netlist("top", {"part.u1": cell}, {"n": ["n"], "clk": ["clk"]}, {})
    assert _evaluate(tiny, netlist).nets["n"] == pytest.approx(0.5e-12 * 0.5 * V2 * 2e6)


def test_internal_of_an_output_at_the_causing_edges(tiny):
    # The rise (3 + slew) is caused by the input's fall of slew 2.5, the fall (5 + 2 slew + load) by
    # its rise of slew 0.75; the load is 0.25.
    expected = 4e6 * (5.5 + 6.75) / 2 * 1e-12
    assert _evaluate(tiny).instances["part.u1"].internal == pytest.approx(expected)


def test_internal_weighs_arcs_by_what_decides(tiny):
    weight_a, weight_b = 1e6 * 0.5, 3e6 * 0.25  # D(a) U(b), D(b) U(a)
    output = 2e6 * (2 * weight_a + 20 * weight_b) / (weight_a + weight_b)
    hidden = 1e6 * 0.5 * 3  # of pin A while B is 0
    power = _evaluate(tiny).instances["part.u0"].internal
    assert power == pytest.approx((output + hidden) * 1e-12)


def test_each_supply_is_averaged_apart(tiny):
    nand = tiny["NAND2"]
    a, b = nand.pins["Y"].energies
    supplies = (replace(a, supply="VDD"), replace(b, supply="VDD"), replace(b, supply="VSS"))
    pins = {**nand.pins, "Y": replace(nand.pins["Y"], energies=supplies)}
    library = replace(tiny, cells={**tiny.cells, "NAND2": replace(nand, pins=pins)})
    power = _evaluate(library).instances["part.u0"].internal
    weight_a, weight_b = 1e6 * 0.5, 3e6 * 0.25
    mean = (2 * weight_a + 20 * weight_b) / (weight_a + weight_b)
    assert power == pytest.approx((2e6 * (mean + 20) + 1e6 * 0.5 * 3) * 1e-12)


def _with_flop(library, pins):
    return replace(library, cells={**library.cells, "DFF": replace(library["DFF"], pins=pins)})


def test_the_order_of_a_flops_outputs_does_not_matter(tiny):
    pins = tiny["DFF"].pins
    order = ["CK", "D", "QN", "Q"]
    library = _with_flop(tiny, {name: pins[name] for name in order})
    assert _evaluate(library).instances["f0"] == pytest.approx(_evaluate(tiny).instances["f0"])


def test_default_group_of_another_supply(tiny):
    pins = tiny["DFF"].pins
    conditional, default = pins["CK"].energies
    groups = (replace(conditional, supply="VDD"), replace(default, supply="VSS"))
    library = _with_flop(tiny, {**pins, "CK": replace(pins["CK"], energies=groups)})
    always = Conventions(default_groups=DefaultGroups.ALWAYS)
    assert _evaluate(library).instances == _evaluate(tiny, conventions=always).instances


def test_internal_of_a_flop(tiny):
    clock = 20e6 * (0.375 * 0.875 * 3 + (1 - 0.375 * 0.875) * 1)  # D & QN, else the default
    data = 4e6 * (1.5 + 5) / 2  # slews 0.5 and 1.0
    outputs = 5e6 * (6 + 8)  # the open QN toggles with Q
    power = _evaluate(tiny).instances["f0"].internal
    assert power == pytest.approx((clock + data + outputs) * 1e-12)


def test_default_group_on_top(tiny):
    conventions = Conventions(default_groups=DefaultGroups.ALWAYS)
    more = (
        _evaluate(tiny, conventions=conventions).instances["f0"].internal
        - _evaluate(tiny).instances["f0"].internal
    )
    assert more == pytest.approx(20e6 * 0.375 * 0.875 * 1e-12)


def test_leakage(tiny):
    power = _evaluate(tiny)
    assert power.instances["part.u1"].leakage == pytest.approx(5e-9)
    # A & B, then !A & Y, which is !A as Y follows from A and B, then the rest.
    expected = 0.125 * 2e-9 + 0.75 * 4e-9 + 0.125 * 8e-9
    assert power.instances["part.u0"].leakage == pytest.approx(expected)
    assert power.instances["f0"].leakage == pytest.approx(0.875 * 3e-9 + 0.125 * 7e-9)


def test_independent_outputs(tiny):
    nets = {**NETLIST.cells["f0"].pins, "QN": "qn"}
    netlist = replace(NETLIST, cells={**NETLIST.cells, "f0": Cell("f0", "DFF", nets)})
    activity = {**ACTIVITY, "qn": Activity(6e6, 0.625)}
    power = _evaluate(tiny, netlist, activity, conventions=Conventions(OutputPins.OPENSTA))
    expected = 0.125 * 2e-9 + 0.75 * 0.75 * 4e-9 + (1 - 0.125 - 0.5625) * 8e-9
    assert power.instances["part.u0"].leakage == pytest.approx(expected)
    expected = 0.875 * 3e-9 + 0.125 * 0.375 * 7e-9
    assert power.instances["f0"].leakage == pytest.approx(expected)


def test_opensta_replaces_conditions_on_outputs_by_what_decides(tiny):
    nand = tiny["NAND2"]
    hidden = replace(nand.pins["A"].energies[0], when=nand.leakage[1].when)  # !A & Y
    pins = {**nand.pins, "A": replace(nand.pins["A"], energies=(hidden,))}
    library = replace(tiny, cells={**tiny.cells, "NAND2": replace(nand, pins=pins)})
    own = _evaluate(library).instances["part.u0"].internal
    theirs = _evaluate(library, conventions=Conventions(OutputPins.OPENSTA)).instances["part.u0"]
    assert own - theirs.internal == pytest.approx(1e6 * 3 * (0.75 - 0.5) * 1e-12)


def test_tied_pins(tiny):
    pins = {"A": "a", "B": "1'1", "Y": "n"}
    netlist = replace(NETLIST, cells={**NETLIST.cells, "part.u0": Cell("part.u0", "NAND2", pins)})
    power = _evaluate(tiny, netlist).instances["part.u0"]
    assert power.internal == pytest.approx(2e6 * 2e-12)  # only A's arc, and B is never 0
    assert power.leakage == pytest.approx(0.25 * 2e-9 + 0.75 * 4e-9)
    conventions = Conventions(tied=TiedPins.DEFAULT_ACTIVITY)
    power = _evaluate(tiny, netlist, conventions=conventions).instances["part.u0"]
    weight_a, weight_b = 1e6 * 0.5, 1e6 * 0.25  # 0.1 toggles a cycle of 10 MHz, duty 0.5
    output = 2e6 * (2 * weight_a + 20 * weight_b) / (weight_a + weight_b)
    assert power.internal == pytest.approx((output + 1e6 * 0.5 * 3) * 1e-12)


def test_tie_cells_are_constants(tiny):
    cells = {
        "t0": Cell("t0", "TIE", {"Y": "b"}),
        **NETLIST.cells,
    }
    netlist = replace(NETLIST, cells=cells, inputs={"a": ["a"], "clk": ["clk"]})
    activity = {net: value for net, value in ACTIVITY.items() if net != "b"}
    power = _evaluate(tiny, netlist, activity)
    assert power.instances["t0"] == (0.0, 0.0, 0.0)
    assert power.instances["part.u0"].internal == pytest.approx(2e6 * 2e-12)


@pytest.mark.parametrize(("known", "other"), [("Q", "QN"), ("QN", "Q")])
def test_second_output_of_a_flop_follows_from_the_first(tiny, known, other):
    pins = {"CK": "clk", "D": "m", known: "q", other: "other"}
    netlist = replace(NETLIST, cells={**NETLIST.cells, "f0": Cell("f0", "DFF", pins)})
    derived = _evaluate(tiny, netlist)
    given = _evaluate(tiny, netlist, {**ACTIVITY, "other": Activity(5e6, 0.875)})
    assert derived == given


def test_missing_activity_is_an_error(tiny):
    activity = {net: value for net, value in ACTIVITY.items() if net not in ("n", "clk")}
    with pytest.raises(ValueError, match=r"activity must hold every net, but lacks clk, n$"):
        _evaluate(tiny, activity=activity)


def test_missing_activity_of_an_open_output_is_an_error(tiny):
    cell = Cell("part.u1", "INV", {"A": "n"})
    netlist = replace(NETLIST, cells={"part.u0": NETLIST.cells["part.u0"], "part.u1": cell})
    with pytest.raises(ValueError, match=r"lacks part\.u1/Y$"):
        _evaluate(tiny, netlist)


def test_sums(tiny):
    power = _evaluate(tiny)
    rows = {name: np.array(row) for name, row in power.instances.items()}
    part = rows["part.u0"] + rows["part.u1"]
    assert list(power.instances) == list(NETLIST.cells)
    assert power.below("part.") == pytest.approx(tuple(part))
    assert power.combinational == pytest.approx(tuple(part))
    assert power.sequential == power.instances["f0"] == power.below("f")
    assert power.total == pytest.approx(part.sum() + rows["f0"].sum() + sum(power.nets.values()))
    with pytest.raises(ValueError, match="prefix must begin the name of an instance, not 'x'"):
        power.below("x")


def test_energy_groups_of_outputs_need_a_related_pin(tiny):
    inv = tiny["INV"]
    energies = (replace(inv.pins["Y"].energies[0], related=None),)
    pins = {**inv.pins, "Y": replace(inv.pins["Y"], energies=energies)}
    library = replace(tiny, cells={**tiny.cells, "INV": replace(inv, pins=pins)})
    with pytest.raises(ValueError, match="internal_power of Y of INV must have a related_pin"):
        _evaluate(library)


class _Alternating:
    """Shares that are not those of independent pins: a and b of the NAND2 are never equal."""

    def of_time(self, instances):
        shares = np.zeros((1 << len(instances.variables), len(instances.names)))
        shares[[1, 2] if len(shares) == 4 else [0]] = 0.5 if len(shares) == 4 else 1.0
        return shares

    def at_toggles(self, instances, pin):
        return self.of_time(instances)


def test_shares_can_be_given(tiny):
    power = _evaluate(tiny, shares=_Alternating()).instances["part.u0"]
    assert power.leakage == pytest.approx(0.5 * 4e-9 + 0.5 * 8e-9)
    weight_a, weight_b = 1e6 * 0.5, 3e6 * 0.5
    output = 2e6 * (2 * weight_a + 20 * weight_b) / (weight_a + weight_b)
    assert power.internal == pytest.approx((output + 1e6 * 0.5 * 3) * 1e-12)


# Largest relative difference of an instance: the references have nine or ten digits, in float32.
TOLERANCE = {"switching": 1e-6, "leakage": 1e-5, "internal": 1e-4}


@pytest.mark.eda
@pytest.mark.parametrize("name", pdk.NAMES)
def test_every_instance_against_opensta(name):
    try:
        library = load(pdk.find(name).liberty)
    except ToolError as error:
        pytest.skip(str(error))
    netlist = parse_yosys_json(verilog_to_json(DATA / f"{name}.v"))
    data = json.loads((DATA / f"{name}.json").read_text())
    clock = data["clock_net"]
    activity = {net.replace("\\", ""): Activity(**row) for net, row in data["activity"].items()}
    activity[clock] = Activity.clock(data["clock_mhz"])
    timing = analyse(netlist, library, clock)
    power = evaluate(netlist, library, timing, activity, clock_net=clock, conventions=OPENSTA)
    assert power.instances.keys() == data["reference_w"].keys()
    for part, tolerance in TOLERANCE.items():
        reference = np.array([row[part] for row in data["reference_w"].values()])
        watts = np.array([getattr(power.instances[i], part) for i in data["reference_w"]])
        assert not np.any(watts[reference == 0.0])
        relative = np.abs(
            watts / np.where(reference == 0.0, np.inf, reference) - (reference != 0.0)
        )
        print(f"{name} {part:9} max {relative.max():.1e} mean {relative.mean():.1e}")
        assert relative.max() < tolerance, part


CLOCK_GATE = """
  cell (CGATE) { area : 6; clock_gating_integrated_cell : latch_posedge; cell_leakage_power : 5;
    leakage_power () { when : "!CK & !E"; value : 2; }
    leakage_power () { when : "CK & GCK"; value : 7; }
    statetable ("CK E", "IQ") { table : "L L : - : L, L H : - : H, H - : - : N"; }
    pin (IQ) { direction : internal; internal_node : "IQ"; }
    pin (CK) { direction : input; clock : true; capacitance : 0.5; clock_gate_clock_pin : true;
      internal_power () { when : "IQ";
        rise_power (scalar) { values ("2"); } fall_power (scalar) { values ("4"); } }
      internal_power () { when : "!IQ";
        rise_power (scalar) { values ("1"); } fall_power (scalar) { values ("1"); } } }
    pin (E) { direction : input; capacitance : 0.25; clock_gate_enable_pin : true;
      internal_power () { when : "CK";
        rise_power (scalar) { values ("8"); } fall_power (scalar) { values ("8"); } }
      timing () { related_pin : "CK"; timing_type : setup_rising;
        rise_constraint (constraint) { values ("1, 1", "1, 1"); } } }
    pin (GCK) { direction : output; state_function : "CK * IQ"; clock_gate_out_pin : true;
      timing () { related_pin : "CK"; timing_sense : positive_unate;
        cell_rise (delay) { values ("1, 11", "2, 12"); }
        cell_fall (swapped) { index_1 ("0, 1"); index_2 ("0, 1"); values ("2, 3", "22, 23"); }
        rise_transition (delay) { values ("0, 2", "0, 2"); }
        fall_transition (delay) { values ("0, 4", "0, 4"); } }
      internal_power () { related_pin : "CK";
        rise_power (scalar) { values ("6"); } fall_power (scalar) { values ("12"); } } }
  }
}
"""
"""As real files have one: a state table, and a function of an internal pin."""

GATED = Netlist(
    "top",
    {
        "g": Cell("g", "CGATE", {"CK": "clk", "E": "e", "GCK": "k"}),
        "f": Cell("f", "DFF", {"CK": "k", "D": "d", "Q": "q"}),
    },
    {"clk": ["clk"], "d": ["d"], "e": ["e"]},
    {"q": ["q"]},
)


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    path = tmp_path_factory.mktemp("gated") / "tiny.liberty"
    text = (DATA / "tiny.liberty").read_text().rstrip()
    assert text.endswith("}")
    path.write_text(text[:-1] + CLOCK_GATE)
    return load(path)


def test_delays_of_a_clock_gate(gated):
    """From its clock alone: the rise at the flop has half a pF of load, and no slew before it."""
    timing = analyse(GATED, gated, "clk")
    gate = [arc for arc in timing.delays if arc.instance == "g"]
    assert [(a.from_pin, a.to_pin, a.rise_ns, a.fall_ns) for a in gate] == [
        ("CK", "GCK", 6.0, 12.0)
    ]
    assert timing.slews["k"] == (1.0, 2.0)
    flop = next(arc for arc in timing.delays if arc.instance == "f")
    assert (flop.from_pin, flop.rise_ns) == ("CK", 1.0 + 1.0)  # the slew of k


def test_power_of_a_clock_gate_by_duties(gated):
    """The stored bit is 1 in a quarter of the time, as k is in a quarter of the clock's."""
    activity = {
        "clk": Activity.clock(10),
        "e": Activity(3e6, 0.5),
        "k": Activity(5e6, 0.125),
        "d": Activity(1e6, 0.5),
        "q": Activity(1e6, 0.5),
    }
    power = evaluate(GATED, gated, analyse(GATED, gated, "clk"), activity, clock_net="clk")
    clock = 20e6 * (0.25 * (2 + 4) / 2 + 0.75 * 1)
    enable = 3e6 * 0.5 * 8
    output = 5e6 * (6 + 12) / 2
    assert power.instances["g"] == pytest.approx(
        (
            1e-12 * (clock + enable + output),
            0.5e-12 * 0.5 * V2 * 5e6,
            1e-9 * (0.25 * 2 + 0.125 * 7 + 0.625 * 5),
        )
    )
    assert power.clock == ClockNetwork(frozenset({"clk"}), frozenset({"g"}))
    assert power.clocking == power.instances["g"]
    assert power.sequential == power.instances["f"]
    assert power.combinational == (0.0, 0.0, 0.0)
    assert power.nets["clk"] == pytest.approx(0.5e-12 * 0.5 * V2 * 20e6)


@pytest.mark.parametrize(
    "simulator", [Simulator.EVENTS, pytest.param(Simulator.ICARUS, marks=pytest.mark.eda)]
)
def test_power_of_a_simulated_clock_gate(gated, simulator):
    """Cycles 2 to 8 of 100 ns count; what e is in a cycle opens the next one."""
    enable, data = [1, 0, 0, 1, 1, 0, 0, 0, 1], [0, 1, 0, 1, 0, 1, 0, 1, 0]
    vectors = {"d": np.array(data), "e": np.array(enable)}
    shown = Simulation(
        GATED,
        gated,
        vectors,
        {"q": np.array([0, 0, 0, 1, 0, 0, 0, 0, 0])},
        clock_ns=100,
        clock="clk",
        latency=1,
        warm_up=2,
        simulator=simulator,
    ).run(None)
    assert shown.mismatches == 0
    toggles = dict(zip(shown.batches.nets, shown.batches.toggles.sum(axis=0), strict=True))
    timing = analyse(GATED, gated, "clk")
    power = evaluate(GATED, gated, timing, shown.activity, clock_net="clk", shares=shown.shares)
    cycles = range(2, 9)
    opened = sum(enable[cycle - 1] for cycle in cycles)
    closed = len(cycles) - opened
    assert (opened, toggles["clk"], toggles["k"], toggles["e"]) == (2, 14, 4, 3)
    # The stored bit changes with the clock's fall, which leaves the one before. All edges of e come
    # with a rise, which finds the clock at 0.
    joules = 1e-12 * (opened * (2 + 4) + closed * (1 + 1) + opened * (6 + 12))
    seconds = 1e-7 * len(cycles)
    own = power.instances["g"]
    assert own.internal == pytest.approx(joules / seconds)
    assert own.switching == pytest.approx(0.5e-12 * 0.5 * V2 * toggles["k"] / seconds)
    # By halves of cycles: the second ones with e at 0, the first ones with k at 1, all others.
    low = sum(1 - enable[cycle] for cycle in cycles)
    rest = 2 * len(cycles) - low - opened
    watts = 1e-9 * (low * 2 + opened * 7 + rest * 5) / (2 * len(cycles))
    assert own.leakage == pytest.approx(watts)
