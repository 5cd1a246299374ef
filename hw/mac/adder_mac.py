# amaranth: UnusedElaboratable=no
"""The MAC without a product: operands add up as they are, as a spiking network's weights do."""

from amaranth import Module
from amaranth.lib.wiring import In, Out

from ...golden.spec import IntFormat, Overflow
from ..integer.accumulator import IntAccumulator, ProductCoding
from ..parts.component import Component
from ..parts.values import registered
from .int_mac import IntMac
from .mac import Mac


class OperandStage(Component):
    """The operand register of a MAC that multiplies nothing; its operand is its product.

    Latency 1 cycle; `start` travels beside the operand. All registers are reset-less.

    Members
    -------
    w: In, `format.width` bits.
    start: In, marks a sum's first operand.
    product: Out, `w`.
    product_start: Out, `start` of that operand.
    """

    format: IntFormat = IntMac.format

    operands = ("w",)
    """Names of the operand ports."""

    def ports(self):
        width = self.format.width
        return {"w": In(width), "start": In(1), "product": Out(width), "product_start": Out(1)}

    latency = property(lambda self: 1, doc="Clock cycles from `w` to `product`.")
    registers = property(lambda self: self.format.width + 1, doc="Register bits: `w` and `start`.")

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.product.eq(registered(m, "s1_w", self.w)),
            self.product_start.eq(registered(m, "s1_start", self.start)),
        ]
        return m


class AdderMac(Mac):
    """Accumulate-only MAC: `acc' = limit((start ? 0 : acc) + w)`, two's complement.

    Latency 2 cycles from `w` to `acc`: without a product there is no product register. Its first
    stage, the operand register, is called `operand`: a report would else tell the energy of a
    multiplier. Source: docs/numerics.md section 12.

    Members
    -------
    w: In, `format.width` bits.
    start: In, this operand begins a new sum.
    acc: Out, the running sum, signed, `acc_width` bits.
    overflow: Out, sticky since `start`.
    """

    format: IntFormat = IntMac.format
    acc_width: int = IntMac.acc_width
    policy: Overflow = IntMac.policy

    stages = ("operand", "accumulator")
    idle_operands = (0,)

    def rules(self):
        if self.hold:
            raise ValueError("hold must be False where nothing is multiplied, not True")

    def make_first_stage(self):
        return OperandStage(format=self.format)

    def make_accumulator(self):
        return IntAccumulator(
            width=self.acc_width,
            product_width=self.format.width - 1,
            overflow=self.policy,
            coding=ProductCoding.TWOS_COMPLEMENT,
        )
