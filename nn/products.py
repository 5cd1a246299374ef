"""The three products of a layer in training: output, input gradient, weight gradient."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..golden.conv import ConvResult, conv2d, conv2d_input_grad, conv2d_weight_grad
from ..golden.lowering import Kind
from ..golden.quantize import MlsTensor
from .arrays import from_numpy

Pair = tuple[int, int]


@dataclass
class Sums:
    """How many accumulated sums there were, and how many of them overflowed."""

    overflows: int = 0
    sums: int = 0

    @property
    def rate(self) -> float:
        """Share of sums that overflowed, 0..1; NaN where there was none."""
        return self.overflows / self.sums if self.sums else float("nan")


@dataclass(frozen=True)
class Products:
    """Shapes of a layer's products. A linear layer is a convolution of 1 x 1 outputs, whose kernel
    is as large as its inputs, (n, 1, 1, features): its groups "nc" are rows.

    Members:
        stride, padding, dilation: of rows and columns; groups: of channels, as torch has them.
        input_size, kernel_size: rows and columns.
        tally: where exact products add their sums, by kind.
    """

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    input_size: Pair
    kernel_size: Pair
    tally: dict[Kind, Sums] = field(default_factory=dict)

    def multiply(self, kind: Kind, left: Tensor, right: Tensor) -> Tensor:
        """In float32: `left` and `right` are W and A, W and E, or A and E."""
        if kind is Kind.WA:
            shape = (self.stride, self.padding, self.dilation, self.groups)
            return torch.nn.functional.conv2d(right, left, None, *shape)
        if kind is Kind.WE:
            a = _like(right, (right.shape[0], left.shape[1] * self.groups, *self.input_size))
            return self._backward(right, a, left, 0)
        w = _like(right, (right.shape[1], left.shape[1] // self.groups, *self.kernel_size))
        return self._backward(right, left, w, 1)

    def _backward(self, e: Tensor, a: Tensor, w: Tensor, which: int) -> Tensor:
        """Gradient by `a` (0) or `w` (1), of whose values the other is not read."""
        wanted = [which == 0, which == 1, False]
        shape = (self.stride, self.padding, self.dilation, False, (0, 0), self.groups)
        grads = torch.ops.aten.convolution_backward(e, a, w, None, *shape, wanted)
        return grads[which]

    def exact(self, kind: Kind, left: MlsTensor, right: MlsTensor, **options: Any) -> Tensor:
        """By golden's convolutions, with their options; adds to `tally`."""
        calls: dict[Kind, tuple[Callable[..., ConvResult], dict[str, Any]]] = {
            Kind.WA: (conv2d, {}),
            Kind.WE: (conv2d_input_grad, {"input_size": self.input_size}),
            Kind.AE: (conv2d_weight_grad, {"kernel_size": self.kernel_size}),
        }
        call, sizes = calls[kind]
        options |= {"stride": self.stride[0], "padding": self.padding[0]}
        one_place = self.kernel_size == self.input_size and options["padding"] == 0
        if kind is Kind.WE and one_place and options.get("segment") is None:
            # Each input has one product with each output: the same sums in the same order as among
            # the zeros that a moving kernel would meet, as many times fewer as it has elements.
            result = conv2d(_transposed(left), right, **options)
        else:
            result = call(left, right, **sizes, **options)
        sums = self.tally.setdefault(kind, Sums())
        sums.overflows += result.overflow_count
        sums.sums += result.sum_count
        if kind is Kind.WE:
            return from_numpy(result.z.reshape(len(result.z), -1, *self.input_size))
        return from_numpy(result.z)

    def check_exact(self) -> None:
        """Raises: ValueError for what golden has no convolution of."""
        for name, pair in (("stride", self.stride), ("padding", self.padding)):
            if pair[0] != pair[1]:
                rule = f"{name} must be the same of rows and columns for exact sums"
                raise ValueError(f"{rule}, not {pair!r}")
        for name, value, only in (("dilation", self.dilation, (1, 1)), ("groups", self.groups, 1)):
            if value != only:
                raise ValueError(f"{name} must be {only!r} for exact sums, not {value!r}")


def _transposed(w: MlsTensor) -> MlsTensor:
    """Elements (co, ci, kh, kw), each with its group's scale, as (ci kh kw, co, 1, 1)."""

    def turned(field: npt.NDArray[Any]) -> npt.NDArray[Any]:
        every = np.broadcast_to(field, w.shape).reshape(w.shape[0], -1)
        return np.ascontiguousarray(every.T)[:, :, np.newaxis, np.newaxis]

    return replace(
        w,
        sign=turned(w.sign),
        exp=turned(w.exp),
        man=turned(w.man),
        scale_exp=turned(w.scale_exp),
        scale_man=turned(w.scale_man),
    )


def _like(e: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Without values, in the memory format of `e`: another one would be copied to it."""
    last = e.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=e.dtype, device=e.device, memory_format=order)
