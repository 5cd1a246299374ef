# amaranth: UnusedElaboratable=no
"""Quantizer hardware: normalisation and scales against fractions, structure, what is refused."""

import random
from fractions import Fraction

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from mlsmac.golden import quantize
from mlsmac.golden.spec import (
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M0,
    SCALE_E8M1,
    Carry,
    Rounding,
    ScaleFormat,
    Scaling,
)
from mlsmac.hw import (
    Division,
    MlsQuantizer,
    QuantizerLane,
    Reciprocal,
    ScaleQuantizer,
    TensorStatistics,
)
from mlsmac.hw.parts.magnitude import normalised
from mlsmac.hw.quantizer.block_buffer import BlockBuffer
from mlsmac.units import configure

SUBNORMALS = [*range(9), *(1 << bit for bit in range(23)), (1 << 23) - 1]
LANE = {"format": MLS_E2M4, "divisor_width": 26}
UNIT = {"format": MLS_E2M4, "scale": SCALE_E8M1}
ELEMENTS = {"element": MLS_E2M4, "scale": SCALE_E8M1}
EDGES = [*SUBNORMALS, 1 << 23, (1 << 23) + 1, 0x3F800000, 0x3FC00000, 0x7F7FFFFF]


class Normaliser(wiring.Component):
    magnitude: In(31)
    significand: Out(24)
    exponent: Out(9)

    def elaborate(self, platform):
        m = Module()
        significand, exponent = normalised(m, self.magnitude, name="x")
        m.d.comb += [self.significand.eq(significand), self.exponent.eq(exponent)]
        return m


def value(magnitude: int) -> Fraction:
    field, mantissa = magnitude >> 23, magnitude & ((1 << 23) - 1)
    significand = mantissa + (1 << 23) * (field > 0)
    return Fraction(significand) * Fraction(2) ** (max(field, 1) - 150)


def test_normalised_magnitudes():
    part = Normaliser()
    rng = random.Random(1)

    async def bench(ctx):
        for magnitude in [*EDGES, *(rng.randrange(0x7F800000) for _ in range(50))]:
            ctx.set(part.magnitude, magnitude)
            significand, exponent = ctx.get(part.significand), ctx.get(part.exponent)
            exponent -= (exponent >> 8) << 9
            assert significand * Fraction(2) ** (exponent - 150) == value(magnitude), magnitude
            assert bool(significand >> 23) == bool(magnitude)

    simulator = Simulator(part)
    simulator.add_testbench(bench)
    simulator.run()


def scales(scale: ScaleFormat) -> list[tuple[Fraction, int]]:
    """The grid, smallest first, with its codes."""
    steps = 1 << scale.man_bits
    return [
        ((1 + Fraction(man, steps)) / 2**exp, exp << scale.man_bits | man)
        for exp in reversed(range(scale.max_exp + 1))
        for man in range(steps)
    ]


