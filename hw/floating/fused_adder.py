"""Addition of an exact product and a floating-point number, rounded once."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat, Specials
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.values import named
from .float_common import align, encode, fields, is_nan, normalise, round_nearest_even
from .float_product import FloatProduct, Product


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where product and addend stand when they are added; M, M' are the mantissa bits of `format`
    and `acc_format`::

        M' + 1 bits | gap, 2 | product, 2M + 2 bits | low
          addend    |        |                      |         at distance 0
                    |        |       addend ...     | sticky  at a larger distance

    The product stands still, the addend is shifted right by its distance. A smaller (negative)
    distance is taken as 0: the product is then less than an eighth of the addend's last place and
    stands below a quarter of it, so the sum rounds to the addend either way.
    """

    format: FloatFormat
    acc_format: FloatFormat
    subnormals: bool

    @property
    def keeps_operands(self) -> bool:
        """Whether subnormals of `format` are kept: always where `acc_format` has a wider range."""
        return self.subnormals or self.format.min_exp > self.acc_format.min_exp

    @property
    def low(self) -> int:
        """Bits below the product, so that none is missed where the product leads with zeros.

        What falls out of the window is a sticky bit. Where anything does, the addend is below
        2^(M' + 1) units of the window, and a product of 2^(M' + 2) or more leaves a sum with its
        M' + 1 bits and a guard bit within. Products of two normal numbers lead with one zero, of a
        normal and a subnormal one with M + 1, of two subnormals with 2M + 1; the addend has no bits
        further below any of them than its own smallest number.
        """
        fmt, out = self.format, self.acc_format
        finest = out.min_exp - out.man_bits
        cases = [(1, 2 * fmt.max_exp)]
        if self.keeps_operands:
            cases.append((fmt.man_bits + 1, fmt.max_exp + fmt.min_exp))
            cases.append((2 * fmt.man_bits + 1, 2 * fmt.min_exp))
        return max(
            0,
            *(
                min(out.man_bits + 1 + zeros - 2 * fmt.man_bits, unit - 2 * fmt.man_bits - finest)
                for zeros, unit in cases
            ),
        )

    @property
    def width(self) -> int:
        """Bits of the window."""
        return self.top + 2 * self.format.significand_width + self.low

    @property
    def top(self) -> int:
        """Bits above the product."""
        return self.acc_format.significand_width + 2

    @property
    def low_width(self) -> int:
        """Bits below those that an addend at distance 0 takes."""
        return self.width - self.acc_format.significand_width

    @property
    def offset(self) -> int:
        """The addend's distance is the product's exponent plus this, less the addend's exponent
        field (its weight: 0 counts as 1).
        """
        return self.top + 1 + self.acc_format.bias - 2 * self.format.bias

    @property
    def largest_exponent(self) -> int:
        """Largest exponent field of a finite sum, which may exceed the format."""
        fmt = self.format
        product = 2 * (fmt.max_exp + fmt.bias) + self.offset - self.top + 1
        return max(product, (1 << self.acc_format.exp_bits) - 1)


class FusedAdder(Combinational):
    """`sum = product + z`, rounded once to nearest even: the second half of a fused multiply-add.

    One path, for the `Window` of the formats: shift the addend right, add or subtract it, count the
    leading sign bits and shift them out, round. A negative sum is not negated before it is
    normalised: the inverted bits are the magnitude less one, and that one is added where rounding
    adds its own. Subnormals come out of the limit on the normalising shift.

    NaN in, zero times infinity, or infinity minus infinity, give `acc_format.nan`. An exact zero is
    -0 only where product and addend both are.

    Members
    -------
    product: In, a word of `FloatProduct`.
    z: In, `acc_format.code_width` bits.
    sum: Out, `acc_format.code_width` bits.

    Source
    ------
    docs/numerics.md section 11. Shape: E. Hokenek, R. K. Montoye, P. W. Cook, "Second-generation
    RISC floating point with multiply-add fused", IEEE Journal of Solid-State Circuits 25(5), 1990.
    """

    format: FloatFormat = parameter("of the product's factors")
    acc_format: FloatFormat = parameter(
        "of `z` and `sum`, by default `format`", factory=lambda self: self.format
    )
    subnormals: bool = parameter(
        "False reads subnormal operands as zeros of their sign, and a sum that is below the "
        "smallest normal number after rounding with unbounded exponent becomes zero of its sign",
        default=True,
    )

    def ports(self):
        return {
            "product": In(FloatProduct.width(self.format)),
            "z": In(self.acc_format.code_width),
            "sum": Out(self.acc_format.code_width),
        }

    def elaborate(self, platform):
        m = Module()
        window = Window(format=self.format, acc_format=self.acc_format, subnormals=self.subnormals)
        product = FloatProduct.split(self.product, self.format)
        addend = place_addend(m, window, product, self.z)
        placed = Cat(addend.carry, Const(0, window.low), product.significand)
        low_sum = (placed + Cat(addend.carry, addend.low))[1:]
        low_sum = named(m, "low_sum", low_sum[: window.low_width + 1])
        m.d.comb += self.sum.eq(round_sum(m, window, product, self.z, addend, low_sum))
        return m


@dataclass(frozen=True)
class Addend:
    """The addend in the window, inverted where it is subtracted: `high` and `low` part, and the
    carry into the lowest bit. The product and `low` add up to `low_sum`, whose carry `high` takes.

    `below`: `high` is empty (all sign bits), and is shifted out without a look at the sum;
    `sticky`: bits fell out; `exponent`: field, less one, of the top bit that is left; `subtract`:
    the signs differ.
    """

    high: Value
    low: Value
    carry: Value
    below: Value
    sticky: Value
    exponent: Value
    subtract: Value


