"""A grid of options to the configurations that it asks for, and those that there are not."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...golden.spec import ElementFormat
from ...support.errors import UserError
from ...units import UNITS, Configuration, Unit, configure
from ...units.options import LENGTH, UnitOption
from ...units.request import value_of
from ..stimuli.coding import Coding
from .rows import SkippedRow

MOST = 20_000
"""Combinations of a grid."""

CODING = Coding().written()
"""How the operands of an MLS MAC are quantized, where a grid does not say."""

_RANGE = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True, eq=False)
class Point:
    """A configuration of a sweep.

    Members: `coding`, of MLS operands whose unit has no scales; `swept`, the grid's own values;
    `label`, what tells it from the others.
    """

    configuration: Configuration
    coding: Coding | None
    swept: Mapping[str, str]
    label: str


Axes = Mapping[str, Sequence[str]]
"""Values as written, by option."""


@dataclass(frozen=True)
class Grid:
    """Units, the axes of all that have such an option, and those of one unit in their stead."""

    units: Sequence[str]
    axes: Axes = field(default_factory=dict)
    own: Mapping[str, Axes] = field(default_factory=dict)

    def points(self) -> tuple[list[Point], list[SkippedRow]]:
        """Every configuration once, in the grid's order, and what no unit takes.

        Raises: UserError for an unknown unit or axis, and where no configuration is left.
        """
        units = [_known(name) for name in dict.fromkeys(self.units)]
        axes = {unit.name: self._axes(unit) for unit in units}
        self._check(units, axes)
        found: dict[Any, Point] = {}
        skipped = []
        for unit in units:
            for swept in _combinations(axes[unit.name]):
                label = _label(unit, swept, axes[unit.name], len(units) > 1)
                try:
                    configuration, coding = _configured(unit, swept)
                except (TypeError, ValueError) as error:
                    skipped.append(SkippedRow(unit=label, swept=swept, reason=str(error)))
                    continue
                key = (unit.name, tuple(configuration.values.items()), coding)
                found.setdefault(key, Point(configuration, coding, swept, label))
        if not found:
            reasons = f": {skipped[0].reason}" if skipped else ""
            raise UserError(f"the grid has no configuration that a unit takes{reasons}")
        return list(found.values()), skipped

    def _axes(self, unit: Unit) -> dict[str, list[str]]:
        """Those of a unit, ranges written out."""
        given = {**self.axes, **self.own.get(unit.name, {})}
        known = _takes(unit)
        return {name: spread(values) for name, values in given.items() if name in known}

    def _check(self, units: Sequence[Unit], axes: Mapping[str, Axes]) -> None:
        every = {name for unit in units for name in _takes(unit)}
        for name in self.axes:
            if name not in every:
                rule = ", ".join(sorted(every))
                raise UserError(f"grid must have options of its units ({rule}), not {name!r}")
        for unit, own in self.own.items():
            if unit not in axes:
                raise UserError(f"grid must be of {', '.join(axes)}, not of {unit!r}")
            for name in own.keys() - axes[unit].keys():
                rule = ", ".join(sorted(_takes(_known(unit))))
                raise UserError(f"grid of {unit} must have its options ({rule}), not {name!r}")
        for unit, given in axes.items():
            widths = given.get("acc_width", ("auto",))
            if LENGTH in given and "auto" not in widths:
                rule = "length needs an acc_width that is auto"
                raise UserError(f"grid of {unit}: {rule}, not {' '.join(widths)}")
        count = sum(math.prod(len(values) for values in own.values()) for own in axes.values())
        if count > MOST:
            raise UserError(f"grid must have at most {MOST} combinations, not {count}")


def axis(text: str) -> tuple[str, str, list[str]]:
    """Unit ("" for all), option and values of "format=2,4 3,3" or "fp8_mac.format=e4m3 e5m2".

    Raises: UserError.
    """
    names, equals, values = text.partition("=")
    unit, _, name = names.strip().rpartition(".")
    if not (equals and name and values.split()):
        raise UserError(f"grid must be OPTION=VALUE ..., not {text!r}")
    return unit, name.replace("-", "_"), values.split()


def spread(values: Iterable[str]) -> list[str]:
    """Values, ranges in them written out: 1-2,3-4 is 1,3 1,4 2,3 2,4. Raises: UserError."""
    found = []
    for value in values:
        parts = [_range(part) for part in value.split(",")]
        if math.prod(map(len, parts)) > MOST:
            raise UserError(f"a range must have at most {MOST} values, unlike {value!r}")
        found += [",".join(chosen) for chosen in itertools.product(*parts)]
    return list(dict.fromkeys(found))


def _range(part: str) -> Sequence[str]:
    ends = _RANGE.fullmatch(part)
    if not ends:
        return [part]
    low, high = int(ends[1]), int(ends[2])
    if not low <= high < low + MOST:
        raise UserError(f"a range must ascend to at most {MOST} values, unlike {part!r}")
    return [str(number) for number in range(low, high + 1)]


def _known(name: str) -> Unit:
    if name not in UNITS:
        raise UserError(f"unit must be one of {', '.join(UNITS)}, not {name!r}")
    return UNITS[name]


def _takes(unit: Unit) -> list[str]:
    """Axes that a unit may have."""
    length = [LENGTH] if unit.largest_product else []
    return [*unit.options, *length, *(CODING if _is_coded(unit) else ())]


def _is_coded(unit: Unit) -> bool:
    """Whether its operands are MLS elements whose scales stay outside."""
    own = unit.options.get("format")
    return own is not None and own.parameter.kind is ElementFormat and "scale" not in unit.options


def _combinations(axes: Axes) -> Iterator[dict[str, str]]:
    for chosen in itertools.product(*axes.values()):
        yield dict(zip(axes, chosen, strict=True))


def _configured(unit: Unit, swept: Mapping[str, str]) -> tuple[Configuration, Coding | None]:
    """Raises: TypeError, ValueError."""
    given = {
        name: _value(name, unit.options.get(name), text)
        for name, text in swept.items()
        if name in unit.options or name == LENGTH
    }
    if unit.largest_product and given.setdefault("acc_width", "auto") != "auto":
        given.pop(LENGTH, None)
    coding = Coding.read(**{**CODING, **_of_coding(swept)}) if _is_coded(unit) else None
    return configure(unit.name, **given), coding


def _of_coding(swept: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in swept.items() if name in CODING}


_TRUTH = {"true": True, "false": False}


def _value(name: str, option: UnitOption | None, text: str) -> Any:
    """As `configure` takes it. Raises: ValueError."""
    kind = option.parameter.kind if option else int
    if kind is bool:
        if text not in _TRUTH:
            raise ValueError(f"{name} must be true or false, not {text!r}")
        return _TRUTH[text]
    return value_of(name, name, kind, text)


def _label(unit: Unit, swept: Mapping[str, str], axes: Axes, several: bool) -> str:
    """What of the grid differs: formats by themselves, other options with their names."""
    told = [
        text if name == "format" else f"{name} {text}"
        for name, text in swept.items()
        if len(axes[name]) > 1
    ]
    return " ".join([*([unit.name] if several or not told else []), *told])
