"""MX and NVFP4 presets against the decode tables of ml_dtypes: conversion and quantization."""

import re
from bisect import bisect_left
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mlsmac.golden import (
    BLOCK_PRESETS,
    MLS_E2M4,
    MXFP4_E2M1,
    MXINT8,
    NVFP4_SCALE,
    SCALE_E8M0,
    BlockFormat,
    BlockTensor,
    ElementCoding,
    ElementFormat,
    MlsTensor,
    ScaleCoding,
    element_values,
    quantize,
    quantize_blocks,
)

ONE = np.float32(1)


@pytest.mark.parametrize("name", BLOCK_PRESETS)
def test_every_code_with_every_scale(name, standards):
    fmt, standard = BLOCK_PRESETS[name], standards[name]
    padding = -len(standard.element_codes) % fmt.size
    elements = np.pad(standard.element_codes, (0, padding)).reshape(-1, fmt.size)
    shape = len(standard.scale_codes), len(elements)
    codes = np.broadcast_to(elements, (*shape, fmt.size))
    scales = np.broadcast_to(standard.scale_codes[:, None], shape)
    expected = standard.elements[codes] * standard.scales[scales][..., None]

    tensor = BlockTensor(codes, scales, ONE, fmt).to_mls()
    assert (tensor.dequantize() == expected).all()
    assert (np.signbit(tensor.dequantize()) == np.signbit(expected)).all()
    assert (tensor.element, tensor.scale) == (fmt.element, fmt.scale)

    back = BlockTensor.from_mls(tensor, fmt)
    # A zero scale leaves nothing of its elements but their signs.
    sign = codes & (1 << (fmt.element.code_width - 1))
    assert (back.codes == np.where(standard.scales[scales][..., None] == 0, sign, codes)).all()
    assert (back.scale_codes == scales).all()
    assert back.tensor_scale == 1


@pytest.mark.parametrize("name", BLOCK_PRESETS)
def test_every_code_decodes_with_every_scale_of_256(name, standards):
    """What has no MLS counterpart too; NaN where either code is."""
    fmt, standard = BLOCK_PRESETS[name], standards[name]
    codes = np.resize(np.arange(1 << fmt.element.code_width), (8, fmt.size * 8)).reshape(
        64, fmt.size
    )
    scales = np.repeat(np.arange(256), 64).reshape(256, 64)
    tensor_scale = np.float32(0.3) if fmt.scale_coding is ScaleCoding.E4M3 else ONE
    blocks = BlockTensor(np.broadcast_to(codes, (256, 64, fmt.size)), scales, tensor_scale, fmt)
    # The most negative integer is a number here.
    elements = np.where(np.isnan(standard.elements) & (name == "mxint8"), -2, standard.elements)
    expected = elements[codes] * standard.scales[scales][..., None] * np.float64(tensor_scale)
    assert np.array_equal(blocks.dequantize(), expected, equal_nan=True)
    assert np.array_equal(np.unique(codes), np.arange(len(elements)))
    assert blocks.shape == (256, 64, fmt.size)


@pytest.mark.parametrize(
    ("name", "elements", "scales"),
    [
        ("mxfp4", 16, 252),
        ("mxfp6_e2m3", 64, 252),
        ("mxfp6_e3m2", 64, 250),
        ("mxfp8_e4m3", 254, 246),
        ("mxint8", 255, 254),
        ("nvfp4", 16, 127),
    ],
)
def test_what_does_not_convert_is_named(name, elements, scales, standards):
    """NaN codes, the most negative integer, negative scales, scales that no float32 tensor scale
    reaches; nothing else."""
    fmt, standard = BLOCK_PRESETS[name], standards[name]
    assert (len(standard.element_codes), len(standard.scale_codes)) == (elements, scales)
    for code in set(range(1 << fmt.element.code_width)) - set(standard.element_codes.tolist()):
        codes = np.zeros((2, fmt.size), np.uint8)
        codes[1, 3] = code
        with pytest.raises(ValueError, match=rf"codes must be .*not {code} at index \(1, 3\)"):
            BlockTensor(codes, np.array([1, 1]), ONE, fmt).to_mls()
    for scale in set(range(256)) - set(standard.scale_codes.tolist()):
        blocks = BlockTensor(np.zeros((2, fmt.size), int), np.array([1, scale]), ONE, fmt)
        rule = rf"scale_codes must be numbers >= 0, not {scale} at index \(1,\)"
        if fmt.scale_coding is ScaleCoding.E8M0 and scale != 255:
            rule = rf"S_t must be below 2\^128.*scale code {scale} at index \(1,\)"
        with pytest.raises(ValueError, match=rule):
            blocks.to_mls()


