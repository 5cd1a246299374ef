"""Operands of any unit: every input where that is feasible, else ones that reach the corners."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from ...golden.floats import fma
from ...golden.spec import FloatFormat
from ...support.words import Codes
from .operands import Groups, float_codes, sign_magnitude

Draw = Callable[[Any, int, int], dict[str, Codes]]
"""Inputs by port, step by step, from a component, how many steps, and a seed."""

EXHAUSTIVE_BITS = 16
"""Combinational units whose inputs total at most this many bits are checked on every input."""

_IDLE_SHARE = 0.05
_LOAD_SHARE = 1 / 4
"""Of the operations that bring a new weight, where weights are held."""


def drawn(draw: Callable[[Any, int, np.random.Generator], dict[str, Codes]]) -> Draw:
    """Corners that one generator draws."""
    return lambda component, operations, seed: draw(
        component, operations, np.random.default_rng(seed)
    )


def operands(component: Any, operations: int, seed: int) -> dict[str, Codes]:
    """Every input where that is feasible, else `operations` corner-heavy random ones.

    Floating-point components name the format of their operands; all others take codes of sign and
    magnitude. A port `z` gets addends of `x * y`; a component with idle operands gets idle cycles.
    """
    members = component.signature.members.items()
    ports = {name: Shape.cast(member.shape).width for name, member in members if member.flow is In}
    if not component.registers and sum(ports.values()) <= EXHAUSTIVE_BITS:
        return _every_input(ports)
    format = getattr(component, "format", None)
    format = format if isinstance(format, FloatFormat) else None
    lanes = getattr(component, "lanes", None)
    rng = np.random.default_rng(seed)
    inputs = _drawn_inputs(format, ports, lanes, operations, rng)
    if "z" in ports:
        inputs["z"] = _addends(rng, inputs, component)
    if "load" in ports:
        loads = np.random.default_rng(seed + 2).random(operations) < _LOAD_SHARE
        inputs["load"] = (loads | (np.arange(operations) == 0)).astype(np.int64)
    if hasattr(component, "idle_operands"):
        idle = dict(zip(component.operands, component.idle_operands, strict=True))
        _insert_idle(inputs, idle, np.random.default_rng(seed + 1))
    return inputs


def _every_input(ports: Mapping[str, int]) -> dict[str, Codes]:
    count = np.arange(1 << sum(ports.values()), dtype=np.int64)
    inputs, offset = {}, 0
    for port, width in ports.items():
        inputs[port] = (count >> offset) & ((1 << width) - 1)
        offset += width
    return inputs


def _drawn_inputs(
    format: FloatFormat | None,
    ports: Mapping[str, int],
    lanes: int | None,
    operations: int,
    rng: np.random.Generator,
) -> dict[str, Codes]:
    """Codes for every port; those of a component with lanes are arrays of them."""
    groups = Groups.draw(rng, operations)
    inputs = {}
    for port, width in ports.items():
        if port == "start":
            inputs[port] = groups.start
        elif format is not None:
            inputs[port] = float_codes(rng, groups, format)
        elif lanes is not None:
            each = [sign_magnitude(rng, groups, width // lanes) for _ in range(lanes)]
            inputs[port] = np.stack(each, axis=1)
        else:
            inputs[port] = sign_magnitude(rng, groups, width)
    if format is not None and {"x", "y"} <= ports.keys():
        _near_cancellations(rng, inputs, format)
    return inputs


def _near_cancellations(
    rng: np.random.Generator, inputs: dict[str, Codes], format: FloatFormat
) -> None:
    """In an eighth of the steps y becomes -x, or differs from it by an ulp or two."""
    chosen = rng.random(len(inputs["x"])) < 1 / 8
    magnitude = (inputs["x"] + rng.integers(-2, 3, len(chosen))) & (
        (1 << (format.code_width - 1)) - 1
    )
    sign = (inputs["x"] >> (format.code_width - 1)) ^ 1
    inputs["y"] = np.where(chosen, (sign << (format.code_width - 1)) | magnitude, inputs["y"])


def _addends(rng: np.random.Generator, inputs: Mapping[str, Codes], component: Any) -> Codes:
    """Addends of `x * y`: half of them corners, half near the product or its multiple by a power of
    two, an ulp or two away, of either sign: cancellations, ties, and bits that just reach a sum.
    """
    format: FloatFormat = component.acc_format
    size = len(inputs["x"])
    codes = float_codes(rng, Groups.draw(rng, size), format)
    zero = np.zeros(size, np.int64)
    formats = {"acc_format": format, "subnormals": component.subnormals}
    product = fma(inputs["x"], inputs["y"], zero, component.format, **formats)
    reach = format.man_bits * 2 + 5
    distance = np.where(rng.random(size) < 0.4, 0, rng.integers(-reach, reach + 1, size))
    top = 1 << (format.code_width - 1)
    near = product % top + (distance << format.man_bits) + rng.integers(-2, 3, size)
    near = np.clip(near, 0, format.max_code) | rng.integers(0, 2, size) * top
    return np.where(rng.random(size) < 0.5, codes, near)


def _insert_idle(
    inputs: dict[str, Codes], idle_operands: Mapping[str, int], rng: np.random.Generator
) -> None:
    """Turn some operations within groups into idle cycles."""
    idle = (rng.random(len(inputs["start"])) < _IDLE_SHARE) & (inputs["start"] == 0)
    for port, code in idle_operands.items():
        inputs[port] = np.where(idle, code, inputs[port])
