# amaranth: UnusedElaboratable=no
"""Multiply-accumulate units that round once an operation."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat
from ..floating.exact_multiplier import choose_multiplier
from ..floating.float_accumulator import (
    FloatAccumulator,
)
from ..floating.float_adder import AdderPath, check_path
from ..floating.float_product import FloatProduct, exact_format
from ..floating.fused_adder import FusedAdder, Window
from ..parts.unsigned_multiplier import Recoding
from ..parts.values import registered
from .mac import Mac


class FusedAccumulator(wiring.Component):
    """Fused accumulator: `acc' = round((start ? -0 : acc) + product)` in `acc_format`.

    -0 is the additive identity of nearest-even addition, so `start` rounds the product itself.
    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state.
    Source: docs/numerics.md section 11.

    Parameters
    ----------
    format, acc_format, subnormals: as in `FusedAdder`.

    Members
    -------
    product: In, a word of `FloatProduct`.
    start: In, load instead of add.
    acc: Out, `acc_format.code_width` bits.

    Raises
    ------
    TypeError.
    """

    def __init__(
        self,
        *,
        format: FloatFormat,
        acc_format: FloatFormat | None = None,
        subnormals: bool = True,
    ):
        self._adder = FusedAdder(format=format, acc_format=acc_format, subnormals=subnormals)
        super().__init__(
            {
                "product": In(len(self._adder.product)),
                "start": In(1),
                "acc": Out(self.acc_format.code_width),
            }
        )

    format = property(lambda self: self._adder.format, doc="Format of the product's factors.")
    acc_format = property(lambda self: self._adder.acc_format, doc="Format of `acc`.")
    subnormals = property(lambda self: self._adder.subnormals, doc="Whether subnormals are kept.")
    latency = property(lambda self: 1, doc="Clock cycles from `product` to `acc`.")
    registers = property(lambda self: self.acc_format.code_width, doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = self._adder
        acc = registered(m, "acc", adder.sum)
        m.d.comb += [
            adder.product.eq(self.product),
            adder.z.eq(Cat((bit & ~self.start for bit in acc[:-1]), acc[-1] | self.start)),
            self.acc.eq(acc),
        ]
        return m


class FusedMac(Mac):
    """Floating-point MAC that rounds once: `acc' = fl(acc + w * a)`, IEEE 754 nearest even.

    The product register holds the exact product: a number of the smallest format that holds them
    all where that lies within `acc_format` (FP8 into FP32, FP16 or FP12: `Fp8Mac` is one of these),
    else `FloatProduct`'s word.
    Source: docs/numerics.md section 11.

    Parameters
    ----------
    format: FloatFormat of the operands.
    acc_format: FloatFormat of the accumulator, default `format`.
    subnormals: keep the accumulator's subnormals (True) or flush them to zero.
    recoding: of the significand multiplier.
    path: of the adder where it is a `FloatAdder`; a `FusedAdder` has one path.

    Raises
    ------
    TypeError.
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
        product_format = exact_format(format, acc_format, subnormals=subnormals)
        if product_format is None:
            keep = self._window.keeps_operands
            multiplier = FloatProduct(format=format, subnormals=keep, recoding=recoding)
            accumulator = FusedAccumulator(
                format=format, acc_format=acc_format, subnormals=subnormals
            )
        else:
            multiplier = choose_multiplier(format, product_format, recoding)
            # Sums are multiples of the smallest product: all normal where that is.
            tiny = 2 * (format.min_exp - format.man_bits) < acc_format.min_exp
            accumulator = FloatAccumulator(
                format=acc_format, product_format=product_format, subnormals=tiny, path=path
            )
        super().__init__(
            multiplier=multiplier,
            accumulator=accumulator,
            idle_operands=(1 << (format.code_width - 1), 0),
        )

    format = property(lambda self: self._window.format, doc="Format of the operands.")
    acc_format = property(lambda self: self._window.acc_format, doc="Format of `acc`.")
    subnormals = property(lambda self: self._window.subnormals, doc="Whether subnormals are kept.")
    path = property(lambda self: self._path, doc="Structure of a `FloatAdder`.")
