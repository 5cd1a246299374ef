"""What tests share: the default library, and one small MAC, mapped once."""

from dataclasses import dataclass

import numpy as np
import pytest

from mlsmac.support.errors import ToolError
from mlsmac.synth.liberty.library import Library, load
from mlsmac.synth.liberty.pdk import Pdk, find
from mlsmac.synth.mapping.mapper import MappedNetlist, map_unit
from mlsmac.synth.mapping.netlist import Netlist
from mlsmac.synth.timing.delays import Timing, analyse
from mlsmac.units import configure, reference, to_rtlil


@dataclass(frozen=True)
class MappedMac:
    """A MAC on OSU 180 nm and vectors for it."""

    configuration: object
    pdk: Pdk
    library: Library
    mapped: MappedNetlist
    netlist: Netlist
    timing: Timing
    stimulus: dict
    expected: dict


@pytest.fixture(scope="session")
def osu018():
    try:
        return find("osu018")
    except ToolError as error:
        return pytest.skip(str(error))


@pytest.fixture(scope="session")
def osu_library(osu018):
    return load(osu018.liberty)


@pytest.fixture(scope="session")
def mac(osu018, osu_library):
    """MLS <2,1> MAC with a 10-bit accumulator, 200 operations."""
    configuration = configure("mls_mac", format="2,1", acc_width=10)
    stages = configuration.build().stage_sets
    text, slug = to_rtlil(configuration), configuration.slug
    mapped = map_unit(text, slug, osu018, osu_library, stages=stages)
    rng = np.random.default_rng(20)
    stimulus = {port: rng.integers(0, 16, 200) for port in "wa"}
    stimulus["start"] = (rng.random(200) < 0.1).astype(np.int64)
    stimulus["start"][0] = 1
    expected = reference("mls_mac", configuration.options, stimulus)
    timing = analyse(mapped.netlist, osu_library, "clk")
    made = configuration, osu018, osu_library, mapped, mapped.netlist, timing
    return MappedMac(*made, stimulus, expected)
