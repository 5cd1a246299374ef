"""Clock trees on hand-made placements, of a made-up library, against analysis and power engine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlsmac.synth.layout import clock_search
from mlsmac.synth.layout.clock_nets import clock_nets
from mlsmac.synth.layout.clock_search import FAN_OUTS, LEAVES
from mlsmac.synth.layout.clock_tree import PREFIX, add_clock_tree, problem_of, with_tree
from mlsmac.synth.layout.clusters import clusters
from mlsmac.synth.layout.legal import legalize
from mlsmac.synth.layout.placement import Placement, Point
from mlsmac.synth.layout.steiner import spanning_tree
from mlsmac.synth.layout.wires import pins
from mlsmac.synth.liberty.library import LibertyError, load
from mlsmac.synth.liberty.pdk import Pdk, find
from mlsmac.synth.liberty.roles import buffers
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.power.engine import Activity, evaluate
from mlsmac.synth.timing.clock import clock_arrivals
from mlsmac.synth.timing.delays import analyse

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
SLEWS, LOADS = (0.0, 0.1, 1.0), (0.0, 0.1, 1.0)
CLOCK = "clk"


def _table(key, value):
    """Over slew and load."""
    rows = [", ".join(f"{value(slew, load):.6g}" for load in LOADS) for slew in SLEWS]
    values = ", ".join(f'"{row}"' for row in rows)
    return f"{key} (both) {{ values ({values}); }}"


def _arc(related, kind, delay, ohms):
    """Delays and transitions in ns of loads in pF, falls slower than rises by a tenth."""
    tables = [
        _table("cell_rise", lambda slew, load: delay + 0.2 * slew + ohms * load),
        _table("cell_fall", lambda slew, load: 1.1 * (delay + 0.2 * slew + ohms * load)),
        _table("rise_transition", lambda slew, load: 0.01 + 0.1 * slew + 1.5 * ohms * load),
        _table("fall_transition", lambda slew, load: 0.011 + 0.1 * slew + 1.65 * ohms * load),
    ]
    return f'timing () {{ related_pin : "{related}"; {kind} {" ".join(tables)} }}'


def _power(related, pj):
    rise = _table("rise_power", lambda slew, load: pj * (1 + slew + 0.1 * load))
    fall = _table("fall_power", lambda slew, load: pj * (1.2 + slew + 0.1 * load))
    return f"internal_power () {{ {related} {rise} {fall} }}"


def _driver(name, area, function, inputs, arc, power, more=""):
    pins = "".join(f"pin ({pin}) {{ direction : input; {rest} }}" for pin, rest in inputs.items())
    role = "clock_gate_out_pin : true;" if more else ""
    output = f'pin (Y) {{ direction : output; {role} function : "{function}"; {arc} {power} }}'
    return f"cell ({name}) {{ area : {area}; cell_leakage_power : 1; {more} {pins} {output} }}"


def _buffer(name, area, capacitance, ohms, pj):
    arc = _arc("A", "timing_sense : positive_unate;", 0.05, ohms)
    inputs = {"A": f"capacitance : {capacitance};"}
    return _driver(name, area, "A", inputs, arc, _power('related_pin : "A";', pj))


# A gate's latch is left out: its enable is still.
_GATE = _driver(
    "ICG",
    12,
    "CK * E",
    {
        "CK": f"capacitance : 0.004; clock_gate_clock_pin : true; {_power('', 0.002)}",
        "E": "capacitance : 0.003; clock_gate_enable_pin : true;",
    },
    _arc("CK", "timing_sense : positive_unate;", 0.08, 0.5),
    _power('related_pin : "CK";', 0.01),
    'clock_gating_integrated_cell : "latch_posedge";',
)
_FLOP = f"""
  cell (DFF) {{ area : 20; cell_leakage_power : 1;
    ff (IQ, IQN) {{ next_state : "D"; clocked_on : "CK"; }}
    pin (CK) {{ direction : input; capacitance : 0.01; clock : true; {_power("", 0.01)} }}
    pin (D) {{ direction : input; capacitance : 0.003; }}
    pin (Q) {{ direction : output; function : "IQ";
      {_arc("CK", "timing_type : rising_edge;", 0.1, 2.0)}
      {_power('related_pin : "CK";', 0.02)} }}
  }}"""
_INV = _driver(
    "INV",
    2,
    "!A",
    {"A": "capacitance : 0.002;"},
    _arc("A", "timing_sense : negative_unate;", 0.02, 1.0),
    _power('related_pin : "A";', 0.002),
)
_AXES = ", ".join(map(str, SLEWS)), ", ".join(map(str, LOADS))
_LIBRARY = f"""library (clocks) {{
  time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; current_unit : "1mA";
  capacitive_load_unit (1, pf); nom_voltage : 1.5;
  operating_conditions (typical) {{ voltage : 1.5; }}
  default_operating_conditions : typical;
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  lu_table_template (both) {{ variable_1 : input_net_transition;
    variable_2 : total_output_net_capacitance;
    index_1 ("{_AXES[0]}"); index_2 ("{_AXES[1]}"); }}
  power_lut_template (both) {{ variable_1 : input_transition_time;
    variable_2 : total_output_net_capacitance;
    index_1 ("{_AXES[0]}"); index_2 ("{_AXES[1]}"); }}
  {_buffer("BUF1", 4, 0.003, 1.6, 0.004)}
  {_buffer("BUF4", 8, 0.008, 0.4, 0.015)}
  {_buffer("CLKBUF", 16, 0.02, 0.1, 0.06)}
  {_INV} {_GATE} {_FLOP}
}}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("clock") / "clocks.lib"
    path.write_text(_LIBRARY)
    return load(path)


