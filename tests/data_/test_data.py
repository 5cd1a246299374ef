"""The committed capture: complete, real, small; the file format and its errors."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlsmac import data
from mlsmac.data import Layer

LIMIT = 2_000_000


def small_layer(**changes: object) -> Layer:
    rng = np.random.default_rng(7)
    fields = {
        "name": "conv",
        "phase": "early",
        "w": rng.standard_normal((2, 3, 3, 3)).astype(np.float32),
        "a": rng.standard_normal((1, 3, 6, 5)).astype(np.float32),
        "e": rng.standard_normal((1, 2, 3, 3)).astype(np.float32),
        "stride": 2,
        "padding": 1,
    }
    return Layer(**(fields | changes))


def test_capture_holds_what_the_report_needs() -> None:
    layers = data.load()
    assert len({layer.name for layer in layers}) >= 4
    assert len({(layer.name, layer.phase) for layer in layers}) == len(layers)
    for phase in data.PHASES:
        own = [layer for layer in layers if layer.phase == phase]
        assert {layer.name for layer in own} == {layer.name for layer in layers}
        shapes = {(layer.w.shape[2], layer.stride) for layer in own}
        assert {(3, 1), (3, 2)} <= shapes
        assert any(kernel == 1 for kernel, _ in shapes)


def test_captured_tensors_are_finite_and_alive() -> None:
    for layer in data.load():
        for tensor in layer.tensors().values():
            assert np.isfinite(tensor).all()
            assert tensor.any()
        assert (layer.a >= 0).all(), "activations come out of a ReLU"
        assert 0.05 < (layer.a == 0).mean() < 0.95
        assert (layer.e < 0).any()


def test_phases_are_two_moments_of_one_training() -> None:
    layers = {(layer.name, layer.phase): layer for layer in data.load()}
    for (name, phase), layer in layers.items():
        if phase == "early":
            late = layers[name, "late"]
            assert late.w.shape == layer.w.shape
            assert not np.array_equal(late.w, layer.w)


def test_metadata_says_how_the_capture_was_made() -> None:
    described = data.metadata()
    assert described["command"].startswith("python -m mlsmac.data.capture ")
    assert f"--seed {described['seed']}" in described["command"]
    assert {"python", "numpy", "torch", "scikit-learn"} <= set(described["versions"])
    assert set(described["accuracy"]) == {"float32", "mls"}
    readme = " ".join((Path(data.__file__).parent / "README.md").read_text().split())
    assert described["command"] in readme
    for share in described["accuracy"].values():
        assert share > 0.9
        assert f"{100 * share:.2f} %" in readme
    for version in described["versions"].values():
        assert version in readme


def test_capture_is_small() -> None:
    assert (Path(data.__file__).parent / data.CAPTURE_FILE).stat().st_size <= LIMIT


def test_loading_needs_no_training_libraries() -> None:
    code = (
        "import sys; from mlsmac import data; data.load();"
        "print(sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


@pytest.mark.parametrize("missing", ["torch", "sklearn"])
def test_capture_without_the_extra_is_one_line_and_exit_2(missing: str, tmp_path: Path) -> None:
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Missing())
from mlsmac.data import capture
sys.exit(capture.main(["-o", {str(tmp_path / "x.npz")!r}]))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: No module named {missing!r}; ")
    assert line.endswith("pip install 'mlsmac[train]'")


def test_saved_layers_load_again(tmp_path: Path) -> None:
    layer = small_layer()
    path = tmp_path / "x.npz"
    data.save(path, [layer], {"seed": 3})
    (loaded,) = data.load(path)
    assert data.metadata(path)["seed"] == 3
    assert (loaded.name, loaded.phase, loaded.stride, loaded.padding) == ("conv", "early", 2, 1)
    for key, tensor in layer.tensors().items():
        assert np.array_equal(loaded.tensors()[key], tensor)


def test_same_content_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.save(tmp_path / "one.npz", [small_layer()], {"seed": 3, "command": "x"})
    monkeypatch.setattr("time.time", lambda: 2e9)
    data.save(tmp_path / "two.npz", [small_layer()], {"command": "x", "seed": 3})
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_committed_bytes_are_what_save_writes_of_them(tmp_path: Path) -> None:
    """Whoever repacks the file must not change a tensor or the metadata in passing."""
    described = data.metadata()
    del described["layers"]
    data.save(tmp_path / "again.npz", data.load(), described)
    assert data.metadata(tmp_path / "again.npz") == data.metadata()
    for again, layer in zip(data.load(tmp_path / "again.npz"), data.load(), strict=True):
        assert all(np.array_equal(again.tensors()[key], layer.tensors()[key]) for key in "wae")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"phase": "middle"}, ValueError, "phase must be one of"),
        ({"stride": 1}, ValueError, r"e must be of shape \(1, 2, 6, 5\), not \(1, 2, 3, 3\)"),
        ({"stride": 0}, ValueError, r"stride must be in 1\.\.8, not 0"),
        ({"stride": 2.0}, TypeError, "stride must be an integer"),
        ({"padding": 3}, ValueError, r"padding must be in 0\.\.2, not 3"),
        ({"a": np.zeros((1, 3, 6, 5))}, TypeError, "a must be a float32 array, not float64"),
        ({"a": np.zeros((3, 6, 5), np.float32)}, ValueError, "a must be of rank 4, not 3"),
        ({"w": np.zeros((2, 4, 3, 3), np.float32)}, ValueError, r"w must be of shape \(co, 3, k"),
        ({"w": np.zeros((2, 3, 3, 1), np.float32)}, ValueError, r"w must be of shape \(co, 3, k"),
    ],
)
def test_layer_refuses(changes: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        small_layer(**changes)


def test_layer_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        small_layer().stride = 1  # type: ignore[misc]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        data.load(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_file_that_is_no_capture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.npz must be a capture file"):
        data.load(path)


def test_archive_without_metadata(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz must be a capture file"):
        data.load(path)
