"""Elements over two scales' product, rounded without a division: a lane of the NVFP4 quantizer."""

from amaranth import Cat, Module, Mux
from amaranth.hdl import Value, signed
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, NVFP4_E2M1, BlockFormat, Rounding
from ..parts.component import Component
from ..parts.magnitude import MAGNITUDE_BITS, normalised
from ..parts.values import named, registered
from .block_numbers import BlockNumbers
from .ratio_scale import EXPONENT, MULTIPLE_BITS, MULTIPLES

_SIGNIFICAND = FP32.significand_width
_EXPONENT = signed(9)
_LIMITS = ((4, -2), (6, -1), (5, 0), (7, 0), (5, 1), (7, 1), (5, 2))
"""Between E2M1's numbers 0, 0.5, 1, 1.5, 2, 3, 4, 6 lie `v / 4 * 2^j`: (v, j) each. A tie goes to
the even code: up to code 2, 4, 6 at limits of v = 6 and 7 alone."""


class RatioLane(Component):
    """The E2M1 number nearest to `x / divisor`, by comparisons with multiples of the divisor.

    With x's significand X and the divisor's D, `x >= v / 4 * 2^j * divisor` is a comparison of X
    with `v D / 4`, cut off to X's bits, where the exponents do not tell: four comparisons of 24
    bits decide all seven limits. Latency 2: normalised number, code; the scale is read a cycle
    after the number. Source: docs/numerics.md section 16.

    Members
    -------
    number: In, float32 code.
    nan, zero, multiples, exponent: In, of `RatioScale`.
    code: Out, 0 where `nan`.
    """

    format: BlockFormat = BlockNumbers.format
    rounding: Rounding = BlockNumbers.rounding
    random_bits: int = BlockNumbers.random_bits

    def rules(self):
        if self.format.element != NVFP4_E2M1:
            raise ValueError(f"format must have elements {NVFP4_E2M1}, not {self.format.element}")
        if self.rounding is not Rounding.NEAREST:
            raise ValueError(f"rounding must be nearest for E4M3 scales, not {self.rounding.value}")

    def ports(self):
        return {
            "number": In(FP32.code_width),
            "nan": In(1),
            "zero": In(1),
            "multiples": In(ArrayLayout(MULTIPLE_BITS, len(MULTIPLES))),
            "exponent": In(EXPONENT),
            "code": Out(self.format.element.code_width),
        }

    latency = property(lambda self: 2, doc="Clock cycles from `number` to `code`.")
    scale_delay = property(lambda self: 1, doc="Cycles from `number` to its scale.")
    random_delay = property(lambda self: 1, doc="Cycles from `number` to R.")

    @property
    def registers(self) -> int:
        """Register bits: sign, significand, exponent; code."""
        return 1 + _SIGNIFICAND + _EXPONENT.width + self.format.element.code_width

    def elaborate(self, platform):
        m = Module()
        significand, exponent = normalised(m, self.number[:MAGNITUDE_BITS], name="x")
        x = registered(m, "s1_significand", significand)
        exponent = registered(m, "s1_exponent", exponent)
        sign = registered(m, "s1_sign", self.number[-1])
        apart = named(m, "apart", exponent - self.exponent)
        at_least = {j: named(m, f"apart_{j + 2}", apart >= j) for j in range(-2, 5)}
        above = {}
        for v, multiple in zip(MULTIPLES, self.multiples, strict=True):
            up = multiple[-1]
            limit = Mux(up, multiple[1:], multiple[:-1])
            above[v] = up, named(m, f"above{v}", x > limit)
        reached: list[Value] = []
        for place, (v, j) in enumerate(_LIMITS):
            up, over = above[v]
            # Binades are j apart at the limit, one more where v D / 4 is in that of 2 D; what lies
            # not above it must be one more apart.
            exact = Mux(over, at_least[j], at_least[j + 1])
            more = Mux(over, at_least[j + 1], at_least[j + 2])
            reached.append(named(m, f"reached{place}", Mux(up, more, exact)))
        bits = [
            (reached[0] & ~reached[1])
            | (reached[2] & ~reached[3])
            | (reached[4] & ~reached[5])
            | reached[6],
            (reached[1] & ~reached[3]) | reached[5],
            reached[3],
        ]
        some = x[-1] & ~self.zero
        code = Cat(Cat(bits) & some.replicate(3), sign) & ~self.nan.replicate(4)
        m.d.comb += self.code.eq(registered(m, "code_out", code))
        return m
