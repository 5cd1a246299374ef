"""Stimulus of a tile: whole outputs of the three convolutions on the captured tensors.

An accelerator's use of the lanes, in the order of docs/numerics.md section 9: neighbouring input
channels of an output (W*A), neighbouring output channels (W*E), neighbouring samples (A*E), whose
planes are cut into segments that are leaves like any. Products that are zero in all lanes, as in
the padding, are skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...data import Layer, load
from ...golden.lowering import Convolution, Kind, Steps, convolution, lower
from ...golden.quantize import quantize
from ...golden.spec import FP32, ElementFormat, FloatFormat, ScaleFormat, check_int
from ...support.words import Codes
from .encode import amax_shift, encode_tensor, pooled

SEGMENT = 16
"""Products of a leaf of A*E: a row of the largest captured plane; the captured batch of 8 samples
alone would leave most lanes of a large tile idle.
"""


@dataclass(frozen=True)
class Run:
    """An output of the stimulus: number of the layer, kind, place in the result."""

    layer: int
    kind: Kind
    output: int


@dataclass(frozen=True, eq=False)
class TileStimulus:
    """Steps of a tile by place in captured tensors; make it with `build`.

    `steps`: places in the pool of all tensors in C order, and of their groups, as in
    `lowering.Steps`; step 0 is an output of idle lanes alone, which defines the tile. `runs`: its
    other outputs in order.
    """

    steps: Steps
    runs: tuple[Run, ...]
    seed: int
    layers: tuple[Layer, ...]

    @property
    def products(self) -> np.ndarray:
        """How many lanes multiply in each step."""
        return (self.steps.w >= 0).sum(axis=1)

    @property
    def outputs(self) -> np.ndarray:
        """With which step each of `runs` begins, idle ones before it included, and its kind's place
        in `Kind`, (outputs, 2).
        """
        ends = np.flatnonzero(self.steps.finish) + 1
        kinds = [list(Kind).index(run.kind) for run in self.runs]
        return np.stack([ends[:-1][: len(kinds)], kinds], axis=1)

    def inputs(self, options: Mapping[str, Any]) -> dict[str, Codes]:
        """Codes of the tile's ports for a unit's options (`format`, `scale`, `tensor_scale`).

        The tensor scale is that of the first output throughout: outputs of several layers are under
        way.
        """
        format, scale = options.get("format", FP32), options.get("scale")
        coded = [_Coded.of(*x, format, scale, self.seed) for x in enumerate(pooled(self.layers))]
        idle = 0 if scale else 1 << (format.code_width - 1)
        pool = np.concatenate([tensor.codes.ravel() for tensor in coded])
        ports = {
            "w": np.append(pool, idle)[self.steps.w],
            "a": np.append(pool, 0)[self.steps.a],
        }
        if scale is not None:
            groups = np.concatenate([tensor.scales.ravel() for tensor in coded])
            groups = np.append(groups, scale.max_exp << scale.man_bits)
            ports["w_scale"] = groups[self.steps.w_group]
            ports["a_scale"] = groups[self.steps.a_group]
        for mark in ("start", "last", "first", "finish"):
            ports[mark] = getattr(self.steps, mark)
        if options.get("tensor_scale"):
            run = self.runs[0]
            w, a = (coded[3 * run.layer + "wae".index(letter)].factor for letter in run.kind)
            code = int(np.float32(w * a).view(np.uint32))
            ports["tensor_scale"] = np.full(len(self.steps.start), code, np.int64)
        return ports


@dataclass(frozen=True, eq=False)
class _Coded:
    """A tensor in a format: `codes`, `scales` of its groups, `factor` of all."""

    codes: Codes
    scales: Codes
    factor: np.float32

    @classmethod
    def of(
        cls,
        number: int,
        tensor: np.ndarray,
        format: ElementFormat | FloatFormat,
        scale: ScaleFormat | None,
        seed: int,
    ) -> "_Coded":
        rng = np.random.default_rng([seed, number])
        if isinstance(format, ElementFormat) and scale is not None:
            coded = quantize(tensor, format, scale, rng=rng)
            return cls(
                coded.codes().astype(np.int64),
                coded.scale_codes().astype(np.int64),
                np.float32(coded.tensor_scale),
            )
        shift = 0
        if isinstance(format, FloatFormat) and format.exp_bits != FP32.exp_bits:
            shift = amax_shift(tensor, format)
        codes = encode_tensor(tensor, format, rng)
        return cls(codes, np.empty(0, np.int64), np.ldexp(np.float32(1), -shift))


def build(
    macs: int,
    seed: int,
    *,
    lanes: int,
    interval: int,
    kinds: Sequence[Kind] = tuple(Kind),
    layers: Sequence[Layer] | None = None,
) -> TileStimulus:
    """Draw whole outputs until each kind has its equal share of `macs` products or more.

    An output is drawn uniformly: the layer and phase, then its place in the result. Of each kind
    only the layers that leave the fewest lanes idle take part.

    Parameters: `macs`, one a kind or more; `seed` 0..2^31 - 1; `lanes` and `interval` of the tile;
    `kinds`; `layers`, the tensors (None: the committed capture).
    Raises: TypeError, ValueError.
    """
    check_int("macs", macs, len(kinds), 1 << 30)
    check_int("seed", seed, 0, (1 << 31) - 1)
    check_int("lanes", lanes, 1, 1 << 20)
    layers = load() if layers is None else tuple(layers)
    parts, runs = [_idle_step(lanes, 1)], []
    for kind in kinds:
        rng = np.random.default_rng([seed, *kind.encode()])
        choices = _fullest(kind, layers, lanes)
        missing = macs / len(kinds)
        while missing > 0:
            number, lowered = choices[rng.integers(len(choices))]
            output = int(rng.integers(lowered.size))
            steps = lower(lowered, lanes=lanes, outputs=np.array([output]))
            products = int((steps.w >= 0).sum())
            if products:
                steps = _in_pool(steps, kind, number, layers)
                parts.append(_without_zeros(steps, interval))
                runs.append(Run(number, kind, output))
                missing -= products
    # A simulation holds the last step: it must not be one with `last`, which `interval` spaces.
    parts.append(_idle_step(lanes, 0))
    return TileStimulus(_joined(parts), tuple(runs), seed, tuple(layers))


def lowered_layer(kind: Kind, layer: Layer) -> Convolution:
    """A convolution of a captured layer; A*E in segments of `SEGMENT`."""
    tensors = layer.tensors()
    size = {Kind.WA: None, Kind.WE: layer.a.shape[2:], Kind.AE: layer.w.shape[2:]}[kind]
    return convolution(
        kind,
        *(tensors[letter].shape for letter in kind),
        stride=layer.stride,
        padding=layer.padding,
        size=size,
        segment=SEGMENT if kind is Kind.AE else None,
    )


def _fullest(kind: Kind, layers: Sequence[Layer], lanes: int) -> list[tuple[int, Convolution]]:
    """Number and lowering of the layers that use the largest share of the lanes."""
    found = [(number, lowered_layer(kind, layer)) for number, layer in enumerate(layers)]

    def share(lowered: Convolution) -> float:
        leaves = lowered.groups * lowered.segments
        return leaves / (-(-leaves // lanes) * lanes)

    best = max(share(lowered) for _, lowered in found)
    return [(number, lowered) for number, lowered in found if share(lowered) == best]


def _in_pool(steps: Steps, kind: Kind, number: int, layers: Sequence[Layer]) -> Steps:
    """Places in a layer's tensors as places in the pool."""
    tensors = pooled(layers)
    moved = {}
    for port, letter in zip("wa", kind, strict=True):
        before = tensors[: 3 * number + "wae".index(letter)]
        places = sum(tensor.size for tensor in before)
        groups = sum(tensor.shape[0] * tensor.shape[1] for tensor in before)
        for name, offset in ((port, places), (f"{port}_group", groups)):
            own = getattr(steps, name)
            moved[name] = np.where(own < 0, -1, own + offset)
    return replace(steps, **moved)


