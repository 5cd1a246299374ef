"""`convert`: which layers change, what stays."""

import pytest
import torch
from torch import nn

from mlsmac.nn import (
    Float32Config,
    MlsConfig,
    MlsConv2d,
    MlsLinear,
    QuantizedConv2d,
    convert,
    everything,
    quantized_layers,
    resnet8,
    resnet20,
)


def _network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, bias=False), nn.Flatten(),
        nn.Linear(36, 8), nn.Linear(8, 3),
    )  # fmt: skip


def test_first_and_last_stay_and_weights_too():
    model = _network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator()
    assert convert(model, MlsConfig(), generator=generator) is model
    assert [type(layer) for layer in model] == [
        nn.Conv2d, nn.ReLU, MlsConv2d, nn.Flatten, MlsLinear, nn.Linear,
    ]  # fmt: skip
    assert list(quantized_layers(model)) == ["2", "4"]
    assert model[2].generator is generator
    assert model[4].name == "4"
    state = model.state_dict()
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in before)
    assert model[2].stride == (2, 2)
    assert model[2].bias is None


def test_another_config_replaces_the_first():
    model = convert(_network(), MlsConfig())
    config = MlsConfig(element="2,1")
    convert(model, config, everything)
    assert {layer.config for layer in quantized_layers(model).values()} == {config}
    assert len(quantized_layers(model)) == 4
    convert(model, Float32Config())
    assert type(model[2]) is QuantizedConv2d


def test_a_shared_layer_stays_shared():
    shared = nn.Linear(4, 4)
    model = convert(nn.Sequential(nn.Linear(4, 4), shared, shared, nn.Linear(4, 2)), MlsConfig())
    assert isinstance(model[1], MlsLinear)
    assert model[1] is model[2]


def test_a_layer_alone_is_returned():
    layer = nn.Linear(4, 2)
    made = convert(layer, MlsConfig(), everything)
    assert isinstance(made, MlsLinear)
    assert made.weight is layer.weight


def test_nothing_changes_where_a_layer_cannot():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1, groups=2))
    with pytest.raises(ValueError, match="2: groups must be 1 for exact sums, not 2"):
        convert(model, MlsConfig(accumulate="exact"), everything)
    assert not quantized_layers(model)


def test_a_config_is_needed():
    with pytest.raises(TypeError, match="config must be a Config, not 'mls'"):
        convert(_network(), "mls")
    with pytest.raises(TypeError, match="config must be an MlsConfig"):
        MlsConv2d(4, 4, 1, config=Float32Config())


def test_copies_train_apart():
    import copy

    model = convert(_network(), MlsConfig())
    twin = copy.deepcopy(model)
    twin(torch.randn(2, 1, 9, 9)).sum().backward()
    assert model[2].weight.grad is None
    assert twin[2].weight.grad is not None


@pytest.mark.parametrize(("make", "layers"), [(resnet8, 10), (resnet20, 20)])
def test_residual_networks(make, layers):
    model = make(channels=3)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(convolutions) == layers
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_resnet20_has_the_papers_operations():
    """Table 1 of the MLS paper has 4.05e7 MACs forward, rounded down."""
    model, counted = resnet20(), []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda m, _, z: counted.append(m.weight.numel() * z.shape[2] * z.shape[3])
            )
    model(torch.zeros(1, 3, 32, 32))
    assert sum(counted) == 40_550_400
