"""`mlsmac export`: measured units as tables of modelling tools."""

from pathlib import Path
from typing import Annotated

import typer

from ...support.errors import UserError
from ..options import Json
from ..output import print_json, print_paths, warn

_DEFAULT = Path("build/report/report.json")


def _directory(what: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="DIR", help=f"Write {what} there.")


def export(
    reports: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="REPORT.json",
            help=f"What report, dots, tiles or synth --json wrote; default: {_DEFAULT}.",
        ),
    ] = None,
    hwcomponents: Annotated[
        Path | None, _directory("a package of hwcomponents models, which AccelForge finds,")
    ] = None,
    accelergy: Annotated[
        Path | None, _directory("components of Accelergy's library plug-in")
    ] = None,
    zigzag: Annotated[Path | None, _directory("operational arrays of ZigZag")] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a table of all figures there.")
    ] = None,
    node_nm: Annotated[
        float | None,
        typer.Option(help="Node of a library that mlsmac does not know, in nm."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write areas and energies of measured units as tables for architecture models."""
    from ...study import exports
    from ...support.files import write_whole

    if not any((hwcomponents, accelergy, zigzag, csv)):
        raise UserError("give one of --hwcomponents, --accelergy, --zigzag and --csv, or several")
    if node_nm is not None and not 0 < node_nm < 1e6:
        raise UserError(f"--node-nm must be positive, not {node_nm:g}")
    if not reports and not _DEFAULT.is_file():
        raise UserError(f"{_DEFAULT} not found: run `mlsmac report` first, or name reports")
    costs, without = exports.read_costs(reports or [_DEFAULT], node_nm)
    makers = (
        (hwcomponents, exports.hwcomponents_files),
        (accelergy, exports.accelergy_files),
        (zigzag, exports.zigzag_files),
    )
    texts = {
        directory / name: text
        for directory, make in makers
        if directory
        for name, text in make(costs).items()
    }
    if csv:
        texts[csv] = exports.csv_text(costs)
    for path in texts:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(texts)
    if without:
        warn([f"left out, since they compute nothing at their clock: {', '.join(without)}"])
    if as_json:
        print_json(costs)
    print_paths(texts)
