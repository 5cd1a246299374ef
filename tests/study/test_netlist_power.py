"""Power by group and by hierarchy: every cell in one of each, whatever the depth."""

from pathlib import Path

import pytest

from mlsmac.study.netlist_power import netlist_power, power_sheet, power_tables
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.power.engine import Activity
from mlsmac.synth.power.recorded import Recorded

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"
NETLIST = Netlist(
    "top",
    {
        "a.b/u0": Cell("a.b/u0", "INV", {"A": "d", "Y": "n"}),
        "a.b/u1": Cell("a.b/u1", "NAND2", {"A": "n", "B": "d", "Y": "m"}),
        "a.c0": Cell("a.c0", "INV", {"A": "clk", "Y": "ck"}),
        "f0": Cell("f0", "DFF", {"CK": "ck", "D": "m", "Q": "q"}),
    },
    {"clk": ["clk"], "d": ["d"]},
    {"q": ["q"]},
)
ACTIVITY = {net: Activity(1e6 * (1 + place), 0.5) for place, net in enumerate(NETLIST.nets())}


def power(**options):
    """In a microsecond."""
    recorded = Recorded(ACTIVITY, None, 1e-6)
    return netlist_power(NETLIST, load(TINY), recorded, activity="x.saif", **options)


def test_groups_and_instances_are_all_of_it() -> None:
    found = power(operations=4)
    groups = {own.group: own for own in found.groups}
    assert {name: own.cells for name, own in groups.items()} == {
        "sequential": 1,
        "combinational": 2,
        "clock": 1,
        "inputs": 0,
    }
    total = found.power.total_uw
    assert sum(own.power.total_uw for own in found.groups) == pytest.approx(total, rel=1e-5)
    nets = sum(
        0.5e-12 * load * 4 * ACTIVITY[net].toggles_per_s * 1e6
        for net, load in (("clk", 0.5), ("d", 0.75))
    )
    instances = sum(own.power.total_uw for own in found.instances)
    assert instances + nets == pytest.approx(total, rel=1e-5)
    assert found.energy_pj == pytest.approx(total, rel=1e-5)
    assert found.energy_pj_per_operation == pytest.approx(total / 4, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"depth": 0}, {}),
        ({}, {"a": 3}),
        ({"depth": 2}, {"a": 3, "a.b": 2}),
        ({"depth": 9, "divider": "/"}, {"a.b": 2}),
    ],
)
def test_hierarchy_to_a_depth(options, paths) -> None:
    found = power(**options)
    assert {own.path: own.cells for own in found.hierarchy} == paths
    for own in found.hierarchy:
        assert own.share == pytest.approx(own.power.total_uw / found.power.total_uw, abs=1e-4)


def test_tables_leave_out_what_is_empty() -> None:
    titles = [table.title for table in power_tables(power(depth=0))]
    assert titles == ["By group", "By instance, 4 of 4 that take most"]
    lines = dict(power_sheet(power()).lines())
    assert lines["states"] == "independent"
    assert lines["energy an operation, pJ"] == "-"
