"""Technology mapping: what comes out is made of library cells only, always the same, and small."""

import re
from collections import Counter

import pytest
from amaranth import Module
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mlsmac.hw import configure, to_rtlil
from mlsmac.synth.errors import UserError
from mlsmac.synth.mapping import ABC_SCRIPTS, MappingError, map_unit

pytestmark = pytest.mark.eda


class Operator(wiring.Component):
    """`o = function(a, b)`."""

    def __init__(self, width, out_width, function):
        self._function = function
        super().__init__({"a": In(width), "b": In(width), "o": Out(out_width)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self._function(self.a, self.b))
        return m


def _module(*lines):
    """RTLIL of a module `top` with inputs a, b and output o, each of one bit."""
    wires = ["wire input 1 \\a", "wire input 2 \\b", "wire output 3 \\o"]
    return "\n".join(["module \\top", *wires, *lines, "end", ""])


def test_flops_and_cells(mac):
    kinds = Counter(cell.kind for cell in mac.netlist.cells.values())
    assert mac.mapped.cells == kinds
    assert mac.mapped.flop_count == mac.configuration.build().registers == kinds["DFFPOSX1"]
    area = sum(mac.library[kind].area_um2 * count for kind, count in kinds.items())
    assert mac.mapped.area == pytest.approx(area)


def test_names(mac):
    """Every cell tells its part; generated names are short; registers keep theirs."""
    parts = Counter(name.split(".")[0] for name in mac.netlist.cells)
    assert set(parts) == {"multiplier", "accumulator"}
    assert all(re.fullmatch(r"\w+\.g\d+", name) for name in mac.netlist.cells)
    nets = {net for cell in mac.netlist.cells.values() for net in cell.pins.values()}
    assert {"clk", "acc[9]", "w[3]", "multiplier.s1_start"} <= nets
    assert "signed" not in mac.mapped.verilog


def test_deterministic_and_quiet(mac, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    again = map_unit(to_rtlil(mac.configuration), mac.configuration.slug, mac.pdk)
    assert again == mac.mapped
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    for text in (again.verilog, again.json):
        assert str(mac.pdk.liberty.parent) not in text
        assert "/tmp" not in text


def test_initial_values_are_dropped(osu018):
    flop = ["cell $dff $1", "parameter \\WIDTH 1", "parameter \\CLK_POLARITY 1'1"]
    flop += ["connect \\CLK \\a", "connect \\D \\b", "connect \\Q \\o", "end"]
    text = _module(*flop).replace("wire output", "attribute \\init 1'1\nwire output")
    assert map_unit(text, "top", osu018).cells == {"DFFPOSX1": 1}


@pytest.mark.parametrize(
    ("function", "width", "out_width", "booth", "gates"),
    [
        (lambda a, b: a * b, 24, 48, True, 3490),  # the best plain 24 x 24 multiplier published
        (lambda a, b: a + b, 32, 32, False, 205.5),
    ],
)
def test_area_script_reaches_peers(osu018, function, width, out_width, booth, gates):
    text = rtlil.convert(Operator(width, out_width, function), name="operator", emit_src=False)
    mapped = map_unit(text, "operator", osu018, booth=booth)
    assert mapped.area / 24 <= gates  # 24 um^2 is the NAND2's area
    assert mapped.flop_count == 0


def test_unknown_script(osu018):
    rule = f"script must be one of {', '.join(ABC_SCRIPTS)}, not 'power'"
    with pytest.raises(UserError, match=rule):
        map_unit("", "top", osu018, script="power")


def test_yosys_error_is_one_line(osu018):
    with pytest.raises(MappingError, match=r"^ERROR: Module `absent' not found!$"):
        map_unit(_module("connect \\o \\a"), "absent", osu018)


def test_latch(osu018):
    latch = ["cell $dlatch $1", "parameter \\WIDTH 1", "parameter \\EN_POLARITY 1'1"]
    latch += ["connect \\EN \\a", "connect \\D \\b", "connect \\Q \\o", "end"]
    with pytest.raises(MappingError, match="top must have no latches, not 1 of \\$_DLATCH_P_"):
        map_unit(_module(*latch), "top", osu018)


def test_unmapped_cell(osu018):
    tristate = ["cell $_TBUF_ $1", "connect \\A \\a", "connect \\E \\b", "connect \\Y \\o", "end"]
    with pytest.raises(MappingError, match="top must be mapped completely, but has \\$_TBUF_"):
        map_unit(_module(*tristate), "top", osu018)


def test_undriven_output(osu018):
    with pytest.raises(MappingError, match="port o of top must be driven, not undefined"):
        map_unit(_module(), "top", osu018)


def test_wires_alone(osu018):
    mapped = map_unit(_module("connect \\o \\a"), "top", osu018)
    assert (mapped.cells, mapped.area, mapped.flop_count) == ({}, 0.0, 0)


def test_combinational_unit_is_one_piece(osu018):
    configuration = configure("mls_multiplier", format="2,1")
    mapped = map_unit(to_rtlil(configuration), configuration.slug, osu018)
    assert mapped.flop_count == 0
    assert "multiplier." not in mapped.verilog
