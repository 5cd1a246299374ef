"""The report as one self-contained HTML page."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from .systems import BASELINES


def render_html(
    report: Mapping[str, Any], plots: Mapping[str, str], *, template: str = "report"
) -> str:
    """HTML text with the tables and the plots (SVG by name) inline; no script, nothing to load.

    `template`: "report" for MACs, "tiles" for tiles.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["figure"] = figure
    text = (files(__package__) / "templates" / f"{template}.html").read_text(encoding="utf-8")
    sources = dict.fromkeys(row["claim"]["source"] for row in report["rows"] if row.get("claim"))
    return environment.from_string(text).render(
        report=report,
        kinds=BASELINES,
        sources=list(sources),
        **{name: Markup(svg) for name, svg in plots.items()},
    )


def figure(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant digits without exponent, or a dash where there is none."""
    if value is None:
        return "-"
    rounded = float(f"{value:.{digits}g}")
    decimals = max(0, digits - 1 - _magnitude(rounded))
    return f"{rounded:,.{decimals}f}"


def _magnitude(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
