# amaranth: UnusedElaboratable=no
"""A group's scale code and its divisor, from two float32 maxima."""

from amaranth import Cat, Const, Module, Mux
from amaranth.hdl import Value, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, ScaleFormat, Scaling
from ..parts.component import Component, parameter
from ..parts.magnitude import MAGNITUDE_BITS, normalised
from ..parts.values import named, registered

_SIGNIFICAND = FP32.significand_width
_EXPONENT = signed(9)
_RATIO = signed(10)
"""Of the maxima's exponents: -286 to 287."""


def divisor_width(scale: ScaleFormat) -> int:
    """Bits of a divisor: `(2^Mg + i) * T < 2^(Mg + 1) * 2^24`; without a mantissa it is T."""
    return _SIGNIFICAND + (scale.man_bits + 1 if scale.man_bits else 0)


class ScaleQuantizer(Component):
    """`S_g` = smallest scale >= `S_r / S_t`, and the divisor `S_g * S_t = divisor * 2^(exponent -
    150 - extra)`, `extra` being `divisor_width - 24`.

    With significands R and T and exponents of the maxima, `R' = R <= T ? 2 R : R` lies in (T, 2 T]:
    that settles the scale's exponent, and its mantissa counts the multiples `(2^Mg + i) * T` below
    `2^Mg * R'`. The multiple that is not is the divisor, its top bit set. Ratios below the grid get
    its smallest value; so does `S_r = 0`. Exact, subnormal maxima included.

    Delayed scaling: `S_r` may exceed `S_t`, and ratios above the grid get its largest value.

    Latency 2 cycles from the maxima to the scale code; the maxima are compared before their
    registers. Source: docs/numerics.md sections 3 and 15.

    Members
    -------
    start: In, the maxima belong to a new group; otherwise those of the last one stay.
    group_max, tensor_max: In, 31 bits, `S_r` and `S_t` as float32 magnitudes.
    peak: Out, 31 bits: `group_max`, a cycle later, held.
    invalid: Out, beside `peak`: a maximum is NaN or infinite; or `S_r > S_t`, with delayed scaling
        only where `S_t = 0`.
    scale_code: Out, `scale.code_width` bits; 0 where invalid.
    divisor: Out, `divisor_width` bits, beside `scale_code`.
    exponent: Out, signed 10 bits, beside `scale_code`.
    """

    scale: ScaleFormat = parameter("of `S_g`, a group's scale")
    scaling: Scaling = parameter("whose maximum `S_t` is", default=Scaling.CURRENT)
    gated: bool = parameter("whether the results change with a new group alone", default=False)

    def ports(self):
        return {
            "start": In(1),
            "group_max": In(MAGNITUDE_BITS),
            "tensor_max": In(MAGNITUDE_BITS),
            "peak": Out(MAGNITUDE_BITS),
            "invalid": Out(1),
            "scale_code": Out(self.scale.code_width),
            "divisor": Out(self.divisor_width),
            "exponent": Out(signed(10)),
        }

    latency = property(lambda self: 2, doc="Clock cycles from the maxima to the scale code.")

    divisor_width = property(lambda self: divisor_width(self.scale), doc="Bits of `divisor`.")

    @property
    def registers(self) -> int:
        """Register bits: peak, T, R', exponents, flags; then the three results."""
        first = MAGNITUDE_BITS + _SIGNIFICAND + _RATIO.width + _EXPONENT.width + 2
        if self.scale.man_bits:
            first += _SIGNIFICAND + 1  # R', which nothing is compared with otherwise
        return first + self.scale.code_width + self.divisor_width + 10 + self.gated

    def elaborate(self, platform):
        m = Module()
        top, top_exponent = normalised(m, self.tensor_max, name="top")
        peak, peak_exponent = normalised(m, self.group_max, name="peak")
        at_most = named(m, "at_most", peak <= top)
        ratio = (top_exponent - peak_exponent + at_most)[: _RATIO.width].as_signed()
        ratio = named(m, "ratio", ratio)
        if self.scaling is Scaling.DELAYED:
            wrong = self.group_max[FP32.man_bits :].all() | (peak[-1] & ~top[-1])
        else:
            # S_r <= S_t: the exponents differ, or they do not and R <= T.
            wrong = ratio <= 0
        invalid = self.tensor_max[FP32.man_bits :].all() | wrong
        m.d.comb += [
            self.peak.eq(registered(m, "s1_peak", self.group_max, self.start)),
            self.invalid.eq(registered(m, "s1_invalid", invalid, self.start)),
        ]
        s1_top = registered(m, "s1_top", top, self.start)
        numerator = Mux(at_most, peak << 1, peak)
        s1_numerator = registered(m, "s1_numerator", numerator, self.start)
        s1_ratio = registered(m, "s1_ratio", ratio, self.start)
        s1_exponent = registered(m, "s1_exponent", top_exponent, self.start)
        s1_zero = registered(m, "s1_zero", ~peak[-1], self.start)
        self._choose(m, s1_top, s1_numerator, s1_ratio, s1_exponent, s1_zero)
        return m

    def _choose(self, m, top, numerator, ratio, top_exponent, zero):
        """Exponent and mantissa of the scale, and the multiple of T that goes with it."""
        fmt = self.scale
        steps = 1 << fmt.man_bits
        multiples = [named(m, f"multiple{i}", top * (steps + i)) for i in range(steps)]
        below: list[Value] = [
            named(m, f"below{i}", multiples[i] < (numerator << fmt.man_bits))
            for i in range(1, steps)
        ]
        # The multiples that are below come first: below[i - 1] without below[i] is mantissa i.
        below = [Const(1, 1), *below, Const(0, 1)]
        carry = below[steps - 1]
        exact = named(m, "exact", (ratio - carry)[: _RATIO.width].as_signed())
        clipped = named(m, "clipped", zero | (exact > fmt.max_exp))
        exponent: Value = named(
            m, "scale_exponent", Mux(clipped, fmt.max_exp, exact)[: fmt.exp_bits]
        )
        chosen: list[Value] = [
            named(m, f"chosen{i}", below[i - 1] & ~below[i] & ~clipped) for i in range(1, steps)
        ]
        if self.scaling is Scaling.DELAYED:
            above = named(m, "above", exact[-1])
            exponent &= ~above.replicate(fmt.exp_bits)
            # The largest mantissa, where there is one.
            chosen = [each & ~above for each in chosen[:-1]] + [
                each | above for each in chosen[-1:]
            ]
        mantissa: Value = Const(0, fmt.man_bits)
        multiple: Value = multiples[0]
        for i, this in enumerate(chosen, 1):
            mantissa = mantissa | Mux(this, i, 0)
            multiple = Mux(this, multiples[i], multiple)
        code = Cat(mantissa[: fmt.man_bits], exponent) & ~self.invalid.replicate(fmt.code_width)
        multiple = named(m, "multiple", multiple[: self.divisor_width])
        low = ~multiple[-1] if fmt.man_bits else Const(0, 1)
        multiple = Mux(low, multiple << 1, multiple)[: self.divisor_width]
        total = (top_exponent - exponent + bool(fmt.man_bits) - low)[:10].as_signed()
        enable = registered(m, "s1_start", self.start) if self.gated else None
        m.d.comb += [
            self.scale_code.eq(registered(m, "s2_code", code, enable)),
            self.divisor.eq(registered(m, "s2_divisor", multiple, enable)),
            self.exponent.eq(registered(m, "s2_exponent", total, enable)),
        ]
