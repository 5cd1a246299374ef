# amaranth: UnusedElaboratable=no
"""What all components share: parameters that are written once, ports, stages."""

import enum
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal, cast, dataclass_transform

from amaranth.lib import wiring

from ...golden.spec import check_int, choice

_REQUIRED: Any = object()


@dataclass(frozen=True, eq=False, kw_only=True)
class Parameter:
    """A parameter of a component; on instances a read-only attribute.

    Members: `name`, of the argument; `kind`, the type that was declared (`optional`: or None);
    `doc`, what it is; `default` or, from the parameters before it, `factory`; `low` and `high`, the
    range of an integer.
    """

    doc: str
    name: str = ""
    kind: Any = None
    optional: bool = False
    default: Any = _REQUIRED
    factory: Callable[[Any], Any] | None = None
    low: int | None = None
    high: int | None = None

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is _REQUIRED and self.factory is None

    @property
    def rule(self) -> str:
        """What a value must be, in words."""
        if self.kind is int and self.low is not None:
            return f"{self.low}..{self.high}"
        return str(getattr(self.kind, "__name__", self.kind))

    def __get__(self, component: Any, owner: type | None = None) -> Any:
        if component is None:
            return self
        return component.__dict__["_values"][self.name]

    def __set__(self, component: Any, value: Any) -> None:
        raise AttributeError(f"{self.name} is fixed at construction")

    def check(self, value: Any) -> Any:
        """The value as the component keeps it.

        Raises: TypeError for the kind, ValueError for the value; the message names both and the
        rule.
        """
        kind = typing.get_origin(self.kind) or self.kind
        if value is None and self.optional:
            return None
        if kind is int and self.low is not None and self.high is not None:
            check_int(self.name, value, self.low, self.high)
            return value
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return choice(self.name, kind, value)
        if not isinstance(value, kind):
            # As it is said: an Int, an L-N-S, an M-L-S.
            article = "an" if kind.__name__.startswith((*"AEIOU", "Lns", "Mls")) else "a"
            raise TypeError(f"{self.name} must be {article} {kind.__name__}, not {value!r}")
        return value

    @property
    def argument(self) -> inspect.Parameter:
        """As a constructor's argument."""
        kind, default = inspect.Parameter.KEYWORD_ONLY, self.default
        if self.factory is not None:
            default = None
        elif self.required:
            default = inspect.Parameter.empty
        return inspect.Parameter(self.name, kind, default=default, annotation=self.kind)

    def line(self) -> str:
        """What a class's documentation says of it."""
        default = getattr(self.default, "value", self.default)
        shown = "" if self.default is _REQUIRED else f" (default {default})"
        return f"{self.name}: {self.rule}; {self.doc}{shown}."


def parameter(
    doc: str,
    *,
    default: Any = _REQUIRED,
    factory: Callable[[Any], Any] | None = None,
    low: int | None = None,
    high: int | None = None,
    alias: str = "",
) -> Any:
    """Declare a parameter of a component; its type is the annotation.

    `alias`: name of the argument, where a port has the attribute's. `factory`: the default, from
    the component whose parameters before this one are known; None asks for it, too.
    """
    return Parameter(doc=doc, default=default, factory=factory, low=low, high=high, name=alias)


def with_default(declared: Any, default: Any) -> Any:
    """Declare a parameter of another component with another default."""
    return replace(declared, default=default)


def constant(value: Any, *, init: Literal[False] = False) -> Any:
    """Declare that a subclass fixes a parameter of its parent: no longer an argument."""
    return _Constant(value)


