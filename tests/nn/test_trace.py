"""Models as tables of layers: the project's own networks come out again."""

import pytest
import torch
from torch import nn

from mlsmac.data.network_file import network_table, parse_network
from mlsmac.data.networks import RESNET_20, Convolution
from mlsmac.nn import MlsConfig, convert, resnet8, resnet20, trace_network
from mlsmac.support.errors import UserError


@pytest.mark.parametrize("converted", [False, True])
def test_resnet20_is_the_papers_table(converted):
    model = resnet20()
    if converted:
        convert(model, MlsConfig())
    found = trace_network(model, torch.zeros(128, 3, 32, 32), name="ResNet-20", data="CIFAR-10")
    assert found == RESNET_20
    assert model.training


def test_projections_are_shortcuts_and_files_come_back():
    found = trace_network(resnet8(channels=1), torch.zeros(4, 1, 16, 16), name="small", data="x")
    shortcuts = [layer for layer in found.convolutions if layer.shortcut]
    assert [(x.in_channels, x.out_channels, x.stride) for x in shortcuts] == [
        (16, 32, 2),
        (32, 64, 2),
    ]
    assert sum(layer.adds for layer in found.convolutions) == 3
    assert found.classifier == Convolution(64, 10, 1, 1, 1, normalized=False)
    assert parse_network(network_table(found)) == found


def test_what_is_no_network_is_refused():
    with pytest.raises(UserError, match="tiny must have three layers or more"):
        trace_network(nn.Linear(4, 4), torch.zeros(1, 4), name="tiny", data="x")
    oblong = nn.Sequential(nn.Conv2d(1, 1, (1, 3)), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    with pytest.raises(ValueError, match=r"0: kernel must be square, not \(1, 3\)"):
        trace_network(oblong, torch.zeros(1, 1, 8, 8), name="oblong", data="x")
