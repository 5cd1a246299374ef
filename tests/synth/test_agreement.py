"""The simulator `events` against Icarus: every kind of MAC and a tile, in each library, net by net
and state by state.
"""

import os

import numpy as np
import pytest

from mlsmac.study.stimuli.pairs import build
from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty.library import load
from mlsmac.synth.liberty.pdk import find
from mlsmac.synth.mapping.mapper import map_unit, possible_adders
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.synth.power.engine import evaluate
from mlsmac.synth.simulation.simulate import Simulation, Simulator
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


def agree(pdk, library, pairs, unit, options, adders, operations=None):
    """A mapped unit shows the same in both simulators, with delays and without."""
    configuration = configure(unit, **options)
    component = configuration.build()
    workload = configuration.workload(pairs)
    inputs = {port: codes[:operations] for port, codes in workload.inputs.items()}
    expected = configuration.reference(inputs)
    slug, stages = configuration.slug, component.stage_sets
    mapped = map_unit(to_rtlil(configuration), slug, pdk, library, adders=adders, stages=stages)
    netlist = mapped.netlist
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
