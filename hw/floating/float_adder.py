"""Floating-point addition, rounded to nearest even."""

import enum
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat, Specials
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.values import named
from .float_common import (
    align,
    encode,
    fields,
    is_nan,
    join_exponent,
    normalise,
    round_before_normalising,
    round_nearest_even,
)


class AdderPath(enum.Enum):
    """How operands are ordered, and how a sum gets to its code."""

    SINGLE = "single"
    """A single-path adder: ordered by magnitude; every sum is normalised, then rounded. Least area,
    and in a tree of FP32 adders least energy.
    """

    SPLIT = "split"
    """A dual-path adder: ordered by exponent; where more than one leading bit cancels, the sum is
    normalised and needs no rounding, elsewhere it is rounded and then shifted by a place at most. A
    sixth less delay for a sixth more area. In a MAC 1 to 8% less energy: the shifter is quiet but
    for near operands.
    """


@dataclass(frozen=True)
class _Operands:
    """`larger` and `smaller` before alignment: significands with a guard and a round bit.

    `distance`: places to shift `smaller`. `reverse`: equal exponents, but `smaller` is the larger
    one after all. `near`: subtracted, with at most one place between them. `infinity`, `nan`: what
    the operands make of the sum.
    """

    sign: Value
    exponent: Value
    larger: Value
    smaller: Value
    distance: Value
    reverse: Value
    near: Value
    infinity: Value
    nan: Value


