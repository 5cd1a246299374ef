"""Two's complement multiplication on the compression tree of the unsigned multiplier."""

import itertools

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import check_int
from .combinational import Combinational
from .unsigned_multiplier import (
    AND_ARRIVAL,
    BOOTH_ARRIVAL,
    SIGN_ARRIVAL,
    CompressionTree,
    Recoding,
    booth_digit,
)
from .values import named


class SignedMultiplier(Combinational):
    """`product = x * y`, exact, all three in two's complement.

    With n bits of x and m of y, the top bits weigh -2^(n-1) and -2^(m-1), and so do their partial
    products. `-b * 2^k = ~b * 2^k - 2^k` turns each of those into its complement and a constant;
    the constants of a form are one number (Baugh and Wooley). Booth rows likewise have one negative
    bit, their top one.

    The narrower operand (`y` among equals) selects the rows. Measured for 8 by 16 bits: 6 % less
    area with Booth recoding than if the wider one did. On a platform, an FPGA, it is `*`.

    Parameters
    ----------
    x_width, y_width: bits of `x` and of `y`, 2..32.
    recoding: how the narrower operand selects partial products.
    product_width: low bits of the product that are kept, where its upper ones are known to be
        copies of its sign (default: all `x_width + y_width`).

    Members
    -------
    x, y: In, `x_width` and `y_width` bits.
    product: Out, `product_width` bits.

    Raises
    ------
    TypeError, ValueError.

    Source
    ------
    C. R. Baugh, B. A. Wooley, "A two's complement parallel array multiplication algorithm", IEEE
    Transactions on Computers C-22(12), 1973.
    """

    def __init__(
        self,
        *,
        x_width: int,
        y_width: int,
        recoding: Recoding = Recoding.NONE,
        product_width: int | None = None,
    ):
        check_int("x_width", x_width, 2, 32)
        check_int("y_width", y_width, 2, 32)
        if not isinstance(recoding, Recoding):
            raise TypeError(f"recoding must be a Recoding, not {recoding!r}")
        if product_width is None:
            product_width = x_width + y_width
        check_int("product_width", product_width, 2, x_width + y_width)
        self._recoding = recoding
        super().__init__({"x": In(x_width), "y": In(y_width), "product": Out(product_width)})

    x_width = property(lambda self: len(self.x), doc="Bits of `x`.")
    y_width = property(lambda self: len(self.y), doc="Bits of `y`.")
    product_width = property(lambda self: len(self.product), doc="Bits of `product`.")
    recoding = property(lambda self: self._recoding, doc="How rows are selected.")

    def elaborate(self, platform):
        m = Module()
        if platform is not None:
            m.d.comb += self.product.eq(self.x.as_signed() * self.y.as_signed())
            return m
        tree = CompressionTree(m, self.product_width)
        rows = self._add_rows if self.recoding is Recoding.NONE else self._add_booth_rows
        constant = rows(m, tree, *sorted((self.x, self.y), key=len, reverse=True))
        tree.add_constant(constant, "signs")
        m.d.comb += self.product.eq(tree.compress())
        return m

    def _add_rows(self, m: Module, tree: CompressionTree, x: Value, y: Value) -> int:
        """Rows of `x * y[i] << i`; returns the sum of the constants of their negative bits."""
        constant = 0
        for i, j in itertools.product(range(len(y)), range(len(x))):
            negative = (i == len(y) - 1) != (j == len(x) - 1)
            bit = x[j] & y[i]
            tree.add(i + j, ~bit if negative else bit, AND_ARRIVAL, f"row{i}_{j}")
            constant -= negative << (i + j)
        return constant

    def _add_booth_rows(self, m: Module, tree: CompressionTree, x: Value, y: Value) -> int:
        """Rows of `digit * x << 2r`, digit = y[2r-1] + y[2r] - 2 y[2r+1]; returns as `_add_rows`.

        A negative digit's row is inverted, and one is added to it.
        """
        n, constant = len(x), 0
        selectors = Cat(Const(0, 1), y, y[-1])  # y[2r + 1] of the text is the bit 2r + 2 here
        for low in range(0, len(y), 2):
            row = f"row{low // 2}"
            b0, b1, b2 = selectors[low : low + 3]
            one, two = booth_digit(m, b0, b1, b2, name=row)
            digits = Cat(b2, *(named(m, f"{row}_x{j}", x[j] ^ b2) for j in range(n)))
            for j in range(n):
                bit = (one & digits[j + 1]) | (two & digits[j])
                tree.add(low + j, bit, BOOTH_ARRIVAL, f"{row}_{j}")
            tree.add(low + n, ~((one | two) & digits[n]), BOOTH_ARRIVAL, f"{row}_{n}")
            constant -= 1 << (low + n)
            negative = named(m, f"{row}_negative", b2 & (one | two))
            tree.add(low, negative, SIGN_ARRIVAL, f"{row}_increment")
        return constant
