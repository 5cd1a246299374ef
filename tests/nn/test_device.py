"""The quantizer of accelerators, on the CPU here: the bits of golden's."""

import numpy as np
import pytest
import torch

from mlsmac import golden
from mlsmac.golden import (
    FP8_E4M3,
    FP8_E5M2,
    ElementFormat,
    FloatFormat,
    Grouping,
    IntFormat,
    ScaleFormat,
    quantize_values,
)
from mlsmac.golden.floats import float_values
from mlsmac.golden.integers import fixed_point_values
from mlsmac.golden.spec import Carry
from mlsmac.nn import device
from mlsmac.nn.device import quantize_values as on_device

FORMATS = [(0, 1), (0, 4), (1, 2), (2, 1), (2, 4), (3, 7)]
TENSOR_SCALES = [None, np.float32(1e-3), np.float32(0.7), np.float32(1e30), np.float32(1e-40)]


def _adversarial(seed):
    """Groups of many sizes: subnormal numbers, powers of two and their neighbours, zeros."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((5, 4, 6, 7)) * np.exp2(rng.integers(-30, 3, (5, 4, 1, 1)))
    x[0] = np.exp2(rng.integers(-20, 1, (4, 6, 7)))
    x[1] = np.nextafter(np.float32(np.exp2(rng.integers(-9, 1, (4, 6, 7)))), np.float32(0))
    x[2, 0] = 0
    x[2, 1] *= 1e-38
    x[2, 2] = 1.4e-45
    x[3] = rng.integers(-64, 65, (4, 6, 7)) / 32
    x[4, 0, 0] = -0.0
    return x.astype(np.float32)


@pytest.mark.parametrize("group", list(Grouping))
@pytest.mark.parametrize("carry", list(Carry))
@pytest.mark.parametrize("widths", FORMATS)
def test_values_are_goldens(widths, carry, group):
    element = ElementFormat(*widths)
    for seed, (mg, tensor_scale) in enumerate(
        (mg, tensor_scale) for mg in (0, 1, 2) for tensor_scale in TENSOR_SCALES
    ):
        scale, x = ScaleFormat(8, mg), _adversarial(seed)
        how = {"group": group, "carry": carry, "random_bits": 5, "tensor_scale": tensor_scale}
        words = np.random.default_rng(seed).integers(0, 32, x.shape)
        for random in (words, None):
            rounding = "nearest" if random is None else "stochastic"
            expected = quantize_values(x, element, scale, rounding=rounding, random=random, **how)
            given = None if random is None else torch.from_numpy(random)
            found = on_device(torch.from_numpy(x), element, scale, words=given, **how).numpy()
            assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize(("shape", "group"), [((2, 2), Grouping.NC), ((5,), Grouping.N)])
def test_groups_of_one_element(shape, group):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    how = {"group": group, "carry": Carry.CLIP, "random_bits": 8}
    formats = ElementFormat(2, 4), ScaleFormat(8, 1)
    expected = quantize_values(x.numpy(), *formats, rounding="nearest", **how)
    assert np.array_equal(on_device(x, *formats, words=None, **how).numpy(), expected)


@pytest.mark.parametrize("format", [FP8_E4M3, FP8_E5M2, FloatFormat(2, 1)])
def test_floats_are_goldens(format):
    largest = np.float32(golden.to_float64(format.max_code, format))
    x = np.clip(_adversarial(3) * np.float32(2.0), -largest, largest)
    expected = float_values(x, format)
    found = device.float_values(torch.from_numpy(x), format).numpy()
    assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("bits", [3, 8, 16])
def test_fixed_point_is_goldens(bits):
    for seed, spread in enumerate((1.0, 1e-30, 1e30)):
        x = _adversarial(seed) * np.float32(spread)
        words = np.random.default_rng(seed).integers(0, 256, x.shape)
        for random in (words, None):
            rounding = "nearest" if random is None else "stochastic"
            expected = fixed_point_values(x, IntFormat(bits), rounding, random=random)
            given = None if random is None else torch.from_numpy(random)
            found = device.fixed_point_values(torch.from_numpy(x), IntFormat(bits), 8, given)
            assert np.array_equal(found.numpy().view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    x = torch.ones(2, 2, 3, 3)
    x[1, 0, 1, 1] = bad
    how = {"group": Grouping.NC, "carry": Carry.CLIP, "random_bits": 8, "words": None}
    with pytest.raises(ValueError, match="x must be finite"):
        on_device(x, ElementFormat(2, 4), ScaleFormat(8, 1), **how)
