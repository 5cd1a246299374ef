"""A unit and its options in one line: the same configuration as by keywords."""

import pytest

from mlsmac.units import UNITS, configure
from mlsmac.units.line import from_line


@pytest.mark.parametrize(
    ("line", "unit", "options"),
    [
        ("mls_mac --format 2,4", "mls_mac", {"format": "2,4"}),
        ("fp32_mac --flush", "fp32_mac", {"subnormals": False}),
        (
            "int_mac --zero-points --overflow=wrap",
            "int_mac",
            {"zero_points": True, "overflow": "wrap"},
        ),
        ("int_mac --acc-width 24 --hold", "int_mac", {"acc_width": 24, "hold": True}),
        (
            "mls_mac --acc-width auto --length 9",
            "mls_mac",
            {"acc_width": "auto", "length": 9},
        ),
        (
            "mls_tile --lanes 8 --tree exact --scale 4,1",
            "mls_tile",
            {"lanes": 8, "tree": "exact", "scale": "4,1"},
        ),
        ("int_mac --format 4", "int_mac", {"format": "4"}),
    ],
)
def test_as_by_keywords(line: str, unit: str, options: dict) -> None:
    assert from_line(line).values == configure(unit, **options).values


def test_every_unit_by_its_name_and_by_all_its_options() -> None:
    for name, unit in UNITS.items():
        configuration = configure(name)
        words = [
            unit.options[own].row.written(value) for own, value in configuration.values.items()
        ]
        assert from_line(name).values == configuration.values
        assert from_line(" ".join([name, *words])).values == configuration.values


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "unit must be one of mls_mac, .* not ''"),
        ("nothing", "unit must be one of mls_mac, .* not 'nothing'"),
        ("lns_mac --wide", "lns_mac takes --hold, .*, --length, not '--wide'"),
        ("int_mac --format", "--format of int_mac must have a value"),
        ("mls_mac --format 9,9", "exp_bits must be in 0..5, not 9"),
    ],
)
def test_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_line(line)
