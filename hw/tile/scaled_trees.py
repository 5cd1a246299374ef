# amaranth: UnusedElaboratable=no
"""Whole inter-group sums of fixed point: scaled or aligned terms and their adder tree.

In a tile the collector holds sums and scales, and these parts are its stages `scalers` and `tree`;
here they stand together, so that they can be generated, verified and measured alone.
"""

from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, ElementFormat, ScaleFormat, check_int
from ..parts.values import registered
from .adder_trees import MAX_LEAVES, AlignedAdderTree, ExactAdderTree
from .aligner import Aligner, LargestScale
from .group_scaler import ScaledTerm, fraction_bits

_INPUTS = ("p", "w_scale", "a_scale", "valid")
"""Ports of every tree."""


class _ScaledTree(wiring.Component):
    """Ports and attributes that both trees share.

    Parameters: `scalers`: a component for each lane (`p`, `w_scale`, `a_scale`); `adders`: their
    tree; `more`: ports that the tree has beside them.
    """

    def __init__(self, *, element: ElementFormat, scalers, adders, more=()):
        self._element = element
        self._scalers = scalers
        self._adders = adders
        lanes, scale = len(scalers), scalers[0].scale
        codes = ArrayLayout(unsigned(scale.code_width), lanes)
        super().__init__(
            {
                "p": In(ArrayLayout(signed(scalers[0].acc_width), lanes)),
                "w_scale": In(codes),
                "a_scale": In(codes),
                "valid": In(1),
                **{port: In(1) for port in more},
                "sum": Out(FP32.code_width),
                "sum_valid": Out(1),
            }
        )

    lanes = property(lambda self: len(self._scalers), doc="Leaves of a tile.")
    acc_width = property(lambda self: self._scalers[0].acc_width, doc="Bits of each `p`.")
    element = property(lambda self: self._element, doc="Format of the products' elements.")
    scale = property(lambda self: self._scalers[0].scale, doc="Format of both scales.")

    def _connect(self, m: Module, inputs) -> None:
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

    Parameters
    ----------
    lanes: leaves of a tile, 1..64.
    acc_width: bits of each `p`, 2..64.
    element: ElementFormat of the products.
    scale: ScaleFormat of all scales.
    guard_bits: G, 0..32.

    Members
    -------
    p: In, signed sum of each lane.
    w_scale, a_scale: In, its scale codes.
    valid: In, there is a tile.
    sum: Out, float32 code; held until the next tile.
    sum_valid: Out, `sum` is new.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        lanes: int,
        acc_width: int,
        element: ElementFormat,
        scale: ScaleFormat,
        guard_bits: int = 12,
    ):
        self._largest = LargestScale(lanes=lanes, scale=scale)
        aligner = {"acc_width": acc_width, "scale": scale, "guard_bits": guard_bits}
        aligners = [Aligner(**aligner) for _ in range(lanes)]
        adders = AlignedAdderTree(
            leaves=lanes,
            term_width=aligners[0].term_width,
            exponent_width=len(self._largest.low),
            offset=fraction_bits(element, scale) + guard_bits,
        )
        super().__init__(element=element, scalers=aligners, adders=adders)

    guard_bits = property(lambda self: self._scalers[0].guard_bits, doc="Bits below the unit.")
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

    Parameters
    ----------
    lanes: leaves of a tile, 1..64.
    acc_width: bits of each `p`, 2..64.
    element: ElementFormat of the products.
    scale: ScaleFormat of all scales.
    tiles: most tiles of an output.

    Members
    -------
    p: In, signed sum of each lane.
    w_scale, a_scale: In, its scale codes.
    valid: In, there is a tile.
    first: In, with `valid`: it begins an output.
    sum: Out, float32 code of the output so far; held until the next tile.
    sum_valid: Out, `sum` is new.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        lanes: int,
        acc_width: int,
        element: ElementFormat,
        scale: ScaleFormat,
        tiles: int = 64,
    ):
        check_int("lanes", lanes, 1, MAX_LEAVES)
        terms = [ScaledTerm(acc_width=acc_width, scale=scale) for _ in range(lanes)]
        adders = ExactAdderTree(
            leaves=lanes,
            term_width=terms[0].term_width,
            scale=scale,
            offset=fraction_bits(element, scale),
            tiles=tiles,
        )
        super().__init__(element=element, scalers=terms, adders=adders, more=("first",))

    tiles = property(lambda self: self._adders.tiles, doc="Most tiles of an output.")
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
