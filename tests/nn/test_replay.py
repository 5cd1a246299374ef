"""`replay`: the exact arm is golden's, the other two are what training computes."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from mlsmac.golden import (  # noqa: E402
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    min_acc_width,
    quantize,
)
from mlsmac.nn import (  # noqa: E402
    Float32Config,
    MlsConfig,
    Replay,
    convert,
    everything,
    quantized_layers,
    replay,
)
from mlsmac.nn.passes import reconfigured  # noqa: E402

NARROW = MlsConfig(acc_width=12)


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(5)
    parts = [nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()]
    parts += [nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.ReLU()]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(36, 5))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(6))


LABELS = torch.tensor([0, 3, 1, 4])


def logits(net: nn.Module, config: object, images: torch.Tensor) -> np.ndarray:
    convert(net, config).eval()
    with torch.no_grad():
        return net(images).numpy()


def test_rows_are_what_golden_says_of_the_same_operands(
    net: nn.Module, images: torch.Tensor
) -> None:
    seen: dict[str, torch.Tensor] = {}
    convert(net, NARROW.with_options(accumulate="exact")).eval()
    (layer,) = quantized_layers(net).values()
    layer.observer = lambda letter, x: seen.update({letter: x.detach().clone()})
    functional.cross_entropy(net(images), LABELS).backward()
    w, a, e = (
        quantize(seen[x].contiguous().numpy(), NARROW.element, NARROW.scale, rounding="nearest")
        for x in "wae"
    )
    shape = {"stride": 2, "padding": 1, "acc_width": 12}
    results = {
        "wa": conv2d(w, a, **shape),
        "we": conv2d_input_grad(w, e, input_size=(6, 6), **shape),
        "ae": conv2d_weight_grad(a, e, kernel_size=(3, 3), **shape),
    }
    record = replay(net, images, NARROW, LABELS)
    assert [(row.layer, row.product) for row in record.rows] == [("3", kind) for kind in results]
    for row in record.rows:
        result = results[row.product]
        assert (row.sums, row.overflows) == (result.sum_count, result.overflow_count)
        assert row.rate == record.rate(row.product) == row.overflows / row.sums
        assert (row.acc_width, row.overflows > 0) == (12, True)
    values = [torch.from_numpy(np.float32(x.dequantize())) for x in (w, a)]
    plain = functional.conv2d(values[1], values[0], stride=2, padding=1).double()
    apart = torch.from_numpy(results["wa"].z) - plain
    share = (apart.square().mean() / plain.square().mean()).sqrt().item()
    assert record.rows[0].deviation == pytest.approx(share, rel=1e-9)


def test_outputs_are_those_of_the_converted_models(net: nn.Module, images: torch.Tensor) -> None:
    record = replay(net, images, NARROW, LABELS)
    exact = NARROW.with_options(accumulate="exact")
    arms = {"float32": Float32Config(), "float": NARROW, "exact": exact}
    expected = {arm: logits(net, config, images) for arm, config in arms.items()}
    assert record.outputs.keys() == expected.keys()
    for arm, z in expected.items():
        assert record.outputs[arm].tobytes() == z.tobytes(), arm
        right = (z.argmax(axis=1) == LABELS.numpy()).mean()
        assert record.accuracy is not None
        assert record.accuracy[arm] == right
    for arm, difference in record.differences.items():
        apart = expected["exact"].astype(np.float64) - expected[arm]
        assert difference.largest == np.abs(apart).max() > 0
        assert difference.rms == pytest.approx((apart**2).mean() ** 0.5)
        same = expected["exact"].argmax(axis=1) == expected[arm].argmax(axis=1)
        assert difference.agreement == same.mean()


def test_a_proven_width_holds_every_sum(net: nn.Module, images: torch.Tensor) -> None:
    record = replay(net, images, MlsConfig(acc_width="auto"), LABELS)
    assert [row.acc_width for row in record.rows] == [19, 19, 19]
    assert [row.overflows for row in record.rows] == [0, 0, 0]
    assert all(row.deviation < 1e-6 for row in record.rows if row.deviation is not None)
    assert record.differences["float"].largest < 1e-5
    mixed = MlsConfig(acc_width=12, acc_width_wgrad="auto", segment=4)
    widths = [row.acc_width for row in replay(net, images, mixed, LABELS).rows]
    assert widths == [12, 12, min_acc_width(mixed.element, 4)]


def test_inference_has_one_product(net: nn.Module, images: torch.Tensor) -> None:
    record = replay(net, images, NARROW)
    assert [row.product for row in record.rows] == ["wa"]
    assert record.accuracy is None
    assert np.isnan(record.rate("ae"))
    by_loss = replay(net, images, NARROW, loss=lambda z: functional.cross_entropy(z, LABELS))
    assert by_loss.accuracy is None
    assert by_loss.rows == replay(net, images, NARROW, LABELS).rows


def test_converted_layers_are_replayed_and_the_model_stays(
    net: nn.Module, images: torch.Tensor
) -> None:
    convert(net, MlsConfig(scaling="delayed"), everything)
    net(images)
    layers = quantized_layers(net)
    before = [x.numpy().tobytes() for x in net.state_dict().values()]
    scales = {name: layer.tensor_scales.clone() for name, layer in layers.items()}
    configs = [layer.config for layer in layers.values()]
    drawn = torch.get_rng_state()
    first = replay(net, images, NARROW, LABELS)
    assert list(dict.fromkeys(row.layer for row in first.rows)) == ["0", "3", "6"]
    assert net.training
    assert [x.numpy().tobytes() for x in net.state_dict().values()] == before
    assert [layer.config for layer in layers.values()] == configs
    assert not any(layer.sums for layer in layers.values())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(parameter.grad is None for parameter in net.parameters())
    for name, layer in layers.items():
        assert torch.equal(layer.tensor_scales, scales[name])


def test_scales_of_the_step_before_are_those_of_the_model(
    net: nn.Module, images: torch.Tensor
) -> None:
    convert(net, MlsConfig(scaling="delayed"))
    net(images)
    (layer,) = quantized_layers(net).values()
    scales = layer.tensor_scales.clone()
    reconfigured(net, MlsConfig(scaling="delayed", acc_width=12), everything)
    again = quantized_layers(net)["3"]
    assert again is not layer
    assert scales.any()
    assert torch.equal(again.tensor_scales, scales)
    delayed = MlsConfig(scaling="delayed")
    before = replay(net, images, delayed).outputs["exact"]
    again.tensor_scales.div_(64)  # most elements are above the grid then
    assert not np.array_equal(replay(net, images, delayed).outputs["exact"], before)


def test_record_as_json_and_as_text(net: nn.Module, images: torch.Tensor) -> None:
    record = replay(net, images, NARROW, LABELS)
    read = json.loads(json.dumps(record.to_json(), allow_nan=False))
    assert [row["overflows"] for row in read["rows"]] == [row.overflows for row in record.rows]
    assert np.array_equal(np.float32(read["outputs"]["exact"]), record.outputs["exact"])
    assert read["accuracy"] == record.accuracy
    head, *lines = record.table().splitlines()
    assert head.split() == ["layer", "product", "bits", "sums", "overflows", "rate", "deviation"]
    for line, row in zip(lines, record.rows, strict=False):
        cells = line.split()
        assert cells[:5] == [row.layer, row.product, "12", str(row.sums), str(row.overflows)]
        assert float(cells[5].rstrip("%")) == pytest.approx(100 * row.rate, abs=5e-4)
    assert lines[3].startswith("overflows of all layers: wa ")
    assert lines[-1].startswith("accuracy: exact ")
    odd = Replay(record.rows, {"exact": np.float32([[np.inf, 1]])}, {}, None)
    assert odd.to_json()["outputs"] == {"exact": [[None, 1.0]]}


def test_wrong_requests(net: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="group must be 'nc' for exact sums, not 'n' of 'w'"):
        replay(net, images, MlsConfig(group="n"))
    with pytest.raises(ValueError, match="model must have a layer that is converted"):
        replay(net, images, NARROW, filter=lambda layer, name, model: False)
    net[3].dilation = (2, 2)
    with pytest.raises(ValueError, match=r"^3: dilation must be \(1, 1\) for exact sums"):
        replay(net, images, NARROW)
    with pytest.raises(TypeError, match=r"model must return a tensor \(n, classes\), not"):
        replay(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(0)), images, NARROW, filter=everything)