def test_nvfp4_scale_is_the_smallest_that_holds_e4m3(standards):
    numbers = {Fraction(v) for v in standards["nvfp4"].scales[1:0x7F].tolist()}
    assert len(numbers) == 126

    def holds(exp_bits: int, man_bits: int, top: int) -> bool:
        grid = {
            (1 + Fraction(man, 1 << man_bits)) * Fraction(2) ** (top - exp)
            for exp in range(1 << exp_bits)
            for man in range(1 << man_bits)
        }
        return numbers <= grid

    fits = {(e, m) for e in range(1, 9) for m in range(4) if any(holds(e, m, t) for t in (8, 9))}
    assert min(fits, key=sum) == (NVFP4_SCALE.exp_bits, NVFP4_SCALE.man_bits) == (5, 3)
    assert {m for _, m in fits} == {3}


def test_mls_scales_with_an_nvfp4_code(standards):
    """Of all `<5,3>` codes exactly E4M3's 126 values go back; all in 2^-6..1.75 * 2^8 do."""
    expected = {scale for scale in standards["nvfp4"].scales[1:0x7F].tolist() if scale > 0}
    found = set()
    for exp in range(NVFP4_SCALE.max_exp + 1):
        for man in range(8):
            tensor = mls(size=16, exp=exp, scale=NVFP4_SCALE, tensor_scale=2.0**11)
            tensor.scale_man[:] = man
            try:
                blocks = BlockTensor.from_mls(tensor, NV)
            except ValueError:
                assert exp > 14 or (exp, man) == (0, 7)
                continue
            value = float(standards["nvfp4"].scales[blocks.scale_codes[1]])
            assert value == (1 + man / 8) * 2.0 ** (8 - exp)
            found.add(value)
    assert found == expected


@pytest.mark.parametrize("name", BLOCK_PRESETS)
def test_widths(name, standards):
    """Proven accumulator width: a block of the largest elements fits, and not in a bit less."""
    fmt, values = BLOCK_PRESETS[name], standards[name].elements
    largest = np.nanmax(values)
    unit = 2.0**-fmt.element.fraction_bits * fmt.value_ratio
    total = Fraction(float(largest / unit)) ** 2 * fmt.size
    assert total.denominator == 1
    assert 1 << (fmt.acc_width - 2) <= total < 1 << (fmt.acc_width - 1)
    assert (element_values(fmt) == np.unique(values[values >= 0])).all()


def test_documented_presets():
    """docs/formats.md states each preset's figures."""
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M))
    for name, fmt in BLOCK_PRESETS.items():
        ratio = f"2^{int(np.log2(fmt.value_ratio))}"
        product, width = fmt.element.product_width, fmt.acc_width
        figures = [fmt.element, fmt.size, fmt.scale_coding.name, fmt.scale, ratio, product, width]
        cells = rows[name].replace("`", "").split(" | ")
        assert cells[: len(figures)] == [str(figure) for figure in figures]


