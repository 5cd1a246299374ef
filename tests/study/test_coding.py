"""How tensors become MLS elements in a sweep, and the errors of any MAC's format."""

import numpy as np
import pytest

from mlsmac.data import load
from mlsmac.golden import quantize
from mlsmac.golden.blocks import quantize_blocks
from mlsmac.golden.floats import to_float64
from mlsmac.golden.lns import decode
from mlsmac.golden.spec import (
    BLOCK_PRESETS,
    FP8_E4M3,
    FP32,
    INT8,
    LNS8,
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M1,
    IntFormat,
    Rounding,
)
from mlsmac.study.dot_errors import dot_errors, format_errors
from mlsmac.study.report import accumulator_row
from mlsmac.study.stimuli.coding import Coding
from mlsmac.study.stimuli.encode import encode_tensor, nearest
from mlsmac.study.stimuli.pairs import build
from mlsmac.units import configure

STIMULUS = build(60, 7)
TENSOR = load()[0].a


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("group", ["nc", "n", "c", "none"])
def test_groups_are_those_of_quantize(group: str) -> None:
    coding = Coding.read(group, "e8m1")
    expected = quantize(TENSOR, MLS_E2M4, SCALE_E8M1, group=group, rng=rng())
    codes = encode_tensor(TENSOR, MLS_E2M4, rng(), coding)
    assert (codes == expected.codes()).all()
    exact = quantize(TENSOR, MLS_E2M4, SCALE_E8M1, group=group, rounding="nearest")
    assert (nearest(TENSOR, MLS_E2M4, coding) == exact.dequantize()).all()
    assert coding.written() == {"group": group, "scale": "8,1"}


def test_blocks_with_ocps_scales_are_ocps() -> None:
    last = np.ascontiguousarray(np.moveaxis(TENSOR, 1, -1))
    blocks = quantize_blocks(last.reshape(-1, 32), BLOCK_PRESETS["mxfp4"]).to_mls()
    expected = np.moveaxis(blocks.codes().reshape(last.shape), -1, 1)
    coding = Coding.read("block:32", "e8m0")
    assert (encode_tensor(TENSOR, MLS_E2M1, rng(), coding) == expected).all()
    assert coding.written() == {"group": "block:32", "scale": "8,0"}


def test_a_block_that_the_tensor_does_not_fill_has_zeros() -> None:
    x = TENSOR[:1, :3, :3, :3].copy()  # 27 elements: two blocks of 16
    coding = Coding.read("block:16", "8,1")
    codes, values = coding.quantized(x, MLS_E2M4, Rounding.NEAREST, rng())
    assert codes.shape == values.shape == x.shape
    assert np.abs(values - x).max() <= 2.0**-5 * np.abs(x).max()


@pytest.mark.parametrize("group", ["rows", "block", "block:", "block:0", "block:x", "nc:4"])
def test_groups_that_are_refused(group: str) -> None:
    with pytest.raises(ValueError, match=r"group must be|group block:SIZE must have a size"):
        Coding.read(group, "8,1")


def test_nearest_undoes_what_a_tensor_is_scaled_by() -> None:
    """Against the codes that units see, by each format's own definition."""
    assert (nearest(TENSOR, FP32) == TENSOR).all()
    fp8 = to_float64(encode_tensor(TENSOR, FP8_E4M3, rng()), FP8_E4M3)
    ratio = nearest(TENSOR, FP8_E4M3)[fp8 != 0] / fp8[fp8 != 0]
    assert (ratio == ratio[0]).all()
    assert np.log2(ratio[0]) % 1 == 0
    for format in (INT8, IntFormat(4)):
        steps = nearest(TENSOR, format) * format.max_code / np.abs(TENSOR).max()
        assert np.allclose(steps, np.rint(steps), atol=1e-9)
        assert np.abs(nearest(TENSOR, format)).max() == pytest.approx(np.abs(TENSOR).max())
        step = (TENSOR.max() - min(TENSOR.min(), 0)) / (2**format.width - 1)
        assert np.abs(nearest(TENSOR, format, affine=True) - TENSOR).max() <= 0.51 * step
    lns = decode(encode_tensor(TENSOR, LNS8, rng()), LNS8)
    assert np.allclose(nearest(TENSOR, LNS8), lns * np.abs(TENSOR).max() / np.abs(lns).max())


def test_errors_of_formats() -> None:
    def outputs(unit: str, source=STIMULUS, **options: object) -> float:
        found = format_errors(source, configure(unit, **options).options)
        assert found
        return found.outputs

    assert outputs("fp32_mac") == 0
    errors = [outputs("mls_mac", format=f"2,{bits}", acc_width=30) for bits in (1, 3, 5)]
    assert errors == sorted(errors, reverse=True)
    assert outputs("int_mac", format="int8") < outputs("int_mac", format="int4")
    whole = STIMULUS.coded(Coding.read("none", "8,1"))
    assert outputs("mls_mac", whole, format="2,1") > errors[0]
    blocks = configure("block_dot", format="0,7", scale="none", lanes=16).options
    alike = format_errors(STIMULUS, configure("int_mac").options)
    assert alike
    assert alike.w == pytest.approx(dot_errors(STIMULUS, blocks).w, rel=0.05)
    assert format_errors(STIMULUS, {"format": BLOCK_PRESETS["mxfp4"]}) is None


def test_overflows_are_of_the_codes_of_the_grouping() -> None:
    narrow = configure("mls_mac", format="2,4", acc_width=16)
    one = accumulator_row(narrow, STIMULUS)
    other = accumulator_row(narrow, STIMULUS.coded(Coding.read("none", "8,1")))
    assert one.overflows > other.overflows


def test_the_usual_coding_leaves_a_stimulus_as_it_was() -> None:
    assert STIMULUS.coded(Coding()).digest == STIMULUS.digest
    other = STIMULUS.coded(Coding.read("n", "8,1"))
    assert other.digest != STIMULUS.digest
    assert other.resized(90).coding == other.coding
