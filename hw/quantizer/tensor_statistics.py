"""The dynamic quantizer's first pass: largest magnitudes of groups and tensor."""

from amaranth import Module, Mux, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, MAX_LANES
from ..parts.component import Component, parameter
from ..parts.magnitude import MAGNITUDE_BITS
from ..parts.values import named, registered


class TensorStatistics(Component):
    """`group_max = max |x|` since the group's first beat, `tensor_max` since the tensor's.

    As integers, float32 codes without their signs order like the magnitudes. Infinity and NaN are
    above all numbers: they show in `tensor_max`, which holds them until the next `first`.

    A balanced tree over the lanes, registered after every second level; the level that is left over
    shares a cycle with the running maxima. Latency `1 + floor(ceil(log2 lanes) / 2)`, throughput
    one beat a cycle. No reset: `first` defines the state, and a beat with `last` ends a group, so
    that the next one begins another. Where `valid` is 0, nothing changes.
    Source: docs/numerics.md section 15.

    Members
    -------
    x: In, array of `lanes` float32 codes; unused lanes are fed +0.
    valid: In, this is a beat.
    first: In, of a tensor; read where `valid`.
    last: In, of a group; read where `valid`.
    group_max: Out, 31 bits; `S_r` where `group_valid`.
    group_valid: Out, the beat was its group's last.
    tensor_max: Out, 31 bits; after the tensor's last beat `S_t`.
    invalid: Out, infinity or NaN came since `first`.
    """

    lanes: int = parameter("elements of a beat", low=1, high=MAX_LANES, default=1)

    def ports(self):
        return {
            "x": In(ArrayLayout(FP32.code_width, self.lanes)),
            "valid": In(1),
            "first": In(1),
            "last": In(1),
            "group_max": Out(MAGNITUDE_BITS),
            "group_valid": Out(1),
            "tensor_max": Out(MAGNITUDE_BITS),
            "invalid": Out(1),
        }

    _levels = property(lambda self: (self.lanes - 1).bit_length())
    latency = property(lambda self: 1 + self._levels // 2, doc="Clock cycles from `x` to maxima.")

    @property
    def registers(self) -> int:
        """Register bits: magnitudes and marks after every second level, both maxima, two flags."""
        rows = range(2, self._levels + 1, 2)
        widths = [MAGNITUDE_BITS * -(-self.lanes >> level) + 3 for level in rows]
        return sum(widths) + 2 * MAGNITUDE_BITS + 2

    def elaborate(self, platform):
        m = Module()
        values = [self.x[lane][:MAGNITUDE_BITS] for lane in range(self.lanes)]
        marks = {"valid": self.valid, "first": self.first, "last": self.last}
        for level in range(1, self._levels + 1):
            pairs = zip(values[::2], values[1::2], strict=False)
            largest = [
                named(m, f"level{level}_{place}", _larger(x, y))
                for place, (x, y) in enumerate(pairs)
            ]
            values = largest + values[2 * len(largest) :]
            if level % 2 == 0:
                values = [
                    registered(m, f"row{level}_{place}", value)
                    for place, value in enumerate(values)
                ]
                marks = {
                    name: registered(m, f"row{level}_{name}", mark) for name, mark in marks.items()
                }
        self._accumulate(m, values[0], **marks)
        return m

    def _accumulate(self, m, beat, valid, first, last):
        group, tensor = (
            Signal(MAGNITUDE_BITS, name=name, reset_less=True) for name in ("group", "tensor")
        )
        ended = Signal(reset_less=True)  # the beat before was its group's last
        with m.If(valid):
            m.d.sync += [
                group.eq(Mux(first | ended, beat, _larger(beat, group))),
                tensor.eq(Mux(first, beat, _larger(beat, tensor))),
                ended.eq(last),
            ]
        m.d.comb += [
            self.group_max.eq(group),
            self.group_valid.eq(registered(m, "group_valid_out", valid & last)),
            self.tensor_max.eq(tensor),
            self.invalid.eq(tensor[FP32.man_bits :].all()),
        ]


def _larger(x, y):
    return Mux(x > y, x, y)