class FloatAdder(Combinational):
    """`sum = x + y`, rounded once to nearest even.

    Order, align the smaller with a sticky bit, add or subtract, normalise, round. Bits, for M
    mantissa bits, from the carry position (exponent field of the larger operand plus one)
    downwards::

        carry | hidden | M mantissa bits | guard | round | sticky
              |     larger operand       |   0   |   0   |   0
              |     smaller operand, aligned             |   s

    Two bits below the mantissa and a sticky bit are enough: after an alignment of two or more
    places the difference loses at most one leading bit, and after a shorter one nothing has been
    dropped. Subnormals come out of the limit on the normalising shift. A sum below the normal
    numbers is exact, so flushing it before or after rounding is the same.

    Where `y` has more mantissa bits, M are its own, `x` is read with zeros appended, and the sum is
    rounded further up; one bit below the mantissa is then enough.

    Signs: `x + -x = +0`, `-0 + -0 = -0`. NaN in, or infinity minus infinity, gives `format.nan`.

    Members
    -------
    x: In, `format.code_width` bits.
    y: In, `operand_format.code_width` bits.
    sum: Out, `format.code_width` bits.
    """

    format: FloatFormat = parameter("of `x` and `sum`")
    operand_format: FloatFormat = parameter(
        "of `y`, by default `format`; or an IEEE format of the same exponent bits. One of fewer "
        "mantissa bits is read with zeros appended",
        factory=lambda self: self.format,
    )
    subnormals: bool = parameter(
        "False reads subnormal operands as zeros of their sign, and gives zeros of their sign for "
        "subnormal results; `y` is then a multiple of the smallest subnormal number of `format`",
        default=True,
    )
    path: AdderPath = parameter(
        "structure; every one computes the same. Where `y` has more mantissa bits, every sum is "
        "normalised before it is rounded; the order is as `path` has it",
        default=AdderPath.SINGLE,
    )

    def rules(self):
        format, operand = self.format, self.operand_format
        ieee = operand.specials is format.specials is Specials.IEEE
        if operand != format and not (ieee and operand.exp_bits == format.exp_bits):
            raise ValueError(
                f"operand_format must be {format} or an IEEE format of {format.exp_bits} exponent "
                f"bits, not {operand!r}"
            )

    def ports(self):
        return {
            "x": In(self.format.code_width),
            "y": In(self.operand_format.code_width),
            "sum": Out(self.format.code_width),
        }

    @property
    def _wide(self) -> FloatFormat:
        """`format` with the mantissa bits of the longer operand."""
        man_bits = max(self.format.man_bits, self.operand_format.man_bits)
        return FloatFormat(self.format.exp_bits, man_bits, self.format.specials)

    def elaborate(self, platform):
        m = Module()
        fmt, wide = self.format, self._wide
        x = named(m, "x_wide", Cat(Const(0, wide.man_bits - fmt.man_bits), self.x))
        y = named(m, "y_wide", Cat(Const(0, wide.man_bits - self.operand_format.man_bits), self.y))
        subtract = named(m, "subtract", x[-1] ^ y[-1])
        order, finish = {
            AdderPath.SINGLE: (self._order_by_magnitude, self._normalise_then_round),
            AdderPath.SPLIT: (self._order_by_exponent, self._round_or_normalise),
        }[self.path]
        if wide != fmt:  # a sum that has lost its leading bit may have to be rounded
            finish = self._normalise_then_round

        operands = order(m, x, y, subtract)
        aligned, sticky = align(m, operands.smaller, operands.distance, name="align")
        width = len(aligned)
        reverse = named(m, "subtrahend_larger", subtract & operands.reverse)
        invert = named(m, "subtrahend_smaller", subtract & ~operands.reverse)
        augend = named(m, "augend", operands.larger ^ reverse.replicate(width))
        addend = named(m, "addend", aligned ^ invert.replicate(width))
        # Below the round bit, minus the sticky bit takes the place of the carry in.
        total = named(m, "total", augend + addend + (subtract & ~sticky))
        total = named(m, "magnitude", Cat(total[:width], total[width] & ~subtract))

        code, zero = finish(m, total, sticky, operands, subtract)
        m.d.comb += self.sum.eq(
            encode(
                m,
                fmt,
                sign=operands.sign,
                code=code,
                largest_exponent=fmt.max_exp + fmt.bias + 1,
                zero=zero,
                infinity=operands.infinity,
                nan=operands.nan,
            )
        )
        return m

    @property
    def _below(self) -> Value:
        """The bits below an operand's mantissa: zeros, to be filled by alignment."""
        return Const(0, 2 if self._wide == self.format else 1)

    def _order_by_magnitude(self, m: Module, x: Value, y: Value, subtract: Value) -> _Operands:
        """Larger and smaller magnitude: one comparison, then everything follows."""
        fmt, below = self._wide, self._below
        # Equal magnitudes: the operand with sign 0 counts as the larger, so that x + -x = +0.
        swap = named(m, "swap", Cat(Const(0, 1), x[:-1]) < Cat(x[-1], y[:-1]))
        larger = named(m, "larger", Mux(swap, y, x))
        smaller = named(m, "smaller", Mux(swap, x, y))
        sign, exponent, mantissa = fields(larger, fmt)
        _, smaller_exponent, smaller_mantissa = fields(smaller, fmt)
        infinity, both = exponent.all(), smaller_exponent.all()
        hidden = named(m, "larger_hidden", exponent.any())
        smaller_hidden = named(m, "smaller_hidden", smaller_exponent.any())
        if self.subnormals:  # exponent field 0 has the weight of 1
            exponent = named(m, "larger_weight", exponent | ~hidden)
            smaller_exponent = named(m, "smaller_weight", smaller_exponent | ~smaller_hidden)
        else:
            # The larger mantissa needs no flushing: its exponent 0 makes the result a zero.
            smaller_mantissa = smaller_mantissa & smaller_hidden.replicate(fmt.man_bits)
            sign = sign & (hidden | ~subtract)  # -tiny + tiny reads as -0 + 0
        distance = named(m, "distance", (exponent - smaller_exponent)[: fmt.exp_bits])
        nan = is_nan(larger[:-1], fmt)
        return _Operands(
            sign=sign,
            exponent=exponent,
            larger=Cat(below, mantissa, hidden),
            smaller=Cat(below, smaller_mantissa, smaller_hidden),
            distance=distance,
            reverse=Const(0, 1),
            near=named(m, "near", subtract & ~distance[1:].any()),
            **self._specials(
                m, infinity, named(m, "both_infinite", infinity & both), nan, subtract
            ),
        )

    def _order_by_exponent(self, m: Module, x: Value, y: Value, subtract: Value) -> _Operands:
        """Larger and smaller exponent, by the subtraction that gives their distance.

        `x_exponent + ~y_exponent` carries where x has the larger exponent, and is then the distance
        less one, a place that y is shifted ahead; else its complement is the distance.
        """
        fmt, below = self._wide, self._below
        infinite: list[Value] = []
        exponents: list[Value] = []
        significands: list[Value] = []
        for name, code in (("x", x), ("y", y)):
            _, exponent, mantissa = fields(code, fmt)
            hidden = named(m, f"{name}_hidden", exponent.any())
            infinite.append(exponent.all())
            significands.append(Cat(mantissa, hidden))
            exponents.append(exponent | ~hidden if self.subnormals else exponent)
        bits = fmt.exp_bits
        difference = named(m, "difference", exponents[0] + (~exponents[1])[:bits])
        above, less_one = difference[bits], difference[:bits]
        distance = named(m, "distance", less_one ^ (~above).replicate(bits))
        # Equal magnitudes: the operand with sign 0 counts as the larger, so that x + -x = +0.
        x_larger = Cat(Const(0, 1), significands[1]) < Cat(y[-1], significands[0])
        reverse = named(m, "reverse", less_one.all() & x_larger)
        larger = named(m, "larger", Mux(above, *significands))
        sign: Value = named(m, "sign", Mux(above | reverse, x[-1], y[-1]))
        if not self.subnormals:
            significands = [s & s[-1].replicate(len(s)) for s in significands]
            sign = sign & (larger[-1] | ~subtract)  # -tiny + tiny reads as -0 + 0
        ahead = Cat(below[1:], significands[1], Const(0, 1))
        smaller = named(m, "smaller", Mux(above, ahead, Cat(below, significands[0])))
        nan = is_nan(x[:-1], fmt) | is_nan(y[:-1], fmt)
        infinity, both = infinite[0] | infinite[1], infinite[0] & infinite[1]
        return _Operands(
            sign=sign,
            exponent=named(m, "exponent", Mux(above, *exponents)),
            larger=Cat(below, larger),
            smaller=smaller,
            distance=distance,
            reverse=reverse,
            near=named(m, "near", subtract & ~distance[1:].any() & ~(above & distance[0])),
            **self._specials(m, infinity, both, nan, subtract),
        )

    def _specials(
        self, m: Module, infinity: Value, both: Value, nan: Value, subtract: Value
    ) -> dict[str, Value]:
        """Whether an operand makes the sum infinite, or NaN, from the exponents that are all ones
        in an operand, or in both.
        """
        if self.format.specials is Specials.IEEE:
            return {"infinity": infinity, "nan": named(m, "nan", nan | (subtract & both))}
        return {"infinity": Const(0, 1), "nan": named(m, "nan", nan)}

    def _normalise_then_round(
        self, m: Module, total: Value, sticky: Value, operands: _Operands, subtract: Value
    ) -> tuple[Value, Value]:
        """One way for every sum: (code, whether a result was flushed to zero)."""
        fmt = self.format
        kept, sticky, amount = self._shift_left(
            m,
            total,
            sticky,
            operands.exponent,
            out_width=fmt.man_bits + 2,
            # Only a subtraction of neighbours cancels more than one leading bit.
            enable=operands.near,
            always=2,
        )
        base, hidden, zero = self._base(m, operands.exponent, amount, kept[-1])
        code = round_nearest_even(m, kept[1:-1], kept[0], sticky, base, hidden, name="rounded")
        return code, zero

    def _round_or_normalise(
        self, m: Module, total: Value, sticky: Value, operands: _Operands, subtract: Value
    ) -> tuple[Value, Value]:
        """Two ways, and a choice: (code, whether a result was flushed to zero).

        A sum of near operands that has lost its leading bit is exact with M + 1 bits: it is
        normalised. Any other is rounded where it stands, then moved by a place at most.
        """
        fmt = self.format
        kept = total[2:]
        carry = kept[-1]
        left = named(m, "left", ~kept[-2:].any())
        cancels = named(m, "cancels", left & operands.near)
        if self.subnormals:  # a sum of subnormals stays
            left = named(m, "left_normal", left & subtract)
        mantissa, carry_out = round_before_normalising(
            m, fmt, kept, guard=total[1], round_bit=total[0], sticky=sticky, left=left
        )
        exact, _, amount = self._shift_left(
            m,
            named(m, "near_magnitude", total[1:] & operands.near.replicate(len(total) - 1)),
            Const(0, 1),
            operands.exponent,
            out_width=fmt.man_bits + 1,
            enable=Const(1, 1),
            always=0,
        )
        places = Cat(~(carry | left), left)  # from the carry position
        hidden = Mux(cancels, exact[-1], kept[-2:].any() | left)
        amount = named(m, "amount", Mux(cancels, amount, places))
        base, hidden, zero = self._base(m, operands.exponent, amount, hidden)
        mantissa = named(m, "mantissa", Mux(cancels, exact[:-1], mantissa))
        carry_out = named(m, "carry_out", carry_out & ~cancels)
        return Cat(mantissa, join_exponent(m, base, hidden, carry_out, name="exponent_field")), zero

    def _shift_left(
        self,
        m: Module,
        value: Value,
        sticky: Value,
        exponent: Value,
        *,
        out_width: int,
        enable: Value,
        always: int,
    ) -> tuple[Value, Value, Value]:
        """`normalise` from the carry position, no further than the weight of the subnormals."""
        steps = (self._wide.man_bits + 2).bit_length()  # reaches the first bit below the mantissa
        limit = named(m, "limit", Cat(exponent, Const(0, steps)))
        return normalise(
            m,
            value,
            sticky,
            out_width=out_width,
            limit=limit[:steps],
            unlimited=limit[steps:].any() if self.subnormals else Const(1, 1),
            steps=steps,
            enable=enable,
            always=always,
            isolate=False,
            name="normal",
        )

    def _base(
        self, m: Module, exponent: Value, amount: Value, hidden: Value
    ) -> tuple[Value, Value, Value]:
        """After a left shift by `amount`: exponent field less one, or zero without a hidden bit;
        the hidden bit; whether the result was flushed to zero.
        """
        base = named(m, "base", exponent - amount)
        zero: Value = Const(0, 1)
        if not self.subnormals:
            hidden = hidden & ~base[-1]
            zero = ~hidden
        hidden = named(m, "hidden", hidden)
        bits = self.format.exp_bits
        return named(m, "base_kept", base[:bits] & hidden.replicate(bits)), hidden, zero
