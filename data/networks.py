"""The convolution layers of networks: what a training step multiplies and what it quantizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A layer of `kernel` x `kernel` weights and `size` x `size` outputs, padded to
    `size * stride` squared inputs; a linear one has 1 x 1 weights and outputs.

    `groups`: that its channels are convolved in, each by itself. `shortcut`: its input is that of
    the layer before the previous one, which quantizes it. `adds`: to its output that of a shortcut
    is added. `normalized`: a batch normalization follows.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    size: int
    groups: int = 1
    shortcut: bool = False
    adds: bool = False
    normalized: bool = True

    @property
    def kernels(self) -> int:
        """Kernels of W."""
        return self.in_channels * self.out_channels // self.groups

    @property
    def weights(self) -> int:
        """Elements of W."""
        return self.kernels * self.kernel**2

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

    @classmethod
    def of(cls, layers: Sequence[Convolution], batch: int) -> "Elements":
        """Of these layers: each W once a step, each A and E once a sample; convolutions share their
        codes.
        """
        return cls(
            w=sum(layer.weights for layer in layers) / batch,
            a=sum(layer.inputs for layer in layers if not layer.shortcut),
            e=sum(layer.outputs for layer in layers),
        )

    @property
    def total(self) -> float:
        """Of all three tensors."""
        return self.w + self.a + self.e


@dataclass(frozen=True)
class Network:
    """A network by its convolutions, in order, and the layer at its end, the `classifier`.

    `batch`: samples of a usual training step.
    """

    name: str
    data: str
    batch: int
    convolutions: tuple[Convolution, ...]
    classifier: Convolution

    @property
    def layers(self) -> tuple[Convolution, ...]:
        """All of them."""
        return *self.convolutions, self.classifier

    @property
    def quantized(self) -> tuple[Convolution, ...]:
        """The convolutions in MLS: all but the first, as in the paper, which leaves the last layer,
        the classifier, as it is too.
        """
        return self.convolutions[1:]

    @property
    def forward_macs(self) -> int:
        """MACs of an inference, a sample: all convolutions and the classifier."""
        return sum(layer.macs for layer in self.layers)

    @property
    def step_macs(self) -> int:
        """MACs of W*A, W*E and A*E in MLS, a sample."""
        return 3 * sum(layer.macs for layer in self.quantized)

    @property
    def other_macs(self) -> int:
        """MACs of a step in other arithmetic, a sample: the first layer, which passes no error on,
        and the classifier.
        """
        return 2 * self.convolutions[0].macs + 3 * self.classifier.macs

    @property
    def normalized(self) -> int:
        """Elements that batch normalization takes, a sample."""
        return sum(layer.outputs for layer in self.layers if layer.normalized)

    @property
    def added(self) -> int:
        """Elements to which those of a shortcut are added, a sample."""
        return sum(layer.outputs for layer in self.layers if layer.adds)

    @property
    def weights(self) -> int:
        """Weights of all layers."""
        return sum(layer.weights for layer in self.layers)

    def elements(self, batch: int) -> Elements:
        """Elements that are quantized."""
        return Elements.of(self.quantized, batch)


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
            yield Convolution(width, width, 3, 1, size, adds=True)
            if projected and block == 0 and stride > 1:
                yield Convolution(channels, width, 1, stride, size, shortcut=True)
            channels, stride = width, 1


RESNET_20 = Network(
    "ResNet-20",
    "CIFAR-10",
    128,
    (Convolution(3, 16, 3, 1, 32), *_stages((16, 32, 64), 3, 32, projected=False)),
    Convolution(64, 10, 1, 1, 1, normalized=False),
)
# The first layer's 112 x 112 outputs are pooled to 56 x 56.
RESNET_18 = Network(
    "ResNet-18",
    "ImageNet",
    256,
    (Convolution(3, 64, 7, 2, 112), *_stages((64, 128, 256, 512), 2, 56, projected=True)),
    Convolution(512, 1000, 1, 1, 1, normalized=False),
)
NETWORKS = (RESNET_20, RESNET_18)
