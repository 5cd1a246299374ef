"""A user's own Verilog beside ours: the same path, golden's results, and one line where it errs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlsmac.study.builds import best, builds
from mlsmac.study.conditions import Conditions
from mlsmac.study.foreign import RESET_CYCLES, foreign_entry
from mlsmac.study.keys import Made
from mlsmac.study.measure import Build, MeasureError, measure
from mlsmac.study.records import to_json
from mlsmac.study.report import accumulator_row, make_report
from mlsmac.study.stimuli.pairs import build
from mlsmac.study.systems import Entry
from mlsmac.support.cache import Cache
from mlsmac.support.errors import UserError
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.units import emit

VERILOG = Path(__file__).parents[1] / "data" / "verilog"
INT8 = "int_mac --acc-width 32 --overflow wrap"
OWN_NAMES = "w=x,a=y,start=clear,acc=sum,clk=clock"
TYPED = "w=w_i,a=a_i,start=start_i,acc=acc_o,clk=clk_i,rst_n=rst_ni,en_i=1"
OPERATIONS, SEED = 60, 7


def plain(ports: str = OWN_NAMES, latency: int = 3, contract: str | None = INT8, **more) -> Entry:
    """The plain INT8 MAC."""
    files = [VERILOG / "int8_mac.v"]
    return foreign_entry("plain", files, "int8_mac", ports, latency, contract, **more)


def typed() -> Entry:
    """The one in SystemVerilog, with a reset and an enable."""
    files = [VERILOG / "mac_types.sv", VERILOG / "int8_mac_sv.sv"]
    return foreign_entry("typed", files, "int8_mac_sv", TYPED, 3, INT8)


def by_itself(name: str, latency: int) -> Entry:
    """One whose ports are called as ours."""
    return foreign_entry(name, [VERILOG / f"{name}.v"], name, "", latency, INT8)


@pytest.fixture(scope="module")
def measured(osu018):
    """A function that measures one build of an entry."""
    conditions = Conditions(pdk=osu018, clock_mhz=40, all_builds=False)

    def run(entry: Entry):
        configuration = entry.configuration()
        own = Build(configuration, Adders.FULL_ADDERS)
        workload = configuration.workload(build(OPERATIONS, SEED))
        return measure(own, conditions, workload, results=Cache(None))

    return run


@pytest.mark.eda
@pytest.mark.parametrize(
    ("entry", "flops", "cycles"),
    [
        (plain, 8 + 8 + 16 + 2 + 32, OPERATIONS),
        (lambda: by_itself("int8_mac_2", 2), 8 + 8 + 1 + 32, OPERATIONS),
        (typed, 17 + 16 + 1 + 32 + 3, OPERATIONS + RESET_CYCLES),
    ],
    ids=["plain", "two_cycles", "systemverilog"],
)
def test_computes_as_golden_says(measured, entry, flops, cycles) -> None:
    found = measured(entry())
    assert (found.mismatches, found.mismatches_zero_delay) == (0, 0)
    assert (found.flops, found.cycles) == (flops, cycles)
    assert found.energy_pj > 10
    assert found.multiplier_pj is None
    assert found.energy_pj_by_stage == {}


@pytest.mark.eda
def test_wrong_ones_are_counted(measured) -> None:
    """A sum that begins with 1, and a right one whose latency is told wrong."""
    for entry in (by_itself("int8_mac_wrong", 3), plain(latency=2)):
        found = measured(entry)
        assert found.mismatches_zero_delay > OPERATIONS / 2
        assert found.energy_pj is None
        assert best([found]).is_wrong


@pytest.mark.eda
def test_ours_is_the_same_as_a_users(measured, osu018, tmp_path) -> None:
    """Our own Verilog, read back: the registers of the unit and nearly its figures, which are those
    of its stages mapped apart.
    """
    ours = Entry("INT8", "int_mac", {"acc_width": 32, "overflow": "wrap"})
    emit(ours.configuration()).write(tmp_path)
    slug = ours.configuration().slug
    foreign = foreign_entry("again", [tmp_path / f"{slug}.v"], slug, "", 3, INT8)
    again, unit = measured(foreign), measured(ours)
    assert again.mismatches == unit.mismatches == 0
    assert again.flops == unit.flops
    assert again.gate_equivalents == pytest.approx(unit.gate_equivalents, rel=0.02)
    assert again.energy_pj == pytest.approx(unit.energy_pj, rel=0.06)


@pytest.mark.eda
def test_row_beside_ours(osu018) -> None:
    """The report takes it as an entry; ours is held, a user's is not."""
    conditions = Conditions(pdk=osu018, clock_mhz=40, all_builds=False)
    ours = Entry("INT8", "int_mac", {"acc_width": 32, "overflow": "wrap"}, ("fp32",))
    report = make_report(
        conditions,
        build(OPERATIONS, SEED),
        entries=(ours, plain(), plain(contract=None)),
        held=True,
        results=Cache(None),
    )
    first, checked, unchecked = to_json(report)["rows"]
    assert (first["verilog"], first["checked"]) == (None, True)
    assert first["energy_pj_per_mac_held"] is not None
    assert checked["energy_pj_per_mac_held"] is None
    assert checked["ratio_to_fp32"] is not None
    assert checked["accumulator"]["safe_length"] == first["accumulator"]["safe_length"]
    assert checked["verilog"] == {
        "top": "int8_mac",
        "contract": "int_mac_int8_int8_acc32_wrap",
        "latency": 3,
        "ports": {"w": "x", "a": "y", "start": "clear", "acc": "sum", "clk": "clock"},
    }
    assert (unchecked["unit"], unchecked["checked"]) == ("plain, not checked", False)
    assert unchecked["mismatches"] is unchecked["accumulator"] is None
    assert unchecked["energy_pj_per_mac"] == checked["energy_pj_per_mac"]


