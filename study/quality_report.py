"""Quantization errors of the captured tensors by setting, and the tables that show them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Annotated

from ..data import Layer
from ..golden.quality import RANDOM_BITS, QuantizationError, Setting, measure_quality
from ..golden.spec import ScaleFormat
from .columns import Column
from .records import Flat
from .tables import Table

KINDS = ("w", "a", "e")
GROUPS = ("none", "n", "c", "nc")
CARRIES = ("clip", "carry")
PAPER_FORMATS = ("<0,2>", "<0,4>", "<1,2>", "<2,1>", "<1,6>", "<2,5>", "<2,4>")
"""Those of the paper's Table 2."""

_KEYS = ("kind", "element", "group", "rounding", "carry")
_USUAL = {"group": "nc", "rounding": "stochastic", "carry": "clip"}


@dataclass(frozen=True, kw_only=True)
class QualityRow:
    """The errors of a setting and kind of tensor, each layer counting alike."""

    kind: str
    element: str
    group: str
    rounding: str
    carry: str
    errors: Annotated[QuantizationError, Flat()]
    average_relative_by_tensor: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class QualityReport:
    """`quality.json`."""

    scale: str
    random_bits: int
    generator: str
    seed: int
    tensors: tuple[str, ...]
    rows: tuple[QualityRow, ...]


def make_quality_report(
    layers: Sequence[Layer],
    scale: ScaleFormat,
    seed: int,
    progress: Callable[[str, int, int], None],
) -> QualityReport:
    """The errors of every setting."""
    tensors = {kind: [layer.tensors()[kind] for layer in layers] for kind in KINDS}
    found = measure_quality(tensors, scale, seed=seed, progress=progress)
    return QualityReport(
        scale=str(scale),
        random_bits=RANDOM_BITS,
        generator="numpy.random.default_rng",
        seed=seed,
        tensors=tuple(f"{layer.phase}/{layer.name}" for layer in layers),
        rows=tuple(
            _row(kind, setting, errors)
            for kind, settings in found.items()
            for setting, errors in settings.items()
        ),
    )


def _row(kind: str, setting: Setting, errors: Sequence[QuantizationError]) -> QualityRow:
    names = asdict(errors[0])
    means = {name: fmean(getattr(error, name) for error in errors) for name in names}
    return QualityRow(
        kind=kind,
        element=str(setting.element),
        group=setting.group.value,
        rounding=setting.rounding.value,
        carry=setting.carry.value,
        errors=QuantizationError(**means),
        average_relative_by_tensor=tuple(error.average_relative for error in errors),
    )


Places = Mapping[str, Mapping[str, str]]
"""What a table's rows or columns fix of a setting, by heading."""


@dataclass(frozen=True)
class _Line:
    """A line of a table: errors by column."""

    name: str
    cells: Mapping[str, float]


def quality_tables(report: QualityReport) -> list[Table]:
    """The paper's three rows of its Figure 3, every format with both carry rules, and the bias."""
    formats = dict.fromkeys(row.element for row in report.rows)
    return [
        _table(
            report,
            f"Average relative error, %, by grouping (scale {report.scale}, stochastic, clip)",
            {group: {"group": group} for group in GROUPS},
            _places("element", ("<0,3>", "<2,1>", "<2,4>")),
        ),
        _table(
            report,
            "Average relative error, %, by exponent bits, without groups and with nc",
            {f"<{e},3>": {"element": f"<{e},3>"} for e in range(4)},
            _places("group", ("none", "nc")),
        ),
        _table(
            report,
            "Average relative error, %, of every format, groups nc, stochastic",
            {element: {"element": element} for element in formats},
            _places("carry", CARRIES),
        ),
        _table(
            report,
            "Bias of magnitudes, % of the mean magnitude, groups nc",
            {
                f"{element} {rounding}": {"element": element, "rounding": rounding}
                for element in PAPER_FORMATS
                for rounding in ("stochastic", "nearest")
            },
            _places("carry", CARRIES),
            error="bias",
        ),
    ]


def carry_table(report: QualityReport, elements: Sequence[str], error: str) -> Table:
    """One error of some formats with both carry rules."""
    rows = {element: {"element": element} for element in elements}
    return _table(report, "Clip and carry", rows, _places("carry", CARRIES), error)


def _places(key: str, values: Sequence[str]) -> Places:
    return {
        f"{kind.upper()} {value}": {"kind": kind, key: value} for kind in KINDS for value in values
    }


def _table(
    report: QualityReport,
    title: str,
    rows: Places,
    columns: Places,
    error: str = "average_relative",
) -> Table:
    """A cell: the row of the report that its row and column name, else the usual setting."""
    errors = {
        tuple(getattr(row, key) for key in _KEYS): getattr(row.errors, error) for row in report.rows
    }

    def cell(*fixed: Mapping[str, str]) -> float:
        setting = {**_USUAL, **fixed[0], **fixed[1]}
        return errors[tuple(setting[key] for key in _KEYS)]

    lines = [
        _Line(name, {heading: cell(fixed, places) for heading, places in columns.items()})
        for name, fixed in rows.items()
    ]
    shown = (Column(heading, heading, f"cells.{heading}", scale=100) for heading in columns)
    return Table(title, (Column("", "", "name", None), *shown), lines)
