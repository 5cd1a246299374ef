# amaranth: UnusedElaboratable=no
"""The dynamic quantizer's second pass: float32 elements to MLS codes."""

from amaranth import Cat, Const, Module, Signal
from amaranth.hdl import signed, unsigned
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, Carry, ElementFormat, Rounding, ScaleFormat, Scaling
from ..parts.component import Component, parameter
from ..parts.gating import CLOCK_GATING
from ..parts.lfsr import Lfsr
from ..parts.magnitude import MAGNITUDE_BITS
from ..parts.values import registered
from .quantizer_lane import QuantizerLane
from .quotients import Division
from .reciprocal import Reciprocal, check_reciprocal_bits
from .scale_quantizer import ScaleQuantizer, divisor_width
from .tensor_statistics import TensorStatistics


class QuantizerLanes(Component):
    """`QuantizerLane`s side by side; divisor, scale code and flag travel beside them, once.

    Members
    -------
    start, x: In, as `MlsQuantizer`; so `seed`, where seeded.
    reseed: Out, where seeded: `seed`, when it is time for the generator.
    peak, group_invalid: In, of `ScaleQuantizer`, a cycle after x.
    exponent, scale: In, of `ScaleQuantizer`, 2 cycles after x.
    divisor: In, beside them; or the digits of `Reciprocal`, later by its latency.
    random: In, array of words, `random_delay` cycles after x.
    codes, scale_code, invalid: Out, as `MlsQuantizer`.
    """

    format: ElementFormat = QuantizerLane.format
    scale_format: ScaleFormat = parameter("of the scale codes", alias="scale")
    lanes: int = TensorStatistics.lanes
    carry: Carry = QuantizerLane.carry
    random_bits: int = QuantizerLane.random_bits
    seeded: bool = parameter("whether words come from a generator")
    reciprocal_bits: int = QuantizerLane.reciprocal_bits
    levels: int = QuantizerLane.levels
    division: Division = QuantizerLane.division
    scaling: Scaling = ScaleQuantizer.scaling

    def rules(self):
        check_reciprocal_bits(self.reciprocal_bits)

    def ports(self):
        self._lanes = [
            QuantizerLane(
                format=self.format,
                divisor_width=divisor_width(self.scale_format),
                carry=self.carry,
                random_bits=self.random_bits,
                reciprocal_bits=self.reciprocal_bits,
                levels=self.levels,
                division=self.division,
                scaling=self.scaling,
            )
            for _ in range(self.lanes)
        ]
        return ({"seed": In(1), "reseed": Out(1)} if self.seeded else {}) | {
            "start": In(1),
            "x": In(ArrayLayout(FP32.code_width, self.lanes)),
            "peak": In(MAGNITUDE_BITS),
            "group_invalid": In(1),
            "divisor": In(self._quotient.divisor_width),
            "exponent": In(signed(10)),
            "scale": In(self.scale_format.code_width),
            "random": In(ArrayLayout(self.random_bits, self.lanes)),
            "codes": Out(ArrayLayout(unsigned(self.format.code_width), self.lanes)),
            "scale_code": Out(self.scale_format.code_width),
            "invalid": Out(1),
        }

    latency = property(lambda self: self._lanes[0].latency, doc="Cycles from `x` to `codes`.")
    _quotient = property(lambda self: self._lanes[0].quotient)
    _seed_delay = property(lambda self: self._quotient.random_delay - 1)

    @property
    def registers(self) -> int:
        """Register bits: the lanes; start; divisors after the first; scale codes, flags, seed."""
        quotient = self._quotient
        shared = 1 + (quotient.divisors - 1) * quotient.divisor_width
        shared += quotient.cycles * (self.scale_format.code_width + 1) + 1
        if self.seeded:
            shared += self._seed_delay
        return sum(lane.registers for lane in self._lanes) + shared

    def elaborate(self, platform):
        m = Module()
        s1_start = registered(m, "s1_start", self.start)
        invalid = Signal(name="s2_invalid", reset_less=True)
        beyond = Cat(lane.beyond for lane in self._lanes).any()
        m.d.sync += invalid.eq(self.group_invalid | beyond | (invalid & ~s1_start))
        divisors, scale = [self.divisor], self.scale
        if self.seeded:
            seed = self.seed
            for stage in range(self._seed_delay):
                seed = registered(m, f"s{stage + 1}_seed", seed)
            m.d.comb += self.reseed.eq(seed)
        for stage in range(self._quotient.cycles):
            scale = registered(m, f"s{stage + 3}_scale", scale)
            if 0 < stage < self._quotient.divisors:
                divisors.append(registered(m, f"s{stage + 2}_divisor", divisors[-1]))
            if stage:
                invalid = registered(m, f"s{stage + 2}_invalid", invalid)
        for place, lane in enumerate(self._lanes):
            m.submodules[f"lane{place}"] = lane
            m.d.comb += [
                lane.x.eq(self.x[place]),
                lane.peak.eq(self.peak),
                lane.exponent.eq(self.exponent),
                lane.divisor.eq(Cat(divisors)),
                lane.random.eq(self.random[place]),
                lane.clear.eq(invalid),
                self.codes[place].eq(lane.code),
            ]
        m.d.comb += [
            self.scale_code.eq(scale),
            self.invalid.eq(registered(m, "invalid_out", invalid)),
        ]
        return m


