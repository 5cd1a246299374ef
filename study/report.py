"""The main job: every MAC under one wrapper, one clock, one stimulus, one script."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..golden.spec import FP32, BlockFormat
from ..support.cache import Cache
from ..synth.liberty.library import load
from ..units.catalogue import Configuration
from ..units.emit import plain
from .builds import Progress, builds, chosen, measure_builds
from .conditions import Conditions
from .foreign import Foreign
from .keys import tool_versions
from .layout_rows import LayoutRow
from .measure import Build
from .ratios import (
    Baselines,
    bare_energies,
    cheapest,
    combinational,
    kinds_of,
    layout_ratios,
    ratio,
    ratio_error,
    ratios,
    ties,
)
from .rows import AccumulatorRow, Best, MacReport, MacRow, Report, StimulusRow
from .stimuli.pairs import Stimulus
from .systems import BASELINES, ENTRIES, Entry

SCHEMA = 3


RANGE_OPERATIONS = 300_000
"""Operations on which overflows are counted, by the golden model: rare events need many."""


def make_report(
    conditions: Conditions,
    stimulus: Stimulus,
    *,
    entries: Sequence[Entry] = ENTRIES,
    held: bool = False,
    results: Cache,
    progress: Progress | None = None,
) -> MacReport:
    """Measure every entry, all its builds, on all cores; `held`: the best ones with weights that
    are held, too.

    Raises: what measuring raises.
    """
    library = load(conditions.pdk.liberty)
    every = [builds(entry.configuration(), conditions, library) for entry in entries]
    measured = measure_builds(conditions, stimulus, every, results, progress)
    holding: Mapping[int, Best] = {}
    if held:
        again = dict(_holding(every, measured))
        own = measure_builds(conditions, stimulus, list(again.values()), results, progress)
        holding = dict(zip(again, own, strict=True))
    kinds = kinds_of(BASELINES, entries)
    baselines = cheapest(kinds, entries, measured)
    bare = bare_energies(kinds, entries, measured)
    return MacReport(
        **vars(circumstances(SCHEMA, conditions, stimulus)),
        baselines={kind: entry.label for kind, (entry, _) in baselines.items()},
        rows=tuple(
            _row(
                entry,
                own,
                holding.get(n),
                baselines,
                stimulus,
                ties=ties(own, entries, measured),
                layout_ratios=layout_ratios(baselines, bare, own),
            )
            for n, (entry, own) in enumerate(zip(entries, measured, strict=True))
        ),
    )


def _holding(
    every: Sequence[Sequence[Build]], measured: Sequence[Best]
) -> Iterator[tuple[int, list[Build]]]:
    """By place the build that is a unit's result, with weights that are held, where it can."""
    for place, (own, best) in enumerate(zip(every, measured, strict=True)):
        build = chosen(own, best)
        if configuration := build.configuration.holding():
            yield place, [replace(build, configuration=configuration)]


def circumstances(schema: int, conditions: Conditions, stimulus: Stimulus) -> Report:
    """What all rows of a report share: conditions, what the operands are drawn from, tools."""
    return Report(
        schema=schema,
        pdk=conditions.pdk.name,
        clock_mhz=conditions.clock_mhz,
        script=conditions.script,
        states=conditions.states.value,
        simulator=conditions.simulator.value,
        layout=LayoutRow(**asdict(conditions.layout)) if conditions.layout else None,
        precision=conditions.precision,
        stimulus=StimulusRow(
            tensors=stimulus.tensors,
            **stimulus.coding.written(),
            operations=len(stimulus),
            seed=stimulus.seed,
            kinds=tuple(kind.value for kind in stimulus.kinds),
            digest=stimulus.digest,
        ),
        tools=tool_versions(conditions),
    )


def _row(
    entry: Entry,
    measured: Best,
    holding: Best | None,
    baselines: Baselines,
    stimulus: Stimulus,
    **beside: Any,
) -> MacRow:
    """A measured unit, what the stimulus does to it (zero products, overflows), and its ratios."""
    configuration = entry.configuration()
    options = configuration.options
    format = options.get("format", FP32)
    # What writes blocks reads float32.
    read = FP32 if isinstance(format, BlockFormat) else format
    statistics = stimulus.statistics(read, options.get("a_format"))
    checked = configuration.declared().checked
    zeros = sum(part.zero_product * part.pairs for part in statistics.values()) / len(stimulus)
    return MacRow(
        unit=entry.label,
        options={name: plain(value) for name, value in options.items()},
        zero_product_share=round(zeros, 4),
        accumulator=accumulator_row(configuration, stimulus) if checked else None,
        measured=measured,
        held_pj=holding.energy_pj if holding else None,
        ratio_to_fp32=ratio(baselines, "fp32", measured),
        ratio_to_fp8=ratio(baselines, "fp8", measured),
        ratio_to_fp8_any=ratio(baselines, "fp8_any", measured),
        ratio_to_fp32_se=ratio_error(baselines, "fp32", measured),
        ratio_to_fp8_se=ratio_error(baselines, "fp8", measured),
        ratio_to_fp8_any_se=ratio_error(baselines, "fp8_any", measured),
        combinational_ratio_to_fp32=ratio(baselines, "fp32", measured, combinational),
        combinational_ratio_to_fp8=ratio(baselines, "fp8", measured, combinational),
        ratios=ratios(baselines, BASELINES, measured),
        claim=entry.claim,
        checked=checked,
        verilog=configuration.row if isinstance(configuration, Foreign) else None,
        **beside,
    )


@functools.lru_cache(maxsize=2)
def _range_stimulus(drawn: Stimulus) -> Stimulus:
    """The operands on which every unit's overflows are counted."""
    return drawn.resized(RANGE_OPERATIONS)


def accumulator_row(configuration: Configuration, drawn: Stimulus) -> AccumulatorRow | None:
    """Proven length and the overflow seen, by kind of convolution: share of groups that
    overflowed. Of a tile: that of its MACs. None where no sum can overflow.
    """
    if "overflow" not in configuration.options:
        return None
    stimulus = _range_stimulus(drawn)
    mac = configuration.lane
    outputs = mac.reference(mac.workload(stimulus).inputs)
    last = np.append(stimulus.start[1:], True)
    flags = outputs["overflow"][last].astype(bool)
    kinds = stimulus.kind[last]
    return AccumulatorRow(
        width=mac.options["acc_width"],
        safe_length=mac.safe_length,
        groups=len(flags),
        overflows=int(flags.sum()),
        overflow_rate=round(float(flags.mean()), 6),
        overflow_rate_by_kind={
            kind.value: round(float(flags[kinds == index].mean()), 6)
            for index, kind in enumerate(stimulus.kinds)
        },
    )
