"""Operands that reach the corners, and the outputs that the golden model defines for them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from ..golden.formats import FloatFormat, check_int
from ..golden.reference import reference
from ..hw.units import Configuration
from .tree_corners import TREE_CORNERS
from .vectors import Codes, Vectors

EXHAUSTIVE_BITS = 16
"""Combinational units whose inputs total at most this many bits are checked on every input."""

_IDLE_SHARE = 0.05
_MEAN_GROUP = 12


def make_vectors(configuration: Configuration, operations: int, seed: int) -> Vectors:
    """Vectors for a unit: every input where that is feasible, else `operations` corner-heavy random
    ones.
    """
    check_int("operations", operations, 1, 1 << 31)
    check_int("seed", seed, 0, 1 << 31)
    component = configuration.build()
    members = component.signature.members.items()
    widths = {name: Shape.cast(member.shape).width for name, member in members}
    ports = {name: widths[name] for name, member in members if member.flow is In}
    clocked = component.registers > 0
    if configuration.name in TREE_CORNERS:
        draw = TREE_CORNERS[configuration.name]
        inputs = draw(component, operations, np.random.default_rng(seed))
    elif not clocked and sum(ports.values()) <= EXHAUSTIVE_BITS:
        inputs = _every_input(ports)
    else:
        # Every floating-point component names the format of its operands; the others are integers.
        format = getattr(component, "format", None)
        lanes = getattr(component, "lanes", None)
        inputs = _drawn_inputs(format, ports, lanes, operations, np.random.default_rng(seed))
        if hasattr(component, "idle_operands"):
            _insert_idle(inputs, component.idle_operands, np.random.default_rng(seed + 1))
    outputs = reference(configuration.name, configuration.options, inputs)
    outputs = {port: np.asarray(values, np.int64) for port, values in outputs.items()}
    return Vectors(inputs, outputs, widths, max(component.latency, 1), clocked)


def _every_input(ports: Mapping[str, int]) -> dict[str, Codes]:
    count = np.arange(1 << sum(ports.values()), dtype=np.int64)
    inputs, offset = {}, 0
    for port, width in ports.items():
        inputs[port] = (count >> offset) & ((1 << width) - 1)
        offset += width
    return inputs


@dataclass(frozen=True)
class _Groups:
    """Sums of random length; operands of one group share a character, so that groups reach
    extremes.
    """

    start: Codes
    index: Codes

    @classmethod
    def draw(cls, rng: np.random.Generator, operations: int) -> "_Groups":
        start = (rng.random(operations) < 1 / _MEAN_GROUP).astype(np.int64)
        start[0] = 1
        return cls(start, np.cumsum(start) - 1)

    def each(self, rng: np.random.Generator, choices: int) -> Codes:
        """A random choice in [0, choices) for every group, spread over its operations."""
        return rng.integers(0, choices, int(self.index[-1]) + 1)[self.index]


def _drawn_inputs(
    format: FloatFormat | None,
    ports: Mapping[str, int],
    lanes: int | None,
    operations: int,
    rng: np.random.Generator,
) -> dict[str, Codes]:
    """Codes for every port; those of a component with lanes are arrays of them."""
    groups = _Groups.draw(rng, operations)
    inputs = {}
    for port, width in ports.items():
        if port == "start":
            inputs[port] = groups.start
        elif format is not None:
            inputs[port] = _float_codes(rng, groups, format)
        elif lanes is not None:
            drawn = [_sign_magnitude(rng, groups, width // lanes) for _ in range(lanes)]
            inputs[port] = np.stack(drawn, axis=1)
        else:
            inputs[port] = _sign_magnitude(rng, groups, width)
    if format is not None and {"x", "y"} <= ports.keys():
        _near_cancellations(rng, inputs, format)
    return inputs


def _signs(rng: np.random.Generator, groups: _Groups) -> Codes:
    """Mixed in half of the groups, else constant, so that sums run away in both directions."""
    mode = groups.each(rng, 4)
    mixed = rng.integers(0, 2, len(mode))
    return np.where(mode < 2, mixed, mode - 2)


def _sign_magnitude(rng: np.random.Generator, groups: _Groups, width: int) -> Codes:
    """Uniform magnitudes, the top eighth, a handful around zero; also the code space of MLS
    elements.
    """
    top = (1 << (width - 1)) - 1
    size = len(groups.index)
    low = np.choose(groups.each(rng, 4), [0, 0, top - top // 8, 0])
    high = np.choose(groups.each(rng, 4), [top, top, top, min(3, top)])
    low = np.minimum(low, high)
    return (_signs(rng, groups) << (width - 1)) | rng.integers(low, high + 1, size)


def _float_codes(rng: np.random.Generator, groups: _Groups, format: FloatFormat) -> Codes:
    """Exponents around one, around both ends of the range and of its half (for products); edge
    mantissas.
    """
    size = len(groups.index)
    top = (1 << format.exp_bits) - 1
    reach = format.man_bits + 4
    centres = np.array([format.bias, format.bias // 2, format.bias + format.bias // 2, 0, top - 1])
    mode = groups.each(rng, 8)
    around = centres[np.minimum(mode, 4)] + rng.integers(-reach, reach + 1, size)
    close = format.bias + rng.integers(-2, 3, size)
    exponent = np.choose(mode, [around] * 5 + [close, close, rng.integers(0, top + 1, size)])
    # Infinities and NaN would swallow every longer sum: they come in few groups.
    specials_here = (groups.each(rng, 12) == 0) & (rng.random(size) < 0.2)
    exponent = np.where(specials_here, top, np.clip(exponent, 0, top - 1))
    ones = (1 << format.man_bits) - 1
    edges = np.array([0, 1, ones, ones - 1, (ones + 1) >> 1, ones >> 1])
    mantissa = np.where(
        rng.random(size) < 0.4, rng.choice(edges, size), rng.integers(0, ones + 1, size)
    )
    return (
        (_signs(rng, groups) << (format.code_width - 1)) | (exponent << format.man_bits) | mantissa
    )


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


def _insert_idle(
    inputs: dict[str, Codes], idle_operands: tuple[int, int], rng: np.random.Generator
) -> None:
    """Turn some operations within groups into idle cycles."""
    idle = (rng.random(len(inputs["start"])) < _IDLE_SHARE) & (inputs["start"] == 0)
    for port, code in zip(("w", "a"), idle_operands, strict=True):
        inputs[port] = np.where(idle, code, inputs[port])
