"""The plot of a training step."""

from collections.abc import Mapping

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..plots import STYLE, svg
from .rows import StepParts, StepReport, SystemRow
from .systems import GROUPS

_COLOURS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "products": ("#2f6f9f", ("products",)),
    "scaler": ("#7a5ba8", ("scaler",)),
    "tree": ("#e08a3c", ("tree",)),
    "first layer, classifier": ("#9fc3dd", ("outer",)),
    "quantization": ("#5b9f5b", ("statistics", "encoding")),
    "BN, additions, update": ("#8a8a8a", ("batch_norm", "adds", "update")),
}


def step_plot(report: StepReport) -> str:
    """Energy of a step by part, a panel a structure; without FP32, which is far beyond the others,
    and which they are compared with.
    """
    panels = [
        (group, [row for row in reversed(report.rows) if row.group == group.name][:-1])
        for group in GROUPS
    ]
    panels = [(group, rows) for group, rows in panels if rows]
    heights = [0.3 * len(rows) + 0.7 for _, rows in panels]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, max(sum(heights) + 0.9, 2.4)), layout="constrained")
        every = figure.subplots(
            max(len(panels), 1), 1, sharex=True, squeeze=False, height_ratios=heights or None
        )[:, 0]
        for axes, (group, rows) in zip(every, panels, strict=False):
            for place, row in enumerate(rows):
                _bar(axes, place, row)
            axes.set_yticks(range(len(rows)), [row.system for row in rows])
            axes.set_title(f"{report.network.network}, {group.title}", loc="left")
            axes.set_xmargin(0.2)
        every[-1].set_xlabel("energy of a training step, mJ a sample")
        marks = [Patch(color=colour, label=name) for name, (colour, _) in _COLOURS.items()]
        figure.legend(handles=marks, loc="outside upper center", frameon=False, ncols=3)
        return svg(figure)


def _bar(axes: Axes, place: int, row: SystemRow) -> None:
    left = 0.0
    for colour, parts in _COLOURS.values():
        width = sum(_mj(row.energy_uj, part) for part in parts)
        axes.barh(place, width, 0.7, left, color=colour)
        left += width
    label = f"FP32 / {row.ratio_to_fp32:.3g}"
    axes.annotate(label, (left, place), (4, 0), textcoords="offset points", va="center")


def _mj(parts: StepParts, name: str) -> float:
    return 1e-3 * (getattr(parts, name) or 0.0)
