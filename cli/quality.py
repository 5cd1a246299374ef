"""`mlsmac quality`: quantization errors of the captured tensors, as rows, tables and a plot."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rich import box
from rich.table import Table

from ..data import Layer
from ..golden.quality import RANDOM_BITS, QuantizationError, Setting, measure_quality
from ..golden.spec import ScaleFormat
from ..study.html import figure
from ..study.plots import quality_plot
from ..support.files import write_whole

KINDS = ("w", "a", "e")
GROUPS = ("none", "n", "c", "nc")
CARRIES = ("clip", "carry")
PAPER_FORMATS = ("<0,2>", "<0,4>", "<1,2>", "<2,1>", "<1,6>", "<2,5>", "<2,4>")
"""Those of the paper's Table 2."""

_KEYS = ("kind", "element", "group", "rounding", "carry")
_USUAL = {"group": "nc", "rounding": "stochastic", "carry": "clip"}


def measure(
    layers: Sequence[Layer],
    scale: ScaleFormat,
    seed: int,
    progress: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """The errors of every setting, averaged over the layers, each layer counting alike."""
    tensors = {kind: [layer.tensors()[kind] for layer in layers] for kind in KINDS}
    found = measure_quality(tensors, scale, seed=seed, progress=progress)
    return {
        "scale": str(scale),
        "random_bits": RANDOM_BITS,
        "generator": "numpy.random.default_rng",
        "seed": seed,
        "tensors": [f"{layer.phase}/{layer.name}" for layer in layers],
        "rows": [
            _row(kind, setting, errors)
            for kind, settings in found.items()
            for setting, errors in settings.items()
        ],
    }


def _row(kind: str, setting: Setting, errors: Sequence[QuantizationError]) -> dict[str, Any]:
    return {
        "kind": kind,
        "element": str(setting.element),
        "group": setting.group.value,
        "rounding": setting.rounding.value,
        "carry": setting.carry.value,
        **{name: fmean(asdict(error)[name] for error in errors) for name in asdict(errors[0])},
        "average_relative_by_tensor": [error.average_relative for error in errors],
    }


def write(report: dict[str, Any], directory: Path) -> list[Path]:
    """Write quality.json and quality.svg into `directory`, each file whole."""
    files: dict[Path, str | bytes] = {
        directory / "quality.json": json.dumps(report, indent=2) + "\n",
        directory / "quality.svg": quality_plot(report["rows"]),
    }
    write_whole(files)
    return list(files)


def tables(report: dict[str, Any]) -> list[Table]:
    """The paper's three rows of its Figure 3, every format with both carry rules, and the bias."""
    formats = dict.fromkeys(row["element"] for row in report["rows"])
    scale = report["scale"]
    carries = _columns("carry", CARRIES)
    return [
        _table(
            report,
            f"Average relative error, %, by grouping (scale {scale}, stochastic, clip)",
            {group: {"group": group} for group in GROUPS},
            _columns("element", ("<0,3>", "<2,1>", "<2,4>")),
        ),
        _table(
            report,
            "Average relative error, %, by exponent bits, without groups and with nc",
            {f"<{e},3>": {"element": f"<{e},3>"} for e in range(4)},
            _columns("group", ("none", "nc")),
        ),
        _table(
            report,
            "Average relative error, %, of every format, groups nc, stochastic",
            {element: {"element": element} for element in formats},
            carries,
        ),
        _table(
            report,
            "Bias of magnitudes, % of the mean magnitude, groups nc",
            {
                f"{element} {rounding}": {"element": element, "rounding": rounding}
                for element in PAPER_FORMATS
                for rounding in ("stochastic", "nearest")
            },
            carries,
            figure_name="bias",
        ),
    ]


def remarks(report: dict[str, Any]) -> list[str]:
    """What the tables' reader must know."""
    return [
        "average relative error: mean of |Q - X| / |X| over the elements X != 0, then the mean of "
        f"{len(report['tensors'])} layers; bias: sum(|Q| - |X|) / sum|X|, likewise",
        f"random words: {report['generator']}({report['seed']}), {report['random_bits']} bits, "
        "the same for every setting of a tensor",
    ]


Places = Mapping[str, Mapping[str, str]]
"""What a table's rows or columns fix, by heading."""


def _columns(key: str, values: Sequence[str]) -> Places:
    return {
        f"{kind.upper()} {value}": {"kind": kind, key: value} for kind in KINDS for value in values
    }


def _table(
    report: Mapping[str, Any],
    title: str,
    rows: Places,
    columns: Places,
    figure_name: str = "average_relative",
) -> Table:
    """A cell: the row of the report that its row and column name, else the usual setting."""
    errors = {tuple(row[key] for key in _KEYS): row[figure_name] for row in report["rows"]}
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", no_wrap=True)
    for heading in columns:
        shown.add_column(heading, justify="right")
    for heading, fixed in rows.items():
        settings = ({**_USUAL, **fixed, **column} for column in columns.values())
        cells = (errors[tuple(setting[key] for key in _KEYS)] for setting in settings)
        shown.add_row(heading, *(figure(100 * cell) for cell in cells))
    return shown
