"""Multiply-accumulate units: every accumulator state, bit-exact (docs/numerics.md 4 and 5).

Operations `t = 0, 1, ...` form segments that each begin where `start` is set. Segments are
independent, so all of them advance together, one position at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .floats import add, check_codes, fma, multiply
from .quantize import element_fields, significand
from .spec import (
    FP8_E4M3,
    FP8_E5M2,
    FP32,
    MAX_WIDTH,
    ElementFormat,
    FloatFormat,
    Overflow,
    check_int,
    choice,
)


@dataclass(frozen=True, eq=False)
class MacTrace:
    """States after each operation.

    Members:
        acc: int64 (T,): the signed accumulator, or its code for a float MAC; Python's integers
            (object) for an accumulator of more than 64 bits.
        overflow: bool (T,): whether any operation since the last start, itself included, left the
            accumulator's range; None for a float MAC.
    """

    acc: npt.NDArray[Any]
    overflow: npt.NDArray[np.bool_] | None


def mls_mac(
    w: npt.ArrayLike,
    a: npt.ArrayLike,
    start: npt.ArrayLike,
    format: ElementFormat,
    *,
    acc_width: int,
    overflow: Overflow | str = Overflow.SATURATE,
) -> MacTrace:
    """`acc = limit((start ? 0 : acc) + (-1)^(s_w ^ s_a) * q_w * q_a)`, in units of 2^-(2F).

    The first product of a segment is limited too. The sticky overflow flag clears with `start`.

    Parameters:
        w, a: packed codes {sign, exp, man} of `format`, shape (T,).
        start: bool, shape (T,), the first one set.
        acc_width: accumulator width in bits, sign included, 2..128.
        overflow: "saturate" or "wrap".
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 4.
    """
    if not isinstance(format, ElementFormat):
        raise TypeError(f"format must be an ElementFormat, not {format!r}")
    w, a, begins = check_operands(w, a, start, format.code_width)
    # Products of 5-bit exponents are wider than int64: those take Python's integers.
    kind = object if format.product_width > 62 else np.int64
    product = _signed(w, format).astype(kind) * _signed(a, format)
    return accumulate_integers(product, begins, acc_width=acc_width, overflow=overflow)


def accumulate_integers(
    product: npt.NDArray[Any],
    start: npt.NDArray[np.bool_],
    *,
    acc_width: int = 16,
    overflow: Overflow | str = Overflow.SATURATE,
    invalid: npt.NDArray[np.bool_] | None = None,
) -> MacTrace:
    """`acc = limit((start ? 0 : acc) + product)`: `mls_mac` from its product register on.

    Parameters: `product`: signed integers (T,) or, beyond int64, objects; `invalid`: bool (T,),
    products that set the overflow flag whatever the sum; the rest as in `mls_mac`.
    Raises: TypeError, ValueError.
    """
    check_int("acc_width", acc_width, 2, MAX_WIDTH)
    policy = choice("overflow", Overflow, overflow)
    check_start(start, product)
    # Sums before limiting, and their distance from `low`, stay within 3 * 2^61: in int64.
    if acc_width > 62 or max(-int(product.min()), int(product.max())) > 1 << 61:
        product = product.astype(object)
    acc = np.zeros_like(product)
    sticky = np.zeros(len(start), np.bool_) if invalid is None else invalid.copy()
    for now, first in _positions(start):
        exact = product[now] if first else acc[now - 1] + product[now]
        acc[now] = limit(exact, acc_width, policy)
        sticky[now] |= acc[now] != exact
        if not first:
            sticky[now] |= sticky[now - 1]
    return MacTrace(acc if acc_width > 64 else acc.astype(np.int64), sticky)


def limit(total: npt.NDArray[Any], acc_width: int, policy: Overflow) -> npt.NDArray[Any]:
    """`total` as a signed `acc_width`-bit accumulator keeps it; exact integers of any dtype."""
    low, high = -(1 << (acc_width - 1)), (1 << (acc_width - 1)) - 1
    if policy is Overflow.SATURATE:
        return np.clip(total, low, high)
    return (total - low) % (1 << acc_width) + low


def float_mac(
    w: npt.ArrayLike,
    a: npt.ArrayLike,
    start: npt.ArrayLike,
    format: FloatFormat,
    *,
    acc_format: FloatFormat = FP32,
    subnormals: bool = True,
) -> MacTrace:
    """`acc = fl((start ? -0 : acc) + fl(w * a))`, nearest even; states are codes of `acc_format`.

    The product is exact for FP8 operands into FP32. Without subnormals both steps flush to zero;
    operands are flushed only where they are subnormal in `acc_format` too (FP32, BF16; not FP8).

    Parameters: `w`, `a`: codes of `format`, shape (T,); `start`: bool, shape (T,), the first one
    set.
    Raises: TypeError, ValueError; also without subnormals where operands keep theirs and products
    would not.
    Source: docs/numerics.md section 5.
    """
    _check_formats(format, acc_format)
    smallest = 2 * (format.min_exp - format.man_bits)
    if not subnormals and format.min_exp > acc_format.min_exp > smallest:
        rule = f"subnormals must be True for products of {format} in {acc_format}"
        raise ValueError(f"{rule}, whose smallest are subnormal, not {subnormals!r}")
    w, a, begins = check_operands(w, a, start, format.code_width)
    product = multiply(w, a, format, out=acc_format, subnormals=subnormals)
    return accumulate_floats(product, begins, acc_format, subnormals=subnormals)


def accumulate_floats(
    product: npt.NDArray[np.int64],
    start: npt.NDArray[np.bool_],
    format: FloatFormat = FP32,
    *,
    subnormals: bool = True,
) -> MacTrace:
    """`acc = fl((start ? -0 : acc) + product)`: `float_mac` from its product register on.

    -0 is the identity of addition, of -0 itself too. Parameters: `product`: codes of `format`,
    (T,); the rest as in `float_mac`. Raises: TypeError, ValueError.
    """
    check_start(start, product)
    return _running_sum(
        start,
        format,
        lambda before, now: add(before, product[now], format, subnormals=subnormals),
    )


def fused_mac(
    w: npt.ArrayLike,
    a: npt.ArrayLike,
    start: npt.ArrayLike,
    format: FloatFormat,
    *,
    acc_format: FloatFormat | None = None,
    subnormals: bool = True,
) -> MacTrace:
    """`acc = fl((start ? -0 : acc) + w * a)`, one rounding an operation; states are codes of
    `acc_format` (default `format`).

    Parameters: `w`, `a`: codes of `format`, shape (T,); `start`: bool, shape (T,), the first one
    set.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 11.
    """
    out = format if acc_format is None else acc_format
    _check_formats(format, out)
    w, a, begins = check_operands(w, a, start, format.code_width)
    return _running_sum(
        begins,
        out,
        lambda before, now: fma(
            w[now], a[now], before, format, acc_format=out, subnormals=subnormals
        ),
    )


def fp32_mac(
    w: npt.ArrayLike, a: npt.ArrayLike, start: npt.ArrayLike, *, subnormals: bool = True
) -> MacTrace:
    """`float_mac` of FP32 operands (the paper's baseline)."""
    return float_mac(w, a, start, FP32, subnormals=subnormals)


def fp8_mac(
    w: npt.ArrayLike, a: npt.ArrayLike, start: npt.ArrayLike, format: FloatFormat
) -> MacTrace:
    """`float_mac` of FP8_E5M2 or FP8_E4M3 operands: exact products into an FP32 accumulator.

    Sums are multiples of 2^-32 or 2^-18, so the accumulator never meets a subnormal.
    """
    if format not in (FP8_E5M2, FP8_E4M3):
        raise ValueError(f"format must be FP8_E5M2 or FP8_E4M3, not {format!r}")
    return float_mac(w, a, start, format)


def _check_formats(format: FloatFormat, acc_format: FloatFormat) -> None:
    for name, value in (("format", format), ("acc_format", acc_format)):
        if not isinstance(value, FloatFormat):
            raise TypeError(f"{name} must be a FloatFormat, not {value!r}")


def check_operands(
    w: npt.ArrayLike,
    a: npt.ArrayLike,
    start: npt.ArrayLike,
    width: int,
    a_width: int | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Codes and start marks of a MAC, all of one shape (T,); `width` bits of w, and of a where it
    has none of its own. Raises: TypeError, ValueError.
    """
    w, begins = check_codes("w", w, width), np.asarray(start)
    a = check_codes("a", a, width if a_width is None else a_width)
    if w.ndim != 1 or w.size == 0:
        raise ValueError(f"w must be of shape (T,) with T >= 1, not {w.shape!r}")
    if a.shape != w.shape:
        raise ValueError(f"a must be of w's shape {w.shape!r}, not {a.shape!r}")
    check_start(begins, w)
    return w, a, begins


def check_start(start: npt.NDArray[np.bool_], operand: npt.NDArray[Any]) -> None:
    """Raise unless `start` marks segments of `operand`: TypeError, ValueError."""
    if start.dtype != np.bool_:
        raise TypeError(f"start must be a bool array, not {start.dtype!r}")
    if start.shape != operand.shape:
        raise ValueError(f"start must be of shape {operand.shape!r}, not {start.shape!r}")
    if not start[0]:
        raise ValueError("start[0] must be True, not False")


def _signed(codes: npt.NDArray[np.int64], element: ElementFormat) -> npt.NDArray[np.int64]:
    """`(-1)^sign * q` of packed codes."""
    sign, exp, man = element_fields(codes, element)
    q = significand(exp, man, element)
    return np.where(sign != 0, -q, q)


def _running_sum(
    start: npt.NDArray[np.bool_],
    format: FloatFormat,
    step: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.int64]],
) -> MacTrace:
    """States in `format`, each `step(state before, index of the operation)`; before a start: -0."""
    acc = np.full(start.shape, 1 << (format.code_width - 1), np.int64)
    for now, first in _positions(start):
        # Before its own operation, an entry of `acc` holds -0.
        acc[now] = step(acc[now] if first else acc[now - 1], now)
    return MacTrace(acc, None)


def _positions(start: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.int64], bool]]:
    """Indices of every segment's operation 0, then 1, ..., and whether it is operation 0."""
    begins = np.flatnonzero(start)
    lengths = np.diff(begins, append=len(start))
    order = np.argsort(-lengths, kind="stable")
    begins, lengths = begins[order], lengths[order]
    # Longest segments first: those that are still running at a position are a prefix.
    running = np.searchsorted(-lengths, -np.arange(lengths[0]), side="left")
    for position, count in enumerate(running):
        yield begins[:count] + position, position == 0
