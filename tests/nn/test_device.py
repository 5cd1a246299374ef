"""The quantizer of accelerators, on the CPU here: the bits of golden's."""

import numpy as np
import pytest
import torch

from mlsmac.golden import ElementFormat, Grouping, ScaleFormat, quantize_values
from mlsmac.golden.spec import Carry
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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    x = torch.ones(2, 2, 3, 3)
    x[1, 0, 1, 1] = bad
    how = {"group": Grouping.NC, "carry": Carry.CLIP, "random_bits": 8, "words": None}
    with pytest.raises(ValueError, match="x must be finite"):
        on_device(x, ElementFormat(2, 4), ScaleFormat(8, 1), **how)