PDK = Pdk(
    name="clocks",
    liberty=(Path("clocks.lib"),),
    clock_mhz=100,
    nand2="INV",
    driver="INV",
    load_ff=10,
    row_um=4,
    wire_ff_um=0.1,
    clock_buffers=("BUF*", "CLKBUF"),
)


def _flops(count, clock=CLOCK, prefix="f"):
    return [
        Cell(f"{prefix}{n}", "DFF", {"CK": clock, "D": "d", "Q": f"{prefix}{n}.q"})
        for n in range(count)
    ]


def _gate(name, clock=CLOCK):
    return Cell(name, "ICG", {"CK": clock, "E": "e", "Y": f"{name}.y"})


def _netlist(*cells):
    inputs = {CLOCK: [CLOCK], "d": ["d"], "e": ["e"]}
    return Netlist("top", {cell.name: cell for cell in cells}, inputs, {})


def _placed(netlist, *, seed=0, side=400.0, at=None, kinds=("DFF", "ICG")):
    """Cells anywhere, or all at one place; they may overlap."""
    random = np.random.default_rng(seed)
    names = sorted(netlist.cells)
    places = np.round(random.uniform(0, side - 5, (len(names), 2)), 3).tolist()
    return Placement(
        width_um=side,
        row_um=4.0,
        rows=int(side // 4),
        widths_um=dict.fromkeys(kinds, 5.0),
        cells={name: at or Point(*place) for name, place in zip(names, places, strict=True)},
        ports={net: Point(0.0, 7.0 * n) for n, net in enumerate((CLOCK, "d", "e"))},
    )


def _add(netlist, library, placement=None, pdk=PDK):
    return add_clock_tree(netlist, library, placement or _placed(netlist), pdk, CLOCK)


def _with(placement, wished, kinds=("BUF1", "BUF4", "CLKBUF")):
    """The buffers where they are wished, over other cells."""
    half = placement.row_um / 2
    cells = placement.cells | {name: Point(x, y - half) for name, (x, y) in wished.items()}
    widths = {**placement.widths_um, **dict.fromkeys(kinds, 0.0)}
    return replace(placement, cells=cells, widths_um=widths)


def _readers(netlist):
    readers = {}
    for cell in netlist.cells.values():
        for pin, net in cell.pins.items():
            if pin in ("A", "CK"):
                readers.setdefault(net, []).append(cell)
    return readers


def _stages(netlist):
    """How many buffers and gates are before each flop that the clock reaches, each time it does."""
    readers, found, nets = _readers(netlist), [], [(CLOCK, 0)]
    for net, stages in nets:
        for cell in readers.get(net, ()):
            if cell.kind == "DFF":
                found.append((cell.name, stages))
            else:
                nets.append((cell.pins["Y"], stages + 1))
    return found


@pytest.fixture
def spanning(monkeypatch):
    """Wires without Steiner points: their lengths do not depend on the order of pins."""
    monkeypatch.setattr(clock_search, "steiner_tree", spanning_tree)


def _analysed(netlist, library, placement, clock_pin="CK"):
    """By `analyse` and the power engine: pJ a cycle, slowest edge at a flop, skew."""
    places = pins(netlist, placement)
    wires = {net: 1e-4 * spanning_tree(own).length for net, own in places.items()}
    timing = analyse(netlist, library, CLOCK, wires_pf=wires)
    nets = {CLOCK, *(net for net in netlist.nets() if net.startswith(PREFIX))}
    activity = {net: Activity(2.0 * (net in nets), 0.5) for net in netlist.nets()}
    power = evaluate(netlist, library, timing, activity, clock_net=CLOCK)
    all_cells = power.of(power.instances)
    joules = all_cells.internal + all_cells.switching + power.nets[CLOCK]
    flops = [cell for cell in netlist.cells.values() if clock_pin in cell.pins]
    slew = max(max(timing.slews[cell.pins[clock_pin]]) for cell in flops)
    return 1e12 * joules, slew, clock_arrivals(netlist, library, timing, CLOCK).skew_ns


@pytest.mark.parametrize("count", [1, 2, 12, 13, 100, 300])
def test_every_flop_is_behind_as_many_buffers(library, count):
    netlist = _netlist(*_flops(count))
    tree = _add(netlist, library)
    found = _stages(tree.netlist)
    assert sorted(name for name, _ in found) == sorted(netlist.cells)
    assert {stages for _, stages in found} == {tree.trees[0].levels}
    assert tree.trees[0].is_within
    new = tree.netlist.cells.keys() - netlist.cells.keys()
    assert new == {f"{PREFIX}{n}" for n in range(sum(tree.buffers.values()))}
    assert len(_readers(tree.netlist)[CLOCK]) == 1
    for net, cells in _readers(tree.netlist).items():
        assert len(cells) <= max(*LEAVES, *FAN_OUTS), net
    assert tree.wished.keys() == new
    assert all(0 <= x <= 400 and 0 <= y <= 400 for x, y in tree.wished.values())


def test_one_flop_is_driven_by_the_port(library):
    netlist = _netlist(*_flops(1))
    tree = _add(netlist, library)
    assert tree.netlist == netlist
    assert (tree.trees[0].levels, tree.trees[0].leaves, tree.buffers) == (0, 0, {})


@pytest.mark.parametrize("clock", [None, CLOCK])
def test_no_flop(library, clock):
    netlist = _netlist(Cell("i", "INV", {"A": "d", "Y": "y"}))
    placement = _placed(netlist)
    tree = add_clock_tree(netlist, library, placement, PDK, clock)
    assert tree.netlist is netlist
    assert (tree.wished, tree.trees, tree.limits) == ({}, (), None)


def test_the_record_is_what_analysis_and_power_engine_find(library, spanning):
    netlist = _netlist(*_flops(150))
    placement = _placed(netlist)
    tree = _add(netlist, library, placement)
    record = tree.trees[0]
    found = _analysed(tree.netlist, library, _with(placement, tree.wished))
    assert found == pytest.approx((record.energy_pj, record.slew_ns, record.skew_ns), rel=1e-9)
    kinds = [cell.kind for cell in tree.netlist.cells.values() if cell.name.startswith(PREFIX)]
    assert tree.buffers == {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    leaves = [sum(c.kind == "DFF" for c in own) for own in _readers(tree.netlist).values()]
    leaves = [count for count in leaves if count]
    assert (record.leaves, record.sinks) == (len(leaves), max(leaves))
    assert record.slew_ns <= tree.limits.slew_ns
    assert record.skew_ns <= tree.limits.skew_ns
    # By hand: 0.1 ns, 2 ns/pF, falls a tenth slower; 0.01 pF.
    assert tree.limits == pytest.approx((1.1 * 0.12, 0.1))


def test_buffers_find_room(library, spanning):
    """Where cells are in rows the buffers come near enough to their places."""
    netlist = _netlist(*_flops(60))
    placement = legalize(netlist, library, _placed(netlist, side=80.0))
    tree = _add(netlist, library, placement)
    legal = legalize(tree.netlist, library, placement, tree.wished)
    record = tree.trees[0]
    found = _analysed(tree.netlist, library, legal)
    assert found == pytest.approx(
        (record.energy_pj, record.slew_ns, record.skew_ns), rel=0.05, abs=5e-3
    )
    assert found[1] <= 1.02 * tree.limits.slew_ns


@pytest.mark.eda
def test_of_a_real_library(spanning):
    """What the made-up library has not: pins with other loads for each edge, tables of its own."""
    library = load(OSU018)
    flops = [Cell(f"f{n}", "DFFPOSX1", {"CLK": CLOCK, "D": "d", "Q": f"f{n}.q"}) for n in range(48)]
    netlist = _netlist(*flops)
    placement = legalize(netlist, library, _placed(netlist, side=200.0, kinds=("DFFPOSX1",)))
    tree = add_clock_tree(
        netlist, library, placement, replace(find("osu018"), wire_ff_um=0.1), CLOCK
    )
    (record,) = tree.trees
    assert record.is_within
    assert record.levels == 2
    found = _analysed(tree.netlist, library, _with(placement, tree.wished, record.buffers), "CLK")
    assert found == pytest.approx((record.energy_pj, record.slew_ns, record.skew_ns), rel=1e-9)


def test_it_is_the_best_of_all(library, spanning):
    netlist = _netlist(*_flops(30))
    placement = _placed(netlist)
    chosen = _add(netlist, library, placement)
    (net,) = clock_nets(netlist, library, CLOCK)
    kinds = buffers(library, PDK.clock_buffers)
    problem = problem_of(net, netlist, library, placement, PDK, kinds, chosen.limits, {})
    energies, shapes = [], set()
    for candidate in problem.candidates():
        grown, wished = with_tree(problem, candidate, netlist)
        assessed = problem.assess(candidate)
        found = _analysed(grown, library, _with(placement, wished))
        assert assessed[:3] == pytest.approx(found, rel=1e-9)
        shapes.add(tuple(len(level.sinks) for level in candidate.shape))
        if not assessed.excess(chosen.limits):
            energies.append(assessed.energy_pj)
    assert chosen.trees[0].energy_pj == min(energies)
    assert len(energies) > 10
    assert max(energies) > 1.1 * min(energies)
    assert {leaves for leaves, *_ in shapes} == {8, 5, 4, 3, 2, 1}


def test_gates_stand_among_buffers(library):
    cells = [
        *_flops(50),
        _gate("g0"),
        *_flops(60, "g0.y", "a"),
        _gate("g1"),
        *_flops(3, "g1.y", "b"),
    ]
    cells += [_gate("g2", "g0.y"), *_flops(5, "g2.y", "c")]
    netlist = _netlist(*cells)
    tree = _add(netlist, library)
    assert [own.net for own in tree.trees] == ["g2.y", "g0.y", "g1.y", CLOCK]
    found = _stages(tree.netlist)
    assert sorted(name for name, _ in found) == sorted(c.name for c in cells if c.kind == "DFF")
    assert len({stages for _, stages in found}) == 1
    by_net = {own.net: own for own in tree.trees}
    assert (by_net["g1.y"].levels, by_net["g1.y"].buffers) == (0, {})
    assert by_net["g0.y"].levels > 0
    for net, own in by_net.items():
        assert own.is_within, net
    # What was gated still is, by the same gate.
    before, after = _gates_of(netlist), _gates_of(tree.netlist)
    assert before == after


def _gates_of(netlist):
    """The gates before each flop."""
    readers, found, nets = _readers(netlist), {}, [(CLOCK, ())]
    for net, gates in nets:
        for cell in readers.get(net, ()):
            if cell.kind == "DFF":
                found[cell.name] = gates
            else:
                own = (cell.name,) if cell.kind == "ICG" else ()
                nets.append((cell.pins["Y"], gates + own))
    return found


def test_a_weak_gate_gets_a_buffer(library):
    """One that cannot drive its few flops fast enough."""
    netlist = _netlist(*_flops(10), _gate("g"), *_flops(30, "g.y", "a"))
    weak = _add(netlist, library).trees[0]
    strong = _add(netlist, _with_strong_gate(library)).trees[0]
    assert weak.levels > strong.levels


def _with_strong_gate(library):
    gate = library.cells["ICG"]
    output = gate.pins["Y"]
    (arc,) = library.cells["CLKBUF"].pins["Y"].arcs
    pins = {**gate.pins, "Y": replace(output, arcs=(replace(arc, related="CK"),))}
    return replace(library, cells={**library.cells, "ICG": replace(gate, pins=pins)})


def test_all_behind_one_gate(library):
    netlist = _netlist(_gate("g"), *_flops(90, "g.y"))
    tree = _add(netlist, library)
    assert len({stages for _, stages in _stages(tree.netlist)}) == 1
    assert tree.netlist.cells["g"].pins["CK"] == CLOCK


def test_flops_at_the_same_place(library):
    netlist = _netlist(*_flops(100))
    tree = _add(netlist, library, _placed(netlist, at=Point(40.0, 40.0)))
    assert len(_stages(tree.netlist)) == 100
    assert tree.trees[0].skew_ns < 0.05


def test_the_order_of_cells_is_of_no_matter(library):
    cells = [*_flops(90), _gate("g"), *_flops(40, "g.y", "a")]
    placement = _placed(_netlist(*cells))
    one = _add(_netlist(*cells), library, placement)
    two = _add(_netlist(*cells[::-1]), library, placement)
    assert one.netlist == two.netlist
    assert one.wished == two.wished
    assert one.trees == two.trees


def test_wires_decide_too(library):
    """Where they have more capacitance leaves are smaller or stronger, and it costs energy."""
    netlist = _netlist(*_flops(100))
    thin, thick = (_add(netlist, library, pdk=replace(PDK, wire_ff_um=ff)) for ff in (0.01, 0.4))
    assert thick.trees[0].energy_pj > thin.trees[0].energy_pj
    assert thick.buffers != thin.buffers
    assert thick.trees[0].is_within


def test_nothing_keeps_the_limits(library):
    """The least violation is taken, and said."""
    netlist = _netlist(*_flops(20))
    tree = _add(netlist, library, pdk=replace(PDK, wire_ff_um=20.0))
    assert not tree.trees[0].is_within
    assert len(_stages(tree.netlist)) == 20


def test_buffers_by_name(library):
    names = [cell.name for cell in buffers(library, ())]
    assert names == ["BUF1", "BUF4", "CLKBUF"]
    assert [cell.name for cell in buffers(library, ("*BUF", "INV"))] == ["CLKBUF"]
    with pytest.raises(LibertyError, match=r"must have a buffer named X\* or INV, but has none"):
        buffers(library, ("X*", "INV"))


def test_one_tree_a_netlist(library):
    netlist = _netlist(*_flops(20))
    placement = _placed(netlist)
    tree = _add(netlist, library, placement)
    with pytest.raises(ValueError, match=r"must have no clock tree, but has clock_tree\.0"):
        _add(tree.netlist, library, placement)


def test_wires_must_be_known(library):
    with pytest.raises(ValueError, match="wire_ff_um of clocks must be known"):
        _add(_netlist(*_flops(20)), library, pdk=replace(PDK, wire_ff_um=None))


def test_clusters_are_near_and_of_equal_size():
    columns = np.array([[x, y] for x in (0.0, 100.0) for y in range(6)])[::-1]
    groups = clusters(columns, 3)
    assert sorted(map(len, groups)) == [3] * 4
    assert sorted(np.concatenate(groups)) == list(range(12))
    assert all(np.ptp(columns[group], axis=0).tolist() == [0.0, 2.0] for group in groups)
    for count in range(1, 60):
        points = np.random.default_rng(count).uniform(0, 9, (count, 2))
        sizes = [len(group) for group in clusters(points, 7)]
        assert sum(sizes) == count
        assert len(sizes) == -(-count // 7)
        assert max(sizes) - min(sizes) <= 1
    assert clusters(np.empty((0, 2)), 4) == []
