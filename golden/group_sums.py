"""Sums of products by groups, scaled and added: what the three convolutions share.

Integers travel as float32 or float64 where each partial sum is proven to fit the significand, so
that a matrix product (in whatever order it adds) is exact. Only sums that could leave the
accumulator's range are redone one product after another. With numba, `compiled.py` does the sums.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from .mac import limit
from .quantize import Float32, Float64, MlsTensor
from .spec import AUTO, Overflow, Tree, check_int, choice, resolve_acc_width
from .tree import EXACT_BITS, add_aligned, add_tree, aligned_width, check_lanes, exact_tree

# Numba's loops where it is installed (extra `fast`), NumPy elsewhere: the same bits.
_COMPILED = find_spec("numba") is not None
# Sums worked on at a time, measured: fewer cost calls, more leave the cache.
_CHUNK = 1 << 18
_FEWEST_COLUMNS = 16
# Scaled operands stay multiples of 2^-60: their squares, compared in float32, do not underflow.
_DEEPEST = 60
# Above this share of suspects, redoing all sums is faster than gathering some.
_DENSE = 1 / 16
# Sums that are redone together, measured: a few arrays of them fit the second cache.
_REDONE = 1 << 15


@dataclass(frozen=True)
class Rules:
    """The options of a convolution, checked; as in `conv2d`."""

    acc_width: int | str
    overflow: Overflow
    segment: int | None
    tree: Tree
    lanes: int | None
    guard_bits: int

    @classmethod
    def checked(
        cls,
        acc_width: int | str,
        overflow: Overflow | str,
        segment: int | None,
        tree: Tree | str,
        lanes: int | None,
        guard_bits: int,
    ) -> "Rules":
        """Raises: TypeError, ValueError."""
        if acc_width != AUTO:
            check_int("acc_width", acc_width, 2, 64)
        if segment is not None:
            check_int("segment", segment, 1, 1 << 30)
        check_lanes(lanes, 1)
        check_int("guard_bits", guard_bits, 0, 32)
        policy = choice("overflow", Overflow, overflow)
        return cls(acc_width, policy, segment, choice("tree", Tree, tree), lanes, guard_bits)


@dataclass(frozen=True, eq=False)
class Operand:
    """One side of the products.

    Members:
        values: significands times `unit`; (d0, d1, height, width) of a tensor, then arranged as
            (groups, rows, length) or (groups, length, columns).
        exponent, factor: group scale and unit of significands, `factor * 2^-exponent`.
        unit: the same where it is part of `values`, else 1.
        The three are (d0, d1), then (groups, rows) or (groups, b), where b divides the columns and
        neighbours share.
    """

    values: npt.NDArray[Any]
    exponent: npt.NDArray[np.int32]
    factor: npt.NDArray[np.int64]
    unit: Float64

    def arrange(self, values: npt.NDArray[Any], *, transpose: bool, copies: int = 1) -> "Operand":
        """The same with other `values`, and scales transposed where d1 holds the groups, then
        `copies` times.
        """
        exponent, factor, unit = self.exponent, self.factor, self.unit
        if transpose:
            exponent, factor, unit = exponent.T, factor.T, unit.T
        repeat = (1, copies)
        return Operand(
            values, np.tile(exponent, repeat), np.tile(factor, repeat), np.tile(unit, repeat)
        )

    @property
    def grain(self) -> Float64:
        """`2^-exponent`."""
        return np.ldexp(1.0, -self.exponent)

    @property
    def scale(self) -> Float64:
        """`factor * 2^-exponent`."""
        return np.ldexp(self.factor.astype(np.float64), -self.exponent)

    def columns(self, part: slice) -> "Operand":
        """Some columns of a right operand, each with its own scale."""
        total = self.values.shape[2]
        scale = np.arange(total)[part] // (total // self.unit.shape[1])
        values = self.values[:, :, part]
        return Operand(values, self.exponent[:, scale], self.factor[:, scale], self.unit[:, scale])


@dataclass(frozen=True, eq=False)
class Plan:
    """What is decided before any product: precision, segments, accumulator.

    Members: `left`, `right`: the tensors' operands, not yet arranged; `compiled`: whether numba's
    loops work; `fits`: whether float64 adds all scaled sums of an output exactly; `fold`: whether
    group scales are part of the operands; `segments`: of a group; `leaves`: scaled sums of one
    output; `acc_width`; `safe`: whether no sum can leave the accumulator's range; `step`: what
    holds every number of a step of the accumulator.
    """

    rules: Rules
    left: Operand
    right: Operand
    compiled: bool
    fits: bool
    fold: bool
    segments: tuple[slice, ...]
    leaves: int
    acc_width: int
    safe: bool
    step: npt.DTypeLike


def plan_sums(left: MlsTensor, right: MlsTensor, length: int, groups: int, rules: Rules) -> Plan:
    """Choose the fastest exact way for `groups` of `length` products.

    With q the largest significands and n the products of a segment, partial sums are at most
    n q_left q_right units, times the largest scale factors where scales fold. Wrapping adds half
    the accumulator's range, at most as much again.
    Raises: ValueError where float64 cannot hold the sums, or an aligned one.
    """
    segment = min(length, rules.segment or length)
    segments = tuple(slice(i, min(i + segment, length)) for i in range(0, length, segment))
    width = resolve_acc_width(left.element.max_significand**2, rules.acc_width, segment)
    leaves = groups * len(segments)
    largest_factor = ((2 << left.scale.man_bits) - 1) ** 2
    _check_precision(left, rules, segment, leaves, width)
    q = left.signed_significand(), right.signed_significand()
    peaks = [np.maximum(x.max(axis=(2, 3)), -x.min(axis=(2, 3))) for x in q]
    bound = segment * int(peaks[0].max()) * int(peaks[1].max())
    # Groups without a nonzero element have the smallest scale, but sums of zero in any scale.
    exponents = [_exponent(x) for x in (left, right)]
    used = [np.where(peak > 0, x, 0) for peak, x in zip(peaks, exponents, strict=True)]
    reach = sum(int(u.max()) - int(x.min()) for u, x in zip(used, exponents, strict=True))
    largest = leaves * min(bound, 1 << (width - 1)) * largest_factor
    fits = largest.bit_length() + reach <= 53
    compiled = _COMPILED and (fits or rules.tree is not Tree.EXACT)
    fold = (
        not compiled
        and rules.tree is Tree.FP32
        and bound * largest_factor <= 1 << 23
        and max(int(x.max()) for x in used) <= _DEEPEST
    )
    single = fold or (rules.tree is not Tree.FP32 and bound <= 1 << 23)
    kind: npt.DTypeLike = np.float32 if single else np.float64
    if compiled:
        kind = np.int32 if bound < 1 << 30 else np.int64
    operands = []
    for tensor, integers, exponent, deep in zip((left, right), q, exponents, used, strict=True):
        factor = _factor(tensor)
        unit = np.ldexp(factor.astype(np.float64), -deep) if fold else np.ones(factor.shape)
        values = integers.astype(kind, copy=False)
        if fold:
            values *= unit[:, :, None, None].astype(kind)
        operands.append(Operand(values, exponent, factor, unit))
    safe = bound <= (1 << (width - 1)) - 1
    # Wrapping adds half the accumulator's range to the next sum.
    narrow = (1 << width) + bound // segment <= 1 << 24
    step = np.float32 if narrow else np.float64
    return Plan(
        rules, operands[0], operands[1], compiled, fits, fold, segments, leaves, width, safe, step
    )


def _check_precision(
    tensor: MlsTensor, rules: Rules, segment: int, leaves: int, width: int
) -> None:
    """Raises: ValueError where float64 cannot hold the scaled sums, or an aligned one."""
    largest_factor = ((2 << tensor.scale.man_bits) - 1) ** 2
    if segment * tensor.element.max_significand**2 * largest_factor > 1 << 52:
        raise ValueError(
            f"element must keep {segment} scaled products below 2^52, not {tensor.element}"
        )
    if rules.tree is Tree.ALIGNED:
        lanes = check_lanes(rules.lanes, leaves)
        if aligned_width(width, tensor.scale, rules.guard_bits, lanes) > EXACT_BITS:
            raise ValueError(
                f"guard_bits must keep the sum of {lanes} aligned terms within {EXACT_BITS} bits "
                f"for acc_width {width}, not {rules.guard_bits!r}"
            )


def sum_groups(left: Operand, right: Operand, plan: Plan) -> tuple[Float32, int]:
    """Scaled sums (rows, columns) before the tensor scale, and how many accumulators overflowed."""
    rows, columns = left.values.shape[1], right.values.shape[2]
    if plan.compiled:
        return _sum_compiled(left, right, plan)
    step = max(_CHUNK // (plan.leaves * rows), _FEWEST_COLUMNS)
    scratch = np.empty((plan.leaves, rows, min(step, columns)), left.values.dtype)
    acc = np.empty((rows, columns), np.float32)
    overflows = 0
    for first in range(0, columns, step):
        part = slice(first, min(first + step, columns))
        chunk = right.columns(part)
        leaves = scratch[:, :, : part.stop - first]
        for index, piece in enumerate(plan.segments):
            x, y = left.values[:, :, piece], chunk.values[:, piece]
            out = leaves[index :: len(plan.segments)]
            np.matmul(x, y, out=out)
            if not plan.safe:
                overflows += _limit_sums(x, y, left.unit, chunk.unit, out, plan)
        acc[:, part] = _add_leaves(leaves, left, chunk, plan)
    return acc, overflows


def _sum_compiled(left: Operand, right: Operand, plan: Plan) -> tuple[Float32, int]:
    from ..golden import compiled  # here, as numba takes long to import

    return compiled.sum_groups(
        *(np.ascontiguousarray(x.values) for x in (left, right)),
        *(np.ascontiguousarray(x.grain) for x in (left, right)),
        *(np.ascontiguousarray(x.scale) for x in (left, right)),
        segment=plan.segments[0].stop,
        acc_width=plan.acc_width,
        overflow=plan.rules.overflow,
        tree=plan.rules.tree,
        lanes=check_lanes(plan.rules.lanes, plan.leaves),
        guard_bits=plan.rules.guard_bits,
    )


def _add_leaves(leaves: npt.NDArray[Any], left: Operand, right: Operand, plan: Plan) -> Float32:
    """Group scaler and tree on accumulated sums (leaves, rows, columns)."""
    rules = plan.rules
    if plan.fold:
        return add_tree(leaves, rules.lanes)
    # A group's segments are neighbours and share its scale.
    groups = leaves.reshape(len(left.factor), len(plan.segments), *leaves.shape[1:])
    if rules.tree is Tree.EXACT and not plan.fits:
        factor = left.factor[:, None, :, None] * right.factor[:, None, None]
        exponent = left.exponent[:, None, :, None] + right.exponent[:, None, None]
        terms = (groups.astype(np.int64) * factor).reshape(leaves.shape)
        return exact_tree(terms, np.broadcast_to(exponent, groups.shape).reshape(leaves.shape))
    # Exact in float64: T is below 2^53.
    scaled = groups * (left.scale[:, None, :, None] * right.scale[:, None, None])
    terms = scaled.reshape(leaves.shape)
    if rules.tree is Tree.FP32:
        return add_tree(terms.astype(np.float32), rules.lanes)
    if rules.tree is Tree.EXACT:
        return terms.sum(axis=0).astype(np.float32) + np.float32(0)
    grain = np.repeat(left.grain, len(plan.segments), axis=0)[:, :, None]
    grain = grain * np.repeat(right.grain, len(plan.segments), axis=0)[:, None]
    return add_aligned(terms, grain, rules.lanes, rules.guard_bits)


def _limit_sums(
    left: npt.NDArray[Any],
    right: npt.NDArray[Any],
    left_unit: Float64,
    right_unit: Float64,
    out: npt.NDArray[Any],
    plan: Plan,
) -> int:
    """Redo in order the sums of `out` that could leave the accumulator's range; how many did.

    All arrays are in units of `left_unit * right_unit`.
    """
    suspects = _suspects(left, right, left_unit, right_unit, out, plan)
    if suspects.size == 0:
        return 0
    if suspects.size > _DENSE * out.size:
        x = (left / left_unit[:, :, None].astype(left.dtype)).transpose(2, 0, 1)
        y = (right / right_unit[:, None].astype(right.dtype)).swapaxes(0, 1)
        x = np.ascontiguousarray(x, plan.step)[..., None]
        y = np.ascontiguousarray(y, plan.step)[:, :, None]
        step = max(_REDONE // out[0].size, 1)
        overflows = 0
        for part in (slice(g, g + step) for g in range(0, len(out), step)):
            acc, overflow = _in_order(x[:, part], y[:, part], plan)
            unit = left_unit[part, :, None] * right_unit[part, None]
            np.multiply(acc, unit, out=out[part], casting="same_kind")
            overflows += int(np.count_nonzero(overflow))
        return overflows
    g, r, c = np.unravel_index(suspects, out.shape)
    x = left[g, r].T / left_unit[g, r].astype(left.dtype)
    y = right[g, :, c].T / right_unit[g, c].astype(right.dtype)
    # The first sum out of range is one of the exact ones: these tell which accumulators overflow.
    prefix = np.cumsum(x * y, axis=0)
    high = (1 << (plan.acc_width - 1)) - 1
    over = np.flatnonzero((prefix.max(axis=0) > high) | (prefix.min(axis=0) < -high - 1))
    if over.size:
        g, r, c = g[over], r[over], c[over]
        acc, _ = _in_order(x[:, over], y[:, over], plan)
        out[g, r, c] = acc * left_unit[g, r] * right_unit[g, c]
    return over.size


def _suspects(
    left: npt.NDArray[Any],
    right: npt.NDArray[Any],
    left_unit: Float64,
    right_unit: Float64,
    out: npt.NDArray[Any],
    plan: Plan,
) -> npt.NDArray[np.int64]:
    """Flat indices into `out` of the sums that could leave the accumulator's range on their way.

    Every partial sum lies between minus the sum of the negative products and the sum of the
    positive ones. The larger of the two is (A + |P|) / 2, with P the whole sum and A that of the
    absolute products, and A is at most the product of the Euclidean norms (Cauchy and Schwarz).
    So P is a suspect where `|P| > 2 high - norm * norm`, a matrix product of depth 2. The slack
    covers its rounding and that of the norms: relative errors below (length + 8) * 2^-23.
    """
    high = (1 << (plan.acc_width - 1)) - 1
    slack = (left.shape[2] + 8) * 2.0**-22
    row = np.sqrt(np.einsum("grt,grt->gr", left, left, dtype=np.float64)) * (1 + slack)
    column = np.sqrt(np.einsum("gtc,gtc->gc", right, right).astype(np.float64))
    reach = (row / left_unit).max(axis=1) * (column / right_unit).max(axis=1)
    if (reach <= high).all():
        return np.empty(0, np.int64)
    x = np.stack([2 * high * (1 - slack) * left_unit, -row], axis=2).astype(left.dtype)
    y = np.stack([right_unit, column], axis=1).astype(right.dtype)
    return np.flatnonzero(np.abs(out) > np.matmul(x, y))


def _in_order(
    x: npt.NDArray[Any], y: npt.NDArray[Any], plan: Plan
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Accumulate `x[0] * y[0]`, then `x[1] * y[1]` ...: sums and sticky flags."""
    acc = np.zeros(np.broadcast_shapes(x.shape[1:], y.shape[1:]), x.dtype)
    high = (1 << (plan.acc_width - 1)) - 1
    low = -high - 1
    exact, differs, sticky = np.empty_like(acc), acc != 0, acc != 0
    for left, right in zip(x, y, strict=True):
        np.multiply(left, right, out=exact)
        np.add(exact, acc, out=exact)
        if plan.rules.overflow is Overflow.SATURATE:
            np.clip(exact, low, high, out=acc)
        else:
            acc = limit(exact, plan.acc_width, plan.rules.overflow)
        np.not_equal(acc, exact, out=differs)
        np.logical_or(sticky, differs, out=sticky)
    return acc, sticky


def _exponent(tensor: MlsTensor) -> npt.NDArray[np.int32]:
    """The group scale is `factor * 2^-(eg + Mg)`, a significand's unit 2^-F; (d0, d1)."""
    offset = tensor.scale.man_bits + tensor.element.fraction_bits
    return tensor.scale_exp[:, :, 0, 0].astype(np.int32) + np.int32(offset)


def _factor(tensor: MlsTensor) -> npt.NDArray[np.int64]:
    """`2^Mg + mg`, (d0, d1)."""
    return (1 << tensor.scale.man_bits) + tensor.scale_man[:, :, 0, 0].astype(np.int64)
