# amaranth: UnusedElaboratable=no
"""A block's E4M3 scale: a number by the ratio of its largest magnitude to the tensor's scale."""

from collections.abc import Mapping

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value, signed
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP8_E4M3, FP32, Rounding
from ..parts.component import Component
from ..parts.held import hold
from ..parts.magnitude import MAGNITUDE_BITS, normalised
from ..parts.values import named, registered
from .block_numbers import BlockNumbers
from .shared_exponent import largest, running_maximum
from .tensor_statistics import TensorStatistics

_SIGNIFICAND = FP32.significand_width
_TRIPLE = _SIGNIFICAND + 2
DIVISOR_BITS = _SIGNIFICAND + FP8_E4M3.significand_width
EXPONENT = signed(10)
"""Of a divisor, biased by 127, and of how far a number lies from one."""

MULTIPLES = {Rounding.NEAREST: (4, 5, 6, 7), Rounding.STOCHASTIC: (4, 6)}
"""Quarters of a divisor that elements are compared with: those of ties between elements, or of
elements themselves.
"""

MULTIPLE_BITS = _SIGNIFICAND + 1

_FIELD = signed(9)
CODE_BITS = FP8_E4M3.code_width - 1

_DIGITS = (2, 4)
"""Digits of the ratio in each of the two cycles that divide."""


class RatioScale(Component):
    """`scale` = the E4M3 number nearest to `max|x| / (6 * tensor_scale)`, and multiples of the
    divisor `scale * tensor_scale`.

    With significands P of the largest magnitude and `W = 3 T` of the tensor's scale, both
    normalised, six digits of P / W, restoring, and whether a remainder is left are four that count,
    one that rounds and what lies below: the nearest number exactly, ties to even, subnormal ones
    shifted. The divisor is a product of 4 by 24 bits. Numbers above 448 saturate.

    The tensor's scale is read with a block's first beat. Results are there `delay` cycles after the
    next block's first beat, and stay for a block. Source: docs/numerics.md section 16.

    Members
    -------
    x: In, array of float32 codes.
    first: In, this is a block's first beat.
    tensor_scale: In, 31 bits, float32 magnitude.
    nan: Out, a number or the tensor's scale is not finite.
    scale_code: Out, 7 bits: no scale is negative.
    zero: Out, the divisor is zero.
    multiples: Out, array of `v D / 4`, D the divisor's 24 upper bits and all below them, v of
        `MULTIPLES`, cut off to 25 bits, the top one the binade of 2 D; of 6 and 7 such that to be
        above one is to reach `v D / 4`.
    exponent: Out, signed: the divisor is `D * 2^(exponent - 150)`.
    divisor: Out, only stochastic, 28 bits, the top one set: all of D, a cycle later.
    """

    lanes: int = TensorStatistics.lanes
    rounding: Rounding = BlockNumbers.rounding

    delay = 3
    """Cycles from the next block's first beat to the results."""

    def ports(self):
        return {
            "x": In(ArrayLayout(FP32.code_width, self.lanes)),
            "first": In(1),
            "tensor_scale": In(MAGNITUDE_BITS),
            "nan": Out(1),
            "scale_code": Out(CODE_BITS),
            "zero": Out(1),
            "multiples": Out(ArrayLayout(MULTIPLE_BITS, len(MULTIPLES[self.rounding]))),
            "exponent": Out(EXPONENT),
            **({"divisor": Out(DIVISOR_BITS)} if self.rounding is Rounding.STOCHASTIC else {}),
        }

    @property
    def registers(self) -> int:
        """Register bits: largest magnitude; the tensor's significands, exponent, flag; those of
        the division, twice; results.
        """
        tensor = _TRIPLE + _SIGNIFICAND + _FIELD.width
        rest = _SIGNIFICAND + _FIELD.width + EXPONENT.width + 2
        divided = 2 * _TRIPLE + _DIGITS[0] + rest, 1 + sum(_DIGITS) + rest
        divisors = 2 if self.rounding is Rounding.STOCHASTIC else 1
        results = CODE_BITS + 1 + divisors * DIVISOR_BITS + EXPONENT.width
        return MAGNITUDE_BITS + tensor + 2 + sum(divided) + results

    def elaborate(self, platform):
        m = Module()
        magnitudes = [self.x[lane][:MAGNITUDE_BITS] for lane in range(self.lanes)]
        peak = running_maximum(m, largest(m, "magnitude", magnitudes), self.first)
        t, t_exponent = normalised(m, self.tensor_scale, name="t")
        triple = named(m, "triple", (t + (t << 1))[:_TRIPLE])
        high = triple[-1]
        kept = {
            "w": Mux(high, triple, triple << 1)[:_TRIPLE],
            "high": high,
            "t": t,
            "t_exponent": t_exponent,
            "infinite": self.tensor_scale[FP32.man_bits :].all(),
        }
        kept = {name: hold(m, f"held_{name}", kept[name], self.first) for name in kept}

        p, p_exponent = normalised(m, peak, name="p")
        w = kept["w"]
        digits, remainder = _divide(m, "a", p << 2, w, _DIGITS[0])
        ratio = (p_exponent - kept["t_exponent"] - kept["high"] - 2)[: EXPONENT.width]
        divided = {
            "digits": digits,
            "remainder": remainder,
            "w": w,
            "t": kept["t"],
            "t_exponent": kept["t_exponent"],
            "ratio": named(m, "ratio", ratio.as_signed()),
            "zero": ~(p[-1] & kept["t"][-1]),
            "nan": peak[FP32.man_bits :].all() | kept["infinite"],
        }
        s1 = {name: hold(m, f"s1_{name}", divided[name], self.first) for name in divided}

        more, remainder = _divide(m, "b", s1["remainder"] << 1, s1["w"], _DIGITS[1])
        s1 |= {"digits": Cat(more, s1["digits"]), "rest": remainder.any()}
        through = ("digits", "rest", "t", "t_exponent", "ratio", "zero", "nan")
        s2 = {name: registered(m, f"s2_{name}", s1[name]) for name in through}
        code = self._rounded(m, s2)
        divisor, exponent = self._divisor(m, code, s2)
        code = code | s2["nan"].replicate(CODE_BITS)
        s3_divisor = registered(m, "s3_divisor", divisor)
        m.d.comb += [
            self.nan.eq(registered(m, "s3_nan", s2["nan"])),
            self.scale_code.eq(registered(m, "s3_code", code)),
            self.zero.eq(~s3_divisor[-1]),
            self.multiples.eq(Cat(_multiples(m, s3_divisor, MULTIPLES[self.rounding]))),
            self.exponent.eq(registered(m, "s3_exponent", exponent)),
        ]
        if self.rounding is Rounding.STOCHASTIC:
            m.d.comb += self.divisor.eq(registered(m, "s4_divisor", s3_divisor))
        return m

    def _rounded(self, m: Module, s2: Mapping[str, Value]) -> Value:
        """Code of the nearest E4M3 number, 0 where a scale is zero."""
        digits, first = s2["digits"], s2["digits"][-1]
        # Four digits that count and one that rounds, the top one 1.
        window: Value = named(m, "window", Mux(first, digits[1:], digits[:-1]))
        sticky: Value = s2["rest"] | (first & digits[0])
        exponent = s2["ratio"] + FP8_E4M3.bias - ~first
        field = named(m, "field", exponent[: EXPONENT.width].as_signed())
        normal = named(m, "normal", field > 0)
        shift = named(m, "shift", Mux(normal, 0, 1 - field)[: EXPONENT.width])
        far = named(m, "far", shift >= len(window))
        window = window & ~far.replicate(len(window))
        for level in reversed(range(3)):
            step = 1 << level
            sticky = sticky | (shift[level] & window[:step].any())
            window = named(m, f"by{step}", Mux(shift[level], window >> step, window)[:5])
        up = named(m, "up", window[0] & (sticky | window[1]))
        below = Cat(window[1:4], Mux(normal, field[:4], 0))
        full = (field > FP8_E4M3.bias + FP8_E4M3.max_exp) | (below >= FP8_E4M3.max_code)
        # A subnormal number has no top bit.
        code = Mux(full, FP8_E4M3.max_code, below + up)[:CODE_BITS]
        return named(m, "code", code & ~s2["zero"].replicate(CODE_BITS))

    def _divisor(self, m: Module, code: Value, s2: Mapping[str, Value]) -> tuple[Value, Value]:
        """Both scales' product, normalised, and its exponent."""
        man_bits = FP8_E4M3.man_bits
        field = code[man_bits:]
        scale: Value = Cat(code[:man_bits], field.any())
        zeros: list[Value] = []
        for step in (2, 1):
            empty = named(m, f"empty{step}", ~scale[-step:].any())
            scale = named(m, f"scale_by{step}", Mux(empty, scale << step, scale)[:4])
            zeros.insert(0, empty)
        product = named(m, "product", (scale * s2["t"])[:DIVISOR_BITS])
        low = ~product[-1]
        divisor = Mux(low, product << 1, product)[:DIVISOR_BITS]
        exponent = s2["t_exponent"] + Mux(field.any(), field, 1) - Cat(zeros) - low - 6
        return divisor, named(m, "s2_exponent", exponent[: EXPONENT.width].as_signed())


