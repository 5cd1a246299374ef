"""`convert`: a model's convolutions and linear layers in a number format."""

from collections.abc import Callable
from typing import Any

from torch import nn

from .arrays import Generator
from .config import Config
from .layers import MlsConv2d, MlsLinear, QuantizedConv2d, QuantizedLayer, QuantizedLinear
from .mls import MlsConfig

Filter = Callable[[nn.Module, str, nn.Module], bool]
"""Called with a layer, its path and the model: whether to convert it."""


def skip_first_and_last(layer: nn.Module, name: str, model: nn.Module) -> bool:
    """All but the first and the last convolution or linear layer, in the order of `modules()`: what
    the MLS paper, like most others, leaves in float32.
    """
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return name not in (names[0], names[-1])


def everything(layer: nn.Module, name: str, model: nn.Module) -> bool:
    """Every layer."""
    return True


def convert(
    model: nn.Module,
    config: Config,
    filter: Filter = skip_first_and_last,
    generator: Generator = None,
) -> nn.Module:
    """Replace the model's `nn.Conv2d` and `nn.Linear` layers that `filter` wants by layers of
    `config`, in place; weights, hooks of other modules and the state's names stay.

    Layers that are converted already get the new config. Nothing changes where a layer cannot be
    converted.

    Returns: the model, for layers that are a model of their own another object.
    Raises: TypeError, ValueError with the layer's path for what the format has no arithmetic for.
    """
    if not isinstance(config, Config):
        raise TypeError(f"config must be a Config, not {config!r}")
    chosen = {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Conv2d | nn.Linear) and filter(module, name, model)
    }
    made: dict[nn.Module, nn.Module] = {}
    for name, module in chosen.items():
        if module not in made:
            made[module] = _converted(module, name, config, generator)
    for name, module in chosen.items():
        if not name:
            return made[module]
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, made[module])
    return model


def quantized_layers(model: nn.Module) -> dict[str, QuantizedLayer]:
    """The converted layers by path."""
    return {n: m for n, m in model.named_modules() if isinstance(m, QuantizedLayer)}


def _converted(layer: nn.Module, name: str, config: Config, generator: Generator) -> QuantizedLayer:
    mls = isinstance(config, MlsConfig)
    made: Any
    try:
        if isinstance(layer, nn.Conv2d):
            kind: Any = MlsConv2d if mls else QuantizedConv2d
            made = kind(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
                layer.bias is not None,
                layer.padding_mode,
                device="meta",
                config=config,
            )
        else:
            assert isinstance(layer, nn.Linear)
            kind = MlsLinear if mls else QuantizedLinear
            sizes = (layer.in_features, layer.out_features)
            made = kind(*sizes, layer.bias is not None, device="meta", config=config)
        # A parametrized layer computes its weights, and has none to hand on.
        if not isinstance(layer.weight, nn.Parameter) or hasattr(layer, "parametrizations"):
            raise ValueError("weights must be parameters, not parametrized")
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name or 'layer'}: {error}") from None
    made.weight, made.bias = layer.weight, layer.bias
    made.generator, made.name = generator, name
    made.train(layer.training)
    return made
