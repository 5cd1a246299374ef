"""What a MAC costs in a tile: MACs, scales, adder tree and output, MLS beside floating point."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..support.cache import Cache
from ..units.emit import parameters
from .measure import ENERGY, MAC_STAGES, Conditions, best, builds, load_library
from .report import Progress, accumulator_row, cheapest, circumstances, measure_builds, ratio
from .stimuli.pairs import Stimulus
from .stimuli.tiles import SEGMENT
from .systems import Entry

SCHEMA = 1
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
    Entry("MLS <2,4> safe", "mls_tile", _MLS | _PROVEN),
    Entry("MLS <2,4> aligned", "mls_tile", _MLS | {"tree": "aligned"}),
    Entry("MLS <2,4> exact, <4,1>", "mls_tile", _MLS | {"tree": "exact", "scale": "4,1"}),
    Entry("MLS <2,1> exact, <4,3>", "mls_tile", {"format": "2,1", "tree": "exact", "scale": "4,3"}),
)
"""Tiles of each lane count. Exact sums have small scales: `<8,1>` makes them 600 bits wide."""

CLAIM = {
    "fp32": {"ratio": 15.2, "ratio_3x3": 6.9, "ratio_1x1": 3.6},
    "fp8": {"ratio": 3.95},
}
"""The paper's: ratios with one float32 add for each 3x3 group, by its Table 5, and by its Eq. 9."""


def make_tile_report(
    conditions: Conditions,
    stimulus: Stimulus,
    *,
    lanes: Sequence[int] = LANES,
    entries: Sequence[Entry] = ENTRIES,
    results: Cache,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The report as JSON's types; docs/report.md describes every field.

    Raises: what measuring raises.
    """
    library = load_library(conditions.pdk.liberty)
    every = [
        replace(entry, options={**entry.options, "lanes": count})
        for count in sorted(lanes)
        for entry in entries
    ]
    single = [builds(entry.configuration(), conditions, library) for entry in every]
    measured = measure_builds(conditions, stimulus, single, results, progress)
    rows = [_row(entry, stimulus, told) for entry, told in zip(every, measured, strict=True)]
    baselines = {}
    for count in sorted(lanes):
        own = [row for row in rows if row["lanes"] == count]
        chosen = {kind: cheapest(kind, entries, own) for kind in KINDS}
        baselines[str(count)] = {kind: row["unit"] for kind, row in chosen.items() if row}
        for row in own:
            for kind in KINDS:
                row[f"ratio_to_{kind}"] = ratio(ENERGY, chosen[kind], row)
                row[f"area_ratio_to_{kind}"] = ratio("area_um2", chosen[kind], row)
    shared = circumstances(conditions, stimulus)
    shared["stimulus"]["segment"] = SEGMENT
    return {
        "schema": SCHEMA,
        **shared,
        "baselines": baselines,
        "paper": CLAIM,
        "rows": rows,
    }


def _row(entry: Entry, stimulus: Stimulus, measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    configuration = entry.configuration()
    options, lanes = configuration.options, configuration.options["lanes"]
    steps = stimulus.tile(lanes, configuration.build().interval)
    row = best(measured)
    for stage in MAC_STAGES:  # of a MAC alone
        del row[f"{stage}_pj"]
    return {
        "unit": entry.label,
        "lanes": lanes,
        "options": parameters(configuration),
        "steps": len(steps.products),
        "macs": int(steps.products.sum()),
        "utilisation": round(float(steps.products[1:-1].mean()) / lanes, 4),
        "gate_equivalents_per_lane": round(row["gate_equivalents"] / lanes, 1),
        "accumulator": (
            accumulator_row(configuration, stimulus.seed) if "overflow" in options else None
        ),
        **row,
    }
