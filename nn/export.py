"""`export_layer`: a layer's operands in codes, as a file that `mlsmac verify --layer` runs."""

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.quantized import QuantizedLayer, save_layer
from ..golden.lowering import Kind
from ..golden.quantize import MlsTensor
from ..golden.spec import Overflow, Tree, choice
from .arrays import Generator
from .config import Context
from .convert import quantized_layers
from .mls import MlsConfig
from .passes import Loss, backward, twin, watching
from .products import Products


def export_layer(
    model: nn.Module,
    name: str,
    batch: Any,
    path: Path,
    labels: Tensor | None = None,
    *,
    loss: Loss | None = None,
) -> QuantizedLayer:
    """Write W, A and, given labels or a loss, E of an MLS layer in one step, as it codes them.

    The step is in the mode that the model is in (training or evaluation), with the random words
    that its next step will draw; it happens in a copy, the model stays as it is. Where the layer's
    sums are exact, the file asks for the same accumulators.

    Parameters:
        model: converted with an `MlsConfig`; name: the layer's path; batch: what the model is
            called with, all of which the file has; labels: of a cross entropy, or `loss`: called
            with the model's output; neither: a file for inference.
    Returns: what the file holds.
    Raises: OSError; TypeError, ValueError for what is no MLS layer, or one that golden has no
        convolution of; FloatingPointError for operands that are not finite.
    """
    config = _mls_config(model, name)
    where = name or "layer"
    with twin(model) as own:
        layer = quantized_layers(own)[name]
        layer.config = watched = watching(_Watched, config)
        backward(own(batch), labels, loss)
    try:
        products = watched.products[0]
    except IndexError:
        raise ValueError(f"{where} must be called by the model") from None
    if len(watched.products) > 1:
        rule = f"{where} must be called once in a step"
        raise ValueError(f"{rule}, not {len(watched.products)} times")
    try:
        products.check_exact()
        made = QuantizedLayer(
            where,
            watched.tensors,
            products.stride[0],
            products.padding[0],
            settings=_settings(config) if config.exact else {},
            origin={"layer": name, "model": type(model).__name__, "training": model.training},
        )
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None
    save_layer(Path(path), made)
    return made


def _mls_config(model: nn.Module, name: str) -> MlsConfig:
    """The layer's. Raises: TypeError, ValueError."""
    layers = quantized_layers(model)
    if name not in layers:
        known = ", ".join(layers) or "none, as it is not converted"
        raise ValueError(f"name must be of the model's converted layers ({known}), not {name!r}")
    config = layers[name].config
    if not isinstance(config, MlsConfig):
        kind = type(config).__name__
        raise TypeError(f"{name or 'layer'} must be converted with an MlsConfig, not {kind}")
    try:
        config.with_options(accumulate="exact")
    except ValueError as error:
        raise ValueError(f"{name or 'layer'}: {error}") from None
    return config


@dataclass(frozen=True, kw_only=True)
class _Watched(MlsConfig):
    """The same values; keeps the codes, and the shapes of each call."""

    tensors: dict[str, MlsTensor] = field(default_factory=dict, hash=False)
    products: list[Products] = field(default_factory=list, hash=False)

    def code(self, x: Tensor, letter: str, kind: Kind, context: Context) -> Tensor | MlsTensor:
        if x.device.type != "cpu":
            raise ValueError(f"a layer to export must be on the CPU, not on {x.device}")
        again = replace(context, generator=_twin(context.generator))
        coded = super().code(x, letter, kind, context)
        self.tensors[letter] = self.tensor(x, letter, again)
        return coded

    def multiply(self, kind: Kind, products: Products, left: Any, right: Any) -> Tensor:
        if kind is Kind.WA:
            self.products.append(products)
        return super().multiply(kind, products, left, right)


def _twin(generator: Generator) -> Generator:
    """One that draws the same."""
    if generator is not None:
        return copy.deepcopy(generator)
    default = torch.Generator()
    default.set_state(torch.get_rng_state())
    return default


def _settings(config: MlsConfig) -> dict[str, Any]:
    """Of exact sums, for a layer file."""
    settings = {
        "acc_width": config.acc_width,
        "acc_width_wgrad": config.acc_width_wgrad,
        "overflow": choice("overflow", Overflow, config.overflow).value,
        "tree": choice("tree", Tree, config.tree).value,
        "segment": config.segment,
        "lanes": config.lanes,
        "guard_bits": config.guard_bits,
    }
    return {name: value for name, value in settings.items() if value is not None}
