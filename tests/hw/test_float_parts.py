# amaranth: UnusedElaboratable=no
"""FloatMultiplier and FloatAdder: construction, and results against exact rational arithmetic."""

import functools
import random
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from amaranth.sim import Simulator

from mlsmac.golden.spec import FP8_E4M3, FP8_E5M2, FP32, FloatFormat, Specials
from mlsmac.hw.floating.float_adder import AdderPath, FloatAdder
from mlsmac.hw.floating.float_multiplier import FloatMultiplier
from mlsmac.hw.parts.unsigned_multiplier import Recoding

E3M2 = FloatFormat(3, 2)
E3M2_NAN_ONLY = FloatFormat(3, 2, Specials.NAN_ONLY)
E2M1 = FloatFormat(2, 1)


# The oracle: exact rationals, rounded once; only the format descriptors are the hardware's.
@functools.cache
def decode(code: int, fmt: FloatFormat, subnormals: bool) -> tuple[int, Fraction | str]:
    """Sign and magnitude, the magnitude being an exact rational, "inf" or "nan"."""
    sign, magnitude = divmod(code, 1 << (fmt.code_width - 1))
    exponent, mantissa = divmod(magnitude, 1 << fmt.man_bits)
    if fmt.specials is Specials.IEEE and magnitude >= fmt.infinity:
        return sign, "nan" if mantissa else "inf"
    if fmt.specials is Specials.NAN_ONLY and magnitude == fmt.nan:
        return sign, "nan"
    if exponent == 0:
        quantum = Fraction(2) ** (fmt.min_exp - fmt.man_bits)
        return sign, mantissa * quantum if subnormals else Fraction(0)
    return sign, (Fraction(mantissa, 1 << fmt.man_bits) + 1) * Fraction(2) ** (exponent - fmt.bias)


@functools.cache
def encode(sign: int, value: Fraction | str, fmt: FloatFormat, subnormals: bool) -> int:
    """Code of the nearest number, ties to even."""
    negative = sign << (fmt.code_width - 1)
    if value == "nan" or (value == "inf" and fmt.specials is Specials.NAN_ONLY):
        return fmt.nan
    if value == "inf":
        return negative | fmt.infinity
    if value == 0:
        return negative
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    exponent -= value < Fraction(2) ** exponent  # floor(log2(value))
    if subnormals:
        exponent = max(exponent, fmt.min_exp)
    quantum = Fraction(2) ** (exponent - fmt.man_bits)
    steps = round(value / quantum)  # Python rounds halves to even
    if steps * quantum < Fraction(2) ** fmt.min_exp:
        return negative | (steps if subnormals else 0)
    code = ((exponent + fmt.bias - 1) << fmt.man_bits) + steps
    if code > fmt.max_code:
        return encode(sign, "inf", fmt, subnormals)
    return negative | code


def multiply(x: int, y: int, fmt: FloatFormat, out: FloatFormat, subnormals: bool) -> int:
    (x_sign, x_value), (y_sign, y_value) = decode(x, fmt, subnormals), decode(y, fmt, subnormals)
    values = (x_value, y_value)
    if "nan" in values or ("inf" in values and 0 in values):
        result = "nan"
    else:
        result = "inf" if "inf" in values else x_value * y_value
    return encode(x_sign ^ y_sign, result, out, subnormals)


def add(x: int, y: int, fmt: FloatFormat, subnormals: bool) -> int:
    (x_sign, x_value), (y_sign, y_value) = decode(x, fmt, subnormals), decode(y, fmt, subnormals)
    if "nan" in (x_value, y_value) or (x_value == y_value == "inf" and x_sign != y_sign):
        return fmt.nan
    for sign, value in ((x_sign, x_value), (y_sign, y_value)):
        if value == "inf":
            return encode(sign, value, fmt, subnormals)
    total = (-x_value if x_sign else x_value) + (-y_value if y_sign else y_value)
    sign = x_sign & y_sign if total == 0 else int(total < 0)
    return encode(sign, abs(total), fmt, subnormals)


def simulate(part, pairs) -> list[int]:
    """Outputs of a combinational `part` for each operand pair."""
    output = part.product if isinstance(part, FloatMultiplier) else part.sum
    results = []

    async def bench(ctx):
        for x, y in pairs:
            ctx.set(part.x, x)
            ctx.set(part.y, y)
            results.append(ctx.get(output))

    simulator = Simulator(part)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(results) == len(pairs) > 0
    return results


