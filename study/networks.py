"""The convolution layers of networks: what a training step multiplies and what it quantizes."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A layer of `kernel` x `kernel` weights and `size` x `size` outputs, padded to
    `size * stride` squared inputs.

    `shortcut`: its input is that of the layer before the previous one, which quantizes it.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    size: int
    shortcut: bool = False

    @property
    def weights(self) -> int:
        """Elements of W."""
        return self.in_channels * self.out_channels * self.kernel**2

    @property
    def inputs(self) -> int:
        """Elements of A, a sample."""
        return self.in_channels * (self.size * self.stride) ** 2

    @property
    def outputs(self) -> int:
        """Elements of the output, and so of E, a sample."""
        return self.out_channels * self.size**2

    @property
    def macs(self) -> int:
        """MACs of one of its three convolutions, a sample; those with padding count."""
        return self.weights * self.size**2


@dataclass(frozen=True)
class Elements:
    """Elements quantized in a training step, a sample."""

    w: float
    a: int
    e: int

    @property
    def total(self) -> float:
        """Of all three tensors."""
        return self.w + self.a + self.e


@dataclass(frozen=True)
class Network:
    """A network by its convolutions, in order; each is followed by a batch normalization.

    `batch`: samples of a usual training step. `classifier`: weights of the linear layer at the end.
    """

    name: str
    data: str
    batch: int
    convolutions: tuple[Convolution, ...]
    classifier: int

    @property
    def quantized(self) -> tuple[Convolution, ...]:
        """The convolutions in MLS: all but the first, as in the paper, which leaves the last layer,
        the classifier, as it is too.
        """
        return self.convolutions[1:]

    @property
    def forward_macs(self) -> int:
        """MACs of an inference, a sample: all convolutions and the classifier."""
        return sum(layer.macs for layer in self.convolutions) + self.classifier

    @property
    def step_macs(self) -> int:
        """MACs of W*A, W*E and A*E in MLS, a sample."""
        return 3 * sum(layer.macs for layer in self.quantized)

    @property
    def other_macs(self) -> int:
        """MACs of a step in other arithmetic, a sample: the first layer, which passes no error on,
        and the classifier.
        """
        return 2 * self.convolutions[0].macs + 3 * self.classifier

    @property
    def normalized(self) -> int:
        """Elements that batch normalization takes, a sample."""
        return sum(layer.outputs for layer in self.convolutions)

    def elements(self, batch: int) -> Elements:
        """Each W once a step, each A and E once a sample; convolutions share their codes."""
        return Elements(
            w=sum(layer.weights for layer in self.quantized) / batch,
            a=sum(layer.inputs for layer in self.quantized if not layer.shortcut),
            e=sum(layer.outputs for layer in self.quantized),
        )


def _stages(
    widths: tuple[int, ...], blocks: int, size: int, *, projected: bool
) -> Iterator[Convolution]:
    """Stages of basic blocks, each after the first of half the size. `projected`: shortcuts to
    another width are 1 x 1 convolutions, otherwise they have no weights.
    """
    channels = widths[0]
    for width in widths:
        stride = 1 if width == channels else 2
        size //= stride
        for block in range(blocks):
            yield Convolution(channels, width, 3, stride, size)
            yield Convolution(width, width, 3, 1, size)
            if projected and block == 0 and stride > 1:
                yield Convolution(channels, width, 1, stride, size, shortcut=True)
            channels, stride = width, 1


RESNET_20 = Network(
    "ResNet-20",
    "CIFAR-10",
    128,
    (Convolution(3, 16, 3, 1, 32), *_stages((16, 32, 64), 3, 32, projected=False)),
    64 * 10,
)
# The first layer's 112 x 112 outputs are pooled to 56 x 56.
RESNET_18 = Network(
    "ResNet-18",
    "ImageNet",
    256,
    (Convolution(3, 64, 7, 2, 112), *_stages((64, 128, 256, 512), 2, 56, projected=True)),
    512 * 1000,
)
NETWORKS = (RESNET_20, RESNET_18)