def test_mls_quantization_gives_nvfp4_codes(standards):
    """`quantize` on blocks as dimension 1 yields NVFP4 data: same numbers, by ml_dtypes' tables."""
    fmt = BLOCK_PRESETS["nvfp4"]
    x = np.random.default_rng(1).standard_normal((40, 8, 16)).astype(np.float32)
    x[3, 5] = 0
    tensor = quantize(x, fmt.element, fmt.scale, rounding="nearest")
    blocks = BlockTensor.from_mls(tensor, fmt)
    scales = standards["nvfp4"].scales[blocks.scale_codes][..., None]
    values = standards["nvfp4"].elements[blocks.codes] * scales * np.float64(blocks.tensor_scale)
    assert (values == tensor.dequantize()).all()
    assert blocks.scale_codes[3, 5] == 0


def nearest(x: Fraction, values: list[Fraction]) -> int:
    """Code of the value nearest to x >= 0; of two, the even one."""
    above = min(bisect_left(values, x), len(values) - 1)
    return min(max(above - 1, 0), above, key=lambda code: (abs(values[code] - x), code % 2))


def numbers(values: np.ndarray) -> list[Fraction]:
    """Those that are >= 0 without a sign bit, by code."""
    return [Fraction(v) for v in values[(values >= 0) & ~np.signbit(values)].tolist()]


def block_cases(size: int) -> np.ndarray:
    """Blocks for quantizing: random, ties, powers of two and their neighbours, zeros, extremes."""
    rng = np.random.default_rng(size)
    x = rng.standard_normal((48, size)).astype(np.float32)
    x[:12] = rng.integers(-64, 65, (12, size)) / 8  # ties
    x[12:20] = np.ldexp(rng.choice([1, 1.5, 7 / 4, -15 / 8], (8, size)), rng.integers(-9, 3, size))
    x[20] = 0
    x[21] = np.nextafter(np.float32(8), np.float32(0)) * np.sign(x[22])
    x[22, ::2] = -0.0
    x[23] *= np.float32(1e-4)
    x[24:28] *= np.ldexp(np.float32(1), np.array([[-130], [-126], [-20], [20]], np.int32))
    return x


@pytest.mark.parametrize("power", [0, 100, -120, -149])
@pytest.mark.parametrize("name", BLOCK_PRESETS)
def test_quantize_blocks(name, power, standards):
    """The rules of OCP and NVIDIA in exact rational arithmetic."""
    fmt = BLOCK_PRESETS[name]
    with np.errstate(under="ignore"):
        x = np.ldexp(block_cases(fmt.size), np.int32(power))
    blocks = quantize_blocks(x, fmt)
    values = standards[name].elements
    elements, scales = numbers(values), numbers(standards[name].scales)
    largest = elements[-1]
    if fmt.scale_coding is ScaleCoding.E4M3:
        # One correctly rounded quotient of float32 numbers.
        tensor_scale = np.abs(x).max() / np.float32(448 * 6)
        assert blocks.tensor_scale == tensor_scale
        tensor_scale = Fraction(float(tensor_scale))
    for block, codes, scale_code in zip(x, blocks.codes, blocks.scale_codes, strict=True):
        exact = [Fraction(float(value)) for value in block]
        peak = max(abs(value) for value in exact)
        if fmt.scale_coding is ScaleCoding.E4M3:
            expected = nearest(peak / (largest * tensor_scale), scales) if tensor_scale else 0
            scale = scales[expected] * tensor_scale
        else:
            exponent = -127
            while peak and exponent < 127 and Fraction(2) ** (exponent + 1) <= peak:
                exponent += 1
            floor_largest = {"mxfp4": 2, "mxfp6_e2m3": 2, "mxfp6_e3m2": 4, "mxfp8_e4m3": 8}
            exponent = max(exponent - floor_largest.get(name, 0), -127)
            expected, scale = exponent + 127, Fraction(2) ** exponent
        assert scale_code == expected
        for value, single, code in zip(exact, block, codes, strict=True):
            rounded = elements[nearest(abs(value) / scale, elements) if scale else 0]
            assert abs(values[code]) == rounded
            if rounded or name != "mxint8":
                assert np.signbit(values[code]) == np.signbit(single)


