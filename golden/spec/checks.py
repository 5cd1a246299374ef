"""Rules that parameters are checked by; every message names the value and the rule."""

import enum
from typing import TypeVar


def check_int(name: str, value: object, low: int, high: int) -> None:
    """Raise unless `value` is an integer in [low, high]: TypeError for the kind, ValueError for the
    value.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, not {value!r}")


Choice = TypeVar("Choice", bound=enum.Enum)


def choice(name: str, kind: type[Choice], value: object) -> Choice:
    """The member of enumeration `kind` that is, or whose value is, `value`; else ValueError."""
    try:
        return kind(value)
    except ValueError:
        rule = ", ".join(repr(member.value) for member in kind)
        raise ValueError(f"{name} must be one of {rule}, not {value!r}") from None
