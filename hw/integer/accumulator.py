# amaranth: UnusedElaboratable=no
"""The signed integer accumulator: one product a cycle."""

import enum

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import MAX_WIDTH, Overflow
from ..parts.component import Component, parameter
from .mls_multiplier import MAX_PRODUCT_WIDTH


class ProductCoding(enum.Enum):
    """How a product of either sign comes to an integer accumulator."""

    SIGN_MAGNITUDE = "sign_magnitude"
    """Sign and magnitude: the negation is an XOR row and the adder's carry-in."""

    TWOS_COMPLEMENT = "twos_complement"
    """Two's complement, of which the accumulator extends the sign."""


class IntAccumulator(Component):
    """Signed integer accumulator: `acc' = limit((start ? 0 : acc) + product)`, `limit` by
    `overflow`.

    The flag `overflow` is sticky: it is set with the first sum outside the range and cleared by the
    next `start` (whose own load can set it where one product exceeds the accumulator).
    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state.
    Source: docs/numerics.md section 4.

    Members
    -------
    product: In, `product_width + 1` bits, coded as `coding` says, sign most significant.
    start: In, load instead of add.
    acc: Out, signed `width` bits.
    overflow: Out, sticky flag of the running group.
    """

    width: int = parameter("bits of the accumulator, sign included", low=2, high=MAX_WIDTH)
    product_width: int = parameter(
        "bits of a product without its sign", low=1, high=MAX_PRODUCT_WIDTH
    )
    policy: Overflow = parameter("of a sum", default=Overflow.SATURATE, alias="overflow")
    coding: ProductCoding = parameter("of `product`", default=ProductCoding.SIGN_MAGNITUDE)

    def ports(self):
        return {
            "product": In(self.product_width + 1),
            "start": In(1),
            "acc": Out(signed(self.width)),
            "overflow": Out(1),
        }

    latency = property(lambda self: 1, doc="Clock cycles from `product` to `acc`.")
    registers = property(lambda self: self.width + 1, doc="Register bits: sum and flag.")

    def elaborate(self, platform):
        m = Module()
        acc = Signal(signed(self.width), reset_less=True)
        overflow = Signal(reset_less=True)
        # |acc| <= 2^(width-1) and |product| <= 2^product_width: the sum fits one bit above the
        # wider.
        sum_width = max(self.width, self.product_width + 1) + 1
        magnitude, negative = self.product[:-1], self.product[-1]
        kept = Cat(bit & ~self.start for bit in acc).as_signed()
        total = Signal(signed(sum_width))
        if self.coding is ProductCoding.SIGN_MAGNITUDE:
            inverted = Cat(Cat(bit ^ negative for bit in magnitude), negative).as_signed()
            m.d.comb += total.eq(kept + inverted + negative)
        else:
            m.d.comb += total.eq(kept + self.product.as_signed())

        following, outside = limit_sum(m, total, self.width, self.policy)
        m.d.sync += [acc.eq(following), overflow.eq(outside | (overflow & ~self.start))]
        m.d.comb += [self.acc.eq(acc), self.overflow.eq(overflow)]
        return m


def limit_sum(m: Module, total: Value, width: int, policy: Overflow) -> tuple[Value, Signal]:
    """The signed `total` as an accumulator of `width` bits keeps it, and whether it was outside."""
    low, sign = total[:width], total[-1]
    outside = Signal()
    upper = total[width - 1 :]
    m.d.comb += outside.eq(~(upper.all() | ~upper.any()))
    limit = Cat((~sign).replicate(width - 1), sign)
    return (Mux(outside, limit, low) if policy is Overflow.SATURATE else low), outside
