# amaranth: UnusedElaboratable=no
"""Elements over their group's divisor, rounded: one lane of a quantizer."""

import enum

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, Carry, ElementFormat, check_int
from ..parts.magnitude import MAGNITUDE_BITS, normalised
from ..parts.signed_multiplier import SignedMultiplier
from ..parts.values import named, registered

_ROUNDING_LEVELS = 2
"""Levels that rounding takes, in levels of the quotient's digits."""


class Division(enum.Enum):
    """How the k bits of t below its last mantissa bit meet R."""

    DIGITS = "digits"
    """k more digits of the quotient, and R is added to them. For `<2,4>` and 8 bits 3% more area
    than the product, 20% more energy."""

    PRODUCT = "product"
    """The divisor times `2^k - R`, as far as that lies below the last digit, is compared with the
    remainder."""


class ElementDivider(wiring.Component):
    """`code = sign, exponent, r` with `r = (floor(t * 2^k) + R) >> k`, `t` the element over
    `divisor * 2^exponent` in units of its binade's last mantissa bit; k = `random_bits`.

    Significand X and divisor D have their top bits set, so X / D lies in (1/2, 2). Restoring
    division, a subtraction a digit, gives the M + 2 + k digits from the one of 2^0 on:

        q0 . q1 ... q(M+1) | k digits      >> s     s = q0 where normal, more below

    or (`Division.PRODUCT`) the first M + 2 alone, Q, with a remainder B: t rounds up where its
    fraction is at least `U = 2^k - R` in units of 2^-k, that is

        ((Q mod 2^s) + B / D) * 2^k >= U * 2^s    B * 2^k >= D * (U 2^s mod 2^k) where the rest ties

    floor(floor(a) / 2^s) = floor(a / 2^s): the shift right comes after the division, on its few
    digits, and no operand is aligned. How far the exponents lie apart and q0 are the code's
    exponent; what lies farther than the digits reach is zero.

    Latency `2 + stages` cycles: input, significand, digits, code. `peak` is read a cycle after x,
    `exponent` and `divisor[0]` 2 cycles, `divisor[i]` 2 + i, `clear` `1 + stages`, `random`
    `random_delay`.
    Source: docs/numerics.md sections 3 and 15.

    Parameters
    ----------
    element: ElementFormat.
    divisor_width: 24..28.
    carry: Carry.
    random_bits: k, 1..16.
    levels: subtractions between registers, 1..64.
    division: Division.

    Members
    -------
    x: In, float32 code.
    peak: In, 31 bits: the group's largest magnitude.
    beyond: Out, a cycle after x: its magnitude exceeds `peak`; so do NaN and infinity, where `peak`
        is finite.
    exponent: In, signed 10 bits.
    divisor: In, array of `subtractions` divisors, each a cycle later than the one before.
    random: In, R, k bits.
    clear: In, the code becomes 0.
    code: Out, `element.code_width` bits.

    Raises
    ------
    TypeError, ValueError.
    """

    _divisor_widths = (FP32.significand_width, 28)

    def __init__(
        self,
        *,
        element: ElementFormat,
        divisor_width: int,
        carry: Carry = Carry.CLIP,
        random_bits: int = 8,
        levels: int = 3,
        division: Division = Division.PRODUCT,
    ):
        if not isinstance(element, ElementFormat):
            raise TypeError(f"format must be an ElementFormat, not {element!r}")
        if not isinstance(carry, Carry):
            raise TypeError(f"carry must be a Carry, not {carry!r}")
        if not isinstance(division, Division):
            raise TypeError(f"division must be a Division, not {division!r}")
        check_int("divisor_width", divisor_width, *self._divisor_widths)
        check_int("random_bits", random_bits, 1, 16)
        check_int("levels", levels, 1, 64)
        self._element = element
        self._divisor_width = divisor_width
        self._carry = carry
        self._random_bits = random_bits
        self._levels = levels
        self._division = division
        super().__init__(
            {
                "x": In(FP32.code_width),
                "peak": In(MAGNITUDE_BITS),
                "beyond": Out(1),
                "exponent": In(signed(10)),
                "divisor": In(ArrayLayout(divisor_width, self.subtractions)),
                "random": In(random_bits),
                "clear": In(1),
                "code": Out(element.code_width),
            }
        )

    element = property(lambda self: self._element, doc="Format of the code.")
    divisor_width = property(lambda self: self._divisor_width, doc="Bits of a divisor.")
    carry = property(lambda self: self._carry, doc="What rounding up to the next binade does.")
    random_bits = property(lambda self: self._random_bits, doc="Bits of R.")
    levels = property(lambda self: self._levels, doc="Subtractions between registers.")
    division = property(lambda self: self._division, doc="How t's fraction meets R.")
    significand_width = property(
        lambda self: FP32.significand_width, doc="Upper bits of the significand that are used."
    )
    _by_product = property(lambda self: self.division is Division.PRODUCT)

    @property
    def digits(self) -> int:
        """Digits of the quotient."""
        return self.element.man_bits + 2 + (0 if self._by_product else self.random_bits)

    @property
    def subtractions(self) -> int:
        """Stages that subtract."""
        return -(-self.digits // self.levels)

    @property
    def stages(self) -> int:
        """Cycles for digits and rounding."""
        if self._by_product:
            return self.subtractions + 1
        return -(-(self.digits + _ROUNDING_LEVELS) // self.levels)

    @property
    def random_delay(self) -> int:
        """Clock cycles from `x` to `random`."""
        return self.stages + (0 if self._by_product else 1)

    latency = property(lambda self: 2 + self.stages, doc="Clock cycles from `x` to `code`.")

    @property
    def _product_width(self) -> int:
        """Bits of at most 2^k - 1 divisors."""
        return self.divisor_width + (self.random_bits if self.random_bits > 1 else 0)

    @property
    def farthest(self) -> int:
        """The distance of exponents that shifts every digit out; larger ones count as this."""
        reach = self.element.man_bits + 2 + self.random_bits
        return reach + (1 << self.element.exp_bits) - 2

    @property
    def registers(self) -> int:
        """Register bits: x; significand, exponent, sign; in front of each later stage remainder
        (while it is needed), digits so far, distance, sign; the product and the rest of `U 2^s`;
        the code.
        """
        count = FP32.code_width + self.significand_width + 9 + 1 + self.element.code_width
        for stage in range(1, self.stages):
            done = min(stage * self.levels, self.digits)
            remainder = self.divisor_width if done < self.digits or self._by_product else 0
            count += remainder + done + self.farthest.bit_length() + 1
        if self._by_product:
            count += self._product_width + self.digits + 1
        return count

    def elaborate(self, platform):
        m = Module()
        x = registered(m, "s1_x", self.x)
        significand, exponent = normalised(m, x[:MAGNITUDE_BITS], name="x")
        m.d.comb += self.beyond.eq(x[:MAGNITUDE_BITS] > self.peak)
        significand = significand[-self.significand_width :]
        significand = registered(m, "s2_significand", significand)
        exponent = registered(m, "s2_exponent", exponent)
        sign = registered(m, "s2_sign", x[-1])

        apart = named(m, "apart", self.exponent - exponent)
        nonzero = significand[-1]
        far = named(m, "far", ~nonzero | (apart >= self.farthest))
        width = self.farthest.bit_length()
        distance = named(m, "distance", Mux(far, self.farthest, apart[:width])[:width])
        divided = self._divide(m, significand, distance, sign & nonzero)
        magnitude, sign = self._round(m, *divided)
        code = Cat(magnitude, sign) & (~self.clear).replicate(self.element.code_width)
        m.d.comb += self.code.eq(registered(m, "code", code))
        return m

    def _divide(self, m, significand, distance, sign):
        """What `_round` takes."""
        remainder = Cat(Const(0, self.divisor_width - len(significand)), significand)
        quotient, product = Const(0, 0), ()
        for stage in range(self.stages):
            done = len(quotient)
            if stage:
                name = f"s{stage + 2}"
                if done < self.digits or self._by_product:
                    remainder = registered(m, f"{name}_remainder", remainder)
                quotient = registered(m, f"{name}_quotient", quotient)
                distance = registered(m, f"{name}_distance", distance)
                sign = registered(m, f"{name}_sign", sign)
            for level in range(done, min(done + self.levels, self.digits)):
                minuend = Cat(Const(0, 1), remainder) if level else remainder
                difference = named(m, f"difference{level}", minuend - self.divisor[stage])
                digit = ~difference[-1]
                kept = Mux(digit, difference, minuend)[: self.divisor_width]
                remainder = named(m, f"remainder{level}", kept)
                quotient = Cat(digit, quotient)
            if self._by_product and stage == self.stages - 2:
                product = self._multiply(m, quotient[-1], distance, self.divisor[stage])
        quotient = named(m, "quotient", quotient)
        shift = self._shift(m, quotient[-1], distance, name="shift")
        if self._by_product:
            up = self._compare(m, quotient, shift, remainder, *product)
        else:
            k = self.random_bits
            up = (named(m, "fraction", (quotient >> shift)[:k]) + self.random)[k]
        return quotient, shift, distance, sign, up

    def _shift(self, m, first, distance, *, name):
        """s: how many of the digits lie below the last mantissa bit and the k bits behind it."""
        top = (1 << self.element.exp_bits) - 1
        below = distance - (top - 1)
        return named(m, name, Mux(distance < top, first, below)[: len(distance)])

    def _multiply(self, m, first, distance, divisor):
        """Registers of `D (U 2^s mod 2^k)`, `U 2^s >> k` and whether the latter has more bits than
        there are digits.
        """
        k = self.random_bits
        threshold = named(m, "threshold", ((1 << k) - self.random)[: k + 1])
        shift = self._shift(m, first, distance, name="early_shift")
        moved = named(m, "moved", (threshold << shift)[: 2 * k + 1 + self.digits])
        m.submodules.multiplier = multiplier = SignedMultiplier(
            x_width=self.divisor_width + 1,
            y_width=k + 1,
            product_width=self._product_width,
        )
        m.d.comb += [multiplier.x.eq(divisor), multiplier.y.eq(moved[:k])]
        return (
            registered(m, "product", multiplier.product),
            registered(m, "whole", moved[k : k + self.digits]),
            registered(m, "too_large", moved[k + self.digits :].any()),
        )

    def _compare(self, m, quotient, shift, remainder, product, whole, too_large):
        """Whether t's fraction is at least U."""
        ones = Const(-1, signed(self.digits + 1))
        low = named(m, "low", (quotient & ~(ones << shift))[: self.digits])
        reached = named(m, "reached", Cat(Const(0, self.random_bits), remainder) >= product)
        return ~too_large & ((low > whole) | ((low == whole) & reached))

    def _round(self, m, quotient, shift, distance, sign, up):
        """Exponent and mantissa fields, which `up` increments; and the sign."""
        fmt = self.element
        first = quotient[-1]
        top = (1 << fmt.exp_bits) - 1
        whole = quotient[self.digits - fmt.man_bits - 2 :]
        shifted = named(m, "shifted", whole >> shift)
        mantissa, hidden = shifted[: fmt.man_bits], shifted[fmt.man_bits]
        # A normal number's exponent is `top - distance + first`: `top` has all bits set.
        normal = (~distance[: fmt.exp_bits]) + first
        exponent = Mux(distance < top, normal, hidden)[: fmt.exp_bits]
        exact = named(m, "exact", Cat(mantissa, exponent))
        full = mantissa if self.carry is Carry.CLIP else exact
        rounded = exact + (up & ~Cat(full, Const(1, 1)).all())
        # x = 1 becomes the largest code.
        one = named(m, "one", first & ~distance.any())
        return named(m, "rounded", rounded[: len(exact)]) | one.replicate(len(exact)), sign
