# amaranth: UnusedElaboratable=no
"""Quantizer hardware: normalisation and scales against fractions, structure, what is refused."""

import random
from fractions import Fraction

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from mlsmac.golden.spec import (
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M0,
    SCALE_E8M1,
    Carry,
    Rounding,
    ScaleFormat,
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
from mlsmac.units import configure

SUBNORMALS = [*range(9), *(1 << bit for bit in range(23)), (1 << 23) - 1]
LANE = {"format": MLS_E2M4, "divisor_width": 26}
UNIT = {"format": MLS_E2M4, "scale": SCALE_E8M1}
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


@pytest.mark.parametrize("scale", [SCALE_E8M1, SCALE_E8M0, ScaleFormat(3, 3)], ids=str)
def test_scale_and_divisor(scale):
    part = ScaleQuantizer(scale=scale)
    table = scales(scale)
    rng = random.Random(2)
    pairs = [(peak, top) for top in EDGES for peak in rng.choices(EDGES, k=4) if peak <= top]
    for top in (0x3F800000, 0x3FABCDEF, 0x00012345):
        pairs += [(rng.randrange(top + 1), top) for _ in range(10)]
        pairs += [(peak, top) for peak in range(max(top - 3, 0), top + 1)]
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
            expected, code = next(fits) if peak else table[0]
            assert ctx.get(part.scale_code) == code, (hex(peak), hex(top))
            power = Fraction(2) ** (ctx.get(part.exponent) - 150 - extra)
            assert ctx.get(part.divisor) * power == expected * value(top)

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("peak", "top"),
    [(2, 1), (0x3F800001, 0x3F800000), (1, 0), (0, 0x7F800000), (5, 0x7FC00000), (0x7F800000, 9)],
)
def test_wrong_maxima_are_invalid(peak, top):
    part = ScaleQuantizer(scale=SCALE_E8M1)

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
