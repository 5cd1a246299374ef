"""Layers of convolutional networks, quantized: those that the benches of tiles run."""

from collections.abc import Iterator, Mapping

import numpy as np

from ..data import load
from ..data.quantized import QuantizedLayer
from ..golden.quantize import Float32, quantize
from ..golden.spec import MLS_E2M4, SCALE_E8M1, ScaleFormat

# (name, ci, co, plane, kernel, stride): ResNet-20's layers that no capture has, on 32 x 32 images.
_RESNET20 = (
    ("first", 3, 16, 32, 3, 1),
    ("stage 1", 16, 16, 32, 3, 1),
    ("stage 2 down", 16, 32, 32, 3, 2),
    ("stage 2 shortcut", 16, 32, 32, 1, 2),
    ("stage 2", 32, 32, 16, 3, 1),
    ("stage 3 down", 32, 64, 16, 3, 2),
    ("stage 3 shortcut", 32, 64, 16, 1, 2),
    ("stage 3", 64, 64, 8, 3, 1),
)
_SAMPLES = 2
_SPREAD = 20


def layers(seed: int, scale: ScaleFormat = SCALE_E8M1) -> Iterator[QuantizedLayer]:
    """The captured layers, then ResNet-20's on normal data whose groups spread over 2^-20."""
    for layer in load():
        name = f"{layer.name} {layer.phase}"
        yield _quantized(name, layer.tensors(), layer.stride, layer.padding, scale)
    rng = np.random.default_rng(seed)
    for name, ci, co, plane, kernel, stride in _RESNET20:
        out = (plane - 1) // stride + 1
        shapes = {
            "w": (co, ci, kernel, kernel),
            "a": (_SAMPLES, ci, plane, plane),
            "e": (_SAMPLES, co, out, out),
        }
        tensors = {letter: _spread_normal(rng, shape) for letter, shape in shapes.items()}
        yield _quantized(f"ResNet-20 {name}", tensors, stride, kernel // 2, scale)


def _spread_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Float32:
    scale = np.exp2(-rng.uniform(0, _SPREAD, (*shape[:2], 1, 1)))
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def _quantized(
    name: str, tensors: Mapping[str, Float32], stride: int, padding: int, scale: ScaleFormat
) -> QuantizedLayer:
    codes = {
        letter: quantize(x, MLS_E2M4, scale, rounding="nearest") for letter, x in tensors.items()
    }
    return QuantizedLayer(name, codes, stride, padding)
