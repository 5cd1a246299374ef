"""Liberty files: units, tables, cells, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mlsmac.synth.liberty.boolean import parse
from mlsmac.synth.liberty.cells import ArcKind, Direction, Leakage, Sense, Table
from mlsmac.synth.liberty.library import LibertyError, load

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@pytest.fixture
def tiny():
    return load(TINY)


@pytest.fixture
def changed(tmp_path):
    """The library with some text replaced everywhere."""

    def make(*changes):
        text = TINY.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "changed.lib"
        path.write_text(text)
        return load(path)

    return make


def test_library(tiny):
    assert tiny.name == "tiny"
    assert tiny.volts == 2.0  # of the default operating conditions, not nom_voltage
    assert list(tiny.cells) == ["INV", "NAND2", "TIE", "DFF", "LATCH"]


def test_supply_without_operating_conditions(changed):
    assert changed(("default_operating_conditions : typical;", "")).volts == 1.0


def test_pins(tiny):
    inv = tiny["INV"]
    assert inv.area_um2 == 2.0
    a, y = inv.pins["A"], inv.pins["Y"]
    assert (a.direction, y.direction) == (Direction.INPUT, Direction.OUTPUT)
    assert (a.rise_capacitance, a.fall_capacitance, a.capacitance) == (0.25, 0.5, 0.5)
    assert y.function == parse("!A")
    d, clock = tiny["DFF"].pins["D"], tiny["DFF"].pins["CK"]
    assert (d.rise_capacitance, d.fall_capacitance) == (0.25, 0.25)  # `capacitance` for both
    assert (d.is_clock, clock.is_clock) == (False, True)


def test_arcs(tiny):
    (arc,) = tiny["INV"].pins["Y"].arcs
    assert (arc.related, arc.kind, arc.sense) == ("A", ArcKind.COMBINATIONAL, Sense.NEGATIVE)
    assert arc.cell_rise(0.5, 2.0) == 1 + 0.5 + 10 * 2.0
    assert arc.cell_fall(0.5, 2.0) == 2 + 0.5 + 20 * 2.0  # its axes come in the other order
    assert arc.rise_transition(0.5, 3.0) == 6.0
    assert tiny["DFF"].pins["Q"].arcs[0].kind is ArcKind.RISING_EDGE
    assert tiny["DFF"].pins["D"].arcs == ()  # a constraint is no delay


def test_energies(tiny):
    (group,) = tiny["INV"].pins["Y"].energies
    assert group.related == "A"
    assert group.rise(0.25, 0.5) == 3.25
    assert group.fall(0.25, 0.5) == 5 + 2 * 0.25 + 0.5
    conditional, default = tiny["DFF"].pins["CK"].energies
    assert (conditional.when, conditional.related) == (parse("D & QN"), None)
    assert (conditional.rise(7.0, 7.0), conditional.fall(7.0, 7.0)) == (2.0, 4.0)
    assert default.when is None
    (group,) = tiny["DFF"].pins["D"].energies
    assert (group.rise(0.5, 9.0), group.fall(0.5, 9.0)) == (1.5, 4.0)


def test_one_power_group_for_both_edges(changed):
    both = changed(
        ('rise_power (passive) { values ("1, 2"); }', 'power (passive) { values ("1, 2"); }')
    )
    (group,) = both["DFF"].pins["D"].energies
    assert (group.rise(0.0, 0.0), group.fall(0.0, 0.0)) == (1.0, 3.0)


def test_flop(tiny):
    flop = tiny["DFF"].flop
    assert (flop.state, flop.inverse) == ("IQ", "IQN")
    assert (flop.next_state, flop.clocked_on) == (parse("D"), parse("CK"))
    assert (flop.clear, flop.preset) == (None, None)
    assert tiny["INV"].flop is None


def test_leakage(tiny):
    nand, dff = tiny["NAND2"], tiny["DFF"]
    assert nand.leakage == (Leakage(2e-9, parse("A & B")), Leakage(4e-9, parse("!A & Y")))
    assert nand.leakage_watts == 8e-9
    assert dff.leakage_watts == 0.0  # states are given, so the value without condition is no state


def test_leakage_without_states(changed):
    plain = changed(
        (
            "cell_leakage_power : 5;",
            "leakage_power () { value : 4; } leakage_power () { value : 2; }",
        )
    )
    assert plain["INV"].leakage_watts == pytest.approx(6e-9)  # a group for each supply


def test_leakage_of_a_state_sums_supplies(changed):
    twice = changed(
        (
            'when : "!Q"; value : 3; }',
            'when : "!Q"; value : 3; } leakage_power () { when : "!Q"; value : 5; }',
        )
    )
    assert twice["DFF"].leakage[0] == Leakage(8e-9, parse("!Q"))


def test_units(tiny, changed):
    other = changed(
        ('time_unit : "1ns"', 'time_unit : "10ps"'),
        ("capacitive_load_unit (1, pf)", "capacitive_load_unit (2, ff)"),
        ('voltage_unit : "1V"', 'voltage_unit : "100mV"'),
        ('leakage_power_unit : "1nW"', 'leakage_power_unit : "1pW"'),
    )
    assert other.volts == pytest.approx(0.2)
    assert other["INV"].pins["A"].capacitance == pytest.approx(0.5 * 2e-3)
    assert other["INV"].leakage_watts == pytest.approx(5e-12)
    arc, energy = (
        (cell.pins["Y"].arcs[0], cell.pins["Y"].energies[0]) for cell in (other["INV"], tiny["INV"])
    )
    assert arc[0].cell_rise(0.005, 0.004) == pytest.approx(0.01 * energy[0].cell_rise(0.5, 2.0))
    assert arc[1].fall(0.0025, 0.001) == pytest.approx(2e-3 * 0.01 * energy[1].fall(0.25, 0.5))


def test_table_inside_and_outside():
    table = Table((1.0, 2.0, 4.0), (0.0, 10.0), ((0.0, 10.0), (2.0, 12.0), (8.0, 28.0)))
    points = {
        (1.0, 0.0): 0.0,
        (2.0, 10.0): 12.0,
        (4.0, 10.0): 28.0,
        (1.5, 5.0): 6.0,
        (3.0, 5.0): 12.5,
        (0.0, 0.0): -2.0,  # below: the first interval continued
        (6.0, 0.0): 14.0,  # above: the last
        (1.0, 20.0): 20.0,
        (6.0, 20.0): 74.0,  # 14, 44 and again 30 further
    }
    for (slew, pf), value in points.items():
        assert table(slew, pf) == pytest.approx(value), (slew, pf)
    slews, loads = map(np.array, zip(*points, strict=True))
    np.testing.assert_allclose(table.each(slews, loads), list(points.values()))


def test_table_without_axes():
    table = Table((0.0,), (0.0,), ((3.0,),))
    assert table(5.0, 6.0) == 3.0
    np.testing.assert_array_equal(table.each(np.array([5.0, 6.0]), np.zeros(1)), [3.0, 3.0])


def test_compressed(tmp_path):
    path = tmp_path / "tiny.lib.gz"
    path.write_bytes(gzip.compress(TINY.read_bytes()))
    assert load(path)["INV"].area_um2 == 2.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("internal_power", "x", r"changed\.lib must have power tables \(internal_power groups\)"),
        ("leakage_power ", "x ", r"changed\.lib must have leakage"),
        ("area :", "x :", r"changed\.lib must have cell areas"),
        ("ff (", "x (", r"changed\.lib must have flop descriptions \(ff groups\)"),
        ("library(", "x(", r"changed\.lib must begin with a library group"),
        (
            'time_unit : "1ns"',
            'time_unit : "1"',
            "time_unit of library tiny must be a number and a unit such as ps",
        ),
        ("capacitive_load_unit", "x", "library tiny must give capacitive_load_unit"),
        ("voltage :", "x :", "library tiny must give its supply"),
    ],
)
def test_refuses_files(changed, old, new, message):
    more = [("nom_voltage", "x")] if old == "voltage :" else []
    with pytest.raises(LibertyError, match=message):
        changed(*more, (old, new))


def test_refuses_a_cut_file(tmp_path):
    path = tmp_path / "cut.lib"
    path.write_text(TINY.read_text()[:-200])
    with pytest.raises(LibertyError, match=r"cut\.lib must end with the library's closing brace"):
        load(path)


@pytest.mark.parametrize(
    ("cell", "old", "new", "message"),
    [
        ("NOR2", "INV", "INV", r"cell must be one of library tiny \(.*\), not 'NOR2'"),
        ("LATCH", "INV", "INV", "output Q of LATCH must have delay tables, but has none"),
        ("INV", 'function : "!A"', 'x : "!A"', "output Y of INV must be a function"),
        ("INV", "area : 2;", "", "cell INV must have an area"),
        ("INV", "cell_leakage_power : 5;", "", "cell INV must have leakage"),
        (
            "INV",
            'internal_power () { related_pin : "A";',
            "x () {",
            "cell INV must have power tables",
        ),
        ("INV", "timing ()", "x ()", "output Y of INV must have delay tables"),
        (
            "INV",
            "timing_type : combinational",
            "timing_type : x",
            "output Y of INV must have delay",
        ),
        ("INV", 'function : "!A"', 'function : "!A-"', "function of cell INV: expression must be"),
        ("INV", 'values ("1, 11", "2, 12")', 'values ("1")', "INV must have 2x2 values, not 1"),
        ("INV", "cell_rise (delay)", "cell_rise (x)", "INV must be over slew and load, not 'x'"),
        ("INV", "cell_rise (delay)", "cell_rise (constraint)", "INV must be over slew and load"),
        ("DFF", 'next_state : "D";', "", "flop DFF must give next_state and clocked_on"),
    ],
)
def test_refuses_cells(changed, cell, old, new, message):
    library = changed((old, new))
    with pytest.raises(LibertyError, match=message):
        library[cell]


def test_ties_need_no_tables(tiny):
    assert tiny["TIE"].pins["Y"].function == parse("1")


@pytest.mark.eda
@pytest.mark.skipif(not OSU018.exists(), reason="no OSU 180 nm Liberty file (qflow-tech-osu018)")
def test_osu018():
    library = load(OSU018)
    inv, flop = library["INVX1"], library["DFFPOSX1"]
    assert library.volts == 1.8
    assert (inv.area_um2, inv.leakage_watts) == (16.0, pytest.approx(2.21741e-11))
    assert inv.pins["A"].capacitance == pytest.approx(0.00932456)
    assert inv.pins["Y"].arcs[0].cell_rise(0.18, 0.005) == pytest.approx(0.056898)
    assert flop.flop.clocked_on == parse("CLK")
    usable = [cell for cell in library.cells if cell not in ("LATCH",)]
    assert all(library[cell].outputs for cell in usable)