def place_addend(m: Module, window: Window, product: Product, z: Value) -> Addend:
    """Shift the addend to its place, inverted where the signs differ."""
    fmt = window.acc_format
    sign, field, mantissa = fields(z, fmt)
    hidden = named(m, "z_hidden", field.any())
    if not window.subnormals:
        mantissa = mantissa & hidden.replicate(fmt.man_bits)
    subtract = named(m, "subtract", sign ^ product.sign)
    # Both less one: exponent field 0 has the weight of 1.
    z_exponent = named(m, "z_exponent", (field - hidden)[: fmt.exp_bits])
    reach = max(window.largest_exponent, abs(window.offset)) + (2 << fmt.exp_bits)
    width = reach.bit_length() + 1
    anchored = named(
        m, "product_exponent", (product.exponent + Const(window.offset - 1, signed(width)))[:width]
    ).as_signed()
    distance = named(m, "distance", (anchored - z_exponent)[:width])
    # A product of zero may have any exponent. It is nowhere near the addend.
    on_top = named(m, "on_top", distance[-1] | product.zero)
    amount = named(m, "amount", distance[:-1] & (~on_top).replicate(width - 1))
    placed = Cat(Const(0, window.low_width), mantissa, hidden)
    aligned, sticky = align(m, placed, amount, name="align")
    inverted = named(m, "addend", aligned ^ subtract.replicate(len(aligned)))
    below = named(m, "below", amount > fmt.significand_width)
    shifted = named(m, "product_exponent_below", (anchored - fmt.significand_width)[:width])
    anchored = Mux(below, shifted, anchored)[: width - 1]
    return Addend(
        high=inverted[window.low_width :],
        low=inverted[: window.low_width],
        # Below the window, minus the sticky bit takes the place of the carry in.
        carry=named(m, "carry", subtract & ~sticky),
        below=below,
        sticky=sticky,
        exponent=named(m, "exponent", Mux(on_top, z_exponent, anchored)),
        subtract=subtract,
    )


def round_sum(
    m: Module, window: Window, product: Product, z: Value, addend: Addend, low_sum: Value
) -> Value:
    """The code of the sum: join its parts, normalise, round, encode."""
    fmt = window.acc_format
    carry, low_sum = low_sum[-1], low_sum[:-1]
    # The carry comes last: what it would make of the high part is known by then.
    above = named(m, "above", addend.high + 1)[: len(addend.high)]
    high = named(m, "high", Mux(carry, above, addend.high))
    negative = named(m, "negative", addend.subtract & ~(addend.high.all() & carry))
    width = max(window.low_width, 2 * fmt.significand_width + 3)
    drop = window.width - width
    joined = Cat(low_sum, high)[drop:]
    value = named(
        m, "joined", Mux(addend.below, Cat(Const(0, width - len(low_sum)), low_sum), joined)
    )
    steps = max(window.low_width - 1, fmt.significand_width + 1).bit_length()
    kept, sticky, amount = normalise(
        m,
        value,
        named(m, "joined_sticky", addend.sticky | (~addend.below & low_sum[:drop].any())),
        out_width=fmt.man_bits + 2,
        limit=addend.exponent[:steps],
        unlimited=addend.exponent[steps:].any() if window.subnormals else Const(1, 1),
        steps=steps,
        enable=Const(1, 1),
        always=0,
        isolate=False,
        negative=negative,
        name="normal",
    )
    exact_zero = named(m, "exact_zero", ~(kept.any() | sticky | negative))
    # A negative sum's magnitude is one more than its inverted bits; those dropped are all ones
    # where `sticky` is 0, and the one is then carried into the guard bit.
    bits = named(m, "inverted", kept ^ negative.replicate(len(kept)))
    rest = named(m, "rest", sticky ^ negative)
    guard, mantissa, hidden = bits[0], bits[1:-1], bits[-1]
    guard = named(m, "guard", guard | (negative & mantissa[0] & rest))
    rest = named(m, "rest_or_one", rest | negative)
    base = named(m, "base", addend.exponent - amount)
    width = window.largest_exponent.bit_length()
    zero: Value = Const(0, 1)
    if window.subnormals:
        base = named(m, "base_kept", base[:width] & hidden.replicate(width))
    code: Value = round_nearest_even(m, mantissa, guard, rest, base, hidden, name="rounded")
    if not window.subnormals:
        field = code[fmt.man_bits :][: len(base)].as_signed()
        zero = named(m, "zero", ~hidden | (field <= 0))
        kept_field = named(m, "exponent_kept", field[:width] & (~zero).replicate(width))
        code = Cat(code[: fmt.man_bits], kept_field)
    sign = (product.sign ^ negative) & ~(exact_zero & addend.subtract)
    sign, infinity, nan = _specials(m, fmt, product, z, addend.subtract, sign)
    return encode(
        m,
        fmt,
        sign=sign,
        code=code,
        largest_exponent=window.largest_exponent,
        zero=zero,
        infinity=infinity,
        nan=nan,
    )


def _specials(
    m: Module, fmt: FloatFormat, product: Product, z: Value, subtract: Value, sign: Value
) -> tuple[Value, Value, Value]:
    """Sign, whether an operand makes the sum infinite, or NaN."""
    nan = product.nan | is_nan(z[:-1], fmt)
    infinite = Const(0, 1) if product.infinite is None else product.infinite
    if fmt.specials is not Specials.IEEE:
        return sign, infinite, named(m, "nan", nan)
    z_infinite = named(m, "z_infinite", fields(z, fmt)[1].all())
    nan = named(m, "nan", nan | (infinite & z_infinite & subtract))
    sign = named(m, "sign", Mux(infinite, product.sign, Mux(z_infinite, z[-1], sign)))
    return sign, infinite | z_infinite, nan
