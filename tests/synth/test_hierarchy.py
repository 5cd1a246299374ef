"""Merging of equal modules: what is equal, what is not, and that it computes the same."""

import pytest
from amaranth import Module
from amaranth.back import rtlil
from amaranth.hdl import Fragment
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from mlsmac.golden.spec import BF16
from mlsmac.hw.floating.float_adder import FloatAdder
from mlsmac.synth.mapping.hierarchy import distinct_modules, merge, parse
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


def test_unused_modules_go_and_a_missing_top_leaves_the_text():
    assert "\\two" not in merge(parse(ONE + TWO), "\\one")
    assert distinct_modules(ONE, "absent", [frozenset({"x"})]) == ONE


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


def test_what_is_used_several_times_is_one_module_apart():
    component = Adders(count=5)
    ports = [component.x.as_value(), component.y.as_value(), component.sum.as_value()]
    text = rtlil.convert(Fragment.get(component, None), name="adders", ports=ports)
    found = parse(distinct_modules(text, "adders", ()))
    assert len(parse(text)) - len(found) == 4 * (len(found) - 1)
    marked = [name for name, module in found.items() if "keep_hierarchy" in module.attributes]
    assert marked == ["\\adders.adder0"]


@pytest.mark.parametrize("unit", ["mls_mac", "fp8_mac"])
def test_stages_of_a_mac_are_apart_and_nothing_else(unit):
    configuration = configure(unit)
    component = configuration.build()
    text = distinct_modules(to_rtlil(configuration), configuration.slug, component.stage_sets)
    marked = {name for name, m in parse(text).items() if "keep_hierarchy" in m.attributes}
    stages = component.stages
    assert marked == {f"\\{configuration.slug}.{stage}" for stage in stages}


def test_stages_and_lanes_of_a_tile_are_apart():
    configuration = configure("mls_tile", lanes=3)
    text = to_rtlil(configuration)
    component = configuration.build()
    merged = parse(distinct_modules(text, configuration.slug, component.stage_sets))
    assert len(merged) < len(parse(text)) / 2
    marked = {
        name.removeprefix(f"\\{configuration.slug}.")
        for name, module in merged.items()
        if "keep_hierarchy" in module.attributes
    }
    lane = {"macs.lane0", "macs.lane0.multiplier", "macs.lane0.accumulator"}
    assert marked >= {*component.stages, *lane, "scalers.scaler0"}


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
    assert distinct_modules(outlined, slug, stages) == distinct_modules(whole, slug, stages)
