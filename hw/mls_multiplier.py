# amaranth: UnusedElaboratable=no
"""MLS element multiplier: mantissa product, then one shift by each operand's exponent."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..golden.formats import ElementFormat, check_int
from .combinational import Combinational
from .unsigned_multiplier import Recoding, UnsignedMultiplier

MAX_PRODUCT_WIDTH = 62
"""Magnitude bits of a product: with its sign and a carry it stays a 64-bit integer."""


class ExponentShifter(Combinational):
    """Left shift by what an MLS exponent field means: `o = i << max(exp - 1, 0)`.

    Combinational. Exponent fields 0 (subnormal) and 1 share shift 0, so the shift amount is decoded
    from the field (one gate a bit for E = 2) rather than added up from both operands: two chained
    shifters are smaller and faster than one shifter behind an exponent adder.

    Parameters
    ----------
    width: bits of `i`, 1..64.
    exp_bits: bits of the exponent field, 1..5.

    Members
    -------
    i: In, `width` bits, unsigned.
    exp: In, `exp_bits`.
    o: Out, `width + 2^exp_bits - 2` bits, unsigned; never loses a bit.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(self, *, width: int, exp_bits: int):
        check_int("width", width, 1, 64)
        check_int("exp_bits", exp_bits, 1, 5)
        self._width = width
        self._exp_bits = exp_bits
        super().__init__(
            {"i": In(width), "exp": In(exp_bits), "o": Out(width + (1 << exp_bits) - 2)}
        )

    width = property(lambda self: self._width, doc="Bits of `i`.")
    exp_bits = property(lambda self: self._exp_bits, doc="Bits of the exponent field.")

    def elaborate(self, platform):
        m = Module()
        amount = Signal(self.exp_bits)
        m.d.comb += amount.eq(Mux(self.exp.any(), self.exp - 1, 0))
        shifted = self.i
        for bit in range(self.exp_bits):
            stage = Signal(min(len(shifted) + (1 << bit), len(self.o)), name=f"shifted_{bit}")
            m.d.comb += stage.eq(Mux(amount[bit], shifted << (1 << bit), shifted))
            shifted = stage
        m.d.comb += self.o.eq(shifted)
        return m


class MlsMultiplier(Combinational):
    """Exact product of two MLS elements: `q_x * q_y` with the product of the signs.

    `q = m` where the exponent field is 0, else `(2^M + m) << (e - 1)`. Never rounds or overflows.
    Built as an (M+1) x (M+1) bit multiply of the unshifted significands and a shift by each
    exponent (E = 0: an M x M bit multiply alone):

        x: [sign | e | m]   y: [sign | e | m]
                 |   {e != 0, m} * {e != 0, m}      2M + 2 bits
                 |        << max(e_x - 1, 0)        + 2^E - 2
                 |        << max(e_y - 1, 0)        + 2^E - 2
        product: [sign | magnitude]                 1 + 2M + 2^(E+1) - 2

    Source: docs/numerics.md section 4 (the paper's Eq. 7).

    Parameters
    ----------
    element: ElementFormat of both operands.
    recoding: of the significand multiplier.

    Members
    -------
    x, y: In, `element.code_width` bits, packed codes.
    product: Out, `element.product_width + 1` bits, sign (most significant) and magnitude.

    Raises
    ------
    TypeError; ValueError for products of more than `MAX_PRODUCT_WIDTH` bits.
    """

    def __init__(self, *, element: ElementFormat, recoding: Recoding = Recoding.NONE):
        if not isinstance(element, ElementFormat):
            raise TypeError(f"element must be an ElementFormat, not {element!r}")
        if element.product_width > MAX_PRODUCT_WIDTH:
            rule = f"element must have products of at most {MAX_PRODUCT_WIDTH} bits"
            raise ValueError(f"{rule}, not {element}, which has {element.product_width}")
        self._element = element
        width = element.man_bits + (element.exp_bits > 0)
        self._significands = UnsignedMultiplier(width=width, recoding=recoding)
        super().__init__(
            {
                "x": In(element.code_width),
                "y": In(element.code_width),
                "product": Out(element.product_width + 1),
            }
        )

    element = property(lambda self: self._element, doc="Format of both operands.")
    recoding = property(
        lambda self: self._significands.recoding, doc="Of the significand multiplier."
    )

    def elaborate(self, platform):
        m = Module()
        exp_bits, man_bits = self.element.exp_bits, self.element.man_bits
        m.submodules.significands = significands = self._significands
        exponents = [code[man_bits:-1] for code in (self.x, self.y)]
        for operand, code, exponent in zip(
            (significands.x, significands.y), (self.x, self.y), exponents, strict=True
        ):
            hidden = [exponent.any()] if exp_bits else []
            m.d.comb += operand.eq(Cat(code[:man_bits], *hidden))
        magnitude = significands.product
        for name, exponent in zip("xy", exponents if exp_bits else (), strict=False):
            shifter = ExponentShifter(width=len(magnitude), exp_bits=exp_bits)
            m.submodules[f"shifter_{name}"] = shifter
            m.d.comb += [shifter.i.eq(magnitude), shifter.exp.eq(exponent)]
            magnitude = shifter.o
        sign = self.x[-1] ^ self.y[-1]
        # No product reaches the bits above `product_width`.
        m.d.comb += self.product.eq(Cat(magnitude[: self.element.product_width], sign))
        return m
