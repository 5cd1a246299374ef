"""Stimulus of a dot unit: whole outputs of the three convolutions on the captured tensors, in
blocks.

Blocks of 9 are an MLS group each, a 3x3 kernel or nine of a plane's products (A*E), its scales
those of groups "nc". Any others lie along the axis of reduction, kernel position by kernel position
and there channel by channel (A*E: sample by sample), and are quantized as they lie: by the rules of
OCP and NVIDIA where the scale is theirs, else by those of MLS. Without scales the tensor is a
group. Only layers of 3x3 kernels and stride 1 take part, with windows clear of the padding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data import Layer
from ...golden.dots import decode_elements
from ...golden.floats import to_float64
from ...golden.lowering import Kind, Steps, convolution, lower
from ...golden.quantize import quantize
from ...golden.spec import (
    FP32,
    SCALE_E8M0,
    ElementFormat,
    FloatFormat,
    Operands,
    Rounding,
    ScaleFormat,
    check_int,
)
from ...support.words import Codes
from .coding import Coded, encode_blocks
from .encode import amax_shift, encode_tensor, pooled

KERNEL = 9
"""Products of a 3x3 kernel."""


@dataclass(frozen=True, eq=False)
class Side:
    """Blocks of one operand, by place: `tensor` (blocks,), -1 for an idle block; `places` in the
    tensor, (blocks, size), -1 for a zero; `group`, (blocks,), that the first place is of.
    """

    tensor: Codes
    places: Codes
    group: Codes

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> "Side":
        """Each array changed alike."""
        return Side(change(self.tensor), change(self.places), change(self.group))


@dataclass(frozen=True, eq=False)
class DotStimulus:
    """Blocks of a dot unit; make it with `build`.

    `w`, `a`: blocks in the order in which they enter, those of a step side by side; `first` and
    `finish`: bool (steps of blocks,); `kind`: places in `Kind`, likewise; `cycles` of a block;
    weights are `held` for so many steps.
    """

    w: Side
    a: Side
    first: np.ndarray
    finish: np.ndarray
    kind: np.ndarray
    cycles: int
    held: int
    seed: int
    layers: tuple[Layer, ...]

    @property
    def groups(self) -> int:
        """Blocks of a step."""
        return len(self.w.tensor) // len(self.first)

    @property
    def products(self) -> np.ndarray:
        """How many lanes multiply in each cycle."""
        return (self._steps(self.w.places) >= 0).sum(axis=1)

    @property
    def outputs(self) -> np.ndarray:
        """With which cycle each output begins, and its kind, (outputs, 2)."""
        begins = np.flatnonzero(self.first)
        return np.stack([begins * self.cycles, self.kind[begins]], axis=1)

    def inputs(self, options: Mapping[str, Any]) -> dict[str, Codes]:
        """Codes of the unit's ports for its options (`format`, `scale`, `operands`, `hold`)."""
        format, scale = options["format"], options.get("scale")
        ports: dict[str, Codes] = {}
        for port, side in (("w", self.w), ("a", self.a)):
            coded = self.coded(side, format, scale)
            codes = coded.codes
            if options.get("operands") is Operands.DECODED:
                codes = decode_elements(codes, format)
            ports[port] = self._steps(codes)
            if scale is not None:
                own = coded.scales.reshape(-1, self.groups)
                ports[f"{port}_scale"] = np.repeat(own, self.cycles, axis=0)
        cycle = np.tile(np.arange(self.cycles), len(self.first))
        last = (cycle == self.cycles - 1).astype(np.int64)
        for mark, values in (("first", self.first), ("finish", self.finish)):
            ports[mark] = np.repeat(values, self.cycles) * last
        if self.cycles > 1:
            ports |= {"start": (cycle == 0).astype(np.int64), "last": last}
        if options.get("hold"):
            ports["load"] = _changes(*(ports[port] for port in ("w", "w_scale") if port in ports))
        return ports

    def tensor_scale(self) -> int:
        """Float32 code of the product of the first output's tensors' largest magnitudes, its tensor
        scales by the rules of MLS; one for all outputs, of which several are under way.
        """
        tensors = pooled(self.layers)
        w, a = (np.abs(tensors[side.tensor[0]]).max() for side in (self.w, self.a))
        return int(np.float32(w * a).view(np.uint32))

    def _steps(self, values: Codes) -> Codes:
        """Values of blocks (blocks, size) cycle by cycle, (cycles, lanes of all groups)."""
        shape = (len(self.first), self.groups, self.cycles, -1)
        return values.reshape(shape).swapaxes(1, 2).reshape(len(self.first) * self.cycles, -1)

    def coded(
        self,
        side: Side,
        format: ElementFormat | FloatFormat,
        scale: ScaleFormat | None,
        rounding: Rounding = Rounding.STOCHASTIC,
    ) -> "Coded":
        """Blocks of `w` or `a` in a format; idle ones have the smallest scale, idle places zero.

        `rounding` is that of MLS elements; all others round to nearest. Weights that are held are
        rounded once.
        """
        if self.held > 1 and side is self.w:
            once = self._coded(side.map(self._first_uses), format, scale, rounding)
            return Coded(*(self._uses(x) for x in (once.codes, once.scales, once.values)))
        return self._coded(side, format, scale, rounding)

    def _first_uses(self, values: np.ndarray) -> np.ndarray:
        steps = values.reshape(-1, self.held, self.groups, *values.shape[1:])
        return steps[:, 0].reshape(-1, *values.shape[1:])

    def _uses(self, values: np.ndarray) -> np.ndarray:
        steps = values.reshape(-1, self.groups, *values.shape[1:])
        return np.repeat(steps, self.held, axis=0).reshape(-1, *values.shape[1:])

    def _coded(
        self,
        side: Side,
        format: ElementFormat | FloatFormat,
        scale: ScaleFormat | None,
        rounding: Rounding,
    ) -> "Coded":
        shape = side.places.shape
        idle = scale.max_exp << scale.man_bits if scale else 0
        whole = Coded(np.zeros(shape, np.int64), np.full(shape[0], idle), np.zeros(shape))
        tensors = pooled(self.layers)
        for number in np.unique(side.tensor[side.tensor >= 0]):
            own = side.tensor == number
            rng = np.random.default_rng([self.seed, int(number)])
            blocks = Side(side.tensor[own], side.places[own], side.group[own])
            part = _coded(tensors[number], blocks, format, scale, rounding, rng)
            whole.codes[own] = np.where(blocks.places < 0, 0, part.codes)
            whole.scales[own] = part.scales
            whole.values[own] = np.where(blocks.places < 0, 0, part.values)
        return whole


