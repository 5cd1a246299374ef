"""The `mlsmac` command; `ending` has its exit statuses."""

from typing import Annotated

import typer

from .commands import inputs, reports, units
from .commands.export import export
from .commands.power import power
from .commands.sweep import sweep
from .commands.training import train
from .ending import run
from .options import UnitCommand
from .output import out

app = typer.Typer(
    name="mlsmac",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; `ending` says how it ends."""
    run(app)


def _show_version(asked: bool) -> None:
    if asked:
        from .. import __version__

        out.print(f"mlsmac {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Generate, verify and measure multi-level-scaling MACs and the baselines beside them."""


_OF_UNIT = (units.generate, units.verify, reports.synth, units.fpga)
_OTHERS = (
    units.units,
    reports.report,
    reports.compare,
    reports.dots,
    reports.tiles,
    reports.table5,
    reports.quantizers,
    reports.quality,
    inputs.quantize,
    inputs.pdk,
    inputs.doctor,
    export,
    power,
    sweep,
    train,
)
for _command in _OF_UNIT:
    app.command(cls=UnitCommand)(_command)
for _command in _OTHERS:
    app.command()(_command)
