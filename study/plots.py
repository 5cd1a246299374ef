"""Plots of a report as SVG text: the same report gives the same bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from .quality_report import QualityRow
from .quantizer_rows import StepRow
from .rows import DotRow, MacRow, TileRow

STYLE: Any = {
    "svg.hashsalt": "mlsmac",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MULTIPLIER, _ACCUMULATOR, _GLITCH_FREE = "#2f6f9f", "#e08a3c", "#222222"
_OTHER = "#8a8a8a"
_MAC_COLOURS = {"multiplier": _MULTIPLIER, "accumulator": _ACCUMULATOR}


def energy_plot(rows: Sequence[MacRow]) -> str:
    """Energy an operation by unit: multiplier, accumulator; a mark at zero delay."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.3 * len(rows) + 1.4), layout="constrained")
        axes = figure.subplots()
        shown = list(reversed(rows))
        _stacked(axes, shown)
        axes.set_yticks(range(len(shown)), [row.unit for row in shown])
        axes.set_xlabel("energy per MAC, pJ")
        axes.legend(loc="lower right", frameon=False)
        return svg(figure)


def _stacked(axes: Axes, rows: Sequence[MacRow]) -> None:
    largest = max((row.measured.energy_pj or 0.0 for row in rows), default=1.0)
    labels = {"multiplier": "multiplier", "accumulator": "accumulator", "zero": "at zero delay"}
    for place, row in enumerate(rows):
        energy = row.measured.energy_pj
        if energy is None:
            axes.text(0, place, " not at this clock", va="center", color="#a00000")
            continue
        left = 0.0
        # A unit without stages is one bar.
        for stage, width in (row.measured.energy_pj_by_stage or {"": energy}).items():
            colour = _MAC_COLOURS.get(stage, _OTHER)
            axes.barh(place, width, 0.6, left, color=colour, label=labels.pop(stage, None))
            left += width
        zero = row.measured.energy_pj_zero_delay or 0.0
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
    "output": _OTHER,
    "operands": "#9fc3dd",
    "dot": _MULTIPLIER,
    "scale": "#7a5ba8",
    "accumulate": _ACCUMULATOR,
}
_STAGE_NAMES = {
    "macs": "macs, dots",
    "collector": "collector, operands",
    "scalers": "scales",
    "tree": "tree, sum",
    "output": "output",
}
"""In the legend: stages of tiles of MACs and of dots that are alike have one colour."""

_DOT_NAMES = {"operands": "operands", "dot": "dot", "scale": "scale", "accumulate": "accumulate"}


def tile_plot(rows: Sequence[TileRow]) -> str:
    """Energy a MAC of tiles by stage, a panel a lane count."""
    return _by_lanes(rows, _STAGE_NAMES, "energy per MAC, pJ")


def dot_plot(rows: Sequence[DotRow]) -> str:
    """Energy a product of dot units by stage, a panel a width; without exact formats (FP32), which
    are far beyond the others.
    """
    return _by_lanes(_rounded(rows), _DOT_NAMES, "energy per product, pJ")


def _rounded(rows: Sequence[DotRow]) -> list[DotRow]:
    """Those whose format rounds operands."""
    return [row for row in rows if row.errors.outputs > 0]


def _by_lanes(rows: Sequence[TileRow | DotRow], names: Mapping[str, str], what: str) -> str:
    """Energies by stage, a panel a lane count; `names` of stages are in the legend."""
    counts = list(dict.fromkeys(sorted(row.lanes for row in rows)))
    panels = [[row for row in reversed(rows) if row.lanes == count] for count in counts]
    heights = [0.3 * len(own) + 0.7 for own in panels]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, sum(heights) + 0.6), layout="constrained")
        every = figure.subplots(len(counts), 1, sharex=True, squeeze=False, height_ratios=heights)[
            :, 0
        ]
        for axes, count, own in zip(every, counts, panels, strict=True):
            for place, row in enumerate(own):
                _stages(axes, place, row)
            axes.set_yticks(range(len(own)), [row.unit for row in own])
            axes.set_title(f"{count} lanes", loc="left")
        every[-1].set_xlabel(what)
        every[0].set_xmargin(0.12)
        marks = [Patch(color=_STAGE_COLOURS[stage], label=name) for stage, name in names.items()]
        figure.legend(handles=marks, loc="outside upper center", frameon=False, ncols=len(marks))
        return svg(figure)


def _stages(axes: Axes, place: int, row: TileRow | DotRow) -> None:
    if row.measured.energy_pj is None:
        axes.text(0, place, " not at this clock", va="center", color="#a00000")
        return
    left = 0.0
    for stage, width in row.measured.energy_pj_by_stage.items():
        axes.barh(place, width, 0.7, left, color=_STAGE_COLOURS[stage])
        left += width
    axes.text(left, place, f" {row.measured.energy_pj:.3g}", va="center")


_STEP_COLOURS = {"macs": _MULTIPLIER, "statistics": "#7a5ba8", "quantization": _ACCUMULATOR}