def _coded(
    tensor: np.ndarray,
    blocks: Side,
    format: ElementFormat | FloatFormat,
    scale: ScaleFormat | None,
    rounding: Rounding,
    rng: np.random.Generator,
) -> Coded:
    """A tensor's blocks; what stands at places of -1 is any of its elements."""
    none = np.zeros(len(blocks.tensor), np.int64)
    if isinstance(format, FloatFormat):
        codes = encode_tensor(tensor, format, rng).ravel()[blocks.places]
        shift = amax_shift(tensor, format) if format.exp_bits != FP32.exp_bits else 0
        return Coded(codes, none, np.ldexp(to_float64(codes, format), -shift))
    if blocks.places.shape[1] == KERNEL or scale is None:
        if scale is None:
            whole = quantize(tensor, format, SCALE_E8M0, group="none", rounding=Rounding.NEAREST)
            scales = none
        else:
            whole = quantize(tensor, format, scale, rounding=rounding, rng=rng)
            scales = whole.scale_codes().astype(np.int64).ravel()[blocks.group]
        codes, values = (x.ravel()[blocks.places] for x in (whole.codes(), whole.dequantize()))
        return Coded(codes.astype(np.int64), scales, values)
    x = np.where(blocks.places < 0, np.float32(0), tensor.ravel()[blocks.places])
    return encode_blocks(x, np.abs(tensor).max(), format, scale, rounding, rng)


def _changes(*rows: Codes) -> Codes:
    """Whether a step has another row than the one before; the first one has."""
    every = np.concatenate([row.reshape(len(row), -1) for row in rows], axis=1)
    return np.append(True, (every[1:] != every[:-1]).any(axis=1)).astype(np.int64)


