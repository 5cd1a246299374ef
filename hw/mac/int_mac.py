# amaranth: UnusedElaboratable=no
"""Integer multiply-accumulate unit: INT8 training and dynamic fixed point."""

from ...golden.spec import IntFormat, Overflow
from ..integer.accumulator import IntAccumulator, ProductCoding
from ..integer.int_multiplier import IntMultiplier
from ..parts.unsigned_multiplier import Recoding
from .mac import Mac


class IntMac(Mac):
    """Integer MAC: `acc' = limit((start ? 0 : acc) + w * a)`, or with zero points
    `(w - w_zero) * (a - a_zero)` instead of `w * a`; two's complement, exact products.

    The zero points are operands like `w` and `a`. Source: docs/numerics.md section 12.

    Parameters
    ----------
    w_format, a_format: IntFormat of `w` and of `a`.
    zero_points: whether the operands have zero points.
    acc_width: accumulator bits, 2..128.
    overflow: Overflow policy.
    recoding: of the multiplier.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        w_format: IntFormat,
        a_format: IntFormat,
        zero_points: bool = False,
        acc_width: int = 32,
        overflow: Overflow = Overflow.SATURATE,
        recoding: Recoding = Recoding.NONE,
    ):
        multiplier = IntMultiplier(
            x_format=w_format, y_format=a_format, zero_points=zero_points, recoding=recoding
        )
        super().__init__(
            multiplier=multiplier,
            accumulator=IntAccumulator(
                width=acc_width,
                product_width=len(multiplier.product) - 1,
                overflow=overflow,
                coding=ProductCoding.TWOS_COMPLEMENT,
            ),
            idle_operands=(0, 0, 0, 0) if zero_points else (0, 0),
        )

    w_format = property(lambda self: self._multiplier.multiplier.x_format, doc="Format of `w`.")
    a_format = property(lambda self: self._multiplier.multiplier.y_format, doc="Format of `a`.")
    zero_points = property(
        lambda self: self._multiplier.multiplier.zero_points, doc="Whether there are zero points."
    )
    acc_width = property(lambda self: self._accumulator.width, doc="Accumulator bits.")
    policy = property(
        lambda self: self._accumulator.policy, doc="The `overflow` policy; `overflow` is the port."
    )
