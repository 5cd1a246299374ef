"""Counts of networks' training steps against figures from elsewhere and a walk over the shapes."""

import math

import pytest

from mlsmac.data.networks import NETWORKS, RESNET_18, RESNET_20, Convolution

RESNET_18_WEIGHTS = 11_689_512  # parameters of the usual implementation, torchvision's
RESNET_18_NORMS = 9_600 + 1_000  # scales and offsets of batch normalizations, classifier's biases


def test_forward_macs_are_the_known_ones():
    projections = 16 * 32 * 16**2 + 32 * 64 * 8**2  # in the 40.8 M that is often quoted
    assert RESNET_20.forward_macs + projections == pytest.approx(40.8e6, rel=5e-4)
    assert sum(layer.macs for layer in RESNET_20.convolutions) == pytest.approx(4.05e7, rel=0.002)
    assert RESNET_18.forward_macs == pytest.approx(1.81e9, rel=0.003)


def test_layers_and_weights_are_the_known_ones():
    assert len(RESNET_20.convolutions) == 19
    assert len(RESNET_18.convolutions) == 20  # three of them shortcuts
    assert RESNET_18.weights == RESNET_18_WEIGHTS - RESNET_18_NORMS
    # The paper's Table 1: normalized elements, weight updates of ResNet-20.
    assert RESNET_20.normalized == pytest.approx(1.88e5, rel=0.003)
    weights = sum(layer.weights for layer in RESNET_20.convolutions)
    assert weights == pytest.approx(2.68e5, rel=0.002)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_every_layer_fits_the_one_before(network):
    channels, size = network.convolutions[1].in_channels, None
    block = channels, size
    for place, layer in enumerate(network.quantized):
        if layer.shortcut:
            assert (layer.in_channels, layer.size * layer.stride) == block
            assert (layer.out_channels, layer.size) == (channels, size)
            continue
        assert layer.in_channels == channels
        assert size is None or layer.size * layer.stride == size
        if place == 0 or layer.stride > 1:
            block = channels, layer.size * layer.stride
        channels, size = layer.out_channels, layer.size
    assert network.classifier.in_channels == channels


def test_a_step_by_hand():
    assert RESNET_20.other_macs == 2 * 3 * 16 * 9 * 32 * 32 + 3 * 640
    assert RESNET_20.step_macs == 3 * (RESNET_20.forward_macs - 640 - 3 * 16 * 9 * 32 * 32)
    planes = {16: 32 * 32, 32: 16 * 16, 64: 8 * 8}
    elements = RESNET_20.elements(128)
    # Of 18 layers, 6 a stage; a stage's first layer reads the planes of the stage before.
    assert elements.e == 6 * sum(channels * plane for channels, plane in planes.items())
    assert elements.a == 7 * 16 * 1024 + 6 * 32 * 256 + 5 * 64 * 64
    assert elements.w == 9 * (6 * 256 + 512 + 5 * 1024 + 2048 + 5 * 4096) / 128
    assert elements.total == math.fsum((elements.w, elements.a, elements.e))


def test_weights_are_quantized_once_a_step():
    one, many = RESNET_18.elements(1), RESNET_18.elements(256)
    assert one.w == 256 * many.w == sum(layer.weights for layer in RESNET_18.quantized)
    assert (one.a, one.e) == (many.a, many.e)


def test_shortcuts_read_what_their_block_reads():
    shortcuts = [layer for layer in RESNET_18.convolutions if layer.shortcut]
    assert [layer.in_channels for layer in shortcuts] == [64, 128, 256]
    read = sum(layer.inputs for layer in RESNET_18.quantized)
    assert read - RESNET_18.elements(1).a == sum(layer.inputs for layer in shortcuts)


def test_counts_of_a_layer():
    layer = Convolution(2, 3, 5, 2, 4)
    assert (layer.weights, layer.inputs, layer.outputs, layer.macs) == (150, 128, 48, 2400)
