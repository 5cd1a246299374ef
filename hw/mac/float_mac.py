# amaranth: UnusedElaboratable=no
"""Floating-point MACs that round product and sum."""

from typing import Any

from ...golden.spec import FP8_E4M3, FP8_E5M2, FP32, FloatFormat
from ..floating.exact_multiplier import choose_multiplier
from ..floating.float_accumulator import FloatAccumulator
from ..floating.float_adder import AdderPath
from ..floating.float_product import exact_format
from ..parts.component import constant, parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from .mac import Mac
from .skipping import ZeroFloat


class FloatMac(Mac):
    """Floating-point MAC: `acc' = fl(acc + fl(w * a))`, IEEE 754 nearest even.

    The product goes to the accumulator in `product_format`: for FP8 operands a small format that
    holds every product exactly, so nothing is rounded and few bits are registered.
    Source: docs/numerics.md section 5.
    """

    format: FloatFormat = parameter("of the operands")
    acc_format: FloatFormat = parameter("of the accumulator", factory=lambda self: self.format)
    subnormals: bool = parameter(
        "keep the accumulator's subnormals (True) or flush them to zero", default=True
    )
    product_format: FloatFormat = parameter(
        "of the product, as `FloatAccumulator` takes it; by default the shortest that holds "
        "products rounded to `acc_format`",
        factory=lambda self: self._shortest_product,
    )
    recoding: Recoding = UnsignedMultiplier.recoding
    path: AdderPath = FloatAccumulator.path

    idle_operands = property(
        lambda self: (1 << (self.format.code_width - 1), 0),
        doc="Codes of the operand ports in an idle cycle.",
    )

    def rules(self):
        smallest = 2 * (self.format.min_exp - self.format.man_bits)
        if self._keeps and not self.subnormals and smallest < self.acc_format.min_exp:
            rule = f"subnormals must be True for products of {self.format} in {self.acc_format}"
            raise ValueError(f"{rule}, whose smallest are subnormal, not {self.subnormals!r}")
        FloatAccumulator.check(**self._accumulation)

    @property
    def _keeps(self) -> bool:
        """Whether operands keep their subnormals: those of smaller range than the accumulator do,
        as they are ordinary values there, and so are their products.
        """
        return self.subnormals or self.format.min_exp > self.acc_format.min_exp

    @property
    def _shortest_product(self) -> FloatFormat:
        """A format no longer than the accumulator's that holds every rounded product: no register
        bit is always zero.
        """
        fmt, acc = self.format, self.acc_format
        exact = exact_format(fmt, acc, subnormals=self.subnormals)
        if exact is not None and exact.man_bits <= acc.man_bits:
            return exact
        if self._keeps:
            return acc
        return FloatFormat(acc.exp_bits, min(acc.man_bits, 2 * fmt.man_bits + 1), acc.specials)

    @property
    def _accumulation(self) -> dict[str, Any]:
        return {
            "format": self.acc_format,
            "product_format": self.product_format,
            "subnormals": self.subnormals,
            "path": self.path,
        }

    def make_multiplier(self):
        return choose_multiplier(
            self.format, self.product_format, self.recoding, subnormals=self._keeps
        )

    def make_skip(self):
        smallest = 2 * (self.format.min_exp - self.format.man_bits)
        exact = exact_format(self.format, self.acc_format, subnormals=self.subnormals)
        return ZeroFloat(
            format=self.format,
            subnormals=self._keeps,
            # A product that is finer than the sum could be rounded away with it.
            lasting=smallest >= self.acc_format.min_exp
            or (self.subnormals and self.product_format.man_bits <= self.acc_format.man_bits),
            exact=exact is not None and exact == self.product_format,
        )

    def make_accumulator(self):
        return FloatAccumulator(**self._accumulation)


class Fp32Mac(FloatMac):
    """IEEE 754 binary32 MAC, product rounded before the add."""

    format: FloatFormat = constant(FP32)
    acc_format: FloatFormat = constant(FP32)
    product_format: FloatFormat = constant(FP32)


class Fp8Mac(FloatMac):
    """FP8 MAC: exact product, FP32 accumulate.

    Every sum is a multiple of the smallest product, 2^-32 (E5M2) or 2^-18 (E4M3): FP32 subnormals
    never occur, so the accumulator is built without them and is still bit-exact.
    """

    format: FloatFormat = parameter("FP8_E5M2 or FP8_E4M3 (OCP)")
    acc_format: FloatFormat = constant(FP32)
    subnormals: bool = constant(False)
    product_format: FloatFormat = constant(
        property(lambda self: exact_format(self.format, FP32, subnormals=False))
    )

    def rules(self):
        if self.format not in (FP8_E4M3, FP8_E5M2):
            rule = "format must be FP8_E5M2 or FP8_E4M3 (e5m2, e4m3)"
            raise ValueError(f"{rule}, not {self.format!r}")
