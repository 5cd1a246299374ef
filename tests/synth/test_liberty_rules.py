"""What a library must give: faults of the whole file, odd cells, and cells by what they do."""

import re
from pathlib import Path

import pytest

from mlsmac.support.errors import UserError
from mlsmac.synth.liberty.adder_cells import adder_cells
from mlsmac.synth.liberty.boolean import parse
from mlsmac.synth.liberty.cells import ArcKind, ClockGate, Latch
from mlsmac.synth.liberty.library import LibertyError, load
from mlsmac.synth.liberty.pdk import find
from mlsmac.synth.liberty.roles import gives_energy

TEXT = (Path(__file__).parents[1] / "data" / "power" / "tiny.liberty").read_text()
ODD = "  cell (ODD) {{ area : 1; cell_leakage_power : 1; {} }}\n"
ARC = """timing () {{ related_pin : "A";
        cell_rise (delay) {{ values ("1, 11", "2, 12"); }} {} }}"""
POWER = 'internal_power () { related_pin : "A"; power (scalar) { values ("1"); } }'


def _buffer(pin="", *, arc="", power=POWER, more=""):
    """A cell ODD that would be a buffer but for what is given."""
    output = f'direction : output; function : "A"; {pin} {ARC.format(arc)} {power}'
    return ODD.format(f"pin (A) {{ direction : input; }} pin (Y) {{ {output} }} {more}")


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / "x.lib"
        path.write_text(text)
        return path

    return make


@pytest.fixture
def with_cell(write):
    """The library with one cell more."""
    return lambda cell: load(write(TEXT.replace("  cell (INV)", cell + "  cell (INV)")))


def test_the_buffer_is_usable(with_cell):
    library = with_cell(_buffer())
    assert list(library.usable()) == ["ODD", "INV", "NAND2", "TIE", "DFF"]
    assert list(library.usable(["O*", "TIE"])) == ["INV", "NAND2", "DFF"]
    assert library.odd == {}


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        (_buffer("three_state : E;"), "three-state"),
        (_buffer("is_pad : true;"), "pad"),
        (_buffer(more="dont_use : true;"), "dont_use"),
        (_buffer(more='dont_use : "TRUE";'), "dont_use"),
        (_buffer(more="is_isolation_cell : true;"), "isolation"),
        (_buffer(more="is_level_shifter : true;"), "level shifter"),
        (_buffer(more="retention_cell : x;"), "retention"),
        (_buffer(more="pad_cell : true;"), "pad"),
        (_buffer(more="bus (B) { bus_type : b; pin (B[0]) { } }"), "pins in buses"),
        (_buffer(more="bundle (B) { members (C, D); }"), "pins in buses"),
        (_buffer(more='statetable ("A", "Q") { table : "H : - : H"; }'), "state table"),
        (_buffer(more="ff_bank (Q, QN, 2) { }"), "bank of flops"),
        (_buffer(more="memory () { type : ram; }"), "memory"),
        (ODD.format(""), "no output"),
        (ODD.format("pin (A) { direction : input; }"), "no output"),
    ],
)
def test_cells_that_are_no_gates(with_cell, cell, rule):
    library = with_cell(cell)
    assert library.unusable == {"ODD": rule, "LATCH": "latch"}
    assert library.odd == {}


