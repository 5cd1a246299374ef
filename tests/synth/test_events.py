"""Power from events counted one by one, by hand on a tiny library."""

from pathlib import Path

import numpy as np
import pytest

from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.power.engine import OPENSTA, Activity, evaluate
from mlsmac.synth.simulation.events import count
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
INITIAL = {"a": False, "b": True, "n": True, "clk": False, "q": False}
# a and b are hardly ever equal; independent pins would be so half of the time.
CHANGES = [
    (2, "clk", True),
    (3, "b", False),
    (3, "a", True),
    (4, "clk", False),
    (6, "n", True),  # written again: no toggle
    (6, "b", True),
    (6, "n", False),
    (6, "clk", True),
    (7, "q", True),
    (8, "clk", False),
    (8, "b", False),
    (8, "n", True),
]


@pytest.fixture(scope="module")
def tiny():
    return load(DATA / "tiny.liberty")


def _count(library, changes=CHANGES, initial=INITIAL):
    return count(NETLIST, library, initial, changes, 10, step_s=1e-9)


def test_activity(tiny):
    activity, _ = _count(tiny)
    assert activity == {
        "a": Activity(pytest.approx(1e8), 0.7),
        "b": Activity(pytest.approx(3e8), 0.5),
        "n": Activity(pytest.approx(2e8), 0.8),
        "clk": Activity(pytest.approx(4e8), 0.4),
        "q": Activity(pytest.approx(1e8), 0.3),
    }


def test_counts(tiny):
    _, shares = _count(tiny)
    # Rows of the NAND2: bit 0 is A, bit 1 is B.
    np.testing.assert_array_equal(shares.time["u0"], [0, 5, 3, 2])
    np.testing.assert_array_equal(shares.toggles["u0", "A"], [1, 0, 0, 0])
    np.testing.assert_array_equal(shares.toggles["u0", "B"], [0, 1, 1, 1])
    # Rows of the flop: CK, D, state, which is what QN is not.
    np.testing.assert_array_equal(shares.time["f0"], [0, 1, 2, 0, 0, 1, 4, 2])
    np.testing.assert_array_equal(shares.toggles["f0", "CK"], [0, 1, 0, 0, 1, 0, 1, 1])
    np.testing.assert_array_equal(shares.toggles["f0", "D"], [1, 0, 0, 0, 0, 0, 1, 0])


def test_power(tiny):
    activity, shares = _count(tiny)
    timing = analyse(NETLIST, tiny, "clk")
    power = evaluate(NETLIST, tiny, timing, activity, clock_net="clk", shares=shares)
    assert power.instances["u0"].leakage == pytest.approx(0.2 * 2e-9 + 0.3 * 4e-9 + 0.5 * 8e-9)
    # B decides at no toggle of A, A at two of the three of B. A toggles once while B is 0.
    assert power.instances["u0"].internal == pytest.approx((2e8 * 20 + 1e8 * 3) * 1e-12)


def test_refuses_other_conventions(tiny):
    activity, shares = _count(tiny)
    timing = analyse(NETLIST, tiny, "clk")
    with pytest.raises(ValueError, match="must be used with outputs that follow their function"):
        evaluate(
            NETLIST, tiny, timing, activity, clock_net="clk", conventions=OPENSTA, shares=shares
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(3, "a", True), (2, "b", False)], r"time must be in 3\.\.10, not 2"),
        ([(11, "a", True)], r"time must be in 0\.\.10, not 11"),
    ],
)
def test_refuses_times(tiny, changes, message):
    with pytest.raises(ValueError, match=message):
        _count(tiny, changes)


def test_refuses_a_net_without_value(tiny):
    with pytest.raises(ValueError, match=r"initial must hold every net, but lacks n$"):
        _count(tiny, initial={net: bit for net, bit in INITIAL.items() if net != "n"})
