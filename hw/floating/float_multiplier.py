# amaranth: UnusedElaboratable=no
"""Floating-point multiplication, rounded to nearest even."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat, Specials
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from ..parts.values import named
from .float_common import (
    encode,
    fields,
    is_nan,
    join_exponent,
    round_before_normalising,
    round_gradually,
    shift_steps,
)


class FloatMultiplier(Combinational):
    """`product = x * y`, rounded once to nearest even in `out_format`.

    The significands are multiplied as they are, subnormals with their leading zeros, so that the
    operands reach the multiplier unshifted. One left shift (`round_gradually`) serves both the
    normalisation of subnormal operands and the alignment of subnormal results. Products of normal
    numbers go round that shifter, which stays quiet.

    Zero times infinity and NaN operands give `out_format.nan`.

    Members
    -------
    x, y: In, `format.code_width` bits.
    product: Out, `out_format.code_width` bits.
    """

    format: FloatFormat = parameter("of `x` and `y`")
    out_format: FloatFormat = parameter(
        "of `product`, by default `format`; E4M3 into (8, 7) and E5M2 into (8, 5) are exact",
        factory=lambda self: self.format,
    )
    subnormals: bool = parameter(
        "False reads subnormal operands as zeros of their sign, and a product that is below the "
        "smallest normal number after rounding with unbounded exponent becomes zero of its sign",
        default=True,
    )
    recoding: Recoding = UnsignedMultiplier.recoding

    def ports(self):
        self._significands = UnsignedMultiplier(
            width=self.format.significand_width, recoding=self.recoding
        )
        operand = In(self.format.code_width)
        return {"x": operand, "y": operand, "product": Out(self.out_format.code_width)}

    def elaborate(self, platform):
        m = Module()
        fmt, out = self.format, self.out_format
        x_sign, x_exponent, x_mantissa = fields(self.x, fmt)
        y_sign, y_exponent, y_mantissa = fields(self.y, fmt)
        x_hidden: Value = named(m, "x_hidden", x_exponent.any())
        y_hidden: Value = named(m, "y_hidden", y_exponent.any())
        normal = named(m, "normal_operands", x_hidden & y_hidden)
        if self.subnormals:  # exponent field 0 has the weight of 1
            x_exponent, y_exponent = x_exponent | ~x_hidden, y_exponent | ~y_hidden
        else:
            x_hidden = y_hidden = Const(1, 1)
        m.submodules.significands = significands = self._significands
        m.d.comb += significands.x.eq(Cat(x_mantissa, x_hidden))
        m.d.comb += significands.y.eq(Cat(y_mantissa, y_hidden))
        # Exponent field, less one, of the product's top bit (weight 2).
        exponent = Signal(signed(self._exponent_width))
        m.d.comb += exponent.eq(x_exponent + y_exponent + (out.bias - 2 * fmt.bias))

        finish = self._finish_subnormals if self.subnormals else self._finish_normals
        code, zero = finish(m, significands.product, exponent, normal)
        infinity, nan = self._specials(m)
        m.d.comb += self.product.eq(
            encode(
                m,
                out,
                sign=x_sign ^ y_sign,
                code=code,
                largest_exponent=self._largest_exponent + 2,
                zero=zero,
                infinity=infinity,
                nan=nan,
            )
        )
        return m

    @property
    def _smallest_exponent(self) -> int:
        """Smallest value of `exponent`: both operands of weight 1."""
        return 2 + self.out_format.bias - 2 * self.format.bias

    @property
    def _largest_exponent(self) -> int:
        """Largest value of `exponent` for finite operands."""
        return 2 * self.format.max_exp + self.out_format.bias

    @property
    def _exponent_width(self) -> int:
        """Bits of `exponent`, signed.

        It goes two below its smallest value for flushed operands, two above its largest for
        infinities, and one further by rounding; the shifter reads its sign and `steps` bits.
        """
        bits = max(
            (self._largest_exponent + 3).bit_length(), (2 - self._smallest_exponent).bit_length()
        )
        return 1 + max(bits, self._steps)

    @property
    def _steps(self) -> int:
        """Stages of the left shifter, which reaches 2^steps - 1 places."""
        fmt, smallest = self.format, self._smallest_exponent
        # Leading zeros: one operand subnormal, or both where the exponent leaves room to shift.
        zeros = max(fmt.man_bits + 1, min(2 * fmt.man_bits + 1, smallest))
        return shift_steps(self.out_format, zeros, smallest)

    def _finish_subnormals(
        self, m: Module, significand: Value, exponent: Value, normal: Value
    ) -> tuple[Value, Value]:
        """Normalise and round with gradual underflow: (code, zero)."""
        code = round_gradually(
            m,
            self.out_format,
            significand,
            exponent,
            smallest=self._smallest_exponent,
            largest=self._largest_exponent,
            steps=self._steps,
            normal=normal,
        )
        return code, Const(0, 1)

    def _finish_normals(
        self, m: Module, significand: Value, exponent: Value, normal: Value
    ) -> tuple[Value, Value]:
        """Round, then normalise by one place, flushing what is below the normal numbers:
        (code, zero).
        """
        out = self.out_format
        padding = max(out.man_bits + 2 - (len(significand) - 1), 0)
        significand = Cat(Const(0, padding), significand)
        low = len(significand) - 2 - out.man_bits  # of the last bit kept without the top bit
        mantissa, carry = round_before_normalising(
            m,
            out,
            significand[low:],
            guard=significand[low - 1],
            sticky=named(m, "sticky", significand[: low - 1].any()),
        )
        # The exponent is that of the top bit: without that bit it is one less.
        field: Value = join_exponent(m, exponent, significand[-1], carry, name="field")
        field = field[: len(exponent)].as_signed()
        zero = named(m, "zero", ~normal | (field <= 0))
        width = (self._largest_exponent + 2).bit_length()
        kept_field = named(m, "exponent_kept", field[:width] & (~zero).replicate(width))
        return Cat(mantissa, kept_field), zero

    def _specials(self, m: Module) -> tuple[Value, Value]:
        """Whether an operand makes the product infinite, or NaN."""
        fmt = self.format
        if fmt.specials is not Specials.IEEE:
            return Const(0, 1), named(m, "nan", is_nan(self.x[:-1], fmt) | is_nan(self.y[:-1], fmt))
        top, fraction, zero = {}, {}, {}
        for name, code in (("x", self.x), ("y", self.y)):
            _, exponent, mantissa = fields(code, fmt)
            top[name] = named(m, f"{name}_top", exponent.all())
            fraction[name] = named(m, f"{name}_fraction", mantissa.any())
            tiny = fraction[name] if self.subnormals else Const(0, 1)
            zero[name] = named(m, f"{name}_zero", ~exponent.any() & ~tiny)
        invalid = [top[a] & (fraction[a] | zero[b]) for a, b in (("x", "y"), ("y", "x"))]
        return top["x"] | top["y"], named(m, "nan", invalid[0] | invalid[1])
