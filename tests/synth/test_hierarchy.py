"""Merging of equal modules: what is equal; and parts that say nothing of the unit around them."""

import pytest
from amaranth import Module
from amaranth.back import rtlil
from amaranth.hdl import Fragment
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from mlsmac.golden.spec import BF16
from mlsmac.hw.floating.float_adder import FloatAdder
from mlsmac.synth.mapping.hierarchy import merge, parts
from mlsmac.synth.mapping.rtlil import parse
from mlsmac.units import configure, to_rtlil
from mlsmac.units.emit import to_outlined_rtlil

INVERTER = """\
module \\{name}
  wire width 1 input 0 \\{i}
  wire width 1 output 1 \\{o}
  cell $not ${number}
    parameter \\A_SIGNED 0
    connect \\A \\{i} [0]
    connect \\Y \\{o}
  end
end
"""
TOP = """\
module \\top
  wire width 1 input 0 \\x
  wire width 1 output 1 \\z
  wire width 1 \\y
  cell \\one \\first
    connect \\a \\x [0]
    connect \\b \\y
  end
  cell \\two \\second
    connect \\d \\z
    connect \\c \\y [0]
  end
end
"""
ONE = INVERTER.format(name="one", i="a", o="b", number=1)
TWO = INVERTER.format(name="two", i="c", o="d", number=27)


def test_modules_that_differ_in_names_are_one_and_instances_follow():
    merged = merge(parse(TOP + ONE + TWO), "\\top")
    assert list(merged) == ["\\one", "\\top"]
    lines = [line.split() for line in merged["\\top"].lines]
    second = lines.index(["cell", "\\one", "\\second"])
    assert lines[second + 1 : second + 3] == [
        ["connect", "\\a", "\\y", "[0]"],
        ["connect", "\\b", "\\z"],
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("$not", "$pos"),
        ("A_SIGNED 0", "A_SIGNED 1"),
        ("\\A \\c [0]", "\\A \\d [0]"),
        ("width 1 input", "width 2 input"),
        ("\\c [0]", "1'0"),
    ],
)
def test_modules_that_differ_in_more_stay(old, new):
    assert old in TWO
    merged = merge(parse(TOP + ONE + TWO.replace(old, new)), "\\top")
    assert list(merged) == ["\\one", "\\two", "\\top"]


def test_unused_modules_go_and_the_top_must_be_there():
    assert "\\two" not in merge(parse(ONE + TWO), "\\one")
    with pytest.raises(ValueError, match="the design must have a module absent"):
        parts(ONE, "absent", [frozenset({"x"})])


def test_a_part_says_nothing_of_what_is_around_and_below_it():
    """Names of wires, ports and modules are numbers; instances keep theirs."""
    stages = [frozenset({"first", "second"})]
    one, top = parts(TOP + ONE + TWO, "top", stages)
    assert (one.name, top.name) == ("one", "top")
    assert one.text == INVERTER.format(name="part", i="w#0", o="w#1", number="c0")
    box = """\
attribute \\blackbox 1
module \\box0
  wire width 1 input 0 \\p0
  wire width 1 output 1 \\p1
end
"""
    assert top.text.startswith(box)
    assert top.boxes == {"box0": one}
    lines = [line.split() for line in top.text.splitlines()]
    second = lines.index(["cell", "\\box0", "\\second"])
    assert lines[second + 1 : second + 3] == [
        ["connect", "\\p0", "\\w#2", "[0]"],
        ["connect", "\\p1", "\\w#1"],
    ]
    other = TOP.replace("\\top", "\\other").replace("\\y", "\\between")
    assert [part.text for part in parts(other + ONE + TWO, "other", stages)] == [one.text, top.text]


def test_names_come_back_and_generated_ones_give_way():
    (part,) = parts(TOP.replace("\\y", "\\n0") + ONE + TWO, "top", [])
    assert part.wires == ("a", "b", "x", "z", "n0")
    nets = ("w#2", "w#4", "n0", "first.w#1[3]")
    cell = {"type": "INV", "connections": {"A": [2]}}
    found = part.named(
        {
            "netnames": {name: {"bits": [bit]} for bit, name in enumerate(nets, start=2)},
            "ports": {"w#2": {"bits": [2]}},
            "cells": {"g0": cell | {"attributes": {}}},
        }
    )
    assert found["ports"] == {"x": {"bits": [2]}}
    assert list(found["netnames"]) == ["x", "n0", "n0_", "first.b[3]"]
    assert found["cells"] == {"g0": cell}