def test_attributes_that_are_false_say_nothing(with_cell):
    assert "ODD" in with_cell(_buffer(more='dont_use : false; is_pad : "false";')).usable()


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        (_buffer().replace("area : 1;", ""), "cell ODD must have an area, but has none"),
        (
            _buffer().replace("area : 1;", "area : big;"),
            "cell ODD: area must be a number, not .big",
        ),
        (
            _buffer("capacitance : wide;"),
            "cell ODD: capacitance must be a number, not .wide",
        ),
        (
            _buffer().replace("direction : input", "direction : into"),
            "direction must be one of input, output, inout, internal, not .into",
        ),
        (_buffer(more="pin (A) { direction : input; }"), "pin A of ODD must stand once"),
        (_buffer(power=""), "cell ODD must have power tables, but has none"),
        (
            _buffer(power=POWER.replace('related_pin : "A";', "")),
            "internal_power of Y of ODD must have a related_pin",
        ),
        (
            _buffer(power=POWER.replace("(scalar)", "(cubic)")),
            "power of ODD must be over slew and load, not 'cubic'",
        ),
        (
            _buffer(power=POWER.replace("(scalar)", "(flat)")),
            "power of ODD must be over axes that increase, not 'flat'",
        ),
        (
            _buffer(power=POWER.replace('"A"', '"B"')),
            "related_pin of ODD must name pins of it, not B",
        ),
        (_buffer(arc='when : "!C";'), "when of ODD must name pins of it, not C"),
        (_buffer(arc='when : "A == 1";'), "when of cell ODD: expression must be Boolean"),
        (
            _buffer(more='leakage_power () { value : 1; when : "C"; }'),
            "when of ODD must name pins of it, not C",
        ),
        (
            _buffer(more="ff (Q) { next_state : A; clocked_on : A; }"),
            "ff of ODD must name two states",
        ),
    ],
)
def test_odd_cells_are_unusable_and_no_more(write, cell, rule):
    """No cell of a netlist is odd; the library is refused only for want of a role."""
    templates = """  power_lut_template (cubic) {
    variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;
    variable_3 : equal_or_opposite_output_net_capacitance;
    index_1 ("1, 2"); index_2 ("1, 2"); index_3 ("1, 2"); }
  power_lut_template (flat) { variable_1 : input_transition_time; index_1 ("1"); }
"""
    cell = cell.replace('(flat) { values ("1"', '(flat) { index_1 ("1, 1"); values ("1, 2"')
    path = write(TEXT.replace("  cell (INV)", templates + cell + "  cell (INV)"))
    library = load(path)
    assert list(library.odd) == ["ODD"]
    assert re.search(rule, library.odd["ODD"])
    pdk = find(liberty=path)
    assert (pdk.nand2, pdk.driver) == ("NAND2", "INV")
    assert "ODD" not in library.text(library.usable(pdk.dont_use))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "nom_voltage",
            "delay_model : generic_cmos; nom_voltage",
            "x.lib: delay_model must be table_",
        ),
        (
            "nom_voltage",
            'delay_model : "polynomial"; nom_voltage',
            "must be table_lookup, not polyn",
        ),
        ("nom_voltage", 'include_file ("y.lib"); nom_voltage', "x.lib must be whole: put the file"),
        (
            "library(tiny)",
            'include_file ("y.lib");\nlibrary(tiny)',
            "x.lib must be whole: put the ",
        ),
        (
            "(passive) { variable_1",
            "(energy) { variable_1",
            "x.lib: power_lut_template energy must",
        ),
        ("cell (NAND2)", "cell (INV)", "x.lib: cell INV must stand once, but stands twice"),
        (
            "input_threshold_pct_rise : 50;",
            "",
            "x.lib: library tiny must give input_threshold_pct_rise",
        ),
        ("slew_upper_threshold_pct_fall : 80;", "", "must give slew_upper_threshold_pct_fall"),
        (
            "output_threshold_pct_fall : 50",
            "output_threshold_pct_fall : 40",
            "x.lib: output_threshold_pct_fall must be input_threshold_pct_fall, .* not 40 and 50",
        ),
        (
            "slew_upper_threshold_pct_rise : 80",
            "slew_upper_threshold_pct_rise : 20",
            "slew_lower_threshold_pct_rise must be below slew_upper_.*, not 20 and 20",
        ),
        (
            "slew_upper_threshold_pct_rise : 80",
            "slew_upper_threshold_pct_rise : 180",
            "slew_upper_threshold_pct_rise must be between 0 and 100, not 180",
        ),
        (
            "nom_voltage",
            "slew_derate_from_library : 0; nom_voltage",
            "slew_derate_from_library must",
        ),
        ("nom_voltage", "slew_derate_from_library : x; nom_voltage", "must be a number, not 'x'"),
        ("voltage : 2.0", "voltage : high", "x.lib: voltage must be a number, not 'high'"),
    ],
)
def test_faults_of_the_whole_file(write, old, new, message):
    assert old in TEXT
    with pytest.raises(LibertyError, match=message) as found:
        load(write(TEXT.replace(old, new)))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'clocked_on : "CK"',
            'clocked_on : "!CK"',
            "a flop that takes one data pin on a rising edge: DFF takes D on a rising edge of ~CK",
        ),
        ('next_state : "D"', 'next_state : "D CK"', "DFF takes .D & CK. on a rising edge of CK"),
        ("cell (DFF) {", "cell (DFF) { dont_use : true;", "map to, but DFF is none: dont_use"),
        (
            "cell (INV) {",
            "cell (INV) { dont_use : true;",
            "an inverter .* but INV is none: dont_use",
        ),
        (
            "cell (NAND2) {",
            "cell (NAND2) { dont_use : 1;",
            "NAND to map to, but NAND2 is none: dont_use",
        ),
        (
            "cell (NAND2) { area : 3;",
            "cell (NAND2) {",
            "a two-input NAND, but has none; odd: cell NAND2 must have an area",
        ),
    ],
)
def test_roles_are_of_usable_cells(write, old, new, message):
    """Before anything is mapped, in one line with the file, the cell and the rule."""
    assert old in TEXT
    with pytest.raises(UserError, match=rf"^x\.lib must have .*{message}") as found:
        find(liberty=write(TEXT.replace(old, new)))
    assert "\n" not in str(found.value)


