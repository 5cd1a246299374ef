"""The plot of reports side by side."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .compare import KINDS, Compared, Comparison
from .plots import STYLE, svg

_REPORT_COLOURS = ("#2f6f9f", "#e08a3c", "#7a5ba8", "#5b9f5b")


def comparison_plot(comparison: Comparison, *, ratios: bool) -> str:
    """Units by report, a panel for what energies are of: energies over those
    of the first report with two standard errors, or (`ratios`) how many times less than the first
    kind of baseline.
    """
    shared = [row for row in reversed(comparison.rows) if row.is_shared]
    panels = [rows for of in KINDS if (rows := [row for row in shared if row.of == of])]
    names = comparison.reports if ratios else comparison.reports[1:]
    with matplotlib.rc_context(STYLE):
        heights = [0.3 * len(rows) + 0.9 for rows in panels]
        figure = Figure(figsize=(7.2, sum(heights) + 0.6), layout="constrained")
        if not panels:
            return svg(figure)
        every = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, rows in zip(every, panels, strict=True):
            for number, name in enumerate(names):
                colour = _REPORT_COLOURS[number % len(_REPORT_COLOURS)]
                _compared(axes, rows, name, colour, ratios=ratios)
            axes.set_yticks(range(len(rows)), [row.unit for row in rows])
            axes.axvline(1, color="#8a8a8a", lw=0.8)
            low, high = axes.get_xlim()
            if low <= 0 or high > 3 * low:  # else powers of ten would hardly have a mark
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_minor_formatter(NullFormatter())
            axes.xaxis.set_major_formatter("{x:g}")
            axes.grid(axis="x", alpha=0.25, which="both")
            against = f"times less energy {KINDS[rows[0].of]} than {_kind(rows)}"
            axes.set_xlabel(against if ratios else f"energy {KINDS[rows[0].of]}, over the first")
        handles, labels = every[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", frameon=False, ncols=4)
        return svg(figure)


def _kind(rows: Sequence[Compared]) -> str:
    """The first kind of baseline that rows have a ratio to."""
    standings = [own for row in rows for own in row.reports.values() if own]
    return next((kind for own in standings for kind in own.ratios), "")


def _compared(
    axes: Axes, rows: Sequence[Compared], name: str, colour: str, *, ratios: bool
) -> None:
    kind = _kind(rows)
    label: str | None = name
    for place, row in enumerate(rows):
        standing, change = row.reports[name], row.changes.get(name)
        if ratios:
            found = standing.ratios.get(kind) if standing else None
            value, error = (found.value, found.se) if found else (None, None)
        else:
            value, error = (change.energy, change.energy_se) if change else (None, None)
        if value is not None:
            axes.errorbar(value, place, xerr=2 * (error or 0), fmt="o", color=colour, label=label)
            label = None
