"""Largest, smallest and range of a stream of integers."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from ...golden.spec import IntFormat
from ..parts.component import Component, parameter


class RangeStatistic(Component):
    """`max' = start ? x : max(max, x)`, `min' = start ? x : min(min, x)`, `range = max - min`: the
    statistic of Range Batch-Norm.

    Latency 1 cycle, throughput one value a cycle. No reset: `start` defines the state; an idle
    cycle repeats a value. Source: docs/numerics.md section 12.

    Members
    -------
    x: In, `format.width` bits, two's complement.
    start: In, this value begins a new statistic.
    max, min: Out, signed, `format.width` bits.
    range: Out, unsigned, `format.width` bits: at most 2^width - 1.

    Source
    ------
    R. Banner, I. Hubara, E. Hoffer, D. Soudry, "Scalable methods for 8-bit training of neural
    networks", NeurIPS 2018.
    """

    format: IntFormat = parameter("of the values")

    def ports(self):
        width = self.format.width
        return {
            "x": In(width),
            "start": In(1),
            "max": Out(signed(width)),
            "min": Out(signed(width)),
            "range": Out(width),
        }

    latency = property(lambda self: 1, doc="Clock cycles from `x` to the statistic.")
    registers = property(lambda self: 2 * self.format.width, doc="Register bits: both extremes.")

    def elaborate(self, platform):
        m = Module()
        x = self.x.as_signed()
        largest = Signal.like(self.max, name="largest", reset_less=True)
        smallest = Signal.like(self.min, name="smallest", reset_less=True)
        m.d.sync += [
            largest.eq(Mux(self.start | (x > largest), x, largest)),
            smallest.eq(Mux(self.start | (x < smallest), x, smallest)),
        ]
        m.d.comb += [
            self.max.eq(largest),
            self.min.eq(smallest),
            self.range.eq(largest - smallest),
        ]
        return m
