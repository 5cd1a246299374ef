"""What a report is asked for, in words and by files."""

import re
from pathlib import Path

import pytest

from mlsmac.study.documents import ROOT, specification
from mlsmac.study.question import (
    STANDARD,
    Question,
    from_file,
    from_words,
    row,
    standard,
)
from mlsmac.support.errors import UserError


def facts(question: Question) -> list:
    """All that decides the rows."""
    units = [
        (own.label, own.kinds, own.claim, own.configuration())
        for own in (*question.units, *question.tiles)
    ]
    dots = [
        (unit.label, unit.block, unit.lanes, unit.entry.kinds, unit.entry.configuration())
        for own in question.dots
        for unit in own.units([8, 16, 32])
    ]
    return units + dots


def test_file_in_the_documents_asks_for_the_standard_report() -> None:
    path = ROOT / "docs" / "report.toml"
    assert path.read_text(encoding="utf-8") == specification()
    found = from_file(path)
    assert facts(found) == facts(STANDARD)
    # The command's defaults: nothing else decides a report.
    settings = {"pdk": "osu018", "operations": 2000, "tensors": "captured", "lanes": "8,16,32"}
    assert found.settings == settings


def sizes(question: Question) -> list:
    return [question.units, question.dots, question.tiles]


def test_words_have_a_label_or_are_one() -> None:
    named, plain = (
        from_words("Mine <3,3>: mls_mac --format 3,3"),
        from_words("mls_mac --format 3,3"),
    )
    assert [own.label for own in named.units] == ["Mine <3,3>"]
    assert [own.label for own in plain.units] == ["mls_mac --format 3,3"]
    assert named.units[0].configuration() == plain.units[0].configuration()


def test_unit_decides_the_table() -> None:
    rows = ("mls_mac", "group_scaler", "block_dot --lanes 8", "mls_tile --lanes 4", "float_dot")
    found = Question()
    for text in rows:
        found += row(text)
    assert [own.unit for own in found.units] == ["mls_mac", "group_scaler"]
    assert [own.unit for own in found.dots] == ["block_dot", "float_dot"]
    assert [own.unit for own in found.tiles] == ["mls_tile"]


def test_dot_unit_that_is_shaped_has_one_width() -> None:
    (shaped,) = row("block_dot --format 2,1 --scale 8,0 --lanes 8 --cycles 4").dots
    (unit,) = shaped.units([16, 32])
    assert (unit.block, unit.lanes) == (32, 8)
    (free,) = row("block_dot --format 2,1 --scale 8,0", block=32).dots
    assert [(unit.block, unit.lanes) for unit in free.units([16, 8])] == [(32, 8), (32, 16)]


def test_standard_rows_by_name() -> None:
    beside = row("mls_mac")
    assert standard(["none"], beside) == Question()
    assert facts(standard(["all"], beside)) == facts(STANDARD)
    baselines = standard(["baselines"], beside)
    assert baselines.units == tuple(own for own in STANDARD.units if own.kinds)
    assert not baselines.dots
    assert not baselines.tiles
    assert [own.label for own in standard(["MLS <2,4> aligned"], beside).tiles]
    with pytest.raises(UserError, match=r"standard rows must be .*'MLS <2,1>'.*, not 'MLS'"):
        standard(["MLS"], beside)


def test_label_is_of_the_tables_that_are_there() -> None:
    mac, dot = row("mls_mac"), row("block_dot")
    assert [len(x) for x in sizes(standard(["INT8"], mac))] == [1, 0, 0]
    assert [len(x) for x in sizes(standard(["INT8"], dot))] == [0, 1, 0]
    assert [len(x) for x in sizes(standard(["INT8"], mac + dot))] == [1, 1, 0]
    assert [len(x) for x in sizes(standard(["INT8"], Question()))] == [1, 0, 0]


def test_baseline_is_a_kind_of_its_own() -> None:
    found = (standard(["INT8"], Question()) + row("mls_mac", "mine")).compared_with(["mine"])
    assert {own.label: own.kinds for own in found.units} == {"INT8": (), "mine": ("mine",)}
    with pytest.raises(UserError, match="baseline must be one of INT8, mine, not 'FP9'"):
        found.compared_with(["FP9"])


