# amaranth: UnusedElaboratable=no
"""Floating-point products in a fixed-point accumulator: the MAC that never rounds."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import MAX_WIDTH, FloatFormat, Overflow
from ..floating.float_product import FloatProduct
from ..integer.accumulator import limit_sum
from ..parts.combinational import Combinational
from ..parts.component import Component, parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from ..parts.values import named
from .mac import Mac
from .skipping import ZeroFloat

MAX_TERM_WIDTH = MAX_WIDTH - 2
"""Bits of a product in fixed point, sign included, at most."""


def term_width(format: FloatFormat) -> int:
    """Bits of a product as a multiple of `2^(2 (min_exp - M))`, sign included.

    The significand's 2M + 2 bits, shifted by up to 2 (max_exp - min_exp) places.
    Raises: ValueError for formats whose products are too wide.
    """
    width = 2 * (format.significand_width + format.max_exp - format.min_exp) + 1
    if width > MAX_TERM_WIDTH:
        rule = f"format must have fixed-point products of at most {MAX_TERM_WIDTH} bits"
        raise ValueError(f"{rule}, not {format}, which has {width}")
    return width


def packed_width(format: FloatFormat) -> int:
    """Bits of the product of `SignedProduct`: signed significand, exponent, `invalid`."""
    return (2 * format.significand_width + 1) + (format.exp_bits + 1) + 1


class SignedProduct(Combinational):
    """`product = x * y` exactly: a two's complement significand and the sum of the exponents.

        product: [invalid | exponent, E + 1 bits | signed significand, 2M + 3]

    Value `significand * 2^(exponent - 2 bias - 2 M)`. `invalid`: a NaN or infinite operand; the
    significand is 0 then. To negate here and not behind a shift takes 11 % less energy of an E4M3
    MAC: no row of inverters as wide as the sum, no carry from its lowest bit.

    Members
    -------
    x, y: In, `format.code_width` bits.
    product: Out, packed as above.
    """

    format: FloatFormat = parameter("of `x` and `y`")
    recoding: Recoding = UnsignedMultiplier.recoding

    def ports(self):
        self._product = FloatProduct(format=self.format, recoding=self.recoding)
        operand = In(self.format.code_width)
        return {"x": operand, "y": operand, "product": Out(packed_width(self.format))}

    def elaborate(self, platform):
        m = Module()
        m.submodules.exact = exact = self._product
        m.d.comb += [exact.x.eq(self.x), exact.y.eq(self.y)]
        parts = FloatProduct.split(exact.product, self.format)
        width = len(parts.significand)
        infinite = [] if parts.infinite is None else [parts.infinite]
        invalid = named(m, "invalid", Cat(parts.nan, *infinite).any())
        magnitude = named(m, "magnitude", parts.significand & (~invalid).replicate(width))
        negative = named(m, "negative", parts.sign & magnitude.any())
        inverted = magnitude ^ parts.sign.replicate(width)
        significand = named(m, "significand", Cat((inverted + parts.sign)[:width], negative))
        m.d.comb += self.product.eq(Cat(significand, parts.exponent, invalid))
        return m


class FixedPointAccumulator(Component):
    """Shifts products to their place and adds: `acc' = limit((start ? 0 : acc) + product)`, `limit`
    by `overflow`, in units of `2^(2 (min_exp - M))`.

    The flag `overflow` is sticky: set by a sum outside the range or an invalid product, cleared by
    the next `start`. For E4M3 in 45 bits::

        term  sssssssss s significand << (exponent - 2) 0..0        37 bits, sign s
        acc   --upper-- ---------------lower----------------
                8 bits

    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state.
    Source: docs/numerics.md section 14.

    Members
    -------
    product: In, the product of `SignedProduct`.
    start: In, load instead of add.
    acc: Out, signed `width` bits.
    overflow: Out, sticky flag of the running sum: `acc` is not that sum.
    """

    format: FloatFormat = parameter("of the operands")
    width: int = parameter("bits of the accumulator, sign included", low=2, high=MAX_WIDTH)
    policy: Overflow = parameter("of a sum", default=Overflow.SATURATE, alias="overflow")

    def rules(self):
        term_width(self.format)

    def ports(self):
        return {
            "product": In(packed_width(self.format)),
            "start": In(1),
            "acc": Out(signed(self.width)),
            "overflow": Out(1),
        }

    _term_width = property(lambda self: term_width(self.format))
    latency = property(lambda self: 1, doc="Clock cycles from `product` to `acc`.")
    registers = property(lambda self: self.width + 1, doc="Register bits: sum and flag.")

    def elaborate(self, platform):
        m = Module()
        acc = Signal(signed(self.width), reset_less=True)
        overflow = Signal(reset_less=True)
        # |acc| <= 2^(width-1), |term| < 2^(term_width-1): the sum fits one bit above the wider.
        sum_width = max(self.width, self._term_width) + 1
        kept = Signal(signed(sum_width))
        m.d.comb += kept.eq(Cat(bit & ~self.start for bit in acc).as_signed())
        term = self._term(m)
        # Above the term its sign would fill every bit, most often for a carry to undo: one step
        # up or down toggles less, in an E5M2 MAC by 5 % of its energy.
        top = self._term_width - 1
        lower = named(m, "lower", kept[:top] + term[:top])
        down = named(m, "down", term[top] & ~lower[top])
        up = named(m, "up", lower[top] & ~term[top])
        upper = kept[top:] + down.replicate(sum_width - top) + up
        total = named(m, "total", Cat(lower[:top], upper[: sum_width - top]).as_signed())
        following, outside = limit_sum(m, total, self.width, self.policy)
        sticky = outside | self.product[-1] | (overflow & ~self.start)
        m.d.sync += [acc.eq(following), overflow.eq(sticky)]
        m.d.comb += [self.acc.eq(acc), self.overflow.eq(overflow)]
        return m

    def _term(self, m: Module) -> Value:
        """The product in fixed point: shifted by its whole exponent, small steps first. That is at
        least 2, as a field 0 counts as 1: two places less are built.
        """
        significand_width = 2 * self.format.significand_width + 1
        value = self.product[:significand_width].as_signed()
        for bit, select in enumerate(self.product[significand_width:-1]):
            width = min(len(value) + (1 << bit), self._term_width + 2)
            shifted = Mux(select, value << (1 << bit), value)[:width]
            value = named(m, f"by{1 << bit}", shifted.as_signed())
        return value[2:]


class KulischMac(Mac):
    """Exact floating-point MAC: products of any small format into a fixed-point accumulator.

    The product register holds significand and exponent; the shift stands in front of the adder.
    Measured for E4M3 against a shift in front of the register: 12 % less energy, 10 % less area.
    Source: docs/numerics.md section 14.

    """

    format: FloatFormat = parameter("of the operands; their fixed-point products have 126 bits")
    acc_width: int = parameter("bits of the accumulator", low=2, high=MAX_WIDTH)
    policy: Overflow = parameter("of a sum", default=Overflow.SATURATE, alias="overflow")
    recoding: Recoding = UnsignedMultiplier.recoding

    idle_operands = (0, 0)

    def rules(self):
        term_width(self.format)

    def make_multiplier(self):
        return SignedProduct(format=self.format, recoding=self.recoding)

    def make_skip(self):
        return ZeroFloat(format=self.format, subnormals=True, plain=True)

    def make_accumulator(self):
        return FixedPointAccumulator(format=self.format, width=self.acc_width, overflow=self.policy)
