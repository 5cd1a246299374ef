"""What reports hold of layouts; `rows` has the records around them."""

from dataclasses import dataclass
from typing import Annotated

from .records import Key

LIGHT, HEAVY = 0.6, 1.7
"""Factors of the wires' capacitance between which it is uncertain."""


@dataclass(frozen=True, kw_only=True)
class LayoutFigures:
    """What a layout is, and what it does to a unit."""

    core_um2: Annotated[float, "area of the core: rows that the cells do not fill"]
    wire_um: Annotated[float, "length of all wires, Steiner trees"]
    wire_ff: Annotated[float, "their capacitance"]
    resized: Annotated[int, "cells that sizing exchanged for others of their function"]
    left_out: Annotated[int, "buffers that it left out"]
    clock_buffers: Annotated[int, "buffers of the clock's tree"]
    clock_gates: Annotated[int, "integrated clock gates"]
    insertion_ns: Annotated[float, "from the clock's port to the latest flop"]
    skew_ns: Annotated[float, "from the earliest flop to the latest one"]
    hold_slack_ns: Annotated[float | None, "what the shortest path leaves; null without a clock"]
    clock_share: Annotated[
        float | None, "share of the energy that the clock's network takes: nets, buffers and gates"
    ]
    light_pj: Annotated[
        float | None,
        Key("energy_pj_per_{per}_light"),
        "energy of the same activity with 0.6 times the capacitance of wires",
    ]
    heavy_pj: Annotated[
        float | None, Key("energy_pj_per_{per}_heavy"), "the same with 1.7 times it"
    ]
    over_limits: Annotated[
        int | None, "cells with a load or a slew beyond the library's limits, or beyond its tables"
    ] = None
    clock_within_limits: Annotated[
        bool | None,
        "whether the tree keeps the limits of slew, load and skew that it was chosen under",
    ] = None


@dataclass(frozen=True)
class LayoutRatio:
    """What a layout does to a ratio."""

    bare: Annotated[float | None, "without wires and tree, to the cheapest of the kind there"]
    light: Annotated[float | None, "with 0.6 times the capacitance of wires, in both units"]
    heavy: Annotated[float | None, "with 1.7 times it"]


@dataclass(frozen=True, kw_only=True)
class LayoutRow:
    """What layouts share."""

    placer: Annotated[str, "what places cells"]
    density: Annotated[float, "cell area over that of the core"]
    row_um: Annotated[float, "height of a row"]
    wire_ff_um: Annotated[float, "capacitance of a micron of wire, fF"]
