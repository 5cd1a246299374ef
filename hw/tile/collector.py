"""From the lanes of a tile to its scalers: what a finished group leaves behind, block by block."""

from typing import Any

from amaranth import Module, Mux, Signal, unsigned
from amaranth.hdl import Shape, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ScaleFormat, check_int
from ..parts.component import Component, parameter
from ..parts.values import named, registered
from .adder_trees import MAX_LEAVES, AdderTree, check_powers

MAC_LATENCY = 3
"""Clock cycles from operands to the accumulator, in every MAC (docs/numerics.md section 6)."""


def check_sharing(lanes: int, sharing: int) -> None:
    """Raise unless `sharing` lanes can share one scaler.

    Where they do, both are powers of two: then a block of neighbours is a subtree of the tile's.
    """
    check_int("sharing", sharing, 1, lanes)
    check_powers(sharing, lanes=lanes)


class Collector(Component):
    """Holds the sums and scale codes of a finished group, and presents them in `sharing` blocks.

    Block c is lanes c * leaves .. (c + 1) * leaves - 1, leaves = lanes / sharing. Cycles from the
    step with `last`, for sharing = 2 (registers change at the cycle's beginning)::

        cycle     0      1        2      3      4         5         6
        last     _/~\\____________________________________________________
        scales          [held until the next last                       ]
        acc                              [sum]
        sums                                    [held until the next tile
        presented                               /~~~~~~~~~~~~~~~~~~\\______
        block                                   [0       ][1

    Scale codes are held from `last` on, three cycles before the sums: `presented` says when
    both are there. `interval` = sharing + 3 cycles lie at least between two steps with `last`. Idle
    cycles change nothing. No reset: the first `last` defines the state.

    One block without scale codes (sharing 1, float tiles) needs no row for the sums: they are
    presented where they are, in the accumulators, for the one cycle of `presented`.

    Members
    -------
    last: In, the lanes take the last product of a group.
    first, finish: In, with `last`: this tile begins, ends an output.
    w_scale, a_scale: In, scale code of each lane, with `last`; only with `scale`.
    acc: In, sum of each lane.
    acc_overflow: In, its overflow flag; only with `has_overflow`.
    sums: Out, `leaves` sums of the block.
    w_scales, a_scales: Out, their scale codes; only with `scale`.
    all_w_scales, all_a_scales: Out, scale codes of all lanes; only with `scale`.
    presented: Out, there is a block.
    block: Out, its number; only with `sharing` above 1.
    tile_first, tile_finish: Out, this tile begins, ends an output; while blocks are presented.
    tile_overflow: Out, a sum of this output up to this tile overflowed; only with `has_overflow`.
    """

    lanes: int = parameter(
        "lanes of the tile: products of a step", low=1, high=MAX_LEAVES, default=16
    )
    shape: Shape = parameter("of a sum")
    scale: ScaleFormat | None = parameter(
        "of a group scale; None without scale codes", default=None
    )
    sharing: int = AdderTree.sharing
    has_overflow: bool = parameter("whether the lanes have overflow flags", default=False)

    def rules(self):
        check_sharing(self.lanes, self.sharing)

    def ports(self):
        members = {"last": In(1), "first": In(1), "finish": In(1)}
        members |= {"acc": In(ArrayLayout(self.shape, self.lanes))}
        members |= {"sums": Out(ArrayLayout(self.shape, self.leaves))}
        if self.scale is not None:
            for port in ("w_scale", "a_scale"):
                members[port] = In(_codes(self.scale, self.lanes))
                members[f"{port}s"] = Out(_codes(self.scale, self.leaves))
                members[f"all_{port}s"] = Out(_codes(self.scale, self.lanes))
        if self.has_overflow:
            members |= {"acc_overflow": In(self.lanes), "tile_overflow": Out(1)}
        members |= {port: Out(1) for port in ("presented", "tile_first", "tile_finish")}
        if self.sharing > 1:
            members["block"] = Out(range(self.sharing))
        return members

    leaves = property(lambda self: self.lanes // self.sharing, doc="Lanes of a block.")
    holds_sums = property(
        lambda self: self.scale is not None or self.sharing > 1,
        doc="Whether the sums have registers of their own.",
    )
    interval = property(
        lambda self: self.sharing + MAC_LATENCY, doc="Least cycles between steps with `last`."
    )

    @property
    def latency(self) -> int:
        """Clock cycles from the step with `last` to the tile's last block."""
        return MAC_LATENCY + (self.sharing if self.holds_sums else 0)

    @property
    def registers(self) -> int:
        """Register bits: `last` in flight, first and finish, scale codes, sums, counter, flags."""
        codes = 2 * self.scale.code_width if self.scale else 0
        sums = self.shape.width if self.holds_sums else 0
        control = MAC_LATENCY + 2 + self.holds_sums + (self.sharing - 1).bit_length()
        return control + self.has_overflow + self.lanes * (codes + sums)

    def elaborate(self, platform):
        m = Module()
        for port in ("first", "finish"):
            held = registered(m, f"{port}_held", getattr(self, port), self.last)
            m.d.comb += getattr(self, f"tile_{port}").eq(held)
        capture = self.last
        for cycle in range(1, MAC_LATENCY + 1):
            capture = registered(m, f"last_{cycle}", capture)
        block = self._count(m, capture)
        sums = registered(m, "sums", self.acc, capture) if self.holds_sums else self.acc
        self._present(m, self.sums, sums, block)
        if self.scale is not None:
            for port in ("w_scale", "a_scale"):
                codes = registered(m, f"{port}_held", getattr(self, port), self.last)
                m.d.comb += getattr(self, f"all_{port}s").eq(codes)
                self._present(m, getattr(self, f"{port}s"), codes, block)
        if self.has_overflow:
            sticky = Signal(name="sticky", reset_less=True)
            with m.If(capture):
                m.d.sync += sticky.eq(self.acc_overflow.any() | (sticky & ~self.tile_first))
            m.d.comb += self.tile_overflow.eq(sticky)
        return m

    def _present(self, m: Module, target: Any, values: Any, block: Any) -> None:
        """Drive `target` with the block's part of `values`, through a tree of multiplexers: the
        digit of the block number that changes least drives most of them.
        """
        values, width = values.as_value(), len(target.as_value())
        blocks = [values[i * width : (i + 1) * width] for i in range(self.sharing)]
        for digit in reversed(range((self.sharing - 1).bit_length())):
            half = len(blocks) // 2
            pairs = zip(blocks[:half], blocks[half:], strict=True)
            blocks = [Mux(block[digit], upper, lower) for lower, upper in pairs]
        m.d.comb += target.as_value().eq(blocks[0])

    def _count(self, m: Module, capture: Value) -> Signal | None:
        """Count the blocks, from `capture` to the last: the block's number."""
        if not self.holds_sums:
            m.d.comb += self.presented.eq(capture)
            return None
        if self.sharing == 1:
            m.d.comb += self.presented.eq(registered(m, "valid", capture))
            return None
        valid = Signal(name="valid", reset_less=True)
        block = Signal(range(self.sharing), name="count", reset_less=True)
        at_end = named(m, "at_end", block.all())
        m.d.sync += valid.eq(capture | (valid & ~at_end))
        with m.If(capture):
            m.d.sync += block.eq(0)
        with m.Elif(valid & ~at_end):
            m.d.sync += block.eq(block + 1)
        m.d.comb += [self.presented.eq(valid), self.block.eq(block)]
        return block


def _codes(scale: ScaleFormat, count: int) -> ArrayLayout:
    return ArrayLayout(unsigned(scale.code_width), count)
