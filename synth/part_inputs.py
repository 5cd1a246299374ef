"""Inputs of every unit from the one stimulus: MACs take it as it is, parts take what they see
inside a MAC.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..golden.formats import FP32, ElementFormat
from ..golden.quantize import element_fields
from ..golden.reference import Codes, reference
from .stimulus import Stimulus

Inputs = dict[str, Codes]

_OF_A_MULTIPLIER = ("format", "subnormals")


def unit_inputs(unit: str, options: Mapping[str, Any], stimulus: Stimulus) -> Inputs:
    """Codes for every input port of `unit`, one entry an operation.

    The operands are the stimulus in the unit's number format; a multiplier multiplies the pairs, an
    accumulator adds their products, an adder adds each product to the sum so far.
    Raises: ValueError for an unknown unit.
    """
    format = options.get("format", FP32)
    w, a = stimulus.encode(format)
    mac = {"w": w, "a": a, "start": stimulus.start.astype(np.int64)}
    if unit.endswith("_mac"):
        return mac
    if unit not in _PARTS:
        raise ValueError(f"unit must be a MAC or one of {', '.join(_PARTS)}, not {unit!r}")
    return _PARTS[unit](mac, dict(options))


def _operands(mac: Inputs, options: dict[str, Any]) -> Inputs:
    return {"x": mac["w"], "y": mac["a"]}


def _dot(mac: Inputs, options: dict[str, Any]) -> Inputs:
    """`lanes` neighbouring pairs a step."""
    lanes = options["lanes"]
    steps = len(mac["w"]) // lanes
    return {
        port: mac[key][: steps * lanes].reshape(steps, lanes)
        for port, key in (("x", "w"), ("y", "a"))
    }


def _shifter(mac: Inputs, options: dict[str, Any]) -> Inputs:
    format: ElementFormat = options["format"]
    (_, w_exp, w_man), (_, a_exp, a_man) = (
        element_fields(mac[port], format) for port in ("w", "a")
    )
    hidden = 1 << format.man_bits
    product = (w_man + hidden * (w_exp > 0)) * (a_man + hidden * (a_exp > 0))
    return {"i": product, "x_exp": w_exp, "y_exp": a_exp}


def _products(multiplier: str) -> Callable[[Inputs, dict[str, Any]], Inputs]:
    def products(mac: Inputs, options: dict[str, Any]) -> Inputs:
        wanted = {name: value for name, value in options.items() if name in _OF_A_MULTIPLIER}
        product = reference(multiplier, wanted, _operands(mac, options))["product"]
        return {"product": product, "start": mac["start"]}

    return products


def _adder(mac: Inputs, options: dict[str, Any]) -> Inputs:
    inputs = _products("float_multiplier")(mac, options)
    sums = reference("float_accumulator", options, inputs)["acc"]
    identity = 1 << (options["format"].code_width - 1)
    before = np.concatenate([[identity], sums[:-1]])
    return {"x": np.where(inputs["start"], identity, before), "y": inputs["product"]}


_PARTS: Mapping[str, Callable[[Inputs, dict[str, Any]], Inputs]] = {
    "mls_multiplier": _operands,
    "float_multiplier": _operands,
    "mls_dot": _dot,
    "exponent_shifter": _shifter,
    "int_accumulator": _products("mls_multiplier"),
    "float_accumulator": _products("float_multiplier"),
    "float_adder": _adder,
}
