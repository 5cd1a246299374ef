# amaranth: UnusedElaboratable=no
"""Integer multiply-accumulate unit: INT8 training and dynamic fixed point."""

from ...golden.spec import MAX_WIDTH, IntFormat, Overflow
from ..integer.accumulator import IntAccumulator, ProductCoding
from ..integer.int_multiplier import IntMultiplier
from ..parts.component import parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from .mac import Mac
from .skipping import ZeroFactor


class IntMac(Mac):
    """Integer MAC: `acc' = limit((start ? 0 : acc) + w * a)`, or with zero points
    `(w - w_zero) * (a - a_zero)` instead of `w * a`; two's complement, exact products.

    The zero points are operands like `w` and `a`. Source: docs/numerics.md section 12.
    """

    format: IntFormat = parameter("of `w`")
    a_format: IntFormat = parameter("of `a`")
    zero_points: bool = IntMultiplier.zero_points
    acc_width: int = parameter("bits of the accumulator", low=2, high=MAX_WIDTH)
    policy: Overflow = parameter("of a sum", default=Overflow.SATURATE, alias="overflow")
    recoding: Recoding = UnsignedMultiplier.recoding

    idle_operands = property(
        lambda self: (0, 0, 0, 0) if self.zero_points else (0, 0),
        doc="Codes of the operand ports in an idle cycle.",
    )

    def make_multiplier(self):
        return IntMultiplier(
            x_format=self.format,
            y_format=self.a_format,
            zero_points=self.zero_points,
            recoding=self.recoding,
        )

    def make_skip(self):
        widths = {"w": self.format.width, "a": self.a_format.width}
        points = {f"{port}_zero": width for port, width in widths.items()}
        widths |= points if self.zero_points else {}
        return ZeroFactor(operand_widths=widths, has_sign=False)

    def make_accumulator(self):
        return IntAccumulator(
            width=self.acc_width,
            product_width=self.format.width + self.a_format.width + self.zero_points - 1,
            overflow=self.policy,
            coding=ProductCoding.TWOS_COMPLEMENT,
        )