def build(
    steps: int,
    seed: int,
    layers: Sequence[Layer],
    *,
    lanes: int,
    groups: int,
    cycles: int,
    held: int = 1,
) -> DotStimulus:
    """Draw whole outputs until each kind has its equal share of `steps` steps or more.

    An output is drawn uniformly: the layer and phase, then its place in the result. First operands
    that are `held` for several steps serve so many outputs, block by block in turn: weights those
    of a channel, activations of A*E those of as many error channels. One sum stands for theirs.
    Raises: TypeError, ValueError.
    """
    check_int("steps", steps, 1, 1 << 30)
    chosen = _chosen(layers)
    size = lanes * cycles
    sides: tuple[list[Side], list[Side]] = ([], [])
    marks: list[np.ndarray] = []
    for index, kind in enumerate(Kind):
        rng = np.random.default_rng([seed, *kind.encode()])
        missing = steps / len(Kind)
        while missing > 0:
            number = chosen[rng.integers(len(chosen))]
            pairs = _draw_outputs(kind, layers[number], number, size, held, rng)
            count = -(-len(pairs[0][0].tensor) // groups)
            for own, alike in zip(sides, zip(*pairs, strict=True), strict=True):
                own.append(_in_turn([_padded(side, count * groups) for side in alike], groups))
            count *= held
            begin, end = np.arange(count) == 0, np.arange(count) == count - 1
            marks.append(np.stack([begin, end, np.full(count, index)]))
            missing -= count * cycles
    first, finish, kinds = np.concatenate(marks, axis=1).astype(np.int64)
    w, a = (_joined(own) for own in sides)
    return DotStimulus(w, a, first, finish, kinds, cycles, held, seed, tuple(layers))


def _chosen(layers: Sequence[Layer]) -> list[int]:
    """Numbers of the layers that outputs are drawn from. Raises: ValueError."""
    plain = [number for number, layer in enumerate(layers) if layer.stride == 1]
    kernels = [number for number in plain if layers[number].w.shape[2:] == (3, 3)]
    if not plain:
        raise ValueError("layers must have some of stride 1, not none")
    return kernels or plain


def _draw_outputs(
    kind: Kind, layer: Layer, number: int, size: int, count: int, rng: np.random.Generator
) -> list[tuple[Side, Side]]:
    """The blocks of `count` outputs that have the first operand in common."""
    tensors = layer.tensors()
    shapes = [tensors[letter].shape for letter in kind]
    extents = {Kind.WA: None, Kind.WE: layer.a.shape[2:], Kind.AE: layer.w.shape[2:]}[kind]
    lowered = convolution(kind, *shapes, padding=layer.padding, size=extents)
    found: list[tuple[Side, Side]] = []
    shared: dict[int, int] = {}  # of the place in the result, by axis
    while len(found) < count:
        drawn = np.unravel_index(int(rng.integers(lowered.size)), lowered.z)
        place = [int(index) for index in drawn]
        for axis, index in shared.items():
            place[axis] = index
        output = np.ravel_multi_index(tuple(place), lowered.z)
        steps = lower(lowered, lanes=1, outputs=np.array([output]))
        places = np.stack([steps.w[:, 0], steps.a[:, 0]]).reshape(2, lowered.groups, -1)
        if kind is Kind.AE or (places[0] >= 0).all():
            shared = {axis: place[axis] for axis in ((1, 2, 3) if kind is Kind.AE else (1,))}
            found.append(_blocks(kind, steps, places, number, size))
    return found


def _blocks(
    kind: Kind, steps: Steps, places: np.ndarray, number: int, size: int
) -> tuple[Side, Side]:
    """The blocks of one output, of whose groups the `places` in both tensors are."""
    inside = places[0] >= 0
    owners = np.stack([steps.w_group[:, 0], steps.a_group[:, 0]]).reshape(places.shape)
    if size == KERNEL:
        # A leaf's products are its blocks: a kernel, or a plane in parts.
        blocks = [_cut(side[group][inside[group]], size) for side in places for group in _all(side)]
        counts = [len(block) for block in blocks[: len(blocks) // 2]]
        cut = np.concatenate(blocks).reshape(2, -1, size)
        groups = np.repeat(owners[:, :, 0], counts, axis=1)
    else:
        # Position by position, and there channel by channel (A*E: sample by sample).
        if kind is not Kind.AE:
            places, inside = places.swapaxes(1, 2), inside.T
        cut = np.stack([_cut(side[inside], size) for side in places])
        groups = np.zeros(cut.shape[:2], np.int64)
    w, a = (
        Side(np.full(len(cut[0]), 3 * number + "wae".index(letter)), *parts)
        for letter, *parts in zip(kind, cut, groups, strict=True)
    )
    return w, a


def _in_turn(sides: Sequence[Side], groups: int) -> Side:
    """Steps of several outputs, each step of one beside the same step of the others."""

    def merged(name: str) -> np.ndarray:
        outputs = [getattr(side, name) for side in sides]
        rest = outputs[0].shape[1:]
        return np.stack([x.reshape(-1, groups, *rest) for x in outputs], 1).reshape(-1, *rest)

    return Side(merged("tensor"), merged("places"), merged("group"))


def _all(side: np.ndarray) -> range:
    return range(len(side))


def _cut(places: np.ndarray, size: int) -> np.ndarray:
    """Places (count,) as (blocks, size), the last block filled up with zeros."""
    return np.append(places, np.full(-len(places) % size, -1)).reshape(-1, size)


def _padded(side: Side, count: int) -> Side:
    """As many blocks, idle ones behind them."""
    more = count - len(side.tensor)
    return Side(
        np.append(side.tensor, np.full(more, -1)),
        np.concatenate([side.places, np.full((more, side.places.shape[1]), -1)]),
        np.append(side.group, np.zeros(more, np.int64)),
    )


def _joined(sides: Sequence[Side]) -> Side:
    return Side(
        *(
            np.concatenate([getattr(x, name) for x in sides])
            for name in ("tensor", "places", "group")
        )
    )
