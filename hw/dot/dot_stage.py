# amaranth: UnusedElaboratable=no
"""The dot products of a step, each group's into a register, and the sum of a block's steps."""

from amaranth.hdl import Cat, Module, Signal, Value, signed, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat
from ..parts.component import Component, parameter
from ..parts.values import named, registered
from .dot_tree import DotTree, Form


class DotStage(Component):
    """`p[g] = (start ? 0 : p[g]) + dot product of group g`, exact; `sums` is p where a block ends,
    else 0.

    Blocks of one step need neither marks nor a sum. Of several steps, the sum so far is a row of
    the group's compression tree, and what stands behind a block's sum sees zeros between blocks: no
    register with an enable holds it. Latency 1 cycle. No reset: `start` defines the state.
    Source: docs/numerics.md section 17.

    Members
    -------
    w, a: In, `groups * lanes` operands, as `DotTree` takes them.
    start, last: In, a cycle ahead of the operands: they are the first, the last ones of a block;
        only with `several`.
    sums: Out, signed `width` bits, of each group.
    """

    format: ElementFormat = DotTree.format
    form: Form = DotTree.form
    lanes: int = DotTree.lanes
    groups: int = parameter("of a step", low=1, high=64, default=1)
    width: int = DotTree.width
    several: bool = parameter("whether blocks have several steps", default=False)

    def rules(self):
        DotTree.check(**self._tree)

    @property
    def _tree(self):
        names = ("format", "form", "lanes", "width")
        return {name: getattr(self, name) for name in names} | {"adds": self.several}

    def ports(self):
        self._trees = [DotTree(**self._tree) for _ in range(self.groups)]
        w, a = (
            In(ArrayLayout(unsigned(bits), self.groups * self.lanes))
            for bits in self.form.widths(self.format)
        )
        marks = {"start": In(1), "last": In(1)} if self.several else {}
        sums = Out(ArrayLayout(signed(self.width), self.groups))
        return {"w": w, "a": a, **marks, "sums": sums}

    latency = property(lambda self: 1, doc="Clock cycles from operands to `sums`.")
    registers = property(
        lambda self: self.groups * self.width + 3 * self.several, doc="Register bits: sums, marks."
    )

    def elaborate(self, platform):
        m = Module()
        if self.several:
            start = registered(m, "start_row", self.start)
            present = registered(m, "present", registered(m, "last_row", self.last))
        for group, tree in enumerate(self._trees):
            m.submodules[f"tree{group}"] = tree
            p = Signal(signed(self.width), name=f"p{group}", reset_less=True)
            m.d.sync += p.eq(tree.sum)
            for lane in range(self.lanes):
                place = group * self.lanes + lane
                m.d.comb += [tree.x[lane].eq(self.w[place]), tree.y[lane].eq(self.a[place])]
            whole: Value = p
            if self.several:
                kept = Cat(bit & ~start for bit in p)
                m.d.comb += tree.before.eq(named(m, f"before{group}", kept))
                whole = Cat(bit & present for bit in p)
            m.d.comb += self.sums[group].eq(whole)
        return m
