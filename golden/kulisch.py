"""Floating-point products in a fixed-point accumulator (docs/numerics.md section 14)."""

import numpy as np
import numpy.typing as npt

from .floats import decode
from .mac import MacTrace, accumulate_integers, check_operands
from .spec import FloatFormat, Overflow


def kulisch_mac(
    w: npt.ArrayLike,
    a: npt.ArrayLike,
    start: npt.ArrayLike,
    format: FloatFormat,
    *,
    acc_width: int,
    overflow: Overflow | str = Overflow.SATURATE,
) -> MacTrace:
    """`acc = limit((start ? 0 : acc) + w * a)`, exact, in units of `2^(2 (min_exp - M))`, the
    product of two smallest subnormals.

    A NaN or infinite operand makes a product of 0 and sets the sticky overflow flag: the flag says
    that `acc` is not the sum.

    Parameters:
        w, a: codes of `format`, shape (T,).
        start: bool, shape (T,), the first one set.
        acc_width, overflow: as in `accumulate_integers`.
    Raises: TypeError, ValueError.
    Source: U. W. Kulisch, "Computer Arithmetic and Validity", 2008; docs/numerics.md section 14.
    """
    if not isinstance(format, FloatFormat):
        raise TypeError(f"format must be a FloatFormat, not {format!r}")
    w, a, begins = check_operands(w, a, start, format.code_width)
    x, y = decode(w, format), decode(a, format)
    invalid = x.nan | x.infinite | y.nan | y.infinite
    significand = np.where(invalid, 0, x.significand * y.significand)
    signed = np.where(x.sign ^ y.sign, -significand, significand)
    shift = x.exponent + y.exponent - 2 * (format.min_exp - format.man_bits)
    # Objects: Python's integers, which have any width.
    product = signed.astype(object) << shift.astype(object)
    return accumulate_integers(
        product, begins, acc_width=acc_width, overflow=overflow, invalid=invalid
    )
