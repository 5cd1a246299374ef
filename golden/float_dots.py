"""Aligned dot products of floating-point numbers, bit-exact (docs/numerics.md section 18)."""

from collections.abc import Mapping

import numpy as np

from ..support.words import Codes
from .dots import marks_of
from .floats import decode, round_encode
from .mac import accumulate_floats
from .spec import FP32, FloatFormat, Specials, check_int

_EMPTY = -(1 << 20)
"""Below every exponent: that of a product of zero."""


def float_dot(
    inputs: Mapping[str, Codes], *, format: FloatFormat = FP32, lanes: int, guard_bits: int = 6
) -> dict[str, Codes]:
    """`acc = fl((first ? -0 : acc) + fl(sum over lanes of w * a))`, subnormals flushed to zero.

    Products are exact; in units of u, `2^-guard_bits` of the last place of a product as large as
    the largest exponent of the step allows, each is floored, and their sum is exact. A z of zero is
    +0.

    Parameters:
        inputs: `w`, `a`: codes (T, lanes); `first`, `finish` (T,): an output begins, ends.
        format: of the operands, IEEE; the sum is float32.
    Returns: `z` (float32 code where `valid`, else 0) and `valid`, (T,).
    Raises: TypeError, ValueError.
    """
    check_int("guard_bits", guard_bits, 0, 16)
    if format.specials is not Specials.IEEE:
        raise ValueError(f"format must have infinities, not {format}")
    marks = marks_of(inputs, len(inputs["w"]))
    x, y = (decode(inputs[port], format, subnormals=False) for port in "wa")
    if x.sign.shape != y.sign.shape or x.sign.shape[1:] != (lanes,):
        raise ValueError(f"w and a must be of shape (T, {lanes}), not {x.sign.shape!r}")
    negative, zero = x.sign ^ y.sign, x.zero | y.zero
    infinite = x.infinite | y.infinite
    nan = x.nan | y.nan | (infinite & (zero | x.nan | y.nan))
    product = np.where(zero | infinite | nan, 0, x.significand * y.significand)
    exponent = np.where(zero, _EMPTY, x.exponent + y.exponent)
    top = exponent.max(axis=1, keepdims=True)
    # Of 2M + 2 bits, the upper M + 2 are the integer part of u's multiples, less the guard bits.
    drop = top - exponent + format.man_bits - guard_bits
    signed = np.where(negative, -product, product)
    right = np.clip(drop, 0, 62)
    total = ((signed << np.clip(-drop, 0, 16)) >> right).sum(axis=1)
    unit = top[:, 0] + format.man_bits - guard_bits
    code = round_encode(total < 0, np.abs(total), unit, FP32, subnormals=False)
    up, down = ((infinite & ~nan & sign).any(axis=1) for sign in (~negative, negative))
    code = np.where(up | down, FP32.infinity | down.astype(np.int64) << 31, code)
    code = np.where(nan.any(axis=1) | (up & down), FP32.nan, code)
    acc = accumulate_floats(code, marks["first"], FP32, subnormals=False).acc
    finish = marks["finish"]
    shown = finish & (acc != 1 << 31)  # -0 is +0
    return {"z": np.where(shown, acc, 0), "valid": finish.astype(np.int64)}
