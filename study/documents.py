"""The documents as they should be: tables and plots from docs/results and the rows' own
documentation, all wrapped at one width.

`python -m mlsmac.study.documents` makes each block between `<!-- table: NAME -->` and
`<!-- end -->` anew and wraps what stands around; `--check` tells of files that are not as it would
leave them and exits with 1. For developers: the formatter is in the extra `dev`.
"""

import argparse
import functools
import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import mdformat

from ..data.networks import NETWORKS
from . import tables
from .compare import Change, Compared, Comparison, Standing, compare
from .netlist_power import NetlistPower
from .plots import dot_plot, energy_plot, tile_plot, trade_plot
from .quality_report import QualityReport, carry_table, quality_tables
from .quantizer_rows import NetworkRow, OperationRow, QuantizerReport, QuantizerRow, StepRow
from .question import STANDARD, to_toml
from .records import documented, from_json
from .routed import RoutedReport, RoutedRow, routed_tables
from .rows import DotReport, DotRow, FpgaRow, MacReport, MacRow, TileReport, TileRow
from .step import MeasuredUnits, StepReport, make_step_report
from .step import tables as step_tables
from .step.plot import step_plot
from .step.rows import SystemRow
from .step.units import to_text, units_of
from .sweep.plot import sweep_plot
from .sweep.rows import SweepReport, SweepRow
from .sweep.tables import sweep_tables
from .table5 import Table5, Table5Row, statement
from .terminal import markdown, text
from .training.plot import training_plot
from .training.rows import ArmRow, TrainingReport
from .training.table3 import state, table3
from .verdict import claims_table, errors_table, ratios_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
"""What the commands wrote: `mlsmac report`, `dots`, `tiles`, `table5`, `quantizers`, `quality`,
`sweep`, and bench/layout.py."""

SETTINGS = {
    "OSU 180": "report",
    "OSU 180, normal": "dots_osu018_normal",
    "SKY130": "dots_sky130",
    "SKY130, normal": "dots_sky130_normal",
    "ASAP7": "dots_asap7",
    "ASAP7, normal": "dots_asap7_normal",
}
"""Files of the verdict's dot units by library and tensors; the first is the report's."""

LAYOUTS = ("osu018",)
"""Libraries of the layouts' results."""

GATED: Sequence[str] = ()
"""Those of them that have clock gates."""

CARRY_FORMATS = ("<1,2>", "<2,1>", "<2,4>")

_BLOCK = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_LISTS = ("rows[]", "operations[]", "networks[]", "steps[]", "dots[]", "runs[]")
"""Rows, which have tables of their own."""

PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md", "docs/*.md")

_LAYOUT = {"wrap": 100, "number": True, "compact_tables": True}
"""The width of the code; a longer cell of a table changes one line."""

Result = TypeVar("Result")


@functools.cache
def result(kind: type[Result], name: str) -> Result:
    """A committed result file."""
    return from_json(kind, json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))


table5 = functools.partial(result, Table5, "table5")
macs = functools.partial(result, MacReport, "report")
quantizers = functools.partial(result, QuantizerReport, "quantizers")
tiles = functools.partial(result, TileReport, "tiles")
quality = functools.partial(result, QualityReport, "quality")
sweep = functools.partial(result, SweepReport, "sweep")
training = functools.partial(result, TrainingReport, "training")
routed = functools.partial(result, RoutedReport, "layout-routed")


def dots(*names: str) -> Mapping[str, Sequence[DotRow]]:
    """Dot units in the settings of those names; all if there are none."""
    return {
        name: macs().dots if file == "report" else result(DotReport, file).rows
        for name, file in SETTINGS.items()
        if name in (names or SETTINGS)
    }


def measured_units() -> MeasuredUnits:
    """Units of the results, which `mlsmac step` takes where it is given no others."""
    return units_of({"report": macs(), "tiles": tiles(), "quantizers": quantizers()})


@functools.cache
def steps() -> Mapping[str, StepReport]:
    """Training steps by network."""
    units = measured_units()
    return {network.name: make_step_report(network, units) for network in NETWORKS}


def step_blocks() -> Mapping[str, Callable[[], str]]:
    """Blocks of a network's step each."""

    def of(network: str) -> Mapping[str, Callable[[], str]]:
        name = f"step.{network.lower()}"
        return {
            name: lambda: _indented(*step_tables.group_tables(steps()[network])),
            f"{name}.claims": lambda: claim_lines(steps()[network]),
            f"{name}.traffic": lambda: markdown(step_tables.traffic_table(steps()[network])),
        }

    return {name: make for own in NETWORKS for name, make in of(own.name).items()}


def layout_blocks() -> Mapping[str, Callable[[], str]]:
    """Blocks of the layouts in a library each: energies of MACs, dot units and tiles, and of MACs
    area and timing.
    """

    def of(library: str) -> Mapping[str, Callable[[], str]]:
        def shown(kind: str, first: int) -> Callable[[], str]:
            def make() -> str:
                report = result(MacReport, f"layout_{library}")
                rows = {"mac": report.rows, "product": report.dots, "tile": report.tiles}[kind]
                pair = tables.layout_tables(rows, kind)[first : first + 2]
                return "\n\n".join(map(markdown, pair))

            return make

        return {
            f"layout.{library}": shown("mac", 0),
            f"layout.{library}.dots": shown("product", 0),
            f"layout.{library}.tiles": shown("tile", 0),
            f"layout.{library}.areas": shown("mac", 2),
        }

    found = {name: make for library in LAYOUTS for name, make in of(library).items()}
    for library in GATED:
        name = f"layout.{library}.gates"
        found[name] = functools.partial(_gates, library, 0)
        found[f"{name}.tiles"] = functools.partial(_gates, library, 2)
    return found


def _gates(library: str, number: int) -> str:
    """A table of layouts without and with clock gates."""
    files = {"no gates": f"layout_{library}", "gates": f"layout_gates_{library}"}
    compared = compare({name: result(MacReport, file) for name, file in files.items()})
    return markdown(tables.comparison_tables(compared)[number])


def claim_lines(report: StepReport) -> str:
    """The table of claims, then why, one a line."""
    why = "\n".join(f"- {claim.told}." for claim in report.claims)
    return f"{markdown(step_tables.claims_table(report))}\n\n{why}"


def dot_lines(report: MacReport, lanes: int) -> str:
    """Both tables of the dot units with as many products a cycle, and of those with 3x3 kernels."""
    rows = [row for row in report.dots if row.lanes in (lanes, 9, 36)]
    return _indented(*tables.dot_tables(report, rows))


def _fields(kind: type, beyond: type | None = None, where: str = "") -> str:
    """What each key of a record's JSON says.

    `beyond`: a record whose keys are told of elsewhere, which `where` names.
    """
    keys = [(key, doc) for key, doc in documented(kind) if not key.startswith(_LISTS)]
    known = set(documented(beyond)) if beyond else set()
    shared = [f"`{key}`" for key, doc in keys if (key, doc) in known and "." not in key]
    lines = [f"| {', '.join(shared)} | as in {where} |"] if shared else []
    lines += [f"| `{key}` | {doc} |" for key, doc in keys if (key, doc) not in known]
    return "\n".join(["| field | meaning |", "|---|---|", *lines])


def _indented(*shown: tables.Table) -> str:
    """Tables as in the terminal, in a block of code."""
    return textwrap.indent("\n\n".join(text(table) for table in shown), "    ")


def tile_lines(report: TileReport, lanes: int, dots: bool = False) -> str:
    """Energies of the tiles of some lanes, of MACs or of dots, without title and rule."""
    energies = tables.tile_tables(report, report.rows)[2 if dots else 0]
    chosen = replace(energies, rows=[row for row in energies.rows if row.lanes == lanes])
    _, *lines = _indented(chosen).splitlines()
    return "\n".join(line for line in lines if line.strip(" ─"))


BLOCKS: Mapping[str, Callable[[], str]] = {
    "report": lambda: _indented(*tables.mac_tables(macs())),
    "dots": lambda: dot_lines(macs(), 16),
    "verdict.claims": lambda: markdown(claims_table(dots())),
    "verdict.ratios": lambda: markdown(ratios_table(dots())),
    "verdict.errors": lambda: markdown(errors_table(dots("OSU 180", "OSU 180, normal"))),
    "verdict.energies": lambda: markdown(tables.dot_tables(macs(), macs().dots)[0]),
    "fields.dots": lambda: _fields(DotReport, MacReport, "`report.json`"),
    "fields.dots.rows": lambda: _fields(DotRow, MacRow, "a row of `report.json`"),
    "tiles": lambda: tile_lines(tiles(), 16),
    "tiles.dots": lambda: tile_lines(tiles(), 16, dots=True),
    "table5": lambda: markdown(tables.table5_table(table5())),
    "table5.statement": lambda: statement(table5()),
    "fields.table5": lambda: _fields(Table5, MacReport, "`report.json` ([report.md](report.md))"),
    "fields.table5.rows": lambda: _fields(Table5Row),
    "quantizers.units": lambda: markdown(tables.quantizer_summary(quantizers())),
    "quantizers.operations": lambda: markdown(tables.operation_table(quantizers())),
    "quantizers.steps": lambda: markdown(tables.step_summary(quantizers())),
    "quality.groups": lambda: markdown(quality_tables(quality())[0]),
    "quality.exponents": lambda: markdown(quality_tables(quality())[1]),
    "quality.carry": lambda: markdown(carry_table(quality(), CARRY_FORMATS, "average_relative")),
    "quality.bias": lambda: markdown(carry_table(quality(), CARRY_FORMATS, "bias")),
    "fields.compare": lambda: _fields(Comparison),
    "fields.compare.rows": lambda: _fields(Compared),
    "fields.compare.rows.reports": lambda: _fields(Standing),
    "fields.compare.rows.changes": lambda: _fields(Change),
    "fields.report": lambda: _fields(MacReport),
    "fields.report.rows": lambda: _fields(MacRow),
    "fields.tiles": lambda: _fields(TileReport, MacReport, "`report.json`"),
    "fields.tiles.rows": lambda: _fields(TileRow, MacRow, "a row of `report.json`"),
    "fields.quantizers": lambda: _fields(
        QuantizerReport, MacReport, "`report.json` ([report.md](report.md))"
    ),
    "fields.quantizers.rows": lambda: _fields(QuantizerRow, MacRow, "a row of `report.json`"),
    "fields.quantizers.operations": lambda: _fields(OperationRow, QuantizerRow, "a row of `rows`"),
    "fields.quantizers.networks": lambda: _fields(NetworkRow),
    "fields.quantizers.steps": lambda: _fields(StepRow),
    "fields.fpga": lambda: _fields(FpgaRow),
    "fields.power": lambda: _fields(NetlistPower),
    **step_blocks(),
    **layout_blocks(),
    "step.equation": lambda: markdown(step_tables.equation_table(steps()[next(iter(steps()))])),
    "fields.step": lambda: _fields(StepReport),
    "fields.step.rows": lambda: _fields(SystemRow),
    "training.table3": lambda: markdown(table3(training())),
    "training.state": lambda: state(training()),
    "fields.training": lambda: _fields(TrainingReport),
    "fields.training.rows": lambda: _fields(ArmRow),
    "layout.lengths": lambda: markdown(routed_tables(routed())[0]),
    "layout.energies": lambda: markdown(routed_tables(routed())[1]),
    "layout.ratios": lambda: markdown(routed_tables(routed())[2]),
    "fields.layout-routed": lambda: _fields(RoutedReport),
    "fields.layout-routed.rows": lambda: _fields(RoutedRow),
    "sweep": lambda: _indented(sweep_tables(sweep())[1]),
    "fields.sweep": lambda: _fields(
        SweepReport, MacReport, "`report.json` ([report.md](report.md))"
    ),
    "fields.sweep.rows": lambda: _fields(
        SweepRow, DotRow, "a row of `dots` ([report.md](report.md))"
    ),
}
"""What stands in a block, by its name."""

_SPECIFICATION = """# What `mlsmac report` measures where it is asked for nothing else.
# `mlsmac report docs/report.toml` makes the same report.

"""


def specification() -> str:
    """The standard report as a file that asks for it."""
    settings = {"pdk": "osu018", "operations": 2000, "tensors": "captured", "lanes": "8,16,32"}
    return _SPECIFICATION + to_toml(replace(STANDARD, settings=settings))


FILES: Mapping[str, Callable[[], str]] = {
    "docs/report.toml": specification,
    "docs/energy.svg": lambda: energy_plot(macs().rows),
    "docs/tiles.svg": lambda: tile_plot(tiles().rows),
    "docs/dots.svg": lambda: dot_plot(macs().dots),
    "docs/trade.svg": lambda: trade_plot(macs().dots),
    "docs/sweep.svg": lambda: sweep_plot(sweep()),
    "docs/training.svg": lambda: training_plot(training()),
    "docs/step.svg": lambda: step_plot(steps()["ResNet-20"]),
    "study/step/measured.json": lambda: to_text(measured_units()),
}
"""Whole files of the documentation, by path."""


def generated(page: str) -> str:
    """A page, wrapped, its blocks made anew. Raises: KeyError for a block that does not exist."""

    def made(block: re.Match[str]) -> str:
        content = _made(BLOCKS[block[2]])
        return block[0] if content is None else f"{block[1]}\n{content}\n\n{block[4]}"

    made_anew = _BLOCK.sub(made, page)
    return mdformat.text(made_anew, options=_LAYOUT, extensions=("gfm", "tables"))


def _made(make: Callable[[], str]) -> str | None:
    """None where the result file is not there: what was made by hand stays."""
    try:
        return make()
    except FileNotFoundError:
        return None


def stale() -> dict[Path, str]:
    """What each file that is not as it would be generated must become."""
    pages = [page for glob in PAGES for page in sorted(ROOT.glob(glob))]
    fresh = {page: generated(page.read_text(encoding="utf-8")) for page in pages}
    files = {ROOT / path: _made(make) for path, make in FILES.items()}
    return {
        path: content
        for path, content in [*fresh.items(), *files.items()]
        if content is not None
        and not (path.exists() and path.read_text(encoding="utf-8") == content)
    }


def main() -> None:
    """Rewrite what is stale, or tell of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    found = stale()
    for path, content in found.items():
        print(f"{path.relative_to(ROOT)}: stale" if check else path.relative_to(ROOT))
        if not check:
            path.write_text(content, encoding="utf-8")
    sys.exit(bool(check and found))


if __name__ == "__main__":
    main()
