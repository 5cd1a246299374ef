"""Options of units: a row each, from which the command line, names and sidecars derive.

What an option is (kind, range, default, in words) stands once, in the component that declares the
parameter; a row adds how people write it.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

from ..golden.spec import (
    AUTO,
    FLOAT_PRESETS,
    Accumulate,
    BlockFormat,
    FloatFormat,
    IntFormat,
    LnsFormat,
    Rounding,
    Tree,
    choice,
    parse_format,
    written,
)
from ..hw.parts.component import Parameter


def _format_slug(format: Any) -> str:
    if isinstance(format, BlockFormat):
        return written(format)
    if isinstance(format, IntFormat):
        return str(format).lower()
    if isinstance(format, LnsFormat):
        return f"e{format.exp_bits}f{format.fraction_bits}"
    slug = f"e{format.exp_bits}m{format.man_bits}"
    # "e4m3" is OCP's; an IEEE-style <4,3> with infinities says so.
    shadowed = isinstance(format, FloatFormat) and FLOAT_PRESETS.get(slug, format) != format
    return f"{slug}_ieee" if shadowed else slug


def _operand_slug(format: Any) -> str:
    """Of a float without a name too that it is one: `e2m4` is an MLS element."""
    slug = _format_slug(format)
    unnamed = isinstance(format, FloatFormat) and format not in FLOAT_PRESETS.values()
    return f"{slug.removesuffix('_ieee')}_ieee" if unnamed else slug


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option by its name.

    Members: `slug`, what a value adds to the name of a configuration; `quiet`, whether the default
    adds nothing; `structure`, whether it decides how a unit computes and not what; `help`, in the
    words of the command line, for all units that have it; `off`, the flag of a false truth value;
    `default`, where components leave it to the catalogue; `only`, the option and its value without
    which this one has no effect, in units that have both.
    """

    name: str
    slug: Callable[[Any], str]
    quiet: bool = False
    structure: bool = False
    help: str
    off: str = ""
    default: Any = None
    only: tuple[str, enum.Enum] | None = None

    @property
    def flag(self) -> str:
        """As the command line has it."""
        flag = f"--{self.name.replace('_', '-')}"
        return f"{flag}/{self.off}" if self.off else flag

    def written(self, value: Any) -> str:
        """Flag and value as a user writes them."""
        positive, _, negative = self.flag.partition("/")
        if isinstance(value, bool):
            return positive if value else negative
        return f"{positive} {shown(value)}"


NONE = "none"
"""How a user writes that an option has no value, where one is optional."""


def shown(value: Any) -> str:
    """A value as a user would write it."""
    if value is None:
        return NONE
    if is_dataclass(value):
        return written(value)  # type: ignore[type-var]
    return str(getattr(value, "value", value))


