"""Number formats: the descriptors that the golden model and the hardware are both made from.

Only structure lives here (widths, biases, ranges, code layout); arithmetic is written twice, once
in `golden` and once in `hw`. Notation: `<E,M>` has E exponent bits and M mantissa bits, without the
sign.
"""

import enum
import math
from dataclasses import dataclass, fields
from typing import Any, TypeVar


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


@dataclass(frozen=True)
class ElementFormat:
    """MLS element `<exp_bits, man_bits>` (docs/numerics.md section 1).

    Code, most significant bit first: sign (1), exponent field `e` (E), mantissa field `m` (M).
    Integer significand `q = m` where `e == 0`, else `(2^M + m) << (e - 1)`.
    Value `(-1)^sign * q * 2^-fraction_bits`, always below 1 in magnitude; no infinities, no NaN.

    Parameters: `exp_bits` 0..5, `man_bits` 0..10, not both 0.
    Raises: TypeError, ValueError.
    """

    exp_bits: int
    man_bits: int

    def __post_init__(self) -> None:
        check_int("exp_bits", self.exp_bits, 0, 5)
        check_int("man_bits", self.man_bits, 0, 10)
        if self.exp_bits + self.man_bits == 0:
            raise ValueError("exp_bits + man_bits must be at least 1, not 0")

    @property
    def code_width(self) -> int:
        """Bits of a code: sign, exponent field, mantissa field."""
        return 1 + self.exp_bits + self.man_bits

    @property
    def significand_width(self) -> int:
        """Bits of `q`: M + 2^E - 1 (E = 0: M). Proof: q < 2^(M+1) * 2^(2^E - 2) for E >= 1."""
        return self.man_bits + (1 << self.exp_bits) - 1

    @property
    def fraction_bits(self) -> int:
        """The value of `q`'s unit is 2^-fraction_bits; equal to `significand_width`, so values stay
        below 1.
        """
        return self.significand_width

    @property
    def max_significand(self) -> int:
        """Largest `q`: 124 for `<2,4>`."""
        top_exp = (1 << self.exp_bits) - 1
        full = (1 << self.man_bits) - 1
        return full if top_exp == 0 else ((1 << self.man_bits) + full) << (top_exp - 1)

    @property
    def product_width(self) -> int:
        """Magnitude bits of a product, those of `max_significand^2`: at most 2M + 2^(E+1) - 2, and
        fewer where M = 0, as q is then a power of two.
        """
        return int(self.max_significand**2).bit_length()

    def __str__(self) -> str:
        return f"<{self.exp_bits},{self.man_bits}>"


@dataclass(frozen=True)
class ScaleFormat:
    """Group scale `<exp_bits, man_bits>` (docs/numerics.md section 2): value `(1 + man/2^M) *
    2^-exp`.

    Parameters: `exp_bits` 1..8, `man_bits` 0..3 (the paper's are 0 and 1).
    Raises: TypeError, ValueError.
    """

    exp_bits: int
    man_bits: int

    def __post_init__(self) -> None:
        check_int("exp_bits", self.exp_bits, 1, 8)
        check_int("man_bits", self.man_bits, 0, 3)

    @property
    def code_width(self) -> int:
        """Bits of a code: exponent field (most significant), mantissa field."""
        return self.exp_bits + self.man_bits

    @property
    def max_exp(self) -> int:
        """Largest exponent code; the smallest scale is 2^-max_exp."""
        return (1 << self.exp_bits) - 1

    def __str__(self) -> str:
        return f"<{self.exp_bits},{self.man_bits}>"


class Specials(enum.Enum):
    """How a floating-point format uses its top exponent code."""

    IEEE = "ieee"
    """All-ones exponent: infinity (mantissa 0) and NaN (else), as IEEE 754 and OCP E5M2."""

    NAN_ONLY = "nan_only"
    """Only the all-ones code is NaN, no infinities; the rest are numbers, as OCP E4M3."""


