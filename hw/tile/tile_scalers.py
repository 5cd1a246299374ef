# amaranth: UnusedElaboratable=no
"""Scalers of a tile: what makes leaves of a block's sums and scale codes, for each tree."""

from typing import Any

from amaranth import Module
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import ElementFormat, ScaleFormat
from ..parts.component import Component
from .adder_trees import AdderTree
from .aligner import Aligner, LargestScale
from .group_scaler import GroupScaler, ScaledTerm

_SCALER_INPUTS = {"p": "sums", "w_scale": "w_scales", "a_scale": "a_scales"}
"""Of a leaf's scaler, and where they come from."""


class Scalers(Component):
    """A scaler a leaf; scalers say which.

    Members
    -------
    sums, w_scales, a_scales: In, sum and scale codes of each leaf.
    leaves: Out, as the adder tree takes them.
    """

    count: int = AdderTree.leaves
    acc_width: int = ScaledTerm.acc_width
    scale: ScaleFormat = ScaledTerm.scale

    def make_scaler(self) -> Component:
        """What scales a leaf: it has `p`, `w_scale`, `a_scale`."""
        raise NotImplementedError

    def leaf_of(self, scaler: Component) -> Any:
        """Shape or layout of the leaf that `scaler` makes."""
        raise NotImplementedError

    def ports(self):
        self._scalers = scalers = [self.make_scaler() for _ in range(self.count)]
        members = {
            source: In(ArrayLayout(getattr(scalers[0], port).shape(), self.count))
            for port, source in _SCALER_INPUTS.items()
        }
        return members | {"leaves": Out(ArrayLayout(self.leaf_of(scalers[0]), self.count))}

    registers = property(lambda self: 0, doc="Register bits.")

    def elaborate(self, platform):
        m = Module()
        for leaf, scaler in enumerate(self._scalers):
            m.submodules[f"scaler{leaf}"] = scaler
            m.d.comb += [
                getattr(scaler, port).eq(getattr(self, source)[leaf])
                for port, source in _SCALER_INPUTS.items()
            ]
            self._connect(m, scaler, self.leaves[leaf])
        return m

    def _connect(self, m: Module, scaler: Component, leaf: Any) -> None:
        """Wire what is particular to a leaf."""
        raise NotImplementedError


class FloatScalers(Scalers):
    """A GroupScaler a leaf: float32 leaves. Combinational."""

    format: ElementFormat = GroupScaler.format

    def rules(self):
        GroupScaler.check(format=self.format, scale=self.scale, acc_width=self.acc_width)

    def make_scaler(self):
        return GroupScaler(format=self.format, scale=self.scale, acc_width=self.acc_width)

    def leaf_of(self, scaler):
        return scaler.z.shape()

    def _connect(self, m: Module, scaler: Component, leaf: Any) -> None:
        m.d.comb += leaf.eq(scaler.z)


class AlignedScalers(Scalers):
    """An Aligner a leaf, and the tile's largest scale, found while its last products add up.

    Members
    -------
    all_w_scales, all_a_scales: In, scale codes of all lanes, held from `last` on.
    low: Out, exponent of the largest.
    """

    lanes: int = LargestScale.lanes
    guard_bits: int = Aligner.guard_bits

    def make_scaler(self):
        return Aligner(acc_width=self.acc_width, scale=self.scale, guard_bits=self.guard_bits)

    def leaf_of(self, scaler):
        return scaler.term.shape()

    def ports(self):
        self._largest = largest = LargestScale(lanes=self.lanes, scale=self.scale)
        return super().ports() | {
            "all_w_scales": In(largest.w_scale.shape()),
            "all_a_scales": In(largest.a_scale.shape()),
            "low": Out(len(largest.low)),
        }

    registers = property(lambda self: self._largest.registers, doc="Register bits.")

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.submodules.largest = largest = self._largest
        m.d.comb += [
            largest.w_scale.eq(self.all_w_scales),
            largest.a_scale.eq(self.all_a_scales),
            self.low.eq(largest.low),
        ]
        return m

    def _connect(self, m: Module, scaler: Component, leaf: Any) -> None:
        m.d.comb += [scaler.low.eq(self._largest.low), leaf.eq(scaler.term)]


class ExactScalers(Scalers):
    """A ScaledTerm a leaf: exact terms with their exponents. Combinational."""

    def make_scaler(self):
        return ScaledTerm(acc_width=self.acc_width, scale=self.scale)

    def leaf_of(self, scaler):
        return StructLayout({port: getattr(scaler, port).shape() for port in ("term", "exponent")})

    def _connect(self, m: Module, scaler: Component, leaf: Any) -> None:
        m.d.comb += [leaf.term.eq(scaler.term), leaf.exponent.eq(scaler.exponent)]
