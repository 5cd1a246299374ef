"""Stochastic rounding to blocks and the block quantizer's ports: against exact fractions."""

from bisect import bisect_right
from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import BLOCK_PRESETS, ScaleCoding, element_values, quantize_blocks
from mlsmac.golden.block_quantizer import block_quantizer
from mlsmac.sim.corners import make_vectors
from mlsmac.units import configure

INFINITY = 0x7F800000
MXFP4, NVFP4 = BLOCK_PRESETS["mxfp4"], BLOCK_PRESETS["nvfp4"]


def value(code: int) -> Fraction:
    field, mantissa = code >> 23 & 255, code & ((1 << 23) - 1)
    return Fraction(mantissa + (1 << 23) * (field > 0)) * Fraction(2) ** (max(field, 1) - 150)


def by_word(x: Fraction, values: list[Fraction], word: int, bits: int) -> int:
    """Code of the number below x, or of the one above where `floor(t 2^k) + R` carries."""
    below = bisect_right(values, x) - 1
    if below == len(values) - 1:
        return below
    t = (x - values[below]) / (values[below + 1] - values[below])
    return below + ((t * 2**bits).__floor__() + word >> bits)


def nearest(x: Fraction, values: list[Fraction]) -> int:
    below = min(bisect_right(values, x) - 1, len(values) - 2)
    return min(below, below + 1, key=lambda code: (abs(values[code] - x), code % 2))


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("name", BLOCK_PRESETS)
def test_ports_are_those_of_fractions(name, rounding, standards):
    """Whole blocks, every scale, numbers and ties, blocks that are no numbers."""
    fmt = BLOCK_PRESETS[name]
    configuration = configure(
        "block_quantizer", format=name, lanes=fmt.size, rounding=rounding, random_bits=5
    )
    inputs = make_vectors(configuration, 150, 4).inputs
    words = None
    if rounding == "stochastic":
        words = np.random.default_rng(5).integers(0, 32, inputs["x"].shape)
    scales = inputs.get("tensor_scale")
    start = np.ones(len(inputs["x"]), np.int64)
    outputs = block_quantizer(inputs["x"], start, scales, words, format=fmt, random_bits=5)
    values = [Fraction(each) for each in element_values(fmt).tolist()]
    ratios = [Fraction(each) for each in standards["nvfp4"].scales[:0x7F].tolist()]
    sign_bit, none = 1 << (fmt.element.code_width - 1), 0
    for step, row in enumerate(inputs["x"].tolist()):
        codes, scale_code = outputs["codes"][step], outputs["scale_code"][step]
        magnitudes = [code & ~(1 << 31) for code in row]
        tensor = 0 if scales is None else int(scales[step])
        if max(*magnitudes, tensor) >= INFINITY:
            assert scale_code == (255 if scales is None else 0x7F)
            assert not codes.any()
            none += 1
            continue
        peak = value(max(magnitudes))
        if fmt.scale_coding is ScaleCoding.E4M3:
            scale = ratios[nearest(peak / (6 * value(tensor)), ratios)] if tensor else Fraction(0)
            assert standards["nvfp4"].scales[scale_code] == scale
            scale *= value(tensor)
        else:
            assert scale_code == max((max(magnitudes) >> 23) - top_exponent(values), 0)
            scale = Fraction(2) ** (int(scale_code) - 127)
        for lane, code in enumerate(row):
            x = value(magnitudes[lane]) / scale if scale else Fraction(0)
            found = nearest(x, values)
            if words is not None:
                found = by_word(x, values, int(words[step, lane]), 5)
            if name == "mxint8":
                expected = (-found if code >> 31 else found) % 256
            else:
                expected = found | sign_bit * (code >> 31)
            assert codes[lane] == expected, (step, lane)
    assert 0 < none < 40


def top_exponent(values: list[Fraction]) -> int:
    return next(e for e in range(9, -1, -1) if Fraction(2) ** e <= values[-1])


def test_mean_over_all_words_is_exact():
    rng = np.random.default_rng(6)
    for fmt in (MXFP4, NVFP4, BLOCK_PRESETS["mxint8"]):
        block = rng.standard_normal(fmt.size).astype(np.float32)
        x = np.broadcast_to(block, (256, fmt.size))
        words = np.broadcast_to(np.arange(256)[:, np.newaxis], x.shape)
        found = quantize_blocks(x, fmt, rounding="stochastic", random=words)
        scale = 2.0 ** (int(found.scale_codes[0]) - 127)
        if fmt is NVFP4:
            scale = found.to_mls().group_scale()[0, 0] * found.to_mls().tensor_scale / 8
        values = [Fraction(each) for each in element_values(fmt).tolist()]
        for place, number in enumerate(block):
            exact = abs(Fraction(float(number))) / Fraction(float(scale))
            below = bisect_right(values, exact) - 1
            if below == len(values) - 1:
                continue
            gap = values[below + 1] - values[below]
            ups = ((exact - values[below]) / gap * 256).__floor__()
            codes = found.codes[:, place].astype(int)
            if fmt is BLOCK_PRESETS["mxint8"]:
                codes = np.where(codes >= 128, 256 - codes, codes)
            else:
                codes &= 7
            assert np.bincount(codes - below, minlength=2).tolist() == [256 - ups, ups]


def test_the_scale_of_an_earlier_tensor():
    """Its own is what is taken by default; with a smaller one elements and scales saturate."""
    x = np.random.default_rng(7).standard_normal((20, 16)).astype(np.float32)
    own = quantize_blocks(x, NVFP4)
    same = quantize_blocks(x, NVFP4, tensor_scale=own.tensor_scale)
    assert (own.codes == same.codes).all()
    assert (own.scale_codes == same.scale_codes).all()
    small = quantize_blocks(x, NVFP4, tensor_scale=np.float32(own.tensor_scale / 1000))
    assert (small.scale_codes == 0x7E).any()
    assert small.tensor_scale == np.float32(own.tensor_scale / 1000)


ONE = np.ones((1, 32), np.float32)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: quantize_blocks(ONE, MXFP4, tensor_scale=np.float32(1)),
            ValueError,
            "tensor_scale must be None for E8M0 scales",
        ),
        (
            lambda: quantize_blocks(ONE[:, :16], NVFP4, tensor_scale=1.0),
            TypeError,
            "tensor_scale must be a float32, not 1.0",
        ),
        (
            lambda: quantize_blocks(ONE[:, :16], NVFP4, tensor_scale=np.float32(np.inf)),
            ValueError,
            "tensor_scale must be finite and >= 0",
        ),
        (
            lambda: quantize_blocks(ONE, MXFP4, rounding="up"),
            ValueError,
            "rounding must be one of 'stochastic', 'nearest', not 'up'",
        ),
        (
            lambda: quantize_blocks(ONE, MXFP4, rounding="stochastic", random_bits=17),
            ValueError,
            "random_bits must be in 1..16, not 17",
        ),
        (
            lambda: ports(beats=7),
            ValueError,
            "x must be whole blocks of 8 beats, not 7 beats",
        ),
        (
            lambda: ports(start=3),
            ValueError,
            "start must be 1 at first beats of blocks alone, not at 3",
        ),
    ],
)
def test_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


def ports(beats: int = 8, start: int = 0) -> dict[str, np.ndarray]:
    marks = np.arange(beats) == start
    x = np.zeros((beats, 4), np.int64)
    return block_quantizer(x, marks.astype(np.int64), None, None, format=MXFP4, random_bits=8)
