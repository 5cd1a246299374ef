"""Tables of estimated and routed wires."""

from dataclasses import replace

from mlsmac.study.documents import result
from mlsmac.study.records import from_json, to_json
from mlsmac.study.routed import RoutedReport, routed_tables
from mlsmac.study.terminal import markdown


def test_ratios_are_of_one_placement_and_kind_of_wires() -> None:
    kept = result(RoutedReport, "layout-routed")
    assert from_json(RoutedReport, to_json(kept)) == kept
    first, second, third, fourth = kept.rows[:4]
    rows = (
        replace(first, unit="small", placement="one", pj_without_wires=2, pj_magic=4),
        replace(second, unit="small", placement="two", pj_without_wires=3),
        replace(third, unit="large", placement="one", pj_without_wires=8, pj_magic=10),
        replace(fourth, unit="large", placement="two", pj_without_wires=27),
    )
    table = markdown(routed_tables(replace(kept, rows=rows))[2]).splitlines()
    assert table[0] == "| placed by | wires | large / small |"
    assert table[2] == "| one | none | 4.00 |"
    assert table[5:7] == ["| one | magic | 2.50 |", "| two | none | 9.00 |"]
    assert len(routed_tables(replace(kept, rows=rows[:2]))) == 2
