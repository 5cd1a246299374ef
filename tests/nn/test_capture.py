"""`capture`: operands of one step, of a model that stays as it is."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from mlsmac import data  # noqa: E402
from mlsmac.nn import MlsConfig, capture, convert, everything, quantized_layers  # noqa: E402
from mlsmac.study.stimuli.own import read  # noqa: E402


class Net(nn.Module):
    """Two convolutions that a capture can hold, with what changes at every step between them."""

    def __init__(self, **second: object) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.25)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 4, **{"kernel_size": 1, "stride": 2, "bias": False, **second})
        self.classify = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.relu(self.norm(self.drop(self.relu(self.first(x)))))
        return self.classify(self.second(a).mean(dim=(2, 3)))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(5)
    return Net()


def step() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(6)
    return torch.randn(6, 2, 7, 7, generator=rng), torch.arange(6) % 3


def observed(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, dict]:
    """What the layers really multiply in a real step."""
    seen: dict[str, dict] = {}
    for name, layer in quantized_layers(net).items():
        own = seen.setdefault(name, {})
        layer.observer = lambda letter, x, own=own: own.update({letter: x.detach().clone()})
    functional.cross_entropy(net(images), labels).backward()
    return seen


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seeded", [True, False])
def test_it_takes_what_the_next_step_multiplies(net: Net, training: bool, seeded: bool) -> None:
    generator = torch.Generator().manual_seed(2) if seeded else None
    convert(net, MlsConfig(), everything, generator).train(training)
    layers = capture(net, *step(), samples=None)
    seen = observed(net, *step())
    assert [layer.name for layer in layers] == ["first", "second", "classify"]
    for layer in layers:
        for letter, tensor in layer.tensors().items():
            assert tensor.tobytes() == seen[layer.name][letter].numpy().tobytes(), layer.name
    assert [(x.stride, x.padding, x.phase) for x in layers[:2]] == [(1, 1, "own"), (2, 0, "own")]


def test_plain_layers_give_what_converted_ones_do_without_coding(net: Net) -> None:
    images, labels = step()
    layers = capture(net, images, labels, samples=2)
    assert [layer.a.shape for layer in layers] == [(2, 2, 7, 7), (2, 4, 7, 7), (2, 4, 1, 1)]
    net.eval()
    first, *_ = capture(net, images, labels, samples=None)
    z = net.first(images).detach().requires_grad_()
    rest = net.classify(net.second(net.norm(torch.relu(z)).relu()).mean(dim=(2, 3)))
    (e,) = torch.autograd.grad(functional.cross_entropy(rest, labels), z)
    assert np.array_equal(first.a, images.numpy())
    assert np.array_equal(first.w, net.first.weight.detach().numpy())
    assert np.allclose(first.e, e.numpy(), atol=1e-7)


def test_the_model_stays_as_it_is(net: Net) -> None:
    convert(net, MlsConfig(scaling="delayed"))
    images, labels = step()
    functional.cross_entropy(net(images), labels).backward()
    net.classify.weight.requires_grad_(False)
    generator = torch.Generator().manual_seed(4)
    for layer in quantized_layers(net).values():
        layer.generator = generator

    def everything_else() -> list[bytes]:
        tensors = [*net.state_dict().values(), *(p.grad for p in net.parameters())]
        tensors += [layer.tensor_scales for layer in quantized_layers(net).values()]
        tensors += [torch.get_rng_state(), generator.get_state()]
        return [x.numpy().tobytes() for x in tensors if x is not None]

    before = everything_else()
    with torch.no_grad():
        first = capture(net, images, labels)
    assert everything_else() == before
    assert not net.first._forward_hooks
    again = capture(net, images, loss=lambda z: functional.cross_entropy(z, labels))
    for one, other in zip(first, again, strict=True):
        assert all(np.array_equal(one.tensors()[x], other.tensors()[x]) for x in "wae")


def test_without_names_converted_layers_are_taken_or_all(net: Net) -> None:
    convert(net, MlsConfig())
    assert [layer.name for layer in capture(net, *step())] == ["second"]
    assert [x.name for x in capture(net, *step(), layers=["classify", "first"], phase="late")] == [
        "classify",
        "first",
    ]


def test_a_report_reads_the_file(net: Net, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    layers = capture(net, *step())
    data.save(path, layers)
    for loaded, layer in zip(read(path), layers, strict=True):
        assert (loaded.name, loaded.phase, loaded.stride) == (layer.name, "own", layer.stride)
        assert all(np.array_equal(loaded.tensors()[x], layer.tensors()[x]) for x in "wae")


@pytest.mark.parametrize(
    ("second", "rule"),
    [
        ({"groups": 2}, "groups must be 1, not 2"),
        ({"kernel_size": 3, "dilation": 2}, r"dilation must be \(1, 1\), not \(2, 2\)"),
        ({"stride": (1, 2)}, r"stride must be the same of rows and columns, not \(1, 2\)"),
        ({"kernel_size": 3, "stride": 1, "padding": "same"}, "padding must be .*, not 'same'"),
        ({"kernel_size": 3, "padding": 1, "padding_mode": "circular"}, "padding_mode must be"),
        ({"kernel_size": (3, 1)}, r"w must be of shape \(co, 4, k, k\)"),
        ({"padding": 1}, r"padding must be in 0\.\.0, not 1"),
    ],
)
def test_what_a_capture_cannot_hold(second: dict[str, object], rule: str) -> None:
    net = Net(**second)
    with pytest.raises(ValueError, match=f"^second: {rule}"):
        capture(net, *step(), layers=["first", "second"])
    with pytest.warns(UserWarning, match=rf"^not captured: second \({rule}"):
        layers = capture(net, *step())
    assert [layer.name for layer in layers] == ["first", "classify"]


class Odd(nn.Module):
    """A layer that is called twice, one that is never called, one that the loss does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never, self.aside = (nn.Conv2d(2, 2, 1) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.aside(x)
        return self.twice(self.twice(x)).mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("twice", "it must be called once in a step, not 2 times"),
        ("never", "it must be called once in a step, not 0 times"),
        ("aside", "the loss must depend on it"),
    ],
)
def test_layers_that_have_no_tensors_of_a_step(name: str, rule: str) -> None:
    images, labels = step()
    with pytest.raises(ValueError, match=f"^{name}: {rule}$"):
        capture(Odd(), images, labels % 2, layers=[name])
    with pytest.raises(ValueError, match=r"^model must .*, not twice .*; never"):
        capture(Odd(), images, labels % 2)


def test_wrong_requests(net: Net) -> None:
    images, labels = step()
    for arguments, kind, rule in (
        ({}, ValueError, "labels or a loss must be given, not None"),
        ({"labels": labels, "samples": 0}, ValueError, r"samples must be in 1\.\."),
        ({"labels": labels, "layers": ["norm"]}, ValueError, "layers must be of first, second, cl"),
        ({"labels": labels, "layers": "first"}, TypeError, "layers must be a list of paths"),
        ({"loss": lambda z: z.sum() * float("nan")}, FloatingPointError, "^first, e: it must be"),
    ):
        with pytest.raises(kind, match=rule):
            capture(net, images, **arguments)
    with pytest.raises(ValueError, match=r"^model must have .* captured, not none$"):
        capture(nn.ReLU(), images.requires_grad_(), loss=torch.sum)
