"""Formats of training as a user writes them: `mls --element 2,1 --group none`."""

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from .config import Config, Float32Config
from .mls import MlsConfig
from .rivals import BlockConfig, DfpConfig, Fp8Config, Int8Config, LnsConfig

FORMATS: Mapping[str, type[Config]] = {
    "float32": Float32Config,
    "mls": MlsConfig,
    "int8": Int8Config,
    "dfp": DfpConfig,
    "lns": LnsConfig,
    "fp8": Fp8Config,
    "block": BlockConfig,
}
"""By name; options are the fields of the class, of an operand with its letter: `--e.element`."""


def read_config(text: str) -> Config:
    """The format that a text names. Raises: ValueError, which says what is wrong."""
    try:
        name, *words = shlex.split(text)
    except ValueError:
        raise ValueError(f"format must be NAME --option value ..., not {text!r}") from None
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {name!r}")
    kind = FORMATS[name]
    known: set[str] = set()
    if dataclasses.is_dataclass(kind):
        known = {f.name for f in dataclasses.fields(kind)}
    options: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        value = value if equals else next(rest, "")
        letter, dot, own = flag.removeprefix("--").replace("-", "_").rpartition(".")
        if flag.startswith("--") and not value and (letter or own) in known:
            raise ValueError(f"{flag} of {name} must have a value")
        if not flag.startswith("--") or not value or (letter or own) not in known:
            takes = ", ".join(f"--{f.replace('_', '-')} VALUE" for f in sorted(known)) or "nothing"
            raise ValueError(f"{name} takes {takes}, not {word!r}")
        place = options.setdefault(letter, {}) if dot else options
        place[own] = int(value) if value.isdecimal() and _is_number(kind, own) else value
    try:
        return kind(**options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def _is_number(kind: type[Config], name: str) -> bool:
    """Whether an option takes integers."""
    hint = get_type_hints(kind)[name]
    return int in (hint, *get_args(hint))
