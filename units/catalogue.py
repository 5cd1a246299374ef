# amaranth: UnusedElaboratable=no
"""What a unit of the catalogue is, and its configurations."""

import enum
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..golden.spec import AUTO, GROUP_LENGTH, products_held, resolve_acc_width, width_for
from ..hw.parts.component import Component, Parameter
from ..hw.parts.stepped import Stepped
from ..hw.parts.unsigned_multiplier import Recoding
from ..support.words import Codes
from .corners.general import Draw, operands
from .models import Model, Ports
from .options import LENGTH, OPTIONS, Option, UnitOption
from .workloads import Make, Options, Source, Workload, pairs


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A named kind of hardware: one row of the catalogue.

    Members
    -------
    name, description: as `mlsmac units` shows them.
    component: its class, whose parameters with a row in `options.OPTIONS` are the unit's options.
    defaults: of options, where the component has none or the unit another one.
    parameters, arguments: where the options are not the component's own: what they are, and the
        component's arguments for their values.
    model: golden: outputs by port from inputs by port and the options that decide what it computes.
        Entry t belongs to the inputs' entry t, latency left out; shapes (T,), or (T, lanes).
    corners: input vectors that reach its corners.
    workload: what it is measured on.
    largest_product: magnitude of the largest product that its integer accumulator meets, where it
        has one, in units of the accumulator.
    last_bit: exponent of the power of two that the last bit of that accumulator weighs, in units of
        the product of the operands' values, their tensors' and groups' scales left out.
    lane: of a tile of MACs, the unit that each lane is.
    one_build: whether it is measured in one build alone, since it takes long to map.
    """

    name: str
    description: str
    component: type[Component]
    defaults: Options = field(default_factory=dict)
    parameters: Mapping[str, Parameter] | None = None
    arguments: Callable[..., Options] = dict
    model: Model
    corners: Draw = operands
    workload: Make = pairs
    largest_product: Callable[[Options], int] | None = None
    last_bit: Callable[[Options], int] | None = None
    lane: "Unit | None" = None
    one_build: bool = False

    def __reduce__(self) -> tuple[Callable[[str], "Unit"], tuple[str]]:
        """Between processes a unit goes by its name: its functions do not travel."""
        return _row, (self.name,)

    @cached_property
    def options(self) -> Mapping[str, UnitOption]:
        """Its options by name, in the order in which they enter a configuration's name."""
        declared = self.component.parameters if self.parameters is None else self.parameters
        found = [
            UnitOption(
                row=OPTIONS[name],
                parameter=parameter,
                default=self.defaults.get(name, _default(OPTIONS[name], parameter)),
            )
            for name, parameter in declared.items()
            if name in OPTIONS
        ]
        found.sort(key=lambda option: option.row.structure)
        return {option.row.name: option for option in found}

    @property
    def has_streams(self) -> bool:
        """Whether it takes steps and gives outputs: streams suit it."""
        return issubclass(self.component, Stepped)

    def make(self, **values: Any) -> Component:
        """A fresh component of all options' values."""
        return self.component(**self.arguments(**values))

    def check(self, **values: Any) -> None:
        """Raise what `make` would, without building anything. Raises: TypeError, ValueError."""
        self.component.check(**self.arguments(**values))


def _default(row: Option, parameter: Parameter) -> Any:
    return parameter.default if row.default is None else row.default


def _row(name: str) -> Unit:
    """The catalogue's unit of that name."""
    from . import named  # which the rows are made for

    return named(name)


@dataclass(frozen=True)
class Declared:
    """What measuring must know of hardware beside its RTLIL.

    Members: `registers`: its register bits, None where nobody says; `latency`: cycles from inputs
    to outputs; `clock`: the port, None of a combinational unit; `stages` and `stage_sets` as a
    component has them; `checked`: whether its outputs are compared with the reference.
    """

    registers: int | None
    latency: int
    clock: str | None
    stages: tuple[str, ...] = ()
    stage_sets: tuple[frozenset[str], ...] = ()
    checked: bool = True


