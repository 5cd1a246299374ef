"""Options that several commands share, and the configuration that a unit's options describe."""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..support.errors import UserError
from ..units import (
    configure,
)
from ..units.catalogue import (
    Configuration,
)
from ..units.interfaces import with_interface

REPORT_OPERATIONS = 2_000
TILE_OPERATIONS = 6_000

UnitName = Annotated[str, typer.Argument(metavar="UNIT", help="A name that `mlsmac units` lists.")]
Interface = Annotated[
    str, typer.Option(help="Ports: wires, or for tiles stream (valid/ready) or axi (AXI4-Stream).")
]
Results = Annotated[
    int | None, typer.Option(help="Outputs that a tile behind streams holds at a time (2).")
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
Output = Annotated[Path, typer.Option("-o", "--output", help="Directory to write to.")]
Seed = Annotated[int, typer.Option(help="Seed of the vectors or of the stimulus.")]
WordSeed = Annotated[int, typer.Option(help="Seed of the random words of stochastic rounding.")]
Scale = Annotated[str, typer.Option(help="Group scale format: E,M or e8m0, e8m1, nvfp4.")]
Quick = Annotated[bool, typer.Option("--quick", help="A tenth of the operations.")]
UseCache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Reuse results kept under build/cache.")
]


MAX_NUMBER = (1 << 31) - 1


def check_range(option: str, value: int, low: int) -> None:
    """Raise UserError unless `value` is in low..2^31 - 1."""
    if not low <= value <= MAX_NUMBER:
        raise UserError(f"{option} must be in {low}..{MAX_NUMBER}, not {value}")


_Text = str | None
_Number = int | None
_Flag = bool | None

UNIT_OPTIONS: Mapping[str, Any] = {
    "format": Annotated[
        _Text,
        typer.Option(help="Number format: its widths or a preset, as 2,4, e4m3, bf16, int8, lns8."),
    ],
    "a_format": Annotated[
        _Text, typer.Option(help="Number format of operand a: int4, int8, int16 or a width.")
    ],
    "zero_points": Annotated[
        _Flag,
        typer.Option(
            "--zero-points/--no-zero-points", help="Integers with zero points, or symmetric ones."
        ),
    ],
    "acc_format": Annotated[
        _Text, typer.Option(help="Format of a floating-point sum; default: that of the factors.")
    ],
    "scale": Annotated[_Text, typer.Option(help="Group scale format: E,M or e8m0, e8m1, nvfp4.")],
    "table_bits": Annotated[
        _Number, typer.Option(help="Fraction bits that LNS conversion looks up; Mitchell the rest.")
    ],
    "table_fraction": Annotated[
        _Number, typer.Option(help="Fraction bits of the powers of two in the LNS table.")
    ],
    "acc_width": Annotated[
        _Text, typer.Option(help="Integer accumulator bits, or auto (needs --length).")
    ],
    "length": Annotated[_Number, typer.Option(help="Products that --acc-width auto must hold.")],
    "overflow": Annotated[_Text, typer.Option(help="Integer overflow: saturate or wrap.")],
    "lanes": Annotated[_Number, typer.Option(help="Products or elements taken in a cycle.")],
    "tree": Annotated[_Text, typer.Option(help="Sum of a tile: fp32, aligned or exact.")],
    "guard_bits": Annotated[
        _Number, typer.Option(help="Bits that an aligned sum keeps below its largest scale.")
    ],
    "tiles": Annotated[_Number, typer.Option(help="Most tiles of an output, for exact sums.")],
    "subnormals": Annotated[
        _Flag,
        typer.Option("--subnormals/--flush", help="Keep subnormals, or flush them to zero."),
    ],
    "tensor_scale": Annotated[
        _Flag,
        typer.Option(
            "--tensor-scale/--no-tensor-scale",
            help="Multiply a tile's outputs by the tensors' scales, or leave that to others.",
        ),
    ],
    "carry": Annotated[
        _Text, typer.Option(help="Rounding up to the next binade: clip (the paper's) or carry.")
    ],
    "rounding": Annotated[_Text, typer.Option(help="Rounding: stochastic or nearest.")],
    "random_bits": Annotated[_Number, typer.Option(help="Bits of a random word.")],
    "lfsr_seed": Annotated[_Number, typer.Option(help="Seed of a random generator in hardware.")],
    "reciprocal_bits": Annotated[
        _Number,
        typer.Option(help="Quantize by a rounded reciprocal, 4 to 16 bits; 0: exact division."),
    ],
    "sharing": Annotated[_Number, typer.Option(help="Lanes that share one group scaler.")],
    "levels": Annotated[_Number, typer.Option(help="Adder levels between registers.")],
    "division": Annotated[
        _Text, typer.Option(help="Rounding of a quantizer's quotient: digits or product.")
    ],
    "recoding": Annotated[
        _Text, typer.Option(help="Partial products of the multiplier: none or booth4.")
    ],
    "path": Annotated[
        _Text, typer.Option(help="Structure of the floating-point adder: single or split.")
    ],
}
"""The options of all units, as `configure` takes them; each unit takes some."""


def takes_unit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command with the parameter `options` take every unit option; it gets their mapping."""

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        options = {name: arguments.pop(name) for name in UNIT_OPTIONS}
        command(options=options, **arguments)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "options":
            parameters.append(parameter)
            continue
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters += [
            inspect.Parameter(name, kind, default=None, annotation=annotation)
            for name, annotation in UNIT_OPTIONS.items()
        ]
    del run.__wrapped__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


_TRIAL = 32
"""Steps that golden computes to see whether it takes a configuration."""


def configured(
    unit: str, options: Mapping[str, Any], interface: str = "wires", results: int | None = None
) -> Configuration:
    """The configuration a command's options describe; UserError where they break a rule, one of
    golden's included: a unit that cannot be verified is not generated.
    """
    from ..sim.corners import make_vectors

    given = dict(options)
    acc_width = given["acc_width"]
    if acc_width not in (None, "auto"):
        if not str(acc_width).isdecimal():
            raise UserError(f"--acc-width must be an integer or auto, not {acc_width!r}")
        given["acc_width"] = int(acc_width)
    try:
        configuration = configure(unit, **given)
        make_vectors(configuration, _TRIAL, 0)
        return with_interface(configuration, interface, results)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None