def check(part, pairs, expected) -> None:
    """Compare every result, naming the first that differs."""
    for (x, y), got, want in zip(pairs, simulate(part, pairs), expected, strict=True):
        assert got == want, f"x={x:#x} y={y:#x}: {got:#x}, not {want:#x}"


def all_pairs(fmt: FloatFormat, other: FloatFormat) -> list[tuple[int, int]]:
    return list(product(range(1 << fmt.code_width), range(1 << other.code_width)))


@pytest.mark.parametrize("subnormals", [True, False])
@pytest.mark.parametrize(
    ("fmt", "out"),
    [
        (E3M2, E3M2),
        (E3M2_NAN_ONLY, E3M2_NAN_ONLY),
        (E3M2, FloatFormat(4, 5)),  # exact
        (E3M2, FloatFormat(2, 4)),
        (E3M2, FloatFormat(4, 1, Specials.NAN_ONLY)),
        (E2M1, E2M1),
        (FloatFormat(2, 3), FloatFormat(3, 1)),
        (FloatFormat(2, 3), FloatFormat(2, 3)),
    ],
    ids=str,
)
def test_multiplier_exhaustive(fmt, out, subnormals):
    part = FloatMultiplier(format=fmt, out_format=out, subnormals=subnormals)
    pairs = all_pairs(fmt, fmt)
    check(part, pairs, [multiply(x, y, fmt, out, subnormals) for x, y in pairs])


@pytest.mark.parametrize("subnormals", [True, False])
@pytest.mark.parametrize(
    ("fmt", "operand"),
    [
        (E3M2, E3M2),
        (E3M2_NAN_ONLY, E3M2_NAN_ONLY),
        (FloatFormat(3, 3), FloatFormat(3, 1)),
        (E2M1, E2M1),
        (FloatFormat(2, 3), FloatFormat(2, 3)),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", AdderPath)
def test_adder_exhaustive(fmt, operand, subnormals, path):
    part = FloatAdder(format=fmt, operand_format=operand, subnormals=subnormals, path=path)
    pairs = all_pairs(fmt, operand)
    wide = fmt.man_bits - operand.man_bits
    check(part, pairs, [add(x, y << wide, fmt, subnormals) for x, y in pairs])


@pytest.mark.parametrize(
    ("fmt", "out"),
    [(FP8_E4M3, FloatFormat(8, 7)), (FP8_E5M2, FloatFormat(8, 5)), (FP8_E4M3, FP8_E4M3)],
    ids=str,
)
def test_fp8_products(fmt, out):
    """A sample; the bench multiplies every pair."""
    rng = random.Random(8)
    pairs = [(rng.randrange(256), rng.randrange(256)) for _ in range(800)]
    pairs += [(0x7F, 0), (0xFF, 0x7F), (0x80, 0), (1, 1), (1, 0x81), (0x7E, 0xFE), (0x08, 0x07)]
    expected = [multiply(x, y, fmt, out, True) for x, y in pairs]
    check(FloatMultiplier(format=fmt, out_format=out), pairs, expected)


def fp32_pairs() -> list[tuple[int, int]]:
    """Corners by corners, and random pairs whose exponents are near enough to interact."""
    corners = [0, 1, 0x7FFFFF, 0x800000, 0x800001, 0x33800000, 0x3F7FFFFF, 0x3F800000, 0x3F800001]
    corners += [0x4B7FFFFF, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x20000000]
    corners += [code | 1 << 31 for code in corners]
    pairs = list(product(corners, corners))
    rng = random.Random(32)
    for _ in range(300):
        x = rng.getrandbits(32)
        exponent = min(max((x >> 23 & 255) + rng.randrange(-27, 28), 0), 255)
        pairs.append((x, rng.getrandbits(1) << 31 | exponent << 23 | rng.getrandbits(23)))
        # A product near the smallest normal number.
        exponent = min(max(127 - (x >> 23 & 255) + rng.randrange(-26, 3), 0), 254)
        pairs.append((x, rng.getrandbits(1) << 31 | exponent << 23 | rng.getrandbits(23)))
    return pairs


@pytest.mark.parametrize("subnormals", [True, False])
def test_fp32(subnormals):
    pairs = fp32_pairs()
    # The significand tree is slow in this simulator: a sample, mostly of the random pairs.
    sample = pairs[::197] + pairs[-40:]
    products = [multiply(x, y, FP32, FP32, subnormals) for x, y in sample]
    for recoding in Recoding:
        part = FloatMultiplier(format=FP32, subnormals=subnormals, recoding=recoding)
        check(part, sample, products)
    sums = [add(x, y, FP32, subnormals) for x, y in pairs]
    for path in AdderPath:
        check(FloatAdder(format=FP32, subnormals=subnormals, path=path), pairs, sums)


def test_oracle_is_float32():
    """The rational oracle agrees with NumPy's binary32, NaN apart."""
    pairs = np.array(fp32_pairs(), dtype=np.uint32)
    x, y = pairs.view(np.float32).T
    with np.errstate(all="ignore"):
        for function, reference in (
            (lambda a, b: multiply(a, b, FP32, FP32, True), x * y),
            (lambda a, b: add(a, b, FP32, True), x + y),
        ):
            want = np.where(np.isnan(reference), np.uint32(FP32.nan), reference.view(np.uint32))
            got = np.array([function(int(a), int(b)) for a, b in pairs], dtype=np.uint32)
            np.testing.assert_array_equal(got, want)


def test_attributes():
    multiplier = FloatMultiplier(format=FP8_E4M3, out_format=FloatFormat(8, 7))
    assert (multiplier.format, multiplier.out_format) == (FP8_E4M3, FloatFormat(8, 7))
    assert (multiplier.subnormals, multiplier.latency) == (True, 0)
    assert (len(multiplier.x), len(multiplier.y), len(multiplier.product)) == (8, 8, 16)
    adder = FloatAdder(format=FP32, operand_format=FloatFormat(8, 7), subnormals=False)
    assert (adder.format, adder.operand_format) == (FP32, FloatFormat(8, 7))
    assert (adder.subnormals, adder.latency) == (False, 0)
    assert (len(adder.x), len(adder.y), len(adder.sum)) == (32, 16, 32)
    assert FloatMultiplier(format=FP32).out_format == FP32
    assert FloatMultiplier(format=FP32, recoding=Recoding.BOOTH4).recoding is Recoding.BOOTH4
    assert multiplier.recoding is Recoding.NONE
    assert FloatAdder(format=FP32).operand_format == FP32
    assert FloatAdder(format=FP32, path=AdderPath.SPLIT).path is AdderPath.SPLIT
    assert adder.path is AdderPath.SINGLE


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (part, name)
        for part, own in (
            (FloatMultiplier, ("out_format", "recoding")),
            (FloatAdder, ("operand_format", "path")),
        )
        for name in ("format", *own, "subnormals", "latency")
    ],
)
def test_attributes_are_read_only(part, name):
    with pytest.raises(AttributeError):
        setattr(part(format=E3M2), name, None)


