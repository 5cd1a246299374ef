"""Plots of a report as SVG text: the same report gives the same bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

_STYLE: Any = {
    "svg.hashsalt": "mlsmac",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MULTIPLIER, _ACCUMULATOR, _GLITCH_FREE = "#2f6f9f", "#e08a3c", "#222222"


def energy_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Energy an operation by unit: multiplier, accumulator; a mark at zero delay."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 0.3 * len(rows) + 1.4), layout="constrained")
        axes = figure.subplots()
        shown = list(reversed(rows))
        _stacked(axes, shown)
        axes.set_yticks(range(len(shown)), [row["unit"] for row in shown])
        axes.set_xlabel("energy per MAC, pJ")
        axes.legend(loc="lower right", frameon=False)
        return _svg(figure)


def _stacked(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    largest = max((row["energy_pj_per_mac"] or 0.0 for row in rows), default=1.0)
    labels = {"multiplier": "multiplier", "accumulator": "accumulator", "zero": "at zero delay"}
    for place, row in enumerate(rows):
        energy = row["energy_pj_per_mac"]
        if energy is None:
            axes.text(0, place, " not at this clock", va="center", color="#a00000")
            continue
        left = 0.0
        for stage, colour in (("multiplier", _MULTIPLIER), ("accumulator", _ACCUMULATOR)):
            width = row[f"{stage}_pj"]
            axes.barh(place, width, 0.6, left, color=colour, label=labels.pop(stage, None))
            left += width
        zero = row["energy_pj_per_mac_zero_delay"]
        axes.plot(
            [zero, zero],
            [place - 0.3, place + 0.3],
            color=_GLITCH_FREE,
            lw=2,
            label=labels.pop("zero", None),
        )
        axes.text(energy + 0.01 * largest, place, f"{energy:.3g}", va="center")
    axes.set_xlim(0, 1.12 * largest)
    axes.set_ylim(-0.7, len(rows) - 0.3)


_STAGE_COLOURS = {
    "macs": _MULTIPLIER,
    "collector": "#9fc3dd",
    "scalers": "#7a5ba8",
    "tree": _ACCUMULATOR,
    "output": "#8a8a8a",
}


def tile_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Energy a MAC of tiles by stage, a panel a lane count."""
    counts = list(dict.fromkeys(row["lanes"] for row in rows))
    units = list(dict.fromkeys(row["unit"] for row in rows))
    with matplotlib.rc_context(_STYLE):
        height = len(counts) * (0.3 * len(units) + 0.7)
        figure = Figure(figsize=(7.2, height + 0.6), layout="constrained")
        panels = figure.subplots(len(counts), 1, sharex=True, squeeze=False)[:, 0]
        for axes, count in zip(panels, counts, strict=True):
            own = [row for row in reversed(rows) if row["lanes"] == count]
            for place, row in enumerate(own):
                _stages(axes, place, row)
            axes.set_yticks(range(len(own)), [row["unit"] for row in own])
            axes.set_title(f"{count} lanes", loc="left")
        panels[-1].set_xlabel("energy per MAC, pJ")
        panels[0].set_xmargin(0.12)
        marks = [Patch(color=colour, label=stage) for stage, colour in _STAGE_COLOURS.items()]
        figure.legend(handles=marks, loc="outside upper center", frameon=False, ncols=len(marks))
        return _svg(figure)


def _stages(axes: Axes, place: int, row: Mapping[str, Any]) -> None:
    if row["energy_pj_per_mac"] is None:
        axes.text(0, place, " not at this clock", va="center", color="#a00000")
        return
    left = 0.0
    for stage, width in row["energy_pj_by_stage"].items():
        axes.barh(place, width, 0.7, left, color=_STAGE_COLOURS[stage])
        left += width
    axes.text(left, place, f" {row['energy_pj_per_mac']:.3g}", va="center")


def area_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Area against energy, both logarithmic; labels on the right in the order of the energies, each
    with a line to its point, so that units that are alike do not cover one another.
    """
    measured = [row for row in rows if row["energy_pj_per_mac"] is not None]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, max(4.2, 0.24 * len(measured) + 0.8)), layout="constrained")
        axes = figure.subplots()
        ordered = sorted(measured, key=lambda row: row["energy_pj_per_mac"])
        for number, row in enumerate(ordered):
            place = (row["gate_equivalents"], row["energy_pj_per_mac"])
            axes.plot(*place, "o", color=_MULTIPLIER)
            axes.annotate(
                row["unit"],
                place,
                (1.03, (number + 0.5) / len(ordered)),
                textcoords="axes fraction",
                va="center",
                arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "lw": 0.8},
            )
        if measured:
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("area, gate equivalents (NAND2)")
        axes.set_ylabel("energy per MAC, pJ")
        axes.grid(alpha=0.25, which="both")
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]
