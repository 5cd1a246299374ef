"""What is said of a unit beside its figures."""

from types import SimpleNamespace
from typing import Any

from mlsmac.cli.measuring import verdict
from mlsmac.study.rows import BuildRow


def build(mismatches: int | None, zero_delay: int | None, meets_timing: bool = True) -> BuildRow:
    """One that ran 200 cycles."""
    return BuildRow(
        slug="unit",
        adders="gates",
        area_um2=1.0,
        critical_path_ns=9.0,
        meets_timing=meets_timing,
        energy_pj=None,
        cycles=200,
        mismatches=mismatches,
        mismatches_zero_delay=zero_delay,
    )


def told(*builds: BuildRow) -> list[str]:
    """Of a unit with these builds, the first of which is its result."""
    first = builds[0]
    unit: Any = SimpleNamespace(**vars(first), builds=builds, layout=None)
    unit.is_wrong = any(own.is_wrong for own in builds)
    return verdict("mac", unit)


def test_wrong_results_are_counted() -> None:
    assert told(build(0, 0), build(3, 0), build(7, 12)) == [
        "mac: A BUILD COMPUTES WRONG RESULTS, 12 of 200, see builds in the JSON"
    ]


def test_a_missed_clock_is_not_wrong() -> None:
    clock, delays = told(build(5, 0, meets_timing=False))
    assert clock == "mac misses the clock: 9.00 ns"
    assert delays == "mac: 5 wrong results with delays: no energy given"


def test_what_is_not_compared_is_not_wrong() -> None:
    assert told(build(None, None)) == []
