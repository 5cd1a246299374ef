# amaranth: UnusedElaboratable=no
"""Group scaler: an accumulated group times its two scales, as float32."""

from itertools import zip_longest

from amaranth.hdl import Cat, Const, Module, Value, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, ElementFormat, ScaleFormat
from ..floating.int_to_float import IntToFloat
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.values import named

MAX_SUM_WIDTH = 64
"""Bits of a group's sum at most."""


def term_width(acc_width: int, scale: ScaleFormat) -> int:
    """Bits of a sum of `acc_width` bits times its two scales.

    Its magnitude is at most 2^(acc_width-1), and the scale factor is below 2^(2 Mg + 2); where
    Mg = 0 it is 1.
    """
    return acc_width + (2 * scale.man_bits + 2 if scale.man_bits else 0)


def fraction_bits(format: ElementFormat, scale: ScaleFormat) -> int:
    """2F + 2 Mg: a term at exponent 0 is in units of 2^-fraction_bits."""
    return 2 * (format.fraction_bits + scale.man_bits)


class ScaleMultiplier(Combinational):
    """`term = p * (2^Mg + w_man) * (2^Mg + a_man)`: exact, in shifts and adds.

    The two mantissas select the radix-4 digits, -1 to 2, of the scale factor; each is a row of
    wires or of shifted wires. Mg = 0: the term is `p`. Mg = 1: factors 4, 6, 6, 9 of two rows
    without a negative digit, that is one adder.
    Source: docs/numerics.md section 7.

    Members
    -------
    p: In, signed `width` bits.
    w_man, a_man: In, Mg bits each, mantissa fields; absent where Mg = 0.
    term: Out, signed `term_width` bits.
    """

    width: int = parameter("bits of `p`", low=2, high=MAX_SUM_WIDTH)
    scale: ScaleFormat = parameter("of both scales")

    def ports(self):
        mantissas = {
            name: In(self.scale.man_bits) for name in ("w_man", "a_man") if self.scale.man_bits
        }
        return {"p": In(signed(self.width)), **mantissas, "term": Out(signed(self.term_width))}

    term_width = property(lambda self: term_width(self.width, self.scale), doc="Bits of `term`.")

    def elaborate(self, platform):
        m = Module()
        if not self.scale.man_bits:
            m.d.comb += self.term.eq(self.p)
            return m
        hidden = 1 << self.scale.man_bits
        factors = [(hidden + w) * (hidden + a) for a in range(hidden) for w in range(hidden)]
        index = named(m, "index", Cat(self.w_man, self.a_man))
        low: Value = Const(0, 0)
        high: Value = Const(0, signed(1))
        for place, column in enumerate(zip_longest(*map(_radix4, factors), fillvalue=0)):
            one = named(m, f"one{place}", _is_one_of(column, index, {1, -1}))
            two = named(m, f"two{place}", _is_one_of(column, index, {2}))
            single = self.p & one.replicate(self.width).as_signed()
            double = (self.p & two.replicate(self.width).as_signed()) << 1
            row: Value = named(m, f"row{place}", single | double)
            if -1 in column:
                minus = named(m, f"minus{place}", _is_one_of(column, index, {-1}))
                row = (row ^ minus.replicate(len(row)).as_signed()) + minus
            total = named(m, f"total{place}", high + row)
            low, high = Cat(low, total[:2]), total[2:].as_signed()
        m.d.comb += self.term.eq(Cat(low, high).as_signed())
        return m


def _radix4(factor: int) -> list[int]:
    """Digits of -1..2 whose sum, each times 4^place, is `factor`; lowest first."""
    digits = []
    while factor:
        digits.append((factor + 1) % 4 - 1)
        factor = (factor - digits[-1]) // 4
    return digits


def _is_one_of(column: tuple[int, ...], index: Value, digits: set[int]) -> Value:
    """Whether the entry of `column` at `index` is one of `digits`."""
    table = sum((digit in digits) << place for place, digit in enumerate(column))
    return (Const(table, len(column)) >> index)[0]


class ScaledTerm(Combinational):
    """A group's sum before it is a float: `p * scale_w * scale_a = term * 2^-(exponent + 2 Mg)`.

    `term = p * (2^Mg + mg_w) * (2^Mg + mg_a)`, `exponent = eg_w + eg_a`, both exact.
    Source: docs/numerics.md section 7.

    Members
    -------
    p: In, signed `acc_width` bits.
    w_scale, a_scale: In, `scale.code_width` bits: exponent field, mantissa field.
    term: Out, signed `term_width` bits.
    exponent: Out, Eg + 1 bits.
    """

    acc_width: int = parameter("bits of a group's sum", low=2, high=MAX_SUM_WIDTH)
    scale: ScaleFormat = ScaleMultiplier.scale

    def ports(self):
        self._multiplier = ScaleMultiplier(width=self.acc_width, scale=self.scale)
        return {
            "p": In(signed(self.acc_width)),
            "w_scale": In(self.scale.code_width),
            "a_scale": In(self.scale.code_width),
            "term": Out(signed(self.term_width)),
            "exponent": Out(self.scale.exp_bits + 1),
        }

    term_width = property(
        lambda self: term_width(self.acc_width, self.scale), doc="Bits of `term`."
    )

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiplier = multiplier = self._multiplier
        man_bits = self.scale.man_bits
        if man_bits:
            m.d.comb += [
                multiplier.w_man.eq(self.w_scale[:man_bits]),
                multiplier.a_man.eq(self.a_scale[:man_bits]),
            ]
        m.d.comb += [
            multiplier.p.eq(self.p),
            self.term.eq(multiplier.term),
            self.exponent.eq(self.w_scale[man_bits:] + self.a_scale[man_bits:]),
        ]
        return m


class GroupScaler(Combinational):
    """`z = fl(p * scale_w * scale_a * 2^-2F)`: a group's accumulated sum as a float32 leaf.

    The term is exact, the conversion rounds once to nearest even with subnormals; F = M + 2^E - 1
    are the format's fraction bits. A zero is +0::

        p, w_scale, a_scale -> ScaledTerm -> term, exponent -> IntToFloat -> z

    Source: docs/numerics.md section 7 (the paper's Eq. 8).

    Members
    -------
    p: In, signed `acc_width` bits, in units of 2^-2F.
    w_scale, a_scale: In, `scale.code_width` bits: exponent field, mantissa field.
    z: Out, float32 code.
    """

    format: ElementFormat = parameter("of the operands whose products are summed")
    scale: ScaleFormat = ScaledTerm.scale
    acc_width: int = ScaledTerm.acc_width

    def rules(self):
        IntToFloat.check(**self._conversion)

    def ports(self):
        self._scaled = ScaledTerm(acc_width=self.acc_width, scale=self.scale)
        self._convert = IntToFloat(**self._conversion)
        return {
            "p": In(signed(self.acc_width)),
            "w_scale": In(self.scale.code_width),
            "a_scale": In(self.scale.code_width),
            "z": Out(FP32.code_width),
        }

    @property
    def _conversion(self) -> dict[str, int]:
        return {
            "width": term_width(self.acc_width, self.scale),
            "exponent_width": self.scale.exp_bits + 1,
            "offset": fraction_bits(self.format, self.scale),
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.scaled = scaled = self._scaled
        m.submodules.convert = convert = self._convert
        m.d.comb += [
            scaled.p.eq(self.p),
            scaled.w_scale.eq(self.w_scale),
            scaled.a_scale.eq(self.a_scale),
            convert.i.eq(scaled.term),
            convert.exponent.eq(scaled.exponent),
            self.z.eq(convert.z),
        ]
        return m
