"""A unit as a user writes it, in one text: `mls_mac --format 3,3 --length 16`."""

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from . import named
from .catalogue import Configuration, Unit, configured
from .options import LENGTH, NONE


class Request(NamedTuple):
    """A unit's name with options as `configure` takes them."""

    unit: str
    options: Mapping[str, Any]

    def configuration(self) -> Configuration:
        """What is asked for. Raises: ValueError, TypeError."""
        return configured(named(self.unit), self.options)


def read(text: str) -> Request:
    """The unit and the options that a text names, as on the command line.

    Raises: ValueError, which names what is wrong.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"unit must be NAME --option value ..., not {text!r}: {error}") from None
    if not words:
        raise ValueError("unit must be NAME --option value ..., not empty")
    unit, rest = named(words[0]), iter(words[1:])
    options: dict[str, Any] = {}
    for word in rest:
        flag, equals, value = word.partition("=")
        name, given = _option(unit, flag)
        if given is None:
            value = value if equals else next(rest, "")
            if not value:
                raise ValueError(f"{flag} of {unit.name} must have a value")
            kind = int if name == LENGTH else unit.options[name].parameter.kind
            given = value_of(f"{flag} of {unit.name}", name, kind, value)
        elif equals:
            raise ValueError(f"{flag} of {unit.name} must have no value, not {value!r}")
        options[name] = given
    return Request(unit.name, options)


def write(request: Request) -> str:
    """The text that `read` takes, every option of it in order of the command line."""
    rows = {option.row.name: option.row for option in named(request.unit).options.values()}
    words = [
        rows[name].written(value) if name in rows else f"--{name} {value}"
        for name, value in request.options.items()
    ]
    return " ".join([request.unit, *words])


def _option(unit: Unit, flag: str) -> tuple[str, bool | None]:
    """The option that a flag names; its value where the flag is that. Raises: ValueError."""
    if flag == f"--{LENGTH}" and unit.largest_product is not None:
        return LENGTH, None
    for name, option in unit.options.items():
        positive, _, negative = option.row.flag.partition("/")
        if flag == positive:
            return name, True if option.parameter.kind is bool else None
        if negative and flag == negative:
            return name, False
    takes = [option.row.flag for option in unit.options.values()]
    raise ValueError(f"{unit.name} takes {', '.join(takes)}, not {flag!r}")


def value_of(what: str, name: str, kind: Any, text: str) -> Any:
    """A text as `configure` takes the value of the option `name`: a number where its parameter's
    `kind` is that and the text no word. Raises: ValueError, for `what`.
    """
    is_word = text == NONE or (name == "acc_width" and text == "auto")
    if kind is not int or is_word:
        return text
    if not text.isdecimal():
        raise ValueError(f"{what} must be an integer, not {text!r}")
    return int(text)
