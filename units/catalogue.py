# amaranth: UnusedElaboratable=no
"""The units that can be generated, verified and synthesized, each by its name and options."""

import enum
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

from amaranth.lib import wiring

from ..golden.spec import (
    FP8_E4M3,
    FP32,
    INT8,
    LNS8,
    MLS_E2M4,
    SCALE_E8M1,
    Carry,
    ElementFormat,
    FloatFormat,
    Overflow,
    Rounding,
    Tree,
    choice,
    parse_format,
    resolve_acc_width,
)
from ..hw.floating.float_accumulator import (
    FloatAccumulator,
)
from ..hw.floating.float_adder import AdderPath, FloatAdder
from ..hw.floating.float_fma import FloatFma
from ..hw.floating.float_multiplier import FloatMultiplier
from ..hw.integer.accumulator import (
    IntAccumulator,
)
from ..hw.integer.lns_multiplier import conversion_table
from ..hw.integer.mls_dot import MlsDot
from ..hw.integer.mls_multiplier import ExponentShifter, MlsMultiplier
from ..hw.integer.range_statistic import RangeStatistic
from ..hw.integer.requantizer import Requantizer
from ..hw.mac.float_mac import (
    FloatMac,
    Fp8Mac,
    Fp32Mac,
)
from ..hw.mac.fused_mac import FusedMac
from ..hw.mac.int_mac import IntMac
from ..hw.mac.kulisch_mac import KulischMac
from ..hw.mac.lns_mac import LnsMac
from ..hw.mac.mls_mac import (
    MlsMac,
)
from ..hw.parts.lfsr import Lfsr
from ..hw.parts.unsigned_multiplier import Recoding
from ..hw.quantizer.mls_quantizer import MlsQuantizer
from ..hw.quantizer.quotients import Division
from ..hw.quantizer.tensor_statistics import TensorStatistics
from ..hw.tile.adder_trees import Fp32AdderTree
from ..hw.tile.group_scaler import GroupScaler
from ..hw.tile.scaled_trees import AlignedSum, ExactSum
from ..hw.tile.tile import Fp8Tile, Fp32Tile, MlsTile
from .slugs import GUARD_BITS, LFSR_SEED, SLUGS, TABLE_FRACTION, TILES


def _largest_mls_product(options: Mapping[str, Any]) -> int:
    return int(options["format"].max_significand ** 2)


def _largest_int_product(options: Mapping[str, Any]) -> int:
    """Of an integer MAC, or, of a requantizer, in the sums of its own format's products."""
    w, a = options["format"], options.get("a_format", options["format"])
    if options.get("zero_points"):
        return int(((1 << w.width) - 1) * ((1 << a.width) - 1))
    return int((w.max_code + 1) * (a.max_code + 1))


def _largest_lns_product(options: Mapping[str, Any]) -> int:
    """Of two largest codes, whose exponents add up to all ones but the last bit: no shift."""
    names = ("format", "table_bits", "table_fraction")
    return conversion_table(*(options[name] for name in names))[-2]


