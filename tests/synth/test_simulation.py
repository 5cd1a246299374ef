"""Gate-level simulation: results, activity, and everything that must not pass unseen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.mapper import map_unit
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.simulation import icarus, simulate
from mlsmac.synth.simulation.simulate import (
    WARM_UP_CYCLES,
    Simulation,
    SimulationError,
    Simulator,
)
from mlsmac.synth.simulation.testbench import Bench, ShortNames, bench_text, hex_words, unit_text
from mlsmac.synth.timing.delays import analyse
from mlsmac.synth.timing.sta import analyse_paths
from mlsmac.units import configure, reference, to_rtlil

CLOCK_NS = 25.0
CELLS = {
    "u.g1": Cell("u.g1", "NAND2", {"A": "a[0]", "B": "1'1", "Y": "u.n1"}),
    "u.g2": Cell("u.g2", "DFF", {"CK": "clk", "D": "u.n1", "Q": "q[0]"}),
}
INPUTS = {"clk": ["clk"], "a": ["a[0]", "a[1]"]}
NETLIST = Netlist("top", CELLS, INPUTS, {"q": ["q[0]", "1'0", "a[1]", "q[0]"]})

UNIT = """\
`timescale 1ns/1ps
module unit(n0, n1, n2, n3);
  input n0;
  input n1;
  input n2;
  output n3;
  wire n0;
  wire n1;
  wire n2;
  wire n3;
  wire n4;
  block0 b0(.n1(n1), .n4(n4), .n0(n0), .n3(n3));
endmodule
module block0(n1, n4, n0, n3);
  inout n1;
  inout n4;
  inout n0;
  inout n3;
  NAND2 g0(.A(n1), .B(1'b1), .Y(n4));
  DFF g1(.CK(n0), .D(n4), .Q(n3));
endmodule
"""


def test_unit_text():
    """Short names, single-bit ports, each net once."""
    assert unit_text(NETLIST, ShortNames(NETLIST)) == UNIT


def test_bench_text():
    bench = Bench(
        clock="clk",
        half=1250,
        latency=3,
        operations=20,
        driven=["a"],
        compared=["q"],
    )
    text = bench_text(NETLIST, ShortNames(NETLIST), bench, timed=True)
    assert "wire [0:0] in_clk = clock;" in text
    assert "wire [3:0] result = {out_n3, in_a[1], 1'b0, out_n3};" in text
    assert "unit unit(.n0(in_clk[0]), .n1(in_a[0]), .n2(in_a[1]), .n3(out_n3));" in text
    assert "{in_a} <= stimulus[cycle];" in text
    assert "#1.250 clock = 0;" in text
    assert "#1.249 #0 if (cycle >= 3 && " in text
    assert '$sdf_annotate("delays0.sdf", unit.b0);' in text
    assert "sdf" not in bench_text(NETLIST, ShortNames(NETLIST), bench, timed=False)


def test_hex_words():
    ports = {"start": np.array([1, 0]), "w": np.array([-1, 5]), "a": np.array([1, 2])}
    assert hex_words(ports, {"start": 1, "w": 4, "a": 7}) == "f81\n282\n"
    for code in (16, -9):
        with pytest.raises(ValueError, match=f"w: codes must fit in 4 bits, not .*{code}"):
            hex_words({"w": np.array([0, code])}, {"w": 4})


@pytest.fixture(scope="module")
def results(mac):
    """The same vectors in both simulators, at zero delay (True) and with glitches."""
    return {
        (simulator, timing is None): _simulate(mac, timing=timing, simulator=simulator)
        for simulator in Simulator
        for timing in (None, mac.timing)
    }


def _simulate(mac, timing=None, **changes):
    arguments = {"stimulus": mac.stimulus, "expected": mac.expected}
    latency = mac.configuration.build().latency
    arguments |= {"clock_ns": CLOCK_NS, "latency": latency} | changes
    return Simulation(mac.netlist, mac.library, **arguments).run(timing)


def same(one, two):
    """Whether two simulations showed the same."""
    assert one.mismatches == two.mismatches
    assert one.activity == two.activity
    np.testing.assert_array_equal(one.batches.toggles, two.batches.toggles)
    for kind in one.shares.names:
        np.testing.assert_array_equal(one.shares.time[kind], two.shares.time[kind])
        np.testing.assert_array_equal(one.shares.toggles[kind], two.shares.toggles[kind])


@pytest.mark.eda
def test_computes_what_golden_says(mac, results):
    pins = [net for cell in mac.netlist.cells.values() for net in cell.pins.values()]
    for result in results.values():
        assert (result.mismatches, result.operations) == (0, 200)
        assert set(pins) <= set(result.activity) | {"1'0", "1'1"}
        toggled = {net for net, own in result.activity.items() if own.toggles_per_s}
        assert result.toggled_share == np.mean([net in toggled for net in pins])
        assert result.toggled_share > 0.9
    for zero_delay in (False, True):
        same(*(results[simulator, zero_delay] for simulator in Simulator))


@pytest.mark.eda
def test_activity_of_ports(mac, results):
    """The clock toggles twice a cycle; inputs and registers toggle as their codes say."""
    seconds = (200 - WARM_UP_CYCLES) * CLOCK_NS * 1e-9
    ports = {"w": (mac.stimulus["w"], 0), "start": (mac.stimulus["start"], 0)}
    ports["acc"] = (mac.expected["acc"], 3)
    for result in results.values():
        assert result.activity["clk"].toggles_per_s == pytest.approx(2e9 / CLOCK_NS)
        assert result.activity["clk"].duty == pytest.approx(0.5)
        for port, (codes, latency) in ports.items():
            nets = (mac.netlist.inputs | mac.netlist.outputs)[port]
            for i, net in enumerate(nets):
                bits = codes[WARM_UP_CYCLES - latency - 1 : 200 - latency] >> i & 1
                toggles = round(result.activity[net].toggles_per_s * seconds)
                assert toggles == np.abs(np.diff(bits)).sum(), net
                assert result.activity[net].duty == pytest.approx(bits[1:].mean(), abs=0.03)


@pytest.mark.eda
def test_glitches_are_seen_behind_gates_only(mac, results):
    flops = [c for c in mac.netlist.cells.values() if mac.library[c.kind].flop]
    for simulator in Simulator:
        zero, real = (results[simulator, zero].activity for zero in (True, False))
        for cell in flops:
            net = cell.pins["Q"]
            assert real[net].toggles_per_s == pytest.approx(zero[net].toggles_per_s)
        total = [sum(a.toggles_per_s for a in activity.values()) for activity in (zero, real)]
        assert total[1] > 1.2 * total[0]


@pytest.mark.eda
@pytest.mark.parametrize("timed", [False, True])
def test_same_activity_as_with_the_shipped_models(mac, results, monkeypatch, timed):
    """OSU's own Verilog, of which only the precision is changed from 10 ps to ours."""
    shipped = mac.pdk.liberty[0].with_suffix(".v").read_text().replace("1ns/10ps", "1ns/1ps")
    monkeypatch.setattr(icarus, "verilog_models", lambda *_, **__: shipped)
    result = _simulate(mac, mac.timing if timed else None, simulator=Simulator.ICARUS)
    same(result, results[Simulator.EVENTS, not timed])


@pytest.mark.eda
@pytest.mark.parametrize("simulator", Simulator)
@pytest.mark.parametrize("port", ["acc", "overflow"])
def test_every_mismatch_counts(mac, port, simulator):
    wrong = mac.expected[port].copy()
    wrong[[0, 17, 199]] ^= 1
    expected = mac.expected | {port: wrong}
    assert _simulate(mac, expected=expected, simulator=simulator).mismatches == 3
    assert _simulate(mac, mac.timing, expected=expected, simulator=simulator).mismatches == 3


@pytest.mark.eda
def test_too_fast_a_clock_shows(mac):
    """By half, by so much that results come cycles late: both simulators see the same."""
    slug = mac.configuration.slug
    path = analyse_paths(mac.mapped.verilog, slug, mac.pdk.liberty, clock_ns=CLOCK_NS)
    period = path.critical_path_ns
    for share, is_wrong in ((1.05, False), (0.5, True), (0.37, True), (0.13, True)):
        both = [
            _simulate(mac, mac.timing, clock_ns=share * period, simulator=simulator)
            for simulator in Simulator
        ]
        assert (both[0].mismatches > 0) == is_wrong
        same(*both)


@pytest.mark.eda
def test_nothing_stays(mac, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _simulate(mac, mac.timing, simulator=Simulator.ICARUS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.eda
def test_combinational_unit(osu018, osu_library):
    configuration = configure("mls_multiplier", format="2,1")
    text, slug = to_rtlil(configuration), configuration.slug
    netlist = map_unit(text, slug, osu018, osu_library).netlist
    library = load(osu018.liberty)
    codes = np.arange(256)
    inputs = {"x": codes >> 4, "y": codes & 15}
    outputs = reference("mls_multiplier", configuration.options, inputs)
    timing = analyse(netlist, library, None)
    for delays in (None, timing):
        both = [
            Simulation(
                netlist,
                library,
                inputs,
                outputs,
                clock_ns=10.0,
                clock=None,
                latency=0,
                simulator=simulator,
            ).run(delays)
            for simulator in Simulator
        ]
        assert (both[0].mismatches, both[0].toggled_share) == (0, 1.0)
        same(*both)


@pytest.mark.eda
@pytest.mark.parametrize("simulator", Simulator)
def test_undefined_net(mac, simulator):
    """Whatever reads a net that nothing drives."""
    cells = dict(mac.netlist.cells)
    flop = next(cell for cell in cells.values() if mac.library[cell.kind].flop)
    cells[flop.name] = replace(flop, pins=flop.pins | {"D": "nowhere"})
    other = replace(mac, netlist=replace(mac.netlist, cells=cells))
    with pytest.raises(SimulationError, match="1 nets are undefined in simulation, nowhere among"):
        _simulate(other, simulator=simulator)


@pytest.mark.eda
def test_x_in_icarus(mac, monkeypatch):
    """A net that the simulation leaves undefined, although all have drivers."""
    models = icarus.verilog_models
    monkeypatch.setattr(
        icarus, "verilog_models", lambda *a, **o: models(*a, **o).replace("q = 1'b0", "q = 1'bx")
    )
    with pytest.raises(SimulationError, match=r"nets are undefined in simulation, .* among them"):
        _simulate(
            replace(mac, stimulus=mac.stimulus | {"start": np.zeros(200, dtype=np.int64)}),
            simulator=Simulator.ICARUS,
        )


@pytest.mark.eda
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sdf: sdf.replace("INSTANCE g0", "INSTANCE gone"), "vvp failed: SDF"),
        (lambda sdf: sdf.replace("IOPATH A", "IOPATH NO"), "vvp failed: SDF"),
        (lambda sdf: sdf[: len(sdf) // 2], "vvp failed"),
    ],
)
def test_a_delay_that_is_not_annotated_is_an_error(mac, monkeypatch, change, message):
    text = icarus.sdf_text
    monkeypatch.setattr(icarus, "sdf_text", lambda *arguments: change(text(*arguments)))
    with pytest.raises(SimulationError, match=message):
        _simulate(mac, mac.timing, simulator=Simulator.ICARUS)


@pytest.mark.eda
def test_errors_of_the_simulator(mac, monkeypatch):
    monkeypatch.setattr(icarus, "verilog_models", lambda *_, **__: "module broken(;\nendmodule\n")
    with pytest.raises(SimulationError, match=r"iverilog failed: cells.v:\d+: syntax error"):
        _simulate(mac, simulator=Simulator.ICARUS)


@pytest.mark.parametrize(
    ("stimulus", "expected", "message"),
    [
        ({"a": 20}, {"q": 20, "r": 20}, "expected must be of ports among q, not q, r"),
        ({"a": 20}, {}, "expected must be of ports among q"),
        ({}, {"q": 20}, "stimulus must be of the ports a"),
        ({"a": 20, "clk": 20}, {"q": 20}, "stimulus must be of the ports a"),
        ({"a": 20}, {"q": 19}, r"all vectors must have one length, not \[19, 20\]"),
        ({"a": 8}, {"q": 8}, "operations must be more than 8, not 8"),
    ],
)
def test_vectors(stimulus, expected, message):
    vectors = [
        {port: np.zeros(length, dtype=np.int64) for port, length in ports.items()}
        for ports in (stimulus, expected)
    ]
    with pytest.raises(ValueError, match=message):
        Simulation(NETLIST, _tiny(), *vectors, clock_ns=10.0, latency=1)


@pytest.mark.parametrize(("port", "code"), [("a", 4), ("a", -3), ("q", 16)])
def test_codes_that_do_not_fit(port, code):
    vectors = {"a": np.zeros(20, dtype=np.int64), "q": np.zeros(20, dtype=np.int64)}
    vectors[port][7] = code
    stimulus, expected = {"a": vectors["a"]}, {"q": vectors["q"]}
    with pytest.raises(ValueError, match=f"{port}: codes must fit in . bits, not"):
        Simulation(NETLIST, _tiny(), stimulus, expected, clock_ns=10.0, latency=1)


@pytest.mark.parametrize("batches", [[8], [20], [9, 9], [12, 10], [21], [7]])
def test_batches_must_rise(batches):
    codes = np.zeros(20, dtype=np.int64)
    with pytest.raises(ValueError, match=r"batches must rise within 8\.\.20, not \["):
        Simulation(
            NETLIST, _tiny(), {"a": codes}, {"q": codes}, clock_ns=10.0, latency=1, batches=batches
        )


def test_the_default_simulator(monkeypatch):
    assert Simulator.default() is Simulator.EVENTS
    monkeypatch.setattr(simulate.importlib.util, "find_spec", lambda _: None)
    assert Simulator.default() is Simulator.ICARUS


def test_missing_tool(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    codes = np.zeros(20, dtype=np.int64)
    simulation = Simulation(
        NETLIST,
        _tiny(),
        {"a": codes},
        {"q": codes},
        clock_ns=10.0,
        latency=1,
        simulator=Simulator.ICARUS,
    )
    with pytest.raises(ToolError, match="iverilog not found: install the Debian package iverilog"):
        simulation.run(None)


def _tiny():
    return load(Path(__file__).parents[1] / "data" / "power" / "tiny.liberty")


@pytest.mark.eda
def test_one_net_on_two_pins_of_a_cell(osu_library):
    """Icarus merges the two delay paths of such a cell, and SDF would find one missing."""
    cell = Cell("g1", "OAI22X1", {"A": "a", "B": "b", "C": "b", "D": "c", "Y": "o"})
    netlist = Netlist("top", {"g1": cell}, {port: [port] for port in "abc"}, {"o": ["o"]})
    timing = analyse(netlist, osu_library, None)
    codes = np.arange(64) * 7 % 8
    stimulus = {port: codes >> i & 1 for i, port in enumerate("abc")}
    a, b, c = stimulus.values()
    expected = {"o": 1 - ((a | b) & (b | c))}
    both = [
        Simulation(
            netlist,
            osu_library,
            stimulus,
            expected,
            clock_ns=10.0,
            clock=None,
            latency=0,
            simulator=simulator,
        ).run(timing)
        for simulator in Simulator
    ]
    assert both[0].mismatches == 0
    assert both[0].activity.keys() == {"a", "b", "c", "o"}
    same(*both)


@pytest.mark.eda
def test_counted_states_agree_with_duties(mac, results):
    """Shares of time reproduce every pin's duty; every toggle is in one state."""
    ticks = (200 - WARM_UP_CYCLES) * round(CLOCK_NS * 1e3)
    seconds = ticks * 1e-12
    for result in results.values():
        for kind, names in result.shares.names.items():
            every = zip(
                names,
                result.shares.time[kind].T,
                result.shares.toggles[kind].transpose(2, 0, 1),
                strict=True,
            )
            for name, time, toggles in every:
                assert time.sum() == ticks
                for i, pin in enumerate(mac.library[kind].inputs):
                    net = mac.netlist.cells[name].pins[pin.name]
                    if net not in result.activity:
                        continue
                    high = time[np.arange(len(time)) >> i & 1 == 1].sum() / ticks
                    assert high == pytest.approx(result.activity[net].duty, abs=1e-12)
                    own = round(result.activity[net].toggles_per_s * seconds)
                    assert toggles[i].sum() == own, (name, pin.name)
