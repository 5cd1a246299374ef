"""Products of logarithmic numbers: exponents add, and their sum is converted to an integer."""

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import MAX_TABLE_FRACTION, TABLE_FRACTION, LnsFormat, check_int
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.values import named


def _check_fraction(format: LnsFormat, table_fraction: int) -> None:
    check_int("table_fraction", table_fraction, format.fraction_bits, MAX_TABLE_FRACTION)


def conversion_table(format: LnsFormat, table_bits: int, table_fraction: int) -> list[int]:
    """`T[r] = round(2^(h / 2^table_bits) * (1 + l / 2^B) * 2^table_fraction)`: B the format's
    `fraction_bits`, h the high `table_bits` bits of r, l the others; limited to
    `2^(table_fraction + 1) - 1`.

    Raises: ValueError.
    """
    check_int("table_bits", table_bits, 0, format.fraction_bits)
    _check_fraction(format, table_fraction)
    size = 1 << format.fraction_bits
    table = []
    for remainder in range(size):
        high, low = divmod(remainder, size >> table_bits)
        power = 2 ** (high / (1 << table_bits)) * (1 + low / size)
        table.append(min(round(power * (1 << table_fraction)), (2 << table_fraction) - 1))
    return table


def shift_steps(format: LnsFormat, table_fraction: int) -> int:
    """Bits of the quotient that shift an entry of the table, which has table_fraction + 1 bits;
    where a higher bit is 0 nothing of it is left.
    """
    return min(format.exp_bits - format.fraction_bits + 1, table_fraction.bit_length())


def packed_width(format: LnsFormat, table_fraction: int) -> int:
    """Bits of the product of `LnsMultiplier`: remainder, quotient, `nonzero`, sign."""
    return format.fraction_bits + shift_steps(format, table_fraction) + 2


class LnsMultiplier(Combinational):
    """`product = x * y` as a logarithmic number: signs multiply, exponent fields add.

        product: [sign | nonzero | quotient, low bits | remainder]      q * 2^B + r = e_x + e_y

    Products that conversion takes to 0, those of zeros and those below its unit, have all bits 0,
    so that nothing behind the product register moves for them.

    Source: docs/numerics.md section 13.

    Members
    -------
    x, y: In, `format.code_width` bits.
    product: Out, `packed_width` bits, packed as above.
    """

    format: LnsFormat = parameter("of both operands; B of its bits are a fraction")
    table_fraction: int = parameter(
        "fraction bits of the conversion table's entries, at least B",
        low=1,
        high=MAX_TABLE_FRACTION,
        default=TABLE_FRACTION,
    )

    def rules(self):
        _check_fraction(self.format, self.table_fraction)

    def ports(self):
        operand = In(self.format.code_width)
        product = Out(packed_width(self.format, self.table_fraction))
        return {"x": operand, "y": operand, "product": product}

    def elaborate(self, platform):
        m = Module()
        (x, x_sign), (y, y_sign) = ((code[:-1], code[-1]) for code in (self.x, self.y))
        exponent = named(m, "exponent", x + y)
        kept = len(self.product) - 2
        # Bits of the exponent that are not kept must be ones for anything to be left. Where there
        # are such bits they suffice: beside a zero the other field is too short to set them.
        reach = exponent[kept:]
        nonzero = named(m, "nonzero", reach.all() if len(reach) else x.any() & y.any())
        word = Cat(exponent[:kept], 1, x_sign ^ y_sign)
        m.d.comb += self.product.eq(word & nonzero.replicate(len(word)))
        return m


class LnsConverter(Combinational):
    """Integer of a logarithmic product: magnitude `floor(T[r] * 2^(q - 2^(E-B+1) + 1))`.

    The table is logic of the remainder alone. A right shift by the complement of the quotient
    follows, large steps first: measured against small ones first, 2 % less energy of the MAC.
    A product of 0 arrives with the exponent 0, whose entry 2^table_fraction leaves one bit after
    the longest shift, or none: clearing that bit makes the zero.

    Source: docs/numerics.md section 13.

    Members
    -------
    i: In, the product of `LnsMultiplier`.
    o: Out, table_fraction + 2 bits, sign (most significant) and magnitude in units of
        2^-(table_fraction + 1).
    """

    format: LnsFormat = LnsMultiplier.format
    table_bits: int = parameter(
        "bits of the remainder that the table looks up, 0 (Mitchell's 1 + x alone) to B (exact)",
        low=0,
        high=4,
    )
    table_fraction: int = LnsMultiplier.table_fraction

    def rules(self):
        conversion_table(self.format, self.table_bits, self.table_fraction)

    def ports(self):
        self._table = conversion_table(self.format, self.table_bits, self.table_fraction)
        width = packed_width(self.format, self.table_fraction)
        return {"i": In(width), "o": Out(self.table_fraction + 2)}

    def elaborate(self, platform):
        m = Module()
        bits = self.format.fraction_bits
        remainder, quotient = self.i[:bits], self.i[bits:-2]
        nonzero, sign = self.i[-2], self.i[-1]
        # Expressions, not a switch: before its first event in a simulator, a switch is undefined.
        chosen = [~remainder.any()]
        chosen += [remainder == index for index in range(1, len(self._table))]
        value: Value = Const(0, self.table_fraction + 1)
        for select, entry in zip(chosen, self._table, strict=True):
            value = value | Const(entry, self.table_fraction + 1) & select.replicate(len(value))
        value = named(m, "entry", value)
        for step in reversed(range(len(quotient))):
            shifted = Mux(quotient[step], value, value >> (1 << step))
            value = named(m, f"by{1 << step}", shifted)
        left = max(self.table_fraction - (1 << len(quotient)) + 1, 0)
        magnitude = Cat(value[:left], value[left] & nonzero, value[left + 1 :])
        m.d.comb += self.o.eq(Cat(magnitude, sign))
        return m
