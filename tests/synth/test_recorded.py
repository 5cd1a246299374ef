"""Power of any netlist from a recorded activity: a hierarchical one in Verilog, VCD and SAIF by
hand.
"""

from pathlib import Path

import pytest

from mlsmac.support.errors import UserError
from mlsmac.synth.liberty.library import load
from mlsmac.synth.power.engine import Activity, evaluate
from mlsmac.synth.power.recorded import from_saif, from_vcd, power_of, read_netlist
from mlsmac.synth.simulation.dump import Dump
from mlsmac.synth.simulation.saif import read_saif
from mlsmac.synth.timing.clock_network import ClockNetwork, clock_network
from mlsmac.synth.timing.delays import analyse

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"

NETLIST = r"""
module half(x, y);
  input [1:0] x; output y;
  wire n;
  NAND2 \u/0 ( .A(x[0]), .B(x[1]), .Y(n) );
  INV u1 (.A(n), .Y(y));
endmodule
module top (clk, a, q, copy, one);
  input clk; input [1:0] a; output q, copy, one;
  wire [1:0] \m.m ; wire ck;
  half h (.x({a[0], a[1]}), .y(\m.m [1]));
  INV c0 (.A(clk), .Y(\m.m [0])), c1 (.A(\m.m [0]), .Y(ck));
  DFF \f.0 (.CK(ck), .D(\m.m [1]), .Q(q), .QN());
  FILL fill_0 ();
  assign copy = q, one = 1'b1;
endmodule
"""

# Units of 10 ps; a[1] is "#, a[0] is "$ as a scalar in the bench, a vector `%` in the netlist.
DUMP = """$timescale 10ps $end
$scope module bench $end
$var reg 1 ! clk $end
$var reg 2 % a [1:0] $end
$scope module unit $end
$var wire 1 ! clk $end
$var wire 2 % a [1:0] $end
$var wire 1 & q $end
$var wire 1 & copy $end
$var wire 1 ' one $end
$var wire 2 ( \\m.m [1:0] $end
$var wire 1 ) ck $end
$var real 64 * level $end
$scope module h $end
$var wire 2 + x [1:0] $end
$var wire 1 , n $end
$var wire 1 - y $end
$upscope $end
$upscope $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
x&
0!
b11 %
1'
b11 (
0,
0)
r0.5 *
$end
#10
1!
b10 (
1)
1&
#20
b1 %
1,
b0 (
#30
0!
b1 (
0)
#40
1!
b00 (
1)
0&
#100
"""
# From 10 (10 ps each) to 100: net to (toggles, units of time at 1).
COUNTS = {
    "clk": (3, 20 + 60),
    "a[0]": (0, 90),
    "a[1]": (1, 10),
    "q": (1, 30),
    "h.n": (1, 80),
    "m.m[0]": (3, 10),
    "m.m[1]": (1, 10),
    "ck": (3, 80),
}


@pytest.fixture(scope="module")
def tiny():
    return load(TINY)


@pytest.fixture
def files(tmp_path):
    """Netlist and dump."""
    (tmp_path / "top.v").write_text(NETLIST)
    (tmp_path / "top.vcd").write_text(DUMP)
    return tmp_path


@pytest.fixture
def netlist(files, tiny):
    return read_netlist([files / "top.v"], tiny)


def saif(counts, *, duration=90):
    """A SAIF of nets by the instance that they are in."""
    lines = ["(SAIFILE", '(SAIFVERSION "2.0")', "(TIMESCALE 10 ps)", f"(DURATION {duration})"]
    lines += ["(INSTANCE bench", '  (INSTANCE "top" unit (NET']
    inside = []
    for net, (toggles, high) in counts.items():
        own = f"(T0 {duration - high}) (T1 {high}) (TX 0) (TC {toggles}) (IG 0))"
        escaped = net.removeprefix("h.").replace("[", r"\[").replace("]", r"\]")
        (inside if net.startswith("h.") else lines).append(f"({escaped} {own}")
    lines += [")", "(INSTANCE h (NET", *inside, "))", "))", ")", ""]
    return "\n".join(lines)


