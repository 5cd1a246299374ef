# amaranth: UnusedElaboratable=no
"""How a lane of a quantizer divides an element by its group's divisor, and what then meets R."""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value, ValueLike, signed

from ...golden.spec import FP32, ElementFormat, Scaling
from ..parts.signed_multiplier import SignedMultiplier
from ..parts.unsigned_multiplier import UnsignedMultiplier
from ..parts.values import named, registered
from .reciprocal import reciprocal_cycles

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


class Element(NamedTuple):
    """What is divided: `significand`, X; `distance`, how far its exponent lies below the divisor's,
    at most `farthest`, or all ones where it lies above (delayed scaling); `sign`.
    """

    significand: Value
    distance: Value
    sign: Value


class Divided(NamedTuple):
    """What is rounded: the digits of X / D from the one of 2^0 on; `shift`, s, how many of them t
    does not keep; `distance` and `sign` of the element; and whether t rounds `up`.
    """

    digits: Value
    shift: Value
    distance: Value
    sign: Value
    up: Value


@dataclass(frozen=True, kw_only=True)
class Quotient:
    """A way to divide, built into a lane's module: behind the registers of an `Element`, in front
    of the code's. The lane has checked the parameters.

    Parameters
    ----------
    format: of the code.
    random_bits: k.
    scaling: whose maximum the divisor has; with a delayed one x may exceed 1.

    Members
    -------
    significand_width: upper bits of the significand that are used.
    divisor_width: bits of a word that is read from the lane's port `divisor`.
    divisors: cycles, one after another, in which such a word is read.
    cycles: from the element to the code.
    random_delay: clock cycles from the lane's `x` to R.
    registers: register bits.
    """

    format: ElementFormat
    random_bits: int
    scaling: Scaling = Scaling.CURRENT

    significand_width = FP32.significand_width

    if TYPE_CHECKING:  # a quotient has each as a property or as a parameter

        @property
        def divisor_width(self) -> int: ...
        @property
        def divisors(self) -> int: ...
        @property
        def cycles(self) -> int: ...
        @property
        def random_delay(self) -> int: ...
        @property
        def registers(self) -> int: ...

    def divide(self, m: Module, element: Element, divisor: ValueLike, random: Value) -> Divided:
        """Build it; `divisor` is the port of the lane, `random` is R."""
        raise NotImplementedError

    @property
    def digits(self) -> int:
        """Digits of the quotient: those of t with what rounds it."""
        return self.format.man_bits + 2 + self.random_bits

    @property
    def farthest(self) -> int:
        """The distance of exponents that shifts every digit out; larger ones count as this."""
        reach = self.format.man_bits + 2 + self.random_bits
        return reach + (1 << self.format.exp_bits) - 2

    @property
    def distance_width(self) -> int:
        """Bits of a distance: up to `farthest`; with delayed scaling all ones lie beyond it."""
        return (self.farthest + (self.scaling is Scaling.DELAYED)).bit_length()

    @property
    def _beside(self) -> int:
        """Bits of distance and sign, which travel beside the digits."""
        return self.distance_width + 1

    def _shift(self, m, first, distance, *, name="shift"):
        """s: how many of the digits lie below the last mantissa bit and the k bits behind it."""
        top = (1 << self.format.exp_bits) - 1
        below = distance - (top - 1)
        return named(m, name, Mux(distance < top, first, below)[: len(distance)])

    def _add_random(self, m, digits, distance, sign, random):
        """R is added to the k digits behind the last mantissa bit."""
        k = self.random_bits
        digits = named(m, "quotient", digits)
        shift = self._shift(m, digits[-1], distance)
        up = (named(m, "fraction", (digits >> shift)[:k]) + random)[k]
        return Divided(digits, shift, distance, sign, up)


