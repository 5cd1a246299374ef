# amaranth: UnusedElaboratable=no
"""Elements times a short reciprocal of their group's divisor: a lane of a cheaper quantizer, not
exact.
"""

from amaranth import Cat, Const, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, Carry, ElementFormat, check_int
from ..parts.unsigned_multiplier import UnsignedMultiplier
from ..parts.values import named, registered
from .element_divider import Division, ElementDivider

_FEWEST, _MOST = 4, 16
"""Bits of a reciprocal."""


def _pipeline_stages(reciprocal_bits: int, levels: int) -> int:
    """Of a reciprocal; its first digit takes no subtraction."""
    return -(-(reciprocal_bits - 1) // levels)


class Reciprocal(wiring.Component):
    """`J = floor(2^(2p) / (2 D_p + 1))`, `D_p` the upper p = `reciprocal_bits` bits of the divisor.

    Restoring division, a subtraction a digit. J's first digit is 1. Latency `ceil((p - 1) /
    levels)` cycles. Source: docs/numerics.md section 15.

    Parameters
    ----------
    reciprocal_bits: p, 4..16.
    divisor_width: 24..28.
    levels: subtractions between registers, 1..64.

    Members
    -------
    divisor: In, `divisor_width` bits, the top one set.
    digits: Out, the p - 1 lower bits of J.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(self, *, reciprocal_bits: int, divisor_width: int, levels: int = 3):
        check_int("reciprocal_bits", reciprocal_bits, _FEWEST, _MOST)
        check_int("divisor_width", divisor_width, FP32.significand_width, 28)
        check_int("levels", levels, 1, 64)
        self._reciprocal_bits = reciprocal_bits
        self._levels = levels
        super().__init__({"divisor": In(divisor_width), "digits": Out(reciprocal_bits - 1)})

    reciprocal_bits = property(lambda self: self._reciprocal_bits, doc="Bits of J.")
    divisor_width = property(lambda self: len(self.divisor), doc="Bits of the divisor.")
    levels = property(lambda self: self._levels, doc="Subtractions between registers.")

    @property
    def latency(self) -> int:
        """Clock cycles from `divisor` to `digits`."""
        return _pipeline_stages(self.reciprocal_bits, self.levels)

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
        digits = Const(0, 0)
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


class ElementMultiplier(ElementDivider):
    """An `ElementDivider` whose quotient is `Q = floor((2 X_p + 1) (2 J + 1) / 2^(2p+1) *
    2^(M+1+k))`, `X_p` being the upper p = `reciprocal_bits` bits of the significand.

    `divisor[0]` is the lower bits of J; it is read later by the latency n of the `Reciprocal` that
    it comes from. Latency `2 + stages` cycles, `4 + n`: input, significand, n to wait, product,
    code. Source: docs/numerics.md section 15.

    Parameters
    ----------
    reciprocal_bits: p, 4..16.
    element, carry, random_bits, levels: as `ElementDivider`.

    Raises
    ------
    TypeError, ValueError.
    """

    _divisor_widths = (_FEWEST - 1, _MOST - 1)

    def __init__(
        self,
        *,
        element: ElementFormat,
        reciprocal_bits: int,
        carry: Carry = Carry.CLIP,
        random_bits: int = 8,
        levels: int = 3,
    ):
        check_int("reciprocal_bits", reciprocal_bits, _FEWEST, _MOST)
        super().__init__(
            element=element,
            divisor_width=reciprocal_bits - 1,
            carry=carry,
            random_bits=random_bits,
            levels=levels,
            division=Division.DIGITS,
        )

    reciprocal_bits = property(lambda self: self.divisor_width + 1, doc="Bits of J.")
    significand_width = property(
        lambda self: self.reciprocal_bits, doc="Upper bits of the significand that are used."
    )
    subtractions = property(lambda self: 1, doc="Stages that read the divisor.")
    _waits = property(lambda self: _pipeline_stages(self.reciprocal_bits, self.levels))
    stages = property(lambda self: self._waits + 2, doc="Cycles for product and rounding.")

    @property
    def registers(self) -> int:
        """Register bits: x; significand, exponent, sign; as long as the reciprocal takes
        significand, distance, sign; digits, distance, sign; the code.
        """
        p, rest = self.reciprocal_bits, self.farthest.bit_length() + 1
        count = FP32.code_width + p + 9 + 1 + self.element.code_width
        return count + self._waits * (p + rest) + self._kept + rest

    @property
    def _kept(self) -> int:
        """Digits of the quotient that are not always 0."""
        return min(self.digits, 2 * self.reciprocal_bits + 2)

    def _divide(self, m, significand, distance, sign):
        """What `_round` takes."""
        for stage in range(self._waits):
            significand = registered(m, f"s{stage + 3}_significand", significand)
            distance = registered(m, f"s{stage + 3}_distance", distance)
            sign = registered(m, f"s{stage + 3}_sign", sign)
        one = Const(1, 1)
        width = self.reciprocal_bits + 1
        m.submodules.multiplier = multiplier = UnsignedMultiplier(width=width)
        m.d.comb += [
            multiplier.x.eq(Cat(one, significand)),
            multiplier.y.eq(Cat(one, self.divisor[0], one)),
        ]
        digits = registered(m, "digits", multiplier.product[2 * width - self._kept :])
        distance = registered(m, "late_distance", distance)
        sign = registered(m, "late_sign", sign)
        quotient = named(m, "quotient", Cat(Const(0, self.digits - self._kept), digits))
        shift = self._shift(m, quotient[-1], distance, name="shift")
        k = self.random_bits
        up = (named(m, "fraction", (quotient >> shift)[:k]) + self.random)[k]
        return quotient, shift, distance, sign, up
