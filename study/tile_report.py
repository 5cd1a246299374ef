"""What a MAC costs in a tile: MACs, scales, adder tree and output, MLS beside floating point."""

from collections.abc import Sequence
from dataclasses import replace

from ..support.cache import Cache
from ..synth.liberty.library import load
from ..units.emit import parameters
from .builds import Progress, builds, measure_builds
from .conditions import Conditions
from .report import (
    Baselines,
    accumulator_row,
    area,
    cheapest,
    circumstances,
    ratio,
    ratio_error,
)
from .rows import Best, TileClaim, TileReport, TileRow, TileStimulusRow
from .stimuli.pairs import Stimulus
from .stimuli.tiles import SEGMENT
from .systems import Entry

SCHEMA = 3
LANES = (4, 16, 64)
KINDS = ("fp32", "fp8")
"""Of the baselines that tiles are compared with."""

_MLS = {"format": "2,4"}
# The longest leaf of the stimulus has `SEGMENT` products: no sum can overflow.
_PROVEN = {"acc_width": "auto", "length": SEGMENT}
ENTRIES = (
    Entry("FP32 flush", "fp32_tile", {"subnormals": False}, ("fp32",)),
    Entry("FP8 E5M2", "fp8_tile", {"format": "e5m2"}, ("fp8",)),
    Entry("FP8 E4M3", "fp8_tile", {"format": "e4m3"}, ("fp8",)),
    Entry("MLS <2,4>", "mls_tile", _MLS),
    Entry("MLS <2,4> sharing 4", "mls_tile", _MLS | {"sharing": 4}),
    Entry("MLS <2,4>, proven sum", "mls_tile", _MLS | _PROVEN),
    Entry("MLS <2,4> aligned", "mls_tile", _MLS | {"tree": "aligned"}),
    Entry("MLS <2,4> exact, <4,1>", "mls_tile", _MLS | {"tree": "exact", "scale": "4,1"}),
    Entry("MLS <2,1> exact, <4,3>", "mls_tile", {"format": "2,1", "tree": "exact", "scale": "4,3"}),
)
"""Tiles of each lane count. Exact sums have small scales: `<8,1>` makes them 600 bits wide."""

CLAIM = TileClaim(
    source="MLS paper, Table 5 and Eq. 9",
    ratio_to_fp32=15.2,
    ratio_to_fp8=3.95,
    ratio_to_fp32_3x3=6.9,
    ratio_to_fp32_1x1=3.6,
)


def make_tile_report(
    conditions: Conditions,
    stimulus: Stimulus,
    *,
    lanes: Sequence[int] = LANES,
    entries: Sequence[Entry] = ENTRIES,
    results: Cache,
    progress: Progress | None = None,
) -> TileReport:
    """Measure every entry with each lane count, on all cores.

    Raises: what measuring raises.
    """
    library = load(conditions.pdk.liberty)
    counts = sorted(lanes)
    every = [
        replace(entry, options={**entry.options, "lanes": count})
        for count in counts
        for entry in entries
    ]
    single = [builds(entry.configuration(), conditions, library) for entry in every]
    measured = measure_builds(conditions, stimulus, single, results, progress)
    baselines = {}
    rows: list[TileRow] = []
    for number, count in enumerate(counts):
        own = slice(number * len(entries), (number + 1) * len(entries))
        baselines[count] = cheapest(KINDS, every[own], measured[own])
        rows += (
            _row(entry, told, baselines[count], stimulus)
            for entry, told in zip(every[own], measured[own], strict=True)
        )
    shared = vars(circumstances(SCHEMA, conditions, stimulus))
    return TileReport(
        **shared | {"stimulus": TileStimulusRow(**vars(shared["stimulus"]), segment=SEGMENT)},
        baselines={
            str(count): {kind: entry.label for kind, (entry, _) in chosen.items()}
            for count, chosen in baselines.items()
        },
        claim=CLAIM,
        rows=tuple(rows),
    )


def _row(entry: Entry, measured: Best, baselines: Baselines, stimulus: Stimulus) -> TileRow:
    configuration = entry.configuration()
    lanes = configuration.options["lanes"]
    steps = stimulus.tile(lanes, configuration.build().interval)
    return TileRow(
        unit=entry.label,
        lanes=lanes,
        options=parameters(configuration),
        steps=len(steps.products),
        macs=int(steps.products.sum()),
        utilisation=round(float(steps.products[1:-1].mean()) / lanes, 4),
        gate_equivalents_per_lane=round(measured.gate_equivalents / lanes, 1),
        accumulator=accumulator_row(configuration, stimulus),
        measured=measured,
        ratio_to_fp32=ratio(baselines, "fp32", measured),
        ratio_to_fp32_se=ratio_error(baselines, "fp32", measured),
        area_ratio_to_fp32=ratio(baselines, "fp32", measured, area),
        ratio_to_fp8=ratio(baselines, "fp8", measured),
        ratio_to_fp8_se=ratio_error(baselines, "fp8", measured),
        area_ratio_to_fp8=ratio(baselines, "fp8", measured, area),
    )
