"""What a unit is measured on, from one source of operands: MACs take it as it is, parts what they
see inside a MAC or a tile, tiles whole outputs of the same tensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..golden.spec import FP32, Rounding
from ..support.words import Codes

if TYPE_CHECKING:
    from .catalogue import Configuration

Inputs = dict[str, Codes]
Options = Mapping[str, Any]

WARM_UP_CYCLES = 8
"""Cycles of a MAC before the window in which activity counts: by then real operands fill the
pipeline.
"""


HELD = 16
"""Steps that an array uses weights for, where its units hold them."""


class TileSteps(Protocol):
    """Steps of a tile."""

    @property
    def products(self) -> np.ndarray:
        """How many lanes multiply in each step."""

    @property
    def outputs(self) -> np.ndarray:
        """With which step each whole output begins, and its kind, (outputs, 2)."""

    def inputs(self, options: Options) -> Inputs:
        """Codes of the tile's ports for a unit's options."""


class DotSteps(TileSteps, Protocol):
    """Steps of a dot unit."""

    def tensor_scale(self) -> int:
        """Float32 code of a factor of all outputs."""


class Source(Protocol):
    """A sequence of pairs of real operands, with the tensors that they are drawn from."""

    @property
    def start(self) -> np.ndarray:
        """Whether a pair is the first of its group."""

    @property
    def kind(self) -> np.ndarray:
        """Which kind of pair it is; pairs of a kind stand together."""

    def __len__(self) -> int:
        """Pairs."""

    def encode(self, format: Any, a_format: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Codes of the pairs, in a format each."""

    def encode_affine(self, format: Any, a_format: Any) -> dict[str, np.ndarray]:
        """Codes of the pairs and of their zero points, by port."""

    def tile(self, lanes: int, interval: int, times: int = 1) -> TileSteps:
        """Steps of a tile, about `times` as many products as there are pairs."""

    def dots(
        self, lanes: int, groups: int, cycles: int, *, steps: int | None = None, held: int = 1
    ) -> DotSteps:
        """Blocks of a dot unit, about as many `steps` (None: as there are pairs), of the same
        tensors; weights are `held` for so many steps.
        """

    def beats(self, lanes: int) -> Inputs:
        """Elements of the tensors, `lanes` a beat, how many `elements` each beat has, and whether a
        group begins with it (`start`).
        """

    def blocks(self, size: int, lanes: int) -> Inputs:
        """Blocks of `size` consecutive elements of the tensors, `lanes` a beat, whether a block
        begins with it (`start`), and the `tensor_scale` of NVFP4 (a float32 magnitude).
        """


BATCHES = 10
"""Parts of the operations of a kind, at most: the spread of their energies gives its error."""


@dataclass(frozen=True)
class Batches:
    """Parts of a workload, each of whole groups.

    Members: `starts`: the cycle with which each begins, in order, the first one's is where energy
    begins to count; `strata`: the kind of operations that it is of, whose share is fixed; `macs`:
    products in it that are none of an idle lane or cycle.
    """

    starts: tuple[int, ...]
    strata: tuple[int, ...]
    macs: tuple[float, ...]


