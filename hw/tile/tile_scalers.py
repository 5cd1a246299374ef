# amaranth: UnusedElaboratable=no
"""Scalers of a tile: what makes leaves of a block's sums and scale codes, for each tree."""

from amaranth import Module, unsigned
from amaranth.hdl import signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32
from .aligner import Aligner, LargestScale
from .group_scaler import GroupScaler, ScaledTerm

_SCALER_INPUTS = {"p": "sums", "w_scale": "w_scales", "a_scale": "a_scales"}
"""Of a leaf's scaler, and where they come from."""


class _Scalers(wiring.Component):
    """A scaler a leaf.

    Members
    -------
    sums, w_scales, a_scales: In, sum and scale codes of each leaf.
    leaves: Out, as the adder tree takes them.
    """

    def __init__(self, *, scalers: list[wiring.Component], leaf, more=()):
        self._scalers = scalers
        count = len(scalers)
        members = {
            source: In(ArrayLayout(getattr(scalers[0], port).shape(), count))
            for port, source in _SCALER_INPUTS.items()
        }
        super().__init__(members | {"leaves": Out(ArrayLayout(leaf, count))} | dict(more))

    term_width = property(lambda self: self._scalers[0].term_width, doc="Bits of an integer term.")
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

    def _connect(self, m: Module, scaler, leaf) -> None:
        """Wire what is particular to a leaf."""
        raise NotImplementedError


class FloatScalers(_Scalers):
    """A GroupScaler a leaf: float32 leaves. Combinational.

    Parameters
    ----------
    leaves: leaves of a block.
    acc_width, element, scale: of each GroupScaler.
    """

    def __init__(self, *, leaves: int, **options):
        scalers = [GroupScaler(**options) for _ in range(leaves)]
        super().__init__(scalers=scalers, leaf=unsigned(FP32.code_width))

    def _connect(self, m: Module, scaler, leaf) -> None:
        m.d.comb += leaf.eq(scaler.z)


class AlignedScalers(_Scalers):
    """An Aligner a leaf, and the tile's largest scale, found while its last products add up.

    Parameters
    ----------
    leaves: leaves of a block.
    lanes: lanes of the tile.
    acc_width, scale, guard_bits: of each Aligner.

    Members
    -------
    all_w_scales, all_a_scales: In, scale codes of all lanes, held from `last` on.
    low: Out, exponent of the largest.
    """

    def __init__(self, *, leaves: int, lanes: int, **options):
        scalers = [Aligner(**options) for _ in range(leaves)]
        self._largest = largest = LargestScale(lanes=lanes, scale=scalers[0].scale)
        more = {
            "all_w_scales": In(largest.w_scale.shape()),
            "all_a_scales": In(largest.a_scale.shape()),
            "low": Out(len(largest.low)),
        }
        super().__init__(scalers=scalers, leaf=signed(scalers[0].term_width), more=more)

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

    def _connect(self, m: Module, scaler, leaf) -> None:
        m.d.comb += [scaler.low.eq(self._largest.low), leaf.eq(scaler.term)]


class ExactScalers(_Scalers):
    """A ScaledTerm a leaf: exact terms with their exponents. Combinational.

    Parameters
    ----------
    leaves: leaves of a block.
    acc_width, scale: of each ScaledTerm.
    """

    def __init__(self, *, leaves: int, **options):
        scalers = [ScaledTerm(**options) for _ in range(leaves)]
        fields = {port: getattr(scalers[0], port).shape() for port in ("term", "exponent")}
        super().__init__(scalers=scalers, leaf=StructLayout(fields))

    def _connect(self, m: Module, scaler, leaf) -> None:
        m.d.comb += [leaf.term.eq(scaler.term), leaf.exponent.eq(scaler.exponent)]
