"""A group's divisor as a short reciprocal."""

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32
from ..parts.component import Component, parameter
from ..parts.values import named, registered

MOST_BITS = 16
"""Bits of a reciprocal at most."""


def reciprocal_cycles(reciprocal_bits: int, levels: int) -> int:
    """Of a `Reciprocal`; its first digit takes no subtraction."""
    return -(-(reciprocal_bits - 1) // levels)


class Reciprocal(Component):
    """`J = floor(2^(2p) / (2 D_p + 1))`, `D_p` the upper p = `reciprocal_bits` bits of the divisor.

    Restoring division, a subtraction a digit. J's first digit is 1. Latency `ceil((p - 1) /
    levels)` cycles. Source: docs/numerics.md section 15.

    Members
    -------
    divisor: In, `divisor_width` bits, the top one set.
    digits: Out, the p - 1 lower bits of J.
    """

    reciprocal_bits: int = parameter("p, bits of J", low=4, high=MOST_BITS)
    divisor_width: int = parameter("bits of the divisor", low=FP32.significand_width, high=28)
    levels: int = parameter(
        "subtractions, a digit each, between registers", low=1, high=64, default=3
    )

    def ports(self):
        return {"divisor": In(self.divisor_width), "digits": Out(self.reciprocal_bits - 1)}

    latency = property(
        lambda self: reciprocal_cycles(self.reciprocal_bits, self.levels),
        doc="Clock cycles from `divisor` to `digits`.",
    )

    @property
    def registers(self) -> int:
        """Register bits: digits so far; where there are more to come, remainder and `D_p`."""
        p = self.reciprocal_bits
        done = range(self.levels, self.levels * self.latency, self.levels)
        return sum(count + 2 * p + 1 for count in done) + p - 1

    def elaborate(self, platform):
        m = Module()
        p = self.reciprocal_bits
        part = self.divisor[-p:]
        divisor = Cat(Const(1, 1), part)
        # What the first digit leaves of 2^(p + 1).
        remainder = named(m, "remainder0", (-divisor)[: p + 1])
        digits: Value = Const(0, 0)
        for stage in range(self.latency):
            if stage:
                part = registered(m, f"s{stage}_part", part)
                remainder = registered(m, f"s{stage}_remainder", remainder)
                divisor = Cat(Const(1, 1), part)
            for level in range(len(digits), min((stage + 1) * self.levels, p - 1)):
                minuend = Cat(Const(0, 1), remainder)
                difference = named(m, f"difference{level}", minuend - divisor)
                digit = ~difference[-1]
                kept = Mux(digit, difference, minuend)[: p + 1]
                remainder = named(m, f"remainder{level + 1}", kept)
                digits = Cat(digit, digits)
            digits = registered(m, f"s{stage + 1}_digits", digits)
        m.d.comb += self.digits.eq(digits)
        return m


def check_reciprocal_bits(reciprocal_bits: int) -> None:
    """Raise unless it is 0, for none, or bits of a `Reciprocal`."""
    if reciprocal_bits:
        Reciprocal.parameters["reciprocal_bits"].check(reciprocal_bits)
