# amaranth: UnusedElaboratable=no
"""IntToFloat, ScaleMultiplier and GroupScaler against exact rational arithmetic."""

import random
from fractions import Fraction
from itertools import product

import pytest
from amaranth.sim import Simulator

from mlsmac.golden.spec import MLS_E2M4, SCALE_E8M1, ScaleFormat
from mlsmac.hw.floating.int_to_float import IntToFloat
from mlsmac.hw.tile.group_scaler import GroupScaler, ScaleMultiplier


def float32_code(value: Fraction) -> int:
    """Code of the nearest float32, ties to even; zero is +0."""
    size = abs(value)
    exponent = -126
    while size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    steps = round(size / Fraction(2) ** (exponent - 23))  # Python rounds halves to even
    code = ((exponent + 126) << 23) + steps
    return code | (value < 0) << 31 if code else 0


def simulate(part, steps: list[dict[str, int]], output: str) -> list[int]:
    """Values of `output` of a combinational `part` for each step's inputs."""
    results = []

    async def bench(ctx):
        for step in steps:
            for port, value in step.items():
                ctx.set(getattr(part, port), value)
            results.append(ctx.get(getattr(part, output)))

    simulator = Simulator(part)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(results) == len(steps) > 0
    return results


def integers(rng: random.Random, width: int, count: int) -> list[int]:
    """Corners and random integers of every length; half of them with few ones: ties."""
    top = 1 << (width - 1)
    values = [0, 1, -1, top - 1, 1 - top, -top, top >> 1]
    for _ in range(count):
        value = rng.getrandbits(width - 1) >> rng.randrange(width)
        keep = rng.choice([24, 25, 26, width])
        value &= -1 << max(value.bit_length() - keep, 0)
        values.append(value if rng.getrandbits(1) else ~value)
    return values


@pytest.mark.parametrize(
    ("width", "exponent_width", "offset"),
    [
        (8, 4, 100),  # exact, without subnormals
        (24, 5, 110),  # exact, with subnormals
        (20, 9, 16),  # the scaler's
        (20, 3, 148),  # subnormals only
        (20, 4, 200),  # zeros only
        (2, 8, 30),
        (40, 9, 30),
        (40, 0, 12),
        (40, 0, 140),
        (300, 0, 172),  # up to 2^127
        (540, 0, 526),  # an exact sum
    ],
)
def test_conversion(width, exponent_width, offset):
    rng = random.Random(width)
    part = IntToFloat(width=width, exponent_width=exponent_width, offset=offset)
    cases = []
    for i in integers(rng, width, 200):
        # The exponent with which the integer's top bit meets the smallest numbers, or any.
        near = i.bit_length() + 149 - offset + rng.randrange(-26, 3)
        any_exponent = rng.getrandbits(exponent_width) if exponent_width else 0
        near = near if 0 <= near < 1 << exponent_width else any_exponent
        cases += [(i, near), (i, any_exponent)]
    steps = [{"i": i, "exponent": e} if exponent_width else {"i": i} for i, e in cases]
    expected = [float32_code(Fraction(i) / Fraction(2) ** (e + offset)) for i, e in cases]
    assert simulate(part, steps, "z") == expected


@pytest.mark.parametrize("man_bits", [0, 1, 2, 3])
def test_scale_multiplier(man_bits):
    scale, width = ScaleFormat(4, man_bits), 6
    part = ScaleMultiplier(width=width, scale=scale)
    hidden = 1 << man_bits
    sums = range(-32, 32) if man_bits < 3 else (-32, -31, -1, 0, 1, 21, 31)
    cases = list(product(sums, range(hidden), range(hidden)))
    names = ("p", "w_man", "a_man") if man_bits else ("p",)
    steps = [dict(zip(names, case, strict=False)) for case in cases]
    expected = [p * (hidden + w) * (hidden + a) for p, w, a in cases]
    assert simulate(part, steps, "term") == expected


@pytest.mark.parametrize("scale", [ScaleFormat(8, 1), ScaleFormat(8, 0), ScaleFormat(3, 2)])
def test_group_scaler(scale):
    rng = random.Random(7)
    part = GroupScaler(acc_width=16, format=MLS_E2M4, scale=scale)
    codes = 1 << scale.code_width
    steps, expected = [], []
    for p in integers(rng, 16, 300):
        w, a = rng.randrange(codes), rng.randrange(codes)
        value = Fraction(p) / 2**14
        for code in (w, a):
            exp, man = divmod(code, 1 << scale.man_bits)
            value *= (1 + Fraction(man, 1 << scale.man_bits)) / 2**exp
        steps.append({"p": p, "w_scale": w, "a_scale": a})
        expected.append(float32_code(value))
    assert simulate(part, steps, "z") == expected


def test_attributes():
    scaler = GroupScaler(acc_width=20, format=MLS_E2M4, scale=SCALE_E8M1)
    assert (scaler.acc_width, scaler.format, scaler.scale) == (20, MLS_E2M4, SCALE_E8M1)
    assert (scaler.latency, scaler.registers) == (0, 0)
    multiplier = ScaleMultiplier(width=20, scale=SCALE_E8M1)
    assert (multiplier.width, multiplier.scale, multiplier.term_width) == (20, SCALE_E8M1, 24)
    convert = IntToFloat(width=20, exponent_width=9, offset=16)
    assert (convert.width, convert.exponent_width, convert.offset) == (20, 9, 16)
    for part, name in ((scaler, "scale"), (multiplier, "width"), (convert, "offset")):
        with pytest.raises(AttributeError):
            setattr(part, name, None)


@pytest.mark.parametrize(
    ("part", "arguments", "error", "message"),
    [
        (IntToFloat, (1, 0, 0), ValueError, r"width must be in 2\.\.1024, not 1"),
        (IntToFloat, (20, 11, 0), ValueError, r"exponent_width must be in 0\.\.10, not 11"),
        (IntToFloat, (140, 0, 11), ValueError, r"offset must be in 12\.\.1023, not 11"),
        (IntToFloat, (20, 0, 0.5), TypeError, r"offset must be an integer, not 0\.5"),
        (ScaleMultiplier, (65, SCALE_E8M1), ValueError, r"width must be in 2\.\.64, not 65"),
        (ScaleMultiplier, (16, "8,1"), TypeError, "scale must be a ScaleFormat, not '8,1'"),
        (GroupScaler, (16, (2, 4), SCALE_E8M1), TypeError, "format must be an ElementFormat"),
        (
            GroupScaler,
            (1, MLS_E2M4, SCALE_E8M1),
            ValueError,
            r"acc_width must be in 2\.\.64, not 1",
        ),
    ],
)
def test_rejects(part, arguments, error, message):
    names = {
        IntToFloat: ("width", "exponent_width", "offset"),
        ScaleMultiplier: ("width", "scale"),
        GroupScaler: ("acc_width", "format", "scale"),
    }[part]
    with pytest.raises(error, match=message):
        part(**dict(zip(names, arguments, strict=True)))
