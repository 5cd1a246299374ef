"""Technology mapping: what comes out is made of library cells only, always the same, and small."""

import re
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from amaranth import Module
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mlsmac.hw.parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from mlsmac.support.errors import UserError
from mlsmac.synth.liberty.adder_cells import AdderCell, adder_cells
from mlsmac.synth.liberty.library import load
from mlsmac.synth.liberty.pdk import find
from mlsmac.synth.mapping import mapper
from mlsmac.synth.mapping.mapper import MappingError, map_unit, possible_adders
from mlsmac.synth.mapping.recipes import ABC_SCRIPTS, Adders, full_adder_map
from mlsmac.units import configure, to_rtlil

pytestmark = pytest.mark.eda


class Adder32(wiring.Component):
    """`o = a + b`, modulo 2^32."""

    a: In(32)
    b: In(32)
    o: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.a + self.b)
        return m


def _module(*lines):
    """RTLIL of a module `top` with inputs a, b and output o, each of one bit."""
    wires = ["wire input 1 \\a", "wire input 2 \\b", "wire output 3 \\o"]
    return "\n".join(["module \\top", *wires, *lines, "end", ""])


def test_flops_and_cells(mac):
    kinds = Counter(cell.kind for cell in mac.netlist.cells.values())
    assert mac.mapped.cells == kinds
    assert mac.configuration.build().registers == kinds["DFFPOSX1"]
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


class Squares(wiring.Component):
    """`n1 = n0^2`, modulo 2^4, by `count` stages one after another; itself at 0."""

    n0: In(4)
    n1: Out(4)

    def __init__(self, *, count=0):
        self._count = count
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        value = self.n0
        for i in range(self._count):
            m.submodules[f"square{i}"] = square = Squares()
            m.d.comb += square.n0.eq(value)
            value = square.n1
        m.d.comb += self.n1.eq(value if self._count else value * value)
        return m


@pytest.mark.parametrize("count", [0, 2], ids=["unit", "stages"])
def test_ports_keep_names_that_nets_are_given(osu018, osu_library, count):
    """Of a unit, and of its stages."""
    text = rtlil.convert(Squares(count=count), name="squares", emit_src=False)
    stages = [frozenset({"square0", "square1"})]
    netlist = map_unit(text, "squares", osu018, osu_library, stages=stages).netlist
    assert netlist.inputs.keys() == {"n0"}
    assert netlist.outputs.keys() == {"n1"}


def test_deterministic_and_quiet(mac, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    stages = mac.configuration.build().stage_sets
    text, slug = to_rtlil(mac.configuration), mac.configuration.slug
    again = map_unit(text, slug, mac.pdk, mac.library, stages=stages)
    assert again == mac.mapped
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert str(mac.pdk.liberty[0].parent) not in again.verilog
    assert "/tmp" not in again.verilog


def test_initial_values_are_dropped(osu018, osu_library):
    flop = ["cell $dff $1", "parameter \\WIDTH 1", "parameter \\CLK_POLARITY 1'1"]
    flop += ["connect \\CLK \\a", "connect \\D \\b", "connect \\Q \\o", "end"]
    text = _module(*flop).replace("wire output", "attribute \\init 1'1\nwire output")
    assert map_unit(text, "top", osu018, osu_library).cells == {"DFFPOSX1": 1}


@pytest.mark.parametrize(
    ("component", "gates"),
    [
        # The smallest plain 24 x 24 multiplier and 32-bit adder known of open designs.
        (partial(UnsignedMultiplier, width=24, recoding=Recoding.BOOTH4), 3490),
        (Adder32, 205.5),
    ],
    ids=["24 x 24", "32 + 32"],
)
def test_area_script_reaches_peers(osu018, osu_library, component, gates):
    text = rtlil.convert(component(), name="operator", emit_src=False)
    mapped = map_unit(text, "operator", osu018, osu_library)
    assert mapped.area / 24 <= gates  # 24 um^2 is the NAND2's area


@pytest.mark.parametrize("adders", Adders)
def test_adders_are_made_of_what_was_asked(mac, adders):
    text, slug = to_rtlil(mac.configuration), mac.configuration.slug
    how = {"adders": adders, "stages": mac.configuration.build().stage_sets}
    mapped, again = (map_unit(text, slug, mac.pdk, mac.library, **how) for _ in range(2))
    assert mapped == again
    assert (mapped.cells.get("FAX1", 0) > 0) == (adders is not Adders.GATES)


def test_adder_cells_are_found_by_function(osu018, osu_library):
    found = {cell.cell: cell for cell in adder_cells(osu_library, osu018.dont_use)}
    assert list(found) == ["HAX1", "FAX1"]
    assert found["FAX1"] == AdderCell("FAX1", ("A", "B", "C"), "YC", "YS", False, False)
    assert possible_adders(osu_library, osu018) == list(Adders)


def test_a_library_without_full_adders_has_gates(osu018, osu_library):
    without = replace(osu018, dont_use=(*osu018.dont_use, "FAX*"))
    assert possible_adders(osu_library, without) == [Adders.GATES]
    with pytest.raises(UserError, match="adders must be gates in osu018"):
        map_unit("", "top", without, osu_library, adders=Adders.FULL_ADDERS)


def test_cells_that_the_library_keeps_out(mac, tmp_path):
    """By `dont_use`, or since they are odd: in no build, and no adder."""
    text = mac.pdk.liberty[0].read_text()
    for kind, old, new in (
        ("FAX1", "{", "{ dont_use : true;"),
        ("AOI21X1", "area :", "x :"),
        ("OAI21X1", "{", '{ dont_use : "true" ;'),
    ):
        head, cell = re.split(rf"(?=cell ?\( ?{kind} ?\))", text)
        text = head + cell.replace(old, new, 1)
    (tmp_path / "cells.lib").write_text(text)
    pdk = find(liberty=tmp_path / "cells.lib")
    library = load(pdk.liberty)
    assert possible_adders(library, pdk) == [Adders.GATES]
    slug, stages = mac.configuration.slug, mac.configuration.build().stage_sets
    mapped = map_unit(to_rtlil(mac.configuration), slug, pdk, library, stages=stages)
    assert mapped.cells.keys().isdisjoint({"FAX1", "AOI21X1", "OAI21X1"})
    assert {"AOI21X1", "OAI21X1"} <= mac.mapped.cells.keys()


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("ABC: ** cmd error: unknown 'x'\nABC: ** cmd error: aborting\n", "cmd error: unknown 'x'"),
        ("ABC: + map\nABC: Aborted\n", "Aborted"),
        ("ABC: + map\n", "nothing of an error"),
    ],
)
def test_abcs_own_words_are_told(monkeypatch, tmp_path, told, fault):
    """Yosys itself only misses ABC's output."""
    last = "ERROR: Can't open ABC output file `./output.blif'."
    monkeypatch.setattr(mapper, "_YOSYS", f"print({told + last!r}); raise SystemExit(1)")
    with pytest.raises(MappingError, match=rf"output\.blif'\. ABC: .*{fault}$"):
        mapper.run_yosys(tmp_path, "map.ys")