@pytest.mark.parametrize(
    ("part", "arguments", "error", "message"),
    [
        (
            FloatMultiplier,
            {"format": (8, 23)},
            TypeError,
            "format must be a FloatFormat, not (8, 23)",
        ),
        (
            FloatMultiplier,
            {"format": E3M2, "out_format": 8},
            TypeError,
            "out_format must be a FloatFormat, not 8",
        ),
        (
            FloatMultiplier,
            {"format": E3M2, "subnormals": 1},
            TypeError,
            "subnormals must be a bool, not 1",
        ),
        (
            FloatMultiplier,
            {"format": E3M2, "recoding": "booth8"},
            ValueError,
            "recoding must be one of 'none', 'booth4', not 'booth8'",
        ),
        (FloatAdder, {"format": "FP32"}, TypeError, "format must be a FloatFormat, not 'FP32'"),
        (
            FloatAdder,
            {"format": E3M2, "operand_format": 8},
            TypeError,
            "operand_format must be a FloatFormat, not 8",
        ),
        (FloatAdder, {"format": E3M2, "subnormals": "no"}, TypeError, "subnormals must be a bool"),
        (
            FloatAdder,
            {"format": E3M2, "path": "dual"},
            ValueError,
            "path must be one of 'single', 'split', not 'dual'",
        ),
        *(
            (
                FloatAdder,
                {"format": fmt, "operand_format": operand},
                ValueError,
                f"operand_format must be {fmt} or an IEEE format of {fmt.exp_bits} exponent bits, "
                "not FloatFormat(",
            )
            for fmt, operand in [
                (E3M2, FloatFormat(4, 2)),
                (E3M2, E3M2_NAN_ONLY),
                (E3M2_NAN_ONLY, FloatFormat(3, 1, Specials.NAN_ONLY)),
            ]
        ),
    ],
)
def test_rejects(part, arguments, error, message):
    with pytest.raises(error) as caught:
        part(**arguments)
    assert str(caught.value).startswith(message)
