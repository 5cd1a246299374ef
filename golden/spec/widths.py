"""Proven widths of integer accumulators; bounds and defaults that golden and hardware share."""

from .checks import check_int
from .formats import ElementFormat

MAX_LENGTH = 1 << 30

MAX_WIDTH = 128
"""Bits of an integer accumulator."""

MAX_TABLE_FRACTION = 30
"""Fraction bits of an entry of a logarithmic product's table: a product stays a 32-bit number."""

# Defaults of the numerics contract, for golden and hardware alike.
GROUP_LENGTH = 256
"""Products that the integer accumulator of a unit holds, whatever the operands, unless another
length or width is asked for (decision D39): the longest group of the stimulus, a plane of 16 x 16.
"""

AUTO = "auto"
"""Of an accumulator's width: the fewest bits that are proven for a length."""

GUARD_BITS = 12
"""Of an aligned sum: bits below the unit of its largest scale (decision D10)."""

TILES = 64
"""Of an exact sum: most tiles of an output."""

TABLE_FRACTION = 15
"""Of a logarithmic product: fraction bits of the powers of two in its table."""

RANDOM_BITS = 8
"""Of stochastic rounding: bits of a random word."""

LFSR_BITS = 32
"""Bits of a random generator's state, which is never zero."""

MAX_RANDOM_BITS = 24
"""Bits of a random word."""

MAX_LANES = 1024
"""Lanes of a random generator."""


def safe_length(element: ElementFormat, acc_width: int) -> int:
    """Products of `element` that a signed `acc_width`-bit accumulator holds whatever the operands.

    `floor((2^(acc_width-1) - 1) / max_significand^2)`: 2 for `<2,4>` in 16 bits, 227 for `<2,1>`.
    Raises: TypeError, ValueError for a width outside 2..128.
    """
    check_int("acc_width", acc_width, 2, MAX_WIDTH)
    return products_held(element.max_significand**2, acc_width)


def min_acc_width(element: ElementFormat, length: int) -> int:
    """Smallest accumulator width in bits, sign included, that is proven to hold `length` products.

    `ceil(log2(length * max_significand^2 + 1)) + 1`: 19 for nine products of `<2,4>`.
    Raises: TypeError, ValueError for a length outside 1..2^30.
    """
    return width_for(element.max_significand**2, length)


def products_held(largest: int, acc_width: int) -> int:
    """`floor((2^(acc_width-1) - 1) / largest)`: products of magnitude up to `largest` that a signed
    accumulator holds.
    """
    return ((1 << (acc_width - 1)) - 1) // largest


def width_for(largest: int, length: int) -> int:
    """Bits, sign included, for a sum of `length` products of magnitude up to `largest`.

    Raises: TypeError, ValueError for a length outside 1..2^30.
    """
    check_int("length", length, 1, MAX_LENGTH)
    return int(length * largest).bit_length() + 1


def resolve_acc_width(largest: int, acc_width: int | str, length: int) -> int:
    """Accumulator width in bits: `acc_width` itself, or for "auto" the smallest proven safe for
    `length` products of magnitude up to `largest`.

    Raises: TypeError, ValueError.
    """
    proven = width_for(largest, length)
    if acc_width == AUTO:
        return proven
    if not isinstance(acc_width, int):
        raise TypeError(f"acc_width must be an integer or 'auto', not {acc_width!r}")
    check_int("acc_width", acc_width, 2, MAX_WIDTH)
    return acc_width
