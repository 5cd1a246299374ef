# amaranth: UnusedElaboratable=no
"""Fused multiply-add."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat
from ..parts.combinational import Combinational
from ..parts.unsigned_multiplier import Recoding
from .exact_multiplier import choose_multiplier
from .float_adder import AdderPath, FloatAdder, check_path
from .float_product import FloatProduct, exact_format
from .fused_adder import FusedAdder, Window


class FloatFma(Combinational):
    """`sum = x * y + z`, rounded once to nearest even (IEEE 754 fusedMultiplyAdd).

    A `FloatProduct` and a `FusedAdder`; where the exponents of `acc_format` hold every product, a
    exact multiplier and a `FloatAdder`, which is smaller (FP8 and FP16 into FP32, for instance).
    Subnormals, specials and signs of zero as `FusedAdder` has them. Factors that are subnormal in
    `format` are kept where `acc_format` has the wider exponent range: there they are normal.

    Parameters
    ----------
    format: of `x` and `y`.
    acc_format: of `z` and `sum`, default `format`.
    subnormals: False reads subnormal operands as zeros of their sign, and a sum that is below the
        smallest normal number after rounding with unbounded exponent becomes zero of its sign.
    recoding: of the significand multiplier.
    path: of a `FloatAdder`; a `FusedAdder` has one path.

    Members
    -------
    x, y: In, `format.code_width` bits.
    z: In, `acc_format.code_width` bits.
    sum: Out, `acc_format.code_width` bits.

    Raises
    ------
    TypeError.

    Source
    ------
    docs/numerics.md section 11.
    """

    def __init__(
        self,
        *,
        format: FloatFormat,
        acc_format: FloatFormat | None = None,
        subnormals: bool = True,
        recoding: Recoding = Recoding.NONE,
        path: AdderPath = AdderPath.SPLIT,
    ):
        acc_format = format if acc_format is None else acc_format
        self._window = Window(format=format, acc_format=acc_format, subnormals=subnormals)
        check_path(path)
        self._path = path
        self._product_format = exact_format(format, acc_format, subnormals=subnormals)
        if self._product_format is None:
            keep = self._window.keeps_operands
            self._multiplier = FloatProduct(format=format, subnormals=keep, recoding=recoding)
            self._adder = FusedAdder(format=format, acc_format=acc_format, subnormals=subnormals)
        else:
            operand_format = FloatFormat(acc_format.exp_bits, self._product_format.man_bits)
            self._multiplier = choose_multiplier(format, operand_format, recoding)
            self._adder = FloatAdder(
                format=acc_format,
                operand_format=operand_format,
                subnormals=subnormals,
                path=path,
            )
        super().__init__(
            {
                "x": In(format.code_width),
                "y": In(format.code_width),
                "z": In(acc_format.code_width),
                "sum": Out(acc_format.code_width),
            }
        )

    format = property(lambda self: self._window.format, doc="Format of `x` and `y`.")
    acc_format = property(lambda self: self._window.acc_format, doc="Format of `z` and `sum`.")
    subnormals = property(lambda self: self._window.subnormals, doc="Whether subnormals are kept.")
    path = property(lambda self: self._path, doc="Structure of a `FloatAdder`.")
    recoding = property(
        lambda self: self._multiplier.recoding, doc="Of the significand multiplier."
    )

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
