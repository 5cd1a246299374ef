"""Number formats: the descriptors that the golden model and the hardware are both made from.

Widths, biases, ranges, code layout; no arithmetic. Notation: `<E,M>` has E exponent bits and M
mantissa bits, without the sign.
"""

import enum
from dataclasses import dataclass
from typing import ClassVar

from .checks import check_int

Layout = tuple[tuple[str, int], ...]
"""Fields of a code with their bits, most significant first."""


@dataclass(frozen=True)
class ElementFormat:
    """MLS element `<exp_bits, man_bits>` (docs/numerics.md section 1).

    Code, most significant bit first: sign (1), exponent field `e` (E), mantissa field `m` (M).
    Integer significand `q = m` where `e == 0`, else `(2^M + m) << (e - 1)`.
    Value `(-1)^sign * q * 2^-fraction_bits`, always below 1 in magnitude; no infinities, no NaN.

    Parameters: `exp_bits` 0..5, `man_bits` 0..10, not both 0.
    Raises: TypeError, ValueError.
    """

    family: ClassVar[str] = "MLS element"

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
    def layout(self) -> Layout:
        """Fields of a code."""
        return ("sign", 1), ("exponent", self.exp_bits), ("mantissa", self.man_bits)

    @property
    def bias(self) -> int:
        """Exponent bias as that of IEEE 754, 2^E: a normal number is (1 + m/2^M) * 2^(e - bias)."""
        return 1 << self.exp_bits

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

    family: ClassVar[str] = "MLS group scale"

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
    def layout(self) -> Layout:
        """Fields of a code."""
        return ("exponent", self.exp_bits), ("mantissa", self.man_bits)

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

    family: ClassVar[str] = "IEEE-754-like float"

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
    def layout(self) -> Layout:
        """Fields of a code."""
        return ("sign", 1), ("exponent", self.exp_bits), ("mantissa", self.man_bits)

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

    family: ClassVar[str] = "two's complement integer"

    width: int

    def __post_init__(self) -> None:
        check_int("width", self.width, 2, 16)

    @property
    def code_width(self) -> int:
        """Bits of a code."""
        return self.width

    @property
    def layout(self) -> Layout:
        """Fields of a code."""
        return (("value", self.width),)

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

    family: ClassVar[str] = "logarithmic number"

    exp_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        check_int("exp_bits", self.exp_bits, 2, 8)
        check_int("fraction_bits", self.fraction_bits, 1, min(self.exp_bits - 1, 4))

    @property
    def code_width(self) -> int:
        """Bits of a code: sign, exponent field."""
        return 1 + self.exp_bits

    @property
    def layout(self) -> Layout:
        """Fields of a code; the exponent is a fixed-point number with `fraction_bits`."""
        return ("sign", 1), ("exponent", self.exp_bits)

    def __str__(self) -> str:
        return f"LNS<{self.exp_bits},{self.fraction_bits}>"