def _value(member: enum.Enum) -> str:
    return str(member.value)


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option(
            name="format",
            slug=_operand_slug,
            help="Number format: its widths or a preset, as 2,4, e4m3, bf16, int8, lns8, mxfp4.",
        ),
        Option(
            name="a_format",
            slug=_format_slug,
            help="Number format of operand a: int4, int8, int16 or a width.",
        ),
        Option(
            name="zero_points",
            slug=lambda given: "zeros" if given else "",
            help="Integers with zero points, or symmetric ones.",
            off="--no-zero-points",
        ),
        Option(
            name="acc_format",
            slug=lambda format: f"acc_{_format_slug(format)}",
            help="Format of a floating-point sum; default: that of the factors.",
        ),
        Option(
            name="scale",
            slug=lambda scale: f"s{scale.exp_bits}m{scale.man_bits}" if scale else "unscaled",
            help="Group scale format: E,M or e8m0, e8m1, nvfp4; some units: none.",
        ),
        Option(
            name="table_bits",
            slug="table{}".format,
            help="Fraction bits that LNS conversion looks up; Mitchell the rest.",
        ),
        Option(
            name="table_fraction",
            slug="fraction{}".format,
            quiet=True,
            help="Fraction bits of the powers of two in the LNS table.",
        ),
        Option(
            name="acc_width",
            slug="acc{}".format,
            help="Integer accumulator bits, or auto: the fewest that are proven for --length.",
            default=AUTO,
        ),
        Option(name="overflow", slug=_value, help="Integer overflow: saturate or wrap."),
        Option(name="lanes", slug="lanes{}".format, help="Products or elements taken in a cycle."),
        Option(
            name="products",
            slug="products{}".format,
            help="Products of a lane in a cycle.",
        ),
        Option(
            name="groups",
            slug="groups{}".format,
            quiet=True,
            help="Groups of lanes in a cycle, each with scales of its own.",
        ),
        Option(
            name="cycles",
            slug="cycles{}".format,
            quiet=True,
            help="Cycles of a block at most.",
        ),
        Option(
            name="operands",
            slug=_value,
            help="Operands of a dot unit: codes, decoder (held decoded), or decoded already.",
        ),
        Option(
            name="hold",
            slug=lambda held: "hold" if held else "",
            help="Load weights and hold them, or take them each cycle.",
            off="--no-hold",
        ),
        Option(
            name="accumulate",
            slug=_value,
            help="Sum of blocks: window (fixed point), float32 or exact.",
        ),
        Option(
            name="window",
            slug="window{}".format,
            quiet=True,
            help="Bits of a window.",
            only=("accumulate", Accumulate.WINDOW),
        ),
        Option(
            name="blocks",
            slug="blocks{}".format,
            quiet=True,
            help="Blocks of an output that are proven not to overflow.",
        ),
        Option(
            name="flag",
            slug=lambda told: "flag" if told else "",
            help="Tell of overflow, so that outputs may have more blocks; or rely on the proof.",
            off="--no-flag",
        ),
        Option(
            name="tree",
            slug=lambda tree: f"{tree.value}tree",
            help="Sum of a tile: fp32, aligned or exact.",
        ),
        Option(
            name="guard_bits",
            slug="guard{}".format,
            quiet=True,
            help="Bits that an aligned sum keeps below its largest scale.",
            only=("tree", Tree.ALIGNED),
        ),
        Option(
            name="tiles",
            slug="tiles{}".format,
            quiet=True,
            help="Most tiles of an output, for exact sums.",
            only=("tree", Tree.EXACT),
        ),
        Option(
            name="subnormals",
            slug=lambda kept: "" if kept else "flush",
            help="Keep subnormals, or flush them to zero.",
            off="--flush",
        ),
        Option(
            name="tensor_scale",
            slug=lambda multiplies: "" if multiplies else "unscaled",
            help="Multiply a tile's outputs by the tensors' scales, or leave that to others.",
            off="--no-tensor-scale",
        ),
        Option(
            name="carry",
            slug=_value,
            help="Rounding up to the next binade: clip (the paper's) or carry.",
        ),
        Option(
            name="rounding",
            slug=_value,
            help="Rounding: stochastic, or nearest (ties away from zero, of blocks to even).",
        ),
        Option(
            name="scaling",
            slug=_value,
            quiet=True,
            help="Tensor scale: current (the tensor's own) or delayed (of an earlier step).",
        ),
        Option(name="random_bits", slug="random{}".format, help="Bits of a random word."),
        Option(
            name="lfsr_seed",
            slug="seed{}".format,
            quiet=True,
            help="Seed of a random generator in hardware.",
            only=("rounding", Rounding.STOCHASTIC),
        ),
        Option(
            name="reciprocal_bits",
            slug="reciprocal{}".format,
            quiet=True,
            help="Quantize by a rounded reciprocal, 4 to 16 bits; 0: exact division.",
        ),
        Option(
            name="sharing",
            slug="sharing{}".format,
            structure=True,
            help="Lanes that share one group scaler.",
        ),
        Option(
            name="levels",
            slug="levels{}".format,
            structure=True,
            help="Adder levels, or a quantizer's subtractions, between registers.",
        ),
        Option(
            name="division",
            slug=_value,
            structure=True,
            help="Rounding of a quantizer's quotient: digits or product.",
        ),
        Option(
            name="recoding",
            slug=_value,
            structure=True,
            help="Partial products of the multiplier: none or booth4 (radix-4 Booth).",
        ),
        Option(
            name="clock_gating",
            slug=lambda gated: "gated" if gated else "",
            structure=True,
            help="Registers that keep their value get no clock, or all get it in every cycle.",
            off="--no-clock-gating",
        ),
        Option(
            name="path",
            slug=_value,
            structure=True,
            help="Floating-point adder: single (path) or split (dual-path).",
        ),
    )
}
"""Every option of every unit, in the order in which the command line lists them."""

LENGTH = "length"
"""The one option that is no unit's: products that an integer accumulator is to hold."""


@dataclass(frozen=True, kw_only=True)
class UnitOption:
    """An option of one unit: its row, the parameter that it sets, the unit's default."""

    row: Option
    parameter: Parameter
    default: Any

    @property
    def help(self) -> str:
        """In the command line's words, with the unit's range or kind of format, and default."""
        given = "--format's" if self.follows else self.row.written(self.default).split()[-1]
        kind = self.parameter.kind
        rule = self.parameter.rule if kind is int else getattr(kind, "family", "")
        rule = f"{rule}; " if rule else ""
        return f"{self.row.help} [{rule}default: {given}]"

    @property
    def follows(self) -> bool:
        """Whether its default depends on options before it."""
        return self.parameter.factory is not None

    def read(self, value: Any) -> Any:
        """A value as a user writes it: a member's value, a format's name or widths.

        Raises: ValueError.
        """
        kind = self.parameter.kind
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return choice(self.row.name, kind, value)
        if self.parameter.optional and value == NONE:
            return None
        is_format = is_dataclass(kind)
        if is_format and isinstance(value, str):
            return parse_format(self.row.name, kind, value)
        return value

    def slug(self, value: Any) -> str:
        """What a value adds to the name of a configuration."""
        quiet = self.row.quiet or self.row.structure
        return "" if quiet and value == self.default else self.row.slug(value)
