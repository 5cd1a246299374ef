"""MLS elements as two's complement integers."""

from amaranth.hdl import Cat, Module, Mux, Value, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.values import named


class ElementDecoder(Combinational):
    """`value = (-1)^sign * q` in two's complement, in units of `2^-format.fraction_bits`.

    What a dot unit of decoded operands takes: one decoder serves many units, or many cycles of a
    held weight. -0 becomes 0. Exact. Source: docs/numerics.md sections 1 and 17.

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
        magnitude, sign = element_magnitude(m, self.format, self.code, "x"), self.code[-1]
        m.d.comb += self.value.eq(negated(magnitude, sign))
        return m


def element_magnitude(m: Module, format: ElementFormat, code: Value, name: str) -> Value:
    """q of a code, `format.significand_width` bits."""
    man_bits = format.man_bits
    mantissa, exponent = code[:man_bits], code[man_bits:-1]
    if not format.exp_bits:
        return mantissa
    hidden = exponent.any()
    # The shift is max(e - 1, 0): e itself, a place too far, and twice what is subnormal.
    value = named(m, f"{name}_significand", Mux(hidden, Cat(mantissa, hidden), mantissa << 1))
    for bit, select in enumerate(exponent):
        value = named(m, f"{name}_by{1 << bit}", Mux(select, value << (1 << bit), value))
    return value[1 : 1 + format.significand_width]


def negated(magnitude: Value, negative: Value) -> Value:
    """A magnitude with its sign, in two's complement of one bit more; -0 is 0."""
    inverted = Cat(magnitude ^ negative.replicate(len(magnitude)), negative)
    return (inverted + negative)[: len(inverted)]
