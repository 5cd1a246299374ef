"""A unit with its options in one line, as a user writes them behind `mlsmac synth`."""

import shlex
from typing import Any

from . import configure, named
from .catalogue import Configuration, Unit
from .options import LENGTH, OPTIONS


def from_line(line: str) -> Configuration:
    """The configuration of a line such as `mls_mac --format 2,4 --acc-width auto --length 9`.

    Raises: ValueError, TypeError, each naming the option, its value and the rule.
    """
    name, *words = shlex.split(line) or [""]
    unit = named(name)
    flags = dict(_flags(unit))
    options: dict[str, Any] = {}
    while words:
        flag, has_value, value = words.pop(0).partition("=")
        if flag not in flags:
            raise ValueError(f"{name} takes {', '.join(flags) or 'no options'}, not {flag!r}")
        option, given = flags[flag]
        if given is None:
            if not has_value and not words:
                raise ValueError(f"{flag} of {name} must have a value")
            given = value if has_value else words.pop(0)
            given = int(given) if given.isdecimal() and _takes_number(unit, option) else given
        options[option] = given
    return configure(name, **options)


def _flags(unit: Unit) -> list[tuple[str, tuple[str, Any]]]:
    """Each flag with its option and the value that it stands for, None: the word behind it."""
    found: list[tuple[str, tuple[str, Any]]] = []
    for name in unit.options:
        positive, _, negative = OPTIONS[name].flag.partition("/")
        is_truth = unit.options[name].parameter.kind is bool
        found.append((positive, (name, True if is_truth else None)))
        if negative:
            found.append((negative, (name, False)))
    return [*found, *([("--length", (LENGTH, None))] if unit.largest_product else [])]


def _takes_number(unit: Unit, option: str) -> bool:
    return option == LENGTH or unit.options[option].parameter.kind is int