def test_slew_thresholds_may_be_any(write):
    text = TEXT.replace("_lower_threshold_pct_rise : 20", "_lower_threshold_pct_rise : 30")
    load(write(text.replace("nom_voltage", "slew_derate_from_library : 0.5; nom_voltage")))


def test_ties_of_any_library(write):
    low = TEXT.replace("  cell (INV)", TIE_LOW + "  cell (INV)")
    pdk = find(liberty=write(low))
    assert (pdk.tie_high, pdk.tie_low) == (("TIE", "Y"), ("LOW", "Z"))


TIE_LOW = """  cell (LOW) { area : 1; dont_use : true;
    pin (Z) { direction : output; function : "0"; } }
"""


@pytest.mark.parametrize("flag", ["", "dont_use : true;"])
def test_full_adders_that_must_not_be_used(with_cell, flag):
    pins = "".join(f"pin ({name}) {{ direction : input; }}" for name in "ABC")
    for name, function in (("S", "A ^ B ^ C"), ("CO", "A B + C (A + B)")):
        pins += f'pin ({name}) {{ direction : output; function : "{function}"; '
        pins += f"{ARC.format('')} {POWER} }}"
    library = with_cell(ODD.format(pins + flag))
    assert [adder.cell for adder in adder_cells(library, ())] == ([] if flag else ["ODD"])


@pytest.mark.parametrize(
    ("given", "watts"),
    [
        ("", 3e-9),
        ("cell_leakage_power : 5;", 5e-9),
        ('leakage_power () { value : 2; when : "A"; }', 0.0),
        ("leakage_power () { value : 2; }", 2e-9),
    ],
)
def test_default_leakage(write, given, watts):
    text = TEXT.replace("area : 2; cell_leakage_power : 5;", f"area : 2; {given}")
    text = text.replace("nom_voltage", "default_cell_leakage_power : 3; nom_voltage", 1)
    assert load(write(text))["INV"].leakage_watts == pytest.approx(watts)


def test_default_capacitance(write):
    text = TEXT.replace("nom_voltage", "default_input_pin_cap : 3; nom_voltage", 1)
    text = text.replace("capacitance : 0.25;\n      internal_power", "internal_power")
    pins = load(write(text))["DFF"].pins
    assert (pins["D"].capacitance, pins["CK"].capacitance, pins["Q"].capacitance) == (3.0, 0.5, 0.0)


