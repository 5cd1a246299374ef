"""The three convolutions of training on MLS tensors, bit-exact (docs/numerics.md 4, 7, 8 and 9).

Each is lowered to one form: for every group g, products `left[g, r, t] * right[g, t, c]` accumulate
in the order of t; the groups' sums, scaled, add up in the order of g (`group_sums.py`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .group_sums import Rules, plan_sums, sum_groups
from .quantize import Float32, MlsTensor
from .spec import GUARD_BITS, Overflow, Tree, check_int


@dataclass(frozen=True, eq=False)
class ConvResult:
    """Result of a convolution.

    Members:
        z: float32.
        overflow_count: how many accumulated sums (one a segment) set their overflow flag.
        sum_count: how many there are.
    """

    z: Float32
    overflow_count: int
    sum_count: int


def conv2d(
    w: MlsTensor,
    a: MlsTensor,
    *,
    stride: int = 1,
    padding: int = 0,
    acc_width: int | str = 16,
    overflow: Overflow | str = Overflow.SATURATE,
    segment: int | None = None,
    tree: Tree | str = Tree.FP32,
    lanes: int | None = None,
    guard_bits: int = GUARD_BITS,
) -> ConvResult:
    """`z[n, co, y, x] = sum over ci of fl(T)`, `T = scale * P`, then `z = fl(z * fl(S_t_w *
    S_t_a))`, with `P = sum over i, j of w[co, ci, i, j] * a[n, ci, y stride + i - padding, x stride
    + j - padding]`.

    P accumulates in the order of kernel row i, then column j; a product with padding is zero. The
    tree's order is ci, then segment.

    Parameters:
        w: (co, ci, kh, kw), a: (n, ci, h, w): one element and scale format, groups "nc".
        stride: >= 1; padding: zeros on each side, >= 0; both for rows and columns.
        acc_width: accumulator width in bits, sign included, 2..64, or "auto": the smallest that is
            proven to hold a segment.
        overflow: "saturate" or "wrap".
        segment: most products of an accumulated sum, zero products counted; None: the whole group.
        tree: "fp32", "aligned" or "exact".
        lanes: sums that a tile adds; None: all. Without effect on "exact".
        guard_bits: bits that an aligned sum keeps below the unit of its largest scale, 0..32.
    Returns: z (n, co, oh, ow), `oh = (h + 2 padding - kh) // stride + 1`, ow likewise.
    Raises: TypeError, ValueError.
    Source: Eqs. 6 to 8 of the MLS paper as fixed in docs/numerics.md.
    """
    rules = Rules.checked(acc_width, overflow, segment, tree, lanes, guard_bits)
    _check_pair(("w", w), ("a", a), stride, padding)
    if w.shape[1] != a.shape[1]:
        raise ValueError(f"a must have w's {w.shape[1]} channels, not {a.shape[1]!r}")
    rows, columns = _output_size(a.shape[2:], w.shape[2:], stride, padding)
    kernel = w.shape[2] * w.shape[3]
    plan = plan_sums(w, a, kernel, w.shape[1], rules)

    left = plan.left.values.reshape(w.shape[0], w.shape[1], kernel).transpose(1, 0, 2)
    windows = _windows(_pad(plan.right.values, padding), w.shape[2:], stride)
    right = windows.transpose(1, 4, 5, 0, 2, 3).reshape(w.shape[1], kernel, -1)
    acc, count = sum_groups(
        plan.left.arrange(left, transpose=True), plan.right.arrange(right, transpose=True), plan
    )
    z = acc.reshape(w.shape[0], a.shape[0], rows, columns).transpose(1, 0, 2, 3)
    return _result(z, w, a, count, acc.size * plan.leaves)


def conv2d_input_grad(
    w: MlsTensor,
    e: MlsTensor,
    *,
    input_size: tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    acc_width: int | str = 16,
    overflow: Overflow | str = Overflow.SATURATE,
    segment: int | None = None,
    tree: Tree | str = Tree.FP32,
    lanes: int | None = None,
    guard_bits: int = GUARD_BITS,
) -> ConvResult:
    """Gradient of `conv2d` by its input: `z[n, ci, y, x] = sum over co of fl(T)`, with `P = sum
    over i, j of w[co, ci, i, j] * e[n, co, (y + padding - i) / stride, (x + padding - j) / stride]`
    where both quotients are integers and in range, and a zero product elsewhere.

    P accumulates in the order of kernel row i, then column j, as in `conv2d`; the tree's order is
    co, then segment.

    Parameters: `w`: (co, ci, kh, kw); `e`: (n, co, oh, ow); `input_size`: (h, w) of the input,
    which stride > 1 leaves open; the rest as in `conv2d`.
    Returns: z (n, ci, h, w).
    Raises: TypeError, ValueError.
    """
    rules = Rules.checked(acc_width, overflow, segment, tree, lanes, guard_bits)
    _check_pair(("w", w), ("e", e), stride, padding)
    if w.shape[0] != e.shape[1]:
        raise ValueError(f"e must have w's {w.shape[0]} output channels, not {e.shape[1]!r}")
    size = _check_size("input_size", input_size)
    expected = _output_size(size, w.shape[2:], stride, padding)
    if e.shape[2:] != expected:
        raise ValueError(f"e must be of size {expected!r} for these sizes, not {e.shape[2:]!r}")
    kernel = w.shape[2] * w.shape[3]
    plan = plan_sums(w, e, kernel, w.shape[0], rules)

    left = plan.left.values.reshape(*w.shape[:2], kernel)
    spread = _spread(plan.right.values, size, w.shape[2:], stride, padding)
    windows = _windows(spread, w.shape[2:], 1)[..., ::-1, ::-1]
    right = windows.transpose(1, 4, 5, 0, 2, 3).reshape(w.shape[0], kernel, -1)
    acc, count = sum_groups(
        plan.left.arrange(left, transpose=False), plan.right.arrange(right, transpose=True), plan
    )
    z = acc.reshape(w.shape[1], e.shape[0], *size).transpose(1, 0, 2, 3)
    return _result(z, w, e, count, acc.size * plan.leaves)


def conv2d_weight_grad(
    a: MlsTensor,
    e: MlsTensor,
    *,
    kernel_size: tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    acc_width: int | str = 16,
    overflow: Overflow | str = Overflow.SATURATE,
    segment: int | None = None,
    tree: Tree | str = Tree.FP32,
    lanes: int | None = None,
    guard_bits: int = GUARD_BITS,
) -> ConvResult:
    """Gradient of `conv2d` by its weights: `z[co, ci, i, j] = sum over n of fl(T)`, with `P = sum
    over y, x of e[n, co, y, x] * a[n, ci, y stride + i - padding, x stride + j - padding]`.

    P accumulates over the plane of e in C order (row y, then column x); the tree's order is n, then
    segment.

    Parameters: `a`: (n, ci, h, w); `e`: (n, co, oh, ow); `kernel_size`: (kh, kw), which stride > 1
    leaves open; the rest as in `conv2d`.
    Returns: z (co, ci, kh, kw).
    Raises: TypeError, ValueError.
    """
    rules = Rules.checked(acc_width, overflow, segment, tree, lanes, guard_bits)
    _check_pair(("a", a), ("e", e), stride, padding)
    if a.shape[0] != e.shape[0]:
        raise ValueError(f"e must have a's {a.shape[0]} samples, not {e.shape[0]!r}")
    size = _check_size("kernel_size", kernel_size)
    expected = _output_size(a.shape[2:], size, stride, padding)
    if e.shape[2:] != expected:
        raise ValueError(f"e must be of size {expected!r} for these sizes, not {e.shape[2:]!r}")
    plane = e.shape[2] * e.shape[3]
    plan = plan_sums(e, a, plane, e.shape[0], rules)

    left = plan.left.values.reshape(*e.shape[:2], plane)
    # Channels last: copies of a few neighbours, as kernels are, would be slow.
    padded = np.ascontiguousarray(_pad(plan.right.values, padding).transpose(0, 2, 3, 1))
    windows = _windows(padded.transpose(0, 3, 1, 2), size, stride)
    right = windows.transpose(0, 2, 3, 4, 5, 1).reshape(a.shape[0], plane, -1)
    acc, count = sum_groups(
        plan.left.arrange(left, transpose=False),
        plan.right.arrange(right, transpose=False, copies=size[0] * size[1]),
        plan,
    )
    z = acc.reshape(e.shape[1], *size, a.shape[1]).transpose(0, 3, 1, 2)
    return _result(z, e, a, count, acc.size * plan.leaves)


def _result(z: Float32, x: MlsTensor, y: MlsTensor, overflows: int, sums: int) -> ConvResult:
    """Apply `fl(S_t_x * S_t_y)`; a NaN (zero times an infinite product) is the canonical one."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        factor = np.float32(x.tensor_scale) * np.float32(y.tensor_scale)
        scaled = np.multiply(z, factor, order="C")
    if not np.isfinite(factor):
        scaled[np.isnan(scaled)] = np.nan
    return ConvResult(scaled, overflows, sums)


