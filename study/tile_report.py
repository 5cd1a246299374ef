"""What a product costs in a tile, of MACs with scalers and adders or of dot units: MLS beside
floating point.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..golden.spec import AUTO
from ..support.cache import Cache
from ..synth.liberty.library import load
from ..units.dots import PRESETS
from ..units.emit import parameters
from .builds import Progress, builds, measure_builds
from .conditions import Conditions
from .ratios import (
    Baselines,
    area,
    bare_energies,
    cheapest,
    kinds_of,
    layout_ratios,
    ratio,
    ratio_error,
    ratios,
)
from .records import significant
from .report import accumulator_row, circumstances
from .rows import Best, TileClaim, TileReport, TileRow, TileStimulusRow
from .step.equation import KERNEL, by_paper, by_table_5
from .stimuli.pairs import Stimulus
from .stimuli.tiles import SEGMENT
from .systems import Entry

SCHEMA = 4
LANES = (4, 16, 64)
KINDS = ("fp32", "fp8")
"""Of the baselines that tiles are compared with: those of MACs with such, of dots with such."""

DOTS = "_dots"
"""Behind a kind of baseline that is a tile of dots."""

MOST_DOTS = 16
"""Lanes up to which tiles of dots are measured: those of MLS take 144 products a cycle."""

_MLS = {"format": "2,4", "acc_width": 16}
# The longest leaf of the stimulus has `SEGMENT` products: no sum can overflow.
_PROVEN = {"acc_width": AUTO, "length": SEGMENT}
_EXACT = {"format": "2,1", "acc_width": 16, "tree": "exact", "scale": "4,3"}
_EXACT_DOTS = {"format": "2,1", "scale": "4,3", "accumulate": "exact"}
ENTRIES = (
    Entry("FP32 flush", "fp32_tile", {"subnormals": False}, ("fp32",)),
    Entry("FP8 E5M2", "fp8_tile", {"format": "e5m2"}, ("fp8",)),
    Entry("FP8 E4M3", "fp8_tile", {"format": "e4m3"}, ("fp8",)),
    Entry("MLS <2,4>", "mls_tile", _MLS),
    Entry("MLS <2,4> sharing 4", "mls_tile", _MLS | {"sharing": 4}),
    Entry("MLS <2,4>, proven sum", "mls_tile", _MLS | _PROVEN),
    Entry("MLS <2,4> aligned", "mls_tile", _MLS | {"tree": "aligned"}),
    Entry("MLS <2,4> exact, <4,1>", "mls_tile", _MLS | {"tree": "exact", "scale": "4,1"}),
    Entry("MLS <2,1> exact, <4,3>", "mls_tile", _EXACT),
    Entry("FP32 flush dots", "float_dot", {}, ("fp32",)),
    Entry("FP8 E4M3 dots", "block_dot", PRESETS["fp8_e4m3"], ("fp8",)),
    Entry("MLS <2,4> dots", "dot_tile", {"format": "2,4"}),
    Entry("MLS <2,1> dots", "dot_tile", {"format": "2,1"}),
    Entry("MLS <2,1> dots, exact <4,3>", "dot_tile", _EXACT_DOTS),
)
"""Tiles of each lane count. Exact sums have small scales: `<8,1>` makes them 600 bits wide. A lane
of MLS dots takes a 3x3 group in a cycle, one of floating-point dots a product: `lanes` of them are
one sum.
"""

CLAIM = TileClaim(
    source="MLS paper, Table 5 and Eq. 9",
    ratio_to_fp32=significant(by_table_5().to_fp32, 3),
    ratio_to_fp8=significant(by_table_5().to_fp8, 3),
    ratio_to_fp32_3x3=significant(by_paper(KERNEL).to_fp32, 2),
    ratio_to_fp32_1x1=significant(by_paper(1).to_fp32, 2),
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
    every = [
        replace(entry, options={**entry.options, "lanes": count})
        for entry in entries
        for count in _widths(entry, lanes)
    ]
    every.sort(key=lambda entry: entry.options["lanes"])
    counts = list(dict.fromkeys(entry.options["lanes"] for entry in every))
    measured = _measured(every, conditions, stimulus, results, progress)
    alike: dict[tuple[int, str], list[tuple[Entry, Best]]] = {}
    for pair in zip(every, measured, strict=True):
        alike.setdefault(_alike(pair[0]), []).append(pair)
    kinds = kinds_of(KINDS, every)
    baselines = {what: cheapest(kinds, *zip(*own, strict=True)) for what, own in alike.items()}
    bare = {what: bare_energies(kinds, *zip(*own, strict=True)) for what, own in alike.items()}
    shared = vars(circumstances(SCHEMA, conditions, stimulus))
    return TileReport(
        **shared | {"stimulus": TileStimulusRow(**vars(shared["stimulus"]), segment=SEGMENT)},
        baselines={
            str(count): {
                name + kind: entry.label
                for (lanes, kind), chosen in baselines.items()
                for name, (entry, _) in chosen.items()
                if lanes == count
            }
            for count in counts
        },
        claim=CLAIM,
        rows=tuple(
            replace(
                _row(entry, told, baselines[_alike(entry)], _own(entry, stimulus)),
                layout_ratios=layout_ratios(baselines[_alike(entry)], bare[_alike(entry)], told),
            )
            for entry, told in zip(every, measured, strict=True)
        ),
    )


def _measured(
    every: Sequence[Entry],
    conditions: Conditions,
    stimulus: Stimulus,
    results: Cache,
    progress: Progress | None,
) -> list[Best]:
    """Every entry on its operations."""
    library = load(conditions.pdk.liberty)
    one = replace(conditions, all_builds=False)
    drawn = [_own(entry, stimulus) for entry in every]
    found: dict[int, Best] = {}
    for size in sorted({len(own) for own in drawn}):
        places = [place for place, own in enumerate(drawn) if len(own) == size]
        ways = [builds(every[place].configuration(), one, library) for place in places]
        told = measure_builds(conditions, drawn[places[0]], ways, results, progress)
        found |= zip(places, told, strict=True)
    return [found[place] for place in range(len(every))]


def _own(entry: Entry, stimulus: Stimulus) -> Stimulus:
    """As many operations as make about as many products: those of a tile are products, that of a
    dot unit is a step of all lanes.
    """
    configuration = entry.configuration()
    if configuration.unit.one_build:  # a tile
        return stimulus
    return stimulus.resized(-(-len(stimulus) // configuration.options["lanes"]))


def _widths(entry: Entry, lanes: Sequence[int]) -> Sequence[int]:
    """Lane counts of an entry: its own, else those of `lanes` that are not too many for dots."""
    if own := entry.options.get("lanes"):
        return [own]
    return [count for count in lanes if count <= MOST_DOTS or not _kind(entry)]


def _alike(entry: Entry) -> tuple[int, str]:
    """What it is compared with: tiles of as many lanes, of MACs or of dots."""
    return entry.options["lanes"], _kind(entry)


def _kind(entry: Entry) -> str:
    return DOTS if entry.configuration().unit.lane is None else ""


def _row(entry: Entry, measured: Best, baselines: Baselines, stimulus: Stimulus) -> TileRow:
    configuration = entry.configuration()
    lanes = configuration.options["lanes"]
    products = configuration.build().w.shape().length
    workload = configuration.workload(stimulus)
    return TileRow(
        unit=entry.label,
        lanes=lanes,
        products_per_cycle=products,
        options=parameters(configuration),
        steps=workload.cycles,
        macs=round(sum(workload.batches.macs)),
        utilisation=round(workload.macs / products, 4),
        gate_equivalents_per_lane=round(measured.gate_equivalents / lanes, 1),
        accumulator=accumulator_row(configuration, stimulus),
        measured=measured,
        ratio_to_fp32=ratio(baselines, "fp32", measured),
        ratio_to_fp32_se=ratio_error(baselines, "fp32", measured),
        area_ratio_to_fp32=ratio(baselines, "fp32", measured, area),
        ratio_to_fp8=ratio(baselines, "fp8", measured),
        ratio_to_fp8_se=ratio_error(baselines, "fp8", measured),
        area_ratio_to_fp8=ratio(baselines, "fp8", measured, area),
        ratios=ratios(baselines, KINDS, measured),
    )
