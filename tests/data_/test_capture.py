"""The training script: what it records, and what it says of wrong arguments."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("sklearn", reason="needs the extra 'train'")

from mlsmac import data  # noqa: E402
from mlsmac.data import capture  # noqa: E402


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
