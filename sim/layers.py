"""Layers of convolutional networks, quantized, with what golden's convolutions make of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import load
from ..golden.conv import ConvResult, conv2d, conv2d_input_grad, conv2d_weight_grad
from ..golden.lowering import Convolution, Kind, convolution
from ..golden.quantize import Float32, MlsTensor, quantize
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


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """Tensors `w`, `a`, `e` by letter, and the geometry of the layer."""

    name: str
    tensors: Mapping[str, MlsTensor]
    stride: int
    padding: int

    def operands(self, kind: Kind) -> tuple[MlsTensor, MlsTensor]:
        """Tensors on the ports `w` and `a`."""
        return self.tensors[kind[0]], self.tensors[kind[1]]

    def convolution(self, kind: Kind, segment: int | None = None) -> Convolution:
        """What an output is made of."""
        w, a = self.operands(kind)
        place: dict[str, Any] = {"stride": self.stride, "padding": self.padding}
        return convolution(kind, w.shape, a.shape, **place, size=self._size(kind), segment=segment)

    def golden(self, kind: Kind, **options: Any) -> ConvResult:
        """All outputs."""
        place: dict[str, Any] = {"stride": self.stride, "padding": self.padding, **options}
        if kind == Kind.WA:
            return conv2d(*self.operands(kind), **place)
        if kind == Kind.WE:
            return conv2d_input_grad(*self.operands(kind), input_size=self._size(kind), **place)
        return conv2d_weight_grad(*self.operands(kind), kernel_size=self._size(kind), **place)

    def _size(self, kind: Kind) -> Any:
        planes = {Kind.WA: None, Kind.WE: self.tensors["a"], Kind.AE: self.tensors["w"]}[kind]
        return None if planes is None else planes.shape[2:]


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
