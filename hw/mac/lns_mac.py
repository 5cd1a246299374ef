# amaranth: UnusedElaboratable=no
"""The MAC of logarithmic numbers."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...golden.spec import LnsFormat, Overflow
from ..integer.accumulator import IntAccumulator
from ..integer.lns_multiplier import LnsConverter, LnsMultiplier
from .mac import Mac


class LnsAccumulator(wiring.Component):
    """Converts logarithmic products and adds them up as integers (`IntAccumulator`).

    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state.
    Source: docs/numerics.md section 13.

    Parameters
    ----------
    format, table_bits, table_fraction: of the conversion, as `LnsConverter` takes them.
    width: bits of the accumulator, sign included, 2..128.
    overflow: Overflow.

    Members
    -------
    product: In, the product of `LnsMultiplier`.
    start: In, load instead of add.
    acc: Out, signed `width` bits.
    overflow: Out, sticky flag of the running sum.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        format: LnsFormat,
        table_bits: int,
        table_fraction: int = 15,
        width: int = 24,
        overflow: Overflow = Overflow.SATURATE,
    ):
        self._converter = LnsConverter(
            format=format, table_bits=table_bits, table_fraction=table_fraction
        )
        self._sum = IntAccumulator(width=width, product_width=table_fraction + 1, overflow=overflow)
        super().__init__(
            {
                "product": In(len(self._converter.i)),
                "start": In(1),
                "acc": Out(self._sum.acc.shape()),
                "overflow": Out(1),
            }
        )

    format = property(lambda self: self._converter.format, doc="Format of the operands.")
    table_bits = property(lambda self: self._converter.table_bits, doc="Bits looked up.")
    table_fraction = property(
        lambda self: self._converter.table_fraction, doc="Fraction bits of an entry."
    )
    width = property(lambda self: self._sum.width, doc="Accumulator bits.")
    policy = property(lambda self: self._sum.policy, doc="Overflow policy.")
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

    Parameters
    ----------
    format: LnsFormat of both operands, B fraction bits.
    table_bits: bits of the remainder that the table looks up, 0 (Mitchell) to B (exact).
    table_fraction: fraction bits of the table's entries, B..30.
    acc_width: accumulator bits, 2..128.
    overflow: Overflow policy.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        format: LnsFormat,
        table_bits: int,
        table_fraction: int = 15,
        acc_width: int = 24,
        overflow: Overflow = Overflow.SATURATE,
    ):
        super().__init__(
            multiplier=LnsMultiplier(format=format, table_fraction=table_fraction),
            accumulator=LnsAccumulator(
                format=format,
                table_bits=table_bits,
                table_fraction=table_fraction,
                width=acc_width,
                overflow=overflow,
            ),
            idle_operands=(0, 0),
        )

    format = property(lambda self: self._accumulator.format, doc="Format of both operands.")
    table_bits = property(lambda self: self._accumulator.table_bits, doc="Bits looked up.")
    table_fraction = property(
        lambda self: self._accumulator.table_fraction, doc="Fraction bits of an entry."
    )
    acc_width = property(lambda self: self._accumulator.width, doc="Accumulator bits.")
    policy = property(lambda self: self._accumulator.policy, doc="The `overflow` policy.")
