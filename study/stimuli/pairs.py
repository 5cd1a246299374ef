"""The common stimulus: the sequence of real operand pairs that every MAC is measured on.

A stimulus holds places in captured tensors, no codes: each unit reads the same pairs in its own
format. It consists of whole groups as an accelerator feeds them, `start` at the first pair of each.
"""

import enum
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...data import Layer, load
from ...golden.integers import quantize_affine
from ...golden.lowering import Kind
from ...golden.quantizer import tensor_beats
from ...golden.spec import FP32, IntFormat, check_int, choice
from ...support.cache import digest
from ...support.words import Codes
from . import dots, tiles
from .coding import Coding
from .dots import DotStimulus
from .encode import USUAL, Format, encode_tensor, pooled
from .tiles import TileStimulus


class Tensors(enum.Enum):
    """What tensors operands are drawn from."""

    CAPTURED = "captured"
    """The committed capture: a network while it trained."""

    NORMAL = "normal"
    """N(0, 1) in the shapes of the committed capture."""


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


@dataclass(frozen=True)
class Statistics:
    """Of one kind of pairs in one format: counts, mean group length in pairs, shares in 0..1."""

    pairs: int
    groups: int
    mean_group_length: float
    zero_first: float
    zero_second: float
    zero_product: float


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A sequence of operand pairs; make it with `build`.

    `first` and `second` (int64) are places in the pool, the concatenation in C order of `w`, `a`
    and `e` of every layer; `start` (bool) marks the first pair of a group; `kind` (int8) is an
    index into `kinds`.
    """

    first: np.ndarray
    second: np.ndarray
    start: np.ndarray
    kind: np.ndarray
    kinds: tuple[Kind, ...]
    seed: int
    layers: tuple[Layer, ...]
    tensors: Tensors
    coding: Coding = USUAL
    """Of MLS elements, pair by pair; tiles and dot units have groups of their own."""

    def __len__(self) -> int:
        return len(self.first)

    def resized(self, operations: int) -> "Stimulus":
        """So many operations, drawn from the same tensors."""
        drawn = build(operations, self.seed, self.kinds, tensors=self.tensors, layers=self.layers)
        return replace(drawn, coding=self.coding)

    def encode(
        self, format: Format, a_format: Format | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Packed codes (int64) for ports `w`, in `format`, and `a`, in `a_format` (default:
        `format`); tensors are cast whole, by `encode_tensor`.

        Raises: TypeError for another format.
        """
        first = self._pool(format)
        second = first if a_format in (None, format) else self._pool(a_format)
        return first[self.first], second[self.second]

    def encode_affine(self, format: IntFormat, a_format: IntFormat) -> dict[str, np.ndarray]:
        """Codes (int64) for ports `w` and `a` and of their tensors' zero points, for `w_zero` and
        `a_zero`; tensors are cast whole, by `golden.quantize_affine`.
        """
        ports = {}
        for port, own, places in (("w", format, self.first), ("a", a_format, self.second)):
            codes, zeros = [], []
            for tensor in pooled(self.layers):
                code, zero, _ = quantize_affine(tensor, own)
                codes.append(code.ravel())
                zeros.append(np.full(tensor.size, zero))
            ports[port] = np.concatenate(codes)[places]
            ports[f"{port}_zero"] = np.concatenate(zeros)[places]
        return ports

    def _pool(self, format: Format) -> np.ndarray:
        """Codes of all tensors."""
        return np.concatenate(
            [
                encode_tensor(
                    tensor, format, np.random.default_rng([self.seed, number]), self.coding
                ).ravel()
                for number, tensor in enumerate(pooled(self.layers))
            ]
        )

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """The captured float32 values of the pairs."""
        pool = np.concatenate([tensor.ravel() for tensor in pooled(self.layers)])
        return pool[self.first], pool[self.second]

    def tile(self, lanes: int, interval: int, times: int = 1) -> TileStimulus:
        """Steps of a tile, about `times` as many products as there are pairs, of the same
        tensors.
        """
        return tiles.build(
            times * len(self),
            self.seed,
            lanes=lanes,
            interval=interval,
            kinds=self.kinds,
            layers=self.layers,
        )

    def dots(
        self, lanes: int, groups: int, cycles: int, *, steps: int | None = None, held: int = 1
    ) -> DotStimulus:
        """Blocks of a dot unit, about as many `steps` (None: as there are pairs), of the same
        tensors; weights are `held` for so many steps.
        """
        shape = {"lanes": lanes, "groups": groups, "cycles": cycles}
        return dots.build(steps or len(self), self.seed, self.layers, **shape, held=held)

    def beats(self, lanes: int) -> dict[str, Codes]:
        """Groups "nc" of all captured tensors in turn, drawn, as beats of `lanes` elements: what
        both passes of a quantizer read, and how many `elements` each beat has.

        Each tensor gets the same number of beats, its last group cut.
        """
        rng = np.random.default_rng(self.seed)
        tensors = pooled(self.layers)
        rng.shuffle(tensors)
        ends = [place * len(self) // len(tensors) for place in range(len(tensors) + 1)]
        parts: dict[str, list[Codes]] = {}
        for tensor, (begin, end) in zip(tensors, itertools.pairwise(ends), strict=True):
            for port, values in _drawn_beats(tensor, end - begin, lanes, rng).items():
                parts.setdefault(port, []).append(values)
        return {port: np.concatenate(values) for port, values in parts.items()}

    def blocks(self, size: int, lanes: int) -> dict[str, Codes]:
        """Blocks of all captured tensors in turn, drawn, as beats of `lanes` elements (`size` must
        be a multiple): what a block quantizer reads.

        A block is `size` consecutive elements, channels last. Each tensor gets the same number of
        blocks; `tensor_scale` is NVFP4's, a float32 magnitude.
        """
        rng = np.random.default_rng(self.seed)
        tensors = pooled(self.layers)
        rng.shuffle(tensors)
        beats = size // lanes
        count = max(len(self) // beats, 1)
        ends = [place * count // len(tensors) for place in range(len(tensors) + 1)]
        drawn, scales = [], []
        for tensor, (begin, end) in zip(tensors, itertools.pairwise(ends), strict=True):
            flat = np.moveaxis(tensor, 1, -1).ravel()
            rows = flat[: len(flat) // size * size].reshape(-1, size)
            drawn.append(rows[rng.integers(0, len(rows), end - begin)])
            scale = np.abs(tensor).max() / np.float32(448 * 6)
            scales += [scale] * (end - begin)
        x = np.concatenate(drawn).view(np.uint32).astype(np.int64).reshape(-1, lanes)
        magnitudes = np.array(scales, np.float32).view(np.uint32).astype(np.int64)
        return {
            "x": x,
            "start": (np.arange(len(x)) % beats == 0).astype(np.int64),
            "tensor_scale": np.repeat(magnitudes, beats),
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides the codes of every format: pairs, tensors, seed."""
        kinds = [kind.value for kind in self.kinds]
        other = [] if self.coding == USUAL else [self.coding.written()]
        arrays = (self.first, self.second, self.start, self.kind, *pooled(self.layers))
        return digest([self.seed, kinds, *other, *arrays])

    def statistics(
        self, format: Format = FP32, a_format: Format | None = None
    ) -> dict[Kind, Statistics]:
        """Of each kind, zeros counted in the codes of `format` and `a_format`: either sign, or
        symmetric integers, of which none is -2^(width-1).

        Raises: TypeError for another format.
        """
        formats = (format, format if a_format is None else a_format)
        zero_first, zero_second = (
            codes & ((1 << (own.code_width - 1)) - 1) == 0
            for codes, own in zip(self.encode(format, a_format), formats, strict=True)
        )
        result = {}
        for index, kind in enumerate(self.kinds):
            own = self.kind == index
            pairs, groups = int(own.sum()), int(self.start[own].sum())
            zeros = (zero_first, zero_second, zero_first | zero_second)
            shares = (float(zero[own].mean()) for zero in zeros)
            result[kind] = Statistics(pairs, groups, pairs / groups, *shares)
        return result


def build(
    operations: int,
    seed: int,
    kinds: Sequence[str] = tuple(Kind),
    *,
    tensors: Tensors = Tensors.CAPTURED,
    layers: Sequence[Layer] | None = None,
) -> Stimulus:
    """Draw whole groups until there are exactly `operations` pairs; equal arguments, equal bytes.

    Each kind gets an equal share (the first ones one more where it does not divide) and stands in
    one run, its last group cut. A group is drawn uniformly: the layer and phase, then sample,
    output channel, input channel and position of the result.

    Parameters: `operations`, one a kind or more; `seed` 0..2^31 - 1; `kinds`, each at most once;
    `tensors`, what to draw from; `layers`, instead of the committed capture.
    Raises: TypeError, ValueError.
    """
    check_int("operations", operations, max(len(kinds), 1), 1 << 30)
    check_int("seed", seed, 0, (1 << 31) - 1)
    chosen = tuple(choice("kinds", Kind, kind) for kind in kinds)
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"kinds must be one or more, each once, not {kinds!r}")
    layers = load() if layers is None else tuple(layers)
    if not layers:
        raise ValueError("layers must be one or more, not none")
    if tensors is Tensors.NORMAL:
        layers = _normal(layers, seed)
    share, rest = divmod(operations, len(chosen))
    counts = [share + (index < rest) for index in range(len(chosen))]
    parts = [_run(kind, count, seed, layers) for kind, count in zip(chosen, counts, strict=True)]
    first, second, start = (np.concatenate(column) for column in zip(*parts, strict=True))
    index = np.repeat(np.arange(len(chosen), dtype=np.int8), counts)
    return Stimulus(first, second, start, index, chosen, seed, layers, tensors)


def _normal(layers: Sequence[Layer], seed: int) -> tuple[Layer, ...]:
    """Tensors of independent elements N(0, 1) in the layers' shapes."""
    rng = np.random.default_rng([seed, *Tensors.NORMAL.value.encode()])

    def drawn(tensor: np.ndarray) -> np.ndarray:
        return rng.standard_normal(tensor.shape, np.float32)

    return tuple(replace(x, w=drawn(x.w), a=drawn(x.a), e=drawn(x.e)) for x in layers)


def _run(
    kind: Kind, count: int, seed: int, layers: tuple[Layer, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` pairs of one kind: places of the first and of the second operand, start marks."""
    rng = np.random.default_rng([seed, *kind.encode()])
    draws = []
    offset = 0
    for layer in layers:
        draws.append(_drawer(kind, layer, offset))
        offset += sum(tensor.size for tensor in layer.tensors().values())
    firsts, seconds, starts = [], [], []
    missing = count
    while missing > 0:
        # One call for all six choices of a group: layer, n, co, ci, row, column.
        choices = rng.random(6)
        first, second = draws[int(choices[0] * len(draws))](choices[1:])
        firsts.append(first[:missing])
        seconds.append(second[:missing])
        places = np.arange(len(firsts[-1]))
        starts.append(places == 0)
        missing -= len(places)
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(starts)


def _drawer(
    kind: Kind, layer: Layer, offset: int
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Maps five numbers in [0, 1) (n, co, ci, row, column) to the places of a group in the pool."""
    tensors = layer.tensors()
    sizes = [tensor.size for tensor in tensors.values()]
    offsets = dict(zip(tensors, itertools.accumulate([offset, *sizes[:-1]]), strict=True))
    planes = {key: tensor.shape[2] * tensor.shape[3] for key, tensor in tensors.items()}
    (samples, inputs, *extents), outputs = layer.a.shape, layer.w.shape[0]
    rows, columns = (
        axis_taps(kind, size, layer.w.shape[2], layer.stride, layer.padding) for size in extents
    )
    if not rows or not columns:
        raise ValueError(f"layer {layer.name} must have windows clear of the padding for {kind}")
    bounds = np.array([samples, outputs, inputs, len(rows), len(columns)])

    def draw(choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, co, ci, row, column = (int(x) for x in choices * bounds)
        # Which plane of each tensor, the index of its leading two dimensions.
        numbers = {"w": co * inputs + ci, "a": n * inputs + ci, "e": n * outputs + co}
        places = []
        for key, ys, xs in zip(kind, rows[row], columns[column], strict=True):
            base = offsets[key] + numbers[key] * planes[key]
            inside = ys[:, np.newaxis] * tensors[key].shape[3] + xs
            places.append(base + inside.ravel())
        return places[0], places[1]

    return draw


def _drawn_beats(
    tensor: np.ndarray, beats: int, lanes: int, rng: np.random.Generator
) -> dict[str, Codes]:
    """`beats` beats of groups of one tensor, drawn."""
    groups, length = tensor.shape[0] * tensor.shape[1], tensor.shape[2] * tensor.shape[3]
    chosen = rng.integers(0, groups, -(-beats // -(-length // lanes)))
    drawn = tensor_beats(tensor, lanes, chosen)
    return {port: values[:beats] for port, values in drawn.items()}
