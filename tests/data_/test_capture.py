"""The training script: its convolution is PyTorch's where nothing is quantized; what it records."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("sklearn", reason="needs the extra 'train'")

from mlsmac import data  # noqa: E402
from mlsmac.data import capture  # noqa: E402


def gradients(layer, a, e):
    a = a.clone().requires_grad_()
    z = layer(a)
    layer.zero_grad()
    z.backward(e)
    return z.detach(), a.grad, layer.weight.grad


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 2)])
def test_unquantized_convolution_is_the_plain_one(kernel: int, stride: int) -> None:
    torch.manual_seed(3)
    ours = capture.Convolution(4, 6, kernel, stride, lambda x: x)
    plain = torch.nn.Conv2d(4, 6, kernel, stride, padding=kernel // 2, bias=False)
    plain.load_state_dict(ours.state_dict())
    a = torch.randn(2, 4, 8, 8)
    e = torch.randn_like(plain(a))
    for got, expected in zip(gradients(ours, a, e), gradients(plain, a, e), strict=True):
        assert torch.allclose(got, expected, atol=1e-5)


def test_each_operand_is_quantized_once_and_recorded_before() -> None:
    torch.manual_seed(3)
    seen = []

    def doubled(x):
        seen.append(x.clone())
        return 2 * x

    layer = capture.Convolution(2, 3, 3, 1, doubled)
    layer.tensors = {}
    a, e = torch.randn(1, 2, 5, 5), torch.randn(1, 3, 5, 5)
    z, by_a, by_w = gradients(layer, a, e)
    plain = torch.nn.Conv2d(2, 3, 3, padding=1, bias=False)
    plain.load_state_dict(layer.state_dict())
    for got, expected in zip((z, by_a, by_w), gradients(plain, a, e), strict=True):
        assert torch.allclose(got, 4 * expected, atol=1e-5)
    for key, tensor, quantized in zip("awe", (a, layer.weight, e), seen, strict=True):
        assert torch.equal(layer.tensors[key], tensor)
        assert torch.equal(quantized, tensor)


def test_a_short_run_writes_a_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.npz"
    assert capture.main(["-o", str(path), "--epochs", "1", "--samples", "2"]) == 0
    assert "accuracy float32 0." in capsys.readouterr().out
    layers = data.load(path)
    assert [layer.phase for layer in layers] == ["early"] * 5 + ["late"] * 5
    assert all(len(layer.a) == len(layer.e) == 2 for layer in layers)
    assert data.metadata(path)["command"].endswith(
        "-o x.npz --seed 1 --epochs 1 --early-step 5 --samples 2"
    )
    assert np.isfinite(np.concatenate([layer.e.ravel() for layer in layers])).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs must be in 1..1000, not 0"),
        (["--samples", "65"], "--samples must be in 1..64, not 65"),
        (["--epochs", "1", "--early-step", "21"], "--early-step must be in 0..20, not 21"),
        (["--seed", "-1"], "--seed must be in 0..2147483647, not -1"),
        (["-o", "missing/x.npz"], "--output must be a file in a writable folder"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        capture.main(["-o", "x.npz", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
