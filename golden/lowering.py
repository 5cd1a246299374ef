"""Convolutions as the steps of a tile, by place: which products each lane gets, and when
(docs/numerics.md sections 9 and 10).

By plain index arithmetic, independent of `conv.py`.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..support.words import Codes
from .spec import check_int

Shape = tuple[int, ...]
Indices = tuple[Codes, ...]
Places = Callable[[Indices, Codes, Codes], tuple[Indices, Indices]]

_CHUNK = 1 << 17
"""Products worked on at a time, measured: their temporaries stay in the cache."""


class Kind(enum.StrEnum):
    """The three convolutions of training; the letters name the tensors on ports `w` and `a`.

    Stride s, padding p; sums over `co` or `n` and `ci` are groups of their own.
    """

    WA = "wa"
    """Forward: z[n, co, y, x] += w[co, ci, i, j] * a[n, ci, y s - p + i, x s - p + j]."""

    WE = "we"
    """Input gradient: da[n, ci, y, x] += w[co, ci, i, j] * e[n, co, (y + p - i) / s,
    (x + p - j) / s]; only where both quotients are whole."""

    AE = "ae"
    """Weight gradient: dw[co, ci, i, j] += a[n, ci, y s - p + i, x s - p + j] * e[n, co, y, x]."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """What an output is made of, and where that lies in the tensors; `convolution` makes it.

    Members:
        w, a: shapes of the tensors on the ports `w` and `a`; z: of the result.
        groups: of an output; products: of a group; segment: most products of a leaf.
        places: maps indices into z, a group and a product of it to indices into the two tensors; a
            row or column outside its plane is a zero.
    """

    w: Shape
    a: Shape
    z: Shape
    groups: int
    products: int
    segment: int
    places: Places

    @property
    def segments(self) -> int:
        """Leaves of a group."""
        return -(-self.products // self.segment)

    @property
    def size(self) -> int:
        """Number of outputs."""
        return int(np.prod(self.z))

    def draw(self, count: int, seed: int) -> Codes:
        """Places in z of `count` outputs (all, where there are not as many), in ascending order.

        Raises: TypeError, ValueError.
        """
        check_int("count", count, 1, 1 << 30)
        check_int("seed", seed, 0, 1 << 31)
        rng = np.random.default_rng(seed)
        return np.sort(rng.choice(self.size, min(count, self.size), replace=False))


def convolution(
    kind: str,
    w: Shape,
    a: Shape,
    *,
    stride: int = 1,
    padding: int = 0,
    size: tuple[int, int] | None = None,
    segment: int | None = None,
) -> Convolution:
    """One of the three convolutions of training, by the shapes of its tensors.

    Parameters:
        kind: a `Kind`, or its value.
        stride: >= 1; padding: >= 0.
        size: rows and columns of the input for "we", of the kernel for "ae", which stride > 1
            leaves open; None for "wa".
        segment: most products of a leaf; None: the whole group.
    Raises: TypeError, ValueError.
    Source: docs/numerics.md section 9.
    """
    if kind not in list(Kind):
        raise ValueError(f"kind must be one of {', '.join(Kind)}, not {kind!r}")
    for port, shape in (("w", w), ("a", a)):
        if len(shape) != 4 or min(shape) < 1:
            raise ValueError(f"{port} must be of rank 4 and not empty, not {shape!r}")
    check_int("stride", stride, 1, 1 << 16)
    check_int("padding", padding, 0, 1 << 16)
    if (size is None) != (kind == Kind.WA):
        raise ValueError(f"size must be given for we and ae and only there, not {size!r}")
    if segment is not None:
        check_int("segment", segment, 1, 1 << 30)
    z, groups, products, places = _LOWERED[kind](w, a, stride, padding, size)
    return Convolution(w, a, z, groups, products, min(segment or products, products), places)


def _forward(
    w: Shape, a: Shape, stride: int, padding: int, size: None
) -> tuple[Shape, int, int, Places]:
    def places(z: Indices, group: Codes, product: Codes) -> tuple[Indices, Indices]:
        n, co, y, x = z
        i, j = np.divmod(product, w[3])
        return (co, group, i, j), (n, group, y * stride + i - padding, x * stride + j - padding)

    check_equal("a's channels", a[1], w[1])
    return (a[0], w[0], *_plane(a, w[2:], stride, padding)), w[1], w[2] * w[3], places


def _input_grad(
    w: Shape, e: Shape, stride: int, padding: int, size: tuple[int, int]
) -> tuple[Shape, int, int, Places]:
    def places(z: Indices, group: Codes, product: Codes) -> tuple[Indices, Indices]:
        n, ci, y, x = z
        i, j = np.divmod(product, w[3])
        inside = []
        for reached in (y + padding - i, x + padding - j):
            quotient, rest = np.divmod(reached, stride) if stride > 1 else (reached, 0)
            inside.append(np.where(rest == 0, quotient, -1))
        return (group, ci, i, j), (n, group, *inside)

    check_equal("a's channels", e[1], w[0])
    check_equal("a's plane", e[2:], _plane((*e[:2], *size), w[2:], stride, padding))
    return (e[0], w[1], *size), w[0], w[2] * w[3], places


def _weight_grad(
    a: Shape, e: Shape, stride: int, padding: int, size: tuple[int, int]
) -> tuple[Shape, int, int, Places]:
    def places(z: Indices, group: Codes, product: Codes) -> tuple[Indices, Indices]:
        co, ci, i, j = z
        y, x = np.divmod(product, e[3])
        return (group, ci, y * stride + i - padding, x * stride + j - padding), (group, co, y, x)

    check_equal("a's samples", e[0], a[0])
    check_equal("a's plane", e[2:], _plane(a, size, stride, padding))
    return (e[1], a[1], *size), a[0], e[2] * e[3], places


_LOWERED: dict[str, Callable[..., tuple[Shape, int, int, Places]]] = {
    Kind.WA: _forward,
    Kind.WE: _input_grad,
    Kind.AE: _weight_grad,
}


def check_equal(what: str, value: object, expected: object) -> None:
    """Raises: ValueError where they differ."""
    if value != expected:
        raise ValueError(f"{what} must be {expected}, not {value}")


def _plane(shape: Shape, kernel: Shape, stride: int, padding: int) -> Shape:
    """Rows and columns of what a kernel makes of planes of `shape`."""
    reach = [side + 2 * padding - k for side, k in zip(shape[2:], kernel, strict=True)]
    if min(reach) < 0:
        raise ValueError(f"the kernel must fit {shape[2:]!r} padded by {padding!r}, not {kernel!r}")
    return tuple(r // stride + 1 for r in reach)


@dataclass(frozen=True, eq=False)
class Steps:
    """What a tile reads at each step, by place; axis 0 is steps.

    Members:
        w, a: int64 (steps, lanes): places in the tensors in C order, -1 for a zero.
        w_group, a_group: the same of the group scales, `index 0 * dimension 1 + index 1`; -1 for
            an idle lane.
        start, last, first, finish: int64 (steps,), 0 or 1: the ports of the tile.
        outputs: places in z of the outputs, in the order of their `finish`.
    """

    w: Codes
    a: Codes
    w_group: Codes
    a_group: Codes
    start: Codes
    last: Codes
    first: Codes
    finish: Codes
    outputs: Codes


def lower(
    convolution: Convolution,
    *,
    lanes: int,
    interval: int = 1,
    outputs: npt.NDArray[np.integer] | None = None,
) -> Steps:
    """The steps of the outputs at these places in z (None: all), one output after the other.

    A tile takes as many steps as its longest leaf has products, after as many idle ones as bring
    its `last` to `interval` steps behind the previous one's.
    Raises: TypeError, ValueError.
    """
    check_int("lanes", lanes, 1, 1 << 20)
    check_int("interval", interval, 1, 1 << 20)
    chosen = np.arange(convolution.size) if outputs is None else np.asarray(outputs, np.int64)
    if chosen.ndim != 1 or not chosen.size or chosen.min() < 0 or chosen.max() >= convolution.size:
        raise ValueError(f"outputs must be places below {convolution.size}, not {outputs!r}")
    pattern = _Pattern.of(convolution, lanes, interval)
    shape = (len(chosen), *pattern.group.shape)
    places = [np.empty(shape, np.int64) for _ in range(4)]
    count = max(_CHUNK // pattern.group.size, 1)
    for begin in range(0, len(chosen), count):
        part = slice(begin, begin + count)
        z = np.unravel_index(chosen[part, np.newaxis, np.newaxis], convolution.z)
        read = convolution.places(z, pattern.group, pattern.product)
        sides = [_flat(*side) for side in zip(read, (convolution.w, convolution.a), strict=True)]
        multiplied = pattern.busy & (sides[0][0] >= 0) & (sides[1][0] >= 0)
        for side, (place, group) in enumerate(sides):
            places[side][part] = np.where(multiplied, place, -1)
            places[2 + side][part] = np.where(pattern.used, group, -1)
    w, a, w_group, a_group = (place.reshape(-1, lanes) for place in places)
    start, last, first, finish = (np.tile(mark, len(chosen)) for mark in pattern.marks)
    return Steps(w, a, w_group, a_group, start, last, first, finish, chosen)


def _flat(indices: Indices, shape: Shape) -> tuple[Codes, Codes]:
    """Place of an element (-1 outside its plane) and of its group scale."""
    group = indices[0] * shape[1] + indices[1]
    _, _, row, column = indices
    inside = (row >= 0) & (row < shape[2]) & (column >= 0) & (column < shape[3])
    return np.where(inside, (group * shape[2] + row) * shape[3] + column, -1), group


@dataclass(frozen=True, eq=False)
class _Pattern:
    """The steps of any output, (steps, lanes): which group and product of it each lane works on.

    Members: `used`: whether the lane has a leaf in this tile; `busy`: whether it has a product in
    this step; `marks`: start, last, first and finish, (steps,) each.
    """

    group: Codes
    product: Codes
    used: npt.NDArray[np.bool_]
    busy: npt.NDArray[np.bool_]
    marks: tuple[Codes, Codes, Codes, Codes]

    @classmethod
    def of(cls, convolution: Convolution, lanes: int, interval: int) -> "_Pattern":
        leaves = np.arange(convolution.groups * convolution.segments)
        group, segment = np.divmod(leaves, convolution.segments)
        begin = segment * convolution.segment
        length = np.minimum(convolution.products - begin, convolution.segment)

        tiles = -(-len(leaves) // lanes)
        busiest = np.maximum.reduceat(length, np.arange(0, len(leaves), lanes))
        period = np.maximum(busiest, interval)
        tile = np.repeat(np.arange(tiles), period)
        ends = np.cumsum(period)
        # Products are numbered such that a tile's longest leaf has its last one at `last`.
        step = np.arange(ends[-1]) - (ends - busiest)[tile]
        leaf = tile[:, np.newaxis] * lanes + np.arange(lanes)
        used = leaf < len(leaves)
        leaf = np.where(used, leaf, 0)
        number = step[:, np.newaxis]
        busy = used & (number >= 0) & (number < length[leaf])
        last = step == busiest[tile] - 1
        marks = (step == 0, last, last & (tile == 0), last & (tile == tiles - 1))
        start, last, first, finish = (mark.astype(np.int64) for mark in marks)
        product = np.where(busy, begin[leaf] + number, 0)
        return cls(group[leaf], product, used, busy, (start, last, first, finish))
