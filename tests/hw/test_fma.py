# amaranth: UnusedElaboratable=no
"""FloatFma and FusedMac: construction, the window, and sums against golden; the benches take more
vectors.
"""

import itertools
import re

import numpy as np
import pytest
from amaranth.sim import Simulator

from mlsmac.golden import (
    BF16,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    FloatFormat,
    Specials,
    float_mac,
    fma,
    multiply,
)
from mlsmac.hw import FloatFma, FloatProduct, FusedAdder, FusedMac
from mlsmac.hw.floating.exact_multiplier import ExactMultiplier, choose_multiplier
from mlsmac.hw.floating.float_adder import AdderPath
from mlsmac.hw.floating.float_multiplier import FloatMultiplier
from mlsmac.hw.floating.float_product import exact_format
from mlsmac.hw.floating.fused_adder import Window
from mlsmac.hw.mac.float_mac import (
    FloatMac,
)
from mlsmac.hw.parts.unsigned_multiplier import Recoding

E2M1 = FloatFormat(2, 1)
E6M9, E6M5 = FloatFormat(6, 9), FloatFormat(6, 5)


def sums(part: FloatFma, codes: np.ndarray) -> list[int]:
    results = []

    async def bench(ctx):
        for x, y, z in codes.tolist():
            ctx.set(part.x, x)
            ctx.set(part.y, y)
            ctx.set(part.z, z)
            results.append(ctx.get(part.sum))

    simulator = Simulator(part)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def sample(fmt: FloatFormat, out: FloatFormat, count: int) -> np.ndarray:
    """Random triples of codes, most addends near the product."""
    widths = (fmt.code_width, fmt.code_width, out.code_width)
    rng = np.random.default_rng(21)
    x, y, z = (rng.integers(0, 1 << width, count) for width in widths)
    top = 1 << (out.code_width - 1)
    reach = out.man_bits + 3
    near = fma(x, y, 0, fmt, acc_format=out) % top + rng.integers(-2, 3, count)
    near += rng.integers(-reach, reach + 1, count) << out.man_bits
    near = np.clip(near, 0, out.max_code) | rng.integers(0, 2, count) * top
    return np.stack([x, y, np.where(rng.random(count) < 0.25, z, near)], axis=1)


@pytest.mark.parametrize("subnormals", [True, False])
@pytest.mark.parametrize(
    ("fmt", "out"),
    [
        (E2M1, E2M1),
        (FloatFormat(2, 1, Specials.NAN_ONLY),) * 2,
        (FloatFormat(3, 1),) * 2,
        (FloatFormat(2, 3), E2M1),
        (E2M1, FloatFormat(4, 2, Specials.NAN_ONLY)),  # every product finer than the addend
        (E2M1, FloatFormat(4, 2)),  # the same, of exponents that the addend has
        (E2M1, FloatFormat(3, 1)),
        (E2M1, FloatFormat(3, 3)),  # exact products
        (E2M1, FloatFormat(2, 3)),  # exact as subnormals only
        (FloatFormat(3, 1), FloatFormat(2, 4, Specials.NAN_ONLY)),
        (FP8_E5M2, E6M5),
        (FP8_E5M2, FloatFormat(6, 4)),  # subnormal products, finer than the addend
    ],
    ids=str,
)
def test_sums(fmt, out, subnormals):
    check_sums(fmt, out, subnormals, AdderPath.SPLIT)


@pytest.mark.parametrize("out", [FloatFormat(3, 1), FloatFormat(3, 3)], ids=str)
def test_sums_of_a_single_path(out):
    check_sums(E2M1, out, True, AdderPath.SINGLE)


def check_sums(fmt, out, subnormals, path):
    part = FloatFma(format=fmt, acc_format=out, subnormals=subnormals, path=path)
    codes = sample(fmt, out, 60)
    want = fma(*codes.T, fmt, acc_format=out, subnormals=subnormals)
    for triple, got, code in zip(codes.tolist(), sums(part, codes), want.tolist(), strict=True):
        assert got == code, f"{[hex(each) for each in triple]}: {got:#x}, not {code:#x}"


@pytest.mark.parametrize(
    ("fmt", "out", "width"), [(FP32, FP32, 76), (BF16, FP32, 60), (FP8_E4M3, FP8_E4M3, 16)]
)
def test_window(fmt, out, width):
    assert Window(format=fmt, acc_format=out, subnormals=True).width == width


