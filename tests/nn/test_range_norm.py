"""Range batch norm against its formula in NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mlsmac.nn import RangeBatchNorm2d
from mlsmac.nn.rivals.range_norm import with_range_norms


def reference(x, weight, bias, eps=1e-5):
    """The formula in float64, and the batch's mean and scale."""
    n = x.shape[0] * x.shape[2] * x.shape[3]
    columns = x.astype(np.float64).transpose(1, 0, 2, 3).reshape(x.shape[1], n)
    mean = columns.mean(axis=1)
    centred = columns - mean[:, None]
    scale = (centred.max(axis=1) - centred.min(axis=1)) / math.sqrt(2 * math.log(n))
    y = centred / (scale + eps)[:, None] * weight[:, None] + bias[:, None]
    return y.reshape(x.shape[1], x.shape[0], *x.shape[2:]).transpose(1, 0, 2, 3), mean, scale


def made(channels=3):
    norm = RangeBatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.5, -0.5, 2.0]))
        norm.bias.copy_(torch.tensor([0.25, 1.0, -3.0]))
    return norm


def test_it_is_its_formula():
    x = np.random.default_rng(0).standard_normal((8, 3, 5, 4)).astype(np.float32) * 3 + 2
    norm = made()
    y, mean, scale = reference(x, norm.weight.detach().numpy(), norm.bias.detach().numpy())
    assert np.allclose(norm(torch.from_numpy(x)).detach().numpy(), y, atol=2e-6)
    assert np.allclose(norm.running_mean.numpy(), 0.1 * mean, atol=1e-6)
    assert np.allclose(norm.running_scale.numpy(), 0.9 + 0.1 * scale, atol=1e-6)


def test_evaluation_takes_the_averages():
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 4)).astype(np.float32)
    norm = made().eval()
    norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    norm.running_scale.copy_(torch.tensor([0.5, 4.0, 2.0]))
    mean, scale = (np.array(v)[:, None, None] for v in ([1.0, 2.0, 3.0], [0.5, 4.0, 2.0]))
    weight, bias = (p.detach().numpy()[:, None, None] for p in (norm.weight, norm.bias))
    expected = (x - mean) / (scale + 1e-5) * weight + bias
    assert np.allclose(norm(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-5)
    assert norm.running_mean.tolist() == [1.0, 2.0, 3.0]


def test_gradients_are_those_of_the_formula():
    norm = made().double()
    x = torch.randn(3, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(norm, (x.requires_grad_(),))


def test_scales_estimate_deviations():
    """Of normal numbers within the factor 2 that the paper's bound leaves."""
    x = torch.randn(64, 1, 14, 14, generator=torch.Generator().manual_seed(0)) * 7
    deviation = RangeBatchNorm2d(1)(x).std().item()
    assert 0.5 < deviation < 1


def test_it_takes_over_a_batch_norm():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sequential(nn.BatchNorm2d(3, eps=1e-3)))
    model[1][0].running_var.fill_(4.0)
    before = model[1][0]
    norm = with_range_norms(model)[1][0]
    assert isinstance(norm, RangeBatchNorm2d)
    assert (norm.eps, norm.momentum, norm.running_scale.tolist()) == (1e-3, 0.1, [2.0] * 3)
    assert norm.weight is before.weight
    assert norm.bias is before.bias


@pytest.mark.parametrize(
    ("norm", "error"),
    [
        (nn.BatchNorm2d(3, affine=False), "batch norm must have weights and averages"),
        (nn.BatchNorm2d(3, track_running_stats=False), "batch norm must have weights"),
        (nn.BatchNorm2d(3, momentum=None), "momentum must be a number, not None"),
    ],
)
def test_other_batch_norms_are_refused(norm, error):
    with pytest.raises(ValueError, match=error):
        RangeBatchNorm2d.like(norm)


def test_shapes_are_refused():
    with pytest.raises(ValueError, match=r"x must be \(n, 3, rows, columns\), not \(2, 4, 5, 5\)"):
        made()(torch.zeros(2, 4, 5, 5))
    with pytest.raises(ValueError, match="n must be at least 2 values of a channel, not 1"):
        made()(torch.zeros(1, 3, 1, 1))
