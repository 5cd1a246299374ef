# amaranth: UnusedElaboratable=no
"""Whole inter-group sums of fixed point: scaled or aligned terms and their adder tree.

In a tile the collector holds sums and scales, and these parts are its stages `scalers` and `tree`;
here they stand together, so that they can be generated, verified and measured alone.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, ElementFormat, ScaleFormat
from ..parts.component import Component, check_plan
from ..parts.values import registered
from .adder_trees import AdderTree, AlignedAdderTree, ExactAdderTree
from .aligner import Aligner, LargestScale
from .collector import Collector
from .group_scaler import GroupScaler, ScaledTerm, fraction_bits, term_width

_INPUTS = ("p", "w_scale", "a_scale", "valid")
"""Ports of every tree."""


class _ScaledTree(Component):
    """What both trees share. A tree says what scales a lane, and what adds."""

    format: ElementFormat = GroupScaler.format
    scale: ScaleFormat = GroupScaler.scale
    acc_width: int = GroupScaler.acc_width
    lanes: int = Collector.lanes

    def make_scaler(self) -> Component:
        """A component with `p`, `w_scale`, `a_scale`."""
        raise NotImplementedError

    def plan_adders(self) -> partial[AdderTree]:
        """What makes the tree of the scalers' terms."""
        raise NotImplementedError

    def rules(self):
        check_plan(self.plan_adders())

    def ports(self):
        self._scalers = [self.make_scaler() for _ in range(self.lanes)]
        self._adders = self.plan_adders()()
        codes = ArrayLayout(unsigned(self.scale.code_width), self.lanes)
        more = {"first": In(1)} if hasattr(self._adders, "first") else {}
        return {
            "p": In(ArrayLayout(signed(self.acc_width), self.lanes)),
            "w_scale": In(codes),
            "a_scale": In(codes),
            "valid": In(1),
            **more,
            "sum": Out(FP32.code_width),
            "sum_valid": Out(1),
        }

    def _connect(self, m: Module, inputs: Mapping[str, Any]) -> None:
        """Wire `inputs` by port to the scalers, these to the tree, and that to the outputs."""
        m.submodules.adders = adders = self._adders
        for lane, scaler in enumerate(self._scalers):
            m.submodules[f"scaler{lane}"] = scaler
            m.d.comb += [
                getattr(scaler, port).eq(inputs[port][lane]) for port in ("p", "w_scale", "a_scale")
            ]
        m.d.comb += [
            adders.valid.eq(inputs["valid"]),
            self.sum.eq(adders.sum),
            self.sum_valid.eq(adders.sum_valid),
        ]


class AlignedSum(_ScaledTree):
    """`sum = fl(S * 2^-(low + 2 Mg + 2F + G))`, S the integer sum of the lanes' terms, aligned to
    the largest scale `low` of the tile.

    LargestScale, one Aligner a lane and AlignedAdderTree; sums and scales wait in registers until
    `low` is known. Throughput one tile a cycle. Source: docs/numerics.md section 8.

    Members
    -------
    p: In, signed sum of each lane.
    w_scale, a_scale: In, its scale codes.
    valid: In, there is a tile.
    sum: Out, float32 code; held until the next tile.
    sum_valid: Out, `sum` is new.
    """

    guard_bits: int = Aligner.guard_bits

    def make_scaler(self):
        return Aligner(acc_width=self.acc_width, scale=self.scale, guard_bits=self.guard_bits)

    def plan_adders(self):
        return partial(
            AlignedAdderTree,
            leaves=self.lanes,
            term_width=term_width(self.acc_width, self.scale) + self.guard_bits,
            exponent_width=self.scale.exp_bits + 1,
            offset=fraction_bits(self.format, self.scale) + self.guard_bits,
        )

    def ports(self):
        self._largest = LargestScale(lanes=self.lanes, scale=self.scale)
        return super().ports()

    latency = property(
        lambda self: self._largest.latency + self._adders.latency, doc="Clock cycles to `sum`."
    )

    @property
    def registers(self) -> int:
        """Register bits: those of the parts, and the inputs on their way."""
        inputs = sum(Shape.cast(self.signature.members[port].shape).width for port in _INPUTS)
        return self._largest.registers + self._adders.registers + self._largest.latency * inputs

    def elaborate(self, platform):
        m = Module()
        m.submodules.largest = largest = self._largest
        m.d.comb += [largest.w_scale.eq(self.w_scale), largest.a_scale.eq(self.a_scale)]
        inputs = {port: getattr(self, port) for port in _INPUTS}
        for cycle in range(largest.latency):
            inputs = {
                port: registered(m, f"{port}_{cycle}", value) for port, value in inputs.items()
            }
        self._connect(m, inputs)
        m.d.comb += [aligner.low.eq(largest.low) for aligner in self._scalers]
        m.d.comb += [
            self._adders.i[lane].eq(aligner.term) for lane, aligner in enumerate(self._scalers)
        ]
        m.d.comb += self._adders.low.eq(largest.low)
        return m


class ExactSum(_ScaledTree):
    """`sum = fl(sum of T * 2^-(e + 2 Mg + 2F))` over the lanes and tiles of an output, exact until
    its one rounding.

    One ScaledTerm a lane and ExactAdderTree. Throughput one tile a cycle.
    Source: docs/numerics.md section 8.

    Members
    -------
    p: In, signed sum of each lane.
    w_scale, a_scale: In, its scale codes.
    valid: In, there is a tile.
    first: In, with `valid`: it begins an output.
    sum: Out, float32 code of the output so far; held until the next tile.
    sum_valid: Out, `sum` is new.
    """

    tiles: int = ExactAdderTree.tiles

    def make_scaler(self):
        return ScaledTerm(acc_width=self.acc_width, scale=self.scale)

    def plan_adders(self):
        return partial(
            ExactAdderTree,
            leaves=self.lanes,
            term_width=term_width(self.acc_width, self.scale),
            scale=self.scale,
            offset=fraction_bits(self.format, self.scale),
            tiles=self.tiles,
        )

    exact_width = property(lambda self: self._adders.sum_width, doc="Bits of the sum.")
    latency = property(lambda self: self._adders.latency, doc="Clock cycles to `sum`.")
    registers = property(lambda self: self._adders.registers, doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        self._connect(m, {port: getattr(self, port) for port in _INPUTS})
        for lane, term in enumerate(self._scalers):
            leaf = self._adders.i[lane]
            m.d.comb += [leaf.term.eq(term.term), leaf.exponent.eq(term.exponent)]
        m.d.comb += self._adders.first.eq(self.first)
        return m
