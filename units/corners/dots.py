"""Blocks that reach the corners of a dot unit."""

from typing import Any

import numpy as np

from ...golden.spec import Operands, ScaleFormat
from ...support.words import Codes
from .operands import Groups, float_codes, sign_magnitude
from .tiles import TENSOR_SCALES
from .trees import split

_IDLE_SHARE = 0.05


def steps(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Outputs of a few blocks, now and then of as many as are proven; operands of every character,
    the largest alone, and sums that cancel; scales together, spread over the accumulator, and far;
    idle steps.
    """
    last = np.ones(operations, np.int64)
    if component.cycles > 1:
        short = rng.random(operations) < 1 / component.cycles
        last = (short | (np.arange(operations) % component.cycles == component.cycles - 1)).astype(
            np.int64
        )
        last[-1] = 1
    blocks = np.flatnonzero(last)
    first, finish = _outputs(component, len(blocks), rng)
    inputs = {"first": np.zeros(operations, np.int64), "finish": np.zeros(operations, np.int64)}
    inputs["first"][blocks], inputs["finish"][blocks] = first, finish
    if component.cycles > 1:
        inputs |= {"last": last, "start": np.append(1, last[:-1])}
    # All steps of an output share a character.
    begins = np.append(1, inputs["finish"][:-1])
    groups = Groups(begins, np.cumsum(begins) - 1)
    idle = (rng.random(operations) < _IDLE_SHARE) & (begins == 0)
    for port in "wa":
        inputs[port] = np.where(idle[:, None], 0, _operands(component, groups, rng))
    _cancel(component, inputs, rng)
    if component.scale is not None:
        pairs = _scales(component, groups, rng)
        inputs |= dict(zip(("w_scale", "a_scale"), pairs, strict=True))
    if component.hold:
        inputs["load"] = (rng.random(operations) < 1 / 3).astype(np.int64)
        inputs["load"][0] = 1
    return inputs


def tile_steps(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """The dots' steps, the first one a whole output, with tensor scales that change while no output
    is under way.
    """
    inputs = steps(component.dots, operations, rng)
    inputs["finish"][0] = 1
    inputs["first"][1:2] = 1
    if component.has_tensor_scale:
        inputs["tensor_scale"] = _tensor_scales(component, inputs, rng)
    return inputs


def _tensor_scales(component: Any, inputs: dict[str, Codes], rng: np.random.Generator) -> Codes:
    """A code each step. Where it changes, nothing has ended for as long as the tile takes."""
    ends = np.flatnonzero(inputs["finish"])
    after = np.append(ends[1:], len(inputs["finish"]) + component.latency)
    free = ends[after - ends > component.latency] + component.latency
    number = np.searchsorted(free, np.arange(len(inputs["finish"])), "right")
    return rng.permutation(TENSOR_SCALES)[number % len(TENSOR_SCALES)]


def floats(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Outputs of a few steps, whose lanes cancel, are far apart, subnormal or no numbers."""
    format = component.format
    groups = Groups.draw(rng, operations)
    shape = (component.lanes, operations)
    inputs = {
        port: np.stack([float_codes(rng, groups, format) for _ in range(shape[0])], 1)
        for port in "wa"
    }
    sign = 1 << (format.code_width - 1)
    calm = groups.each(rng, 2) == 0
    for port in "wa":
        # Exponents near each other, so that sums of several products count.
        close = format.bias + rng.integers(-6, 7, shape[::-1])
        mantissa = inputs[port] & ((1 << format.man_bits) - 1)
        near = inputs[port] & sign | close << format.man_bits | mantissa
        inputs[port] = np.where(calm[:, None], near, inputs[port])
        inputs[port] = np.where(rng.random(shape[::-1]) < _IDLE_SHARE, 0, inputs[port])
    chosen = rng.random(operations) < 1 / 8
    for port, flip in (("w", sign), ("a", 0)):
        left = inputs[port][:, :-1:2]
        odd = inputs[port][:, 1::2]
        odd[chosen] = left[chosen] ^ flip
    finish = (rng.random(operations) < 1 / 2).astype(np.int64)
    # Outputs of one product, below zero, that underflows.
    tiny = rng.random(operations) < 1 / 32
    for port, code in (
        ("w", sign | 1 << format.man_bits),
        ("a", format.bias - 1 << format.man_bits),
    ):
        inputs[port][tiny] = 0
        inputs[port][tiny, 0] = code
    return inputs | {"first": groups.start | tiny, "finish": finish | tiny}


def _outputs(component: Any, blocks: int, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Marks of outputs, one behind the other, a sixth without an end."""
    most = max(component.blocks // component.groups, 1)
    lengths = np.minimum(rng.choice([1, 2, 3, 5, 9, 40], blocks), most)
    if component.flag:
        lengths = rng.choice([1, 2, 3, 9], blocks) * most if most < 64 else lengths
    ends = np.cumsum(lengths)
    ends = ends[ends < blocks]
    first, finish = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
    first[0], first[ends] = 1, 1
    finish[ends - 1] = rng.random(len(ends)) < 5 / 6
    return first, finish


def _operands(component: Any, groups: Groups, rng: np.random.Generator) -> Codes:
    """Codes (T, lanes of all groups), each lane with a character of its own for each output."""
    format, widths = component.format, component.widths
    count = component.groups * component.lanes
    lanes = [sign_magnitude(rng, groups, format.code_width) for _ in range(count)]
    codes = np.stack(lanes, axis=1)
    everywhere = (groups.each(rng, 8) == 0)[:, None]
    largest = (1 << (format.code_width - 1)) - 1
    codes = np.where(everywhere, codes | largest, codes)
    if component.operands is not Operands.DECODED:
        return codes
    sign, magnitude = codes >> (format.code_width - 1), codes & largest
    # Magnitudes in the order of their codes, but for -2^M, which codes do not have.
    exp, man = magnitude >> format.man_bits, magnitude & ((1 << format.man_bits) - 1)
    q = (man + ((exp > 0) << format.man_bits)) << np.maximum(exp - 1, 0)
    q = np.where((sign > 0) & (q == widths.format.max_significand), widths.largest_operand, q)
    return np.where(sign > 0, -q, q) & ((1 << widths.operand_width) - 1)


def _cancel(component: Any, inputs: dict[str, Codes], rng: np.random.Generator) -> None:
    """In an eighth of the steps every second pair takes back what the one before it gave."""
    chosen = rng.random(len(inputs["w"])) < 1 / 8
    width = component.w.shape().elem_shape.width
    for port in "wa":
        left = inputs[port][:, :-1:2][chosen]
        if port == "w" and component.operands is Operands.DECODED:
            left = -left & ((1 << width) - 1)
            lowest = left == 1 << (width - 1)
            left = np.where(lowest, left + 1, left)
        elif port == "w":
            left = left ^ (1 << (width - 1))
        odd = inputs[port][:, 1::2]
        odd[chosen] = left


def _scales(component: Any, groups: Groups, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Codes (T, groups): sums of exponents equal, near each other, or over everything."""
    scale: ScaleFormat = component.scale
    shape = (len(groups.index), component.groups)
    reach = 2 * scale.max_exp
    near = min(reach, max(component.widths.guard, 0) + component.widths.term_width)
    centre = np.choose(groups.each(rng, 4), [0, 0, near // 2, near])[:, None]
    spread = np.choose(groups.each(rng, 5), [0, 1, 4, near, reach])[:, None]
    total = np.clip(centre + rng.integers(-spread, spread + 1, shape), 0, reach)
    w, a = split(rng, total, scale.max_exp)
    mantissas = [rng.integers(0, 1 << scale.man_bits, shape) for _ in "wa"]
    full = (groups.each(rng, 4) == 0)[:, None]
    w_man, a_man = (np.where(full, (1 << scale.man_bits) - 1, man) for man in mantissas)
    return w << scale.man_bits | w_man, a << scale.man_bits | a_man
