"""Proven widths of a block-scaled dot unit (docs/numerics.md section 17)."""

import enum
from dataclasses import dataclass

from .checks import check_int
from .formats import ElementFormat, ScaleFormat

MAX_DOT_LANES = 1024
MAX_BLOCK_CYCLES = 1024
MAX_BLOCKS = 1 << 20
MAX_WINDOW = 128


class Operands(enum.Enum):
    """What the operand ports of a dot unit take, and what its operand registers hold."""

    CODES = "codes"
    """Element codes, both."""

    DECODER = "decoder"
    """Element codes come, two's complement is held: a decoder stands before the registers."""

    DECODED = "decoded"
    """Two's complement comes and is held: the decoder is elsewhere, shared by several units."""


class Accumulate(enum.Enum):
    """How the scaled blocks of an output add up."""

    WINDOW = "window"
    """A fixed-point number; what lies below its last bit is dropped, block by block (floor)."""

    FLOAT32 = "float32"
    """Each block's value rounded to float32, then float32 adds."""

    EXACT = "exact"
    """A fixed-point number that reaches down to the smallest scales."""


@dataclass(frozen=True, kw_only=True)
class DotWidths:
    """Bounds and widths, sign included, of a dot unit's numbers.

    P is a block's exact sum in units of 2^-2F, T the block times both scales' mantissas; the
    fixed-point accumulator counts in units of 2^-`offset`.

    Parameters: `format`, `scale` (None: no scales), `operands`; `products` of a block;
    `accumulate`, `window` (bits, where it accumulates in one), `blocks` that one output adds up
    without overflow.
    Raises: TypeError, ValueError.
    """

    format: ElementFormat
    scale: ScaleFormat | None
    operands: Operands
    products: int
    accumulate: Accumulate
    window: int
    blocks: int

    def __post_init__(self) -> None:
        check_int("products", self.products, 1, MAX_DOT_LANES * MAX_BLOCK_CYCLES)
        check_int("blocks", self.blocks, 1, MAX_BLOCKS)
        if self.accumulate is Accumulate.WINDOW:
            # Above: the smallest sum has a bit of its own. Below: no unit is more than 1.
            lowest = max(self.total_width - self.term_width + 2, self.total_width - self.unit)
            check_int("window", self.window, lowest, MAX_WINDOW)

    @property
    def largest_operand(self) -> int:
        """Magnitude, in units of 2^-F; of two's complement integers that of the most negative."""
        most_negative = self.operands is Operands.DECODED and self.format.exp_bits == 0
        return self.format.max_significand + most_negative

    @property
    def operand_width(self) -> int:
        """Bits of a decoded operand."""
        return self.format.significand_width + 1

    @property
    def sum_bound(self) -> int:
        """Largest |P|."""
        return self.products * self.largest_operand**2

    @property
    def sum_width(self) -> int:
        """Bits of P."""
        return self.sum_bound.bit_length() + 1

    @property
    def scale_man_bits(self) -> int:
        """Mg; 0 without scales."""
        return self.scale.man_bits if self.scale else 0

    @property
    def term_bound(self) -> int:
        """Largest |T|."""
        factor = (2 << self.scale_man_bits) - 1
        return self.sum_bound * factor**2

    @property
    def term_width(self) -> int:
        """Bits of T."""
        return self.term_bound.bit_length() + 1

    @property
    def unit(self) -> int:
        """T of exponent e is in units of 2^-(e + unit): 2F + 2 Mg."""
        return 2 * (self.format.fraction_bits + self.scale_man_bits)

    @property
    def max_exponent(self) -> int:
        """Largest e = eg_w + eg_a."""
        return 2 * self.scale.max_exp if self.scale else 0

    @property
    def total_width(self) -> int:
        """Bits of the sum of `blocks` terms of e = 0, each floored or not.

        Proof: floor(T * 2^g), g from 1 - term_width on, lies within +-2^(term_width - 1 + g).
        """
        return self.term_width + (self.blocks - 1).bit_length()

    @property
    def guard(self) -> int:
        """G: places that the accumulator has below the unit of a term of e = 0; negative where it
        does not reach down to it.
        """
        if self.accumulate is Accumulate.WINDOW:
            return self.window - self.total_width
        return self.max_exponent

    @property
    def acc_width(self) -> int:
        """Bits of the fixed-point accumulator."""
        return self.total_width + self.guard

    @property
    def offset(self) -> int:
        """The accumulator's unit is 2^-offset."""
        return self.unit + self.guard
