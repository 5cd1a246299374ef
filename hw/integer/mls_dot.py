# amaranth: UnusedElaboratable=no
"""Exact dot product of MLS elements in one step."""

from amaranth.hdl import Cat, Module, signed
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat, check_int, min_acc_width
from ..parts.combinational import Combinational
from ..parts.unsigned_multiplier import Recoding
from ..parts.values import named
from ..tile.adder_trees import MAX_LEAVES
from .mls_multiplier import MlsMultiplier


class MlsDot(Combinational):
    """`sum = x[0] * y[0] + x[1] * y[1] + ...`, exact, in units of `2^-(2 * element.fraction_bits)`.

    The spatial counterpart of a MAC: all products of a step add up, nothing is rounded or kept.
    Negative products enter inverted, and their number is added: one sum of `lanes + 1` terms.
    Source: docs/numerics.md section 4.

    Parameters
    ----------
    element: ElementFormat of all operands.
    lanes: products, 1..64.
    recoding: of the significand multipliers.

    Members
    -------
    x, y: In, `lanes` packed codes of `element.code_width` bits each.
    sum: Out, signed, `sum_width` bits.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(self, *, element: ElementFormat, lanes: int, recoding: Recoding = Recoding.NONE):
        check_int("lanes", lanes, 1, MAX_LEAVES)
        self._multipliers = [
            MlsMultiplier(element=element, recoding=recoding) for _ in range(lanes)
        ]
        super().__init__(
            {
                "x": In(ArrayLayout(element.code_width, lanes)),
                "y": In(ArrayLayout(element.code_width, lanes)),
                "sum": Out(signed(self.sum_width)),
            }
        )

    element = property(lambda self: self._multipliers[0].element, doc="Format of all operands.")
    lanes = property(lambda self: len(self._multipliers), doc="Products of a step.")
    recoding = property(lambda self: self._multipliers[0].recoding, doc="Of the multipliers.")

    @property
    def sum_width(self) -> int:
        """Bits of `sum`, its sign included: those of an accumulator that is proven to hold it."""
        return min_acc_width(self.element, self.lanes)

    def elaborate(self, platform):
        m = Module()
        terms, signs = [], []
        for lane, multiplier in enumerate(self._multipliers):
            m.submodules[f"multiplier{lane}"] = multiplier
            m.d.comb += [multiplier.x.eq(self.x[lane]), multiplier.y.eq(self.y[lane])]
            magnitude, negative = multiplier.product[:-1], multiplier.product[-1]
            inverted = Cat(magnitude ^ negative.replicate(len(magnitude)), negative)
            terms.append(named(m, f"term{lane}", inverted.as_signed()))
            signs.append(negative)
        # Wraps at the width of `sum`, which holds the result: widths need not grow on the way.
        m.d.comb += self.sum.eq(sum(terms) + sum(signs))
        return m
