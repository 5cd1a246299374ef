"""Captured tensors as the beats of a quantizer: every W, A and E of a layer, group by group."""

from collections.abc import Iterator

import numpy as np

from ..data import Layer
from ..golden.formats import FP32
from ..hw.units import Configuration
from .vectors import Codes

_MAGNITUDE = (1 << (FP32.code_width - 1)) - 1


def quantizer_beats(layer: Layer, configuration: Configuration) -> Iterator[dict[str, Codes]]:
    """Inputs of an `mls_quantizer` for each tensor of a layer, groups "nc", their last beats filled
    with +0. The generators start with each tensor.
    """
    lanes = configuration.options["lanes"]
    for tensor in layer.tensors().values():
        groups = tensor.reshape(-1, tensor.shape[2] * tensor.shape[3]).view(np.uint32)
        codes = groups.astype(np.int64)
        beats = -(-codes.shape[1] // lanes)
        filled = np.pad(codes, ((0, 0), (0, beats * lanes - codes.shape[1])))
        start = np.zeros((len(codes), beats), np.int64)
        start[:, 0] = 1
        largest = (codes & _MAGNITUDE).max(axis=1)
        inputs = {
            "x": filled.reshape(-1, lanes),
            "start": start.ravel(),
            "group_max": np.repeat(largest, beats),
            "tensor_max": np.full(start.size, largest.max()),
        }
        if "seed" in configuration.build().signature.members:
            inputs["seed"] = (np.arange(start.size) == 0).astype(np.int64)
        yield inputs
