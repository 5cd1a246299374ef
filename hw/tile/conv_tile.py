# amaranth: UnusedElaboratable=no
"""A tile or dot unit between two streams: steps in, outputs out, with back-pressure."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Const, Value
from amaranth.lib import stream
from amaranth.lib.data import StructLayout
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..parts.component import Component, parameter
from ..parts.stepped import Stepped
from ..parts.values import named


class ConvTile(Component):
    """Streams around a tile: for each step with `finish` one result, in order, none lost.

    The tile never stalls. A cycle without a step feeds it an idle one, and `i.ready` is withheld
    only where the tile or its results need it:

    - from a step with `last`, sooner than `interval` cycles after the previous one;
    - from a step with `finish`, while all `results` slots are taken. A slot is taken when such a
      step is accepted and free in the cycle after its result was handed out, so that a result
      always finds a place in the buffer, however long `o.ready` stays low;
    - in the `interval` cycles after a reset, which end with a whole output of zeros: the step that
      a tile, which has no reset, must begin with.

    All else runs at one step a cycle. Outputs that lie at least `(latency + 1) / results` cycles
    apart never wait for a slot as long as `o.ready` is 1. `start` and `first` are derived: a step
    after one with `last` starts a group, a tile after one with `finish` begins an output.

    `i.ready` depends combinationally on `last` and `finish` of `i.payload`, and on nothing else
    outside; `o.valid` and `o.payload` come from registers. The tile's `valid` is not used: it may
    be undefined, or belong to an output from before a reset. Its fixed latency says when a result
    is there, and a delay line that the reset clears counts it.

    A reset (synchronous, at least one cycle) drops what is under way and what waits at `o`.

    Members
    -------
    i: In, stream of steps: `w`, `a` (and `w_scale`, `a_scale`, `load`) as the tile's ports, the
        scale codes being read with `last`, those of held weights with `load`; `last`, ends a group,
        where groups have several steps; `finish`, ends an output, implies `last`.
    o: Out, stream of results: `z`, 32 bits, float32 code; `overflow` where the tile has it.
    tensor_scale: In, 32 bits, constant while outputs are under way; where the tile has it.
    """

    tile: Stepped = parameter("what computes")
    results: int = parameter("slots for outputs under way and waiting", low=2, high=64, default=2)

    def ports(self):
        ports = {name: member.shape for name, member in self.tile.signature.members.items()}
        operands = ("w", "a", "w_scale", "a_scale", "load")
        self._operands = StructLayout({name: ports[name] for name in operands if name in ports})
        marks = {name: ports[name] for name in ("last", "finish") if name in ports}
        self._step = StructLayout({**self._operands.members, **marks})
        self._result = StructLayout(
            {name: ports[name] for name in ("z", "overflow") if name in ports}
        )
        members = {
            "i": In(stream.Signature(self._step)),
            "o": Out(stream.Signature(self._result)),
        }
        if "tensor_scale" in ports:
            members["tensor_scale"] = In(ports["tensor_scale"])
        return members

    stage_sets = property(lambda self: self.tile.stage_sets, doc="Of the tile.")
    interval = property(lambda self: self.tile.interval, doc="Of the tile.")
    has_reset = property(lambda self: True, doc="Whether the clock domain needs a reset.")
    operands = property(lambda self: self._operands, doc="Layout of a step without its marks.")
    _has_last = property(lambda self: "last" in self._step.members)

    @property
    def latency(self) -> int:
        """Clock cycles from a step with `finish` to its result at `o`, if none waits there."""
        return self.tile.latency + 1

    @property
    def registers(self) -> int:
        """Register bits: the tile's, marks, gap, taken slots, delay line, result buffer."""
        depth = self.results
        buffer = depth * self._result.size + 2 * (depth - 1).bit_length() + depth.bit_length()
        marks = 2 + self._has_last  # fresh and first; start
        control = marks + (self.interval - 1).bit_length() + depth.bit_length() + self.tile.latency
        return self.tile.registers + control + buffer

    def elaborate(self, platform):
        m = Module()
        m.submodules.tile = tile = self.tile
        step = self.i.payload
        # Cycles until a step with `last` may come. Counted after a reset as well, since the tile
        # may have taken one just before.
        gap = Signal(range(self.interval), init=self.interval - 1)
        taken = Signal(range(self.results + 1))
        fresh = Signal(init=1)
        last = named(m, "last", step.last | step.finish) if self._has_last else Const(1, 1)
        early = gap.any() if self.interval > 1 else Const(0, 1)
        too_soon = named(m, "too_soon", last & early)
        no_slot = named(m, "no_slot", step.finish & (taken == self.results))
        m.d.comb += self.i.ready.eq(~(fresh | too_soon | no_slot))
        accept = named(m, "accept", self.i.valid & self.i.ready)
        define = named(m, "define", fresh & ~early)
        self._feed(m, accept, define, fresh, last)
        with m.If(define):
            m.d.sync += fresh.eq(0)
        if self.interval > 1:
            with m.If(tile.last):
                m.d.sync += gap.eq(self.interval - 1)
            with m.Elif(gap.any()):
                m.d.sync += gap.eq(gap - 1)
        take = named(m, "take", accept & step.finish)
        give = named(m, "give", self.o.valid & self.o.ready)
        m.d.sync += taken.eq(taken + take - give)
        self._collect(m, take)
        return m

    def _feed(self, m: Module, accept: Value, define: Value, fresh: Value, last: Value) -> None:
        """The tile's inputs: the accepted step, the defining one, or an idle one."""
        tile, step = self.tile, self.i.payload
        ends = (accept & last) | define
        if self._has_last:
            start = Signal(init=1)
            with m.If(accept):
                m.d.sync += start.eq(last)
            m.d.comb += [tile.start.eq(start & (accept | define)), tile.last.eq(ends)]
        first = Signal(init=1)
        with m.If(accept & last):
            m.d.sync += first.eq(step.finish)
        for port, mark in (("first", first), ("finish", step.finish | fresh)):
            m.d.comb += getattr(tile, port).eq(mark if tile.reads_marks_at_last else mark & ends)
        for port, idle in zip(("w", "a"), tile.idle_operands, strict=True):
            lanes = getattr(tile, port)
            for lane, code in enumerate(step[port]):
                m.d.comb += lanes[lane].eq(Mux(accept, code, idle))
        for port in ("w_scale", "a_scale"):
            if port in self._operands.members:
                m.d.comb += getattr(tile, port).eq(step[port])
        if "load" in self._operands.members:
            m.d.comb += tile.load.eq(accept & step.load)
        if hasattr(self, "tensor_scale"):
            m.d.comb += tile.tensor_scale.eq(self.tensor_scale)

    def _collect(self, m: Module, take: Value) -> None:
        """The result buffer: written `latency` cycles after the tile took a step with `finish`."""
        m.submodules.buffer = buffer = SyncFIFO(width=self._result.size, depth=self.results)
        under_way = Signal(self.tile.latency)
        m.d.sync += under_way.eq(Cat(take, under_way))
        m.d.comb += [
            buffer.w_data.eq(Cat(getattr(self.tile, name) for name in self._result.members)),
            buffer.w_en.eq(under_way[-1]),
            Value.cast(self.o.payload).eq(buffer.r_data),
            self.o.valid.eq(buffer.r_rdy),
            buffer.r_en.eq(self.o.ready),
        ]
