"""The plot of a sweep: two objectives of every row, and the front, a panel a library."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from ..columns import at
from ..plots import STYLE, svg
from .rows import SweepReport, SweepRow
from .sweep import OBJECTIVES, Objective

_COLOURS = ("#2f6f9f", "#e08a3c", "#5b9f5b", "#7a5ba8", "#b04a4a", "#8a8a8a")
_MOST_NAMES = 24
"""Points of a front that are named: beyond that they stand in the table alone."""


def sweep_plot(report: SweepReport) -> str:
    """The first two objectives; those of the front are joined and named.

    Logarithmic axes, but of accuracies: what is 0 there (the error of an exact format) is left out.
    """
    axes_of = [OBJECTIVES[name] for name in report.objectives[:2]]
    panels = [
        [row for row in report.rows if row.pdk == own.pdk and _is_shown(row, axes_of)]
        for own in report.libraries
    ]
    heights = [max(3.6, 0.24 * min(_marked(own), _MOST_NAMES) + 0.8) for own in panels]
    kinds = list(dict.fromkeys(row.kind for row in report.rows))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, sum(heights)), layout="constrained")
        every = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, own, library in zip(every, panels, report.libraries, strict=True):
            _panel(axes, own, axes_of, kinds)
            if len(panels) > 1:
                axes.set_title(library.pdk, loc="left")
        if len(kinds) > 1:
            marks = every[0].get_legend_handles_labels()
            figure.legend(*marks, loc="outside upper center", frameon=False, ncols=len(kinds))
        return svg(figure)


def _is_shown(row: SweepRow, axes: Sequence[Objective]) -> bool:
    return all(own.of(row) and (own.largest or at(row, own.path) > 0) for own in axes)


def _marked(rows: Sequence[SweepRow]) -> int:
    return sum(row.pareto for row in rows)


def _panel(
    axes: Axes, rows: Sequence[SweepRow], shown: Sequence[Objective], kinds: Sequence[str]
) -> None:
    def place(row: SweepRow) -> tuple[float, float]:
        x, y = (at(row, own.path) * own.scale for own in shown)
        return x, y

    for number, kind in enumerate(kinds):
        colour = _COLOURS[number % len(_COLOURS)]
        own = [row for row in rows if row.kind == kind]
        for marked, look in ((False, {"alpha": 0.45, "ms": 4}), (True, {"ms": 6})):
            points = [place(row) for row in own if row.pareto is marked]
            label = kind if marked else None
            x, y = zip(*points, strict=True) if points else ((), ())
            axes.plot(x, y, "o", color=colour, label=label, zorder=3 if marked else 2, **look)
    front = sorted((row for row in rows if row.pareto), key=place)
    if front:
        x, y = zip(*map(place, front), strict=True)
        axes.plot(x, y, color="#999999", lw=1, zorder=1)
    named = sorted(front[:_MOST_NAMES], key=lambda row: place(row)[1])
    for number, row in enumerate(named):
        _name(axes, row.unit, place(row), (number + 0.5) / len(named))
    _scales(axes, shown, bool(rows))


def _name(axes: Axes, label: str, place: tuple[float, float], height: float) -> None:
    """On the right, with a line to the point, so that no name covers another."""
    axes.annotate(
        label,
        place,
        (1.06, height),
        textcoords="axes fraction",
        va="center",
        arrowprops={"arrowstyle": "-", "color": "#cccccc", "lw": 0.8, "relpos": (0, 0.5)},
    )


def _scales(axes: Axes, shown: Sequence[Objective], has_points: bool) -> None:
    axes.set_xlabel(shown[0].title)
    axes.set_ylabel(shown[1].title)
    axes.grid(alpha=0.25, which="both")
    for name, axis, own in zip("xy", (axes.xaxis, axes.yaxis), shown, strict=True):
        if own.largest or not has_points:
            continue
        getattr(axes, f"set_{name}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
