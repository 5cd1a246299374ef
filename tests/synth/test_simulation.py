"""Gate-level simulation: results, activity, and everything that must not pass unseen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlsmac.support.errors import UserError
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.mapper import map_unit
from mlsmac.synth.mapping.netlist import Cell, Netlist, parse_yosys_json
from mlsmac.synth.simulation import gatesim
from mlsmac.synth.simulation.gatesim import WARM_UP_CYCLES, SimulationError, simulate
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
        timed=True,
    )
    text = bench_text(NETLIST, ShortNames(NETLIST), bench)
    assert "wire [0:0] in_clk = clock;" in text
    assert "wire [3:0] result = {out_n3, in_a[1], 1'b0, out_n3};" in text
    assert "unit unit(.n0(in_clk[0]), .n1(in_a[0]), .n2(in_a[1]), .n3(out_n3));" in text
    assert "{in_a} <= stimulus[cycle];" in text
    assert "#1.250 clock = 0;" in text
    assert "#1.249 if (cycle >= 3 && " in text
    assert '$sdf_annotate("delays0.sdf", unit.b0);' in text
    assert "sdf" not in bench_text(NETLIST, ShortNames(NETLIST), replace(bench, timed=False))


def test_hex_words():
    ports = {"start": np.array([1, 0]), "w": np.array([-1, 5]), "a": np.array([1, 2])}
    assert hex_words(ports, {"start": 1, "w": 4, "a": 7}) == "f81\n282\n"
    for code in (16, -9):
        with pytest.raises(ValueError, match=f"w: codes must fit in 4 bits, not .*{code}"):
            hex_words({"w": np.array([0, code])}, {"w": 4})


@pytest.fixture(scope="module")
def results(mac):
    """The same vectors at zero delay and with glitches."""
    return {timing is None: _simulate(mac, timing=timing) for timing in (None, mac.timing)}


def _simulate(mac, **changes):
    arguments = {"timing": None, "stimulus": mac.stimulus, "expected": mac.expected}
    latency = mac.configuration.build().latency
    arguments |= {"clock_ns": CLOCK_NS, "latency": latency} | changes
    return simulate(mac.netlist, mac.library, **arguments)


@pytest.mark.eda
@pytest.mark.parametrize("zero_delay", [True, False])
def test_computes_what_golden_says(mac, results, zero_delay):
    result = results[zero_delay]
    assert (result.mismatches, result.operations, result.pin_share) == (0, 200, 1.0)
    nets = {net for cell in mac.netlist.cells.values() for net in cell.pins.values()}
    assert nets <= set(result.activity) | {"1'0", "1'1"}


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
    zero, real = results[True].activity, results[False].activity
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
    monkeypatch.setattr(gatesim, "verilog_models", lambda *_, **__: shipped)
    result = _simulate(mac, timing=mac.timing if timed else None)
    assert result == results[not timed]


@pytest.mark.eda
@pytest.mark.parametrize("port", ["acc", "overflow"])
def test_every_mismatch_counts(mac, port):
    wrong = mac.expected[port].copy()
    wrong[[0, 17, 199]] ^= 1
    assert _simulate(mac, expected=mac.expected | {port: wrong}).mismatches == 3


@pytest.mark.eda
def test_too_fast_a_clock_shows(mac):
    slug = mac.configuration.slug
    path = analyse_paths(mac.mapped.verilog, slug, mac.pdk.liberty, clock_ns=CLOCK_NS)
    period = path.critical_path_ns
    assert _simulate(mac, timing=mac.timing, clock_ns=1.05 * period).mismatches == 0
    assert _simulate(mac, timing=mac.timing, clock_ns=0.5 * period).mismatches > 0


@pytest.mark.eda
def test_nothing_stays(mac, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _simulate(mac, timing=mac.timing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.eda
def test_combinational_unit(osu018, osu_library):
    configuration = configure("mls_multiplier", format="2,1")
    netlist = parse_yosys_json(
        map_unit(to_rtlil(configuration), configuration.slug, osu018, osu_library).json
    )
    library = load(osu018.liberty)
    codes = np.arange(256)
    inputs = {"x": codes >> 4, "y": codes & 15}
    outputs = reference("mls_multiplier", configuration.options, inputs)
    timing = analyse(netlist, library, None)
    for delays in (None, timing):
        result = simulate(
            netlist, library, delays, inputs, outputs, clock_ns=10.0, clock=None, latency=0
        )
        assert (result.mismatches, result.pin_share) == (0, 1.0)


@pytest.mark.eda
def test_undefined_net(mac):
    """Flops start at 0, so X takes a net without a driver."""
    cells = {name: replace(cell) for name, cell in mac.netlist.cells.items()}
    flop = next(cell for cell in cells.values() if mac.library[cell.kind].flop)
    cells[flop.name] = replace(flop, pins=flop.pins | {"D": "nowhere"})
    with pytest.raises(SimulationError, match=r"nets are undefined in simulation, .* among them"):
        simulate(
            replace(mac.netlist, cells=cells),
            mac.library,
            None,
            mac.stimulus,
            mac.expected,
            clock_ns=CLOCK_NS,
            latency=3,
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
    text = gatesim.sdf_text
    monkeypatch.setattr(gatesim, "sdf_text", lambda *arguments: change(text(*arguments)))
    with pytest.raises(SimulationError, match=message):
        _simulate(mac, timing=mac.timing)


@pytest.mark.eda
def test_errors_of_the_simulator(mac, monkeypatch):
    monkeypatch.setattr(gatesim, "verilog_models", lambda *_, **__: "module broken(;\nendmodule\n")
    with pytest.raises(SimulationError, match=r"iverilog failed: cells.v:\d+: syntax error"):
        _simulate(mac)


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
        simulate(NETLIST, _tiny(), None, *vectors, clock_ns=10.0, latency=1)


def test_missing_tool(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    codes = np.zeros(20, dtype=np.int64)
    with pytest.raises(UserError, match="iverilog not found: install the Debian package iverilog"):
        simulate(NETLIST, _tiny(), None, {"a": codes}, {"q": codes}, clock_ns=10.0, latency=1)


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
    result = simulate(
        netlist,
        osu_library,
        timing,
        stimulus,
        expected,
        clock_ns=10.0,
        clock=None,
        latency=0,
    )
    assert result.mismatches == 0
    assert result.activity.keys() == {"a", "b", "c", "o"}


@pytest.mark.eda
@pytest.mark.parametrize("timed", [False, True])
def test_counted_states_agree_with_duties(mac, timed):
    """Shares of time reproduce every pin's duty; every toggle is in one state."""
    result = _simulate(mac, timing=mac.timing if timed else None, count_states=True)
    assert result.activity == _simulate(mac, timing=mac.timing if timed else None).activity
    seconds = (200 - WARM_UP_CYCLES) * CLOCK_NS * 1e-9
    for name, cell in mac.netlist.cells.items():
        time = result.shares.time[name]
        for i, pin in enumerate(mac.library[cell.kind].inputs):
            net = cell.pins[pin.name]
            if net not in result.activity:
                continue
            high = time[np.arange(len(time)) >> i & 1 == 1].sum() / time.sum()
            assert high == pytest.approx(result.activity[net].duty, abs=1e-9), (name, pin.name)
            toggles = result.shares.toggles[name, pin.name].sum()
            assert toggles == round(result.activity[net].toggles_per_s * seconds)
