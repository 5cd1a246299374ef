"""Under which condition the ratios of the MLS paper's Table 5 come out.

The paper gives power of a multiplier and a local accumulator in three formats, simulated by Design
Compiler; whether with registers, with glitches, or on which operands it does not say. So the same
ratios under each condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from ..support.cache import Cache
from ..synth.liberty.library import load
from .builds import Build, Progress, builds, chosen, measure_builds
from .columns import figure
from .conditions import Conditions
from .measure import MeasureError, measure
from .records import significant
from .report import circumstances
from .rows import MAC_STAGES, Measurement, Report
from .stimuli import vectorless
from .stimuli.pairs import Stimulus
from .systems import ENTRIES, TABLE_5

SCHEMA = 1
UNITS = {"fp32": "FP32 flush", "fp8": "FP8 E5M2", "e4m3": "FP8 E4M3", "mls": "MLS <2,4>"}
"""Rows of the report by the paper's column; its FP8 is not said to be one or the other."""

Energies = Mapping[str, float]
"""By stage, of a MAC."""


@dataclass(frozen=True, kw_only=True)
class Table5Row:
    """A condition and its ratios."""

    condition: Annotated[str, "what counts, and on which operands"]
    multiplier_fp32_to_fp8: Annotated[float, "energy of the FP32 multiplier over the E5M2 one's"]
    multiplier_fp32_to_mls: Annotated[float, "the same over the MLS one's"]
    accumulator_fp32_to_mls: Annotated[float, "the same of accumulators"]
    fp32_multiplier_to_accumulator: Annotated[float, "FP32 multiplier over FP32 accumulator"]
    mac_fp32_to_mls: Annotated[float, "FP32 MAC over MLS MAC"]
    mac_fp8_to_mls: Annotated[float, "E5M2 MAC over MLS MAC"]
    mac_e4m3_to_mls: Annotated[float | None, "E4M3 MAC over MLS MAC; the paper has one FP8"]


@dataclass(frozen=True, kw_only=True)
class Table5(Report):
    """`table5.json`."""

    units: Annotated[Mapping[str, str], "rows of the report that the ratios are of"]
    rows: Annotated[tuple[Table5Row, ...], "the paper's, then one a condition"]


def make_table5(
    conditions: Conditions,
    stimulus: Stimulus,
    *,
    results: Cache,
    progress: Progress | None = None,
) -> Table5:
    """Measure the four units at their best builds, these builds again on random operands.

    Raises: what measuring raises.
    """
    library = load(conditions.pdk.liberty)
    entries = {entry.label: entry for entry in ENTRIES}
    ways = [builds(entries[label].configuration(), conditions, library) for label in UNITS.values()]
    measured = measure_builds(conditions, stimulus, ways, results, progress)
    real = dict(zip(UNITS, measured, strict=True))
    random = {
        name: _vectorless(chosen(own, real[name]), conditions, stimulus, results)
        for name, own in zip(UNITS, ways, strict=True)
    }
    return Table5(
        **vars(circumstances(SCHEMA, conditions, stimulus)),
        units=UNITS,
        rows=(
            _row("the paper", {unit: _by_stage(mw) for unit, mw in TABLE_5.items()}),
            *(
                _row(name, {unit: energies(own) for unit, own in units.items()})
                for name, units, energies in (
                    ("whole, glitches", real, lambda own: own.energy_pj_by_stage),
                    ("whole, zero delay", real, lambda own: own.zero_delay.by_stage_pj),
                    ("combinational, glitches", real, lambda own: own.combinational_pj_by_stage),
                    ("combinational, zero delay", real, _calm),
                    ("combinational, vectorless", random, _calm),
                )
            ),
        ),
    )


def _calm(own: Measurement) -> Energies:
    """Of combinational cells without glitches."""
    return own.zero_delay.combinational_by_stage_pj


def _by_stage(figures: Sequence[float]) -> Energies:
    return dict(zip(MAC_STAGES, figures, strict=True))


def _vectorless(
    build: Build, conditions: Conditions, stimulus: Stimulus, results: Cache
) -> Measurement:
    workload = vectorless.build(build.configuration, len(stimulus), stimulus.seed)
    return measure(build, conditions, workload, results=results)


def _row(condition: str, energies: Mapping[str, Energies]) -> Table5Row:
    """Ratios of energies by the names of `UNITS`. Raises: MeasureError (a unit without energy)."""
    for unit, own in energies.items():
        if not own:
            raise MeasureError(f"{UNITS[unit]} must compute at the clock for Table 5, but does not")
    multiplier, accumulator = (
        {unit: own[stage] for unit, own in energies.items()} for stage in MAC_STAGES
    )
    mac = {unit: sum(own.values()) for unit, own in energies.items()}
    return Table5Row(
        condition=condition,
        multiplier_fp32_to_fp8=significant(multiplier["fp32"] / multiplier["fp8"], 4),
        multiplier_fp32_to_mls=significant(multiplier["fp32"] / multiplier["mls"], 4),
        accumulator_fp32_to_mls=significant(accumulator["fp32"] / accumulator["mls"], 4),
        fp32_multiplier_to_accumulator=significant(multiplier["fp32"] / accumulator["fp32"], 4),
        mac_fp32_to_mls=significant(mac["fp32"] / mac["mls"], 4),
        mac_fp8_to_mls=significant(mac["fp8"] / mac["mls"], 4),
        mac_e4m3_to_mls=significant(mac["e4m3"] / mac["mls"], 4) if "e4m3" in mac else None,
    )


def statement(table: Table5) -> str:
    """What can be said of the paper's ratios."""
    rows = {row.condition: row for row in table.rows}
    paper, whole, part = (
        (rows[name].mac_fp32_to_mls, rows[name].mac_fp8_to_mls)
        for name in ("the paper", "whole, glitches", "combinational, glitches")
    )
    apart = max(abs(own / theirs - 1) for own, theirs in zip(part, paper, strict=True))

    def both(ratios: tuple[float, float]) -> str:
        return f"{figure(ratios[0])} times less than FP32 and {figure(ratios[1], 2)} less than FP8"

    return (
        f"A whole MLS <2,4> MAC takes {both(whole)}; in the paper, {both(paper)}. Where registers "
        f"and clock are not counted, it is {both(part)}: within {100 * apart:.0f} % of the paper. "
        "That the paper leaves them out is our guess: it does not say."
    )