@dataclass(frozen=True)
class FloatFormat:
    """IEEE-754-like binary format: sign, `exp_bits` of biased exponent, `man_bits` of mantissa.

    Bias 2^(E-1) - 1. Exponent field 0 holds zero and subnormals.
    Parameters: `exp_bits` 2..8, `man_bits` 1..23, `specials`.
    Raises: TypeError, ValueError.
    """

    exp_bits: int
    man_bits: int
    specials: Specials = Specials.IEEE

    def __post_init__(self) -> None:
        check_int("exp_bits", self.exp_bits, 2, 8)
        check_int("man_bits", self.man_bits, 1, 23)
        if not isinstance(self.specials, Specials):
            raise TypeError(f"specials must be a Specials, not {self.specials!r}")

    @property
    def code_width(self) -> int:
        """Bits of a code."""
        return 1 + self.exp_bits + self.man_bits

    @property
    def bias(self) -> int:
        """Exponent bias, 2^(E-1) - 1."""
        return (1 << (self.exp_bits - 1)) - 1

    @property
    def significand_width(self) -> int:
        """Bits of the significand with its hidden bit: M + 1."""
        return self.man_bits + 1

    @property
    def min_exp(self) -> int:
        """Unbiased exponent of the smallest normal number, 1 - bias; subnormals share it."""
        return 1 - self.bias

    @property
    def max_exp(self) -> int:
        """Unbiased exponent of the largest finite number."""
        top = (1 << self.exp_bits) - 1
        return top - self.bias - (1 if self.specials is Specials.IEEE else 0)

    @property
    def max_code(self) -> int:
        """Code (sign 0) of the largest finite number."""
        return self.infinity - 1 if self.specials is Specials.IEEE else self.nan - 1

    @property
    def infinity(self) -> int:
        """Code (sign 0) of infinity; ValueError where the format has none."""
        if self.specials is not Specials.IEEE:
            raise ValueError(f"{self} has no infinity")
        return ((1 << self.exp_bits) - 1) << self.man_bits

    @property
    def nan(self) -> int:
        """The one canonical quiet NaN that every unit produces: sign 0, top mantissa bit (all bits
        for NAN_ONLY).
        """
        if self.specials is Specials.IEEE:
            return self.infinity | (1 << (self.man_bits - 1))
        return (1 << (self.exp_bits + self.man_bits)) - 1

    def __str__(self) -> str:
        return f"E{self.exp_bits}M{self.man_bits}"


@dataclass(frozen=True)
class IntFormat:
    """Two's complement integer of `width` bits, an operand of Banner et al. and of Su et al.

    Value: the code itself, -2^(width-1) to 2^(width-1) - 1, times what its tensor is scaled by.

    Parameters: `width` 2..16, sign included.
    Raises: TypeError, ValueError.
    """

    width: int

    def __post_init__(self) -> None:
        check_int("width", self.width, 2, 16)

    @property
    def code_width(self) -> int:
        """Bits of a code."""
        return self.width

    @property
    def max_code(self) -> int:
        """Largest number."""
        return (1 << (self.width - 1)) - 1

    def __str__(self) -> str:
        return f"INT{self.width}"


@dataclass(frozen=True)
class LnsFormat:
    """Logarithmic number: sign and an exponent in steps of 2^-fraction_bits (LNS-Madam).

    Code, most significant bit first: sign (1), exponent field `e` (exp_bits), read as a fixed-point
    number of `fraction_bits` fraction bits. Value `(-1)^sign * 2^((e - 2^exp_bits) /
    2^fraction_bits)` for e >= 1, always below 1; `e = 0` is zero.

    Parameters: `exp_bits` 2..8, `fraction_bits` 1..exp_bits - 1, at most 4.
    Raises: TypeError, ValueError.
    """

    exp_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        check_int("exp_bits", self.exp_bits, 2, 8)
        check_int("fraction_bits", self.fraction_bits, 1, min(self.exp_bits - 1, 4))

    @property
    def code_width(self) -> int:
        """Bits of a code: sign, exponent field."""
        return 1 + self.exp_bits

    def __str__(self) -> str:
        return f"LNS<{self.exp_bits},{self.fraction_bits}>"


# The paper's sweet spots: <2,4> for ImageNet, <2,1> for CIFAR-10; the rest of its Tables 2 and 3.
MLS_E2M4 = ElementFormat(2, 4)
MLS_E2M1 = ElementFormat(2, 1)
MLS_E1M2 = ElementFormat(1, 2)
MLS_E1M6 = ElementFormat(1, 6)
MLS_E0M4 = ElementFormat(0, 4)
MLS_E0M2 = ElementFormat(0, 2)
MLS_E2M5 = ElementFormat(2, 5)

# Elements of OCP MX v1.0 and of NVFP4. The floating-point ones have exactly an MLS element's code
# space, but for the NaN code of E4M3; their values are the MLS values times `ocp_value_ratio`, a
# power of two that the tensor scale absorbs. MXINT8 is two's complement (`golden/blocks.py`).
MXFP4_E2M1 = ElementFormat(2, 1)
MXFP6_E2M3 = ElementFormat(2, 3)
MXFP6_E3M2 = ElementFormat(3, 2)
MXFP8_E4M3 = ElementFormat(4, 3)
MXINT8 = ElementFormat(0, 7)
NVFP4_E2M1 = ElementFormat(2, 1)

# Group scales: the paper's two (shift only; shift plus half of it), and NVFP4's: the smallest with
# every positive finite FP8 E4M3 number, 8 mantissas and (subnormals included) 18 exponents.
SCALE_E8M0 = ScaleFormat(8, 0)
SCALE_E8M1 = ScaleFormat(8, 1)
NVFP4_SCALE = ScaleFormat(5, 3)

FP32 = FloatFormat(8, 23)
BF16 = FloatFormat(8, 7)
FP16 = FloatFormat(5, 10)
FP8_E5M2 = FloatFormat(5, 2)
FP8_E4M3 = FloatFormat(4, 3, Specials.NAN_ONLY)

