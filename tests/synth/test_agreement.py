"""The simulator `events` against Icarus: every kind of MAC and a tile, in each library, net by net
and state by state.
"""

import os
from dataclasses import replace
from fnmatch import fnmatch

import numpy as np
import pytest

from mlsmac.study.stimuli.pairs import build
from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty.library import load
from mlsmac.synth.liberty.pdk import find
from mlsmac.synth.mapping.mapper import map_unit, possible_adders
from mlsmac.synth.mapping.netlist import Cell
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.synth.power.engine import evaluate
from mlsmac.synth.simulation.simulate import Simulation, Simulator
from mlsmac.synth.timing.clock_network import clock_tree
from mlsmac.synth.timing.delays import analyse
from mlsmac.units import configure, to_rtlil
from mlsmac.units.macs import ROWS

pytestmark = pytest.mark.eda

SMALL = {
    "float_mac": {"format": "e4m3"},
    "int_mac": {"format": "int4", "a_format": "int4", "acc_width": 10},
    "adder_mac": {"format": "int4", "acc_width": 8},
    "lns_mac": {"table_bits": 2, "acc_width": 17},
}
"""Options that make MACs small; `mac` of the session is one more."""

LARGE = [(unit.name, {}) for unit in ROWS] + [("mls_tile", {"lanes": 4})]


@pytest.fixture(scope="module")
def pairs():
    return build(400, 2026)


def library(name):
    try:
        pdk = find(name)
    except ToolError as error:
        pytest.skip(f"{error}; MLSMAC_PDK_DIR is {os.environ.get('MLSMAC_PDK_DIR', 'unset')}")
    return pdk, load(pdk.liberty)


def with_tree(netlist, library, pdk):
    """Buffers with a dozen flops each, one of them behind a clock gate where the library has one,
    and buffers before them: leaves of unlike load and depth.
    """
    buffer = library[min(kind for kind in library.cells if fnmatch(kind, pdk.clock_buffers[0]))]
    (pin,), (out,) = buffer.inputs, buffer.outputs
    gates = [
        kind for kind in sorted(library.cells) if any(fnmatch(kind, p) for p in pdk.clock_gates)
    ]
    cells = dict(netlist.cells)

    def connect(name, pin, net):
        cells[name] = replace(cells[name], pins={**cells[name].pins, pin: net})

    def gate(clock):
        kind = library[gates[0]]
        roles = kind.clock_gate
        pins = {pin.name: "1'0" for pin in kind.inputs}
        pins |= {roles.clock: clock, roles.enable: "1'1", roles.output: "gated"}
        cells["gate"] = Cell("gate", kind.name, pins)
        return "gated"

    flops = [name for name, cell in cells.items() if library[cell.kind].flop]
    for number, first in enumerate(range(0, len(flops), 12)):
        clock = "clk" if number % 2 else "root"
        if gates and number == 0:
            clock = gate("root")
        leaf = f"leaf{number}"
        cells[leaf] = Cell(leaf, buffer.name, {pin.name: clock, out.name: leaf})
        for name in flops[first : first + 12 - number % 3]:
            connect(name, library[cells[name].kind].flop.clocked_on.name, leaf)
    cells["root"] = Cell("root", buffer.name, {pin.name: "clk", out.name: "root"})
    return replace(netlist, cells=cells)


def agree(pdk, library, pairs, unit, options, adders, operations=None, *, tree=False):
    """A mapped unit shows the same in both simulators, with delays and without."""
    configuration = configure(unit, **options)
    component = configuration.build()
    workload = configuration.workload(pairs)
    inputs = {port: codes[:operations] for port, codes in workload.inputs.items()}
    expected = configuration.reference(inputs)
    slug, stages = configuration.slug, component.stage_sets
    mapped = map_unit(to_rtlil(configuration), slug, pdk, library, adders=adders, stages=stages)
    netlist = with_tree(mapped.netlist, library, pdk) if tree else mapped.netlist
    assert bool(clock_tree(netlist, library, "clk").cells) == tree
    timing = analyse(netlist, library, "clk")
    cycles = len(next(iter(inputs.values())))
    settings = {
        "clock_ns": 1e3 / pdk.clock_mhz,
        "latency": component.latency,
        "warm_up": workload.warm_up,
        "batches": [start for start in workload.batches.starts[1:] if start < cycles],
    }
    for delays in (None, timing):
        one, two = (
            Simulation(netlist, library, inputs, expected, simulator=own, **settings).run(delays)
            for own in Simulator
        )
        assert one.mismatches == two.mismatches == 0
        assert one.batches.toggles.sum() > 500
        np.testing.assert_array_equal(one.batches.toggles, two.batches.toggles)
        assert one.activity == two.activity
        for kind in one.shares.names:
            np.testing.assert_array_equal(one.shares.time[kind], two.shares.time[kind])
            np.testing.assert_array_equal(one.shares.toggles[kind], two.shares.toggles[kind])
        energies = {
            evaluate(
                netlist, library, timing, own.activity, clock_net="clk", shares=own.shares
            ).total
            for own in (one, two)
        }
        assert len(energies) == 1


@pytest.mark.parametrize("unit", SMALL)
def test_small_units(osu018, osu_library, pairs, unit):
    agree(osu018, osu_library, pairs, unit, SMALL[unit], Adders.GATES, 100)


@pytest.mark.parametrize("name", ["osu018", "sky130", "sg13g2", "asap7"])
def test_clock_trees(pairs, name):
    """And the unit computes what golden says."""
    pdk, cells = library(name)
    adders = possible_adders(cells, pdk)[-1]
    agree(pdk, cells, pairs, "int_mac", SMALL["int_mac"], adders, 100, tree=True)


@pytest.mark.slow
@pytest.mark.parametrize("adders", Adders)
@pytest.mark.parametrize(("unit", "options"), LARGE)
def test_units(osu018, osu_library, pairs, unit, options, adders):
    agree(osu018, osu_library, pairs, unit, options, adders)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sky130", "sg13g2", "asap7"])
@pytest.mark.parametrize(("unit", "options"), LARGE)
def test_other_libraries(pairs, name, unit, options):
    pdk, cells = library(name)
    agree(pdk, cells, pairs, unit, options, possible_adders(cells, pdk)[-1])
