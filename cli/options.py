"""Options that several commands share, and the configuration that a unit's options describe."""

from pathlib import Path
from typing import Annotated

import typer

from ..hw.errors import UserError
from ..hw.units import Configuration, configure

REPORT_OPERATIONS = 2_000

UnitName = Annotated[str, typer.Argument(metavar="UNIT", help="A name that `mlsmac units` lists.")]
Format = Annotated[
    str | None, typer.Option(help="Number format: E,M or a preset's name, as 2,4, e4m3, bf16.")
]
AccWidth = Annotated[
    str | None, typer.Option(help="Integer accumulator bits, or auto (needs --length).")
]
Length = Annotated[int | None, typer.Option(help="Products that --acc-width auto must hold.")]
Overflow = Annotated[str | None, typer.Option(help="Integer overflow: saturate or wrap.")]
Subnormals = Annotated[
    bool | None,
    typer.Option("--subnormals/--flush", help="Keep FP32 subnormals, or flush them to zero."),
]
Recoding = Annotated[
    str | None, typer.Option(help="Partial products of the multiplier: none or booth4.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Pdk = Annotated[
    str | None, typer.Option(help="osu018 (default), sky130, sg13g2, asap7; see mlsmac doctor.")
]
Liberty = Annotated[Path | None, typer.Option(help="Any Liberty file instead of a named PDK.")]
Clock = Annotated[
    float | None, typer.Option(help="Clock in MHz; default: the PDK's, 100 for a Liberty file.")
]
Script = Annotated[str, typer.Option(help="ABC script: area or speed.")]
States = Annotated[
    str, typer.Option(help="Cell states: independent (pins) or counted (event by event, slow).")
]
Operations = Annotated[int, typer.Option(help="Operations to simulate.")]
Seed = Annotated[int, typer.Option(help="Seed of the vectors or of the stimulus.")]
Quick = Annotated[bool, typer.Option("--quick", help="A tenth of the operations.")]
UseCache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Reuse results kept under build/cache.")
]


MAX_NUMBER = (1 << 31) - 1


def check_range(option: str, value: int, low: int) -> None:
    """Raise UserError unless `value` is in low..2^31 - 1."""
    if not low <= value <= MAX_NUMBER:
        raise UserError(f"{option} must be in {low}..{MAX_NUMBER}, not {value}")


def configured(
    unit: str,
    format: str | None,
    acc_width: str | None,
    length: int | None,
    overflow: str | None,
    subnormals: bool | None,
    recoding: str | None,
) -> Configuration:
    """The configuration a command's options describe; UserError where they break a rule."""
    width: int | str | None = acc_width
    if acc_width not in (None, "auto"):
        if not str(acc_width).isdecimal():
            raise UserError(f"--acc-width must be an integer or auto, not {acc_width!r}")
        width = int(str(acc_width))
    try:
        return configure(
            unit,
            format=format,
            acc_width=width,
            length=length,
            overflow=overflow,
            subnormals=subnormals,
            recoding=recoding,
        )
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None
