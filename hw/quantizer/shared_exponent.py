# amaranth: UnusedElaboratable=no
"""A block's E8M0 scale: a power of two by its largest exponent."""

from amaranth import Module, Mux, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32
from ..parts.component import Component, parameter
from ..parts.held import hold
from ..parts.values import named
from .block_buffer import BlockBuffer
from .tensor_statistics import TensorStatistics

FIELD_BITS = FP32.exp_bits


class SharedExponent(Component):
    """`scale_code = max(largest exponent field - top_exp, 0)`, 255 where that field is 255, as of
    infinity and NaN.

    Subnormal numbers have scale code 0 whatever they are, so that nothing is normalised. Results
    are there `delay` cycles after `first` of the next block and stay for a block.
    Source: docs/numerics.md section 16.

    Members
    -------
    x: In, array of float32 codes.
    first: In, this is a block's first beat.
    top: Out, 8 bits: biased exponent of the largest element of this scale.
    nan: Out, a number is not finite.
    scale_code: Out, 8 bits.
    """

    lanes: int = TensorStatistics.lanes
    beats: int = BlockBuffer.beats
    top_exp: int = parameter("floor(log2) of the largest element", low=0, high=16)

    def ports(self):
        return {
            "x": In(ArrayLayout(FP32.code_width, self.lanes)),
            "first": In(1),
            "top": Out(FIELD_BITS),
            "nan": Out(1),
            "scale_code": Out(8),
        }

    @property
    def delay(self) -> int:
        """Cycles from the next block's first beat to the results; none where that is every beat."""
        return 1 if self.beats > 1 else 0

    @property
    def registers(self) -> int:
        """Register bits: the largest field so far, that of the block before."""
        return FIELD_BITS * (1 + self.delay)

    def elaborate(self, platform):
        m = Module()
        fields = [self.x[lane][FP32.man_bits : -1] for lane in range(self.lanes)]
        beat = named(m, "beat", largest(m, "field", fields))
        peak = running_maximum(m, beat, self.first)
        if self.delay:
            peak = hold(m, "held", peak, self.first)
        nan = named(m, "is_nan", peak.all())
        top = named(m, "at_least", Mux(peak > self.top_exp, peak, self.top_exp))
        code = (top - self.top_exp)[:8] if self.top_exp else top
        m.d.comb += [
            self.top.eq(top),
            self.nan.eq(nan),
            self.scale_code.eq(code | nan.replicate(8)),
        ]
        return m


def largest(m, name, values):
    """Of values, as a balanced tree."""
    level = 0
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=False)
        rest = values[2 * (len(values) // 2) :]
        values = [
            named(m, f"{name}_level{level}_{place}", Mux(x > y, x, y))
            for place, (x, y) in enumerate(pairs)
        ] + rest
        level += 1
    return values[0]


def running_maximum(m, value, first):
    """The largest value since `first`, a cycle later."""
    peak = Signal(value.shape(), name="peak", reset_less=True)
    m.d.sync += peak.eq(Mux(~first & (peak > value), peak, value))
    return peak