@dataclass(frozen=True, kw_only=True)
class _Subtracting(Quotient):
    """Restoring division: a subtraction a digit, each stage with the divisor of its own.

    Parameters
    ----------
    divisor_width: bits of a divisor.
    levels: subtractions between registers.
    """

    divisor_width: int
    levels: int

    @property
    def divisors(self) -> int:
        """Stages that subtract, each of which reads the divisor."""
        return -(-self.digits // self.levels)

    @property
    def _subtracting_registers(self) -> int:
        """In front of each stage that subtracts but the first: remainder, digits so far, distance,
        sign.
        """
        stages = range(1, self.divisors)
        return sum(self.divisor_width + stage * self.levels + self._beside for stage in stages)

    def _subtract(self, m, element, divisor):
        """Remainder, digits, distance and sign."""
        significand, distance, sign = element
        remainder: Value = Cat(Const(0, self.divisor_width - len(significand)), significand)
        quotient: Value = Const(0, 0)
        for stage in range(self.divisors):
            if stage:
                remainder = registered(m, f"s{stage + 2}_remainder", remainder)
                quotient, distance, sign = _stage(
                    m, f"s{stage + 2}", quotient=quotient, distance=distance, sign=sign
                )
            done = len(quotient)
            for level in range(done, min(done + self.levels, self.digits)):
                minuend = Cat(Const(0, 1), remainder) if level else remainder
                difference = named(m, f"difference{level}", minuend - divisor[stage])
                digit = ~difference[-1]
                kept = Mux(digit, difference, minuend)[: self.divisor_width]
                remainder = named(m, f"remainder{level}", kept)
                quotient = Cat(digit, quotient)
        return remainder, quotient, distance, sign


class DigitQuotient(_Subtracting):
    """`Division.DIGITS`: all M + 2 + k digits by subtraction.

        q0 . q1 ... q(M+1) | k digits      >> s     s = q0 where normal, more below

    R is added to the k digits.
    """

    @property
    def cycles(self) -> int:
        """For digits and rounding."""
        return -(-(self.digits + _ROUNDING_LEVELS) // self.levels)

    @property
    def random_delay(self) -> int:
        """Clock cycles from the lane's `x` to R: until the last stage."""
        return self.cycles + 1

    @property
    def registers(self) -> int:
        """Register bits: of the subtractions; in front of a later stage digits, distance, sign."""
        later = self.cycles - self.divisors
        return self._subtracting_registers + later * (self.digits + self._beside)

    def divide(self, m: Module, element: Element, divisor: ValueLike, random: Value) -> Divided:
        _, quotient, distance, sign = self._subtract(m, element, divisor)
        for stage in range(self.divisors, self.cycles):
            quotient, distance, sign = _stage(
                m, f"s{stage + 2}", quotient=quotient, distance=distance, sign=sign
            )
        return self._add_random(m, quotient, distance, sign, random)


class ProductQuotient(_Subtracting):
    """`Division.PRODUCT`: the first M + 2 digits, Q, with a remainder B. t rounds up where its
    fraction is at least `U = 2^k - R` in units of 2^-k, that is

        ((Q mod 2^s) + B / D) * 2^k >= U * 2^s    B * 2^k >= D * (U 2^s mod 2^k) where the rest ties
    """

    @property
    def digits(self) -> int:
        """Digits of the quotient: those of t."""
        return self.format.man_bits + 2

    @property
    def cycles(self) -> int:
        """For digits and comparison."""
        return self.divisors + 1

    @property
    def random_delay(self) -> int:
        """Clock cycles from the lane's `x` to R: until the product, a stage before the last."""
        return self.cycles

    @property
    def registers(self) -> int:
        """Register bits: of the subtractions; behind them remainder, digits, distance, sign, the
        product and the rest of `U 2^s`.
        """
        last = self.divisor_width + self.digits + self._beside
        return self._subtracting_registers + last + self._product_width + self.digits + 1

    @property
    def _product_width(self) -> int:
        """Bits of at most 2^k - 1 divisors."""
        return self.divisor_width + (self.random_bits if self.random_bits > 1 else 0)

    def divide(self, m: Module, element: Element, divisor: ValueLike, random: Value) -> Divided:
        remainder, quotient, distance, sign = self._subtract(m, element, divisor)
        product = self._multiply(m, quotient[-1], distance, divisor[self.divisors - 1], random)
        stage = f"s{self.cycles + 1}"
        remainder = registered(m, f"{stage}_remainder", remainder)
        quotient, distance, sign = _stage(m, stage, quotient=quotient, distance=distance, sign=sign)
        quotient = named(m, "quotient", quotient)
        shift = self._shift(m, quotient[-1], distance)
        up = self._compare(m, quotient, shift, remainder, *product)
        return Divided(quotient, shift, distance, sign, up)

    def _multiply(self, m, first, distance, divisor, random):
        """Registers of `D (U 2^s mod 2^k)`, `U 2^s >> k` and whether the latter has more bits than
        there are digits.
        """
        k = self.random_bits
        threshold = named(m, "threshold", ((1 << k) - random)[: k + 1])
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


@dataclass(frozen=True, kw_only=True)
class ReciprocalQuotient(Quotient):
    """Not exact: `Q = floor((2 X_p + 1) (2 J + 1) / 2^(2p+1) * 2^(M+1+k))`, `X_p` being the upper p
    bits of the significand, and R is added to its digits.

    The word that is read is the lower bits of J; it comes later by the latency n of the
    `Reciprocal` that it comes from. Cycles: n to wait, product, code.

    Parameters
    ----------
    reciprocal_bits: p.
    levels: subtractions between registers of the `Reciprocal`.
    """

    reciprocal_bits: int
    levels: int

    divisors = 1

    significand_width = property(lambda self: self.reciprocal_bits, doc="Bits of `X_p`.")
    divisor_width = property(lambda self: self.reciprocal_bits - 1, doc="Bits of J below its top.")
    cycles = property(lambda self: self._waits + 2, doc="Until the product is rounded.")
    random_delay = property(lambda self: self.cycles + 1, doc="Cycles from the lane's `x` to R.")
    _waits = property(lambda self: reciprocal_cycles(self.reciprocal_bits, self.levels))

    @property
    def registers(self) -> int:
        """Register bits: as long as the reciprocal takes significand, distance, sign; then digits,
        distance, sign.
        """
        waiting = self._waits * (self.reciprocal_bits + self._beside)
        return waiting + self._kept + self._beside

    @property
    def _kept(self) -> int:
        """Digits of the quotient that are not always 0."""
        return min(self.digits, 2 * self.reciprocal_bits + 2)

    def divide(self, m: Module, element: Element, divisor: ValueLike, random: Value) -> Divided:
        significand, distance, sign = element
        for stage in range(self._waits):
            significand, distance, sign = _stage(
                m, f"s{stage + 3}", significand=significand, distance=distance, sign=sign
            )
        one = Const(1, 1)
        width = self.reciprocal_bits + 1
        m.submodules.multiplier = multiplier = UnsignedMultiplier(width=width)
        m.d.comb += [
            multiplier.x.eq(Cat(one, significand)),
            multiplier.y.eq(Cat(one, divisor[0], one)),
        ]
        digits = registered(m, "digits", multiplier.product[2 * width - self._kept :])
        distance, sign = _stage(m, "late", distance=distance, sign=sign)
        quotient = Cat(Const(0, self.digits - self._kept), digits)
        return self._add_random(m, quotient, distance, sign, random)


def _stage(m: Module, name: str, **values: Value) -> list[Value]:
    """Registers of `values`, called after `name` and them."""
    return [registered(m, f"{name}_{value}", each) for value, each in values.items()]


def choose_quotient(
    *,
    format: ElementFormat,
    random_bits: int,
    divisor_width: int,
    reciprocal_bits: int,
    levels: int,
    division: Division,
    scaling: Scaling,
) -> Quotient:
    """The quotient of a lane's parameters."""
    common: dict[str, Any] = {
        "format": format,
        "random_bits": random_bits,
        "levels": levels,
        "scaling": scaling,
    }
    if reciprocal_bits:
        return ReciprocalQuotient(**common, reciprocal_bits=reciprocal_bits)
    kind = {Division.DIGITS: DigitQuotient, Division.PRODUCT: ProductQuotient}[division]
    return kind(**common, divisor_width=divisor_width)