def test_nvfp4_tensor_scale_is_rounded_once():
    for peak in np.random.default_rng(3).random(100, np.float32):
        blocks = quantize_blocks(np.full((1, 16), peak), BLOCK_PRESETS["nvfp4"])
        exact = Fraction(float(peak)) / (448 * 6)
        ours = blocks.tensor_scale
        beside = [np.nextafter(ours, np.float32(side)) for side in (-np.inf, np.inf)]
        error = abs(Fraction(float(ours)) - exact)
        assert all(error <= abs(Fraction(float(other)) - exact) for other in beside)


def test_quantizing_numbers_of_a_format_keeps_them(standards):
    for name, fmt in BLOCK_PRESETS.items():
        values, scales = standards[name].elements, standards[name].scales
        rng = np.random.default_rng(2)
        codes = rng.choice(standards[name].element_codes, (50, fmt.size))
        codes[:, 0] = np.nanargmax(values)
        if fmt.scale_coding is ScaleCoding.E4M3:
            scale_codes = np.append(rng.integers(1, 0x7E, 49), 0x7E)
        else:
            scale_codes = rng.integers(30, 200, 50)
        x = (values[codes] * scales[scale_codes][:, None]).astype(np.float32)
        blocks = quantize_blocks(x, fmt)
        assert (blocks.scale_codes == scale_codes).all()
        assert (values[blocks.codes] == values[codes]).all()


FP4 = BLOCK_PRESETS["mxfp4"]
NV = BLOCK_PRESETS["nvfp4"]
ZEROS = np.zeros((2, 32), np.uint8)
TWO = np.array([127, 127], np.uint8)


def mls(tensor_scale: float = 1.0, size: int = 32, exp: int = 0, **changes) -> MlsTensor:
    fields = {name: np.zeros((2, size), np.uint8) for name in ("sign", "exp", "man")}
    fields["man"][1, 2] = 1
    scale = np.full((2, 1), exp, np.uint8)
    return MlsTensor(
        **fields,
        scale_exp=scale,
        scale_man=scale * 0,
        tensor_scale=np.float32(tensor_scale),
        **{"element": MXFP4_E2M1, "scale": SCALE_E8M0} | changes,
    )


def block_format(**changes) -> BlockFormat:
    return BlockFormat(
        **{"element": MXFP4_E2M1, "size": 32, "scale_coding": ScaleCoding.E8M0} | changes
    )


def int8_tensor(size: int = 32, **changes) -> MlsTensor:
    return mls(size=size, element=MXINT8, **changes)


