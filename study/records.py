"""Records as JSON and back: frozen dataclasses whose fields carry their documentation.

A field is annotated `Annotated[type, "what it says"]`, and `Key` or `Flat` where JSON differs from
the attribute. JSON has the fields in their order.
"""

import dataclasses
import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def significant(value: float, digits: int) -> float:
    """The number that shows so many significant digits: what JSON gets of a figure."""
    return float(f"{value:.{digits}g}")


@dataclass(frozen=True)
class Key:
    """The field's name in JSON; `{per}` stands for what the enclosing `Flat` names."""

    template: str


@dataclass(frozen=True)
class Flat:
    """The fields of this record stand among those of the record around it.

    Members: `per`: what its energies are of; `without`: attributes that JSON leaves out, which have
    defaults.
    """

    per: str = "mac"
    without: frozenset[str] = frozenset()


_AS_IT_IS = Flat()


@dataclass(frozen=True)
class Field:
    """A field of a record: its attribute, its type, how JSON shows it, and what it says."""

    name: str
    type: Any
    key: Key
    flat: Flat | None
    doc: str
    has_default: bool


@functools.cache
def fields(kind: type) -> tuple[Field, ...]:
    """The fields of a record's class, in order."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_field(field, hints[field.name]) for field in dataclasses.fields(kind))


def _field(declared: "dataclasses.Field[Any]", hint: Any) -> Field:
    type, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)

    def extra(kind: Any, default: Any) -> Any:
        return next((value for value in extras if isinstance(value, kind)), default)

    key = extra(Key, Key(declared.name))
    defaults = (declared.default, declared.default_factory)
    has_default = any(default is not dataclasses.MISSING for default in defaults)
    return Field(declared.name, type, key, extra(Flat, None), extra(str, ""), has_default)


def to_json(value: Any, around: Flat = _AS_IT_IS) -> Any:
    """A record, or anything made of records, in JSON's types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            key: shown
            for field in fields(type(value))
            if field.name not in around.without
            for key, shown in _entries(field, getattr(value, field.name), around)
        }
    if isinstance(value, Mapping):
        return {key: to_json(item, around) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_json(item, around) for item in value]
    return value


def _entries(field: Field, value: Any, around: Flat) -> Iterator[tuple[str, Any]]:
    """What a field puts into its record's JSON."""
    if field.flat:
        yield from to_json(value, field.flat).items()
    else:
        yield field.key.template.format(per=around.per), to_json(value, around)


def from_json(kind: type[Record], value: Mapping[str, Any]) -> Record:
    """The record that `to_json` made `value` of; fields that an earlier version did not write have
    their defaults. Raises: KeyError for a missing field without one.
    """
    return _record(kind, value, _AS_IT_IS)


def _record(kind: Any, value: Mapping[str, Any], around: Flat) -> Any:
    found = {}
    for field in fields(kind):
        if field.flat:
            found[field.name] = _record(field.type, value, field.flat)
        elif field.name not in around.without:
            key = field.key.template.format(per=around.per)
            if key in value or not field.has_default:
                found[field.name] = _value(field.type, value[key], around)
    return kind(**found)


def _value(hint: Any, value: Any, around: Flat) -> Any:
    """A value of a field's type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if value is None or hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _value(next(way for way in arguments if way is not type(None)), value, around)
    if origin is tuple:
        return tuple(_value(arguments[0], item, around) for item in value)
    if origin is Mapping:
        return {key: _value(arguments[1], item, around) for key, item in value.items()}
    return _record(hint, value, around) if dataclasses.is_dataclass(hint) else value


def documented(
    kind: type, around: Flat = _AS_IT_IS, *, nested: bool = True
) -> Iterator[tuple[str, str]]:
    """Every key of a record's JSON with its documentation, `nested`: and of records within it."""
    for field in fields(kind):
        if field.flat:
            yield from documented(field.type, field.flat, nested=nested)
        elif field.name not in around.without:
            key = field.key.template.format(per=around.per)
            yield key, field.doc
            inner, many = _inner(field.type)
            if inner and nested:
                for name, doc in documented(inner, around, nested=False):
                    yield f"{key}{'[]' if many else ''}.{name}", doc


def _inner(hint: Any) -> tuple[Any, bool]:
    """The record that a field holds, None where it holds none, and whether it holds many."""
    ways = get_args(hint) if get_origin(hint) in (Union, types.UnionType, tuple) else (hint,)
    record = next((way for way in ways if dataclasses.is_dataclass(way)), None)
    return record, get_origin(hint) is tuple
