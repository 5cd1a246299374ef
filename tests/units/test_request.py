"""A unit in one text, as on the command line."""

import re

import pytest

from mlsmac.golden.spec import MLS_E2M1
from mlsmac.study.question import _EVERY
from mlsmac.units import configure
from mlsmac.units.request import Request, read, write


def test_options_are_those_of_the_command_line() -> None:
    request = read("mls_mac --format 2,1 --acc-width auto --length=16 --overflow wrap --hold")
    asked = {"format": "2,1", "acc_width": "auto", "length": 16, "overflow": "wrap", "hold": True}
    assert request == Request("mls_mac", asked)
    assert request.configuration() == configure("mls_mac", **asked)
    assert read("fp32_mac --flush").options == {"subnormals": False}
    assert read("block_dot --scale none").configuration().options["scale"] is None


@pytest.mark.parametrize("row", [*_EVERY.rows()], ids=lambda row: row.label)
def test_text_of_a_row_names_the_same_unit(row) -> None:
    again = read(write(Request(row.unit, row.options)))
    assert again.configuration() == configure(row.unit, **row.options)


def test_descriptors_are_written_as_widths() -> None:
    assert write(Request("mls_mac", {"format": MLS_E2M1})) == "mls_mac --format 2,1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unit must be NAME --option value ..., not empty"),
        ("mls_mac 'a", 'unit must be NAME --option value ..., not "mls_mac \'a": No closing'),
        ("fp9_mac", "unit must be one of mls_mac, fp32_mac"),
        ("mls_mac 2,4", "mls_mac takes --hold/--no-hold, --format, --acc-width"),
        ("mls_mac --lanes 4", "--recoding, not '--lanes'"),
        ("mls_mac --format", "--format of mls_mac must have a value"),
        ("mls_mac --acc-width x", "--acc-width of mls_mac must be an integer, not 'x'"),
        ("mls_tile --lanes four", "--lanes of mls_tile must be an integer, not 'four'"),
        ("mls_mac --hold=1", "--hold of mls_mac must have no value, not '1'"),
    ],
)
def test_error_names_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read(text)