def _divide(
    m: Module, name: str, minuend: Value, divisor: Value, count: int
) -> tuple[Value, Value]:
    """`count` digits of `minuend / divisor`, the first that of 2^0, and the remainder."""
    digits: Value = Const(0, 0)
    for place in range(count):
        difference = named(m, f"{name}_difference{place}", minuend - divisor)
        digit = ~difference[-1]
        remainder = named(
            m, f"{name}_remainder{place}", Mux(digit, difference, minuend)[: len(divisor)]
        )
        digits = Cat(digit, digits)
        minuend = remainder << 1
    return digits, remainder


def _multiples(m: Module, divisor: Value, chosen: tuple[int, ...]) -> list[Value]:
    """Of `4 D`, `5 D`, `6 D - 1`, `7 D - 1` of a divisor D those that are `chosen`, cut off to
    `MULTIPLE_BITS`.
    """
    four, eight = Cat(Const(0, 3), divisor)[1:], Cat(Const(0, 3), divisor)
    less = Cat(~divisor, Const(-1, 3))  # -D - 1
    sums = {
        4: four,
        5: four + divisor,
        6: Cat(Const(1, 1), (four + less)[: DIVISOR_BITS + 2]),
        7: eight + less,
    }
    # Zeros above where a sum is short of them.
    whole = {v: Cat(sums[v], Const(0, 3))[: DIVISOR_BITS + 3] for v in chosen}
    return [named(m, f"multiple{v}", total[-MULTIPLE_BITS:]) for v, total in whole.items()]