def _idle_step(lanes: int, marks: int) -> Steps:
    """One step of idle lanes; with `marks` 1 a whole output."""
    idle = np.full((1, lanes), -1)
    mark = np.full(1, marks, np.int64)
    return Steps(idle, idle, idle, idle, mark, mark, mark, mark, np.empty(0, np.int64))


def _without_zeros(steps: Steps, interval: int) -> Steps:
    """The steps in which some lane multiplies, the last one of a tile without any, and idle ones
    before them as `interval` demands.
    """
    tile = np.cumsum(steps.last) - steps.last
    busy = (steps.w >= 0).any(axis=1)
    ends = np.flatnonzero(steps.last)
    rows: list[np.ndarray] = []
    for number, end in enumerate(ends):
        own = np.flatnonzero(busy & (tile == number))
        own = own if len(own) else np.array([end])
        rows += [np.full(max(interval - len(own), 0), -1), own]
    row = np.concatenate(rows)
    begin = np.concatenate([own == own[:1] for own in rows]) & (row >= 0)
    over = np.concatenate([own == own[-1:] for own in rows]) & (row >= 0)
    marks = {
        "start": begin,
        "last": over,
        "first": over & (steps.first[ends][tile[row]] == 1),
        "finish": over & (steps.finish[ends][tile[row]] == 1),
    }
    lanes = {
        name: np.where(row[:, np.newaxis] < 0, -1, getattr(steps, name)[row])
        for name in ("w", "a", "w_group", "a_group")
    }
    return replace(steps, **lanes, **{name: x.astype(np.int64) for name, x in marks.items()})


def _joined(parts: Sequence[Steps]) -> Steps:
    names = [field.name for field in fields(Steps)]
    return Steps(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
