# amaranth: UnusedElaboratable=no
"""FloatFma and FusedMac: construction, the window, and sums against golden; the benches take more
vectors.
"""

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
    fma,
)
from mlsmac.hw import FloatFma, FloatProduct, FusedAdder, FusedMac
from mlsmac.hw.float_product import exact_format
from mlsmac.hw.fused_adder import Window
from mlsmac.hw.unsigned_multiplier import Recoding

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
        (E2M1, FloatFormat(4, 2)),  # no product is exact in it, and each finer than the addend
        (E2M1, FloatFormat(3, 3)),  # exact products
        (E2M1, FloatFormat(2, 3)),  # exact as subnormals only
        (FloatFormat(3, 1), FloatFormat(2, 4, Specials.NAN_ONLY)),
        (FP8_E5M2, E6M5),
    ],
    ids=str,
)
def test_sums(fmt, out, subnormals):
    part = FloatFma(format=fmt, acc_format=out, subnormals=subnormals)
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
        (FP8_E4M3, E6M5, True, None),
        (BF16, FP32, True, None),
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
def test_rejects_recoding(part):
    with pytest.raises(TypeError, match="recoding must be a Recoding, not 'booth4'"):
        part(format=FP32, recoding="booth4")