def step_plot(steps: Sequence[StepRow]) -> str:
    """Energy of a training step over its MACs, by what it is spent on; a panel a network."""
    networks = list(dict.fromkeys(row.network for row in steps))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.35 * len(steps) + 1.6), layout="constrained")
        panels = figure.subplots(max(len(networks), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, network in zip(panels, networks, strict=False):
            own = [row for row in reversed(steps) if row.network == network]
            for place, row in enumerate(own):
                left = 0.0
                for part, colour in _STEP_COLOURS.items():
                    width = getattr(row.pj_per_mac, part)
                    axes.barh(place, width, 0.7, left, color=colour)
                    left += width
                axes.text(left, place, f" +{100 * row.share_of_macs:.3g} %", va="center")
            axes.set_yticks(range(len(own)), [row.unit for row in own])
            axes.set_title(f"{network}, by quantizer and lanes", loc="left")
            axes.set_xmargin(0.12)
        panels[-1].set_xlabel("energy of a training step per MAC, pJ")
        marks = [Patch(color=colour, label=part) for part, colour in _STEP_COLOURS.items()]
        figure.legend(handles=marks, loc="outside upper center", frameon=False, ncols=len(marks))
        return svg(figure)


def area_plot(rows: Sequence[MacRow]) -> str:
    """Area against energy."""
    measured = [
        (row.unit, row.measured.gate_equivalents, row.measured.energy_pj)
        for row in rows
        if row.measured.energy_pj is not None
    ]
    return _labelled(measured, "area, gate equivalents (NAND2)", "energy per MAC, pJ")


def trade_plot(rows: Sequence[DotRow]) -> str:
    """Energy a product against the error of outputs, each dot unit at its largest width."""
    widest = {
        row.unit: (row.unit, row.measured.energy_pj, 100 * row.errors.outputs)
        for row in sorted(_rounded(rows), key=lambda row: row.lanes)
        if row.measured.energy_pj is not None
    }
    return _labelled([*widest.values()], "energy per product, pJ", "error of outputs, % (rms)")


def _labelled(points: Sequence[tuple[str, float, float]], x: str, y: str) -> str:
    """Points (label, x, y) on logarithmic axes; labels on the right in the order of y, each with a
    line to its point, so that units that are alike do not cover one another.
    """
    ordered = sorted(points, key=lambda point: point[2])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, max(4.2, 0.24 * len(points) + 0.8)), layout="constrained")
        axes = figure.subplots()
        for number, (label, *place) in enumerate(ordered):
            axes.plot(*place, "o", color=_MULTIPLIER)
            axes.annotate(
                label,
                (place[0], place[1]),
                (1.06, (number + 0.5) / len(ordered)),
                textcoords="axes fraction",
                va="center",
                arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "lw": 0.8, "relpos": (0, 0.5)},
            )
        if points:
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(alpha=0.25, which="both")
        return svg(figure)


_KIND_TITLES = {"w": "W", "a": "A", "e": "E"}
_CAPTIONS = (
    "groups, <0,3>\nerror by layer",
    "<E,3>, no groups\nerror by layer",
    "<E,3>, groups nc\nerror by layer",
    "<E,M>, groups nc\nerror by M",
    "<E,M>, groups nc\n|bias| by M",
)
_LINE_COLOURS = (_ACCUMULATOR, "#7a5ba8", "#5b9f5b", _MULTIPLIER)


def quality_plot(rows: Sequence[QualityRow]) -> str:
    """Quantization errors with stochastic rounding, a column for each of W, A and E.

    The first three lines of panels are those of the paper's Figure 3, average relative error by
    layer: groupings, `<E,3>` without groups, `<E,3>` with "nc". The last two compare clip with
    carry over the mantissa bits: the same error, then the bias that shrinks magnitudes.
    """
    stochastic = [row for row in rows if row.rounding == "stochastic"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 12), layout="constrained")
        panels = figure.subplots(5, len(_KIND_TITLES), sharey="row", sharex="row")
        for column, (kind, title) in enumerate(_KIND_TITLES.items()):
            own = [row for row in stochastic if row.kind == kind]
            lines = panels[:, column]
            lines[0].set_title(title)
            _by_layer(lines[0], own, "group", element="<0,3>")
            _by_layer(lines[1], own, "element", group="none")
            _by_layer(lines[2], own, "element", group="nc")
            _by_mantissa(lines[3], own, "average_relative")
            _by_mantissa(lines[4], own, "bias")
        for line, caption in zip(panels, _CAPTIONS, strict=True):
            line[0].set_ylabel(caption)
            line[-1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        for line in panels[:3]:
            line[0].set_ylim(bottom=0)
        return svg(figure)


def _by_layer(axes: Axes, rows: Sequence[QualityRow], key: str, **fixed: str) -> None:
    """A line for each value of `key`, elements `<E,3>`, clip."""
    chosen = [
        row
        for row in rows
        if row.carry == "clip"
        and row.element.endswith(",3>")
        and all(getattr(row, name) == value for name, value in fixed.items())
    ]
    for row, colour in zip(chosen, _LINE_COLOURS, strict=True):
        errors = row.average_relative_by_tensor
        layers = range(1, len(errors) + 1)
        axes.plot(layers, errors, "o-", ms=3, lw=1.2, color=colour, label=getattr(row, key))
    axes.axvline(len(errors) / 2 + 0.5, color="#bbbbbb", lw=0.8)
    axes.set_xticks(layers)


def _by_mantissa(axes: Axes, rows: Sequence[QualityRow], name: str) -> None:
    for exp_bits, colour in enumerate(_LINE_COLOURS):
        for carry, line in (("clip", "o-"), ("carry", "x--")):
            chosen = [
                row
                for row in rows
                if row.group == "nc"
                and row.carry == carry
                and row.element.startswith(f"<{exp_bits},")
            ]
            mantissas = [int(row.element[3:-1]) for row in chosen]
            errors = [abs(getattr(row.errors, name)) for row in chosen]
            label = f"<{exp_bits},M> {carry}"
            axes.plot(mantissas, errors, line, ms=4, lw=1.2, color=colour, label=label)
    axes.set_xticks(mantissas)
    axes.set_yscale("log")


def svg(figure: Figure) -> str:
    """A figure as SVG text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]
