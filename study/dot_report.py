"""Dot units: what a product costs where many share an accumulation, a scale, and an operand row."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..support.cache import Cache
from ..support.errors import UserError
from ..synth.liberty.library import load
from ..units.dots import PRESETS
from ..units.emit import parameters
from .builds import Progress, builds, measure_builds
from .conditions import Conditions
from .dot_errors import dot_errors
from .errors import relative_error
from .ratios import (
    Baselines,
    area,
    bare_energies,
    cheapest,
    kinds_of,
    layout_ratios,
    ratio,
)
from .records import significant
from .report import circumstances
from .rows import Best, DotReport, DotRow, Ratio
from .stimuli.pairs import Stimulus
from .systems import Entry

SCHEMA = 1
LANES = (8, 16, 32)

OPERATIONS_A_STEP = 4
"""A report of so many operations measures its dot units on one step for as many of them: a step
has many products.
"""

BASELINES = {"fp32": "FP32", "fp8": "FP8 with a float32 sum", "mxfp8": "MXFP8"}
"""Kinds of dot unit that ratios are against, in words."""


@dataclass(frozen=True)
class DotEntry:
    """A row of the report at each width.

    Members: `label`; `unit` with its `options`; `block`, elements that share a scale (None: a
    tensor); `lanes`, the only width, where the block decides it; `kinds` of baseline that it is one
    of.
    """

    label: str
    unit: str
    options: Mapping[str, Any]
    block: int | None = None
    lanes: int | None = None
    kinds: tuple[str, ...] = ()

    def units(self, widths: Iterable[int]) -> Iterator["DotUnit"]:
        """The unit as its options shape it, else at its only width, else at each of `widths`."""
        if not _SHAPE.isdisjoint(self.options):
            if self.block or self.lanes:
                rule = "must have its shape in its options, or block and lanes beside them"
                raise UserError(f"{self.label} {rule}, not both")
            entry = Entry(self.label, self.unit, self.options, self.kinds)
            options = entry.configuration().options
            size = options["lanes"] * options.get("cycles", 1)
            block = size if options.get("scale") else None
            yield DotUnit(self.label, block, options["lanes"] * options.get("groups", 1), entry)
            return
        for lanes in [self.lanes] if self.lanes else sorted(widths):
            yield DotUnit(self.label, self.block, lanes, self.at(lanes))

    def at(self, lanes: int) -> Entry:
        """The unit with so many products a cycle: blocks side by side, or in several cycles."""
        block = self.block or lanes
        if lanes % block and block % lanes:
            rule = f"block of {self.label} must divide the lanes, or they it"
            raise UserError(f"{rule}: not {block} with {lanes}")
        shape = {"lanes": min(lanes, block)}
        if lanes > block:
            shape["groups"] = lanes // block
        elif block > lanes:
            shape["cycles"] = block // lanes
        return Entry(f"{self.label}, {lanes}", self.unit, {**self.options, **shape}, self.kinds)


_SHAPE = {"lanes", "groups", "cycles"}


class DotUnit(NamedTuple):
    """A dot unit of some width: label, elements that share a scale, products a cycle."""

    label: str
    block: int | None
    lanes: int
    entry: Entry


def _preset(
    name: str,
    label: str,
    block: int | None,
    lanes: int | None = None,
    kinds: tuple[str, ...] = (),
    **options: Any,
) -> DotEntry:
    """A row of one of the presets, some `options` of it changed."""
    return DotEntry(label, "block_dot", {**PRESETS[name], **options}, block, lanes, kinds)


ENTRIES = (
    DotEntry("FP32", "float_dot", {}, kinds=("fp32",)),
    _preset("fp8_e4m3", "FP8 E4M3, float32 sum", None, kinds=("fp8",)),
    _preset("fp8_e4m3", "FP8 E4M3, exact sum", None, accumulate="exact"),
    _preset("int8", "INT8", None),
    _preset("mxfp8_e4m3", "MXFP8 E4M3", 32, kinds=("mxfp8",)),
    _preset("mxint8", "MXINT8", 32),
    _preset("mxfp6_e2m3", "MXFP6 E2M3", 32),
    _preset("mxfp6_e3m2", "MXFP6 E3M2", 32),
    _preset("mxfp4", "MXFP4", 32),
    _preset("nvfp4", "NVFP4", 16),
    _preset("nvint4", "NVINT4", 16),
    _preset("mls_e2m4", "MLS <2,4>", 32),
    _preset("mls_e2m4", "MLS <2,4>, blocks of 16", 16),
    _preset("mls_e2m1", "MLS <2,1>", 32),
    _preset("mls_e2m1", "MLS <2,1>, blocks of 16", 16),
    *(
        _preset(name, f"MLS {format}, 3x3", 9, lanes=lanes)
        for name, format in (("mls_e2m4", "<2,4>"), ("mls_e2m1", "<2,1>"))
        for lanes in (9, 36)
    ),
    *(
        _preset(name, f"{label}, weights held", 32, lanes=32, hold=True)
        for name, label in (
            ("mxint8", "MXINT8"),
            ("mxfp4", "MXFP4"),
            ("mls_e2m4", "MLS <2,4>"),
            ("mls_e2m1", "MLS <2,1>"),
        )
    ),
)


def make_dot_report(
    conditions: Conditions,
    stimulus: Stimulus,
    *,
    lanes: Sequence[int] = LANES,
    entries: Sequence[DotEntry] = ENTRIES,
    results: Cache,
    progress: Progress | None = None,
) -> DotReport:
    """Measure every entry at each width, on all cores; `stimulus` has a step for each pair.

    Each has one build, its adders of full adder cells where the library has any: gates, and recoded
    multipliers, took more energy in every dot unit that was tried.
    Raises: what measuring raises.
    """
    library = load(conditions.pdk.liberty)
    chosen = [unit for entry in entries for unit in entry.units(lanes)]
    units = [unit.entry for unit in chosen]
    alone = replace(conditions, all_builds=False)
    ways = [builds(unit.configuration(), alone, library) for unit in units]
    measured = measure_builds(alone, stimulus, ways, results, progress)
    # Per product, so that widths compare.
    kinds = kinds_of(BASELINES, units)
    baselines = cheapest(kinds, units, measured)
    bare = bare_energies(kinds, units, measured)
    return DotReport(
        **vars(circumstances(SCHEMA, conditions, stimulus)),
        baselines={kind: entry.label for kind, (entry, _) in baselines.items()},
        rows=tuple(
            replace(
                _row(unit, own, baselines, stimulus),
                layout_ratios=layout_ratios(baselines, bare, own),
            )
            for unit, own in zip(chosen, measured, strict=True)
        ),
    )


def _row(unit: DotUnit, measured: Best, baselines: Baselines, stimulus: Stimulus) -> DotRow:
    configuration = unit.entry.configuration()
    ratios: dict[str, Any] = {}
    for kind in BASELINES:
        ratios[f"ratio_to_{kind}"] = ratio(baselines, kind, measured)
        ratios[f"ratio_to_{kind}_se"] = _ratio_error(baselines, kind, measured)
        ratios[f"area_ratio_to_{kind}"] = _area_ratio(baselines, kind, measured, unit.lanes)
    return DotRow(
        unit=unit.label,
        lanes=unit.lanes,
        block=unit.block,
        options=parameters(configuration),
        gate_equivalents_per_lane=round(measured.gate_equivalents / unit.lanes, 1),
        errors=dot_errors(stimulus, configuration.options),
        measured=measured,
        **ratios,
        ratios={
            kind: Ratio(ratio(baselines, kind, measured), _ratio_error(baselines, kind, measured))
            for kind in baselines.keys() - BASELINES
        },
    )


def _ratio_error(baselines: Baselines, kind: str, own: Best) -> float | None:
    """Of the ratio of energies, which are of different draws."""
    value = ratio(baselines, kind, own)
    if value is None:
        return None
    baseline = baselines[kind][1]
    errors = [relative_error(unit.batches) for unit in (baseline, own)]
    if own is baseline or None in errors:
        return None
    return significant(value * math.hypot(*(error or 0.0 for error in errors)), 3)


def _area_ratio(baselines: Baselines, kind: str, own: Best, lanes: int) -> float | None:
    """Of areas a product."""
    whole = ratio(baselines, kind, own, area)
    if whole is None:
        return None
    entry, _ = baselines[kind]
    options = entry.configuration().options
    return round(whole * lanes / (options["lanes"] * options.get("groups", 1)), 3)
