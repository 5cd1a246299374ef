"""What each option adds to the name of a configuration, and the defaults that add nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from ..golden.spec import FLOAT_PRESETS, ElementFormat, FloatFormat, IntFormat, LnsFormat

GUARD_BITS = 12
"""Default of an aligned sum: bits below the unit of its largest scale."""

TABLE_FRACTION = 15
"""Default of a logarithmic product: fraction bits of the powers of two in its table."""

TILES = 64
"""Default of an exact sum: most tiles of an output."""

LFSR_SEED = 1
"""Default seed of a random generator."""


def _format_slug(format: ElementFormat | FloatFormat | IntFormat | LnsFormat) -> str:
    if isinstance(format, IntFormat):
        return str(format).lower()
    if isinstance(format, LnsFormat):
        return f"e{format.exp_bits}f{format.fraction_bits}"
    slug = f"e{format.exp_bits}m{format.man_bits}"
    # "e4m3" is OCP's; an IEEE-style <4,3> with infinities says so.
    shadowed = isinstance(format, FloatFormat) and FLOAT_PRESETS.get(slug, format) != format
    return f"{slug}_ieee" if shadowed else slug


SLUGS: Mapping[str, Callable[[Any], str]] = {
    "format": _format_slug,
    "a_format": _format_slug,
    "zero_points": lambda zero_points: "zeros" if zero_points else "",
    "acc_format": lambda format: f"acc_{_format_slug(format)}",
    "scale": lambda scale: f"s{scale.exp_bits}m{scale.man_bits}",
    "lanes": "lanes{}".format,
    "table_bits": "table{}".format,
    "table_fraction": lambda bits: "" if bits == TABLE_FRACTION else f"fraction{bits}",
    "acc_width": "acc{}".format,
    "overflow": lambda overflow: overflow.value,
    "tree": lambda tree: f"{tree.value}tree",
    "guard_bits": lambda bits: "" if bits == GUARD_BITS else f"guard{bits}",
    "tiles": lambda tiles: "" if tiles == TILES else f"tiles{tiles}",
    "subnormals": lambda subnormals: "" if subnormals else "flush",
    "tensor_scale": lambda multiplies: "" if multiplies else "unscaled",
    "carry": lambda carry: carry.value,
    "rounding": lambda rounding: rounding.value,
    "random_bits": "random{}".format,
    "lfsr_seed": lambda seed: "" if seed == LFSR_SEED else f"seed{seed}",
    "reciprocal_bits": lambda bits: f"reciprocal{bits}" if bits else "",
    "sharing": "sharing{}".format,
    "levels": "levels{}".format,
    "path": lambda path: path.value,
    "division": lambda division: division.value,
    "recoding": lambda recoding: recoding.value,
}
"""Of each option's value, what it adds; nothing for a usual one."""
