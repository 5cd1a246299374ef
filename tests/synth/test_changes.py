"""Counting changes that a simulator tells: by hand on a tiny library, its power, and random changes
against a counter that goes one by one.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.power.engine import OPENSTA, Activity, evaluate
from mlsmac.synth.simulation.changes import ChangeCounter
from mlsmac.synth.simulation.circuit import SimulationError, circuit
from mlsmac.synth.simulation.counts import CountedShares
from mlsmac.synth.simulation.vcd import UNKNOWN, Changes
from mlsmac.synth.timing.delays import analyse

DATA = Path(__file__).parents[1] / "data" / "power"
NETLIST = Netlist(
    "top",
    {
        "u0": Cell("u0", "NAND2", {"A": "a", "B": "b", "Y": "n"}),
        "f0": Cell("f0", "DFF", {"CK": "clk", "D": "n", "QN": "q"}),
    },
    {"a": ["a"], "b": ["b"], "clk": ["clk"]},
    {"q": ["q"]},
)
INITIAL = [(0, "a", 0), (0, "b", 1), (0, "n", 1), (1, "clk", 0), (2, "q", 0)]
# a and b are hardly ever equal; independent pins would be so half of the time.
CHANGES = [
    (22, "clk", 1),
    (23, "b", 0),
    (23, "a", 1),
    (24, "clk", 0),
    (25, "n", 1),  # written again: no toggle
    (26, "b", 1),
    (26, "n", 0),
    (26, "clk", 1),
    (27, "q", 1),
    (28, "clk", 0),
    (28, "b", 0),
    (28, "n", 1),
    (30, "a", 0),  # of the next window
]
WINDOW = (20, 30)


@pytest.fixture(scope="module")
def tiny():
    return load(DATA / "tiny.liberty")


def _changes(numbers, rows):
    time, net, value = zip(*rows, strict=True) if rows else ((), (), ())
    return Changes(
        np.array([numbers[name] for name in net], np.int32),
        np.array(time, np.int64),
        np.array(value, np.uint8),
    )


def _count(library, rows=(*INITIAL, *CHANGES), edges=WINDOW, netlist=NETLIST, cuts=()):
    """Counts, and their circuit; `rows` in parts that begin at `cuts`."""
    made = circuit(netlist, library)
    counter = ChangeCounter(made, np.array(edges))
    for first, last in pairwise((0, *cuts, len(rows))):
        counter.add(_changes(made.nets, rows[first:last]))
    return made, counter.result()


def _shown(library):
    """Activity and shares of what stands above."""
    made, counts = _count(library)
    return counts.activity(made, 10, 1e-9), CountedShares.of(made, counts)


def test_activity(tiny):
    activity, _ = _shown(tiny)
    assert activity == {
        "a": Activity(pytest.approx(1e8), 0.7),
        "b": Activity(pytest.approx(3e8), 0.5),
        "n": Activity(pytest.approx(2e8), 0.8),
        "clk": Activity(pytest.approx(4e8), 0.4),
        "q": Activity(pytest.approx(1e8), 0.3),
    }


def test_counts(tiny):
    """What changes at one time leaves one state."""
    _, shares = _shown(tiny)
    assert shares.names == {"NAND2": ["u0"], "DFF": ["f0"]}
    # Rows of the NAND2: bit 0 is A, bit 1 is B.
    assert shares.time["NAND2"].T.tolist() == [[0, 5, 3, 2]]
    assert shares.toggles["NAND2"][:, :, 0].tolist() == [[0, 0, 1, 0], [0, 1, 1, 1]]
    # Rows of the flop: CK, D, state, which is what QN is not.
    assert shares.time["DFF"].T.tolist() == [[0, 1, 2, 0, 0, 1, 4, 2]]
    clock, data = shares.toggles["DFF"][:, :, 0].tolist()
    assert clock == [0, 1, 0, 0, 0, 0, 2, 1]
    assert data == [0, 1, 0, 0, 0, 0, 1, 0]


def test_power(tiny):
    activity, shares = _shown(tiny)
    timing = analyse(NETLIST, tiny, "clk")
    power = evaluate(NETLIST, tiny, timing, activity, clock_net="clk", shares=shares)
    assert power.instances["u0"].leakage == pytest.approx(0.2 * 2e-9 + 0.3 * 4e-9 + 0.5 * 8e-9)
    # A decides at its one toggle, B at two of its three; A never toggles while B is 0.
    assert power.instances["u0"].internal == pytest.approx(2e8 * (2 + 2 * 20) / 3 * 1e-12)


def test_refuses_other_conventions(tiny):
    activity, shares = _shown(tiny)
    timing = analyse(NETLIST, tiny, "clk")
    with pytest.raises(ValueError, match="must be used with outputs that follow their function"):
        evaluate(
            NETLIST, tiny, timing, activity, clock_net="clk", conventions=OPENSTA, shares=shares
        )


def test_refuses_shares_of_another_netlist(tiny):
    activity, shares = _shown(tiny)
    cells = {f"x{n}": Cell(f"x{n}", cell.kind, cell.pins) for n, cell in NETLIST.cells.items()}
    netlist = Netlist("top", cells, NETLIST.inputs, NETLIST.outputs)
    timing = analyse(netlist, tiny, "clk")
    with pytest.raises(ValueError, match="must be of the same netlist, but are of another"):
        evaluate(netlist, tiny, timing, activity, clock_net="clk", shares=shares)


def test_batches(tiny):
    """A change at an edge belongs to what begins there."""
    made, counts = _count(tiny, edges=(20, 23, 24, 28, 30))
    toggles = dict(zip(made.nets, counts.toggles.T.tolist(), strict=True))
    assert toggles == {
        "a": [0, 1, 0, 0],
        "b": [0, 1, 1, 1],
        "clk": [1, 0, 2, 1],
        "n": [0, 0, 1, 1],
        "q": [0, 0, 1, 0],
    }
    _, whole = _count(tiny)
    np.testing.assert_array_equal(counts.high, whole.high)
    np.testing.assert_array_equal(counts.cells, whole.cells)


@pytest.mark.parametrize(
    ("rows", "net"),
    [
        ([(25, "n", UNKNOWN)], "n"),
        ([(22, "a", UNKNOWN), (23, "a", 1)], "a"),
        ([(29, "q", UNKNOWN), (30, "q", 1)], "q"),
        ([(20, "b", UNKNOWN), (25, "b", 0)], "b"),
    ],
)
def test_undefined_in_the_window(tiny, rows, net):
    with pytest.raises(SimulationError, match=f"1 nets are undefined in simulation, {net} among"):
        _count(tiny, [*INITIAL, *rows])


def test_undefined_outside_of_the_window(tiny):
    """A net that was undefined counts as 0; by way of X is no toggle."""
    late = [(20, "q", 1), (30, "q", UNKNOWN), (31, "b", UNKNOWN)]
    made, counts = _count(tiny, [*INITIAL[:-1], *late])
    assert counts.toggles[0, made.nets["q"]] == 0
    assert counts.high[made.nets["q"]] == 10
    with pytest.raises(SimulationError, match="1 nets are undefined in simulation, q among them"):
        _count(tiny, INITIAL[:-1])


def _random(toy, seed):
    """Cells that need not do what they should: the counter does not ask."""
    rng = np.random.default_rng(seed)
    nets = [f"n{i}" for i in range(12)]
    cells, free = {}, list(nets)
    for i, kind in enumerate(("FA", "XOR2", "DFF", "DFFX", "DFFE", "AOI21", "INV")):
        liberty = toy[kind]
        pins = {pin.name: nets[rng.integers(12)] for pin in liberty.inputs}
        outputs = liberty.outputs[: 1 + i % 2]
        pins |= {pin.name: free.pop(rng.integers(len(free))) for pin in outputs}
        cells[f"c{i}"] = Cell(f"c{i}", kind, pins)
    cells["c0"].pins["B"] = "1'1"
    netlist = Netlist("top", cells, {"i": free}, {"o": nets})
    rows = [(int(rng.integers(0, 50)), net, int(rng.integers(2))) for net in nets]
    times = np.sort(rng.integers(50, 400, 120))
    rows += [
        (int(time), net, int(rng.integers(2)))
        for time in np.unique(times)
        for net in rng.permutation(nets)[: rng.integers(1, 6)]
    ]
    return netlist, sorted(rows, key=lambda row: row[0])


@pytest.mark.parametrize("seed", range(4))
def test_random_changes(toy, recount, seed):
    """In parts of whole times of every size."""
    netlist, rows = _random(toy, seed)
    edges = (50, 90, 91, 200, 330)
    made = circuit(netlist, toy)
    expected = recount(netlist, toy, dict.fromkeys(made.nets, 0), rows, edges)
    begins = [i for i in range(1, len(rows)) if rows[i][0] != rows[i - 1][0]]
    for size in (1, 2, 3, 7, 20, 50, len(rows)):
        _, counts = _count(toy, rows, edges, netlist, begins[size - 1 :: size])
        shares = CountedShares.of(made, counts)
        assert dict(zip(made.nets, counts.toggles.T.tolist(), strict=True)) == expected.toggles
        assert dict(zip(made.nets, counts.high.tolist(), strict=True)) == expected.high
        for kind, names in shares.names.items():
            for number, name in enumerate(names):
                time, left = shares.time[kind], shares.toggles[kind]
                np.testing.assert_array_equal(time[:, number], expected.time[name])
                np.testing.assert_array_equal(left[:, :, number], expected.left[name])