@dataclass(frozen=True)
class Configuration:
    """A unit with a value for each of its options: what hardware and reference are both made from.

    `options` decide what it computes, `structure` how: the golden model reads only the former.
    """

    unit: Unit
    options: Options
    structure: Mapping[str, enum.Enum | int]

    @property
    def name(self) -> str:
        """The unit's."""
        return self.unit.name

    @property
    def values(self) -> dict[str, Any]:
        """Of all options."""
        return {**self.options, **self.structure}

    def build(self) -> Component:
        """A fresh component."""
        return self.unit.make(**self.values)

    def declared(self) -> Declared:
        """What its component says."""
        own = self.build()
        clock = "clk" if own.registers else None
        return Declared(own.registers, own.latency, clock, own.stages, own.stage_sets)

    def reference(self, inputs: Ports) -> dict[str, Codes]:
        """Outputs by port, step by step, by the golden model. Raises: what the models raise."""
        return self.unit.model(inputs, **self.options)

    def workload(self, source: Source) -> Workload:
        """What it is measured on."""
        return self.unit.workload(self, source)

    @property
    def slug(self) -> str:
        """File and module name: the unit's name, then what distinguishes this configuration."""
        known = self.unit.options
        parts = [known[name].slug(value) for name, value in self.values.items()]
        return "_".join([self.name, *filter(None, parts)])

    @property
    def safe_length(self) -> int:
        """Products that its accumulator holds whatever the operands. Of a tile: its lanes'."""
        unit = self.unit.lane or self.unit
        if unit.largest_product is None:
            raise ValueError(f"{self.name} must have an integer accumulator")
        return products_held(unit.largest_product(self.options), self.options["acc_width"])

    @property
    def lane(self) -> "Configuration":
        """Of a tile, the MAC of each lane; of any other unit itself."""
        lane = self.unit.lane
        if lane is None:
            return self
        values = {name: self.values[name] for name in lane.options if name in self.values}
        return configured(lane, values)

    def rtlil(self) -> str:
        """Its hardware as mapping takes it, the module called by the slug."""
        from .emit import to_outlined_rtlil  # which knows configurations

        return to_outlined_rtlil(self)

    def holding(self) -> "Configuration | None":
        """The same with weights that are held; None where it cannot hold any."""
        if "hold" not in self.options:
            return None
        return replace(self, options={**self.options, "hold": True})

    def variants(self) -> list["Configuration"]:
        """This configuration with every recoding; the rest of its structure stays as it is. All
        compute the same.
        """
        # Paths need no comparison: the default has the least energy in every MAC.
        kinds: list[Iterable[enum.Enum | int]] = [
            type(value) if isinstance(value, Recoding) else [value]
            for value in self.structure.values()
        ]
        return [
            replace(self, structure=dict(zip(self.structure, chosen, strict=True)))
            for chosen in itertools.product(*kinds)
        ]


def configured(unit: Unit, given: Options) -> Configuration:
    """A unit's configuration from options as a user gives them; None means the default.

    Options: formats are descriptors, preset names or "E,M"; `acc_width` is an integer or "auto",
    the default: the fewest bits that are proven for `length` products (D39); enumerations are
    members or their values; the rest as the components take them. Nothing is built.
    Raises: ValueError, TypeError, each naming the option, its value and the rule.
    """
    given = {name: value for name, value in given.items() if value is not None}
    takes = [*unit.options, *([LENGTH] if unit.largest_product else [])]
    for name, value in given.items():
        if name not in takes:
            rule = ", ".join(takes)
            raise ValueError(
                f"option {name} ({value!r}) is not one of {unit.name}, which takes {rule}"
            )
    length = given.pop(LENGTH, GROUP_LENGTH)
    values: dict[str, Any] = {}
    for name, option in unit.options.items():
        if name not in given and option.follows and name not in unit.defaults:
            values[name] = values["format"]
            continue
        values[name] = option.read(given.get(name, option.default))
        if name != "acc_width":  # which may be a word
            values[name] = option.parameter.check(values[name])
    if unit.largest_product is not None:
        values["acc_width"] = _acc_width(unit, values, length)
    _check_effects(unit, values)
    unit.check(**values)
    structure = {name for name, option in unit.options.items() if option.row.structure}
    return Configuration(
        unit,
        {name: value for name, value in values.items() if name not in structure},
        {name: value for name, value in values.items() if name in structure},
    )


def _acc_width(unit: Unit, values: Options, length: int) -> int:
    """Bits of the accumulator that the options ask for.

    Raises: TypeError, ValueError, also where they do not hold a single product.
    """
    assert unit.largest_product is not None
    largest = unit.largest_product(values)
    width = resolve_acc_width(largest, values["acc_width"], length)
    most = unit.options["acc_width"].parameter.high
    if values["acc_width"] == AUTO and most is not None and width > most:
        unit.check(**{**values, "acc_width": most})  # whose own rule tells more
        raise ValueError(f"acc_width must be in 2..{most}, but {length} products need {width}")
    smallest = width_for(largest, 1)
    if width < smallest:
        raise ValueError(
            f"acc_width must be {smallest} or more, to hold one product of magnitude {largest}, "
            f"not {width!r}"
        )
    return width


def _check_effects(unit: Unit, values: Options) -> None:
    """Raise ValueError for an option that says something and has no effect beside the others."""
    for name, option in unit.options.items():
        if option.row.only is None or values[name] == option.default:
            continue
        other, needed = option.row.only
        if other in values and values[other] is not needed:
            raise ValueError(
                f"{name} must be given with {other} {needed.value} only, not {values[name]!r} with "
                f"{other} {values[other].value}"
            )
