"""Residual networks for small images, as the MLS paper trains them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64)

SHORTCUTS = ("projection", "padded")
"""What a shortcut does where a block halves the plane: a 1 x 1 convolution, or every second pixel
with channels of zeros."""


class Block(nn.Module):
    """Residual block: conv, norm, ReLU, conv, norm, plus the shortcut, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        self.norm3: nn.Module = nn.Identity()
        if stride != 1 and shortcut == "projection":
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.norm3 = nn.BatchNorm2d(outputs)
        elif stride != 1:
            self.shortcut = PaddedShortcut(outputs - inputs, stride)

    def forward(self, a: Tensor) -> Tensor:
        """Output of the block."""
        inner = torch.relu(self.norm1(self.conv1(a)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.norm3(self.shortcut(a)))


class PaddedShortcut(nn.Module):
    """Every `stride`-th row and column, and `channels` more channels of zeros, half on each side.

    Source: K. He et al., "Deep residual learning for image recognition", 2016, option A.
    """

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, a: Tensor) -> Tensor:
        """(n, c + channels, h / stride, w / stride)."""
        before = self.channels // 2
        pads = (0, 0, 0, 0, before, self.channels - before)
        return functional.pad(a[:, :, :: self.stride, :: self.stride], pads)


class ResNet(nn.Module):
    """A stem, three stages of 16, 32 and 64 channels of `blocks` residual blocks each, an average
    over the plane, a linear classifier; `6 * blocks + 2` layers.

    Parameters: `blocks` of a stage; `channels` of the images; `classes`; `shortcut`: of
    `SHORTCUTS`.
    Source: as of `PaddedShortcut`, section 4.2.
    """

    def __init__(
        self, blocks: int, *, channels: int = 3, classes: int = 10, shortcut: str = "padded"
    ):
        super().__init__()
        self.stem = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        inputs = WIDTHS[0]
        self._blocks: list[str] = []
        for width in WIDTHS:
            for _ in range(blocks):
                name = f"block{len(self._blocks) + 1}"
                stride = 1 if width == inputs else 2
                setattr(self, name, Block(inputs, width, stride, shortcut))
                self._blocks.append(name)
                inputs = width
        self.classify = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, channels, h, w)."""
        a = torch.relu(self.norm(self.stem(images)))
        for name in self._blocks:
            a = getattr(self, name)(a)
        return self.classify(a.mean(dim=(2, 3)))


def resnet8(**options: object) -> ResNet:
    """ResNet-8 with projections, the network of the captured tensors."""
    return ResNet(1, **{"shortcut": "projection", **options})  # type: ignore[arg-type]


def resnet20(**options: object) -> ResNet:
    """ResNet-20 of the MLS paper's Tables 2 and 3."""
    return ResNet(3, **options)  # type: ignore[arg-type]