def _largest_float_product(options: Mapping[str, Any]) -> int:
    """In units of the smallest one, of two smallest subnormals."""
    fmt: FloatFormat = options["format"]
    hidden = 1 << fmt.man_bits
    significand = hidden | (fmt.max_code & (hidden - 1))
    return (significand << (fmt.max_exp - fmt.min_exp)) ** 2


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A named kind of hardware: what it is, its options with their defaults, how to build it.

    `defaults` are options that decide what it computes; `structure` decides only how.
    `largest_product`, where there is an integer accumulator: magnitude of the largest product.
    """

    name: str
    description: str
    defaults: Mapping[str, Any]
    structure: Mapping[str, enum.Enum | int] = field(default_factory=dict)
    build: Callable[..., wiring.Component]
    largest_product: Callable[[Mapping[str, Any]], int] = _largest_mls_product


def _int_accumulator(format: ElementFormat, acc_width: int, overflow: Overflow) -> IntAccumulator:
    return IntAccumulator(width=acc_width, product_width=format.product_width, overflow=overflow)


_MLS = {"format": MLS_E2M4}
_OVERFLOW = {"overflow": Overflow.SATURATE}
_INTEGER_SUM = {"acc_width": 16} | _OVERFLOW
_SCALED_SUM = {"scale": SCALE_E8M1, "acc_width": 16}
_TILE = {"lanes": 16}
_FLOAT = {"format": FP32, "subnormals": True}
_SUM = {"format": FP32, "acc_format": FP32, "subnormals": True}
_TREE = {"tree": Tree.FP32, "guard_bits": GUARD_BITS, "tiles": TILES}
_MULTIPLIES = {"recoding": Recoding.NONE}
_RANDOM = {"random_bits": 8, "lfsr_seed": LFSR_SEED}
_ACCUMULATES = {"path": AdderPath.SPLIT}
_PIPELINE = {"sharing": 1, "levels": 1} | _MULTIPLIES

UNITS = {
    unit.name: unit
    for unit in (
        Unit(
            name="mls_mac",
            description="MLS MAC: exact <E,M> products into an integer accumulator",
            defaults=_MLS | _INTEGER_SUM,
            structure=_MULTIPLIES,
            build=MlsMac,
        ),
        Unit(
            name="fp32_mac",
            description="FP32 MAC: product and sum rounded, with subnormals or flush to zero",
            defaults={"subnormals": True},
            structure=_MULTIPLIES | _ACCUMULATES,
            build=Fp32Mac,
        ),
        Unit(
            name="fp8_mac",
            description="FP8 MAC (OCP E4M3 or E5M2): exact product, FP32 accumulator",
            defaults={"format": FP8_E4M3},
            structure=_MULTIPLIES | _ACCUMULATES,
            build=Fp8Mac,
        ),
        Unit(
            name="float_mac",
            description="Floating-point MAC of any formats: product and sum rounded",
            defaults=_SUM,
            structure=_MULTIPLIES | _ACCUMULATES,
            build=FloatMac,
        ),
        Unit(
            name="fused_mac",
            description="Floating-point MAC that rounds once: exact product, fused accumulation",
            defaults=_SUM,
            structure=_MULTIPLIES | _ACCUMULATES,
            build=FusedMac,
        ),
        Unit(
            name="int_mac",
            description="Integer MAC of any two widths, with or without zero points",
            defaults={"format": INT8, "a_format": INT8, "zero_points": False, "acc_width": 32}
            | _OVERFLOW,
            structure=_MULTIPLIES,
            build=IntMac,
            largest_product=_largest_int_product,
        ),
        Unit(
            name="lns_mac",
            description="LNS MAC: exponents add, products convert into an integer accumulator",
            defaults={
                "format": LNS8,
                "table_bits": 3,
                "table_fraction": TABLE_FRACTION,
                "acc_width": 24,
            }
            | _OVERFLOW,
            build=LnsMac,
            largest_product=_largest_lns_product,
        ),
        Unit(
            name="kulisch_mac",
            description="Floating-point MAC: exact products into a fixed-point accumulator",
            defaults={"format": FP8_E4M3, "acc_width": 45} | _OVERFLOW,
            structure=_MULTIPLIES,
            build=KulischMac,
            largest_product=_largest_float_product,
        ),
        Unit(
            name="mls_tile",
            description="MLS tile: lanes of MACs, group scalers, adder tree, outputs in float32",
            defaults=_MLS | _SCALED_SUM | _OVERFLOW | _TILE | _TREE | {"tensor_scale": True},
            structure=_PIPELINE,
            build=lambda format, **options: MlsTile(element=format, **options),
        ),
        Unit(
            name="fp8_tile",
            description="FP8 tile: lanes of MACs, float32 adder tree, outputs in float32",
            defaults={"format": FP8_E4M3} | _TILE | {"tensor_scale": True},
            structure=_PIPELINE,
            build=Fp8Tile,
        ),
        Unit(
            name="fp32_tile",
            description="FP32 tile: lanes of MACs, float32 adder tree, outputs in float32",
            defaults=_TILE | {"subnormals": True, "tensor_scale": False},
            structure=_PIPELINE,
            build=Fp32Tile,
        ),
        Unit(
            name="mls_multiplier",
            description="MLS element multiplier: mantissa product and a shift by both exponents",
            defaults=_MLS,
            structure=_MULTIPLIES,
            build=MlsMultiplier,
        ),
        Unit(
            name="mls_dot",
            description="Exact dot product of MLS elements in one step",
            defaults=_MLS | {"lanes": 8},
            structure=_MULTIPLIES,
            build=MlsDot,
        ),
        Unit(
            name="exponent_shifter",
            description="Left shift of an MLS mantissa product by two exponent fields",
            defaults=_MLS,
            build=lambda format: ExponentShifter(
                width=2 * (format.man_bits + 1), exp_bits=format.exp_bits
            ),
        ),
        Unit(
            name="int_accumulator",
            description="Signed integer accumulator, saturating or wrapping, sticky overflow",
            defaults=_MLS | _INTEGER_SUM,
            build=_int_accumulator,
        ),
        Unit(
            name="float_multiplier",
            description="IEEE 754 multiplier of any exponent and significand width",
            defaults=_FLOAT,
            structure=_MULTIPLIES,
            build=FloatMultiplier,
        ),
        Unit(
            name="float_adder",
            description="IEEE 754 adder of any exponent and significand width",
            defaults=_FLOAT,
            structure={"path": AdderPath.SINGLE},
            build=FloatAdder,
        ),
        Unit(
            name="float_fma",
            description="IEEE 754 fused multiply-add; the addend may have a format of its own",
            defaults=_SUM,
            structure=_MULTIPLIES | _ACCUMULATES,
            build=FloatFma,
        ),
        Unit(
            name="float_accumulator",
            description="IEEE 754 accumulator: adder and register",
            defaults=_FLOAT,
            structure=_ACCUMULATES,
            build=FloatAccumulator,
        ),
        Unit(
            name="group_scaler",
            description="Group scaler: accumulated sum times its two group scales, to float32",
            defaults=_MLS | _SCALED_SUM,
            build=lambda format, **options: GroupScaler(element=format, **options),
        ),
        Unit(
            name="fp32_adder_tree",
            description="Float32 sum of a tile's leaves: balanced binary tree, registered",
            defaults=_TILE,
            structure={"levels": 1},
            build=lambda lanes, levels: Fp32AdderTree(leaves=lanes, levels=levels),
        ),
        Unit(
            name="aligned_adder_tree",
            description="Sum of a tile aligned to its largest scale: scales, shifts, adds, rounds",
            defaults=_MLS | _SCALED_SUM | _TILE | {"guard_bits": GUARD_BITS},
            build=lambda format, **options: AlignedSum(element=format, **options),
        ),
        Unit(
            name="exact_adder_tree",
            description="Exact sum of an output's scaled terms, rounded once",
            defaults=_MLS | _SCALED_SUM | _TILE | {"tiles": TILES},
            build=lambda format, **options: ExactSum(element=format, **options),
        ),
        Unit(
            name="range_statistic",
            description="Largest, smallest and range of a stream of integers",
            defaults={"format": INT8},
            build=RangeStatistic,
        ),
        Unit(
            name="requantizer",
            description="Integer sums to operands: shift, stochastic rounding, saturation",
            defaults={"format": INT8, "acc_width": 32, "rounding": Rounding.STOCHASTIC} | _RANDOM,
            build=Requantizer,
            largest_product=_largest_int_product,
        ),
        Unit(
            name="lfsr",
            description="Random words from linear feedback shift registers, one a lane",
            defaults={"lanes": 16} | _RANDOM,
            build=Lfsr,
        ),
        Unit(
            name="tensor_statistics",
            description="First pass of the quantizer: largest magnitudes of groups and tensor",
            defaults={"lanes": 1},
            build=TensorStatistics,
        ),
        Unit(
            name="mls_quantizer",
            description="Second pass of the quantizer: float32 to MLS codes and scale codes",
            defaults=_MLS
            | {"scale": SCALE_E8M1, "lanes": 1, "carry": Carry.CLIP}
            | {"rounding": Rounding.STOCHASTIC}
            | _RANDOM
            | {"reciprocal_bits": 0},
            structure={"levels": 3, "division": Division.PRODUCT},
            build=MlsQuantizer,
        ),
    )
}


TILE_UNITS = ("mls_tile", "fp8_tile", "fp32_tile")


@dataclass(frozen=True)
class Configuration:
    """A unit with a value for each of its options: what hardware and reference are both made from.

    `options` decide what it computes, `structure` how: the golden model reads only the former.
    """

    name: str
    options: Mapping[str, Any]
    structure: Mapping[str, enum.Enum | int]

    @property
    def unit(self) -> Unit:
        """What is configured."""
        return UNITS[self.name]

    @property
    def is_tile(self) -> bool:
        """Whether it is a tile, which takes steps under a rule instead of an operation a cycle."""
        return self.name in TILE_UNITS

    def build(self) -> wiring.Component:
        """A fresh component."""
        return self.unit.build(**self.options, **self.structure)

    @property
    def slug(self) -> str:
        """File and module name: the unit's name, then what distinguishes this configuration."""
        default = self.unit.structure
        chosen = {k: value for k, value in self.structure.items() if value != default.get(k)}
        parts = [SLUGS[option](value) for option, value in {**self.options, **chosen}.items()]
        return "_".join([self.name, *filter(None, parts)])

    def variants(self) -> list["Configuration"]:
        """This configuration with every recoding; the rest of its structure stays as it is. All
        compute the same.
        """
        # Paths need no comparison: the default has the least energy in every MAC.
        kinds = [
            type(value) if isinstance(value, Recoding) else [value]
            for value in self.structure.values()
        ]
        return [
            replace(self, structure=dict(zip(self.structure, chosen, strict=True)))
            for chosen in itertools.product(*kinds)
        ]


