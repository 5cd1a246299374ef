"""Floating-point addition, rounded to nearest even."""

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from ..golden.formats import FloatFormat, Specials
from .combinational import Combinational
from .float_common import (
    align,
    check_flag,
    check_format,
    encode,
    fields,
    is_nan,
    normalise,
    round_nearest_even,
)
from .values import named


class FloatAdder(Combinational):
    """`sum = x + y`, rounded once to nearest even.

    One path: order by magnitude, align the smaller with a sticky bit, add or subtract, normalise,
    round. Bits, for M mantissa bits, from the carry position (exponent field of the larger operand
    plus one) downwards::

        carry | hidden | M mantissa bits | guard | round | sticky
              |     larger operand       |   0   |   0   |   0
              |     smaller operand, aligned             |   s

    Two bits below the mantissa and a sticky bit are enough: after an alignment of two or more
    places the difference loses at most one leading bit, and after a shorter one nothing has been
    dropped. Subnormals come out of the limit on the normalising shift. A sum below the normal
    numbers is exact, so flushing it before or after rounding is the same.

    Signs: `x + -x = +0`, `-0 + -0 = -0`. NaN in, or infinity minus infinity, gives `format.nan`.

    Parameters
    ----------
    format: of `x` and `sum`.
    operand_format: of `y`, default `format`; an IEEE format of the same exponent bits and fewer
        mantissa bits is read with zeros appended.
    subnormals: False reads subnormal operands as zeros of their sign, and gives zeros of their sign
        for subnormal results.

    Members
    -------
    x: In, `format.code_width` bits.
    y: In, `operand_format.code_width` bits.
    sum: Out, `format.code_width` bits.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        format: FloatFormat,
        operand_format: FloatFormat | None = None,
        subnormals: bool = True,
    ):
        operand_format = format if operand_format is None else operand_format
        check_format("format", format)
        check_format("operand_format", operand_format)
        check_flag("subnormals", subnormals)
        fits = (
            operand_format.exp_bits == format.exp_bits
            and operand_format.man_bits <= format.man_bits
            and operand_format.specials is format.specials is Specials.IEEE
        )
        if operand_format != format and not fits:
            raise ValueError(
                f"operand_format must be {format} or an IEEE format of {format.exp_bits} exponent "
                f"bits and at most {format.man_bits} mantissa bits, not {operand_format!r}"
            )
        self._format = format
        self._operand_format = operand_format
        self._subnormals = subnormals
        super().__init__(
            {
                "x": In(format.code_width),
                "y": In(operand_format.code_width),
                "sum": Out(format.code_width),
            }
        )

    format = property(lambda self: self._format, doc="Format of `x` and `sum`.")
    operand_format = property(lambda self: self._operand_format, doc="Format of `y`.")
    subnormals = property(lambda self: self._subnormals, doc="Whether subnormals are kept.")

    def elaborate(self, platform):
        m = Module()
        fmt = self.format
        x = self.x
        y = named(m, "y_wide", Cat(Const(0, fmt.man_bits - self.operand_format.man_bits), self.y))

        # Equal magnitudes: the operand with sign 0 counts as the larger, so that x + -x = +0.
        swap = named(m, "swap", Cat(Const(0, 1), x[:-1]) < Cat(x[-1], y[:-1]))
        larger = named(m, "larger", Mux(swap, y, x))
        smaller = named(m, "smaller", Mux(swap, x, y))
        subtract = named(m, "subtract", x[-1] ^ y[-1])

        sign, exponent, significand, distance, addend = self._decode(m, larger, smaller, subtract)
        aligned, sticky = align(m, addend, distance, name="align")
        # Below the round bit, minus the sticky bit takes the place of the carry in.
        addend = named(m, "addend", aligned ^ subtract.replicate(len(aligned)))
        total = named(m, "total", significand + addend + (subtract & ~sticky))
        total = named(m, "magnitude", Cat(total[: len(addend)], total[len(addend)] & ~subtract))

        code, zero = self._normalise(
            m,
            total,
            sticky,
            exponent,
            # Only a subtraction of neighbours cancels more than one leading bit.
            cancels=named(m, "cancels", subtract & ~distance[1:].any()),
        )
        infinity, nan = self._specials(m, larger, smaller, subtract)
        m.d.comb += self.sum.eq(
            encode(
                m,
                fmt,
                sign=sign,
                code=code,
                largest_exponent=fmt.max_exp + fmt.bias + 1,
                zero=zero,
                infinity=infinity,
                nan=nan,
            )
        )
        return m

    def _decode(
        self, m: Module, larger: Value, smaller: Value, subtract: Value
    ) -> tuple[Value, Value, Value, Value, Value]:
        """Sign, exponent and significand of the larger, distance to and significand of the smaller
        operand; the significands with a guard and a round bit.
        """
        fmt = self.format
        sign, exponent, mantissa = fields(larger, fmt)
        _, smaller_exponent, smaller_mantissa = fields(smaller, fmt)
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
        significand = Cat(Const(0, 2), mantissa, hidden)
        return (
            sign,
            exponent,
            significand,
            distance,
            Cat(Const(0, 2), smaller_mantissa, smaller_hidden),
        )

    def _normalise(
        self, m: Module, total: Value, sticky: Value, exponent: Value, *, cancels: Value
    ) -> tuple[Value, Value]:
        """Normalise and round: (code, whether a result was flushed to zero)."""
        fmt = self.format
        steps = (fmt.man_bits + 3).bit_length()  # shifts of up to M + 3: all but the round bit
        limit = named(m, "limit", Cat(exponent, Const(0, steps)))
        kept, sticky, amount = normalise(
            m,
            total,
            sticky,
            out_width=fmt.man_bits + 2,
            limit=limit[:steps],
            unlimited=limit[steps:].any() if self.subnormals else Const(1, 1),
            steps=steps,
            enable=cancels,
            always=2,
            isolate=False,
            name="normal",
        )
        base = named(m, "base", exponent - amount)
        hidden = kept[-1]
        if not self.subnormals:
            hidden = named(m, "normal_result", hidden & ~base[-1])
        base = named(m, "base_kept", base[: fmt.exp_bits] & hidden.replicate(fmt.exp_bits))
        code = round_nearest_even(m, kept[1:-1], kept[0], sticky, base, hidden, name="rounded")
        return code, Const(0, 1) if self.subnormals else ~hidden

    def _specials(
        self, m: Module, larger: Value, smaller: Value, subtract: Value
    ) -> tuple[Value, Value]:
        """Whether an operand makes the sum infinite, or NaN. A NaN has the larger magnitude."""
        fmt = self.format
        nan = is_nan(larger[:-1], fmt)
        if fmt.specials is not Specials.IEEE:
            return Const(0, 1), named(m, "nan", nan)
        infinity = named(m, "infinite", fields(larger, fmt)[1].all())
        both = named(m, "both_infinite", infinity & fields(smaller, fmt)[1].all())
        return infinity, named(m, "nan", nan | (subtract & both))
