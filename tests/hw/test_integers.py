# amaranth: UnusedElaboratable=no
"""Integer hardware: exact products of every width, generators, construction and what is refused."""

import random
from itertools import product

import pytest
from amaranth.sim import Simulator

from mlsmac.golden.spec import INT4, INT8, INT16, MLS_E2M4, Rounding
from mlsmac.hw import (
    AdderMac,
    IntAccumulator,
    IntMac,
    IntMultiplier,
    Lfsr,
    ProductCoding,
    RangeStatistic,
    Recoding,
    Requantizer,
    SignedMultiplier,
)
from mlsmac.hw.parts.lfsr import LANE_STRIDE, TAPS, stepped
from mlsmac.units import configure


def check(part, pairs) -> None:
    """Compare every product modulo the width that is kept, naming the first that differs."""
    results = []

    async def bench(ctx):
        for x, y in pairs:
            ctx.set(part.x, x)
            ctx.set(part.y, y)
            results.append(ctx.get(part.product))

    simulator = Simulator(part)
    simulator.add_testbench(bench)
    simulator.run()
    for (x, y), got in zip(pairs, results, strict=True):
        assert got == x * y % (1 << part.product_width), f"{x} * {y}: {got}"


def numbers(width: int) -> range:
    return range(-(1 << (width - 1)), 1 << (width - 1))


@pytest.mark.parametrize("recoding", Recoding)
@pytest.mark.parametrize(("x_width", "y_width"), list(product([2, 3, 4], [2, 3, 4])))
def test_signed_products_exhaustively(x_width, y_width, recoding):
    part = SignedMultiplier(x_width=x_width, y_width=y_width, recoding=recoding)
    check(part, list(product(numbers(x_width), numbers(y_width))))


@pytest.mark.parametrize("recoding", Recoding)
def test_low_bits_of_signed_products(recoding):
    part = SignedMultiplier(x_width=4, y_width=4, recoding=recoding, product_width=5)
    check(part, list(product(numbers(4), numbers(4))))


@pytest.mark.parametrize("recoding", Recoding)
@pytest.mark.parametrize(("x_width", "y_width"), [(8, 8), (8, 16), (9, 5)])
def test_signed_products_sampled(x_width, y_width, recoding):
    rng = random.Random(x_width)
    operands = []
    for width in (x_width, y_width):
        each = numbers(width)
        operands.append([each[0], each[0] + 1, -1, 0, 1, each[-1], *rng.choices(each, k=2)])
    check(
        SignedMultiplier(x_width=x_width, y_width=y_width, recoding=recoding),
        list(product(*operands)),
    )


def test_lanes_start_where_single_steps_lead():
    state = 0x12345678
    for steps in range(70):
        assert stepped(0x12345678, steps) == state
        state = state >> 1 ^ (TAPS if state & 1 else 0)
    far = stepped(stepped(1, 12345), LANE_STRIDE)
    assert far == stepped(1, LANE_STRIDE + 12345)
    assert stepped(1, (1 << 32) - 1) == 1


def test_every_bit_of_a_word_leaves_the_register_as_it_is():
    """No tap reaches the widest word within its cycle."""
    assert TAPS & -TAPS == 1 << 24


def test_structure_of_the_mac():
    plain = IntMac(format=INT8, a_format=INT16, acc_width=32)
    assert plain.operands == ("w", "a")
    assert (plain.latency, plain.registers) == (3, 8 + 16 + 24 + 2 + 33)
    zeros = IntMac(format=INT8, a_format=INT8, zero_points=True, acc_width=24)
    assert zeros.operands == ("w", "a", "w_zero", "a_zero")
    assert zeros.idle_operands == (0, 0, 0, 0)
    assert (zeros.latency, zeros.registers) == (3, 4 * 8 + 17 + 2 + 25)
    assert not hasattr(plain, "w_zero")
    adder = AdderMac(format=INT16, acc_width=20)
    assert adder.operands == ("w",)
    assert (adder.latency, adder.registers) == (2, 16 + 1 + 21)
    assert not hasattr(adder, "a")
    assert adder.stages == ("operand", "accumulator")  # no figure of it is a multiplier's


