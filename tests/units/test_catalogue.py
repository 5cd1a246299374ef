# amaranth: UnusedElaboratable=no
"""The catalogue is the one place of a unit: its name stands nowhere else, its options are its
component's parameters, and a configuration is checked without being built.
"""

import enum
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlsmac import golden
from mlsmac.golden.spec import ELEMENT_PRESETS, FLOAT_PRESETS, INT_PRESETS, LNS_PRESETS, written
from mlsmac.hw.parts.component import Component
from mlsmac.units import UNITS, Unit, configure
from mlsmac.units.options import OPTIONS

ROOT = Path(__file__).parents[2]
FOLDERS = ("bench", "cli", "data", "golden", "hw", "package", "sim", "study", "support", "synth")
ENTRIES = re.compile(r"(?:Entry|\bRow|\b_float)\(|^ *\"\w+\",$")
"""Lines of a table of what a report or a benchmark compares."""

LADDER = re.compile(
    r"(?:ends|starts)with\(f?[\"'](?:_?mac|_tile|fp8|fp32|mls|int_|lns|kulisch|float_)"
    r"|isinstance\([^)]*\b\w*(?:Mac|Tile)\b"
)
"""Questions after the kind of a unit, which its row answers."""


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "tests" not in path.parts:
                yield path


def test_a_unit_s_name_stands_in_its_row_alone() -> None:
    """Beside the tables of what is compared, and golden's own list of its functions' names."""
    quoted = re.compile("|".join(f"[\"']{name}[\"']" for name in UNITS))
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources()
        if path != ROOT / "golden" / "__init__.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (quoted.search(line) and not ENTRIES.search(line)) or LADDER.search(line)
    ]
    assert found == []


def test_a_row_is_written_once() -> None:
    rows = re.compile(r'name="(\w+)"')
    text = "".join(path.read_text() for path in sorted((ROOT / "units").glob("*.py")))
    named = [name for name in rows.findall(text) if name in UNITS]
    assert sorted(named) == sorted(UNITS)


@pytest.mark.parametrize("unit", UNITS.values(), ids=lambda unit: unit.name)
def test_options_are_parameters_and_defaults_are_written_once(unit: Unit) -> None:
    assert issubclass(unit.component, Component)
    if unit.parameters is None:
        assert list(unit.options) == sorted(
            (name for name in unit.component.parameters if name in OPTIONS),
            key=lambda name: OPTIONS[name].structure,
        )
    declared = unit.component.parameters if unit.parameters is None else unit.parameters
    for name, value in unit.defaults.items():
        assert name in unit.options
        assert declared[name].default != value, f"{name} is the component's default already"


@pytest.mark.parametrize("name", [name for name in UNITS if name in golden.__all__])
def test_golden_and_the_unit_have_the_same_defaults(name: str) -> None:
    """Where golden's function of the unit's name has one."""
    configuration = configure(name)
    for argument in inspect.signature(getattr(golden, name)).parameters.values():
        own = configuration.values.get(argument.name)
        if own is not None and argument.default not in (inspect.Parameter.empty, None):
            assert argument.default == own, argument.name


@pytest.mark.parametrize("name", UNITS)
def test_what_the_command_line_shows_is_what_it_reads(name: str) -> None:
    """Every default, written as a user would, gives the default configuration."""
    configuration = configure(name)
    given: dict[str, Any] = {}
    for option, value in configuration.values.items():
        shown = OPTIONS[option].written(value).partition(" ")[2]
        given[option] = value if isinstance(value, int) else shown
    assert configure(name, **given) == configuration


VALUES: dict[str, tuple[Any, ...]] = {
    "format": (
        *(written(each) for each in (*ELEMENT_PRESETS.values(), *INT_PRESETS.values())),
        *(written(each) for each in (*FLOAT_PRESETS.values(), *LNS_PRESETS.values())),
        *("5,10", "6,5", "2,1", "9,9", "3", 7),
    ),
    "scale": ("8,1", "4,3", "1,0", "9,0", "none"),
    "acc_width": (1, 2, 16, 24, 128, 129, "auto", 1.5),
    "lanes": (0, 1, 3, 4, 65, True),
    "tree": ("fp32", "aligned", "exact", "none"),
    "guard_bits": (-1, 0, 32, 33),
    "tiles": (0, 1, 65536, 65537),
    "sharing": (0, 2, 3, 4),
    "levels": (0, 1, 6, 7, 65),
    "table_bits": (-1, 0, 3, 4),
    "table_fraction": (0, 3, 30, 31),
    "random_bits": (0, 1, 16, 24, 25),
    "lfsr_seed": (0, 1, 1 << 32),
    "reciprocal_bits": (0, 3, 4, 16, 17),
    "groups": (0, 1, 3, 65),
    "products": (0, 1, 3, 1025),
    "cycles": (0, 1, 3, 1025),
    "window": (1, 2, 12, 24, 60, 128, 129),
    "blocks": (0, 1, 1 << 20, (1 << 20) + 1),
}
"""Values of each option, within its range, at its ends and beyond."""


def _choices(unit: Unit) -> Iterator[dict[str, Any]]:
    """Each option alone, and each with each format."""
    for name, option in unit.options.items():
        kind = option.parameter.kind
        members = tuple(kind) if isinstance(kind, type) and issubclass(kind, enum.Enum) else ()
        source = "format" if name.endswith("format") else name
        values = VALUES.get(source, (*members, *((True, False) if kind is bool else ()), "wrong"))
        yield from ({name: value} for value in values)
    if "format" in unit.options:
        others = [name for name in ("acc_format", "a_format", "subnormals") if name in unit.options]
        for name, format in itertools.product(others, VALUES["format"]):
            for value in (True, False) if name == "subnormals" else VALUES["format"][::3]:
                yield {"format": format, name: value}


@pytest.mark.parametrize(
    "name", [name for name in UNITS if not name.endswith("_tile")] + ["mls_tile", "dot_tile"]
)
def test_a_configuration_is_checked_without_being_built(name: str) -> None:
    """Whatever is accepted can be built; whatever is refused is refused before."""
    unit, accepted, refused = UNITS[name], 0, 0
    small = {"lanes": 2} if "lanes" in unit.options else {}
    for given in _choices(unit):
        try:
            configuration = configure(name, **{**small, **given})
        except (TypeError, ValueError):
            refused += 1
            continue
        accepted += 1
        configuration.build()
    assert accepted
    assert refused
