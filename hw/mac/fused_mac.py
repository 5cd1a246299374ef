# amaranth: UnusedElaboratable=no
"""Multiply-accumulate units that round once an operation."""

from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out

from ...golden.spec import FloatFormat
from ..floating.exact_multiplier import choose_multiplier
from ..floating.float_accumulator import FloatAccumulator
from ..floating.float_adder import AdderPath
from ..floating.float_product import FloatProduct, exact_format
from ..floating.fused_adder import FusedAdder, Window
from ..parts.component import Component, parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from ..parts.values import registered
from .mac import Mac
from .skipping import ZeroFloat


class FusedAccumulator(Component):
    """Fused accumulator: `acc' = round((start ? -0 : acc) + product)` in `acc_format`.

    -0 is the additive identity of nearest-even addition, so `start` rounds the product itself.
    Latency 1 cycle, throughput one product a cycle. No reset: `start` defines the state.
    Source: docs/numerics.md section 11.

    Members
    -------
    product: In, a word of `FloatProduct`.
    start: In, load instead of add.
    acc: Out, `acc_format.code_width` bits.
    """

    format: FloatFormat = FusedAdder.format
    acc_format: FloatFormat = FusedAdder.acc_format
    subnormals: bool = FusedAdder.subnormals

    def ports(self):
        self._adder = FusedAdder(
            format=self.format, acc_format=self.acc_format, subnormals=self.subnormals
        )
        return {
            "product": In(len(self._adder.product)),
            "start": In(1),
            "acc": Out(self.acc_format.code_width),
        }

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
    """

    format: FloatFormat = FusedAdder.format
    acc_format: FloatFormat = FusedAdder.acc_format
    subnormals: bool = FusedAdder.subnormals
    recoding: Recoding = UnsignedMultiplier.recoding
    path: AdderPath = parameter(
        "of the adder where it is a `FloatAdder`; a `FusedAdder` has one path",
        default=AdderPath.SPLIT,
    )

    idle_operands = property(
        lambda self: (1 << (self.format.code_width - 1), 0),
        doc="Codes of the operand ports in an idle cycle.",
    )

    @property
    def product_format(self) -> FloatFormat | None:
        """The format that holds every product, where there is one within `acc_format`."""
        return exact_format(self.format, self.acc_format, subnormals=self.subnormals)

    def make_multiplier(self):
        if self.product_format is not None:
            return choose_multiplier(self.format, self.product_format, self.recoding)
        window = Window(format=self.format, acc_format=self.acc_format, subnormals=self.subnormals)
        return FloatProduct(
            format=self.format, subnormals=window.keeps_operands, recoding=self.recoding
        )

    def make_skip(self):
        fmt, acc_format = self.format, self.acc_format
        last = acc_format.min_exp - (acc_format.man_bits if self.subnormals else 0)
        # Then every sum is a multiple of what the accumulator can hold: none is rounded to zero.
        fine = 2 * (fmt.min_exp - fmt.man_bits) >= last
        window = Window(format=fmt, acc_format=acc_format, subnormals=self.subnormals)
        kept = self.product_format is not None or window.keeps_operands
        return ZeroFloat(format=fmt, subnormals=kept, lasting=fine, exact=fine)

    def make_accumulator(self):
        fmt, acc_format = self.format, self.acc_format
        if self.product_format is None:
            return FusedAccumulator(format=fmt, acc_format=acc_format, subnormals=self.subnormals)
        # Sums are multiples of the smallest product: all normal where that is.
        tiny = 2 * (fmt.min_exp - fmt.man_bits) < acc_format.min_exp
        return FloatAccumulator(
            format=acc_format, product_format=self.product_format, subnormals=tiny, path=self.path
        )