def test_without_a_contract_the_widths_are_the_formats() -> None:
    configuration = plain(contract=None).configuration()
    assert configuration.contract.slug == "int_mac_int8_int8_acc32_wrap"
    assert not configuration.declared().checked
    assert not plain(checked=False).configuration().declared().checked
    assert plain().label == "plain"


def test_every_library_gets_its_builds(osu018, osu_library) -> None:
    conditions = Conditions(pdk=osu018, clock_mhz=40)
    found = builds(plain().configuration(), conditions, osu_library)
    assert [own.adders for own in found] == list(Adders)


def test_reset_is_active_before_the_operations() -> None:
    configuration = typed().configuration()
    stimulus = build(OPERATIONS, SEED)
    workload = configuration.workload(stimulus)
    reset = workload.inputs["rst_ni"]
    assert reset.tolist() == [0] * RESET_CYCLES + [1] * OPERATIONS
    assert set(workload.inputs["en_i"]) == {1}
    own = configuration.contract.workload(stimulus)
    assert workload.warm_up == own.warm_up + RESET_CYCLES
    expected = configuration.reference(workload.inputs)
    assert set(expected) == {"acc_o"}
    assert not expected["acc_o"][:RESET_CYCLES].any()
    assert np.array_equal(
        expected["acc_o"][RESET_CYCLES:], configuration.contract.reference(own.inputs)["acc"]
    )
    assert accumulator_row(configuration, stimulus).width == 32


def test_content_of_the_files_decides_what_is_kept() -> None:
    first, second = (by_itself(name, 3).configuration() for name in ("int8_mac_2",) * 2)
    assert first.values == second.values
    for changed in (
        replace(first, latency=2),
        replace(first, checked=False),
        by_itself("int8_mac_wrong", 3).configuration(),
    ):
        assert changed.values != first.values


def test_two_of_one_name_are_not_taken_for_each_other(tmp_path) -> None:
    """Nor is one that is called as a unit of ours."""
    text = (VERILOG / "int8_mac_2.v").read_text()
    ours = Entry("INT8", "int_mac", {"overflow": "wrap"}).configuration()
    every = [ours]
    for number, change in enumerate((text, text.replace("acc) +", "acc) -"))):
        path = tmp_path / f"{number}.v"
        path.write_text(change.replace("int8_mac_2", ours.slug))
        every.append(foreign_entry("", [path], ours.slug, "", 2, INT8).configuration())
    stimulus, kept = build(OPERATIONS, SEED), Cache(tmp_path / "kept")
    made = [Made(own, own.workload(stimulus), kept) for own in every]
    assert len({own.rtlil for own in made}) == 3
    assert len({own.digest() for own in made}) == len({own.made_from() for own in made}) == 3


