"""The common stimulus: the sequence of real operand pairs that every MAC is measured on.

A stimulus holds places in captured tensors, no codes: each unit reads the same pairs in its own
format. It consists of whole groups as an accelerator feeds them, `start` at the first pair of each.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...data import Layer, load
from ...golden.integers import quantize_affine
from ...golden.lowering import Kind
from ...golden.quantizer import tensor_beats
from ...golden.spec import (
    FP32,
    ElementFormat,
    IntFormat,
    Rounding,
    check_int,
    choice,
)
from ...support.cache import digest
from ...support.errors import UserError
from ...support.words import Codes
from ...units.workloads import WARM_UP_CYCLES
from . import dots, tiles
from .coding import USUAL, Coding, Group, encode_blocks
from .dots import DotStimulus
from .draw import Run, drawer, starts
from .encode import Format, encode_tensor, pooled
from .own import Layers, Pairs, read
from .tiles import TileStimulus

CAPTURED = "captured"
"""Tensors of a network while it trained, the committed capture."""

NORMAL = "normal"
"""N(0, 1) in the shapes of the committed capture."""


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
    index into `kinds`; `tensors` is a name of the layers; MLS elements of MACs are quantized by
    `coding`; tiles and dot units have groups of their own.
    """

    first: np.ndarray
    second: np.ndarray
    start: np.ndarray
    kind: np.ndarray
    kinds: tuple[Kind, ...]
    seed: int
    layers: Layers
    tensors: str
    coding: Coding

    def __len__(self) -> int:
        return len(self.first)

    def resized(self, operations: int) -> "Stimulus":
        """So many operations, drawn from the same tensors."""
        return _drawn(operations, **self._origin())

    def coded(self, coding: Coding) -> "Stimulus":
        """As many operations, drawn for other groups and scales."""
        return _drawn(len(self), **{**self._origin(), "coding": coding})

    def _origin(self) -> dict[str, Any]:
        """What operations are drawn by."""
        return {name: getattr(self, name) for name in _ORIGIN}

    def encode(
        self, format: Format, a_format: Format | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Packed codes (int64) for ports `w`, in `format`, and `a`, in `a_format` (default:
        `format`); tensors are cast whole, by `encode_tensor`.

        Raises: TypeError for another format.
        """
        own = (format, format if a_format is None else a_format)
        if isinstance(self.coding.group, int) and ElementFormat in map(type, own):
            return self._blocks(self.first, own[0]), self._blocks(self.second, own[1])
        first = self._pool(own[0])
        second = first if own[0] == own[1] else self._pool(own[1])
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
                encode_tensor(tensor, format, self._words(number), self.coding).ravel()
                for number, tensor in enumerate(pooled(self.layers))
            ]
        )

    def _words(self, number: int) -> np.random.Generator:
        """Random words of the tensor of that number."""
        return np.random.default_rng([self.seed, number])

    def _blocks(self, places: np.ndarray, format: Format) -> np.ndarray:
        """Codes of operands at `places`, each group of them a block."""
        if not isinstance(format, ElementFormat):
            return self._pool(format)[places]
        size = self.coding.group
        assert isinstance(size, int)
        group = np.cumsum(self.start) - 1
        inside = np.arange(len(places)) - np.flatnonzero(self.start)[group]
        pool = np.concatenate([tensor.ravel() for tensor in pooled(self.layers)])
        x = np.zeros((group[-1] + 1, size), np.float32)
        x[group, inside] = pool[places]
        codes = np.zeros(x.shape, np.int64)
        ends = np.cumsum([tensor.size for tensor in pooled(self.layers)])
        owners = np.searchsorted(ends, places[self.start], "right")
        for number in np.unique(owners):
            own = owners == number
            largest = np.abs(pooled(self.layers)[number]).max()
            words = self._words(int(number))
            rule = self.coding.scale, Rounding.STOCHASTIC
            coded = encode_blocks(x[own], largest, format, *rule, words)
            codes[own] = coded.codes
        return codes[group, inside]

    @property
    def convolutions(self) -> tuple[Layer, ...]:
        """The layers that outputs are drawn from. Raises: UserError for pairs, which have none."""
        found = tuple(layer for layer in self.layers if isinstance(layer, Layer))
        if not found:
            rule = "pairs w and a are operands of MACs alone"
            raise UserError(f"{rule}: all else needs w, a and e of layers")
        return found

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
            layers=self.convolutions,
        )

    def dots(
        self, lanes: int, groups: int, cycles: int, *, steps: int | None = None, held: int = 1
    ) -> DotStimulus:
        """Blocks of a dot unit, about as many `steps` (None: as there are pairs), of the same
        tensors; weights are `held` for so many steps.
        """
        shape = {"lanes": lanes, "groups": groups, "cycles": cycles}
        return dots.build(steps or len(self), self.seed, self.convolutions, **shape, held=held)

    def beats(self, lanes: int) -> dict[str, Codes]:
        """Groups "nc" of all captured tensors in turn, drawn, as beats of `lanes` elements: what
        both passes of a quantizer read, and how many `elements` each beat has.

        Each tensor gets the same number of beats, its last group cut.
        """
        rng = np.random.default_rng(self.seed)
        tensors = pooled(self.convolutions)
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
        tensors = pooled(self.convolutions)
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
        arrays = (self.first, self.second, self.start, self.kind, *pooled(self.layers))
        # Of the paper's groups and scales as it was before there were others.
        other = [] if self.coding == USUAL else [self.coding.written()]
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


_ORIGIN = ("seed", "kinds", "layers", "tensors", "coding")
"""What operations are drawn by."""


def build(
    operations: int,
    seed: int,
    kinds: Sequence[str] = tuple(Kind),
    *,
    tensors: str = CAPTURED,
    layers: Sequence[Layer] | None = None,
    coding: Coding = USUAL,
) -> Stimulus:
    """Draw whole groups until there are exactly `operations` pairs; equal arguments, equal bytes.

    Each kind gets an equal share (the first ones one more where it does not divide) and stands in
    one run, its last group cut. A group is drawn uniformly: the layer and phase, then sample,
    output channel, input channel and position of the result. Pairs of a file are taken in their
    order, at most as many as there are.

    Parameters: `operations`, one a kind or more; `seed` 0..2^31 - 1; `kinds`, each at most once;
    `tensors`, what to draw from: captured, normal, or a path as `own.read` takes it; `layers`,
    instead of the committed capture; `coding` of MLS elements.
    Raises: TypeError, ValueError, UserError.
    """
    check_int("operations", operations, max(len(kinds), 1), 1 << 30)
    check_int("seed", seed, 0, (1 << 31) - 1)
    chosen = tuple(choice("kinds", Kind, kind) for kind in kinds)
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"kinds must be one or more, each once, not {kinds!r}")
    if tensors not in (CAPTURED, NORMAL):
        own = read(Path(tensors))
        drawn = _drawn(operations, seed, chosen, own, Path(tensors).name, coding)
        if len(drawn) <= WARM_UP_CYCLES:
            rule = f"{WARM_UP_CYCLES + 1} pairs or more"
            raise UserError(f"{tensors} must have {rule}, not {len(drawn)}")
        return drawn
    layers = load() if layers is None else tuple(layers)
    if not layers:
        raise ValueError("layers must be one or more, not none")
    if tensors == NORMAL:
        layers = _normal(layers, seed)
    return _drawn(operations, seed, chosen, layers, tensors, coding)


def _drawn(
    operations: int,
    seed: int,
    kinds: tuple[Kind, ...],
    layers: Layers,
    tensors: str,
    coding: Coding,
) -> Stimulus:
    """The stimulus of checked parameters."""
    known = [layer for layer in layers if isinstance(layer, Layer)]
    if isinstance(layers[0], Pairs):
        kinds = (Kind.WA,)
        runs = [_listed(layers[0], operations, coding.group)]
    else:
        share, rest = divmod(operations, len(kinds))
        counts = [share + (index < rest) for index in range(len(kinds))]
        given = zip(kinds, counts, strict=True)
        runs = [_run(kind, count, seed, known, coding.group) for kind, count in given]
    index = np.repeat(np.arange(len(kinds), dtype=np.int8), [len(run.first) for run in runs])
    first, second, start = (np.concatenate(column) for column in zip(*runs, strict=True))
    return Stimulus(first, second, start, index, kinds, seed, layers, tensors, coding)


def _normal(layers: Sequence[Layer], seed: int) -> tuple[Layer, ...]:
    """Tensors of independent elements N(0, 1) in the layers' shapes."""
    rng = np.random.default_rng([seed, *NORMAL.encode()])

    def drawn(tensor: np.ndarray) -> np.ndarray:
        return rng.standard_normal(tensor.shape, np.float32)

    return tuple(replace(x, w=drawn(x.w), a=drawn(x.a), e=drawn(x.e)) for x in layers)


def _run(kind: Kind, count: int, seed: int, layers: Sequence[Layer], group: Group) -> Run:
    """`count` pairs of one kind."""
    rng = np.random.default_rng([seed, *kind.encode()])
    draws = []
    offset = 0
    for layer in layers:
        draws.append(drawer(kind, layer, offset, group))
        offset += sum(tensor.size for tensor in layer.tensors().values())
    runs = []
    missing = count
    while missing > 0:
        # One call for all six choices of a group: layer, n, co, ci, row, column.
        choices = rng.random(6)
        runs.append(draws[int(choices[0] * len(draws))](choices[1:]).head(missing))
        missing -= len(runs[-1].first)
    return Run(*(np.concatenate(column) for column in zip(*runs, strict=True)))


def _listed(pairs: Pairs, operations: int, group: Group) -> Run:
    """The first pairs of a file, each row of them a sum."""
    sums, length = pairs.w.shape[0], pairs.w.shape[-1]
    places = np.arange(pairs.w.size)
    start = np.tile(starts(length, group), sums)
    return Run(places, places + pairs.w.size, start).head(operations)


def _drawn_beats(
    tensor: np.ndarray, beats: int, lanes: int, rng: np.random.Generator
) -> dict[str, Codes]:
    """`beats` beats of groups of one tensor, drawn."""
    groups, length = tensor.shape[0] * tensor.shape[1], tensor.shape[2] * tensor.shape[3]
    chosen = rng.integers(0, groups, -(-beats // -(-length // lanes)))
    drawn = tensor_beats(tensor, lanes, chosen)
    return {port: values[:beats] for port, values in drawn.items()}
