"""Steps of a tile that reach its corners: groups, outputs, scales and operands."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...golden.spec import FloatFormat, ScaleFormat
from ...support.words import Codes
from .operands import Groups, float_codes, sign_magnitude
from .trees import split

_LONGEST_GROUP = 12
_MOST_TILES = 5
_IDLE_SHARE = 0.05

# float32 codes: 1, 0.75, 2^-130 (subnormal), 2^-100 and 2^120 (subnormal and infinite products),
# -3, 0, infinity.
TENSOR_SCALES = np.array(
    [
        *(0x3F800000, 0x3F400000, 0x00080000, 0x0D800000),
        *(0x7B800000, 0xC0400000, 0x00000000, 0x7F800000),
    ]
)


@dataclass(frozen=True)
class _Tiles:
    """Every tile: its first and last step, whether it begins and ends an output, and the tensor
    scale that holds.
    """

    start: Codes
    last: Codes
    first: Codes
    finish: Codes
    tensor_scale: Codes

    @classmethod
    def draw(cls, component: Any, operations: int, rng: np.random.Generator) -> "_Tiles":
        """Groups of 1 to 12 steps, mostly as close as they may be, in outputs of 1 to 5 tiles; the
        first step is a whole output. Now and then the tile runs empty, and its tensor scale
        changes.
        """
        count = operations  # more than fit
        most = min(_MOST_TILES, getattr(component, "tiles", _MOST_TILES))
        begins = np.cumsum(np.r_[1, rng.integers(1, most + 1, count)])
        first = np.isin(np.arange(count), np.r_[0, begins])
        empty = first & (rng.random(count) < 0.05)
        length = np.where(rng.random(count) < 0.3, 1, rng.integers(1, _LONGEST_GROUP + 1, count))
        gap = rng.integers(0, 8, count) * (rng.random(count) < 0.2)
        gap = np.where(empty, component.latency, gap)
        length[0] = 1
        apart = np.maximum(length + gap, component.interval)
        apart[0] = 0
        last = np.cumsum(apart)
        scales = rng.permutation(TENSOR_SCALES)[np.cumsum(empty) % len(TENSOR_SCALES)]
        # Benches repeat the last step, which is therefore idle.
        kept = last < max(operations - 1, 1)
        columns = (last - length + 1, last, first, np.r_[first[1:], True], scales)
        return cls(*(column[kept].astype(np.int64) for column in columns))

    @staticmethod
    def marks(steps: Codes, operations: int) -> Codes:
        """1 at each of `steps`, else 0."""
        return np.isin(np.arange(operations), steps).astype(np.int64)


def steps(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    tiles, lanes = _Tiles.draw(component, operations, rng), component.lanes
    inputs = {port: tiles.marks(getattr(tiles, port), operations) for port in ("start", "last")}
    for port in ("first", "finish"):  # noise where they are not read
        inputs[port] = rng.integers(0, 2, operations)
        inputs[port][tiles.last] = getattr(tiles, port)
    tile = np.cumsum(inputs["start"]) - 1  # of each step, and of the idle ones behind it
    busy = np.cumsum(inputs["start"]) - np.cumsum(inputs["last"]) + inputs["last"] > 0
    zero = (rng.random((len(tiles.last), lanes)) < 1 / 16)[tile]
    idle = ~busy[:, np.newaxis] | zero | (rng.random((operations, lanes)) < _IDLE_SHARE)
    for port, code in zip("wa", component.idle_operands, strict=True):
        inputs[port] = np.where(idle, code, _operands(component, inputs["start"], tile, rng))
    if component.scale is not None:
        for port, code in zip(("w_scale", "a_scale"), _scales(component, tiles, rng), strict=True):
            inputs[port] = rng.integers(0, 1 << component.scale.code_width, (operations, lanes))
            inputs[port][tiles.last] = code
    _cancel(component, inputs, rng.random(len(tiles.last))[tile] < 1 / 8)
    if component.has_tensor_scale:
        inputs["tensor_scale"] = tiles.tensor_scale[tile]
    return inputs


def _operands(component: Any, start: Codes, tile: Codes, rng: np.random.Generator) -> Codes:
    """Codes of each lane (T, lanes). Integer lanes have each their character; those of floats share
    the tile's, and three in four tiles are calm, or hardly an output would be finite.
    """
    lanes, format = component.lanes, component.format
    if isinstance(format, FloatFormat):
        groups = Groups(start, np.repeat(tile, lanes))
        codes = float_codes(rng, groups, format)
        top = (1 << format.exp_bits) - 1
        exponent = np.clip(format.bias + (codes >> format.man_bits) % 16 - 8, 0, top - 1)
        calm = codes & ~(top << format.man_bits) | exponent << format.man_bits
        return np.where(groups.each(rng, 4), calm, codes).reshape(-1, lanes)
    width = format.code_width
    each = [sign_magnitude(rng, Groups(start, tile), width) for _ in range(lanes)]
    return np.stack(each, axis=1)


def _scales(component: Any, tiles: _Tiles, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Codes (tiles, lanes): the sums of exponents equal, near each other or far apart, around both
    ends of their range and float32's smallest numbers.
    """
    scale: ScaleFormat = component.scale
    shape, each = (len(tiles.last), component.lanes), (len(tiles.last), 1)
    centre = rng.choice([0, 0, 8, 20, 60, 110, 125, 140, 2 * scale.max_exp], each)
    spread = rng.choice([0, 3, 12, 40], each)
    total = np.clip(centre + rng.integers(-spread, spread + 1, shape), 0, 2 * scale.max_exp)
    exponents = split(rng, total, scale.max_exp)
    idle = rng.random(shape) < 1 / 16
    w, a = (
        exponent << scale.man_bits | rng.integers(0, 1 << scale.man_bits, shape)
        for exponent in exponents
    )
    all_ones = (1 << scale.code_width) - 1
    return np.where(idle, all_ones, w), np.where(idle, all_ones, a)


def _cancel(component: Any, inputs: dict[str, Codes], chosen: npt.NDArray[np.bool_]) -> None:
    """In the `chosen` steps each odd lane is minus its left neighbour."""
    sign = 1 << (component.w.shape().elem_shape.width - 1)
    ports = {"w": sign} | {port: 0 for port in ("a", "w_scale", "a_scale") if port in inputs}
    for port, flip in ports.items():
        left = inputs[port][:, :-1:2]
        odd = inputs[port][:, 1::2]
        odd[:] = np.where(chosen[:, np.newaxis], left ^ flip, odd)
