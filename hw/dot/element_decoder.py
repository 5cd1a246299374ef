"""MLS elements as two's complement integers."""

from amaranth.hdl import Cat, Module, Mux, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.values import named


class ElementDecoder(Combinational):
    """`value = (-1)^sign * q` in two's complement, in units of `2^-format.fraction_bits`.

    What a dot unit of decoded operands takes: one decoder serves many units, or many cycles of a
    held weight. -0 becomes 0. Exact. Source: docs/numerics.md sections 1 and 16.

    Members
    -------
    code: In, `format.code_width` bits.
    value: Out, signed `M + 2^E` bits.
    """

    format: ElementFormat = parameter("of the element")

    def ports(self):
        width = self.format.significand_width + 1
        return {"code": In(self.format.code_width), "value": Out(signed(width))}

    def elaborate(self, platform):
        m = Module()
        man_bits = self.format.man_bits
        mantissa, exponent, sign = self.code[:man_bits], self.code[man_bits:-1], self.code[-1]
        magnitude = mantissa
        if self.format.exp_bits:
            hidden = exponent.any()
            # The shift is max(e - 1, 0): e itself, a place too far, and twice what is subnormal.
            magnitude = named(m, "significand", Mux(hidden, Cat(mantissa, hidden), mantissa << 1))
            for bit, select in enumerate(exponent):
                shifted = Mux(select, magnitude << (1 << bit), magnitude)
                magnitude = named(m, f"shifted_{bit}", shifted)
            magnitude = magnitude[1 : 1 + self.format.significand_width]
        inverted = magnitude ^ sign.replicate(len(magnitude))
        m.d.comb += self.value.eq((Cat(inverted, sign).as_signed() + sign)[: len(self.value)])
        return m
