# amaranth: UnusedElaboratable=no
"""A tile or dot unit behind AXI4-Stream ports."""

from typing import Any

from amaranth import ClockDomain, Module, Mux, Signal
from amaranth.hdl import Shape
from amaranth.lib.data import Field, FlexibleLayout, Layout
from amaranth.lib.wiring import In, Out

from ..parts.component import Component
from ..parts.stepped import Stepped
from .conv_tile import ConvTile

PACKET_WIDTH = 24


def byte_aligned(fields: Layout) -> FlexibleLayout:
    """The fields one after another, lowest first, each from a byte's lowest bit on."""
    places, offset = {}, 0
    for name, field in fields:
        places[name] = Field(field.shape, offset)
        offset += -(-Shape.cast(field.shape).width // 8) * 8
    return FlexibleLayout(offset, places)


class AxiConvTile(Component):
    """`ConvTile` with the signals of AXI4-Stream, and its rule that no output depends
    combinationally on an input: a register row in front takes the step.

    One step a transfer, one result a transfer. Latency 1 cycle more than ConvTile's, throughput the
    same. While `aresetn` is 0 at a rising edge of `aclk`, everything under way is dropped.

    Members
    -------
    aclk: In, rising edge.
    aresetn: In, active low, synchronous, at least one cycle.
    s_axis_tdata: In, `w`, `a` (and `w_scale`, `a_scale`, `load`), `w` lowest, each from a byte's
        lowest bit on and filled up with ignored bits to whole bytes; lane 0 lowest in each.
    s_axis_tvalid: In. s_axis_tready: Out.
    s_axis_tuser: In, the step ends a group; where groups have several steps.
    s_axis_tlast: In, the step ends an output (and a group, whatever `tuser`).
    m_axis_tdata: Out, 32 bits, float32 code of a result.
    m_axis_tvalid: Out. m_axis_tready: In.
    m_axis_tuser: Out, a sum of the result overflowed; where the tile has it.
    m_axis_tlast: Out, the result is the last of a packet, counted from the reset on.
    packet: In, 24 bits, static: results of a packet; 0 and 1: each is one.
    tensor_scale: In, 32 bits, constant while outputs are under way; where the tile has it.
    """

    tile: Stepped = ConvTile.tile
    results: int = ConvTile.results

    def ports(self):
        self._core = ConvTile(tile=self.tile, results=self.results)
        members = {
            "aclk": In(1),
            "aresetn": In(1),
            "s_axis_tdata": In(byte_aligned(self._core.operands)),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            **({"s_axis_tuser": In(1)} if hasattr(self._core.i.payload, "last") else {}),
            "m_axis_tdata": Out(32),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
            "packet": In(PACKET_WIDTH),
        }
        if hasattr(self._core.o.payload, "overflow"):
            members["m_axis_tuser"] = Out(1)
        if hasattr(self._core, "tensor_scale"):
            members["tensor_scale"] = In(32)
        return members

    core = property(lambda self: self._core, doc="ConvTile behind the register row.")
    stage_sets = property(lambda self: self.tile.stage_sets, doc="Of the tile.")
    interval = property(lambda self: self._core.interval, doc="Of the tile.")

    @property
    def latency(self) -> int:
        """Clock cycles from a step with `tlast` to its result."""
        return self._core.latency + 1

    @property
    def registers(self) -> int:
        """Register bits: the core's, the held step and whether there is one, the packet's place."""
        return self._core.registers + len(self._core.i.payload.as_value()) + 1 + PACKET_WIDTH

    def elaborate(self, platform):
        m = Module()
        # The clock and its reset are ports like all others.
        m.domains.sync = domain = ClockDomain("sync", local=True)
        clock, reset = domain.clk, domain.rst  # type: ignore[attr-defined]  # stubs lack them
        m.d.comb += [clock.eq(self.aclk), reset.eq(~self.aresetn)]
        m.submodules.core = core = self._core
        step, result = core.i.payload, core.o.payload
        held: Any = Signal(step.shape(), reset_less=True)  # a view: it has fields
        occupied = Signal()
        m.d.comb += [
            self.s_axis_tready.eq(~occupied | core.i.ready),
            core.i.payload.eq(held),
            core.i.valid.eq(occupied),
        ]
        with m.If(self.s_axis_tready):
            m.d.sync += [
                occupied.eq(self.s_axis_tvalid),
                *([held.last.eq(self.s_axis_tuser)] if hasattr(self, "s_axis_tuser") else []),
                held.finish.eq(self.s_axis_tlast),
            ]
            m.d.sync += [held[name].eq(self.s_axis_tdata[name]) for name in core.operands.members]
        place = Signal(PACKET_WIDTH, init=1)
        m.d.comb += [
            self.m_axis_tdata.eq(result.z),
            self.m_axis_tvalid.eq(core.o.valid),
            self.m_axis_tlast.eq(place >= self.packet),
            core.o.ready.eq(self.m_axis_tready),
        ]
        with m.If(self.m_axis_tvalid & self.m_axis_tready):
            m.d.sync += place.eq(Mux(self.m_axis_tlast, 1, place + 1))
        if hasattr(self, "m_axis_tuser"):
            m.d.comb += self.m_axis_tuser.eq(result.overflow)
        if hasattr(self, "tensor_scale"):
            m.d.comb += core.tensor_scale.eq(self.tensor_scale)
        return m
