"""Where the pairs of a group lie: products of one sum of a convolution, in tensors that stand one
after the other in a pool.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...data import Layer
from ...golden.lowering import Kind
from ...golden.quantize import Grouping
from ...support.errors import UserError
from .coding import Group

_DIMENSIONS = {"w": ("co", "ci"), "a": ("n", "ci"), "e": ("n", "co")}
"""Of each tensor's groups "nc"."""

_REDUCED = {Kind.WA: "ci", Kind.WE: "co", Kind.AE: "n"}
"""What a convolution sums over beside positions."""


class Taps(NamedTuple):
    """Places along one axis of the first and the second operand's plane, pairwise."""

    first: np.ndarray
    second: np.ndarray


def axis_taps(kind: Kind, size: int, kernel: int, stride: int, padding: int) -> list[Taps]:
    """The pairs along one axis, an entry a position of the result, in the order of
    docs/numerics.md section 9.

    `size` is the activations' extent. Products with padding are never formed: windows that touch it
    are left out (wa, we), the plane of the weight gradient is cut to the inside (ae). Positions
    without any product, as a 1x1 kernel at stride 2 has in the input gradient, are left out.
    """
    outputs = (size + 2 * padding - kernel) // stride + 1
    ends = range(kernel)
    positions = []
    if kind is Kind.WA:
        for y in range(outputs):
            taps = [(i, y * stride - padding + i) for i in ends]
            positions.append(taps if all(0 <= a < size for _, a in taps) else [])
    elif kind is Kind.WE:
        for y in range(size):
            reached = [(i, *divmod(y + padding - i, stride)) for i in ends]
            taps = [(i, place) for i, place, rest in reached if rest == 0]
            positions.append(taps if all(0 <= e < outputs for _, e in taps) else [])
    else:
        for i in ends:
            taps = [(y * stride - padding + i, y) for y in range(outputs)]
            positions.append([(a, e) for a, e in taps if 0 <= a < size])
    pairs = [np.array(taps, dtype=np.int64).T for taps in positions if taps]
    return [Taps(first, second) for first, second in pairs]


class Run(NamedTuple):
    """Pairs of one sum: places in the pool, and with which of them a group begins."""

    first: np.ndarray
    second: np.ndarray
    start: np.ndarray

    def head(self, count: int) -> "Run":
        """At most `count` pairs of it."""
        return Run(*(column[:count] for column in self))


def whole_sums(kind: Kind, group: Group) -> bool:
    """Whether the group of both operands is the same along all that an output sums over, so that a
    local accumulator does, too. Blocks lie along the whole sum.
    """
    if isinstance(group, int) or group is Grouping.NONE:
        return True
    if group is Grouping.NC:
        return False
    axis = 0 if group is Grouping.N else 1
    return all(_DIMENSIONS[letter][axis] != _REDUCED[kind] for letter in kind)


def drawer(kind: Kind, layer: Layer, offset: int, group: Group) -> Callable[[np.ndarray], Run]:
    """Maps five numbers in [0, 1) (n, co, ci, row, column) to the pairs of a sum of the layer,
    whose tensors begin at `offset` in the pool: as long as the scales are the same, a whole output
    where they are so all along it, or one of the blocks that an output consists of.

    Blocks lie position by position, and there channel by channel (A*E: sample by sample, and there
    position by position), the last one of an output cut. Raises: UserError.
    """
    tensors = layer.tensors()
    sizes = [tensor.size for tensor in tensors.values()]
    offsets = dict(zip(tensors, itertools.accumulate([offset, *sizes[:-1]]), strict=True))
    planes = {key: tensor.shape[2] * tensor.shape[3] for key, tensor in tensors.items()}
    (samples, inputs, *extents), outputs = layer.a.shape, layer.w.shape[0]
    rows, columns = (
        axis_taps(kind, size, layer.w.shape[2], layer.stride, layer.padding) for size in extents
    )
    if not rows or not columns:
        raise UserError(f"layer {layer.name} must have windows clear of the padding for {kind}")
    counts = {"n": samples, "co": outputs, "ci": inputs}
    bounds = np.array([*counts.values(), len(rows), len(columns)])
    reduced, whole = _REDUCED[kind], whole_sums(kind, group)

    def draw(choices: np.ndarray) -> Run:
        *leading, row, column = (int(x) for x in choices * bounds)
        index: dict[str, np.ndarray] = {
            name: np.array([value]) for name, value in zip(counts, leading, strict=True)
        }
        if whole:
            index[reduced] = np.arange(counts[reduced])
        places = []
        for key, ys, xs in zip(kind, rows[row], columns[column], strict=True):
            first, second = _DIMENSIONS[key]
            # Which plane of the tensor, the index of its leading two dimensions.
            plane = index[first] * counts[second] + index[second]
            inside = (ys[:, np.newaxis] * tensors[key].shape[3] + xs).ravel()
            own = (offsets[key] + plane * planes[key])[:, np.newaxis] + inside
            if isinstance(group, int) and kind is not Kind.AE:
                own = own.T
            places.append(own.ravel())
        if isinstance(group, int):
            drawn = choices[[*counts].index(reduced)]
            begin = int(drawn * -(-len(places[0]) // group)) * group
            places = [own[begin : begin + group] for own in places]
        first, second = places
        return Run(first, second, starts(len(first), group))

    return draw


def starts(count: int, group: Group) -> np.ndarray:
    """With which of the pairs of a sum a group begins."""
    every = np.arange(count)
    return every % group == 0 if isinstance(group, int) else every == 0