def configure(name: str, **options: Any) -> Configuration:
    """A unit's configuration from options as a user gives them; None means the default.

    Options: formats are descriptors, preset names or "E,M", `acc_format` by default `format`;
    `acc_width` is an integer or "auto" with `length`; enumerations are members or their values;
    the rest as the components take them.
    Raises: ValueError, TypeError, each naming the option, its value and the rule.
    """
    if name not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {name!r}")
    unit = UNITS[name]
    given = {option: value for option, value in options.items() if value is not None}
    known = {**unit.defaults, **unit.structure}
    takes = [*known, *(["length"] if "acc_width" in known else [])]
    for option, value in given.items():
        if option not in takes:
            rule = ", ".join(takes)
            raise ValueError(
                f"option {option} ({value!r}) is not one of {name}, which takes {rule}"
            )
    length = given.pop("length", None)
    values = {**known, **given}
    for option, default in known.items():
        if isinstance(default, enum.Enum):
            values[option] = choice(option, type(default), values[option])
        elif is_dataclass(default) and isinstance(values[option], str):
            values[option] = parse_format(option, type(default), values[option])
    if "acc_format" in known and "acc_format" not in given:
        values["acc_format"] = values["format"]
    if "acc_width" in values:
        largest = unit.largest_product(values)
        values["acc_width"] = resolve_acc_width(largest, values["acc_width"], length)
    configuration = Configuration(
        name,
        {option: values[option] for option in unit.defaults},
        {option: values[option] for option in unit.structure},
    )
    configuration.build()  # the components check the rest; nothing else has been done yet
    return configuration
