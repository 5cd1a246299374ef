"""`export_layer`: the file holds the codes that the layer multiplies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from mlsmac.data.quantized import load_layer  # noqa: E402
from mlsmac.nn import (  # noqa: E402
    Float32Config,
    MlsConfig,
    convert,
    everything,
    export_layer,
    quantized_layers,
)

EXACT = MlsConfig(accumulate="exact", acc_width=13, acc_width_wgrad="auto", segment=5)
LABELS = torch.tensor([0, 3, 1, 4])


def made(config: MlsConfig, seed: int | None = None, **second: object) -> nn.Module:
    torch.manual_seed(5)
    parts = [nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()]
    shape = {"kernel_size": 3, "stride": 2, "padding": 1, **second}
    parts += [nn.Conv2d(3, 4, **shape), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten()]
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return convert(nn.Sequential(*parts, nn.Linear(36, 5)), config, everything, generator)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(6))


@pytest.fixture
def multiplied(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What a layer multiplies in a real step, by letter, and what comes out, by product."""

    def step(net: nn.Module, name: str, images: torch.Tensor) -> dict[str, Any]:
        layer = quantized_layers(net)[name]
        seen: dict[str, Any] = {}
        code, multiply = layer.code, MlsConfig.multiply

        def coded(x, letter, kind):
            seen[letter] = operand = code(x, letter, kind)
            return operand

        def product(config, kind, products, left, right):
            z = multiply(config, kind, products, left, right)
            if products.tally is layer.sums:
                seen[kind.value] = z.numpy().copy()
            return z

        monkeypatch.setattr(layer, "code", coded)
        monkeypatch.setattr(MlsConfig, "multiply", product)
        functional.cross_entropy(net(images), LABELS).backward()
        return seen

    return step


@pytest.mark.parametrize("name", ["0", "3", "7"])
@pytest.mark.parametrize("seed", [None, 2])
def test_codes_are_those_of_the_next_step(
    name: str, seed: int | None, images: torch.Tensor, tmp_path: Path, multiplied: Any
) -> None:
    net = made(EXACT, seed)
    export_layer(net, name, images, tmp_path / "x.npz", LABELS)
    layer = load_layer(tmp_path / "x.npz")
    seen = multiplied(net, name, images)
    for letter in "wae":
        ours, theirs = layer.tensors[letter], seen[letter]
        assert np.array_equal(ours.codes(), theirs.codes())
        assert np.array_equal(ours.scale_codes(), theirs.scale_codes())
        assert ours.tensor_scale == theirs.tensor_scale
    settings = dict(layer.settings)
    wide = settings.pop("acc_width_wgrad")
    for kind in layer.kinds:
        own = settings | ({"acc_width": wide} if kind == "ae" else {})
        if kind.value in seen:  # the first layer needs no gradient by its input
            assert layer.golden(kind, **own).z.tobytes() == seen[kind.value].tobytes()
    assert ("we" in seen) == (name != "0")


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("seed", [None, 2])
def test_float_products_are_of_the_same_codes(
    order: torch.memory_format,
    seed: int | None,
    images: torch.Tensor,
    tmp_path: Path,
    multiplied: Any,
) -> None:
    net, images = (x.to(memory_format=order) for x in (made(MlsConfig(), seed), images))
    layer = export_layer(net, "3", images, tmp_path / "x.npz", LABELS)
    seen = multiplied(net, "3", images)
    for letter in "wae":
        values = np.float32(layer.tensors[letter].dequantize())
        assert values.tobytes() == seen[letter].numpy().tobytes()
    assert layer.settings == {}


def test_the_file_says_what_the_layer_is(images: torch.Tensor, tmp_path: Path) -> None:
    net = made(EXACT).eval()
    before = [x.numpy().tobytes() for x in net.state_dict().values()]
    drawn = torch.get_rng_state()
    paths = tmp_path / "one.npz", tmp_path / "two.npz"
    for path in paths:
        with torch.no_grad():
            export_layer(net, "3", images, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    layer = load_layer(paths[0])
    assert (layer.name, layer.stride, layer.padding) == ("3", 2, 1)
    assert [kind.value for kind in layer.kinds] == ["wa"]
    assert layer.settings == {
        "acc_width": 13,
        "acc_width_wgrad": "auto",
        "overflow": "saturate",
        "segment": 5,
        "tree": "fp32",
        "guard_bits": 12,
    }
    assert layer.origin == {"layer": "3", "model": "Sequential", "training": False}
    assert [x.numpy().tobytes() for x in net.state_dict().values()] == before
    assert torch.equal(torch.get_rng_state(), drawn)
    assert not any(layer.sums for layer in quantized_layers(net).values())


@pytest.mark.parametrize(
    ("config", "name", "kind", "rule"),
    [
        (MlsConfig(), "1", ValueError, r"name must be of .* \(0, 3, 7\), not '1'"),
        (Float32Config(), "3", TypeError, "3 must be converted with an MlsConfig, not Float32C"),
        (MlsConfig(group="n"), "3", ValueError, "3: group must be 'nc' for exact sums"),
        (MlsConfig(e={"element": "2,1"}), "3", ValueError, "3: element must be the same of all"),
    ],
)
def test_layers_that_are_no_mls_layers(
    config: MlsConfig, name: str, kind: type, rule: str, images: torch.Tensor, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=rule):
        export_layer(made(config), name, images, tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())


def test_layers_that_golden_has_no_convolution_of(images: torch.Tensor, tmp_path: Path) -> None:
    net = made(MlsConfig(), dilation=2)
    with pytest.raises(ValueError, match=r"^3: dilation must be \(1, 1\) for exact sums"):
        export_layer(net, "3", images, tmp_path / "x.npz")
    plain = nn.Conv2d(2, 2, 1)
    with pytest.raises(ValueError, match=r"converted layers .none, as it is not converted., not"):
        export_layer(nn.Sequential(plain), "0", images, tmp_path / "x.npz")
    twice = convert(nn.Sequential(plain, plain), MlsConfig(), everything)
    with pytest.raises(ValueError, match=r"^0 must be called once in a step, not 2 times"):
        export_layer(twice, "0", images, tmp_path / "x.npz", loss=torch.sum)
    assert not list(tmp_path.iterdir())
