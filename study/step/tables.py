"""The tables of a training step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..columns import Column
from ..tables import Table
from .claims import OF_MLS
from .rows import StepReport, SystemRow
from .systems import GROUPS, Group

_SYSTEM = Column("system", "system", "system", None)
_NAME = Column("system", "system", "name", None)
_PARTS = {
    "products": ("products", "products and\nlocal sums"),
    "scaler": ("scaler", "scaler"),
    "tree": ("tree", "tree"),
    "outer": ("outer", "first layer,\nclassifier"),
    "statistics": ("stat.", "statistics"),
    "encoding": ("encoding", "encoding"),
    "batch_norm": ("BN", "batch\nnorm."),
    "adds": ("adds", "additions"),
    "update": ("update", "update"),
    "total": ("total", "total"),
}
_RATIOS = (
    Column("x FP32", "to FP32", "ratio_to_fp32", error="ratio_to_fp32_se", with_error=True),
    Column("x FP8", "to FP8", "ratio_to_fp8", error="ratio_to_fp8_se", with_error=True),
)
_MEMORY = tuple(
    Column(f"{heading}{name}", f"{title},\n{name}", f"{path}.{field}")
    for path, heading, title in (
        ("with_memory", "", "as quantized"),
        ("fused", "fused ", "one pass, fused"),
    )
    for name, field in (
        ("memory", "memory_uj"),
        ("total", "total_uj"),
        ("x FP32", "ratio_to_fp32"),
        ("x FP8", "ratio_to_fp8"),
    )
)
_CONVOLUTIONS = (
    ("wa", "W*A", "W*A"),
    ("we", "W*E", "W*E"),
    ("ae", "A*E", "A*E"),
    ("first", "first", "first layer"),
    ("classifier", "classifier", "classifier"),
)
_EQUATION = (
    Column("Eq. 9", "Eq. 9", "what", None),
    Column("in", "in", "unit", None),
    Column("FP32", "FP32", "fp32"),
    Column("FP8", "FP8", "fp8"),
    Column("MLS", "MLS", "mls"),
    Column("scale", "its scaler", "scale"),
    Column("tree", "its tree", "mls_tree"),
    Column("other", "other", "other", 2),
    Column("x FP32", "to FP32", "ratio_to_fp32"),
    Column("x FP8", "to FP8", "ratio_to_fp8"),
)
_TRAFFIC = (
    Column("codes", "codes", "codes", None),
    Column("passes", "passes", "passes", None),
    *(Column(name.upper(), name.upper(), name) for name in "wazeg"),
    Column("total", "total", "total"),
    Column("/ FP32", "over FP32", "to_fp32"),
    Column("saved %", "saved, %", "saved", scale=100),
)


def step_tables(report: StepReport) -> list[Table]:
    """Of every structure, then of all by convolution, then the paper's equation and claims, then
    traffic.
    """
    return [
        *group_tables(report),
        convolution_table(report),
        *([memory_table(report)] if report.memory else []),
        equation_table(report),
        claims_table(report),
        traffic_table(report),
    ]


def group_tables(report: StepReport) -> list[Table]:
    """A structure each: energy by part."""
    scale, unit = _unit(report)
    parts = [
        Column(heading, title, f"energy_uj.{name}", scale=scale)
        for name, (heading, title) in _PARTS.items()
    ]
    return [
        Table(
            f"{report.network.network}, {_title(group, rows)} ({report.pdk}, "
            f"{report.clock_mhz:g} MHz), {unit} a sample",
            (_SYSTEM, *parts, *_RATIOS),
            rows,
        )
        for group, rows in _by_group(report)
    ]


def convolution_table(report: StepReport) -> Table:
    """All systems by convolution."""
    scale, unit = _unit(report)
    columns = (
        _NAME,
        *(
            Column(heading, title, f"convolutions_uj.{name}", scale=scale)
            for name, heading, title in _CONVOLUTIONS
        ),
        Column("x FP32", "of the first three,\nto FP32", "convolution_ratio_to_fp32"),
        Column("x FP8", "to FP8", "convolution_ratio_to_fp8"),
        Column("mJ/batch", "a step, mJ", "batch_mj"),
    )
    return Table(f"Convolutions, {unit} a sample; the whole step", columns, report.rows)


def memory_table(report: StepReport) -> Table:
    """All systems with what memory takes."""
    scale, unit = _unit(report)
    columns = [
        replace(column, scale=scale) if column.path[-3:] == "_uj" else column for column in _MEMORY
    ]
    return Table(f"With memory, {unit} a sample", (_NAME, *columns), report.rows)


def equation_table(report: StepReport) -> Table:
    """The paper's Eq. 9."""
    return Table("The paper's Eq. 9, a product; C: a float32 addition", _EQUATION, report.equation)


def claims_table(report: StepReport) -> Table:
    """The paper's claims beside ours."""
    ours = (Column(name, name, ("ours", name)) for name in OF_MLS)
    columns = (
        Column("claim", "claim", "claim", None),
        Column("theirs", "theirs", "theirs", None),
        *ours,
    )
    return Table(
        f"The paper's claims beside MLS <2,4> ({report.network.network})", columns, report.claims
    )


def traffic_table(report: StepReport) -> Table:
    """Memory traffic."""
    title = f"Memory traffic of a step of {report.network.network}, Mbit a sample"
    return Table(title, _TRAFFIC, report.traffic)


def step_page(report: StepReport) -> Mapping[str, Any]:
    """Tables of step.html."""
    return {
        "groups": group_tables(report),
        "convolutions": convolution_table(report),
        "memory": memory_table(report),
        "equation": equation_table(report),
        "claims": claims_table(report),
        "traffic": traffic_table(report),
    }


def _by_group(report: StepReport) -> list[tuple[Group, Sequence[SystemRow]]]:
    """Those that have rows."""
    every = [(group, [row for row in report.rows if row.group == group.name]) for group in GROUPS]
    return [(group, rows) for group, rows in every if rows]


def _title(group: Group, rows: Sequence[SystemRow]) -> str:
    lanes = rows[0].lanes
    return group.title if lanes is None else f"{group.title}, {lanes} lanes"


def _unit(report: StepReport) -> tuple[float, str]:
    """What energies are shown in."""
    is_large = max(row.energy_uj.total for row in report.rows) > 1e5
    return (1e-3, "mJ") if is_large else (1.0, "uJ")
