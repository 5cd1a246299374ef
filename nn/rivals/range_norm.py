"""Range batch normalization of Banner et al."""

import math

import torch
from torch import Tensor, nn


def range_constant(n: int) -> float:
    """`C(n) = 1 / sqrt(2 ln n)`, by which the range of n normal numbers is about their deviation.

    Raises: ValueError for n < 2.
    """
    if n < 2:
        raise ValueError(f"n must be at least 2 values of a channel, not {n!r}")
    return 1 / math.sqrt(2 * math.log(n))


class RangeBatchNorm2d(nn.Module):
    """`(x - mean) / (C(n) * range(x - mean) + eps) * weight + bias` by channel, over the n values
    that a batch has of it, `range` being the largest less the smallest; gradients are those of just
    this, also through the two extremes.

    A layer that trains averages mean and `C(n) * range` as `nn.BatchNorm2d` does, a layer that
    evaluates takes the averages. Normal numbers have ranges of up to twice `1 / C(n)` deviations,
    so that results have deviations of one half to one; the authors' code multiplies C(n) by 0.54,
    which `weight` makes up for.

    Parameters: `channels`; `eps`: added to the scale, not to a square; `momentum`: share of the
    batch in the averages.
    Members: weight, bias: (channels,); running_mean, running_scale: buffers (channels,).
    Source: as of `Int8Config`, section 3. Not of its code: chunks of a batch whose ranges are
    averaged, and 8-bit values inside.
    """

    running_mean: Tensor
    running_scale: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_scale", torch.ones(channels))

    @classmethod
    def like(cls, norm: nn.BatchNorm2d) -> "RangeBatchNorm2d":
        """With the parameters and averages of `norm`, whose deviations become the scales.

        Raises: ValueError for one without them.
        """
        if not norm.affine or norm.running_mean is None or norm.running_var is None:
            raise ValueError("batch norm must have weights and averages")
        if norm.momentum is None:
            raise ValueError("momentum must be a number, not None")
        made = cls(norm.num_features, norm.eps, norm.momentum)
        made.weight, made.bias = norm.weight, norm.bias
        made.running_mean.copy_(norm.running_mean)
        made.running_scale.copy_(norm.running_var.sqrt())
        return made.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of `x`, (samples, channels, rows, columns)."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            shape = tuple(x.shape)
            raise ValueError(f"x must be (n, {self.channels}, rows, columns), not {shape!r}")
        mean, scale = self.running_mean, self.running_scale
        if self.training:
            mean = x.mean(dim=(0, 2, 3))
            extent = x.amax(dim=(0, 2, 3)) - x.amin(dim=(0, 2, 3))
            scale = extent * range_constant(x.numel() // self.channels)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_scale.lerp_(scale, self.momentum)
        factor = self.weight / (scale + self.eps)
        shift = self.bias - mean * factor
        return x * factor[:, None, None] + shift[:, None, None]

    def extra_repr(self) -> str:
        """Its parameters."""
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}"


def with_range_norms(model: nn.Module) -> nn.Module:
    """Replace the model's `nn.BatchNorm2d` by `RangeBatchNorm2d`, in place. Raises: ValueError."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, RangeBatchNorm2d.like(child))
    return model
