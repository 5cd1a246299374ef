# amaranth: UnusedElaboratable=no
"""The floating-point accumulator: one product a cycle."""

from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat
from ..parts.component import Component, parameter
from .float_adder import AdderPath, FloatAdder


class FloatAccumulator(Component):
    """Floating-point accumulator: `acc' = round((start ? -0 : acc) + product)` in `format`.

    -0 is the additive identity of nearest-even addition, so `start` loads the product itself.
    A narrower product format is widened exactly first; a longer mantissa is rounded with the sum.
    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state. Source:
    docs/numerics.md sections 5 and 11.

    Members
    -------
    product: In, `product_format.code_width` bits.
    start: In, load instead of add.
    acc: Out, `format.code_width` bits.
    """

    format: FloatFormat = parameter("of the accumulator")
    product_format: FloatFormat = parameter(
        "of the product, by default `format`; of at most its exponent bits, and longer mantissas "
        "as `FloatAdder` takes them",
        factory=lambda self: self.format,
    )
    subnormals: bool = parameter("keep subnormals (True) or flush them to zero", default=True)
    path: AdderPath = parameter("of the adder", default=AdderPath.SPLIT)

    def rules(self):
        FloatAdder.check(**self._addition)
        check_widening(self.product_format, self._addition["operand_format"])

    def ports(self):
        self._adder = FloatAdder(**self._addition)
        return {
            "product": In(self.product_format.code_width),
            "start": In(1),
            "acc": Out(self.format.code_width),
        }

    @property
    def _addition(self) -> dict[str, Any]:
        product = self.product_format
        return {
            "format": self.format,
            "operand_format": FloatFormat(self.format.exp_bits, product.man_bits, product.specials),
            "subnormals": self.subnormals,
            "path": self.path,
        }

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


def check_widening(source: FloatFormat, target: FloatFormat) -> None:
    """Raise ValueError where `target` is narrower than `source`, or its special codes differ."""
    if source.specials is not target.specials:
        raise ValueError(f"product_format must have the specials of {target}, not of {source}")
    if source.exp_bits > target.exp_bits or source.man_bits > target.man_bits:
        raise ValueError(f"product_format must fit into {target}, not {source}")


def widen(code: Value, source: FloatFormat, target: FloatFormat) -> Value:
    """The same number in a format with at least as many exponent and mantissa bits, as an
    expression.

    A narrower exponent is taken to be normal or zero (a unit's exact product format is chosen so),
    since a subnormal would have to be normalised. `e' = e + (bias' - bias)`, except that the
    all-zero and all-ones fields stay what they are.
    Raises: as `check_widening`.
    """
    check_widening(source, target)
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
