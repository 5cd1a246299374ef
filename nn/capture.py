"""Operands of a model's layers before they are coded, for `mlsmac report --tensors`."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..data import OWN, Layer
from ..golden.spec import check_int
from .convert import quantized_layers
from .passes import Loss, backward, check_objective, twin

_PLAIN = (("groups", 1), ("dilation", (1, 1)), ("padding_mode", "zeros"))
"""What a captured convolution must have."""
_WANTED = "a convolution or linear layer that can be captured"


def capture(
    model: nn.Module,
    batch: Any,
    labels: Tensor | None = None,
    *,
    loss: Loss | None = None,
    layers: Sequence[str] | None = None,
    samples: int | None = 8,
    phase: str = OWN,
) -> tuple[Layer, ...]:
    """W, A and E of a model's layers in one step, in the order of `layers` or of `modules()`:
    `mlsmac.data.save` writes them.

    The step is forward and backward in the mode that the model is in (training or evaluation), with
    the random words that its next step will draw; it happens in a copy, the model stays as it is.

    Parameters:
        model: converted or not; batch: what it is called with; labels: of a cross entropy, or
            `loss`: called with the model's output.
        layers: paths of convolutions and linear layers (which become convolutions of 1 x 1). None:
            the converted ones, where there is none all; a warning names those left out.
        samples: kept of the batch, from its beginning; None: all. For a linear layer: rows.
        phase: of the layers, for the file.
    Raises: TypeError, ValueError for what is no layer or does not fit a capture (square kernels,
        equal stride and padding, no dilation, one group of channels, one call in a step);
        FloatingPointError for operands that are not finite.
    """
    check_objective(labels, loss)
    if samples is not None:
        check_int("samples", samples, 1, 1 << 30)
    with twin(model) as own:
        taken = {name: _Taken(module) for name, module in _modules(own, layers).items()}
        backward(own(batch), labels, loss)
    captured, refused = [], []
    for name, each in taken.items():
        try:
            captured.append(each.layer(name or "layer", samples, phase))
        except (TypeError, ValueError) as error:
            if layers is not None:
                raise type(error)(f"{name or 'layer'}: {error}") from None
            refused.append(f"{name or 'layer'} ({error})")
    if not captured:
        raise ValueError(f"model must have {_WANTED}, not {'; '.join(refused) or 'none'}")
    if refused:
        warnings.warn(f"not captured: {'; '.join(refused)}", stacklevel=2)
    return tuple(captured)


def _modules(model: nn.Module, layers: Sequence[str] | None) -> dict[str, nn.Module]:
    """Raises: TypeError, ValueError for a path of no convolution or linear layer."""
    known = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    if layers is None:
        converted = quantized_layers(model)
        return {name: module for name, module in known.items() if name in (converted or known)}
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of paths, not {layers!r}")
    for name in layers:
        if name not in known:
            raise ValueError(f"layers must be of {', '.join(known)}, not {name!r}")
    return {name: known[name] for name in layers}


class _Taken:
    """What a layer is called with, and the gradient that comes back."""

    def __init__(self, module: nn.Module):
        self.module, self.calls = module, 0
        self.tensors: dict[str, Tensor] = {}
        module.register_forward_hook(self._forward)

    def _forward(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.calls += 1
        # A copy: layers behind may write to their input.
        self.tensors["a"] = inputs[0].detach().clone()
        output.register_hook(self._backward)

    def _backward(self, gradient: Tensor) -> None:
        self.tensors["e"] = gradient.detach().clone()

    def layer(self, name: str, samples: int | None, phase: str) -> Layer:
        """Raises: TypeError, ValueError, FloatingPointError."""
        if self.calls != 1:
            raise ValueError(f"it must be called once in a step, not {self.calls} times")
        if "e" not in self.tensors:
            raise ValueError("the loss must depend on it")
        stride, padding = self._geometry()
        arrays = {"w": self._array(self.module.weight)}
        arrays |= {key: self._array(self.tensors[key])[:samples] for key in "ae"}
        for key, array in arrays.items():
            if not np.isfinite(array).all():
                raise FloatingPointError(f"{name}, {key}: it must be finite")
        return Layer(name, phase, **arrays, stride=stride, padding=padding)

    def _array(self, tensor: Any) -> np.ndarray:
        """float32 in C order, of rank 4."""
        array = np.ascontiguousarray(tensor.detach().float().cpu().numpy())
        if isinstance(self.module, nn.Linear):
            return array.reshape(-1, array.shape[-1], 1, 1)
        return array

    def _geometry(self) -> tuple[int, int]:
        """Stride and padding. Raises: ValueError."""
        if isinstance(self.module, nn.Linear):
            return 1, 0
        for name, only in _PLAIN:
            if (value := getattr(self.module, name)) != only:
                raise ValueError(f"{name} must be {only!r}, not {value!r}")
        for name in ("stride", "padding"):
            value = getattr(self.module, name)
            if isinstance(value, str) or value[0] != value[1]:
                raise ValueError(f"{name} must be the same of rows and columns, not {value!r}")
        stride, padding = (getattr(self.module, name)[0] for name in ("stride", "padding"))
        return stride, padding
