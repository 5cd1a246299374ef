"""Clock gates in mapping: which registers get one, which cell it is, what stays as it was."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from amaranth import Cat, Module, Signal
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mlsmac.support.errors import UserError
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.clock_gates import FEWEST
from mlsmac.synth.mapping.mapper import map_unit
from mlsmac.synth.mapping.recipes import Adders

pytestmark = pytest.mark.eda

REACH = {"ICG1": 0.3, "ICG2": 0.6}
"""Loads (pF) that made-up gates drive: 10 and 21 flops of OSU 180 nm."""


class Rows(wiring.Component):
    """A row of registers that always load, one each of `widths` bits that load where `enable[k]`
    is 1.
    """

    def __init__(self, *widths):
        self._widths = widths
        super().__init__(
            {"i": In(64), "enable": In(len(widths)), "o": Out(8 + sum(widths))},
        )

    def elaborate(self, platform):
        m = Module()
        rows = [Signal(8, name="always", reset_less=True)]
        m.d.sync += rows[0].eq(self.i)
        for number, width in enumerate(self._widths):
            rows.append(Signal(width, name=f"row{number}", reset_less=True))
            with m.If(self.enable[number]):
                m.d.sync += rows[-1].eq(self.i ^ number)
        m.d.comb += self.o.eq(Cat(rows))
        return m


def _text(*widths):
    return rtlil.convert(Rows(*widths), name="rows", emit_src=False)


def _gate(name, reach, test, slowest=0.001):
    """Liberty of a clock gate whose tables reach `reach` pF, with a delay of `slowest` ns there."""

    def table(kind):
        values = f'values ("0, {slowest}", "0, {slowest}")'
        return f'{kind} (t) {{ index_1 ("0, 1"); index_2 ("0, {reach}"); {values}; }}'

    tables = "".join(
        map(table, ("cell_rise", "cell_fall", "rise_transition", "fall_transition")),
    )
    timing = f'timing () {{ related_pin : "CLK"; timing_sense : positive_unate; {tables} }}'
    pins = ["pin (CLK) { direction : input; clock_gate_clock_pin : true; capacitance : 0.01; }"]
    pins += ["pin (EN) { direction : input; clock_gate_enable_pin : true; capacitance : 0.01; }"]
    if test:
        pins += ["pin (SE) { direction : input; clock_gate_test_pin : true; capacitance : 0.01; }"]
    out = 'direction : output; clock_gate_out_pin : true; state_function : "CLK & M";'
    pins += [f"pin (GCLK) {{ {out} {timing} }}"]
    kind = "clock_gating_integrated_cell : latch_posedge;"
    return f"cell ({name}) {{ area : {100 + 100 * reach}; {kind} {' '.join(pins)} }}"


def _with_gates(osu018, folder, test=False, slowest=0.001):
    """OSU 180 nm with two gates that it does not have, of 0.3 and 0.6 pF."""
    head, _, _ = load(osu018.liberty).text(()).rstrip().rpartition("}")
    template = "lu_table_template (t) { variable_1 : input_net_transition; variable_2 : "
    template += 'total_output_net_capacitance; index_1 ("0, 1"); index_2 ("0, 1"); }'
    file = folder / "gates.lib"
    gates = [_gate(f"ICG{number}", REACH[f"ICG{number}"], test, slowest) for number in (2, 1)]
    file.write_text("\n".join([head, template, *gates, "}"]))
    return replace(osu018, liberty=(*osu018.liberty, file), clock_gates=("ICG*",))


@pytest.fixture(params=[False, True], ids=["plain", "with a test pin"])
def gated(osu018, tmp_path, request):
    return _with_gates(osu018, tmp_path, request.param)


def _mapped(pdk, *widths, **options):
    return map_unit(_text(*widths), "rows", pdk, load(pdk.liberty), **options)


@pytest.mark.parametrize("adders", list(Adders))
def test_registers_with_a_common_enable_share_a_gate(gated, adders):
    """None but those, no small ones, and no multiplexer is left of the rest."""
    mapped = _mapped(gated, FEWEST, FEWEST - 1, clock_gating=True, adders=adders)
    cells = mapped.netlist.cells.values()
    (gate,) = (cell for cell in cells if cell.kind == "ICG1")
    assert (gate.pins["CLK"], gate.pins["EN"]) == ("clk", "enable[0]")
    assert gate.pins.get("SE", "1'0") == "1'0"
    clocks = Counter(cell.pins["CLK"] for cell in cells if cell.kind == "DFFPOSX1")
    assert clocks == {"clk": 8 + FEWEST - 1, gate.pins["GCLK"]: FEWEST}
    assert mapped.area == sum(
        load(gated.liberty).cells[kind].area_um2 * count for kind, count in mapped.cells.items()
    )


def test_without_the_option_nothing_changes(gated, osu018, osu_library):
    one, two = _mapped(gated, 8), map_unit(_text(8), "rows", osu018, osu_library)
    assert one.netlist == two.netlist
    assert "ICG1" not in one.cells


@pytest.mark.parametrize(
    ("flops", "kinds"),
    [
        (8, {"ICG1": 1}),
        (12, {"ICG2": 1}),
        (40, {"ICG2": 2}),
    ],
)
def test_a_gate_drives_its_flops(gated, flops, kinds):
    """By the load that its tables reach, several where one does not."""
    library = load(gated.liberty)
    netlist = _mapped(gated, flops, clock_gating=True).netlist
    gates = [cell for cell in netlist.cells.values() if cell.kind.startswith("ICG")]
    assert Counter(cell.kind for cell in gates) == kinds
    clock = library.cells["DFFPOSX1"].pins["CLK"].capacitance
    clocks = Counter(cell.pins["CLK"] for cell in netlist.cells.values() if "D" in cell.pins)
    assert sum(clocks[cell.pins["GCLK"]] for cell in gates) == flops
    for cell in gates:
        assert 0 < clocks[cell.pins["GCLK"]] * clock <= REACH[cell.kind]


def test_a_slow_gate_drives_few(osu018, tmp_path):
    """Else the clock came to them after what flops without a gate changed."""
    pdk = _with_gates(osu018, tmp_path, slowest=2.0)
    netlist = _mapped(pdk, 40, clock_gating=True).netlist
    flop = load(pdk.liberty).cells["DFFPOSX1"]
    (q,) = flop.outputs
    tables = [table for arc in q.arcs for table in (arc.cell_rise, arc.cell_fall) if table]
    least = np.full(1, flop.pins["D"].capacitance)
    fastest = min(float(table.each(np.zeros(1), least)[0]) for table in tables)
    clocks = Counter(cell.pins["CLK"] for cell in netlist.cells.values() if "D" in cell.pins)
    reach = {
        cell.pins["GCLK"]: REACH[cell.kind] for cell in netlist.cells.values() if cell.kind in REACH
    }
    assert len(reach) > 2
    for net, own in reach.items():
        assert clocks[net] == 1 or clocks[net] * flop.pins["CLK"].capacitance / own * 2.0 <= fastest


def test_a_library_without_gates(osu018, osu_library):
    rule = r"^clock_gating must be off with osu018_stdcells, which has no integrated clock gate"
    with pytest.raises(UserError, match=rule):
        map_unit("", "top", osu018, osu_library, clock_gating=True)
