# amaranth: UnusedElaboratable=no
"""The MAC without a product: operands add up as they are, as a spiking network's weights do."""

from amaranth import Module
from amaranth.lib.wiring import In, Out

from ...golden.spec import IntFormat, Overflow
from ..integer.accumulator import IntAccumulator, ProductCoding
from ..parts.component import Component
from ..parts.values import named, registered
from .int_mac import IntMac
from .mac import Mac, MultiplierStage
from .skipping import Skip, ZeroFactor


class OperandStage(Component):
    """The operand register of a MAC that multiplies nothing; its operand is its product.

    Latency 1 cycle; `start` travels beside the operand. All registers are reset-less.

    Members
    -------
    w: In, `format.width` bits.
    start: In, marks a sum's first operand.
    product: Out, `w`.
    product_start: Out, `start` of that operand.
    product_valid: Out, the operand is to be added; else it is an older one; only with `skip`.
    """

    format: IntFormat = IntMac.format
    skip: Skip | None = MultiplierStage.skip

    operands = ("w",)
    """Names of the operand ports."""

    def ports(self):
        width = self.format.width
        return {
            "w": In(width),
            "start": In(1),
            "product": Out(width),
            "product_start": Out(1),
            **({"product_valid": Out(1)} if self.skip is not None else {}),
        }

    latency = property(lambda self: 1, doc="Clock cycles from `w` to `product`.")

    @property
    def registers(self) -> int:
        """Register bits: `w` and `start`, and whether they were taken."""
        return self.format.width + 1 + (self.skip is not None)

    def elaborate(self, platform):
        m = Module()
        taken = None
        if self.skip is not None:
            m.submodules.skip = self.skip
            m.d.comb += [self.skip.w.eq(self.w), self.skip.start.eq(self.start)]
            taken = named(m, "taken", ~self.skip.skip)
            m.d.comb += self.product_valid.eq(registered(m, "s1_valid", taken))
        m.d.comb += [
            self.product.eq(registered(m, "s1_w", self.w, taken)),
            self.product_start.eq(registered(m, "s1_start", self.start, taken)),
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
        return OperandStage(format=self.format, skip=self._skip())

    def make_skip(self):
        return ZeroFactor(operand_widths={"w": self.format.width}, has_sign=False)

    def make_accumulator(self):
        return IntAccumulator(
            width=self.acc_width,
            product_width=self.format.width - 1,
            overflow=self.policy,
            coding=ProductCoding.TWOS_COMPLEMENT,
        )