class MlsQuantizer(Component):
    """`lanes` elements a cycle: `S_g` = smallest scale >= `S_r / S_t`, then `r = (floor(t * 2^k) +
    R) >> k` with t = `|x| / (S_g * S_t)` in units of the last mantissa bit, k = `random_bits`.

        group_max, tensor_max -> group_scale -> divisor, scale code
        x                     -> lanes       -> codes          <- generator

    Every step is exact, subnormal inputs included; but with `reciprocal_bits` the quotient is a
    product with a short reciprocal, one a group. R is stochastic: the next word of each lane's
    generator, one a beat; or nearest: 2^(k-1). Where an element's magnitude exceeds its `group_max`
    (as NaN does), or the maxima are no finite `S_r <= S_t`, `invalid` is 1 from that beat to its
    group's last one, and these beats' codes are 0.

    Delayed scaling: `tensor_max` is that of an earlier step, so that only a group must be held
    until its own maximum is known. Ratios above the scales get the largest scale, elements above
    the codes the largest code; of `S_r > S_t` only `S_t = 0` is invalid. Fed the tensor's own
    maximum it computes what the other build does.

    Throughput one beat a cycle, latency that of a `QuantizerLane`. No reset: `start` defines the
    scale and the flag, `seed` the words. An idle cycle is a beat of zeros. Source: docs/numerics.md
    section 15.

    A reciprocal of 8 bits with `levels` 8 and 4 lanes takes 0.46 of the area, 0.39 of the energy,
    and 3% of the captured tensors' `<2,4>` codes are others; 12 bits with 6 levels 0.63, 0.53 and
    0.2%.

    Members
    -------
    x: In, array of `lanes` float32 codes; unused lanes of a group's last beat are fed +0.
    start: In, first beat of a group, which reads `group_max` and `tensor_max`.
    group_max, tensor_max: In, 31 bits: `S_r` and `S_t` as float32 magnitudes.
    seed: In, only stochastic: this beat takes the generators' first words.
    codes: Out, array of `lanes` codes.
    scale_code: Out, of the group of these codes; 0 where its maxima are invalid.
    invalid: Out, sticky since the group's start.
    """

    format: ElementFormat = QuantizerLane.format
    scale: ScaleFormat = ScaleQuantizer.scale
    lanes: int = TensorStatistics.lanes
    carry: Carry = QuantizerLane.carry
    rounding: Rounding = parameter(
        "where R comes from; nearest has neither words nor a seed", default=Rounding.STOCHASTIC
    )
    random_bits: int = QuantizerLane.random_bits
    lfsr_seed: int = Lfsr.lfsr_seed
    reciprocal_bits: int = QuantizerLane.reciprocal_bits
    levels: int = QuantizerLane.levels
    division: Division = QuantizerLane.division
    scaling: Scaling = ScaleQuantizer.scaling
    clock_gating: bool = CLOCK_GATING

    def rules(self):
        check_reciprocal_bits(self.reciprocal_bits)

    def ports(self):
        self._scale = ScaleQuantizer(
            scale=self.scale, scaling=self.scaling, gated=self.clock_gating
        )
        self._reciprocal = self._generator = None
        if self.reciprocal_bits:
            self._reciprocal = Reciprocal(
                reciprocal_bits=self.reciprocal_bits,
                divisor_width=self._scale.divisor_width,
                levels=self.levels,
            )
        if self.rounding is Rounding.STOCHASTIC:
            self._generator = Lfsr(
                lanes=self.lanes, random_bits=self.random_bits, lfsr_seed=self.lfsr_seed
            )
        self._elements = QuantizerLanes(
            format=self.format,
            scale=self.scale,
            lanes=self.lanes,
            carry=self.carry,
            # Of a half, only the first bit adds anything, and the quotient's others nothing.
            random_bits=self.random_bits if self._generator else 1,
            seeded=self._generator is not None,
            reciprocal_bits=self.reciprocal_bits,
            levels=self.levels,
            division=self.division,
            scaling=self.scaling,
        )
        outputs = self._elements.signature.members
        return {
            "x": In(ArrayLayout(FP32.code_width, self.lanes)),
            "start": In(1),
            "group_max": In(MAGNITUDE_BITS),
            "tensor_max": In(MAGNITUDE_BITS),
            **({"seed": In(1)} if self._generator else {}),
            **{port: outputs[port] for port in ("codes", "scale_code", "invalid")},
        }

    latency = property(lambda self: self._elements.latency, doc="Clock cycles from `x` to `codes`.")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the submodules that own all gates."""
        reciprocal = ("reciprocal",) if self._reciprocal else ()
        generator = ("generator",) if self._generator else ()
        return ("group_scale", *reciprocal, "lanes", *generator)

    @property
    def registers(self) -> int:
        """Register bits of all stages."""
        parts = (self._scale, self._reciprocal, self._elements, self._generator)
        return sum(part.registers for part in parts if part)

    def elaborate(self, platform):
        m = Module()
        m.submodules.group_scale = scale = self._scale
        divisor = scale.divisor
        if self._reciprocal:
            m.submodules.reciprocal = reciprocal = self._reciprocal
            m.d.comb += reciprocal.divisor.eq(divisor)
            divisor = reciprocal.digits
        m.submodules.lanes = lanes = self._elements
        m.d.comb += [
            scale.start.eq(self.start),
            scale.group_max.eq(self.group_max),
            scale.tensor_max.eq(self.tensor_max),
            lanes.start.eq(self.start),
            lanes.x.eq(self.x),
            lanes.peak.eq(scale.peak),
            lanes.group_invalid.eq(scale.invalid),
            lanes.divisor.eq(divisor),
            lanes.exponent.eq(scale.exponent),
            lanes.scale.eq(scale.scale_code),
            self.codes.eq(lanes.codes),
            self.scale_code.eq(lanes.scale_code),
            self.invalid.eq(lanes.invalid),
        ]
        if self._generator:
            m.submodules.generator = generator = self._generator
            m.d.comb += [
                lanes.seed.eq(self.seed),
                generator.start.eq(lanes.reseed),
                lanes.random.eq(generator.word),
            ]
        else:
            m.d.comb += lanes.random.eq(Const(1, 1).replicate(self.lanes))
        return m
