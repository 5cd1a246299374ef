# amaranth: UnusedElaboratable=no
"""Lanes of a block quantizer side by side, whatever their scale."""

from typing import ClassVar

from amaranth import Module
from amaranth.hdl import unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import BlockFormat, Rounding
from ..parts.component import Component
from ..parts.values import registered
from .block_lane import SharedExponentLane
from .block_numbers import BlockNumbers
from .ratio_lane import RatioLane
from .ratio_scale import CODE_BITS
from .shared_exponent import FIELD_BITS
from .tensor_statistics import TensorStatistics

_EACH = ("number", "random", "code")
"""Ports that each lane has of its own; the scale's go to all."""


class BlockLanes(Component):
    """Lanes side by side; the scale code travels beside them.

    Members: `numbers`, `random`: In, arrays of the lane's; `scale_code`: In, beside the other
    inputs, which are those of the lane; `codes`: Out, array; `scale_out`: Out, beside them.
    """

    lane: ClassVar[type[SharedExponentLane] | type[RatioLane]]
    """What each is."""

    scale_bits: ClassVar[int]
    """Of a scale code, without the bits above that are 0."""

    format: BlockFormat = BlockNumbers.format
    lanes: int = TensorStatistics.lanes
    rounding: Rounding = BlockNumbers.rounding
    random_bits: int = BlockNumbers.random_bits

    def ports(self):
        own = {name: getattr(self, name) for name in ("format", "rounding", "random_bits")}
        self._lanes = [self.lane(**own) for _ in range(self.lanes)]
        members = self._lanes[0].signature.members
        words = {"random": In(ArrayLayout(self.random_bits, self.lanes))}
        return {
            "numbers": In(ArrayLayout(members["number"].shape, self.lanes)),
            **(words if "random" in members else {}),
            **{name: member for name, member in members.items() if name not in _EACH},
            "scale_code": In(self.scale_bits),
            "codes": Out(ArrayLayout(unsigned(self.format.element.code_width), self.lanes)),
            "scale_out": Out(self.scale_bits),
        }

    latency = property(lambda self: self._lanes[0].latency, doc="From `numbers` to `codes`.")
    random_delay = property(
        lambda self: self._lanes[0].random_delay, doc="Cycles from `numbers` to `random`."
    )

    scale_delay = property(
        lambda self: self._lanes[0].scale_delay, doc="Cycles from `numbers` to their scale."
    )

    @property
    def _scale_registers(self) -> int:
        """Cycles from the scale to the codes."""
        return self.latency - self.scale_delay

    @property
    def registers(self) -> int:
        """Register bits: the lanes, the scale code."""
        return sum(lane.registers for lane in self._lanes) + self.scale_bits * self._scale_registers

    def elaborate(self, platform):
        m = Module()
        for place, lane in enumerate(self._lanes):
            m.submodules[f"lane{place}"] = lane
            for name in lane.signature.members:
                if name not in _EACH:
                    m.d.comb += getattr(lane, name).eq(getattr(self, name))
            m.d.comb += [lane.number.eq(self.numbers[place]), self.codes[place].eq(lane.code)]
            if "random" in lane.signature.members:
                m.d.comb += lane.random.eq(self.random[place])
        scale = self.scale_code
        for stage in range(self._scale_registers):
            scale = registered(m, f"scale{stage}", scale)
        m.d.comb += self.scale_out.eq(scale)
        return m


class SharedExponentLanes(BlockLanes):
    """`SharedExponentLane`s."""

    lane = SharedExponentLane
    scale_bits = FIELD_BITS


class RatioLanes(BlockLanes):
    """`RatioLane`s."""

    lane = RatioLane
    scale_bits = CODE_BITS
