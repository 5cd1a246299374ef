# amaranth: UnusedElaboratable=no
"""Elements over their group's divisor, rounded: one lane of a quantizer."""

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value, signed
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, Carry, ElementFormat, Scaling
from ..parts.component import Component, parameter
from ..parts.lfsr import Lfsr
from ..parts.magnitude import MAGNITUDE_BITS, normalised
from ..parts.values import named, registered
from .quotients import Divided, Division, Element, Quotient, choose_quotient
from .reciprocal import MOST_BITS, Reciprocal, check_reciprocal_bits
from .scale_quantizer import ScaleQuantizer


class QuantizerLane(Component):
    """`code = sign, exponent, r` with `r = (floor(t * 2^k) + R) >> k`, `t` the element over
    `divisor * 2^exponent` in units of its binade's last mantissa bit; k = `random_bits`.

    Significand X and divisor D have their top bits set, so X / D lies in (1/2, 2). A `Quotient`
    gives its digits from the one of 2^0 on, and says whether t rounds up. floor(floor(a) / 2^s) =
    floor(a / 2^s): the shift right comes after the division, on its few digits, and no operand is
    aligned. How far the exponents lie apart and the first digit are the code's exponent; what lies
    farther than the digits reach is zero. With delayed scaling an element may exceed its divisor:
    it becomes the largest code.

    Latency `2 + cycles`: input, significand, those of the quotient, the last of which is the code.
    `peak` is read a cycle after x, `exponent` and `divisor[0]` 2 cycles (with a reciprocal
    `divisor[0]` later by its latency), `divisor[i]` 2 + i, `clear` `1 + cycles`, `random`
    `random_delay`.
    Source: docs/numerics.md sections 3 and 15.

    Members
    -------
    x: In, float32 code.
    peak: In, 31 bits: the group's largest magnitude.
    beyond: Out, a cycle after x: its magnitude exceeds `peak`; so do NaN and infinity, where `peak`
        is finite.
    exponent: In, signed 10 bits.
    divisor: In, array of `quotient.divisors` divisors, each a cycle later than the one before; or
        of one `Reciprocal`'s digits.
    random: In, R, k bits.
    clear: In, the code becomes 0.
    code: Out, `format.code_width` bits.
    """

    format: ElementFormat = parameter("of the codes")
    divisor_width: int = Reciprocal.divisor_width
    carry: Carry = parameter("what rounding up to the next binade does", default=Carry.CLIP)
    random_bits: int = parameter(
        "k, bits of R", low=1, high=16, default=Lfsr.parameters["random_bits"].default
    )
    reciprocal_bits: int = parameter(
        "p, bits of the reciprocal that divides, at least 4; or 0: exact division",
        low=0,
        high=MOST_BITS,
        default=0,
    )
    levels: int = Reciprocal.levels
    division: Division = parameter(
        "how t's fraction meets R; unused with a reciprocal", default=Division.PRODUCT
    )
    scaling: Scaling = ScaleQuantizer.scaling

    def rules(self):
        check_reciprocal_bits(self.reciprocal_bits)

    def ports(self):
        self._quotient = choose_quotient(
            format=self.format,
            random_bits=self.random_bits,
            divisor_width=self.divisor_width,
            reciprocal_bits=self.reciprocal_bits,
            levels=self.levels,
            division=self.division,
            scaling=self.scaling,
        )
        return {
            "x": In(FP32.code_width),
            "peak": In(MAGNITUDE_BITS),
            "beyond": Out(1),
            "exponent": In(signed(10)),
            "divisor": In(ArrayLayout(self.quotient.divisor_width, self.quotient.divisors)),
            "random": In(self.random_bits),
            "clear": In(1),
            "code": Out(self.format.code_width),
        }

    @property
    def quotient(self) -> Quotient:
        """How it divides."""
        return self._quotient

    cycles = property(lambda self: self.quotient.cycles, doc="For quotient and rounding.")
    latency = property(lambda self: 2 + self.cycles, doc="Clock cycles from `x` to `code`.")
    random_delay = property(
        lambda self: self.quotient.random_delay, doc="Clock cycles from `x` to `random`."
    )

    @property
    def registers(self) -> int:
        """Register bits: x; significand, exponent, sign; the quotient's; the code."""
        first = FP32.code_width + self.quotient.significand_width + 9 + 1
        return first + self.quotient.registers + self.format.code_width

    def elaborate(self, platform):
        m = Module()
        x = registered(m, "s1_x", self.x)
        magnitude, exponent = normalised(m, x[:MAGNITUDE_BITS], name="x")
        m.d.comb += self.beyond.eq(x[:MAGNITUDE_BITS] > self.peak)
        significand = magnitude[-self.quotient.significand_width :]
        significand = registered(m, "s2_significand", significand)
        exponent = registered(m, "s2_exponent", exponent)
        sign = registered(m, "s2_sign", x[-1])

        apart = named(m, "apart", self.exponent - exponent)
        nonzero = significand[-1]
        farthest = self.quotient.farthest
        far = named(m, "far", ~nonzero | (apart >= farthest))
        width = self.quotient.distance_width
        within = Mux(far, farthest, apart[:width])
        if self.scaling is Scaling.DELAYED:
            within |= (nonzero & apart[-1]).replicate(width)
        distance = named(m, "distance", within[:width])
        element = Element(significand, distance, sign & nonzero)
        divided = self.quotient.divide(m, element, self.divisor, self.random)
        code = Cat(self._round(m, divided), divided.sign)
        code &= (~self.clear).replicate(self.format.code_width)
        m.d.comb += self.code.eq(registered(m, "code", code))
        return m

    def _round(self, m: Module, divided: Divided) -> Value:
        """Exponent and mantissa fields, which `up` increments."""
        fmt = self.format
        first, distance = divided.digits[-1], divided.distance
        top = (1 << fmt.exp_bits) - 1
        whole = divided.digits[-fmt.man_bits - 2 :]
        shifted = named(m, "shifted", whole >> divided.shift)
        mantissa, hidden = shifted[: fmt.man_bits], shifted[fmt.man_bits]
        # A normal number's exponent is `top - distance + first`: `top` has all bits set.
        normal = (~distance[: fmt.exp_bits]) + first
        exponent = Mux(distance < top, normal, hidden)[: fmt.exp_bits]
        exact = named(m, "exact", Cat(mantissa, exponent))
        full = mantissa if self.carry is Carry.CLIP else exact
        rounded = exact + (divided.up & ~Cat(full, Const(1, 1)).all())
        # x = 1 becomes the largest code, and what lies above it.
        one = first & ~distance.any()
        if self.scaling is Scaling.DELAYED:
            one |= distance.all()
        one = named(m, "one", one)
        return named(m, "rounded", rounded[: len(exact)]) | one.replicate(len(exact))
