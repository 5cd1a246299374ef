"""Block-scaled dot units, bit-exact (docs/numerics.md section 17)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .floats import Flags, check_codes, check_integers
from .mac import accumulate_floats
from .quantize import element_fields, significand
from .spec import (
    SCALE_E8M0,
    Accumulate,
    DotWidths,
    ElementFormat,
    Operands,
    ScaleFormat,
    check_int,
    choice,
)
from .tree import round_exactly, scale_factor

Exact = npt.NDArray[Any]
"""int64, or Python's integers where a number has more bits."""


def decode_elements(codes: npt.ArrayLike, format: ElementFormat) -> Codes:
    """`(-1)^sign * q` of element codes, as a two's complement code of M + 2^E bits, -0 as 0.

    Raises: TypeError, ValueError.
    """
    code = check_codes("codes", codes, format.code_width)
    return _signed(code, format) & ((1 << (format.significand_width + 1)) - 1)


def block_dot(
    inputs: Mapping[str, Codes],
    *,
    format: ElementFormat,
    lanes: int,
    groups: int = 1,
    cycles: int = 1,
    scale: ScaleFormat | None = SCALE_E8M0,
    operands: Operands | str = Operands.CODES,
    hold: bool = False,
    accumulate: Accumulate | str = Accumulate.WINDOW,
    window: int = 40,
    blocks: int = 1024,
    flag: bool = False,
) -> dict[str, Codes]:
    """`z = fl(sum over blocks of P * S_w * S_a)`, P a block's exact dot product.

    A step takes `lanes` pairs of each of `groups` groups; a block is a group's pairs of all steps
    up to one with `last`. Its term is T = P times both scales' mantissas, in units of 2^-(e + 2F +
    2 Mg). `window`, `exact`: `acc = (first ? 0 : acc) + sum over groups of floor(T * 2^(G - e))`;
    `float32`: `acc = fl((first ? -0 : acc) + fl(T * 2^-(e + 2F + 2 Mg)))`.

    Parameters:
        inputs: codes by port. `w`, `a` (T, groups * lanes); `w_scale`, `a_scale` (T, groups), read
            at `last`, unless `scale` is None; `first`, `finish` (T,), with `last`, else 0; where
            blocks have several `cycles`: `start`, `last` (T,); with `hold`: `load` (T,), without
            which the weights and their scales are those of the step before. Step 0 begins all.
        operands: element codes, or two's complement as of `decode_elements`.
        window, blocks: bits of the accumulator, and blocks that it adds up whatever they are.
        flag: sums may be longer; then `overflow` tells that `acc` left its range, and it wraps.
    Returns: `z` (float32 code where `valid`, else 0), `valid` and, with `flag`, `overflow`, as of
        the output, 0 where there is none; each (T,).
    Raises: TypeError, ValueError.
    """
    kind = choice("accumulate", Accumulate, accumulate)
    coding = choice("operands", Operands, operands)
    check_int("cycles", cycles, 1, 1 << 10)
    widths = DotWidths(
        format=format,
        scale=scale,
        operands=coding,
        products=lanes * cycles,
        accumulate=kind,
        window=window,
        blocks=blocks,
    )
    steps = len(inputs["w"])
    marks = marks_of(inputs, steps)
    loaded = loads(_mark(inputs, "load")) if hold else np.arange(steps)
    w, a = (_operands(port, inputs[port], widths) for port in "wa")
    dots = (w[loaded] * a).reshape(steps, groups, lanes).sum(axis=2)
    last = np.flatnonzero(marks["last"])
    sums = _since(dots, marks["start"])[last]
    exponent = np.zeros(sums.shape, np.int64)
    if scale is not None:
        w_scale, a_scale = inputs["w_scale"][loaded][last], inputs["a_scale"][last]
        mask = (1 << scale.man_bits) - 1
        sums = sums * scale_factor(w_scale & mask, a_scale & mask, scale)
        exponent = (w_scale >> scale.man_bits) + (a_scale >> scale.man_bits)
    first, finish = marks["first"][last], marks["finish"][last]
    if kind is Accumulate.FLOAT32:
        leaves = round_exactly(sums, exponent + widths.unit)[:, 0]
        z, outside = accumulate_floats(leaves, first).acc, np.zeros(len(last), np.bool_)
    else:
        z, outside = _fixed_point(sums, exponent, first, widths)
    outputs = {"z": np.where(finish, z, 0), "valid": finish.astype(np.int64)}
    if flag:
        outputs["overflow"] = (outside & finish).astype(np.int64)
    return {port: _spread(values, last, steps) for port, values in outputs.items()}


