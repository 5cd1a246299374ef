"""Block formats: elements that share a scale code, as OCP MX and NVFP4 have them; no arithmetic."""

import enum
import math
from dataclasses import dataclass
from typing import ClassVar

from .checks import check_int
from .formats import ElementFormat, ScaleFormat
from .widths import min_acc_width

# NVFP4's: the smallest with every positive finite FP8 E4M3 number, 8 mantissas and (subnormals
# included) 18 exponents.
SCALE_E8M0 = ScaleFormat(8, 0)
NVFP4_SCALE = ScaleFormat(5, 3)


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


class ElementCoding(enum.Enum):
    """How an element's code differs from its MLS code {sign, exp, man}."""

    NUMBERS = "numbers"
    """Not at all."""

    NAN = "nan"
    """All ones below the sign are NaN, as in OCP E4M3, and no MLS code."""

    INTEGER = "integer"
    """Two's complement, value `code * 2^-(M-1)`; the most negative code has no MLS code."""


class ScaleCoding(enum.Enum):
    """What a block's scale byte means."""

    E8M0 = "e8m0"
    """`2^(code - 127)`; 255 is NaN. There is no tensor scale."""

    E4M3 = "e4m3"
    """An FP8 E4M3 number that is positive or +0, times the float32 tensor scale."""


_SCALES = {ScaleCoding.E8M0: SCALE_E8M0, ScaleCoding.E4M3: NVFP4_SCALE}


@dataclass(frozen=True, kw_only=True)
class BlockFormat:
    """`size` elements with one scale code: `X = value(code) * value(scale code) * tensor scale`.

    Parameters: `element`: at most 8 bits; `size`: 1..2^15; `scale_coding`; `element_coding`:
    INTEGER for elements without exponent bits and only for those.
    Raises: TypeError, ValueError.
    Source: OCP Microscaling Formats (MX) v1.0; arXiv 2509.25149 for NVFP4.
    """

    family: ClassVar[str] = "block format"

    element: ElementFormat
    size: int
    scale_coding: ScaleCoding
    element_coding: ElementCoding = ElementCoding.NUMBERS

    def __post_init__(self) -> None:
        for name, kind, value in (
            ("element", ElementFormat, self.element),
            ("scale_coding", ScaleCoding, self.scale_coding),
            ("element_coding", ElementCoding, self.element_coding),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{name} must be of type {kind.__name__}, not {value!r}")
        check_int("size", self.size, 1, 1 << 15)
        if self.element.code_width > 8:
            raise ValueError(f"element must be of at most 8 bits, not {self.element}")
        if (self.element_coding is ElementCoding.INTEGER) != (self.element.exp_bits == 0):
            raise ValueError(
                f"element_coding must be INTEGER for elements without exponent bits and only for "
                f"them, not {self.element_coding} for {self.element}"
            )

    @property
    def scale(self) -> ScaleFormat:
        """The MLS group scale with every value that a scale code has."""
        return _SCALES[self.scale_coding]

    @property
    def value_ratio(self) -> float:
        """Value of an element code over that of its MLS code, a power of two."""
        if self.element_coding is ElementCoding.INTEGER:
            return 2.0
        return ocp_value_ratio(self.element)

    @property
    def max_code(self) -> int:
        """Largest MLS code (sign 0) that is an element."""
        largest = (1 << (self.element.code_width - 1)) - 1
        return largest - (self.element_coding is ElementCoding.NAN)

    @property
    def acc_width(self) -> int:
        """Smallest accumulator width in bits that is proven to hold a block's products."""
        return min_acc_width(self.element, self.size)
