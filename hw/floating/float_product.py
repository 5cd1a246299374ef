# amaranth: UnusedElaboratable=no
"""The exact product of two floating-point numbers, neither normalised nor rounded."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, FloatFormat, Specials
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from ..parts.values import named
from .float_common import fields, is_nan


@dataclass(frozen=True)
class Product:
    """A word of `FloatProduct.product` taken apart: `(-1)^sign * significand * 2^(exponent - 2 bias
    - 2 M)` where neither `nan` nor `infinite` (which is None for a format without infinities).
    """

    significand: Value
    exponent: Value
    sign: Value
    nan: Value
    infinite: Value | None

    @property
    def zero(self) -> Value:
        """Whether a factor is zero: any other exponent is two or more."""
        return ~self.exponent[1:].any()


def exact_format(
    format: FloatFormat, acc_format: FloatFormat, *, subnormals: bool
) -> FloatFormat | None:
    """The smallest format, of exponents that `acc_format` has, that holds every product of two
    numbers of `format`, as a normal number or, with `acc_format`'s own exponents and `subnormals`,
    exactly; None where there is none.

    Then the sum of product and addend rounds once although the product is a number of its own: a
    `FloatMultiplier` and a `FloatAdder` of this format do what a wider fused adder would.
    """
    man_bits = 2 * format.man_bits + 1
    if acc_format.specials is not Specials.IEEE or man_bits > FP32.man_bits:
        return None
    unit = 2 * (format.min_exp - format.man_bits)
    for exp_bits in range(2, acc_format.exp_bits + 1):
        candidate = FloatFormat(exp_bits, man_bits)
        gradual = subnormals and exp_bits == acc_format.exp_bits
        smallest = candidate.min_exp - (man_bits if gradual else 0)
        if smallest <= unit and 2 * format.max_exp + 1 <= candidate.max_exp:
            return candidate
    return None


class FloatProduct(Combinational):
    """`product = x * y` exactly: significands multiplied as they are, exponent fields added.

        product: [nan | infinite (IEEE formats) | sign | exponent, E + 1 bits | significand, 2M + 2]

    `exponent` is the sum of both fields, a field 0 counting as 1 (its weight), and 0 where a factor
    is zero. Subnormal operands keep their leading zeros: whoever takes the product shifts it
    anyway. `nan`: a NaN operand, or zero times infinity; `infinite` says nothing then, nor do the
    numbers where either is set.
    What saves the shifter and the rounding of `FloatMultiplier` costs register bits: for a unit
    that rounds once, after its addition.

    Members
    -------
    x, y: In, `format.code_width` bits.
    product: Out, packed as above; `split` takes it apart.
    """

    format: FloatFormat = parameter("of `x` and `y`")
    subnormals: bool = parameter(
        "False reads subnormal operands as zeros of their sign", default=True
    )
    recoding: Recoding = UnsignedMultiplier.recoding

    def ports(self):
        self._significands = UnsignedMultiplier(
            width=self.format.significand_width, recoding=self.recoding
        )
        operand = In(self.format.code_width)
        return {"x": operand, "y": operand, "product": Out(self.width(self.format))}

    @staticmethod
    def width(format: FloatFormat) -> int:
        """Bits of the product of two numbers of `format`."""
        flags = 2 if format.specials is Specials.IEEE else 1
        return 2 * format.significand_width + format.exp_bits + 1 + 1 + flags

    @staticmethod
    def split(word: Value, format: FloatFormat) -> Product:
        """The parts of the product `word` of two numbers of `format`."""
        top = 2 * format.significand_width
        end = top + format.exp_bits + 1
        infinite = word[end + 1] if format.specials is Specials.IEEE else None
        return Product(word[:top], word[top:end], word[end], word[-1], infinite)

    def elaborate(self, platform):
        m = Module()
        fmt = self.format
        m.submodules.significands = significands = self._significands
        signs, weights, nonzero = [], [], []
        for name, code, port in (("x", self.x, significands.x), ("y", self.y, significands.y)):
            sign, exponent, mantissa = fields(code, fmt)
            normal = named(m, f"{name}_hidden", exponent.any())
            if not self.subnormals:
                mantissa = mantissa & normal.replicate(fmt.man_bits)
            m.d.comb += port.eq(Cat(mantissa, normal))
            signs.append(sign)
            weights.append(exponent | ~normal)
            nonzero.append(named(m, f"{name}_nonzero", port.any()))
        exponent = weights[0] + weights[1]
        valid = named(m, "nonzero", nonzero[0] & nonzero[1])
        exponent = named(m, "exponent", exponent & valid.replicate(len(exponent)))
        sign = signs[0] ^ signs[1]
        nan = is_nan(self.x[:-1], fmt) | is_nan(self.y[:-1], fmt)
        flags = [nan]
        if fmt.specials is Specials.IEEE:
            infinite = [fields(code, fmt)[1].all() for code in (self.x, self.y)]
            zero_by_infinity = (infinite[0] & ~nonzero[1]) | (infinite[1] & ~nonzero[0])
            flags = [infinite[0] | infinite[1], nan | zero_by_infinity]
        m.d.comb += self.product.eq(Cat(significands.product, exponent, sign, *flags))
        return m
