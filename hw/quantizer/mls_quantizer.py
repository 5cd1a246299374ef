# amaranth: UnusedElaboratable=no
"""The dynamic quantizer's second pass: float32 elements to MLS codes."""

from amaranth import Cat, Const, Module, Signal
from amaranth.hdl import signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ...golden.spec import FP32, Carry, ElementFormat, Rounding, ScaleFormat
from ..parts.lfsr import Lfsr
from ..parts.magnitude import MAGNITUDE_BITS
from ..parts.values import registered
from .element_divider import Division, ElementDivider
from .element_multiplier import ElementMultiplier, Reciprocal
from .scale_quantizer import GroupScale


class QuantizerLanes(wiring.Component):
    """`ElementDivider`s side by side; divisor, scale code and flag travel beside them, once.

    Parameters
    ----------
    dividers: ElementDivider of each lane, alike.
    scale_width: bits of a scale code.
    seeded: whether words come from a generator.

    Members
    -------
    start, x: In, as `MlsQuantizer`; so `seed`, where seeded.
    reseed: Out, where seeded: `seed`, when it is time for the generator.
    peak, group_invalid: In, of `GroupScale`, a cycle after x.
    divisor, exponent, scale: In, of `GroupScale`, 2 cycles after x.
    random: In, array of words, `random_delay` cycles after x.
    codes, scale_code, invalid: Out, as `MlsQuantizer`.
    """

    def __init__(self, *, dividers: list[ElementDivider], scale_width: int, seeded: bool):
        self._dividers = dividers
        self._seeded = seeded
        one, count = dividers[0], len(dividers)
        self._scale_width = scale_width
        super().__init__(
            ({"seed": In(1), "reseed": Out(1)} if seeded else {})
            | {
                "start": In(1),
                "x": In(ArrayLayout(FP32.code_width, count)),
                "peak": In(MAGNITUDE_BITS),
                "group_invalid": In(1),
                "divisor": In(one.divisor_width),
                "exponent": In(signed(10)),
                "scale": In(scale_width),
                "random": In(ArrayLayout(one.random_bits, count)),
                "codes": Out(ArrayLayout(unsigned(one.element.code_width), count)),
                "scale_code": Out(scale_width),
                "invalid": Out(1),
            }
        )

    dividers = property(lambda self: self._dividers, doc="The lanes.")
    scale_width = property(lambda self: self._scale_width, doc="Bits of a scale code.")
    seeded = property(lambda self: self._seeded, doc="Whether words come from a generator.")
    latency = property(lambda self: self.dividers[0].latency, doc="Cycles from `x` to `codes`.")

    _seed_delay = property(lambda self: self.dividers[0].random_delay - 1)

    @property
    def registers(self) -> int:
        """Register bits: the lanes; start; divisors after the first; scale codes, flags, seed."""
        lane = self.dividers[0]
        shared = 1 + (lane.subtractions - 1) * lane.divisor_width
        shared += lane.stages * (self.scale_width + 1) + 1
        if self.seeded:
            shared += self._seed_delay
        return len(self.dividers) * lane.registers + shared

    def elaborate(self, platform):
        m = Module()
        stages = self.dividers[0].stages
        s1_start = registered(m, "s1_start", self.start)
        invalid = Signal(name="s2_invalid", reset_less=True)
        beyond = Cat(divider.beyond for divider in self.dividers).any()
        m.d.sync += invalid.eq(self.group_invalid | beyond | (invalid & ~s1_start))
        divisors, scale = [self.divisor], self.scale
        if self.seeded:
            seed = self.seed
            for stage in range(self._seed_delay):
                seed = registered(m, f"s{stage + 1}_seed", seed)
            m.d.comb += self.reseed.eq(seed)
        for stage in range(stages):
            scale = registered(m, f"s{stage + 3}_scale", scale)
            if 0 < stage < self.dividers[0].subtractions:
                divisors.append(registered(m, f"s{stage + 2}_divisor", divisors[-1]))
            if stage:
                invalid = registered(m, f"s{stage + 2}_invalid", invalid)
        for lane, divider in enumerate(self.dividers):
            m.submodules[f"lane{lane}"] = divider
            m.d.comb += [
                divider.x.eq(self.x[lane]),
                divider.peak.eq(self.peak),
                divider.exponent.eq(self.exponent),
                divider.divisor.eq(Cat(divisors)),
                divider.random.eq(self.random[lane]),
                divider.clear.eq(invalid),
                self.codes[lane].eq(divider.code),
            ]
        m.d.comb += [
            self.scale_code.eq(scale),
            self.invalid.eq(registered(m, "invalid_out", invalid)),
        ]
        return m


