"""The MLS paper's Table 3 beside ours: groups, exponent and mantissa bits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..columns import Column
from ..tables import Table
from .rows import ArmRow, TrainingReport

BASELINE = 92.45
"""Accuracy of the paper's float32 ResNet-20 on CIFAR-10, %, its Table 2."""

_MANTISSAS = (4, 3, 2, 1)
_PAPER: Mapping[tuple[str, int], tuple[float | None, ...]] = {
    ("none", 0): (90.02, 85.68, None, None),
    ("none", 1): (91.67, 90.11, 84.72, 70.4),
    ("none", 2): (92.32, 92.34, 91.58, 90.32),
    ("nc", 0): (92.37, 91.73, 90.39, 82.61),
    ("nc", 1): (92.52, 92.16, 91.48, 89.97),
    ("nc", 2): (92.37, 92.65, 92.05, 91.97),
}
"""Accuracies, %, by groups and exponent bits, for each of `_MANTISSAS`; None: it diverged. Scales
are `<8,1>`."""


@dataclass(frozen=True)
class Table3Row:
    """Formats of one grouping and exponent width; points of accuracy to float32, by mantissa bits,
    ours with standard errors and the paper's.
    """

    group: str
    exp_bits: int
    ours: Mapping[str, str]
    paper: Mapping[str, str]


def table3(report: TrainingReport) -> Table:
    """Accuracy to float32 in points: ours, then the paper's."""
    columns = [
        Column("groups", "groups", "group", None),
        Column("E", "E", "exp_bits", None),
        *(Column(f"M={m}", f"M={m}", ("ours", str(m)), None) for m in _MANTISSAS),
        *(Column(f"paper M={m}", f"paper\nM={m}", ("paper", str(m)), None) for m in _MANTISSAS),
    ]
    return Table("Accuracy to float32, points", columns, list(_rows(report)))


def _rows(report: TrainingReport) -> Iterator[Table3Row]:
    by_arm = {row.arm: row for row in report.rows}
    for (group, exp_bits), paper in _PAPER.items():
        found: dict[str, ArmRow | None] = {
            str(m): by_arm.get(f"mls --element {exp_bits},{m} --group {group}") for m in _MANTISSAS
        }
        yield Table3Row(
            group=group,
            exp_bits=exp_bits,
            ours={m: _shown(row) for m, row in found.items()},
            paper={
                str(m): "div." if accuracy is None else f"{accuracy - BASELINE:+.2f}"
                for m, accuracy in zip(_MANTISSAS, paper, strict=True)
            },
        )


def _shown(row: ArmRow | None) -> str:
    """Points with their standard error; runs that diverged are told."""
    if row is None or row.runs == 0:
        return "-"
    if row.difference is None:
        return "div."
    error = "" if row.difference_se is None else f" ± {row.difference_se:.2f}"
    failed = f", {row.diverged} div." if row.diverged else ""
    return f"{row.difference:+.2f}{error}{failed}"


def state(report: TrainingReport) -> str:
    """How much of the study there is, and the float32 baseline."""
    first = report.rows[0]
    counts = [row.runs for row in report.rows]
    seeds = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    error = "" if first.accuracy_se is None else f" ± {first.accuracy_se:.2f}"
    mean = "-" if first.accuracy is None else f"{first.accuracy:.2f}{error} %"
    return (
        f"{len(report.runs)} of {report.planned} runs are finished, {seeds} seeds a format; "
        f"{first.arm}: {mean}."
    )
