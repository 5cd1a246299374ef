"""Weights, activations and errors of convolution layers, captured while a small network trained;
`networks` has networks by their layers.

`load()` returns the committed capture; `capture.py` made it (extra `train`), README.md says how.
"""

import importlib.resources
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..golden.spec import check_int
from ..support.files import write_whole
from .archive import to_bytes

MAX_STRIDE = 8
CAPTURE_FILE = "tensors.npz"
PHASES = ("early", "late")
OWN = "own"
"""Instead of a phase: tensors that a user brings."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution at one training step, before quantization.

    `z[n, co] = sum over ci of conv2d(a[n, ci], w[co, ci])`, cross-correlation as in deep
    learning, square kernel, equal stride and zero padding in both directions; `e` is the
    gradient of the loss by `z`.

    Parameters: `name`; `phase` "early" or "late"; float32 arrays `w` (co, ci, k, k),
    `a` (n, ci, h, w) and `e` (n, co, oh, ow) with oh = (h + 2 padding - k) // stride + 1, ow
    likewise; `stride` 1..8; `padding` 0..k - 1.
    Raises: TypeError for another kind, ValueError for another phase, stride or padding and for
    shapes that do not fit.
    """

    name: str
    phase: str
    w: np.ndarray
    a: np.ndarray
    e: np.ndarray
    stride: int
    padding: int

    def __post_init__(self) -> None:
        if self.phase not in (*PHASES, OWN):
            raise ValueError(f"phase must be one of {(*PHASES, OWN)}, not {self.phase!r}")
        for key, tensor in self.tensors().items():
            if tensor.dtype != np.float32:
                raise TypeError(f"{key} must be a float32 array, not {tensor.dtype}")
            if tensor.ndim != 4:
                raise ValueError(f"{key} must be of rank 4, not {tensor.ndim}")
        inputs, kernel = self.a.shape[1], self.w.shape[2]
        if self.w.shape[1:] != (inputs, kernel, kernel):
            raise ValueError(f"w must be of shape (co, {inputs}, k, k), not {self.w.shape}")
        check_int("stride", self.stride, 1, MAX_STRIDE)
        check_int("padding", self.padding, 0, kernel - 1)
        if self.e.shape != self._error_shape():
            raise ValueError(f"e must be of shape {self._error_shape()}, not {self.e.shape}")

    def _error_shape(self) -> tuple[int, ...]:
        reach = 2 * self.padding - self.w.shape[2]
        plane = [(size + reach) // self.stride + 1 for size in self.a.shape[2:]]
        return (self.a.shape[0], self.w.shape[0], *plane)

    def tensors(self) -> dict[str, np.ndarray]:
        """The three tensors under the names that stimuli and files use: "w", "a", "e"."""
        return {"w": self.w, "a": self.a, "e": self.e}


def save(path: Path, layers: Iterable[Layer], metadata: Mapping[str, Any] | None = None) -> None:
    """Write a capture, whole or not at all: the same bytes for the same content.

    Entries `<phase>/<name>/<w|a|e>` (float32) and
    `metadata`: a JSON string, the given mapping plus "layers", a list of `name`, `phase`, `stride`
    and `padding`.
    """
    layers = tuple(layers)
    described = [
        {"name": x.name, "phase": x.phase, "stride": x.stride, "padding": x.padding} for x in layers
    ]
    text = json.dumps({**(metadata or {}), "layers": described}, sort_keys=True)
    arrays = {"metadata": np.array(text)}
    for layer in layers:
        for key, tensor in layer.tensors().items():
            arrays[f"{layer.phase}/{layer.name}/{key}"] = tensor
    write_whole({path: to_bytes(arrays)})


def load(path: Path | None = None) -> tuple[Layer, ...]:
    """The layers of a capture, in file order; `path` None: the committed one.

    Raises: OSError for a file that cannot be read, ValueError for one that is no capture.
    """
    _, layers = _read(path)
    return layers


def metadata(path: Path | None = None) -> dict[str, Any]:
    """What made a capture: command, seed, versions, accuracies, steps; otherwise as `load`."""
    described, _ = _read(path)
    return described


def _read(path: Path | None) -> tuple[dict[str, Any], tuple[Layer, ...]]:
    source = importlib.resources.files(__name__) / CAPTURE_FILE if path is None else path
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            described = json.loads(str(archive["metadata"]))
            layers = tuple(
                Layer(**x, **{key: archive[f"{x['phase']}/{x['name']}/{key}"] for key in "wae"})
                for x in described["layers"]
            )
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{source.name} must be a capture file: {error}") from error
    return described, layers
