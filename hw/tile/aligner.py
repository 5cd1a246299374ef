# amaranth: UnusedElaboratable=no
"""Before an aligned sum: the largest scale of a tile, and terms shifted to it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import GUARD_BITS, ScaleFormat
from ..parts.combinational import Combinational
from ..parts.component import Component, parameter
from ..parts.values import named
from .adder_trees import MAX_LEAVES, doublings
from .collector import Collector
from .group_scaler import ScaledTerm, term_width


class LargestScale(Component):
    """`low = min(eg_w + eg_a)` over the lanes: the exponent of a tile's largest scale.

    A balanced tree of comparators; a row of registers lies behind every `comparators`-th level and
    behind the last. Idle lanes have all-ones exponent fields, which no other lane exceeds.
    Latency ceil(ceil(log2 lanes) / comparators) cycles, throughput one tile a cycle. No reset.
    Source: docs/numerics.md section 8.

    Members
    -------
    w_scale, a_scale: In, scale code of each lane.
    low: Out, Eg + 1 bits.
    """

    lanes: int = Collector.lanes
    scale: ScaleFormat = ScaledTerm.scale
    comparators: int = parameter(
        "levels of comparators between rows of registers",
        low=1,
        high=doublings(MAX_LEAVES),
        default=doublings(MAX_LEAVES),
    )

    def ports(self):
        codes = ArrayLayout(unsigned(self.scale.code_width), self.lanes)
        return {"w_scale": In(codes), "a_scale": In(codes), "low": Out(self.scale.exp_bits + 1)}

    latency = property(lambda self: len(self._rows), doc="Clock cycles from codes to `low`.")
    registers = property(lambda self: sum(self._rows) * len(self.low), doc="Register bits.")

    @property
    def _rows(self) -> list[int]:
        """Sums in each row of registers."""
        depth = doublings(self.lanes)
        step = self.comparators
        tops = [min(level + step, depth) for level in range(0, depth, step)]
        return [-(-self.lanes // (1 << top)) for top in tops]

    def elaborate(self, platform):
        m = Module()
        man_bits, depth = self.scale.man_bits, doublings(self.lanes)
        values = []
        for lane in range(self.lanes):
            exponents = [code[lane][man_bits:] for code in (self.w_scale, self.a_scale)]
            values.append(named(m, f"sum_{lane}", exponents[0] + exponents[1]))
        for level in range(1, depth + 1):
            smaller = []
            for k, (x, y) in enumerate(zip(values[::2], values[1::2], strict=False)):
                smaller.append(named(m, f"low{level}_{k}", Mux(y < x, y, x)))
            values = [*smaller, *values[2 * len(smaller) :]]
            if level % self.comparators == 0 or level == depth:
                row = [
                    Signal(len(self.low), name=f"row{level}_{k}", reset_less=True)
                    for k in range(len(values))
                ]
                m.d.sync += Cat(row).eq(Cat(values))
                values = row
        m.d.comb += self.low.eq(values[0])
        return m


class Aligner(Combinational):
    """`term = floor(T * 2^(G - (e - low)))`: a group's sum in units of the tile's largest scale,
    with G guard bits.

    T and e = eg_w + eg_a come from `ScaledTerm`. An arithmetic shift drops what lies below the
    guard bits; beyond the width it leaves the sign::

        sign ... sign |     T     | G zeros        e = low
        sign ....... sign |     T     | zeros      e = low + 4
        sign .......................... sign       far

    Source: docs/numerics.md section 8.

    Members
    -------
    p: In, signed `acc_width` bits.
    w_scale, a_scale: In, `scale.code_width` bits.
    low: In, Eg + 1 bits, at most e (`LargestScale`).
    term: Out, signed `term_width` bits.
    """

    acc_width: int = ScaledTerm.acc_width
    scale: ScaleFormat = ScaledTerm.scale
    guard_bits: int = parameter(
        "G, bits of an aligned term below the unit of its tile's largest scale",
        low=0,
        high=32,
        default=GUARD_BITS,
    )

    def ports(self):
        self._scaled = ScaledTerm(acc_width=self.acc_width, scale=self.scale)
        return {
            "p": In(signed(self.acc_width)),
            "w_scale": In(self.scale.code_width),
            "a_scale": In(self.scale.code_width),
            "low": In(self.scale.exp_bits + 1),
            "term": Out(signed(self.term_width)),
        }

    @property
    def term_width(self) -> int:
        """Bits of `term`: those of T << G."""
        return term_width(self.acc_width, self.scale) + self.guard_bits

    def elaborate(self, platform):
        m = Module()
        m.submodules.scaled = scaled = self._scaled
        m.d.comb += [
            scaled.p.eq(self.p),
            scaled.w_scale.eq(self.w_scale),
            scaled.a_scale.eq(self.a_scale),
        ]
        distance = named(m, "distance", (scaled.exponent - self.low)[: len(self.low)])
        # 2^steps - 1 places leave nothing but the sign.
        steps = min(len(distance), self.term_width.bit_length())
        far = named(m, "far", distance[steps:].any())
        value = Cat(Const(0, self.guard_bits), scaled.term).as_signed()
        for step in range(steps):
            select = named(m, f"select{step}", distance[step] | far)
            value = named(m, f"by{1 << step}", Mux(select, value >> (1 << step), value))
        m.d.comb += self.term.eq(value)
        return m