class MlsQuantizer(wiring.Component):
    """`lanes` elements a cycle: `S_g` = smallest scale >= `S_r / S_t`, then `r = (floor(t * 2^k) +
    R) >> k` with t = `|x| / (S_g * S_t)` in units of the last mantissa bit, k = `random_bits`.

        group_max, tensor_max -> group_scale -> divisor, scale code
        x                     -> lanes       -> codes          <- generator

    Every step is exact, subnormal inputs included; but with `reciprocal_bits` the quotient is a
    product with a short reciprocal, one a group. R is stochastic: the next word of each lane's
    generator, one a beat; or nearest: 2^(k-1). Where an element's magnitude exceeds its `group_max`
    (as NaN does), or the maxima are no finite `S_r <= S_t`, `invalid` is 1 from that beat to its
    group's last one, and these beats' codes are 0.

    Throughput one beat a cycle, latency `2 + stages`. No reset: `start` defines the scale and the
    flag, `seed` the words. An idle cycle is a beat of zeros. Source: docs/numerics.md section 15.

    Parameters
    ----------
    element: ElementFormat of the codes.
    scale: ScaleFormat.
    lanes: elements of a beat, 1..1024.
    carry: Carry.
    rounding: Rounding.
    random_bits: k, 1..16.
    lfsr_seed: of the `Lfsr`, 1..2^32 - 1; unused for nearest.
    reciprocal_bits: p, 4..16, or 0: exact. With 8, `levels` 8 and 4 lanes 0.46 of the area, 0.39 of
        the energy, and 3% of the captured tensors' `<2,4>` codes are others; with 12 and 6 levels
        0.63, 0.53 and 0.2%.
    levels: subtractions between registers, 1..64.
    division: Division; unused with a reciprocal.

    Members
    -------
    x: In, array of `lanes` float32 codes; unused lanes of a group's last beat are fed +0.
    start: In, first beat of a group, which reads `group_max` and `tensor_max`.
    group_max, tensor_max: In, 31 bits: `S_r` and `S_t` as float32 magnitudes.
    seed: In, only stochastic: this beat takes the generators' first words.
    codes: Out, array of `lanes` codes.
    scale_code: Out, of the group of these codes; 0 where its maxima are invalid.
    invalid: Out, sticky since the group's start.

    Raises
    ------
    TypeError, ValueError.
    """

    def __init__(
        self,
        *,
        element: ElementFormat,
        scale: ScaleFormat,
        lanes: int = 1,
        carry: Carry = Carry.CLIP,
        rounding: Rounding = Rounding.STOCHASTIC,
        random_bits: int = 8,
        lfsr_seed: int = 1,
        reciprocal_bits: int = 0,
        levels: int = 3,
        division: Division = Division.PRODUCT,
    ):
        if not isinstance(rounding, Rounding):
            raise TypeError(f"rounding must be a Rounding, not {rounding!r}")
        self._scale = GroupScale(scale=scale)
        generator = Lfsr(lanes=lanes, random_bits=random_bits, lfsr_seed=lfsr_seed)
        self._rounding = rounding
        self._random_bits = random_bits
        self._lfsr_seed = lfsr_seed
        self._generator = generator if rounding is Rounding.STOCHASTIC else None
        # Of a half, only the first bit adds anything, and the quotient's others nothing.
        common = {"element": element, "carry": carry, "levels": levels}
        common["random_bits"] = random_bits if self._generator else 1
        self._reciprocal = None
        dividers: list[ElementDivider]
        if reciprocal_bits:
            self._reciprocal = Reciprocal(
                reciprocal_bits=reciprocal_bits,
                divisor_width=self._scale.divisor_width,
                levels=levels,
            )
            common["reciprocal_bits"] = reciprocal_bits
            dividers = [ElementMultiplier(**common) for _ in range(lanes)]
        else:
            common |= {"divisor_width": self._scale.divisor_width, "division": division}
            dividers = [ElementDivider(**common) for _ in range(lanes)]
        self._elements = QuantizerLanes(
            dividers=dividers,
            scale_width=scale.code_width,
            seeded=self._generator is not None,
        )
        members = {
            "x": In(ArrayLayout(FP32.code_width, lanes)),
            "start": In(1),
            "group_max": In(MAGNITUDE_BITS),
            "tensor_max": In(MAGNITUDE_BITS),
        }
        if self._generator:
            members["seed"] = In(1)
        outputs = ("codes", "scale_code", "invalid")
        members |= {port: self._elements.signature.members[port] for port in outputs}
        super().__init__(members)

    _divider = property(lambda self: self._elements.dividers[0])
    element = property(lambda self: self._divider.element, doc="Format of the codes.")
    scale = property(lambda self: self._scale.scale, doc="Format of the scale codes.")
    lanes = property(lambda self: len(self._elements.dividers), doc="Elements of a beat.")
    carry = property(lambda self: self._divider.carry, doc="Rounding up to the next binade.")
    rounding = property(lambda self: self._rounding, doc="Where R comes from.")
    random_bits = property(lambda self: self._random_bits, doc="Bits of R.")
    lfsr_seed = property(lambda self: self._lfsr_seed, doc="Seed of the generators.")
    reciprocal_bits = property(
        lambda self: self._reciprocal.reciprocal_bits if self._reciprocal else 0,
        doc="Bits of the reciprocal; 0: exact division.",
    )
    levels = property(lambda self: self._divider.levels, doc="Subtractions between registers.")
    division = property(lambda self: self._divider.division, doc="How t's fraction meets R.")
    latency = property(lambda self: self._divider.latency, doc="Clock cycles from `x` to `codes`.")

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
