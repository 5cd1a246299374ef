"""Two's complement multiplication on the compression tree of the unsigned multiplier."""

import itertools

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import check_int
from .combinational import Combinational
from .component import parameter
from .platforms import has_multipliers
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
    area with radix-4 Booth recoding than if the wider one did. On a platform, an FPGA, it is `*`.

    Members
    -------
    x, y: In, `x_width` and `y_width` bits.
    product: Out, `product_width` bits.

    Source
    ------
    C. R. Baugh, B. A. Wooley, "A two's complement parallel array multiplication algorithm", IEEE
    Transactions on Computers C-22(12), 1973.
    """

    x_width: int = parameter("bits of `x`", low=2, high=32)
    y_width: int = parameter("bits of `y`", low=2, high=32)
    recoding: Recoding = parameter(
        "how the narrower operand selects partial products", default=Recoding.NONE
    )
    product_width: int = parameter(
        "low bits of the product that are kept, where its upper ones are known to be copies of its "
        "sign; by default all `x_width + y_width`",
        low=2,
        high=64,
        factory=lambda self: self.x_width + self.y_width,
    )

    def rules(self):
        check_int("product_width", self.product_width, 2, self.x_width + self.y_width)

    def ports(self):
        return {"x": In(self.x_width), "y": In(self.y_width), "product": Out(self.product_width)}

    def elaborate(self, platform):
        m = Module()
        if has_multipliers(platform):
            m.d.comb += self.product.eq(self.x.as_signed() * self.y.as_signed())
            return m
        tree = CompressionTree(m, self.product_width)
        x, y = sorted((self.x, self.y), key=len, reverse=True)
        if self.recoding is Recoding.NONE:
            constant = add_rows(tree, x, y)
        else:
            constant = self._add_booth_rows(m, tree, x, y)
        tree.add_constant(constant, "signs")
        m.d.comb += self.product.eq(tree.compress())
        return m

    def _add_booth_rows(self, m: Module, tree: CompressionTree, x: Value, y: Value) -> int:
        """Rows of `digit * x << 2r`, digit = y[2r-1] + y[2r] - 2 y[2r+1]; returns as `add_rows`.

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


def add_rows(
    tree: CompressionTree, x: Value, y: Value, name: str = "row", *, y_signed: bool = True
) -> int:
    """Put rows of `x * y[i] << i`, x and, where `y_signed`, y in two's complement; returns the sum
    of the constants of their negative bits, which is added once for all products of a tree.
    """
    constant = 0
    for i, j in itertools.product(range(len(y)), range(len(x))):
        negative = (y_signed and i == len(y) - 1) != (j == len(x) - 1)
        bit = x[j] & y[i]
        tree.add(i + j, ~bit if negative else bit, AND_ARRIVAL, f"{name}{i}_{j}")
        constant -= negative << (i + j)
    return constant
