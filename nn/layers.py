"""Layers whose three products have coded operands: `QuantizedConv2d` and `QuantizedLinear`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..golden.lowering import Kind
from .arrays import Generator
from .config import LETTERS, Config, Context
from .mls import MlsConfig
from .products import Products, Sums

Observer = Callable[[str, Tensor], None]
"""Called with a letter and an operand, rank 4, before it is coded."""


class _Multiply(torch.autograd.Function):
    """`z = W * A`, then `dA = W * E` and `dW = A * E` of coded operands, straight through the
    coding (Algorithm 2 of the MLS paper).
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, w: Tensor, layer: "QuantizedLayer") -> Tensor:
        ctx.layer, ctx.products = layer, layer.products(a, w)
        ctx.coded = {x: layer.code(y, x, Kind.WA) for x, y in (("a", a), ("w", w))}
        again = [y if x in layer.config.separate else None for x, y in (("a", a), ("w", w))]
        ctx.save_for_backward(*again)
        return layer.config.multiply(Kind.WA, ctx.products, ctx.coded["w"], ctx.coded["a"])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, e: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        layer, coded = ctx.layer, dict(ctx.coded)
        raw = {"e": e, **dict(zip("aw", ctx.saved_tensors, strict=True))}
        grads: dict[Kind, Tensor] = {}
        for kind, needed in zip((Kind.WE, Kind.AE), ctx.needs_input_grad, strict=False):
            if not needed:
                continue
            for letter in kind.value:
                if letter not in coded or letter in layer.config.separate:
                    coded[letter] = layer.code(raw[letter], letter, kind)
            left, right = (coded[letter] for letter in kind.value)
            grads[kind] = layer.config.multiply(kind, ctx.products, left, right)
        return grads.get(Kind.WE), grads.get(Kind.AE), None


class QuantizedLayer(nn.Module):
    """What layers with coded operands share.

    Members:
        config: the number format; another one counts from the next step on.
        generator: where random words come from; None: torch's default generator.
        name: for errors; `convert` sets the path in the model.
        observer: called with operands before they are coded; None: nobody.
        sums: of exact products by kind, since its last `clear()`.
        tensor_scales: (3,) float32, of W, A and E in the step before, for delayed scaling; zero
            where there is none yet.
    """

    tensor_scales: Tensor

    def set_up(self, config: Config) -> None:
        """Give the layer a format. Raises: TypeError, ValueError."""
        if not isinstance(config, Config):
            raise TypeError(f"config must be a Config, not {config!r}")
        self.config, self.name = config, ""
        self.generator: Generator = None
        self.observer: Observer | None = None
        self.sums: dict[Kind, Sums] = {}
        # Part of the state where the next step depends on it.
        kept = isinstance(config, MlsConfig) and config.delayed
        self.register_buffer("tensor_scales", torch.zeros(len(LETTERS)), persistent=kept)

    def products(self, a: Tensor, w: Tensor) -> Products:
        """The shapes of its products with these operands."""
        raise NotImplementedError

    def multiply(self, a: Tensor, w: Tensor) -> Tensor:
        """`W * A`, rank 4."""
        if a.dtype != torch.float32 or w.dtype != torch.float32:
            raise TypeError(f"operands must be float32, not {a.dtype} and {w.dtype}")
        return _Multiply.apply(a, w, self)

    def code(self, x: Tensor, letter: str, kind: Kind) -> Any:
        """An operand as `config` codes it for a product."""
        if self.observer is not None:
            self.observer(letter, x)
        context = Context(self.generator, self.training, self._scale(x, letter), self.name)
        return self.config.code(x, letter, kind, context)

    def _scale(self, x: Tensor, letter: str) -> np.float32 | None:
        """The tensor scale of the step before, which x's own replaces; None: its own."""
        if not (isinstance(self.config, MlsConfig) and self.config.delayed):
            return None
        place = LETTERS.index(letter)
        before = np.float32(self.tensor_scales[place].item())
        if self.training:
            peak = x.detach().abs().max()
            # A tensor of zeros says nothing of the next one; one that is not finite is refused.
            if 0 < peak < torch.inf:
                self.tensor_scales[place] = peak
        return before if before > 0 else None


class QuantizedConv2d(nn.Conv2d, QuantizedLayer):
    """`nn.Conv2d` whose three convolutions have operands coded by `config`; the bias stays float32.

    Parameters: as `nn.Conv2d`, and `config`. Raises: TypeError, ValueError for what the format has
    no arithmetic for.
    """

    def __init__(self, *args: Any, config: Config, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.set_up(config)
        if self.padding_mode != "zeros" or isinstance(self.padding, str):
            rule = "padding must be numbers of zeros"
            raise ValueError(f"{rule}, not {self.padding_mode!r} {self.padding!r}")
        config.check(self._shapes((1, 1)))

    def products(self, a: Tensor, w: Tensor) -> Products:
        """The shapes of its three convolutions."""
        return self._shapes((a.shape[2], a.shape[3]))

    def _shapes(self, size: tuple[int, int]) -> Products:
        # torch declares tuples of any length, and words for paddings.
        given = (self.stride, self.padding, self.dilation, self.kernel_size)
        stride, padding, dilation, kernel = ((int(pair[0]), int(pair[1])) for pair in given)
        return Products(stride, padding, dilation, self.groups, size, kernel, self.sums)

    def forward(self, a: Tensor) -> Tensor:
        """`z = conv2d(Q(a), Q(w)) + bias`."""
        z = self.multiply(a, self.weight)
        return z if self.bias is None else z + self.bias[:, None, None]


class QuantizedLinear(nn.Linear, QuantizedLayer):
    """`nn.Linear` with coded operands; as a convolution of 1 x 1 outputs whose kernel is as large
    as its inputs, so that the groups "nc" are rows of inputs and of weights.

    Parameters: as `nn.Linear`, and `config`. Raises: TypeError, ValueError.
    """

    def __init__(self, *args: Any, config: Config, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.set_up(config)
        config.check(self._shapes())

    def products(self, a: Tensor, w: Tensor) -> Products:
        """The shapes of its three products."""
        return self._shapes()

    def _shapes(self) -> Products:
        size = (1, self.in_features)
        return Products((1, 1), (0, 0), (1, 1), 1, size, size, self.sums)

    def forward(self, a: Tensor) -> Tensor:
        """`z = Q(a) Q(w)^T + bias`, a (..., in_features)."""
        rows = a.reshape(-1, 1, 1, self.in_features)
        z = self.multiply(rows, self.weight[:, None, None, :])
        z = z.reshape(*a.shape[:-1], self.out_features)
        return z if self.bias is None else z + self.bias


class MlsConv2d(QuantizedConv2d):
    """`QuantizedConv2d` in MLS; `config` defaults to `<2,4>` elements with `<8,1>` scales."""

    def __init__(self, *args: Any, config: MlsConfig | None = None, **kwargs: Any):
        super().__init__(*args, config=_mls(config), **kwargs)


class MlsLinear(QuantizedLinear):
    """`QuantizedLinear` in MLS; `config` as of `MlsConv2d`."""

    def __init__(self, *args: Any, config: MlsConfig | None = None, **kwargs: Any):
        super().__init__(*args, config=_mls(config), **kwargs)


def _mls(config: MlsConfig | None) -> MlsConfig:
    config = MlsConfig() if config is None else config
    if not isinstance(config, MlsConfig):
        raise TypeError(f"config must be an MlsConfig, not {config!r}")
    return config
