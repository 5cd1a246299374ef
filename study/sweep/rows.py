"""What a sweep holds: a row a configuration and library, and what was left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from ..rows import OF_A_PRODUCT, AccumulatorRow, Best, DotErrors, StimulusRow


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job of a sweep finds out."""

    measured: Annotated[Best, OF_A_PRODUCT]
    accumulator: AccumulatorRow | None
    errors: DotErrors | None


@dataclass(frozen=True, kw_only=True)
class SweepRow:
    """A row of `sweep.json`: energies are of a product, of a MAC's operation that is."""

    unit: Annotated[str, "what of the grid tells it from the other rows"]
    kind: Annotated[str, "unit of the catalogue"]
    pdk: Annotated[str, "library"]
    swept: Annotated[Mapping[str, str], "values of the grid, as they were written"]
    options: Annotated[Mapping[str, Any], "parameters, all of them"]
    coding: Annotated[
        Mapping[str, str] | None,
        "of MLS operands whose scales stay outside the unit: which elements share one (`group`), "
        "and its format (`scale`)",
    ]
    products_per_cycle: Annotated[int, "products that it takes in a cycle"]
    gate_equivalents_per_product: Annotated[float, "area over them"]
    errors: Annotated[
        DotErrors | None,
        "root mean square of what rounding operands to nearest does, over that of the values; null "
        "where tensors are not cast to the format",
    ]
    accumulator: Annotated[AccumulatorRow | None, "of an integer accumulator that may overflow"]
    accuracy: Annotated[float | None, "of a training, where a result is given"]
    pareto: Annotated[
        bool, "whether no row of the same library is better in one objective and as good in all"
    ]
    measured: Annotated[Best, OF_A_PRODUCT]

    @property
    def mark(self) -> str:
        """Of a row of the front, in tables."""
        return "*" if self.pareto else ""


@dataclass(frozen=True, kw_only=True)
class SkippedRow:
    """A configuration that has no row."""

    unit: Annotated[str, "what of the grid tells it from the others"]
    swept: Annotated[Mapping[str, str], "values of the grid, as they were written"]
    reason: Annotated[str, "the rule that it breaks, or what failed"]
    failed: Annotated[bool, "whether a tool failed: the command then exits with 1"] = False


@dataclass(frozen=True, kw_only=True)
class LibraryRow:
    """A library of a sweep."""

    pdk: Annotated[str, "library"]
    clock_mhz: Annotated[float, "clock"]


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """`sweep.json`."""

    schema: Annotated[int, "grows when a field changes its name or meaning"]
    libraries: Annotated[tuple[LibraryRow, ...], "each with a row for every configuration"]
    script: Annotated[str, "ABC script"]
    states: Annotated[str, "how cell states are known ([power](power.md))"]
    simulator: Annotated[str, "what simulated the netlists"]
    precision: Annotated[
        float, "standard error of an energy over the energy above which the command warns"
    ]
    search: Annotated[bool, "whether each configuration is at its best build, or has one build"]
    objectives: Annotated[tuple[str, ...], "figures that the front is of"]
    stimulus: Annotated[StimulusRow, "what the operands are drawn from"]
    tools: Annotated[Mapping[str, str | None], "versions of what decides the figures"]
    rows: Annotated[tuple[SweepRow, ...], "one a configuration and library, in the grid's order"]
    skipped: Annotated[tuple[SkippedRow, ...], "configurations that there are not"]

    @property
    def pdk(self) -> str:
        """All libraries."""
        return ", ".join(library.pdk for library in self.libraries)
