# amaranth: UnusedElaboratable=no
"""Fused multiply-add."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat
from ..parts.combinational import Combinational
from ..parts.component import Component, parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from .exact_multiplier import choose_multiplier
from .float_adder import AdderPath, FloatAdder
from .float_product import FloatProduct, exact_format
from .fused_adder import FusedAdder, Window


class FloatFma(Combinational):
    """`sum = x * y + z`, rounded once to nearest even (IEEE 754 fusedMultiplyAdd).

    A `FloatProduct` and a `FusedAdder`; where the exponents of `acc_format` hold every product, an
    exact multiplier and a `FloatAdder`, which is smaller (FP8 and FP16 into FP32, for instance).
    Subnormals, specials and signs of zero as `FusedAdder` has them. Factors that are subnormal in
    `format` are kept where `acc_format` has the wider exponent range: there they are normal.

    Members
    -------
    x, y: In, `format.code_width` bits.
    z: In, `acc_format.code_width` bits.
    sum: Out, `acc_format.code_width` bits.

    Source
    ------
    docs/numerics.md section 11.
    """

    format: FloatFormat = parameter("of `x` and `y`")
    acc_format: FloatFormat = FusedAdder.acc_format
    subnormals: bool = FusedAdder.subnormals
    recoding: Recoding = UnsignedMultiplier.recoding
    path: AdderPath = parameter(
        "of the adder where it is a `FloatAdder`; a `FusedAdder` has one path",
        default=AdderPath.SPLIT,
    )

    def ports(self):
        fmt, acc_format, subnormals = self.format, self.acc_format, self.subnormals
        self._product_format = exact_format(fmt, acc_format, subnormals=subnormals)
        if self._product_format is None:
            window = Window(format=fmt, acc_format=acc_format, subnormals=subnormals)
            self._multiplier: Component = FloatProduct(
                format=fmt, subnormals=window.keeps_operands, recoding=self.recoding
            )
            self._adder: Component = FusedAdder(
                format=fmt, acc_format=acc_format, subnormals=subnormals
            )
        else:
            operand_format = FloatFormat(acc_format.exp_bits, self._product_format.man_bits)
            self._multiplier = choose_multiplier(fmt, operand_format, self.recoding)
            self._adder = FloatAdder(
                format=acc_format,
                operand_format=operand_format,
                subnormals=subnormals,
                path=self.path,
            )
        return {
            "x": In(fmt.code_width),
            "y": In(fmt.code_width),
            "z": In(acc_format.code_width),
            "sum": Out(acc_format.code_width),
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiplier = multiplier = self._multiplier
        m.submodules.adder = adder = self._adder
        m.d.comb += [multiplier.x.eq(self.x), multiplier.y.eq(self.y), self.sum.eq(adder.sum)]
        if self._product_format is None:
            m.d.comb += [adder.product.eq(multiplier.product), adder.z.eq(self.z)]
        else:
            m.d.comb += [adder.x.eq(self.z), adder.y.eq(multiplier.product)]
        return m
