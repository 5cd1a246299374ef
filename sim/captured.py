"""Captured tensors as the beats of a quantizer's two passes: every W, A and E of a layer, group by
group.
"""

from collections.abc import Iterator

import numpy as np

from ..data import Layer
from ..golden.formats import FP32
from ..hw.units import Configuration
from .vectors import Codes

_MAGNITUDE = (1 << (FP32.code_width - 1)) - 1


def statistics_beats(layer: Layer, lanes: int) -> Iterator[dict[str, Codes]]:
    """Inputs of a `tensor_statistics` for each tensor of a layer, groups "nc", their last beats
    filled with +0.
    """
    for tensor in layer.tensors().values():
        codes, beats = _filled(tensor, lanes)
        last = np.zeros((len(codes), beats), np.int64)
        last[:, -1] = 1
        first = (np.arange(last.size) == 0).astype(np.int64)
        x = codes.reshape(-1, lanes)
        yield {"x": x, "valid": np.ones_like(first), "first": first, "last": last.ravel()}


def _filled(tensor: np.ndarray, lanes: int) -> tuple[Codes, int]:
    """A row a group, filled to whole beats, and how many beats a group has."""
    groups = tensor.reshape(-1, tensor.shape[2] * tensor.shape[3]).view(np.uint32)
    beats = -(-groups.shape[1] // lanes)
    padding = beats * lanes - groups.shape[1]
    return np.pad(groups.astype(np.int64), ((0, 0), (0, padding))), beats


def quantizer_beats(layer: Layer, configuration: Configuration) -> Iterator[dict[str, Codes]]:
    """Inputs of an `mls_quantizer` for each tensor of a layer, groups "nc", their last beats filled
    with +0. The generators start with each tensor.
    """
    lanes = configuration.options["lanes"]
    for tensor in layer.tensors().values():
        codes, beats = _filled(tensor, lanes)
        start = np.zeros((len(codes), beats), np.int64)
        start[:, 0] = 1
        largest = (codes & _MAGNITUDE).max(axis=1)
        inputs = {
            "x": codes.reshape(-1, lanes),
            "start": start.ravel(),
            "group_max": np.repeat(largest, beats),
            "tensor_max": np.full(start.size, largest.max()),
        }
        if "seed" in configuration.build().signature.members:
            inputs["seed"] = (np.arange(start.size) == 0).astype(np.int64)
        yield inputs
