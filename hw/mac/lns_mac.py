# amaranth: UnusedElaboratable=no
"""The MAC of logarithmic numbers."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from ...golden.spec import MAX_WIDTH, LnsFormat, Overflow
from ..integer.accumulator import IntAccumulator
from ..integer.lns_multiplier import LnsConverter, LnsMultiplier, conversion_table
from ..parts.component import Component, parameter
from .mac import Mac
from .skipping import ZeroFactor


class LnsAccumulator(Component):
    """Converts logarithmic products and adds them up as integers (`IntAccumulator`).

    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state.
    Source: docs/numerics.md section 13.

    Members
    -------
    product: In, the product of `LnsMultiplier`.
    start: In, load instead of add.
    acc: Out, signed `width` bits.
    overflow: Out, sticky flag of the running sum.
    """

    format: LnsFormat = LnsConverter.format
    table_bits: int = LnsConverter.table_bits
    table_fraction: int = LnsConverter.table_fraction
    width: int = parameter("bits of the accumulator, sign included", low=2, high=MAX_WIDTH)
    policy: Overflow = parameter("of a sum", default=Overflow.SATURATE, alias="overflow")

    def rules(self):
        conversion_table(self.format, self.table_bits, self.table_fraction)

    def ports(self):
        self._converter = LnsConverter(
            format=self.format, table_bits=self.table_bits, table_fraction=self.table_fraction
        )
        self._sum = IntAccumulator(
            width=self.width, product_width=self.table_fraction + 1, overflow=self.policy
        )
        return {
            "product": In(len(self._converter.i)),
            "start": In(1),
            "acc": Out(self._sum.acc.shape()),
            "overflow": Out(1),
        }

    latency = property(lambda self: self._sum.latency, doc="Cycles from `product` to `acc`.")
    registers = property(lambda self: self._sum.registers, doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        m.submodules.converter = converter = self._converter
        m.submodules.sum = total = self._sum
        m.d.comb += [
            converter.i.eq(self.product),
            total.product.eq(converter.o),
            total.start.eq(self.start),
            self.acc.eq(total.acc),
            self.overflow.eq(total.overflow),
        ]
        return m


class LnsMac(Mac):
    """Logarithmic MAC: exponents add, their sum becomes an integer, integers accumulate.

    The product register holds the logarithmic product. Measured against one behind the conversion:
    10 % less energy, 8 % less area. `acc` is in units of 2^-(table_fraction + 1).
    Source: docs/numerics.md section 13; J. Zhao et al., "LNS-Madam: low-precision training in
    logarithmic number system using multiplicative weight update", 2022.
    """

    format: LnsFormat = LnsConverter.format
    table_bits: int = LnsConverter.table_bits
    table_fraction: int = LnsConverter.table_fraction
    acc_width: int = parameter("bits of the accumulator", low=2, high=MAX_WIDTH)
    policy: Overflow = parameter("of a sum", default=Overflow.SATURATE, alias="overflow")

    idle_operands = (0, 0)

    def rules(self):
        conversion_table(self.format, self.table_bits, self.table_fraction)

    def make_multiplier(self):
        return LnsMultiplier(format=self.format, table_fraction=self.table_fraction)

    def make_skip(self):
        widths = dict.fromkeys("wa", self.format.code_width)
        return ZeroFactor(operand_widths=widths, has_sign=True)

    def make_accumulator(self):
        return LnsAccumulator(
            format=self.format,
            table_bits=self.table_bits,
            table_fraction=self.table_fraction,
            width=self.acc_width,
            overflow=self.policy,
        )