def _check_pair(
    x: tuple[str, MlsTensor], y: tuple[str, MlsTensor], stride: int, padding: int
) -> None:
    for name, tensor in (x, y):
        if not isinstance(tensor, MlsTensor):
            raise TypeError(f"{name} must be an MlsTensor, not {tensor!r}")
        if len(tensor.shape) != 4 or 0 in tensor.shape:
            raise ValueError(f"{name} must be of rank 4 and not empty, not {tensor.shape!r}")
        if tensor.scale_exp.shape != (*tensor.shape[:2], 1, 1):
            raise ValueError(
                f"{name} must have groups 'nc', scales of shape {(*tensor.shape[:2], 1, 1)!r}, "
                f"not {tensor.scale_exp.shape!r}"
            )
    for field in ("element", "scale"):
        ours, theirs = getattr(x[1], field), getattr(y[1], field)
        if ours != theirs:
            raise ValueError(f"{y[0]} must have {x[0]}'s {field} format {ours}, not {theirs}")
    check_int("stride", stride, 1, 1 << 16)
    check_int("padding", padding, 0, 1 << 16)


def _check_size(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"{name} must be a pair of integers, not {value!r}")
    for size in value:
        check_int(name, size, 1, 1 << 20)
    return value


def _output_size(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: int
) -> tuple[int, ...]:
    """`(size + 2 padding - kernel) // stride + 1`; ValueError where the kernel does not fit."""
    reach = [side + 2 * padding - k for side, k in zip(size, kernel, strict=True)]
    if min(reach) < 0:
        raise ValueError(
            f"the kernel must fit the padded input, not {kernel!r} into {size!r} padded by "
            f"{padding!r}"
        )
    return tuple(r // stride + 1 for r in reach)


def _pad(planes: npt.NDArray[Any], padding: int) -> npt.NDArray[Any]:
    return np.pad(planes, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def _windows(planes: npt.NDArray[Any], kernel: tuple[int, ...], stride: int) -> npt.NDArray[Any]:
    """View (n, c, y, x, i, j) of `planes` (n, c, h, w) at (y stride + i, x stride + j)."""
    view = np.lib.stride_tricks.sliding_window_view(planes, kernel, axis=(2, 3))
    return view[:, :, ::stride, ::stride]


def _spread(
    planes: npt.NDArray[Any],
    size: tuple[int, int],
    kernel: tuple[int, ...],
    stride: int,
    padding: int,
) -> npt.NDArray[Any]:
    """`planes` with stride - 1 zeros between neighbours and zeros around, such that the last row
    and column of the window at (y, x) belong to kernel row and column 0.

    Element 0 lies at kernel - 1 of the whole, which is cut off before row and column `padding`.
    """
    whole = [
        max(padding + side + k - 1, (count - 1) * stride + k)
        for side, k, count in zip(size, kernel, planes.shape[2:], strict=True)
    ]
    spread = np.zeros((*planes.shape[:2], *whole), planes.dtype)
    spread[:, :, kernel[0] - 1 :: stride, kernel[1] - 1 :: stride][
        :, :, : planes.shape[2], : planes.shape[3]
    ] = planes
    ends = [padding + side + k - 1 for side, k in zip(size, kernel, strict=True)]
    return spread[:, :, padding : ends[0], padding : ends[1]]