@dataclass(frozen=True, eq=False)
class _Constant:
    value: Any

    def __get__(self, component: Any, owner: type | None = None) -> Any:
        return self.value

    def __set__(self, component: Any, value: Any) -> None:
        raise AttributeError(f"{type(component).__name__} fixes it to {self.value}")


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(parameter, constant)
)
class Component(wiring.Component):
    """An Amaranth component that declares each of its parameters once.

        class Shifter(Component):
            width: int = parameter("bits of `i`", low=1, high=64)

            def ports(self):
                return {"i": In(self.width), "o": Out(self.width)}

    Arguments are keyword-only; each is checked and is then a read-only attribute. `check` applies
    all rules without building anything: `rules` says those between parameters, those of the parts
    included, and `ports` makes the parts that decide the signature.
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {}
    """By name of the argument, in order."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        known = dict(cls.parameters)
        for attribute, annotation in inspect.get_annotations(cls).items():
            declared = cls.__dict__.get(attribute)
            if isinstance(declared, _Constant):
                fixed = cls.__mro__[1].__dict__.get(attribute) or getattr(cls.__mro__[1], attribute)
                known.pop(fixed.name, None)
                if isinstance(declared.value, property):
                    setattr(cls, attribute, declared.value)
            elif isinstance(declared, Parameter):
                bound = _bound(declared, attribute, annotation)
                setattr(cls, attribute, bound)
                known[bound.name] = bound
        cls.parameters = known
        told = inspect.Signature([each.argument for each in known.values()])
        setattr(cls, "__signature__", told)  # noqa: B010 - which types do not declare
        cls.__doc__ = _documented(cls.__doc__ or "", known)

    def __init__(self, **values: Any) -> None:
        self._keep(values)
        super().__init__(self.ports())
        self.__dict__["_built"] = True

    def __setattr__(self, name: str, value: Any) -> None:
        if "_built" in self.__dict__ and not name.startswith("_"):
            raise AttributeError(f"{name} is fixed at construction")
        super().__setattr__(name, value)

    @classmethod
    def check(cls, **values: Any) -> None:
        """Raise what construction would, without building anything.

        Raises: TypeError, ValueError, each naming the parameter, its value and the rule.
        """
        object.__new__(cls)._keep(values)

    def rules(self) -> None:
        """Rules between parameters, and those of parts. Raises: TypeError, ValueError."""

    def ports(self) -> dict[str, Any]:
        """The signature's members."""
        raise NotImplementedError

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the submodules that own all gates, in the order in which data passes them; none:
        they are not told apart.
        """
        return ()

    @property
    def stage_sets(self) -> tuple[frozenset[str], ...]:
        """Of this component, and of parts that have some: the submodules' names of each that has
        stages.
        """
        return (frozenset(self.stages),) if self.stages else ()

    def _keep(self, values: Mapping[str, Any]) -> None:
        cls = type(self)
        if unknown := values.keys() - cls.parameters.keys():
            rule = f"{cls.__name__} takes {', '.join(cls.parameters) or 'no parameters'}"
            raise TypeError(f"{rule}, not {', '.join(sorted(unknown))}")
        kept: dict[str, Any] = {}
        self.__dict__["_values"] = kept
        for name, declared in cls.parameters.items():
            value = values.get(name, declared.default)
            if declared.factory is not None and (value is _REQUIRED or value is None):
                value = declared.factory(self)
            if value is _REQUIRED:
                raise TypeError(f"{cls.__name__} must be given {name}: {declared.doc}")
            kept[name] = declared.check(value)
        self.rules()

    @property
    def exact_width(self) -> int | None:
        """Bits of a sum that reaches down to the smallest scales; None where there is none."""
        return None

    @property
    def idle(self) -> Mapping[str, int]:
        """Values of input ports, of each lane, with which a cycle changes no sum; none where the
        unit has no idle cycle of its own.
        """
        return {}

    if typing.TYPE_CHECKING:

        @property
        def latency(self) -> int:
            """Clock cycles from inputs to outputs: of every component that is a unit."""

        @property
        def registers(self) -> int:
            """Register bits: of every component that is a unit."""

        def __getattr__(self, name: str) -> Any:
            """Ports, which the signature makes."""


def check_plan(plan: partial[Any]) -> None:
    """Raise what `plan()` would, which makes a component, without building anything."""
    cast(type[Component], plan.func).check(**plan.keywords)


def _bound(declared: Parameter, attribute: str, annotation: Any) -> Parameter:
    """The parameter of one class: its name and kind known. One of another class keeps its own."""
    if declared.kind is not None:
        return declared
    union = isinstance(annotation, types.UnionType)
    kinds = set(typing.get_args(annotation) if union else (annotation,))
    optional = types.NoneType in kinds
    if isinstance(annotation, str) or len(kinds) != 1 + optional:
        raise TypeError(f"{attribute} must be declared as a type, or it and None, not {annotation}")
    (kind,) = kinds - {types.NoneType}
    if kind is int and (declared.low is None or declared.high is None):
        raise TypeError(f"{attribute} must be declared with its range, being an integer")
    return replace(declared, name=declared.name or attribute, kind=kind, optional=optional)


def _documented(doc: str, parameters: Mapping[str, Parameter]) -> str:
    """A class's documentation with its parameters, in front of its members."""
    if not parameters or "\n    Parameters\n" in doc:
        return doc
    lines = ["Parameters", "----------", *(each.line() for each in parameters.values())]
    section = "".join(f"    {line}\n" for line in lines)
    before, members, after = doc.partition("    Members\n")
    return f"{before.rstrip()}\n\n{section}" + (f"\n{members}{after}" if members else "    ")