def test_structure_of_the_parts():
    assert (Lfsr(lanes=5).latency, Lfsr(lanes=5).registers) == (1, 160)
    assert (RangeStatistic(format=INT4).latency, RangeStatistic(format=INT4).registers) == (1, 8)
    stochastic = Requantizer(format=INT8, acc_width=32, random_bits=6)
    assert (stochastic.latency, stochastic.registers) == (2, 16 + 9 + 32)
    nearest = Requantizer(format=INT8, acc_width=32, rounding=Rounding.NEAREST)
    assert (nearest.latency, nearest.registers) == (2, 11 + 9)
    assert not hasattr(nearest, "start")


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({"length": 1}, 16),  # 2^14, and its sign
        ({"length": 131071}, 32),
        ({"length": 131072}, 33),
        ({"length": 511, "a_format": "int16"}, 32),
        ({"length": 1, "zero_points": True}, 17),
        ({"length": 1, "format": "int4", "a_format": "int4"}, 8),
    ],
)
def test_proven_width(options, width):
    assert configure("int_mac", acc_width="auto", **options).options["acc_width"] == width


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({"length": 1}, 9),  # D26: 8 bits hold -2^7
        ({"length": 255}, 16),
        ({"length": 256}, 17),
        ({"length": 65535, "format": "int16"}, 32),
    ],
)
def test_proven_width_of_an_adder(options, width):
    configuration = configure("adder_mac", acc_width="auto", **options)
    assert configuration.options["acc_width"] == width
    assert configuration.safe_length >= options["length"]


@pytest.mark.parametrize(
    ("name", "options", "slug"),
    [
        ("int_mac", {}, "int_mac_int8_int8_acc24_saturate"),
        (
            "int_mac",
            {"a_format": "16", "zero_points": True, "overflow": "wrap"},
            "int_mac_int8_int16_zeros_acc33_wrap",
        ),
        ("adder_mac", {}, "adder_mac_int8_acc17_saturate"),
        ("range_statistic", {"format": "int16"}, "range_statistic_int16"),
        ("requantizer", {"lfsr_seed": 7}, "requantizer_int8_acc24_stochastic_random8_seed7"),
        ("lfsr", {"lanes": 2}, "lfsr_lanes2_random8"),
    ],
)
def test_slugs(name, options, slug):
    assert configure(name, **options).slug == slug


@pytest.mark.parametrize(
    ("part", "arguments", "error", "message"),
    [
        (SignedMultiplier, {"x_width": 1, "y_width": 2}, ValueError, "x_width must be in 2..32"),
        (SignedMultiplier, {"x_width": 2, "y_width": 33}, ValueError, "y_width must be in 2..32"),
        (
            SignedMultiplier,
            {"x_width": 2, "y_width": 2, "product_width": 5},
            ValueError,
            "product_width must be in 2..4, not 5",
        ),
        (
            SignedMultiplier,
            {"x_width": 2, "y_width": 2, "recoding": True},
            ValueError,
            "recoding must be one of 'none', 'booth4', not True",
        ),
        (
            IntMultiplier,
            {"x_format": INT8, "y_format": 8},
            TypeError,
            "y_format must be an IntFormat, not 8",
        ),
        (
            IntMac,
            {"format": INT8, "a_format": INT8, "zero_points": 1},
            TypeError,
            "zero_points must be a bool, not 1",
        ),
        (
            IntMac,
            {"format": MLS_E2M4, "a_format": INT8, "acc_width": 32},
            TypeError,
            "format must be an IntFormat, not ElementFormat",
        ),
        (
            IntMac,
            {"format": INT8, "a_format": INT8, "acc_width": 129},
            ValueError,
            "acc_width must be in 2..128, not 129",
        ),
        (
            IntAccumulator,
            {"width": 8, "product_width": 4, "coding": "ones_complement"},
            ValueError,
            "coding must be one of 'sign_magnitude', 'twos_complement', not 'ones_complement'",
        ),
        (RangeStatistic, {"format": 8}, TypeError, "format must be an IntFormat, not 8"),
        (
            Requantizer,
            {"format": 8, "acc_width": 32},
            TypeError,
            "format must be an IntFormat, not 8",
        ),
        (
            Requantizer,
            {"format": INT8, "acc_width": 32, "rounding": "up"},
            ValueError,
            "rounding must be one of 'stochastic', 'nearest', not 'up'",
        ),
        (
            Requantizer,
            {"format": INT8, "acc_width": 1},
            ValueError,
            "acc_width must be in 2..64, not 1",
        ),
        (
            Requantizer,
            {"format": INT8, "acc_width": 32, "random_bits": 25},
            ValueError,
            "random_bits must be in 1..24, not 25",
        ),
        (
            Requantizer,
            {"format": INT8, "acc_width": 32, "lfsr_seed": 0},
            ValueError,
            "lfsr_seed must be in 1..4294967295, not 0",
        ),
        (Lfsr, {"lanes": 1025}, ValueError, "lanes must be in 1..1024, not 1025"),
        (Lfsr, {"random_bits": 0}, ValueError, "random_bits must be in 1..24, not 0"),
        (
            Lfsr,
            {"lfsr_seed": 1 << 32},
            ValueError,
            "lfsr_seed must be in 1..4294967295, not 4294967296",
        ),
    ],
)
def test_rejects(part, arguments, error, message):
    with pytest.raises(error) as caught:
        part(**arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("coding", ProductCoding)
def test_coding_of_products(coding):
    accumulator = IntAccumulator(width=8, product_width=4, coding=coding)
    assert accumulator.coding is coding
    assert len(accumulator.product) == 5