def test_netlist_of_modules_vectors_escapes_and_assigns(netlist):
    assert netlist.top == "top"
    assert netlist.inputs == {"clk": ["clk"], "a": ["a[0]", "a[1]"]}
    assert netlist.outputs == {"q": ["copy"], "copy": ["copy"], "one": ["1'1"]}
    assert netlist.cells["h.u/0"].pins == {"A": "a[1]", "B": "a[0]", "Y": "h.n"}
    assert netlist.cells["f.0"].pins["D"] == "m.m[1]"
    assert set(netlist.cells) == {"h.u/0", "h.u1", "c0", "c1", "f.0"}


def test_activity_of_a_dump(files, netlist, tiny):
    recorded = from_vcd(files / "top.vcd", netlist, tiny, window_ns=(0.1, 1.0))
    assert recorded.seconds == pytest.approx(0.9e-9)
    (q,) = netlist.outputs["q"]
    expected = {q if net == "q" else net: own for net, own in COUNTS.items()}
    assert set(recorded.activity) == set(expected)
    for net, (toggles, high) in expected.items():
        assert recorded.activity[net].toggles_per_s == pytest.approx(toggles / 0.9e-9), net
        assert recorded.activity[net].duty == pytest.approx(high / 90), net


def test_saif_says_the_same(files, netlist, tiny):
    counts = {**COUNTS, "copy": COUNTS["q"], "one": (0, 90)}
    (files / "top.saif").write_text(saif(counts))
    read = from_saif(files / "top.saif", netlist, tiny)
    dumped = from_vcd(files / "top.vcd", netlist, tiny, window_ns=(0.1, 1.0))
    assert read.shares is None
    assert read.seconds == pytest.approx(dumped.seconds)
    for net, own in dumped.activity.items():
        assert read.activity[net].toggles_per_s == pytest.approx(own.toggles_per_s)
        assert read.activity[net].duty == pytest.approx(own.duty)


def test_power_is_the_engines(files, netlist, tiny):
    """States counted in the dump; from a SAIF pins are independent."""
    counts = {**COUNTS, "copy": COUNTS["q"], "one": (0, 90)}
    (files / "top.saif").write_text(saif(counts))
    activity = {
        net: Activity(counts[net][0] / 0.9e-9, counts[net][1] / 90) for net in netlist.nets()
    }
    timing = analyse(netlist, tiny, None)
    wanted = evaluate(netlist, tiny, timing, activity, clock_net=None)
    found = power_of(netlist, tiny, from_saif(files / "top.saif", netlist, tiny))
    assert found.total == pytest.approx(wanted.total)
    counted = power_of(
        netlist, tiny, from_vcd(files / "top.vcd", netlist, tiny, window_ns=(0.1, 1.0))
    )
    # By hand: h.u/0 is at A & B for 10 of 90 units (2 nW), else at !A & Y (4 nW).
    assert counted.instances["h.u/0"].leakage == pytest.approx((10 * 2e-9 + 80 * 4e-9) / 90)
    assert counted.total != pytest.approx(found.total, rel=1e-3)
    assert counted.instances["c1"].switching == pytest.approx(wanted.instances["c1"].switching)


def test_clock_network(netlist, tiny):
    wanted = ClockNetwork(frozenset({"clk"}), frozenset({"c0", "c1"}))
    assert clock_network(netlist, tiny) == wanted


def test_output_pins_stand_for_the_nets_they_drive(files, netlist, tiny):
    """Where a record has no name of a net."""
    text = saif({**COUNTS, "copy": COUNTS["q"], "one": (0, 90)})
    line = next(line for line in text.splitlines() if line.startswith("(ck "))
    pin = f"(INSTANCE c1 (NET {line.replace('(ck', '(Y')}))"
    text = text.replace(line, "").replace("(INSTANCE h", f"{pin}\n(INSTANCE h")
    (files / "top.saif").write_text(text)
    assert from_saif(files / "top.saif", netlist, tiny).activity["ck"].duty == 80 / 90


def test_whole_dump_by_default_must_be_defined(files, netlist, tiny):
    with pytest.raises(UserError, match=r"undefined in simulation, .*; the window must begin when"):
        from_vcd(files / "top.vcd", netlist, tiny)


