# amaranth: UnusedElaboratable=no
"""Floating-point multiplication into a format that holds every product."""

from amaranth.hdl import Cat, Const, Module, Mux, Value

from ...golden.spec import FloatFormat
from ..parts.component import constant, parameter
from ..parts.unsigned_multiplier import Recoding
from ..parts.values import named
from .float_common import encode, fields, normalise
from .float_multiplier import FloatMultiplier


def choose_multiplier(
    format: FloatFormat, out_format: FloatFormat, recoding: Recoding, *, subnormals: bool = True
) -> FloatMultiplier:
    """An `ExactMultiplier` where `out_format` allows it, else a `FloatMultiplier`."""
    if subnormals and _holds_products(out_format, format):
        return ExactMultiplier(format=format, out_format=out_format, recoding=recoding)
    return FloatMultiplier(
        format=format, out_format=out_format, subnormals=subnormals, recoding=recoding
    )


def _holds_products(out: FloatFormat, fmt: FloatFormat) -> bool:
    """Whether `out` has the mantissa of a product, and every product is a normal number there."""
    smallest, largest = 2 * (fmt.min_exp - fmt.man_bits), 2 * fmt.max_exp + 1
    in_range = out.min_exp <= smallest and largest <= out.max_exp
    return in_range and out.man_bits == 2 * fmt.man_bits + 1


class ExactMultiplier(FloatMultiplier):
    """`product = x * y` in an `out_format` in which every product is exact and a normal number.

    Subnormal operands are normalised ahead of the significand multiplier, which takes few places of
    few bits; its product then leads with a zero at most, and its exponent is ready but for that.
    Less delay than shifting the product, and fewer glitches.

    Members as those of `FloatMultiplier`.
    """

    out_format: FloatFormat = parameter(
        "of `product`; holds every product as a normal number of 2M + 1 mantissa bits, M being "
        "those of `format`"
    )
    subnormals: bool = constant(True)

    def rules(self):
        if not _holds_products(self.out_format, self.format):
            raise ValueError(
                f"out_format must hold every product of {self.format} as a normal number of "
                f"{2 * self.format.man_bits + 1} mantissa bits, not {self.out_format!r}"
            )

    def elaborate(self, platform):
        m = Module()
        fmt, out = self.format, self.out_format
        m.submodules.significands = significands = self._significands
        x_exponent, x_nonzero = self._normalise(m, "x", self.x, significands.x)
        y_exponent, y_nonzero = self._normalise(m, "y", self.y, significands.y)
        product, top = significands.product, significands.product[-1]
        mantissa = named(m, "mantissa", Mux(top, product[:-1], Cat(Const(0, 1), product[:-2])))
        # Exponent field of a product without its top bit (weight 2).
        bits = out.exp_bits
        base = named(m, "base", (x_exponent + y_exponent + (out.bias - 2 * fmt.bias))[:bits])
        nonzero = named(m, "nonzero", x_nonzero & y_nonzero)
        field = named(m, "field", (base + top)[:bits] & nonzero.replicate(bits))
        infinity, nan = self._specials(m)
        m.d.comb += self.product.eq(
            encode(
                m,
                out,
                sign=self.x[-1] ^ self.y[-1],
                code=Cat(mantissa, field),
                largest_exponent=2 * fmt.max_exp + 1 + out.bias,
                zero=Const(0, 1),
                infinity=infinity,
                nan=nan,
            )
        )
        return m

    def _normalise(self, m: Module, name: str, code: Value, port: Value) -> tuple[Value, Value]:
        """Feed `port` the significand of `code` without leading zeros: (signed exponent field,
        whether it is not zero).
        """
        fmt = self.format
        _, exponent, mantissa = fields(code, fmt)
        hidden = named(m, f"{name}_hidden", exponent.any())
        steps = fmt.man_bits.bit_length()
        significand, _, amount = normalise(
            m,
            Cat(mantissa, hidden),
            Const(0, 1),
            out_width=fmt.significand_width,
            limit=Const(0, steps),
            unlimited=Const(1, 1),
            steps=steps,
            enable=~hidden,
            always=0,
            isolate=False,
            name=name,
        )
        m.d.comb += port.eq(significand)
        weight = named(m, f"{name}_exponent", (exponent | ~hidden) - amount)
        return weight, hidden | mantissa.any()
