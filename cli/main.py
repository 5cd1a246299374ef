"""The `mlsmac` command. Exit 0: done; 1: the hardware or a metric is wrong; 2: the request is."""

import signal
import sys
from typing import Annotated

import typer

from ..support.errors import ToolError, UserError
from .commands import inputs, reports, units
from .options import UnitCommand
from .output import err, out

app = typer.Typer(
    name="mlsmac",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; a mistake of the user's is one line on stderr and exit status 2, a failure
    of a tool one line and 1.
    """
    # As an exception, so that temporary files go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except UserError as error:
        fail(str(error))
    except ToolError as error:
        fail(str(error), status=1)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


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


def fail(message: str, status: int = 2) -> None:
    """Print one line and exit."""
    err.print(f"mlsmac: {message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(status)


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
)
for _command in _OF_UNIT:
    app.command(cls=UnitCommand)(_command)
for _command in _OTHERS:
    app.command()(_command)