@dataclass(frozen=True)
class Workload:
    """What a unit is measured on.

    Members: `inputs`: codes by port, an entry a cycle; `batches`: the parts in which energy counts;
    the cycles before them warm up.
    """

    inputs: Inputs
    batches: Batches

    @property
    def warm_up(self) -> int:
        """Cycles before energy counts."""
        return self.batches.starts[0]

    @property
    def cycles(self) -> int:
        """All of them."""
        return len(next(iter(self.inputs.values())))

    @property
    def macs(self) -> float:
        """Products in each cycle that counts, on average."""
        return sum(self.batches.macs) / (self.cycles - self.warm_up)

    def short(self, share: int = 5) -> "Workload":
        """One batch in `share` of each kind, two at least."""
        own = np.array(self.batches.strata)
        chosen: list[int] = []
        for stratum in np.unique(own):
            places = np.flatnonzero(own == stratum)
            count = min(max(2, len(places) // share), len(places))
            chosen += places[np.linspace(0, len(places) - 1, count).astype(int)].tolist()
        ends = (*self.batches.starts[1:], self.cycles)
        rows = [np.arange(self.warm_up)]
        starts = []
        for batch in chosen:
            starts.append(sum(map(len, rows)))
            rows.append(np.arange(self.batches.starts[batch], ends[batch]))
        taken = np.concatenate(rows)
        return Workload(
            {port: codes[taken] for port, codes in self.inputs.items()},
            Batches(
                tuple(starts),
                tuple(self.batches.strata[batch] for batch in chosen),
                tuple(self.batches.macs[batch] for batch in chosen),
            ),
        )


def cut(
    starts: npt.NDArray[Any], kinds: npt.NDArray[Any], macs: npt.NDArray[Any], warm_up: int
) -> Batches:
    """Batches from `warm_up` on that begin with groups.

    Parameters: `starts`: cycles with which groups begin, in order; `kinds`: theirs, each in one
    run; `macs`: products in each cycle.
    """
    group = max(int(np.searchsorted(starts, warm_up, "right")) - 1, 0)
    found = [(warm_up, int(kinds[group]))]
    for kind in np.unique(kinds):
        own = starts[kinds == kind]
        behind = starts[np.searchsorted(starts, own[-1], "right") :]
        end = int(behind[0]) if len(behind) else len(macs)
        first = max(int(own[0]), warm_up)
        parts = np.arange(BATCHES) if first > warm_up else np.arange(1, BATCHES)
        targets = first + (end - first) * parts / BATCHES
        # The group that begins nearest: a long one is several parts in one batch.
        nearest = own[np.abs(own[:, np.newaxis] - targets).argmin(axis=0)]
        found += [(int(place), int(kind)) for place in np.unique(nearest) if place > warm_up]
    found.sort()
    begin = [start for start, _ in found]
    counted = np.add.reduceat(macs.astype(float), begin)
    return Batches(tuple(begin), tuple(kind for _, kind in found), tuple(counted.tolist()))


Make = Callable[["Configuration", Source], Workload]


def mac_inputs(options: Options, source: Source) -> Inputs:
    """Operands and `start` of a MAC: the pairs in its formats."""
    format = options.get("format", FP32)
    a_format = options.get("a_format", format)
    if options.get("zero_points"):
        operands = source.encode_affine(format, a_format)
    else:
        operands = dict(zip("wa", source.encode(format, a_format), strict=True))
    if options.get("hold"):
        operands = _used_again(operands)
    return operands | {"start": source.start.astype(np.int64)}


def _used_again(operands: Inputs) -> Inputs:
    """The first operand of every `HELD` pairs, and its zero point, with the second ones of all."""
    steps = np.arange(len(operands["w"]))
    first = steps - steps % HELD
    same = {port: codes[first] if port[0] == "w" else codes for port, codes in operands.items()}
    return same | {"load": (steps == first).astype(np.int64)}


def pairs(configuration: "Configuration", source: Source) -> Workload:
    """One operation of a MAC a cycle."""
    return Workload(mac_inputs(configuration.options, source), _of_pairs(source))


def _of_pairs(source: Source) -> Batches:
    starts = np.flatnonzero(source.start)
    return cut(starts, source.kind[starts], np.ones(len(source)), WARM_UP_CYCLES)


def operations(part: Callable[[Inputs, Options], Inputs]) -> Make:
    """One operation a cycle: what a `part` sees of the MAC's."""

    def make(configuration: "Configuration", source: Source) -> Workload:
        options = configuration.options
        inputs = part(mac_inputs(options, source), options)
        steps = len(next(iter(inputs.values())))
        # What takes several pairs a step knows nothing of their groups.
        return Workload(inputs, _of_pairs(source) if steps == len(source) else _of_steps(steps))

    return make


def sums(part: Callable[[Options, Source], Inputs]) -> Make:
    """What stands behind MACs: a step a sum, or a tile of them."""

    def make(configuration: "Configuration", source: Source) -> Workload:
        inputs = part(configuration.options, source)
        return Workload(inputs, _of_steps(len(next(iter(inputs.values())))))

    return make


def _of_steps(count: int) -> Batches:
    """Every step is a group of its own."""
    own = np.arange(count)
    return cut(own, np.zeros_like(own), np.ones(count), WARM_UP_CYCLES)


def tile_steps(configuration: "Configuration", source: Source) -> Workload:
    """Whole outputs; about as many products as the source has pairs."""
    tile: Any = configuration.build()
    steps = source.tile(configuration.options["lanes"], tile.interval)
    # From then on every register has been defined by the first output.
    warm_up = tile.latency + tile.interval
    starts, kinds = steps.outputs.T
    batches = cut(starts, kinds, steps.products, warm_up)
    return Workload(steps.inputs(configuration.options), batches)


def dot_steps(configuration: "Configuration", source: Source) -> Workload:
    """Whole outputs, block by block; a step an operation. What holds weights does so for `HELD`
    steps, where a block is a step, and for four times as many operations: so many outputs are one
    sum.
    """
    options = configuration.options
    shape = options["lanes"], options.get("groups", 1), options.get("cycles", 1)
    if options.get("hold") and options.get("cycles", 1) == 1:
        steps = source.dots(*shape, steps=4 * len(source), held=HELD)
    else:
        steps = source.dots(*shape)
    return _of_dots(configuration, steps.inputs(options), steps, 0)


def dot_tile_steps(configuration: "Configuration", source: Source) -> Workload:
    """An idle output, which defines the tile, and whole outputs; a group for each pair."""
    options = configuration.options
    lanes = options["lanes"]
    steps = source.dots(options["products"], lanes, 1, steps=-(-len(source) // lanes))
    inputs = steps.inputs(options)
    for port, codes in inputs.items():
        idle = np.full((1, *codes.shape[1:]), int(port in ("first", "finish")), np.int64)
        inputs[port] = np.concatenate([idle, codes])
    if options["tensor_scale"]:
        inputs["tensor_scale"] = np.full(len(inputs["w"]), steps.tensor_scale(), np.int64)
    return _of_dots(configuration, inputs, steps, 1)


def _of_dots(
    configuration: "Configuration", inputs: Inputs, steps: DotSteps, idle: int
) -> Workload:
    """The steps behind so many idle ones, in whole outputs."""
    component: Any = configuration.build()
    starts, kinds = steps.outputs.T
    products = np.append(np.zeros(idle, np.int64), steps.products)
    warm_up = max(WARM_UP_CYCLES, component.latency + 2)
    return Workload(inputs, cut(starts + idle, kinds, products, warm_up))


def beats(*ports: str) -> Make:
    """Elements of tensors, beat by beat; generators start once."""

    def make(configuration: "Configuration", source: Source) -> Workload:
        options = configuration.options
        drawn = source.beats(options["lanes"])
        inputs = {port: drawn[port] for port in ports}
        if options.get("rounding") is Rounding.STOCHASTIC:
            inputs["seed"] = first(len(inputs["x"]))
        component: Any = configuration.build()
        # Energy is by element, of which a group's last beat may hold fewer than there are lanes.
        warm_up = max(WARM_UP_CYCLES, component.latency + 2)
        starts = np.flatnonzero(drawn["start"])
        batches = cut(starts, np.zeros_like(starts), drawn["elements"], warm_up)
        return Workload(inputs, batches)

    return make


def blocks(configuration: "Configuration", source: Source) -> Workload:
    """Blocks of tensors, beat by beat; generators start once."""
    component: Any = configuration.build()
    size = configuration.options["format"].size
    drawn = source.blocks(size, component.lanes)
    drawn["seed"] = first(len(drawn["x"]))
    ports = component.signature.members
    inputs = {port: codes for port, codes in drawn.items() if port in ports}
    starts = np.flatnonzero(drawn["start"])
    elements = np.full(len(drawn["x"]), component.lanes)
    warm_up = max(WARM_UP_CYCLES, component.latency + 2)
    return Workload(inputs, cut(starts, np.zeros_like(starts), elements, warm_up))


def first(count: int) -> Codes:
    """A generator's `start`: the first step alone."""
    return (np.arange(count) == 0).astype(np.int64)


def before(sums: Codes, start: Codes, width: int) -> Codes:
    """The addend of each step: the sum so far, at a start the identity of addition, -0."""
    identity = 1 << (width - 1)
    return np.where(start, identity, np.concatenate([[identity], sums[:-1]]))
