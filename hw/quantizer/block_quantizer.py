# amaranth: UnusedElaboratable=no
"""Float32 numbers to blocks of OCP MX and NVFP4, streaming."""

from amaranth import Module
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, BlockFormat, Rounding, ScaleCoding
from ..parts.component import Component
from ..parts.gating import CLOCK_GATING
from ..parts.lfsr import Lfsr
from .block_buffer import BlockBuffer
from .block_lanes import RatioLanes, SharedExponentLanes
from .block_numbers import BlockNumbers, Grid
from .block_words import BlockWords
from .ratio_lane import RatioLane
from .ratio_scale import RatioScale
from .shared_exponent import SharedExponent
from .tensor_statistics import TensorStatistics


class BlockQuantizer(Component):
    """`lanes` numbers a cycle to the elements nearest to `x / scale`, or by R, with a scale a
    block.

        x -> front -> buffer -> lanes -> codes      <- generator
        x -> group_scale     -> lanes -> scale_code

    E8M0: the scale is 2^(exponent of the block's largest magnitude - that of the largest element);
    `front` cuts off what no rounding reads. E4M3: the number nearest to `max|x| / (6 *
    tensor_scale)`, the element that nearest to `x / (scale * tensor_scale)`.

    Every step is exact, subnormal numbers included. A block with a number that is not finite, or
    with such a tensor scale, has the scale code NaN, and codes 0. Throughput one beat a cycle,
    latency a block's beats and 2 (E8M0; 2
    where a block is one beat) or 4 (E4M3; stochastic 5). No reset: `start`
    defines where blocks begin, `seed` the words. An idle block is zeros. Source: docs/numerics.md
    section 16; OCP MX v1.0, section 6.3; arXiv 2509.25149.

    Members
    -------
    x: In, array of `lanes` float32 codes, in C order.
    start: In, a block's first beat; needed once, and not where each beat is a block.
    tensor_scale: In, only E4M3, 31 bits, a float32 magnitude, read with a block's first beat.
    seed: In, only stochastic, read with a block's first beat, which takes the generators' first
        words.
    codes: Out, array of `lanes` element codes.
    scale_code: Out, of the block of these codes; 8 bits, of E4M3 the 7 below its sign, which is 0.
    """

    format: BlockFormat = BlockNumbers.format
    lanes: int = TensorStatistics.lanes
    rounding: Rounding = BlockNumbers.rounding
    random_bits: int = BlockNumbers.random_bits
    lfsr_seed: int = Lfsr.lfsr_seed
    clock_gating: bool = CLOCK_GATING

    def rules(self):
        if self.format.size % self.lanes:
            raise ValueError(
                f"lanes must divide the {self.format.size} elements of a block, not {self.lanes}"
            )
        if self.format.scale_coding is ScaleCoding.E4M3:
            RatioLane.check(format=self.format)

    def ports(self):
        beats = self.format.size // self.lanes
        own = {name: getattr(self, name) for name in ("format", "lanes", "rounding", "random_bits")}
        self._front: BlockNumbers | None = None
        self._scale: SharedExponent | RatioScale
        self._elements: SharedExponentLanes | RatioLanes
        width = FP32.code_width
        if self.format.scale_coding is ScaleCoding.E8M0:
            self._front = BlockNumbers(**own)
            width = self._front.width
            top_exp = Grid.of(self.format).top_exp
            self._scale = SharedExponent(lanes=self.lanes, beats=beats, top_exp=top_exp)
            self._elements = SharedExponentLanes(**own)
        else:
            self._scale = RatioScale(lanes=self.lanes, rounding=self.rounding)
            self._elements = RatioLanes(**own)
        # Numbers meet their scale in the lanes.
        behind = self._scale.delay - self._elements.scale_delay
        self._buffer = BlockBuffer(beats=beats, width=width * self.lanes, behind=behind)
        self._generator = None
        if self.rounding is Rounding.STOCHASTIC:
            self._generator = BlockWords(
                beats=beats,
                delay=self._buffer.latency + self._elements.random_delay,
                lanes=self.lanes,
                random_bits=self.random_bits,
                lfsr_seed=self.lfsr_seed,
            )
        scale, elements = self._scale.signature.members, self._elements.signature.members
        return {
            "x": In(ArrayLayout(FP32.code_width, self.lanes)),
            **({"start": In(1)} if beats > 1 else {}),
            **({"tensor_scale": scale["tensor_scale"]} if "tensor_scale" in scale else {}),
            **({"seed": In(1)} if self._generator else {}),
            "codes": elements["codes"],
            "scale_code": Out(self._elements.scale_bits),
        }

    @property
    def latency(self) -> int:
        """Clock cycles from `x` to `codes`."""
        return self._buffer.latency + self._elements.latency

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the submodules that own all gates."""
        front = ("front",) if self._front else ()
        generator = ("generator",) if self._generator else ()
        return (*front, "buffer", "group_scale", "lanes", *generator)

    @property
    def registers(self) -> int:
        """Register bits of all stages."""
        parts = (self._buffer, self._scale, self._elements, self._generator)
        return sum(part.registers for part in parts if part)

    def elaborate(self, platform):
        m = Module()
        numbers = self.x.as_value()
        if self._front:
            m.submodules.front = front = self._front
            m.d.comb += front.x.eq(self.x)
            numbers = front.numbers.as_value()
        m.submodules.buffer = buffer = self._buffer
        m.submodules.group_scale = scale = self._scale
        m.submodules.lanes = lanes = self._elements
        m.d.comb += [
            buffer.i.eq(numbers),
            scale.x.eq(self.x),
            scale.first.eq(buffer.first),
            lanes.numbers.eq(buffer.o),
            self.codes.eq(lanes.codes),
            self.scale_code.eq(lanes.scale_out),
        ]
        for name, member in scale.signature.members.items():
            if member.flow is Out:
                m.d.comb += getattr(lanes, name).eq(getattr(scale, name))
        for name, reader in (("start", buffer), ("tensor_scale", scale)):
            if name in self.signature.members:
                m.d.comb += getattr(reader, name).eq(getattr(self, name))
        if self._generator:
            m.submodules.generator = generator = self._generator
            m.d.comb += [
                generator.seed.eq(self.seed),
                generator.first.eq(buffer.first),
                lanes.random.eq(generator.word),
            ]
        return m
