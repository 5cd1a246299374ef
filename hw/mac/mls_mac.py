# amaranth: UnusedElaboratable=no
"""The MAC of MLS elements."""

from ...golden.spec import ElementFormat, Overflow
from ..integer.accumulator import IntAccumulator
from ..integer.mls_multiplier import MlsMultiplier
from ..parts.unsigned_multiplier import Recoding
from .mac import Mac


class MlsMac(Mac):
    """MLS intra-group MAC: exact element products into a signed integer accumulator.

    `acc` is in units of `2^-(2 * element.fraction_bits)`. Saturation depends on the order of the
    products. Source: docs/numerics.md section 4 (the paper's Eq. 7).

    Parameters
    ----------
    element: ElementFormat of both operands.
    acc_width: accumulator bits, 2..128; `min_acc_width(element, length)` is proven safe for
        `length` products.
    overflow: Overflow policy.
    recoding: of the significand multiplier.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        element: ElementFormat,
        acc_width: int = 16,
        overflow: Overflow = Overflow.SATURATE,
        recoding: Recoding = Recoding.NONE,
    ):
        multiplier = MlsMultiplier(element=element, recoding=recoding)
        self._element = element
        super().__init__(
            multiplier=multiplier,
            accumulator=IntAccumulator(
                width=acc_width, product_width=element.product_width, overflow=overflow
            ),
            idle_operands=(0, 0),
        )

    element = property(lambda self: self._element, doc="Format of both operands.")
    acc_width = property(lambda self: self._accumulator.width, doc="Accumulator bits.")
    policy = property(
        lambda self: self._accumulator.policy, doc="The `overflow` policy; `overflow` is the port."
    )
