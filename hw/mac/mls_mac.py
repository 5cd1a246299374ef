# amaranth: UnusedElaboratable=no
"""The MAC of MLS elements."""

from ...golden.spec import MAX_WIDTH, ElementFormat, Overflow
from ..integer.accumulator import IntAccumulator
from ..integer.mls_multiplier import MlsMultiplier
from ..parts.component import parameter
from ..parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from .mac import Mac
from .skipping import ZeroFactor


class MlsMac(Mac):
    """MLS intra-group MAC: exact element products into a signed integer accumulator.

    `acc` is in units of `2^-(2 * format.fraction_bits)`. Saturation depends on the order of the
    products. Source: docs/numerics.md section 4 (the paper's Eq. 7).
    """

    format: ElementFormat = parameter("of both operands")
    acc_width: int = parameter(
        "bits of the accumulator; `min_acc_width(format, length)` is proven for `length` products",
        low=2,
        high=MAX_WIDTH,
    )
    policy: Overflow = parameter("of a sum", default=Overflow.SATURATE, alias="overflow")
    recoding: Recoding = UnsignedMultiplier.recoding

    idle_operands = (0, 0)

    def rules(self):
        MlsMultiplier.check(format=self.format, recoding=self.recoding)

    def make_multiplier(self):
        return MlsMultiplier(format=self.format, recoding=self.recoding)

    def make_skip(self):
        widths = dict.fromkeys("wa", self.format.code_width)
        return ZeroFactor(operand_widths=widths, has_sign=True)

    def make_accumulator(self):
        return IntAccumulator(
            width=self.acc_width, product_width=self.format.product_width, overflow=self.policy
        )