class Adders(wiring.Component):
    """`count` adders side by side."""

    def __init__(self, *, count):
        self._count = count
        shape = ArrayLayout(16, count)
        super().__init__({"x": In(shape), "y": In(shape), "sum": Out(shape)})

    def elaborate(self, platform):
        m = Module()
        for i in range(self._count):
            m.submodules[f"adder{i}"] = adder = FloatAdder(format=BF16)
            m.d.comb += [
                adder.x.eq(self.x[i]),
                adder.y.eq(self.y[i]),
                self.sum[i].eq(adder.sum),
            ]
        return m


def _names(configuration):
    stages = configuration.build().stage_sets
    return [part.name for part in parts(to_rtlil(configuration), configuration.slug, stages)]


def test_what_is_used_several_times_is_one_part():
    component = Adders(count=5)
    ports = [component.x.as_value(), component.y.as_value(), component.sum.as_value()]
    text = rtlil.convert(Fragment.get(component, None), name="adders", ports=ports)
    assert [part.name for part in parts(text, "adders", ())] == ["adders.adder0", "adders"]


@pytest.mark.parametrize("unit", ["mls_mac", "fp8_mac"])
def test_stages_of_a_mac_are_parts_and_nothing_else(unit):
    configuration = configure(unit)
    slug, stages = configuration.slug, configuration.build().stages
    assert sorted(_names(configuration)) == sorted([slug, *(f"{slug}.{name}" for name in stages)])


def test_stages_and_lanes_of_a_tile_are_parts():
    configuration = configure("mls_tile", lanes=3)
    names = {name.removeprefix(f"{configuration.slug}.") for name in _names(configuration)}
    lane = {"macs.lane0", "macs.lane0.multiplier", "macs.lane0.accumulator"}
    assert names >= {*configuration.build().stages, *lane, "scalers.scaler0"}
    assert not any("lane1" in name for name in names)


def test_units_that_have_a_part_in_common_have_one_text_of_it():
    """The accumulator of two multipliers, and the lane of two tiles."""

    def texts(unit, **options):
        configuration = configure(unit, **options)
        stages, slug = configuration.build().stage_sets, configuration.slug
        every = parts(to_rtlil(configuration), slug, stages)
        return {part.name.removeprefix(f"{slug}."): part.text for part in every}

    one, two = (texts("fp8_mac", format="e4m3", recoding=r) for r in ("none", "booth4"))
    assert one["accumulator"] == two["accumulator"]
    assert one["multiplier"] != two["multiplier"]
    two, three = (texts("mls_tile", format="2,1", lanes=lanes) for lanes in (2, 3))
    assert {name for name in two if two[name] == three.get(name)} >= {
        "macs.lane0.multiplier",
        "macs.lane0.accumulator",
    }


@pytest.mark.parametrize(
    ("unit", "options"),
    [
        ("mls_tile", {"lanes": 2}),
        ("mls_tile", {"lanes": 4, "sharing": 2, "tensor_scale": False}),
        ("mls_tile", {"lanes": 3, "tree": "aligned", "tensor_scale": False}),
        ("mls_tile", {"lanes": 3, "tree": "exact", "scale": "4,1", "tensor_scale": False}),
        ("fp8_tile", {"lanes": 3, "tensor_scale": False}),
    ],
)
def test_outlines_of_lanes_stand_for_lanes(unit, options):
    configuration = configure(unit, **options)
    stages = configuration.build().stage_sets
    whole, outlined = to_rtlil(configuration), to_outlined_rtlil(configuration)
    assert len(outlined) < len(whole)
    slug = configuration.slug
    one, two = (parts(text, slug, stages) for text in (outlined, whole))
    assert [part.text for part in one] == [part.text for part in two]
