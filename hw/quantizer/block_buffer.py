# amaranth: UnusedElaboratable=no
"""A block's beats, held until its scale is known."""

from amaranth import Const, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from ..parts.component import Component, parameter
from ..parts.held import Held
from ..parts.values import named, registered

MAX_BEATS = 1 << 15


class BlockBuffer(Component):
    """`o` is `i` of `latency` cycles before, and `first` marks blocks of `beats` beats.

    Beats of a block lie in rows, one a beat; the row that a beat takes holds the one `beats` cycles
    before it, which leaves: only one row changes a cycle, and one address does for both. The
    address begins at `start` and runs on by itself; blocks of one beat have none. Latency `beats +
    behind`.

    Members
    -------
    start: In, this is a block's first beat; not with blocks of one beat.
    i: In, a beat.
    first: Out, this is a block's first beat, by `start` or by count.
    o: Out, the beat that `i` was.
    """

    beats: int = parameter("of a block", low=1, high=MAX_BEATS)
    width: int = parameter("bits of a beat", low=1, high=Held.parameters["width"].high)
    behind: int = parameter("registers behind the rows", low=0, high=8)

    def ports(self):
        self._rows = [Held(width=self.width) for _ in range(self.beats)] if self.beats > 1 else []
        return {
            **({"start": In(1)} if self._rows else {}),
            "i": In(self.width),
            "first": Out(1),
            "o": Out(self.width),
        }

    latency = property(lambda self: self.beats + self.behind, doc="Clock cycles from `i` to `o`.")
    _address_bits = property(lambda self: (self.beats - 1).bit_length())

    @property
    def registers(self) -> int:
        """Register bits: the rows, those behind them, the address."""
        return self.width * self.latency + self._address_bits

    def elaborate(self, platform):
        m = Module()
        oldest = self._through_rows(m) if self._rows else registered(m, "row", self.i)
        if not self._rows:
            m.d.comb += self.first.eq(1)
        for stage in range(self.behind):
            oldest = registered(m, f"behind{stage}", oldest)
        m.d.comb += self.o.eq(oldest)
        return m

    def _through_rows(self, m: Module) -> Value:
        following = Signal(self._address_bits, reset_less=True)
        address = named(m, "address", following & ~self.start.replicate(len(following)))
        last = named(m, "last", address == self.beats - 1)
        m.d.sync += following.eq(Mux(last, 0, address + 1))
        m.d.comb += self.first.eq(~address.any())
        for place, row in enumerate(self._rows):
            m.submodules[f"row{place}"] = row
            chosen = address == place if place else self.first
            m.d.comb += [row.i.eq(self.i), row.enable.eq(chosen)]
        return _chosen(m, address, [row.o for row in self._rows])


def _chosen(m: Module, address: Value, rows: list[Value]) -> Value:
    """The row at an address. Its top bit, which changes least, chooses first, where there are most
    to choose from.
    """
    rows = rows + [Const(0, len(rows[0]))] * ((1 << len(address)) - len(rows))
    for level in reversed(range(len(address))):
        rows = [
            named(m, f"chosen{level}_{place}", Mux(address[level], rows[place + (1 << level)], row))
            for place, row in enumerate(rows[: 1 << level])
        ]
    return rows[0]
