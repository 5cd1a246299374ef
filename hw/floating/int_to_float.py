"""Conversion of a scaled integer to float32, rounded to nearest even."""

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, check_int
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.values import named
from .float_common import round_gradually, shift_steps


class IntToFloat(Combinational):
    """`z = fl(i * 2^-(exponent + offset))` in float32: one rounding to nearest even, subnormals
    kept. What is or rounds to zero is +0.

    Built for the parameters' range: no rounding logic where `i` has at most 24 bits and nothing
    can lie below the subnormal numbers' last bit, none for subnormals that cannot be. Infinity
    cannot be: |i| <= 2^(width-1), hence |z| <= 2^(width-1-offset) <= 2^127.
    Source: docs/numerics.md section 7.

    Members
    -------
    i: In, signed `width` bits.
    exponent: In, `exponent_width` bits, unsigned; absent where that is 0.
    z: Out, float32 code.
    """

    width: int = parameter("bits of `i`, sign included", low=2, high=1024)
    exponent_width: int = parameter("bits of `exponent`", low=0, high=10)
    offset: int = parameter("added to `exponent`; at least `width` - 128", low=0, high=1023)

    def rules(self):
        check_int("offset", self.offset, max(self.width - 128, 0), 1023)

    def ports(self):
        exponent = {"exponent": In(self.exponent_width)} if self.exponent_width else {}
        return {"i": In(signed(self.width)), **exponent, "z": Out(FP32.code_width)}

    def elaborate(self, platform):
        m = Module()
        negative = self.i[-1]
        # |i| <= 2^(width-1) fits `width` bits without a sign.
        flipped = self.i.as_unsigned() ^ negative.replicate(self.width)
        magnitude = named(m, "magnitude", (flipped + negative)[: self.width])
        # Exponent field, less one, of the magnitude's top bit, 2^(width-1).
        largest = self.width - 1 - self.offset + FP32.bias - 1
        smallest = largest - ((1 << self.exponent_width) - 1)
        steps = shift_steps(FP32, max(min(self.width - 1, largest), 0), smallest)
        bits = max(abs(largest).bit_length(), abs(smallest).bit_length(), steps)
        exponent = Signal(signed(1 + bits))
        m.d.comb += exponent.eq(largest - (self.exponent if self.exponent_width else 0))
        code = round_gradually(
            m,
            FP32,
            magnitude,
            exponent,
            smallest=smallest,
            largest=largest,
            steps=steps,
            normal=Const(0, 1),
        )
        code = Cat(code, Const(0, FP32.code_width))[: FP32.code_width - 1]
        # Half the smallest subnormal, and less, rounds to zero.
        smallest_unit = self.offset + (1 << self.exponent_width) - 1
        if smallest_unit > FP32.man_bits - FP32.min_exp:
            negative = negative & code.any()
        m.d.comb += self.z.eq(Cat(code, negative))
        return m
