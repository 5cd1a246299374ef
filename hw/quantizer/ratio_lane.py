"""Elements over two scales' product, rounded without a division: a lane of the NVFP4 quantizer."""

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value, signed
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, NVFP4_E2M1, BlockFormat, Rounding
from ..parts.component import Component
from ..parts.magnitude import MAGNITUDE_BITS, normalised
from ..parts.values import named, registered
from .block_numbers import BlockNumbers
from .ratio_scale import DIVISOR_BITS, EXPONENT, MULTIPLE_BITS, MULTIPLES

_SIGNIFICAND = FP32.significand_width
_EXPONENT = signed(9)
_REACHED = {
    Rounding.NEAREST: ((4, -2), (6, -1), (5, 0), (7, 0), (5, 1), (7, 1), (5, 2)),
    Rounding.STOCHASTIC: ((4, -1), (4, 0), (6, 0), (4, 1), (6, 1), (4, 2), (6, 2)),
}
"""`v / 4 * 2^j`: the (v, j) of the limits between E2M1's numbers 0, 0.5, 1, 1.5, 2, 3, 4, 6, and
those of the numbers but 0. A tie goes to the even code: up to code 2, 4, 6 at limits of v = 6 and 7
alone. A number itself counts as the end of what lies below it, which R always rounds up.
"""


class RatioLane(Component):
    """The E2M1 number nearest to `x / divisor`, or by R, by comparisons with multiples of the
    divisor.

    With x's significand X and the divisor's D, `x >= v / 4 * 2^j * divisor` is a comparison of X
    with `v D / 4`, cut off to X's bits, where the exponents do not tell: four comparisons of 24
    bits decide all seven limits. Stochastic, two decide between which numbers x lies; the lower one
    is I steps, and x becomes the upper one where `X * 2^k >= D * ((I + 1) * 2^k - R)`, shifted by
    the exponents: a product of 28 by k + 3 bits.

    Latency 2: normalised number, code; stochastic 3: between them the lower code. The scale is read
    a cycle after the number. Source: docs/numerics.md section 16.

    Members
    -------
    number: In, float32 code.
    nan, zero, multiples, exponent, divisor: In, of `RatioScale`.
    random: In, R, only stochastic, beside the scale.
    code: Out, 0 where `nan`.
    """

    format: BlockFormat = BlockNumbers.format
    rounding: Rounding = BlockNumbers.rounding
    random_bits: int = BlockNumbers.random_bits

    def rules(self):
        if self.format.element != NVFP4_E2M1:
            raise ValueError(f"format must have elements {NVFP4_E2M1}, not {self.format.element}")

    def ports(self):
        words = {"random": In(self.random_bits), "divisor": In(DIVISOR_BITS)}
        return {
            "number": In(FP32.code_width),
            "nan": In(1),
            "zero": In(1),
            "multiples": In(ArrayLayout(MULTIPLE_BITS, len(MULTIPLES[self.rounding]))),
            "exponent": In(EXPONENT),
            **(words if self._stochastic else {}),
            "code": Out(self.format.element.code_width),
        }

    latency = property(
        lambda self: 3 if self._stochastic else 2, doc="Clock cycles from `number` to `code`."
    )
    scale_delay = property(lambda self: 1, doc="Cycles from `number` to its scale.")
    random_delay = property(lambda self: 1, doc="Cycles from `number` to R.")
    _stochastic = property(lambda self: self.rounding is Rounding.STOCHASTIC)

    @property
    def registers(self) -> int:
        """Register bits: sign, significand, exponent; code; stochastic between them lower code,
        sign and flag, significand and its shift, product's factor.
        """
        bits = 1 + _SIGNIFICAND + _EXPONENT.width + self.format.element.code_width
        if self._stochastic:
            bits += 3 + 2 + _SIGNIFICAND + self._shift_bits + self.random_bits + 3
        return bits

    @property
    def _shift_bits(self) -> int:
        """Of the shift that brings X to the product: up to k + 2 places."""
        return (self.random_bits + 2).bit_length()

    def elaborate(self, platform):
        m = Module()
        significand, exponent = normalised(m, self.number[:MAGNITUDE_BITS], name="x")
        x = registered(m, "s1_significand", significand)
        exponent = registered(m, "s1_exponent", exponent)
        s1_sign = registered(m, "s1_sign", self.number[-1])
        apart = named(m, "apart", exponent - self.exponent)
        bits = self._reached(m, x, apart)
        some = named(m, "some", x[-1] & ~self.zero & ~self.nan)
        sign: Value = s1_sign & ~self.nan
        code: Value = named(m, "lower", Cat(bits) & some.replicate(3))
        if self._stochastic:
            code, sign = self._rounded_up(m, code, x, apart, some, sign)
        m.d.comb += self.code.eq(registered(m, "code_out", Cat(code, sign)))
        return m

    def _reached(self, m: Module, x: Value, apart: Value) -> list[Value]:
        """How many limits, or numbers, x reaches: three bits."""
        at_least = {j: named(m, f"apart_{j + 2}", apart >= j) for j in range(-2, 5)}
        above = {}
        for v, multiple in zip(MULTIPLES[self.rounding], self.multiples, strict=True):
            up = multiple[-1]
            limit = Mux(up, multiple[1:], multiple[:-1])
            above[v] = up, named(m, f"above{v}", x > limit)
        reached: list[Value] = []
        for place, (v, j) in enumerate(_REACHED[self.rounding]):
            up, over = above[v]
            # Binades are j apart at the limit, one more where v D / 4 is in that of 2 D; what lies
            # not above it must be one more apart.
            exact = Mux(over, at_least[j], at_least[j + 1])
            more = Mux(over, at_least[j + 1], at_least[j + 2])
            reached.append(named(m, f"reached{place}", Mux(up, more, exact)))
        odd = [reached[place] & ~reached[place + 1] for place in (0, 2, 4)]
        return [
            odd[0] | odd[1] | odd[2] | reached[6],
            (reached[1] & ~reached[3]) | reached[5],
            reached[3],
        ]

    def _rounded_up(
        self, m: Module, code: Value, x: Value, apart: Value, some: Value, sign: Value
    ) -> tuple[Value, Value]:
        """The code or the one above it, a cycle later, and the sign beside it."""
        k = self.random_bits
        # Steps are halves up to code 3, then 1, then 2; the lower number is 0 or 1 of them, or 2
        # or 3 in binades of normal numbers.
        wide = Mux(code[2], code[1] + 1, 0)
        next_steps = Cat(code[0], code[1:].any()) + 1
        factor = named(m, "factor", ((next_steps << k) - self.random)[: k + 3])
        shift = named(m, "shift", apart + 1 + k - wide)
        few = ~some | (shift < 0) | code.all()
        s2_code, s2_sign, s2_factor, s2_x = (
            registered(m, f"s2_{name}", value)
            for name, value in (("code", code), ("sign", sign), ("factor", factor), ("x", x))
        )
        s2_few = registered(m, "s2_few", few)
        s2_shift = registered(m, "s2_shift", shift[: self._shift_bits])
        number = Cat(Const(0, DIVISOR_BITS - _SIGNIFICAND), s2_x) << s2_shift
        product = named(m, "product", self.divisor * s2_factor)
        up = named(m, "up", (number >= product) & ~s2_few)
        return (s2_code + up)[:3], s2_sign
