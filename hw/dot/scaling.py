# amaranth: UnusedElaboratable=no
"""A block's sum times its two scales: mantissas multiply, exponents become a shift."""

from amaranth.hdl import Cat, Module, Value, signed, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ScaleFormat
from ..parts.component import Component, parameter
from ..parts.signed_multiplier import add_rows
from ..parts.unsigned_multiplier import CompressionTree
from ..parts.values import named, registered
from ..tile.group_scaler import ScaleMultiplier


class BlockScaler(Component):
    """`term = p * (2^Mg + mg_w) * (2^Mg + mg_a)`, `exponent = eg_w + eg_a`, both exact.

    Exponents are added, and long mantissas multiplied (Mg >= 2), in the cycle of the dot product,
    ahead of its sum. A register follows where there is a mantissa: what shifts and adds behind it
    then sees each term once. Mg = 1: factors 4, 6, 6, 9 in one adder.
    Latency from `p` to `term` 1 cycle, 0 where Mg = 0. Source: docs/numerics.md section 17.

    Members
    -------
    w_scale, a_scale: In, codes, a cycle ahead of `p`; `groups` each.
    p: In, signed `sum_width` bits, of each group.
    term: Out, signed, of each group.
    exponent: Out, of each group, at most 2^`exponent_bits` - 1, what is more counts as that.
    """

    scale: ScaleFormat = parameter("of both scales")
    groups: int = parameter("of a step", low=1, high=64)
    sum_width: int = parameter("bits of a sum", low=2, high=256)
    term_width: int = parameter("bits of a term", low=2, high=256)
    exponent_bits: int = parameter("bits of an exponent that is kept", low=1, high=9)

    def ports(self):
        codes = In(ArrayLayout(unsigned(self.scale.code_width), self.groups))
        return {
            "w_scale": codes,
            "a_scale": codes,
            "p": In(ArrayLayout(signed(self.sum_width), self.groups)),
            "term": Out(ArrayLayout(signed(self.term_width), self.groups)),
            "exponent": Out(ArrayLayout(unsigned(self.exponent_bits), self.groups)),
        }

    latency = property(lambda self: int(self.scale.man_bits > 0), doc="Clock cycles from `p`.")

    @property
    def factor_width(self) -> int:
        """Bits of what is kept of both mantissas: their product, or where Mg = 1 themselves."""
        return {0: 0, 1: 2}.get(self.scale.man_bits, 2 * self.scale.man_bits + 2)

    @property
    def registers(self) -> int:
        """Register bits: exponents, once or twice, mantissas, terms."""
        rows = 1 + self.latency
        group = rows * self.exponent_bits + self.factor_width + self.latency * self.term_width
        return self.groups * group

    def elaborate(self, platform):
        m = Module()
        man_bits = self.scale.man_bits
        for group in range(self.groups):
            codes = [getattr(self, port)[group] for port in ("w_scale", "a_scale")]
            exponent = self._exponent(m, group, *(code[man_bits:] for code in codes))
            p = self.p[group]
            if man_bits:
                p = self._scaled(m, group, p, [code[:man_bits] for code in codes])
                p = registered(m, f"term{group}_row", p[: self.term_width].as_signed())
                exponent = registered(m, f"exponent{group}_row", exponent)
            m.d.comb += [self.term[group].eq(p), self.exponent[group].eq(exponent)]
        return m

    def _exponent(self, m: Module, group: int, w: Value, a: Value) -> Value:
        total = named(m, f"total{group}", w + a)
        far = total[self.exponent_bits :].any()
        kept = Cat(bit | far for bit in total[: self.exponent_bits])
        return registered(m, f"exponent{group}", kept)

    def _scaled(self, m: Module, group: int, p: Value, mantissas: list[Value]) -> Value:
        if self.scale.man_bits == 1:
            m.submodules[f"multiplier{group}"] = part = ScaleMultiplier(
                width=self.sum_width, scale=self.scale
            )
            both = registered(m, f"mantissas{group}", Cat(mantissas))
            m.d.comb += [part.p.eq(p), part.w_man.eq(both[0]), part.a_man.eq(both[1])]
            return part.term
        hidden = 1 << self.scale.man_bits
        product = (mantissas[0] + hidden) * (mantissas[1] + hidden)
        factor = registered(m, f"factor{group}", product[: self.factor_width])
        tree = CompressionTree(m, self.term_width)
        tree.add_constant(add_rows(tree, p, factor, f"group{group}_row", y_signed=False), "signs")
        return tree.compress()