def test_file_has_rows_settings_and_baselines(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        """
        standard = ["FP8 E4M3"]
        baselines = ["FP8 E4M3"]
        [settings]
        group = "block:16"
        tensors = "mine.npz"
        liberty = ["a.lib"]
        [[unit]]
        label = "mine"
        unit = "mls_mac --format 3,3"
        kinds = ["ours"]
        claim = { source = "a paper", ratio_to_fp32 = 3.0 }
        [[unit]]
        unit = "block_dot --format 2,1"
        block = 32
        lanes = 16
        """
    )
    found = from_file(path)
    assert [(own.label, own.kinds[-1:]) for own in found.units] == [
        ("FP8 E4M3", ("FP8 E4M3",)),
        ("mine", ("ours",)),
    ]
    assert found.units[1].claim.ratio_to_fp32 == 3
    assert [(own.block, own.lanes) for own in found.dots] == [(32, 16)]
    # Paths are those of the file's own folder.
    assert found.settings["tensors"] == str(tmp_path / "mine.npz")
    assert found.settings["liberty"] == [str(tmp_path / "a.lib")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[unit]", "own.toml: "),
        ("[[units]]\n", "a specification has settings, standard, baselines"),
        ("[[unit]]\nlabel = 'x'", "a [[unit]] must have unit, a text, not {'label': 'x'}"),
        ("[[unit]]\nunit = 'mls_mac'\nlane = 1", "a [[unit]] has block, claim, kinds"),
        ("[[unit]]\nunit = 'mls_mac --format 9'", "unit 'mls_mac --format 9': format must"),
        ("[[unit]]\nunit = 'mls_mac'\nblock = 1", "takes claim, kinds beside its label, not block"),
        ("[[unit]]\nunit = 'block_dot'\nblock = 0", "block of unit 'block_dot' must be a number"),
        ("[[unit]]\nunit = 'mls_mac'\nkinds = 'x'", "kinds must be a list of texts, not 'x'"),
        ("[[unit]]\nunit = 'mls_mac'\nclaim = {x = 1}", "claim of unit 'mls_mac' must have source"),
        ("standard = 'all'", "standard must be a list of texts, not 'all'"),
        ("standard = ['FP9']", "standard rows must be all, baselines"),
        ("baselines = ['FP9']", "baseline must be one of"),
        ("settings = 1", "settings must be a table, not 1"),
        ("[[verilog]]\ntop = 'x'", "a [[verilog]] must have files, top and latency, not"),
        ("[[verilog]]\nfiles = []\ntop = 'x'\nlatency = '1'", "latency of a [[verilog]] must be"),
        ("[[verilog]]\nfiles = ['x.v']\ntop = 'x'\nlatency = 1", "verilog must be files, but"),
        ("[[verilog]]\nfiles = []\ntop = 'x'\nlatency = 1\nspeed = 2", "has label, files, top"),
    ],
)
def test_error_names_file_and_rule(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        from_file(path)
    assert str(error.value).startswith(f"{path}: ")


def test_file_has_modules_of_ones_own(tmp_path: Path) -> None:
    source = ROOT / "tests" / "data" / "verilog" / "int8_mac.v"
    (tmp_path / "mac.v").write_text(source.read_text())
    path = tmp_path / "own.toml"
    path.write_text(
        """
        [[verilog]]
        label = "plain"
        files = ["mac.v"]
        top = "int8_mac"
        latency = 3
        contract = "int_mac --acc-width 32 --overflow wrap"
        ports = "w=x,a=y,start=clear,acc=sum,clk=clock"
        kinds = ["plain"]
        """
    )
    (own,) = from_file(path).units
    assert (own.label, own.kinds, own.configuration().slug) == ("plain", ("plain",), "int8_mac")


def test_rows_of_a_table_differ() -> None:
    STANDARD.check()
    with pytest.raises(UserError, match="a report must have rows"):
        Question().check()
    with pytest.raises(UserError, match="labels must differ, and mls_mac is of several rows"):
        (row("mls_mac") + row("mls_mac")).check()
