"""Exact dot product of MLS elements in one step."""

from amaranth.hdl import Cat, Module, signed
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat, min_acc_width
from ..parts.combinational import Combinational
from ..parts.component import parameter
from ..parts.unsigned_multiplier import Recoding
from ..parts.values import named
from ..tile.adder_trees import MAX_LEAVES
from .mls_multiplier import MlsMultiplier


class MlsDot(Combinational):
    """`sum = x[0] * y[0] + x[1] * y[1] + ...`, exact, in units of `2^-(2 * format.fraction_bits)`.

    The spatial counterpart of a MAC: all products of a step add up, nothing is rounded or kept.
    Negative products enter inverted, and their number is added: one sum of `lanes + 1` terms.
    Source: docs/numerics.md section 4.

    Members
    -------
    x, y: In, `lanes` packed codes of `format.code_width` bits each.
    sum: Out, signed, `sum_width` bits.
    """

    format: ElementFormat = MlsMultiplier.format
    lanes: int = parameter("products of a step", low=1, high=MAX_LEAVES)
    recoding: Recoding = MlsMultiplier.recoding

    def rules(self):
        MlsMultiplier.check(format=self.format, recoding=self.recoding)

    def ports(self):
        operands = In(ArrayLayout(self.format.code_width, self.lanes))
        return {"x": operands, "y": operands, "sum": Out(signed(self.sum_width))}

    @property
    def sum_width(self) -> int:
        """Bits of `sum`, its sign included: those of an accumulator that is proven to hold it."""
        return min_acc_width(self.format, self.lanes)

    def elaborate(self, platform):
        m = Module()
        terms, signs = [], []
        for lane in range(self.lanes):
            multiplier = MlsMultiplier(format=self.format, recoding=self.recoding)
            m.submodules[f"multiplier{lane}"] = multiplier
            m.d.comb += [multiplier.x.eq(self.x[lane]), multiplier.y.eq(self.y[lane])]
            magnitude, negative = multiplier.product[:-1], multiplier.product[-1]
            inverted = Cat(magnitude ^ negative.replicate(len(magnitude)), negative)
            terms.append(named(m, f"term{lane}", inverted.as_signed()))
            signs.append(negative)
        # Wraps at the width of `sum`, which holds the result: widths need not grow on the way.
        m.d.comb += self.sum.eq(sum(terms) + sum(signs))
        return m