@pytest.mark.eda
def test_flops_have_the_clock(measured, tmp_path) -> None:
    text = (VERILOG / "int8_mac_2.v").read_text()
    gated = text.replace("posedge clk", "posedge gated")
    gated = gated.replace("  reg start_q;", "  reg start_q;\n  wire gated = clk & ~start;")
    combinational = text.replace("@(posedge clk)", "@*").replace("start_q ? 32'sd0 : acc", "0")
    for change, message in (
        (gated, "int8_mac_2: the clock must go to clock pins of flops alone, not to [AB] of g"),
        (
            text.replace("posedge", "negedge"),
            "int8_mac_2: .* clocked by the rising edge",
        ),
        (combinational.replace("<=", "="), "int8_mac_2 must have registers, but maps to none"),
    ):
        path = tmp_path / "m.v"
        path.write_text(change)
        with pytest.raises(MeasureError, match=message):
            measured(foreign_entry("", [path], "int8_mac_2", "", 1, INT8))


@pytest.mark.eda
def test_is_not_called_like_a_cell(measured, tmp_path) -> None:
    path = tmp_path / "m.v"
    path.write_text((VERILOG / "int8_mac_2.v").read_text().replace("int8_mac_2", "NAND2X1"))
    with pytest.raises(UserError, match=r"must not be called like a cell of .*: 'NAND2X1'"):
        measured(foreign_entry("", [path], "NAND2X1", "", 2, INT8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ports": ""}, "ports must say which port of int8_mac is w"),
        ({"ports": "w=x,a=y,start=clear,acc=sum"}, "ports must say which port of int8_mac is clk"),
        ({"ports": "w=x,acc=total"}, r"ports of int8_mac \(clock, .*\), not 'total'"),
        ({"ports": "w=x,a"}, "ports must be pairs such as w=x,acc=sum,en=1, not 'a'"),
        ({"ports": "w=x,a=x"}, "ports must name each port of int8_mac once, not 'x' twice"),
        ({"ports": OWN_NAMES + ",en=1"}, "ports must name ports of int8_mac .*, not 'en'"),
        ({"ports": "foo=x"}, "ports must be of w, a, start, acc, overflow, clk, .*, not 'foo'"),
        (
            {"ports": "w=x,a=y,start=clear,acc=sum,clk=clock,x=1"},
            "ports must name each port of int8_mac once, not 'x' twice",
        ),
        ({"latency": 0}, "latency must be in 1..8, not 0"),
        ({"latency": 9}, "latency must be in 1..8, not 9"),
        (
            {"contract": "int_mac --acc-width 24"},
            "port sum of int8_mac must be an output of 24 bits to be acc, not an output of 32",
        ),
        ({"contract": "mls_tile"}, "contract must be a MAC, not mls_tile"),
        ({"contract": "int_mac --wide"}, "contract: int_mac takes .*, not '--wide'"),
        ({"contract": "mls_mac --format 9,9"}, "contract: exp_bits must be in 0..5, not 9"),
    ],
)
def test_refused_in_one_line(changes, message) -> None:
    with pytest.raises(UserError, match=message):
        plain(**changes)


def test_every_input_is_told() -> None:
    files = [VERILOG / "mac_types.sv", VERILOG / "int8_mac_sv.sv"]
    for ports, message in (
        (TYPED.replace(",en_i=1", ""), "ports must say what en_i of int8_mac_sv is, as en=1"),
        (TYPED.replace("en_i=1", "en_i=2"), "en_i=2 must be of an input .* not an input of 1 bits"),
        (TYPED.replace("en_i=1", "valid_o=1"), "valid_o=1 must be of an input"),
    ):
        with pytest.raises(UserError, match=message):
            foreign_entry("", files, "int8_mac_sv", ports, 3, INT8)
