"""Ratios of a report: each unit's energy and area against the cheapest of each kind of baseline."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from .builds import rank
from .errors import difference_error, tie
from .layout_rows import LayoutRatio
from .records import significant
from .rows import Best, Ratio
from .systems import Entry


def kinds_of(known: Iterable[str], entries: Iterable[Entry]) -> list[str]:
    """The known kinds of baseline, and those beside them that entries are of."""
    return [*dict.fromkeys([*known, *(kind for entry in entries for kind in entry.kinds)])]


Baselines = Mapping[str, tuple[Entry, Best]]
"""What ratios are against, by kind."""


def cheapest(kinds: Iterable[str], entries: Sequence[Entry], measured: Sequence[Best]) -> Baselines:
    """Of each kind of baseline the entry of least energy that meets the clock, if there is one."""
    usable = [pair for pair in zip(entries, measured, strict=True) if pair[1].usable]
    found = {}
    for kind in kinds:
        own = [pair for pair in usable if kind in pair[0].kinds]
        if own:
            found[kind] = min(own, key=lambda pair: rank(pair[1]))
    return found


def energy(own: Best) -> float | None:
    """A unit's energy a MAC."""
    return own.energy_pj


def combinational(own: Best) -> float | None:
    """That of its combinational cells alone."""
    return own.energy_split_pj.combinational if own.energy_split_pj else None


def area(own: Best) -> float | None:
    """Its area; None where it has no energy."""
    return own.area_um2 if own.energy_pj is not None else None


def ratio(
    baselines: Baselines, kind: str, own: Best, figure: Callable[[Best], float | None] = energy
) -> float | None:
    """How many times less than the baseline of a kind; None where there is none, or no figure."""
    if kind not in baselines:
        return None
    numerator, denominator = figure(baselines[kind][1]), figure(own)
    return round(numerator / denominator, 3) if numerator and denominator else None


def ratio_error(baselines: Baselines, kind: str, own: Best) -> float | None:
    """Standard error of the ratio of energies."""
    value = ratio(baselines, kind, own)
    if value is None:
        return None
    relative = difference_error(baselines[kind][1].batches, own.batches)
    return None if relative is None else significant(value * relative, 3)


def ratios(baselines: Baselines, known: Collection[str], own: Best) -> dict[str, Ratio]:
    """Against baselines of other kinds than the known ones, in their order."""
    return {
        kind: Ratio(ratio(baselines, kind, own), ratio_error(baselines, kind, own))
        for kind in baselines
        if kind not in known
    }


def ties(own: Best, entries: Sequence[Entry], measured: Sequence[Best]) -> tuple[str, ...]:
    """Labels of the other units whose energy is the same as far as the stimulus can tell."""
    pairs = zip(entries, measured, strict=True)
    return tuple(entry.label for entry, other in pairs if other is not own and tie(own, other))


def bare_energies(
    kinds: Iterable[str], entries: Sequence[Entry], measured: Sequence[Best]
) -> dict[str, float]:
    """Of layouts: by kind of baseline the least energy without wires and clock tree."""
    found: dict[str, float] = {}
    for kind in kinds:
        own = [
            best.bare.energy_pj
            for entry, best in zip(entries, measured, strict=True)
            if kind in entry.kinds and best.bare and best.bare.usable and best.bare.energy_pj
        ]
        if own:
            found[kind] = min(own)
    return found


def layout_ratios(
    baselines: Baselines, bare: Mapping[str, float], own: Best
) -> dict[str, LayoutRatio]:
    """What a layout does to the ratio to each baseline, `bare`: those of `bare_energies`."""
    if own.layout is None:
        return {}

    def over(one: float | None, other: float | None) -> float | None:
        return round(one / other, 3) if one and other else None

    laid_out, before = own.layout, own.bare.energy_pj if own.bare else None
    return {
        kind: LayoutRatio(
            bare=over(bare.get(kind), before),
            light=over(baseline.layout.light_pj, laid_out.light_pj),
            heavy=over(baseline.layout.heavy_pj, laid_out.heavy_pj),
        )
        for kind, (_, baseline) in baselines.items()
        if baseline.layout
    }