REFUSED = [
    (lambda: block_format(element=(2, 1)), TypeError, "element must be of type ElementFormat"),
    (lambda: block_format(scale_coding="e8m0"), TypeError, "scale_coding must be of type"),
    (lambda: block_format(element_coding=1), TypeError, "element_coding must be of type"),
    (lambda: block_format(size=0), ValueError, "size must be in 1..32768, not 0"),
    (lambda: block_format(size=2.0), TypeError, "size must be an integer, not 2.0"),
    (lambda: block_format(element=ElementFormat(4, 4)), ValueError, "element must be of at most 8"),
    (lambda: block_format(element=MXINT8), ValueError, "element_coding must be INTEGER for"),
    (
        lambda: block_format(element_coding=ElementCoding.INTEGER),
        ValueError,
        "element_coding must be INTEGER for",
    ),
    (lambda: BlockTensor(ZEROS, TWO, ONE, "mxfp4"), TypeError, "format must be a BlockFormat"),
    (lambda: BlockTensor(ZEROS + 16, TWO, ONE, FP4), ValueError, "codes must be in 0..15"),
    (lambda: BlockTensor(ZEROS + 0.5, TWO, ONE, FP4), TypeError, "codes must be an array of int"),
    (lambda: BlockTensor(ZEROS, TWO * 1.0, ONE, FP4), TypeError, "scale_codes must be an array"),
    (
        lambda: BlockTensor(ZEROS[:, 1:], TWO, ONE, FP4),
        ValueError,
        "codes must be of shape (..., 32) and not empty, not (2, 31)",
    ),
    (lambda: BlockTensor(ZEROS[:0], TWO[:0], ONE, FP4), ValueError, "codes must be of shape"),
    (
        lambda: BlockTensor(ZEROS, TWO[:1], ONE, FP4),
        ValueError,
        "scale_codes must be of shape (2,), not (1,)",
    ),
    (lambda: BlockTensor(ZEROS, TWO, 1.0, FP4), TypeError, "tensor_scale must be a float32"),
    (
        lambda: BlockTensor(ZEROS, TWO, np.float32(2), FP4),
        ValueError,
        "tensor_scale must be 1 for E8M0 scales",
    ),
    (
        lambda: BlockTensor(ZEROS[:, :16], TWO, np.float32(np.inf), NV),
        ValueError,
        "tensor_scale must be finite",
    ),
    (
        lambda: BlockTensor(ZEROS[:, :16], TWO - 1, np.float32(2.0**117), NV).to_mls(),
        ValueError,
        "S_t must be below 2^128",
    ),
    (lambda: BlockTensor.from_mls(ZEROS, FP4), TypeError, "tensor must be an MlsTensor"),
    (lambda: BlockTensor.from_mls(mls(), "mxfp4"), TypeError, "format must be a BlockFormat"),
    (
        lambda: BlockTensor.from_mls(mls(element=MLS_E2M4), FP4),
        ValueError,
        "tensor must have element <2,1> and scale <8,0>, not <2,4> and <8,0>",
    ),
    (
        lambda: BlockTensor.from_mls(mls(size=16), FP4),
        ValueError,
        "tensor must have groups of 32 along its last axis, not shape (2, 16)",
    ),
    (
        lambda: BlockTensor.from_mls(mls(tensor_scale=3), FP4),
        ValueError,
        "tensor_scale must be a power of two for E8M0 scales",
    ),
    (
        lambda: BlockTensor.from_mls(mls(exp=125), FP4),
        ValueError,
        "scale_exp must be an E8M0 code's, not 125 at index (1, 0)",
    ),
    (
        lambda: BlockTensor.from_mls(
            mls(size=16, exp=15, scale=NVFP4_SCALE, tensor_scale=2e-45), NV
        ),
        ValueError,
        "tensor_scale must stay a float32 number",
    ),
    (
        lambda: BlockTensor.from_mls(mls(size=16, exp=18, scale=NVFP4_SCALE), NV),
        ValueError,
        "scale_exp must be an E4M3 code's, not 18 at index (1, 0)",
    ),
    (
        lambda: quantize_blocks(ZEROS.astype(np.float64), FP4),
        TypeError,
        "x must be a float32 array",
    ),
    (
        lambda: quantize_blocks(ZEROS[:, :16].astype(np.float32), FP4),
        ValueError,
        "x must be of shape (..., 32) and not empty, not (2, 16)",
    ),
    (
        lambda: quantize_blocks(np.where(ZEROS + np.arange(32) == 5, np.float32(np.nan), ONE), FP4),
        ValueError,
        "x must be finite, not nan at index (0, 5)",
    ),
    (lambda: quantize_blocks(ZEROS.astype(np.float32), 32), TypeError, "format must be a Block"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED)
def test_refused_blocks(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


def test_an_mls_code_that_is_nan_in_e4m3_is_refused():
    tensor = mls(element=BLOCK_PRESETS["mxfp8_e4m3"].element)
    tensor.exp[1, 4], tensor.man[1, 4] = 15, 7
    with pytest.raises(ValueError, match=r"element codes must be numbers, not 127 at .*\(1, 4\)"):
        BlockTensor.from_mls(tensor, BLOCK_PRESETS["mxfp8_e4m3"])