@pytest.mark.parametrize("scaling", Scaling)
@pytest.mark.parametrize("scale", [SCALE_E8M1, SCALE_E8M0, ScaleFormat(3, 3)], ids=str)
def test_scale_and_divisor(scale, scaling):
    part = ScaleQuantizer(scale=scale, scaling=scaling)
    table = scales(scale)
    rng = random.Random(2)
    pairs = [(peak, top) for top in EDGES for peak in rng.choices(EDGES, k=4)]
    for top in (0x3F800000, 0x3FABCDEF, 0x00012345):
        pairs += [(rng.randrange(top + 1), top) for _ in range(10)]
        pairs += [(peak, top) for peak in range(max(top - 3, 0), top + 4)]
        pairs += [(rng.randrange(top, 0x7F800000), top) for _ in range(10)]
    # Of 1: every value of the grid up to 2 and the numbers beside it, of any S_t alike.
    for step in range(9):
        pairs += [(0x3F800000 + (step << 20) + near, 0x3F800000) for near in (-1, 0, 1)]
        pairs += [(8 + step + near, 8) for near in (-1, 0, 1)]
    delayed = scaling is Scaling.DELAYED
    pairs = [(peak, top) for peak, top in pairs if peak <= top or (delayed and top)]
    extra = part.divisor_width - 24

    async def bench(ctx):
        ctx.set(part.start, 1)
        for peak, top in pairs:
            ctx.set(part.group_max, peak)
            ctx.set(part.tensor_max, top)
            await ctx.tick().repeat(2)
            assert not ctx.get(part.invalid)
            ratio = value(peak) / (value(top) or 1)
            fits = (entry for entry in table if entry[0] >= ratio)
            expected, code = next(fits, table[-1]) if peak else table[0]
            assert ctx.get(part.scale_code) == code, (hex(peak), hex(top))
            power = Fraction(2) ** (ctx.get(part.exponent) - 150 - extra)
            assert ctx.get(part.divisor) * power == expected * value(top)

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("peak", "top", "scaling"),
    [
        (2, 1, Scaling.CURRENT),
        (0x3F800001, 0x3F800000, Scaling.CURRENT),
        (0x7F7FFFFF, 0, Scaling.DELAYED),
        *(
            (peak, top, scaling)
            for peak, top in ((1, 0), (0, 0x7F800000), (5, 0x7FC00000), (0x7F800000, 9))
            for scaling in Scaling
        ),
    ],
)
def test_wrong_maxima_are_invalid(peak, top, scaling):
    part = ScaleQuantizer(scale=SCALE_E8M1, scaling=scaling)

    async def bench(ctx):
        ctx.set(part.start, 1)
        ctx.set(part.group_max, peak)
        ctx.set(part.tensor_max, top)
        await ctx.tick().repeat(2)
        assert ctx.get(part.invalid)
        assert ctx.get(part.scale_code) == 0

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_structure_of_a_lane():
    """Digits 4 + 2 + 8 and two levels of rounding; 4 + 2, then the comparison."""
    digits = QuantizerLane(**LANE, division=Division.DIGITS, levels=4)
    assert (digits.quotient.digits, digits.cycles) == (14, 4)
    assert (digits.latency, digits.random_delay) == (6, 5)
    assert digits.registers == 66 + 7 + 3 * (26 + 5 + 1) + 4 + 8 + 12
    product = QuantizerLane(**LANE)
    assert (product.quotient.digits, product.cycles) == (6, 3)
    assert (product.latency, product.random_delay) == (5, 3)
    assert product.registers == 66 + 7 + 2 * (26 + 5 + 1) + 3 + 6 + 34 + 7


@pytest.mark.parametrize(("bits", "levels"), [(4, 3), (6, 2), (8, 8)])
def test_reciprocal(bits, levels):
    part = Reciprocal(reciprocal_bits=bits, divisor_width=26, levels=levels)
    half = 1 << (bits - 1)

    async def bench(ctx):
        for upper in range(half, 2 * half):
            ctx.set(part.divisor, upper << (26 - bits) | upper)
            await ctx.tick().repeat(part.latency)
            assert half + ctx.get(part.digits) == 4**bits // (2 * upper + 1)

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_structure_with_a_reciprocal():
    part = Reciprocal(reciprocal_bits=8, divisor_width=26)
    assert (part.latency, part.registers) == (3, (3 + 17) + (6 + 17) + 7)
    lane = QuantizerLane(**LANE, reciprocal_bits=8)
    assert (lane.quotient.digits, lane.cycles) == (14, 5)
    assert (lane.latency, lane.random_delay) == (7, 6)
    assert lane.registers == 32 + 8 + 10 + 3 * (8 + 5 + 1) + 14 + 5 + 1 + 7
    short = QuantizerLane(**LANE, reciprocal_bits=4, levels=3, random_bits=16)
    assert short.registers == 32 + 4 + 10 + (4 + 5 + 1) + 10 + 5 + 1 + 7
    quantizer = MlsQuantizer(**UNIT, reciprocal_bits=8)
    assert quantizer.stages == ("group_scale", "reciprocal", "lanes", "generator")
    assert (quantizer.reciprocal_bits, MlsQuantizer(**UNIT).reciprocal_bits) == (8, 0)


def test_an_element_above_its_divisor_has_a_distance_of_its_own():
    """All ones, which is no distance of any other: one more bit where 15 is one."""
    for bits, widths in ((7, (4, 5)), (8, (5, 5))):
        lanes = [QuantizerLane(**LANE, random_bits=bits, scaling=own) for own in Scaling]
        assert tuple(lane.quotient.distance_width for lane in lanes) == widths
        assert lanes[1].registers - lanes[0].registers == 2 * (widths[1] - widths[0])