def test_vectors_and_reals_of_a_dump(files):
    dump = Dump(files / "top.vcd")
    assert (dump.step_s, dump.first, dump.last) == (1e-11, 0, 100)
    assert [own.bits for own in dump.variables if own.scope == ("bench", "unit")] == [
        ("clk",),
        ("a[1]", "a[0]"),
        ("q",),
        ("copy",),
        ("one",),
        ("m.m[1]", "m.m[0]"),
        ("ck",),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NAND2", "NAND9", "h.u/0 of top must be a cell of tiny, not 'NAND9'"),
        (".D(\\m", ".E(\\m", "pins of f.0 must be those of DFF in tiny, not 'E'"),
        ("INV u1 (.A(n), .Y(y));", "assign y = ~n;", r"must be a cell of tiny, not '\$not'"),
        ("INV u1 (.A(n), .Y(y));", "LATCH u1 (.D(n), .Q(y));", "output Q of LATCH must have delay"),
        ("output y;", "output y", "top.v must be a Verilog netlist: top.v:4: ERROR: syntax error"),
        ("input clk;", "inout clk;", "port clk must be input or output, not 'inout'"),
    ],
)
def test_netlists_that_are_refused(files, tiny, old, new, message):
    path = files / "top.v"
    path.write_text(NETLIST.replace(old, new))
    with pytest.raises(UserError, match=message):
        read_netlist([path], tiny)


def test_no_netlist(files, tiny):
    with pytest.raises(UserError, match=r"netlist '.*none.v' not found"):
        read_netlist([files / "none.v"], tiny)
    with pytest.raises(UserError, match="Module `none' not found"):
        read_netlist([files / "top.v"], tiny, "none")
    (files / "two.v").write_text("module a(input b, output c); assign c = b; endmodule")
    with pytest.raises(UserError, match="netlist a must have cells, but has none"):
        read_netlist([files / "two.v"], tiny)


def test_nets_without_a_driver(files, tiny):
    path = files / "top.v"
    path.write_text(NETLIST.replace(".D(\\m.m [1])", ".D()"))
    netlist = read_netlist([path], tiny)
    (files / "top.saif").write_text(saif({**COUNTS, "copy": COUNTS["q"], "one": (0, 90)}))
    recorded = from_saif(files / "top.saif", netlist, tiny)
    with pytest.raises(UserError, match=r"top: pin D of f.0 must have a driver, but has none"):
        power_of(netlist, tiny, recorded)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"$timescale 10ps $end": ""}, {}, "top.vcd must have a timescale and times"),
        ({"$enddefinitions $end": ""}, {}, "must contain .enddefinitions"),
        ({" ck ": " other "}, {}, "must tell of every net of top, but lacks 1, ck among them"),
        (
            {" copy ": " other ", " q ": " more "},
            {},
            "must have a scope with the ports of top",
        ),
        (
            {},
            {"scope": "bench.dut"},
            r"scope must be one of top.vcd \(bench, .*\), not 'bench.dut'",
        ),
        ({}, {"scope": "bench/unit", "window_ns": (0.5, 0.5)}, "window must rise within 0..1 ns"),
        ({}, {"window_ns": (0.1, 1.1)}, "window must rise within 0..1 ns of the dump, not 0.1,1.1"),
    ],
)
def test_dumps_that_are_refused(files, netlist, tiny, changes, options, message):
    text = DUMP
    for old, new in changes.items():
        text = text.replace(old, new)
    (files / "top.vcd").write_text(text)
    with pytest.raises(UserError, match=message):
        from_vcd(files / "top.vcd", netlist, tiny, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a SAIF, but does not begin with SAIFILE"),
        ("module top; endmodule", "must be a SAIF"),
        ("(SAIFILE (DURATION 9))", "must have TIMESCALE and DURATION, but lacks one"),
        ("(SAIFILE (TIMESCALE 1 ns) (DURATION 0))", "DURATION must be positive, not 0"),
        (
            "(SAIFILE (TIMESCALE 1 ns) (DURATION 9) (INSTANCE top (NET (a (T0 9)))))",
            "net top/a must have T1 and TC",
        ),
    ],
)
def test_saifs_that_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_saif(text)