def _signed(codes: Codes, format: ElementFormat) -> Codes:
    sign, exp, man = element_fields(codes, format)
    q = significand(exp, man, format)
    return np.where(sign != 0, -q, q)


def _mark(inputs: Mapping[str, Codes], port: str) -> Flags:
    return check_codes(port, inputs[port], 1) != 0


def marks_of(inputs: Mapping[str, Codes], steps: int) -> dict[str, Flags]:
    """All four; where every step is a block, it starts and ends there. Raises: ValueError."""
    every = np.ones(steps, np.bool_)
    ports = ("start", "last", "first", "finish")
    marks = {port: _mark(inputs, port) if port in inputs else every for port in ports}
    for port in ("first", "finish"):
        if (marks[port] & ~marks["last"]).any():
            raise ValueError(f"{port} must be 0 where last is 0, not 1")
    begins = {"start": marks["start"][:1], "first": marks["first"][marks["last"]][:1]}
    for port, begin in begins.items():
        if not begin.all():
            raise ValueError(f"{port} must be 1 in the first block, which defines the state, not 0")
    return marks


def loads(load: Flags) -> Codes:
    """The newest step with `load`, at each step. Raises: ValueError."""
    if not load[0]:
        raise ValueError("load must be 1 in step 0, not 0")
    return np.maximum.accumulate(np.where(load, np.arange(len(load)), 0))


def _operands(name: str, codes: Codes, widths: DotWidths) -> Exact:
    """Signed integers, in a kind of integers that holds their sums."""
    if widths.operands is Operands.DECODED:
        top = 1 << (widths.operand_width - 1)
        values = check_codes(name, codes, widths.operand_width)
        values = (values ^ top) - top
        check_integers(name, values, -widths.largest_operand, widths.format.max_significand)
    else:
        values = _signed(check_codes(name, codes, widths.format.code_width), widths.format)
    return values if widths.term_width <= 62 else values.astype(object)


def _since(values: Exact, start: Flags) -> Exact:
    """Running sums along axis 0, each from the newest start on."""
    totals = np.cumsum(values, axis=0)
    begin = np.maximum.accumulate(np.where(start, np.arange(len(start)), 0))
    return totals - totals[begin] + values[begin]


def _fixed_point(
    terms: Exact, exponent: Codes, first: Flags, widths: DotWidths
) -> tuple[Codes, Flags]:
    """Float32 codes of the sum at each block, and whether it has left the accumulator's range."""
    reach = widths.term_width + max(widths.guard, 0)
    if reach + len(terms).bit_length() + terms.shape[1].bit_length() > 62:
        terms = terms.astype(object)
    left = np.maximum(widths.guard - exponent, 0).astype(terms.dtype)
    right = np.clip(exponent - widths.guard, 0, None if terms.dtype == object else 62)
    placed = (terms << left) >> right.astype(terms.dtype)
    sums = _since(placed.sum(axis=1), first)
    top = 1 << (widths.acc_width - 1)
    outside = (sums < -top) | (sums >= top)
    index = np.arange(len(sums))
    begin = np.maximum.accumulate(np.where(first, index, 0))
    newest = np.maximum.accumulate(np.where(outside, index, -1))
    if outside.any():
        sums = (sums.astype(object) + top) % (2 * top) - top
    return round_exactly(sums, widths.offset), newest >= begin


def _spread(values: Codes, places: Codes, steps: int) -> Codes:
    """Values at their places, else 0."""
    spread = np.zeros(steps, np.int64)
    spread[places] = values
    return spread