@pytest.mark.parametrize(
    ("conditions", "volts"),
    [
        ("nom_voltage : 1.5;", 1.5),
        ("operating_conditions (a) { voltage : 1.2; }", 1.2),
        ("operating_conditions (a) { voltage : 1.2; } default_operating_conditions : b;", 1.2),
        ("nom_voltage : 1.5; operating_conditions (a) { voltage : 1.2; }", 1.5),
        (
            "operating_conditions (a) { voltage : 1.2; } operating_conditions (b) { voltage : 1; }",
            None,
        ),
    ],
)
def test_supply(write, conditions, volts):
    text = TEXT.replace("nom_voltage : 1.0;", "")
    text = text.replace("  operating_conditions (typical) { voltage : 2.0; }\n", conditions)
    text = text.replace("  default_operating_conditions : typical;\n", "")
    if volts is None:
        with pytest.raises(LibertyError, match=r"^x\.lib: library tiny must give its supply"):
            load(write(text))
    else:
        assert load(write(text)).volts == volts


GATES = {
    "a state table": (
        'statetable ("C E T", "M") { table : "L H - : - : H"; }',
        'pin (M) { direction : internal; internal_node : "M"; }',
        "state_function",
    ),
    "a latch": ('latch (M, MN) { enable : "!C"; data_in : "E | T"; }', "", "function"),
}


@pytest.mark.parametrize("gate", GATES)
def test_clock_gates_are_read(with_cell, gate):
    state, inner, function = GATES[gate]
    pins = "".join(
        f"pin ({name}) {{ direction : input; clock_gate_{role}_pin : true; }}"
        for name, role in (("C", "clock"), ("E", "enable"), ("T", "test"))
    )
    output = f'pin (G) {{ direction : output; clock_gate_out_pin : true; {function} : "C & M"; '
    output += f"{ARC.format('')} {POWER} }}".replace('"A"', '"C"')
    kind = "clock_gating_integrated_cell : latch_posedge_precontrol;"
    library = with_cell(ODD.format(kind + state + pins + inner + output))
    cell = library.cells["ODD"]
    assert cell.clock_gate == ClockGate("latch_posedge_precontrol", "C", "E", "T", "G")
    assert (cell.latch.state, cell.latch.data_in, cell.latch.enable) == (
        "M",
        parse("E | T"),
        parse("!C"),
    )
    out = cell.pins["G"]
    assert (out.function, out.arcs[0].related, out.energies[0].related) == (parse("C M"), "C", "C")
    assert library.unusable["ODD"] == "clock gate"
    assert library["ODD"] is cell  # in netlists, though mapping does not choose it


def test_latches_are_read(with_cell):
    latch = 'latch (IQ, IQN) { data_in : "A"; enable : "E"; clear : "!R"; }'
    pins = "".join(f"pin ({name}) {{ direction : input; }}" for name in "AER")
    output = f'pin (Q) {{ direction : output; function : "IQ"; {ARC.format("")} {POWER} }}'
    library = with_cell(ODD.format(latch + pins + output))
    cell = library.cells["ODD"]
    assert cell.latch == Latch("IQ", "IQN", parse("A"), parse("E"), parse("!R"), None)
    assert cell.pins["Q"].arcs[0].kind is ArcKind.COMBINATIONAL
    assert cell.pins["Q"].arcs[0].cell_rise(0.0, 1.0) == 11.0
    assert library.unusable["ODD"] == "latch"


@pytest.mark.parametrize(("picojoules", "gives"), [("-1.9", False), ("-2.1", True)])
def test_cells_that_give_energy(with_cell, picojoules, gives):
    """A rise and a fall, without load or with 1 pF at 2 V, which takes 4 pJ."""
    table = 'power (energy) { values ("0, 0", "%s, %s"); }'.replace("%s", picojoules)
    cell = _buffer(power=POWER.replace('power (scalar) { values ("1"); }', table))
    assert gives_energy(with_cell(cell)["ODD"], 2.0) is gives


@pytest.mark.parametrize(
    ("given", "height"),
    [("", None), ("cell_height : 2.5;", 2.5), ("cell_width : 0.5;", 2.0)],
)
def test_row_height(with_cell, given, height):
    assert with_cell(_buffer(more=given)).row_height_um == height
