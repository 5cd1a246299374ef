"""Captured tensors through a quantizer's two passes: every W, A and E of a layer."""

from collections.abc import Iterator

from ..data import Layer
from ..golden.quantizer import tensor_beats
from ..support.words import Codes
from ..units.catalogue import Configuration


def statistics_beats(layer: Layer, lanes: int) -> Iterator[dict[str, Codes]]:
    """Inputs of a `tensor_statistics` for each tensor of a layer, groups "nc"."""
    for tensor in layer.tensors().values():
        beats = tensor_beats(tensor, lanes)
        yield {port: beats[port] for port in ("x", "valid", "first", "last")}


def quantizer_beats(layer: Layer, configuration: Configuration) -> Iterator[dict[str, Codes]]:
    """Inputs of an `mls_quantizer` for each tensor of a layer, groups "nc". The generators start
    with each tensor.
    """
    seeded = "seed" in configuration.build().signature.members
    for tensor in layer.tensors().values():
        beats = tensor_beats(tensor, configuration.options["lanes"])
        inputs = {port: beats[port] for port in ("x", "start", "group_max", "tensor_max")}
        yield inputs | ({"seed": beats["first"]} if seeded else {})
