"""Reports as self-contained HTML pages."""

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup, escape

from .compare import KINDS, Comparison, statement
from .dot_report import BASELINES as DOT_BASELINES
from .rows import DotReport, MacReport, Report, TileReport
from .step.rows import StepReport
from .step.tables import step_page
from .sweep.rows import SweepReport
from .sweep.tables import sweep_page
from .systems import BASELINES
from .tables import Table, dot_page, layout_tables, mac_page, tile_page
from .training.rows import TrainingReport
from .training.tables import training_tables


def mac_html(report: MacReport, plots: Mapping[str, str]) -> str:
    """The report of MACs with the plots (SVG by name) inline; no script, nothing to load."""
    sources = dict.fromkeys(row.claim.source for row in report.rows if row.claim)
    return _render(
        "report",
        report,
        {**mac_page(report), **dot_page(report.dots), **tile_page(report.tiles)},
        plots,
        layouts={
            what: layout_tables(rows, KINDS[what])
            for what, rows in (
                ("mac", report.rows),
                ("product", report.dots),
                ("tile", report.tiles),
            )
        },
        kinds={kind: kind for kind in report.baselines} | BASELINES,
        sources=[*sources],
    )


def tile_html(report: TileReport, plots: Mapping[str, str]) -> str:
    """The same of tiles."""
    layouts = {"tile": layout_tables(report.rows, KINDS["tile"])}
    return _render("tiles", report, tile_page(report.rows), plots, layouts=layouts)


def dot_html(report: DotReport, plots: Mapping[str, str]) -> str:
    """The same of dot units."""
    layouts = {"product": layout_tables(report.rows, KINDS["product"])}
    return _render(
        "dots", report, dot_page(report.rows), plots, layouts=layouts, kinds=DOT_BASELINES
    )


def comparison_html(
    comparison: Comparison, tables: Sequence[Table], plots: Mapping[str, str], title: str
) -> str:
    """Reports side by side."""
    said = statement(comparison, moves="compare" in plots)
    return _render("compare", comparison, {}, plots, own=tables, title=title, said=[*said])


def sweep_html(report: SweepReport, plot: str) -> str:
    """The same of a sweep."""
    return _render("sweep", report, sweep_page(report), {}, plot=Markup(plot))


def training_html(report: TrainingReport, plot: str) -> str:
    """A study of training."""
    tables = {"every": training_tables(report)}
    return _render("training", report, tables, {}, plot=Markup(plot))


def step_html(report: StepReport, plot: str, remarks: Sequence[str]) -> str:
    """The same of a training step, with what its reader must know."""
    return _render("step", report, step_page(report), {"step": plot}, remarks=remarks)


def _render(
    template: str,
    report: Report | Comparison | SweepReport | TrainingReport | StepReport,
    tables: Mapping[str, Any],
    plots: Mapping[str, str],
    **more: object,
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["broken"] = _broken
    inline = {name: Markup(svg) for name, svg in plots.items()}
    page = environment.get_template(f"{template}.html")
    return page.render(report=report, tables=tables, plots=inline, **more)


def _broken(text: str) -> Markup:
    """Line breaks as HTML has them."""
    return Markup("<br>").join(escape(line) for line in text.split("\n"))
