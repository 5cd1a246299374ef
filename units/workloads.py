"""What a unit is measured on, from one source of operands: MACs take it as it is, parts what they
see inside a MAC or a tile, tiles whole outputs of the same tensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

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


class TileSteps(Protocol):
    """Steps of a tile."""

    @property
    def products(self) -> np.ndarray:
        """How many lanes multiply in each step."""

    def inputs(self, options: Options) -> Inputs:
        """Codes of the tile's ports for a unit's options."""


class Source(Protocol):
    """A sequence of pairs of real operands, with the tensors that they are drawn from."""

    @property
    def start(self) -> np.ndarray:
        """Whether a pair is the first of its group."""

    def __len__(self) -> int:
        """Pairs."""

    def encode(self, format: Any, a_format: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Codes of the pairs, in a format each."""

    def encode_affine(self, format: Any, a_format: Any) -> dict[str, np.ndarray]:
        """Codes of the pairs and of their zero points, by port."""

    def tile(self, lanes: int, interval: int, times: int = 1) -> TileSteps:
        """Steps of a tile, about `times` as many products as there are pairs."""

    def beats(self, lanes: int) -> Inputs:
        """Elements of the tensors, `lanes` a beat, and how many `elements` each beat has."""


@dataclass(frozen=True)
class Workload:
    """What a unit is measured on.

    Members: `inputs`: codes by port, an entry a cycle; `warm_up`: cycles before energy counts;
    `macs`: products in each cycle from then on, on average, that are none of an idle lane or cycle.
    """

    inputs: Inputs
    warm_up: int = WARM_UP_CYCLES
    macs: float = 1.0


Make = Callable[["Configuration", Source], Workload]


def mac_inputs(options: Options, source: Source) -> Inputs:
    """Operands and `start` of a MAC: the pairs in its formats."""
    format = options.get("format", FP32)
    a_format = options.get("a_format", format)
    if options.get("zero_points"):
        operands = source.encode_affine(format, a_format)
    else:
        operands = dict(zip("wa", source.encode(format, a_format), strict=True))
    return operands | {"start": source.start.astype(np.int64)}


def pairs(configuration: "Configuration", source: Source) -> Workload:
    """One operation of a MAC a cycle."""
    return Workload(mac_inputs(configuration.options, source))


def operations(part: Callable[[Inputs, Options], Inputs]) -> Make:
    """One operation a cycle: what a `part` sees of the MAC's."""

    def make(configuration: "Configuration", source: Source) -> Workload:
        options = configuration.options
        return Workload(part(mac_inputs(options, source), options))

    return make


def sums(part: Callable[[Options, Source], Inputs]) -> Make:
    """What stands behind MACs: a step a sum, or a tile of them."""
    return lambda configuration, source: Workload(part(configuration.options, source))


def tile_steps(configuration: "Configuration", source: Source) -> Workload:
    """Whole outputs; about as many products as the source has pairs."""
    tile: Any = configuration.build()
    steps = source.tile(configuration.options["lanes"], tile.interval)
    # From then on every register has been defined by the first output.
    warm_up = tile.latency + tile.interval
    macs = float(steps.products[warm_up:].mean())
    return Workload(steps.inputs(configuration.options), warm_up, macs)


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
        return Workload(inputs, warm_up, float(drawn["elements"][warm_up:].mean()))

    return make


def first(count: int) -> Codes:
    """A generator's `start`: the first step alone."""
    return (np.arange(count) == 0).astype(np.int64)


def before(sums: Codes, start: Codes, width: int) -> Codes:
    """The addend of each step: the sum so far, at a start the identity of addition, -0."""
    identity = 1 << (width - 1)
    return np.where(start, identity, np.concatenate([[identity], sums[:-1]]))
