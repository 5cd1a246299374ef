"""Passes through a copy of a model, which leave the model as it is."""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import Config
from .convert import Filter, convert, quantized_layers, skip_first_and_last
from .mls import MlsConfig

Loss = Callable[[Any], Tensor]
"""Called with what the model returns."""

Watching = TypeVar("Watching", bound=MlsConfig)


@contextmanager
def twin(model: nn.Module) -> Iterator[nn.Module]:
    """A copy whose parameters all have gradients. What torch's default generator draws meanwhile
    is undone.
    """
    with torch.random.fork_rng(), torch.enable_grad():
        own = copy.deepcopy(model)
        for parameter in own.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        yield own


def backward(outputs: Any, labels: Tensor | None, loss: Loss | None) -> None:
    """Of `loss`, or without one of the cross entropy with the labels, if there are any."""
    if loss is not None:
        loss(outputs).backward()
    elif labels is not None:
        functional.cross_entropy(outputs, labels).backward()


def check_objective(labels: Tensor | None, loss: Loss | None) -> None:
    """Raises: ValueError where there is nothing to go back from."""
    if labels is None and loss is None:
        raise ValueError("labels or a loss must be given, not None")


def chosen_layers(model: nn.Module) -> Filter:
    """The layers that are converted, or where there is none those that `convert` would."""
    names = quantized_layers(model).keys()
    return (lambda layer, name, model: name in names) if names else skip_first_and_last


def reconfigured(model: nn.Module, config: Config, filter: Filter) -> nn.Module:
    """`convert`, in place, keeping tensor scales of the step before.

    Raises: TypeError, ValueError.
    """
    before = {name: layer.tensor_scales for name, layer in quantized_layers(model).items()}
    model = convert(model, config, filter)
    for name, layer in quantized_layers(model).items():
        if name in before:
            layer.tensor_scales.copy_(before[name])
    return model


def watching(kind: type[Watching], config: MlsConfig, **members: Any) -> Watching:
    """The same format as an object of a class that looks on."""
    options = {f.name: getattr(config, f.name) for f in dataclasses.fields(MlsConfig)}
    return kind(**options, **members)
