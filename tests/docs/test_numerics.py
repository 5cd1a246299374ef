"""Decisions of docs/numerics.md can be cited: each has a number, and the list tells them all."""

import re
from pathlib import Path

import pytest

NUMERICS = Path(__file__).parents[2] / "docs" / "numerics.md"
MARK = re.compile(r"\*\*[Dd]ecided(?:\s+\(D(\d+)\))?\*\*")
ROW = re.compile(r"^\| *D(\d+) *\| *(\d+) *\| *\S.*\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """The text by heading."""
    _, *parts = re.split(r"^## ", NUMERICS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(part.split("\n", 1) for part in parts)


def _marked(sections: dict[str, str]) -> list[tuple[str, str]]:
    """The number ("" where there is none) and the section of each decision, as in the text."""
    return [
        (number, heading.partition(".")[0])
        for heading, text in sections.items()
        for number in MARK.findall(text)
    ]


def test_every_decision_has_a_number_of_its_own(sections: dict[str, str]) -> None:
    numbers = [number for number, _ in _marked(sections)]
    assert sorted(map(int, numbers)) == list(range(1, len(numbers) + 1))


def test_list_tells_every_decision_and_its_section(sections: dict[str, str]) -> None:
    listed = ROW.findall(sections["Decisions"])
    assert listed == sorted(_marked(sections), key=lambda decision: int(decision[0]))
