"""The plot of a training study: accuracy of every arm, and how it grew with the epochs."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plots import STYLE, svg
from .rows import Run, TrainingReport

_MARK, _RUN, _BASE = "#2f6f9f", "#9fbdd3", "#999999"


def training_plot(report: TrainingReport) -> str:
    """Left: mean of the last epoch's accuracy with its standard error, and each run; right: the
    same after each epoch, means of the arms, the first in bold.
    """
    rows = [row for row in report.rows if row.accuracy is not None]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, max(3.0, 0.26 * len(rows) + 1.2)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
        for height, row in enumerate(reversed(rows)):
            own = [run.accuracy for run in report.runs if run.arm == row.arm]
            points = [100 * accuracy for accuracy in own if accuracy is not None]
            left.plot(points, [height] * len(points), "o", color=_RUN, ms=4)
            left.errorbar(
                row.accuracy, height, xerr=row.accuracy_se or 0, fmt="|", color=_MARK, capsize=3
            )
        if rows:
            left.axvline(rows[0].accuracy, color=_BASE, lw=0.8)
        left.set_yticks(range(len(rows)), [row.arm for row in reversed(rows)])
        left.set_xlabel("accuracy, %")
        left.grid(axis="x", alpha=0.25)
        _curves(right, [_converged(report, row.arm) for row in rows])
        return svg(figure)


def _converged(report: TrainingReport, arm: str) -> list[Run]:
    return [run for run in report.runs if run.arm == arm and run.diverged is None]


def _curves(axes: Axes, arms: Sequence[Sequence[Run]]) -> None:
    for number, runs in enumerate(arms):
        whole = min(len(run.epochs) for run in runs)
        means = [
            100 * sum(run.epochs[i].accuracy for run in runs) / len(runs) for i in range(whole)
        ]
        look = {"color": "black", "lw": 1.8} if number == 0 else {"lw": 0.9, "alpha": 0.8}
        axes.plot(range(1, whole + 1), means, **look)
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.25)
