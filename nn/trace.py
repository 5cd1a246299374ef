"""A model's layers as the table that `mlsmac step` counts: `data.networks.Network`."""

import operator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from ..data.network_file import checked
from ..data.networks import Convolution, Network
from .layers import QuantizedLayer

_ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, QuantizedLayer) or super().is_leaf_module(m, module_qualified_name)


def trace_network(model: nn.Module, images: Tensor, *, name: str, data: str) -> Network:
    """The convolutions and linear layers of a model in order, the last one as the classifier.

    Parameters: `images`: a training batch, whose size is the network's; `name`, `data`: what the
    table calls the network and its data set. `data.network_file.network_table` makes a file of it.
    Raises: UserError for fewer than three layers; ValueError for a layer that is not square; what
    torch.fx raises for a model that it cannot follow.
    """
    graph = _Tracer().trace(model)
    module = fx.GraphModule(model, graph)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            ShapeProp(module).propagate(images)
    finally:
        model.train(training)
    layers = checked(list(_layers(module)), name)
    return Network(name, data, len(images), layers[:-1], layers[-1])


def _layers(module: fx.GraphModule) -> Iterator[Convolution]:
    found: list[Convolution] = []
    made_by: dict[fx.Node, int] = {}  # the last layer that a value depends on
    read: set[fx.Node] = set()
    for node in module.graph.nodes:
        before = [made_by[source] for source in node.all_input_nodes if source in made_by]
        last = max(before, default=None)
        layer = module.get_submodule(node.target) if node.op == "call_module" else None
        if isinstance(layer, nn.Conv2d | nn.Linear):
            source = node.all_input_nodes[0]
            made = _layer(node.target, layer, node.meta["tensor_meta"].shape)
            found.append(replace(made, shortcut=source in read))
            read.add(source)
            last = len(found) - 1
        elif last is not None and isinstance(layer, _NORMS):
            found[last] = replace(found[last], normalized=True)
        elif last is not None and node.target in _ADDS and len(before) > 1:
            found[last] = replace(found[last], adds=True)
        if last is not None:
            made_by[node] = last
    yield from found


def _layer(name: str, layer: nn.Conv2d | nn.Linear, shape: Any) -> Convolution:
    """Without what follows it. Raises: ValueError."""
    if isinstance(layer, nn.Linear):
        return Convolution(layer.in_features, layer.out_features, 1, 1, 1, normalized=False)
    for what, pair in (
        ("kernel", layer.kernel_size),
        ("stride", layer.stride),
        ("output", tuple(shape[2:])),
    ):
        if pair[0] != pair[1]:
            raise ValueError(f"{name}: {what} must be square, not {tuple(pair)!r}")
    return Convolution(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size[0],
        layer.stride[0],
        shape[2],
        groups=layer.groups,
        normalized=False,
    )
