# amaranth: UnusedElaboratable=no
"""The floating-point accumulator: one product a cycle."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat
from .float_adder import AdderPath, FloatAdder
from .float_common import check_format


class FloatAccumulator(wiring.Component):
    """Floating-point accumulator: `acc' = round((start ? -0 : acc) + product)` in `format`.

    -0 is the additive identity of nearest-even addition, so `start` loads the product itself.
    A narrower product format is widened exactly first; a longer mantissa is rounded with the sum.
    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state. Source:
    docs/numerics.md sections 5 and 11.

    Parameters
    ----------
    format: FloatFormat of the accumulator.
    product_format: FloatFormat of the product, at most the exponent bits of `format` (default
        `format`); longer mantissas as `FloatAdder` takes them.
    subnormals: keep subnormals (True) or flush them to zero.
    path: of the adder.

    Members
    -------
    product: In, `product_format.code_width` bits.
    start: In, load instead of add.
    acc: Out, `format.code_width` bits.

    Raises
    ------
    TypeError; ValueError where the exponents of `product_format` do not fit into `format`.
    """

    def __init__(
        self,
        *,
        format: FloatFormat,
        product_format: FloatFormat | None = None,
        subnormals: bool = True,
        path: AdderPath = AdderPath.SPLIT,
    ):
        product_format = format if product_format is None else product_format
        check_format("format", format)
        check_format("product_format", product_format)
        operand_format = FloatFormat(
            format.exp_bits, product_format.man_bits, product_format.specials
        )
        self._adder = FloatAdder(
            format=format, operand_format=operand_format, subnormals=subnormals, path=path
        )
        widen(
            Signal(product_format.code_width), product_format, operand_format
        )  # raises where not exact
        self._product_format = product_format
        super().__init__(
            {
                "product": In(product_format.code_width),
                "start": In(1),
                "acc": Out(format.code_width),
            }
        )

    format = property(lambda self: self._adder.format, doc="Format of `acc`.")
    product_format = property(lambda self: self._product_format, doc="Format of `product`.")
    subnormals = property(lambda self: self._adder.subnormals, doc="Whether subnormals are kept.")
    path = property(lambda self: self._adder.path, doc="Structure of the adder.")
    latency = property(lambda self: 1, doc="Clock cycles from `product` to `acc`.")
    registers = property(lambda self: self.format.code_width, doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        acc = Signal(self.format.code_width, reset_less=True)
        m.submodules.adder = adder = self._adder
        m.d.comb += [
            adder.x.eq(Cat((bit & ~self.start for bit in acc[:-1]), acc[-1] | self.start)),
            adder.y.eq(widen(self.product, self.product_format, adder.operand_format)),
            self.acc.eq(acc),
        ]
        m.d.sync += acc.eq(adder.sum)
        return m


def widen(code, source: FloatFormat, target: FloatFormat):
    """The same number in a format with at least as many exponent and mantissa bits, as an
    expression.

    A narrower exponent is taken to be normal or zero (a unit's exact product format is chosen so),
    since a subnormal would have to be normalised. `e' = e + (bias' - bias)`, except that the
    all-zero and all-ones fields stay what they are.
    Raises: ValueError where `target` is narrower or the formats' special codes differ.
    """
    if source.specials is not target.specials:
        raise ValueError(f"product_format must have the specials of {target}, not of {source}")
    if source.exp_bits > target.exp_bits or source.man_bits > target.man_bits:
        raise ValueError(f"product_format must fit into {target}, not {source}")
    mantissa, exponent, sign = (
        code[: source.man_bits],
        code[source.man_bits : -1],
        code[-1],
    )
    padding = target.man_bits - source.man_bits
    extra = target.exp_bits - source.exp_bits
    if extra:
        # bias' - bias = 2^(E'-1) - 2^(E-1): adding it keeps the low E-1 bits and the top bit, and
        # puts the complement of the top bit between them. Zero must keep zeros there, all-ones must
        # keep ones.
        top = exponent[-1]
        filler = (~top & exponent.any()) | exponent.all()
        exponent = Cat(exponent[:-1], filler.replicate(extra), top)
    return Cat(Const(0, padding), mantissa, exponent, sign)