def test_a_file_that_yosys_did_not_write(monkeypatch, osu018, osu_library):
    monkeypatch.setattr(mapper, "_YOSYS", "pass")
    with pytest.raises(MappingError, match=r"^Yosys must write generic\.json, but did not$"):
        map_unit(_module("connect \\o \\a"), "top", osu018, osu_library)


def test_inverted_outputs_of_a_full_adder_are_inverted_back():
    adder = AdderCell("FAx1", ("A", "B", "CI"), "CON", "SN", True, True)
    text = full_adder_map(adder)
    assert ".CI(C[i]), .CON(carry), .SN(total)" in text
    assert "X[i] = ~carry" in text
    assert "Y[i] = ~total" in text


def test_unknown_script(osu018, osu_library):
    rule = f"script must be one of {', '.join(ABC_SCRIPTS)}, not 'power'"
    with pytest.raises(UserError, match=rule):
        map_unit("", "top", osu018, osu_library, script="power")


def test_yosys_error_is_one_line(osu018, osu_library):
    unknown = ["cell \\absent \\one", "connect \\i \\a", "end", "connect \\o \\a"]
    with pytest.raises(MappingError, match=r"^ERROR: Module `\\absent' referenced in .*$"):
        map_unit(_module(*unknown), "top", osu018, osu_library)


def test_a_design_without_the_top_module(osu018, osu_library):
    with pytest.raises(MappingError, match=r"^absent: the design must have a module absent$"):
        map_unit(_module("connect \\o \\a"), "absent", osu018, osu_library)


def test_latch(osu018, osu_library):
    latch = ["cell $dlatch $1", "parameter \\WIDTH 1", "parameter \\EN_POLARITY 1'1"]
    latch += ["connect \\EN \\a", "connect \\D \\b", "connect \\Q \\o", "end"]
    with pytest.raises(MappingError, match="top: there must be no latches, not 1 of \\$_DLATCH_P_"):
        map_unit(_module(*latch), "top", osu018, osu_library)


def test_unmapped_cell(osu018, osu_library):
    tristate = ["cell $_TBUF_ $1", "connect \\A \\a", "connect \\E \\b", "connect \\Y \\o", "end"]
    with pytest.raises(MappingError, match="top must be mapped completely, but has \\$_TBUF_"):
        map_unit(_module(*tristate), "top", osu018, osu_library)


def test_undriven_output(osu018, osu_library):
    with pytest.raises(
        MappingError, match="top: port o must be connected to a net, 0 or 1, not 'x'"
    ):
        map_unit(_module(), "top", osu018, osu_library)


def test_wires_alone(osu018, osu_library):
    mapped = map_unit(_module("connect \\o \\a"), "top", osu018, osu_library)
    assert (mapped.cells, mapped.area) == ({}, 0.0)


def test_without_stages_all_is_one_piece(mac):
    text, slug = to_rtlil(mac.configuration), mac.configuration.slug
    whole = map_unit(text, slug, mac.pdk, mac.library)
    assert all(re.fullmatch(r"g\d+", name) for name in whole.netlist.cells)
    assert whole.cells["DFFPOSX1"] == mac.mapped.cells["DFFPOSX1"]


def test_combinational_unit_is_one_piece(osu018, osu_library):
    configuration = configure("mls_multiplier", format="2,1")
    mapped = map_unit(to_rtlil(configuration), configuration.slug, osu018, osu_library)
    assert "multiplier." not in mapped.verilog