def test_structure_of_the_units():
    assert [TensorStatistics(lanes=n).latency for n in (1, 2, 3, 4, 5, 16)] == [1, 1, 2, 2, 2, 3]
    assert TensorStatistics(lanes=1).registers == 64
    assert TensorStatistics(lanes=5).registers == 64 + 2 * 31 + 3
    quantizer = MlsQuantizer(format=MLS_E2M4, scale=SCALE_E8M1, lanes=2)
    assert quantizer.stages == ("group_scale", "lanes", "generator")
    nearest = MlsQuantizer(format=MLS_E2M1, scale=SCALE_E8M1, rounding=Rounding.NEAREST)
    assert nearest.stages == ("group_scale", "lanes")
    assert not hasattr(nearest, "seed")
    assert isinstance(quantizer.carry, Carry)


class OnePass(wiring.Component):
    """Delayed scaling: a group waits until its maximum is known, and nothing is read twice."""

    def __init__(self, lanes: int, beats: int, **options):
        self.statistics = TensorStatistics(lanes=lanes)
        behind = self.statistics.latency - 1
        self.buffer = BlockBuffer(beats=beats, width=32 * lanes, behind=behind)
        self.quantizer = MlsQuantizer(lanes=lanes, scaling="delayed", **options)
        self.latency = self.buffer.latency + self.quantizer.latency
        members = {name: In(1) for name in ("first", "last", "start")}
        members |= {name: In(31) for name in ("tensor_max",)}
        outputs = {name: self.quantizer.signature.members[name] for name in ("codes", "scale_code")}
        super().__init__({"x": In(32 * lanes), **members, **outputs, "next_max": Out(31)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.statistics = statistics = self.statistics
        m.submodules.buffer = buffer = self.buffer
        m.submodules.quantizer = quantizer = self.quantizer
        m.d.comb += [
            statistics.x.as_value().eq(self.x),
            statistics.valid.eq(1),
            statistics.first.eq(self.first),
            statistics.last.eq(self.last),
            buffer.i.eq(self.x),
            buffer.start.eq(self.start),
            quantizer.x.as_value().eq(buffer.o),
            quantizer.start.eq(statistics.group_valid),
            quantizer.group_max.eq(statistics.group_max),
            quantizer.tensor_max.eq(self.tensor_max),
            self.codes.eq(quantizer.codes),
            self.scale_code.eq(quantizer.scale_code),
            self.next_max.eq(statistics.tensor_max),
        ]
        return m


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_one_pass_reads_a_tensor_once(lanes):
    """Two steps: the first with a guess, the second with the maximum that the first one left."""
    rng = np.random.default_rng(lanes)
    steps = [rng.normal(0, deviation, (2, 3, 3, 4)).astype(np.float32) for deviation in (1, 1.3)]
    beats = 12 // lanes
    part = OnePass(lanes, beats, **UNIT, rounding="nearest")
    guess = np.float32(0.7)

    async def bench(ctx):
        known = guess
        for tensor in steps:
            expected = quantize(tensor, **ELEMENTS, rounding="nearest", tensor_scale=known)
            codes = expected.codes().reshape(-1, lanes)
            scale_codes = expected.scale_codes().reshape(-1).repeat(beats)
            feed = tensor.view(np.uint32).reshape(-1, lanes).tolist()
            ctx.set(part.tensor_max, int(known.view(np.uint32)))
            seen = []
            for step in range(len(feed) + part.latency):
                own = step < len(feed)
                word = sum(code << 32 * lane for lane, code in enumerate(feed[step])) if own else 0
                ctx.set(part.x, word)
                ctx.set(part.start, step == 0)
                ctx.set(part.first, step in (0, len(feed)))
                ctx.set(part.last, step % beats == beats - 1)
                if step == len(feed) - 1 + part.statistics.latency:
                    largest = ctx.get(part.next_max)
                seen.append((ctx.get(part.codes.as_value()), ctx.get(part.scale_code)))
                await ctx.tick()
            width = part.codes.shape().elem_shape.width
            told = [
                sum(int(code) << width * lane for lane, code in enumerate(row)) for row in codes
            ]
            assert seen[part.latency :] == [*zip(told, scale_codes.tolist(), strict=True)]
            known = np.uint32(largest).view(np.float32)
            assert known == np.abs(tensor).max()

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("name", "options", "slug"),
    [
        ("tensor_statistics", {"lanes": 3}, "tensor_statistics_lanes3"),
        (
            "mls_quantizer",
            {"carry": "carry", "division": "digits", "scale": "8,0", "lfsr_seed": 5},
            "mls_quantizer_e2m4_s8m0_lanes1_carry_stochastic_random8_seed5_digits",
        ),
        (
            "mls_quantizer",
            {"reciprocal_bits": 12},
            "mls_quantizer_e2m4_s8m1_lanes1_clip_stochastic_random8_reciprocal12",
        ),
        (
            "mls_quantizer",
            {"scaling": "delayed"},
            "mls_quantizer_e2m4_s8m1_lanes1_clip_stochastic_random8_delayed",
        ),
    ],
)
def test_slugs(name, options, slug):
    assert configure(name, **options).slug == slug


@pytest.mark.parametrize(
    ("part", "arguments", "error", "message"),
    [
        (TensorStatistics, {"lanes": 0}, ValueError, "lanes must be in 1..1024, not 0"),
        (ScaleQuantizer, {"scale": "8,1"}, TypeError, "scale must be a ScaleFormat, not '8,1'"),
        (
            QuantizerLane,
            LANE | {"format": SCALE_E8M1},
            TypeError,
            "format must be an ElementFormat, not ScaleFormat",
        ),
        (
            QuantizerLane,
            LANE | {"carry": "up"},
            ValueError,
            "carry must be one of 'clip', 'carry', not 'up'",
        ),
        (
            QuantizerLane,
            LANE | {"division": 1},
            ValueError,
            "division must be one of 'digits', 'product', not 1",
        ),
        (
            QuantizerLane,
            LANE | {"divisor_width": 29},
            ValueError,
            "divisor_width must be in 24..28, not 29",
        ),
        (
            QuantizerLane,
            LANE | {"random_bits": 17},
            ValueError,
            "random_bits must be in 1..16, not 17",
        ),
        (QuantizerLane, LANE | {"levels": 0}, ValueError, "levels must be in 1..64, not 0"),
        (
            MlsQuantizer,
            UNIT | {"rounding": "up"},
            ValueError,
            "rounding must be one of 'stochastic', 'nearest', not 'up'",
        ),
        (MlsQuantizer, UNIT | {"lanes": 0}, ValueError, "lanes must be in 1..1024, not 0"),
        (
            MlsQuantizer,
            UNIT | {"reciprocal_bits": 3},
            ValueError,
            "reciprocal_bits must be in 4..16, not 3",
        ),
        (
            MlsQuantizer,
            UNIT | {"reciprocal_bits": 17},
            ValueError,
            "reciprocal_bits must be in 0..16, not 17",
        ),
        (
            QuantizerLane,
            LANE | {"reciprocal_bits": 17},
            ValueError,
            "reciprocal_bits must be in 0..16, not 17",
        ),
        (
            QuantizerLane,
            LANE | {"reciprocal_bits": 3},
            ValueError,
            "reciprocal_bits must be in 4..16, not 3",
        ),
        (
            Reciprocal,
            {"reciprocal_bits": 8, "divisor_width": 29},
            ValueError,
            "divisor_width must be in 24..28, not 29",
        ),
        (
            Reciprocal,
            {"reciprocal_bits": 8, "divisor_width": 26, "levels": 0},
            ValueError,
            "levels must be in 1..64, not 0",
        ),
        (
            MlsQuantizer,
            UNIT | {"scaling": "dynamic"},
            ValueError,
            "scaling must be one of 'current', 'delayed', not 'dynamic'",
        ),
        (
            MlsQuantizer,
            UNIT | {"lfsr_seed": 0},
            ValueError,
            "lfsr_seed must be in 1..4294967295, not 0",
        ),
    ],
)
def test_rejects(part, arguments, error, message):
    for refuse in (part.check, part):
        with pytest.raises(error) as caught:
            refuse(**arguments)
        assert str(caught.value).startswith(message)