@pytest.mark.parametrize(
    ("fmt", "out", "subnormals", "product"),
    [
        (FP8_E4M3, FP32, True, FloatFormat(6, 7)),
        (FP8_E5M2, FP32, False, FloatFormat(7, 5)),
        (FP16, FP32, True, FloatFormat(7, 21)),
        (FP8_E4M3, E6M9, True, FloatFormat(6, 7)),
        (FP8_E5M2, E6M9, True, E6M5),  # the smallest products are subnormal there
        (FP8_E5M2, E6M9, False, None),
        (FP8_E4M3, E6M5, True, FloatFormat(6, 7)),  # rounded with the sum
        (FP32, FP32, True, None),
        (BF16, FP32, True, None),
        (FloatFormat(2, 12), FP32, True, None),  # 25 bits are too long
        (E2M1, FloatFormat(4, 3, Specials.NAN_ONLY), True, None),
    ],
)
def test_exact_formats(fmt, out, subnormals, product):
    assert exact_format(fmt, out, subnormals=subnormals) == product


def test_attributes():
    part = FloatFma(format=FP8_E4M3, acc_format=FP32, recoding=Recoding.BOOTH4)
    assert (part.format, part.acc_format, part.subnormals) == (FP8_E4M3, FP32, True)
    assert (part.recoding, part.latency) == (Recoding.BOOTH4, 0)
    assert (len(part.x), len(part.y), len(part.z), len(part.sum)) == (8, 8, 32, 32)
    assert FloatFma(format=FP16).acc_format == FP16
    mac = FusedMac(format=BF16, acc_format=FP32, subnormals=False)
    assert (mac.format, mac.acc_format, mac.subnormals) == (BF16, FP32, False)
    assert (mac.latency, mac.idle_operands) == (3, (0x8000, 0))
    assert mac.registers == 2 * 16 + 2 + FloatProduct.width(BF16) + 32


@pytest.mark.parametrize("part", [FloatFma, FusedAdder, FusedMac])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "FP32"}, "format must be a FloatFormat, not 'FP32'"),
        ({"format": FP32, "acc_format": 8}, "acc_format must be a FloatFormat, not 8"),
        ({"format": FP32, "subnormals": 1}, "subnormals must be a bool, not 1"),
    ],
)
def test_rejects(part, arguments, message):
    with pytest.raises(TypeError) as caught:
        part(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("part", [FloatFma, FusedMac])
@pytest.mark.parametrize("format", [FP32, FP8_E4M3])
@pytest.mark.parametrize(
    ("option", "rule"), [("recoding", "'none', 'booth4'"), ("path", "'single', 'split'")]
)
def test_rejects_structures(part, format, option, rule):
    with pytest.raises(ValueError, match=f"^{option} must be one of {rule}, not 'other'$"):
        part(format=format, acc_format=FP32, **{option: "other"})


@pytest.mark.parametrize("specials", Specials)
def test_exact_multiplier(specials):
    fmt, out = FloatFormat(2, 2, specials), FloatFormat(4, 5)
    part = choose_multiplier(fmt, out, Recoding.NONE)
    assert isinstance(part, ExactMultiplier)
    got = []

    async def bench(ctx):
        for x, y in itertools.product(range(1 << fmt.code_width), repeat=2):
            ctx.set(part.x, x)
            ctx.set(part.y, y)
            got.append(ctx.get(part.product))

    simulator = Simulator(part)
    simulator.add_testbench(bench)
    simulator.run()
    x, y = np.divmod(np.arange(1 << 2 * fmt.code_width), 1 << fmt.code_width)
    assert got == multiply(x, y, fmt, out=out).tolist()


@pytest.mark.parametrize(
    ("fmt", "out"), [(FP8_E5M2, E6M5), (FP8_E4M3, E6M5), (E2M1, FloatFormat(5, 4)), (FP16, FP16)]
)
def test_exact_multiplier_needs_every_product(fmt, out):
    message = f"out_format must hold every product of {fmt} as a normal number of "
    with pytest.raises(ValueError, match=re.escape(message)):
        ExactMultiplier(format=fmt, out_format=out)
    assert type(choose_multiplier(fmt, out, Recoding.NONE)) is FloatMultiplier


def test_flushing_mac_flushes_operands_of_the_same_range():
    mac = FloatMac(format=BF16, acc_format=FP32, product_format=FP32, subnormals=False)
    w, a = [0x0040, 0x3F80, 0x0040], [0x7F00, 0x3F80, 0x4040]
    states = []

    async def bench(ctx):
        for step in range(len(w) + 3):
            ctx.set(mac.w, w[step % 3])
            ctx.set(mac.a, a[step % 3])
            ctx.set(mac.start, step == 0)
            states.append(ctx.get(mac.acc))
            await ctx.tick()

    simulator = Simulator(mac)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    want = float_mac(w, a, [True, False, False], BF16, acc_format=FP32, subnormals=False)
    assert states[3:] == want.acc.tolist()