INT4 = IntFormat(4)
INT8 = IntFormat(8)
INT16 = IntFormat(16)
LNS8 = LnsFormat(7, 3)

ELEMENT_PRESETS = {
    "mls_e2m4": MLS_E2M4,
    "mls_e2m1": MLS_E2M1,
    "mls_e1m2": MLS_E1M2,
    "mls_e1m6": MLS_E1M6,
    "mls_e0m4": MLS_E0M4,
    "mls_e0m2": MLS_E0M2,
    "mls_e2m5": MLS_E2M5,
    "mxfp4_e2m1": MXFP4_E2M1,
    "mxfp6_e2m3": MXFP6_E2M3,
    "mxfp6_e3m2": MXFP6_E3M2,
    "mxfp8_e4m3": MXFP8_E4M3,
    "mxint8": MXINT8,
    "nvfp4_e2m1": NVFP4_E2M1,
}
FLOAT_PRESETS = {
    "fp32": FP32,
    "bf16": BF16,
    "fp16": FP16,
    "e5m2": FP8_E5M2,
    "e4m3": FP8_E4M3,
}

SCALE_PRESETS = {"e8m0": SCALE_E8M0, "e8m1": SCALE_E8M1, "nvfp4": NVFP4_SCALE}

INT_PRESETS = {"int4": INT4, "int8": INT8, "int16": INT16}
LNS_PRESETS = {"lns8": LNS8}

Format = TypeVar("Format", ElementFormat, ScaleFormat, FloatFormat, IntFormat, LnsFormat)

_PRESETS: dict[type, dict[str, Any]] = {
    ElementFormat: ELEMENT_PRESETS,
    ScaleFormat: SCALE_PRESETS,
    FloatFormat: FLOAT_PRESETS,
    IntFormat: INT_PRESETS,
    LnsFormat: LNS_PRESETS,
}


def parse_format(name: str, kind: type[Format], text: str) -> Format:
    """Read the format called `name` as a user writes it: a preset's name, or its widths with commas
    between them (`E,M`).

    Raises: ValueError for an unknown preset, a wrong number of widths, or widths out of range.
    """
    presets: dict[str, Format] = _PRESETS[kind]
    if text.lower() in presets:
        return presets[text.lower()]
    widths = [field.name for field in fields(kind) if field.type in (int, "int")]
    parts = text.strip("<>").split(",")
    if len(parts) != len(widths) or not all(part.strip().isdecimal() for part in parts):
        rule = f"{','.join(widths)} (integers) or one of {', '.join(presets)}"
        raise ValueError(f"{name} must be {rule}, not {text!r}")
    make: Any = kind
    return make(*map(int, parts))


class Overflow(enum.Enum):
    """What an integer accumulator does with a sum outside its range."""

    SATURATE = "saturate"
    """Clamp to -2^(width-1) or 2^(width-1) - 1."""

    WRAP = "wrap"
    """Keep the low `width` bits, two's complement."""


class Rounding(enum.Enum):
    """Where the random word R of `r = (floor(t * 2^k) + R) >> k` comes from."""

    STOCHASTIC = "stochastic"
    """R is uniform in [0, 2^k), one word per element in C order."""

    NEAREST = "nearest"
    """R = 2^(k-1): nearest, ties away from zero."""


class Carry(enum.Enum):
    """What happens to a mantissa that rounds up to the next binade."""

    CLIP = "clip"
    """It stays at its binade's largest mantissa (the paper's rule)."""

    CARRY = "carry"
    """It moves to the next binade's smallest; the largest code saturates (like IEEE 754)."""


LFSR_BITS = 32
"""Bits of a random generator's state, which is never zero."""

MAX_RANDOM_BITS = 24
"""Bits of a random word."""

MAX_LANES = 1024
"""Lanes of a random generator."""


class Tree(enum.Enum):
    """How the scaled sums of groups add up."""

    FP32 = "fp32"
    """Each add is float32: a balanced binary tree per tile, then tile after tile."""

    ALIGNED = "aligned"
    """Integers aligned to the tile's largest scale, one rounding per tile; then tile after tile in
    float32."""

    EXACT = "exact"
    """One fixed-point sum of all leaves, one rounding at the end."""


def ocp_value_ratio(element: ElementFormat) -> float:
    """OCP MX value of a code divided by its MLS value: 2^(1 - bias - M + fraction_bits), bias
    2^(E-1) - 1.

    OCP reads exponent field e >= 1 as (1 + m/2^M) * 2^(e - bias), MLS as (2^M + m) * 2^(e - 1 -
    fraction_bits); their subnormals follow suit. Raises: ValueError for E = 0, which OCP has no
    float element of.
    """
    if element.exp_bits == 0:
        raise ValueError(f"element must have exponent bits, not {element}")
    bias = (1 << (element.exp_bits - 1)) - 1
    return math.ldexp(1.0, 1 - bias - element.man_bits + element.fraction_bits)
