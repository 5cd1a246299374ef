"""Options that several commands share, and the configuration that a unit's options describe."""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..golden.spec import GROUP_LENGTH
from ..sim.vectors import DEFAULT_SEED
from ..support.errors import UserError
from ..units import UNITS, Configuration, Unit, configure, with_interface
from ..units.cautions import cautions
from ..units.interfaces import DEFAULT_RESULTS
from ..units.options import LENGTH, OPTIONS
from .output import warn

REPORT_OPERATIONS = 2_000
TILE_OPERATIONS = 6_000
DOT_OPERATIONS = 500

UnitName = Annotated[
    str,
    typer.Argument(
        metavar="UNIT", help="A name that `mlsmac units` lists; UNIT --help tells its options."
    ),
]
Interface = Annotated[
    str,
    typer.Option(
        help="Ports: wires, or for tiles and dot units stream (valid/ready) or axi (AXI4-Stream)."
    ),
]
Results = Annotated[
    int | None,
    typer.Option(help=f"Outputs that a unit behind streams holds at a time ({DEFAULT_RESULTS})."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Pdk = Annotated[
    str | None,
    typer.Option(
        help="osu018 (default), sky130, sg13g2, asap7; see mlsmac doctor. In report several, with "
        "commas between."
    ),
]
Liberty = Annotated[
    list[Path] | None,
    typer.Option(help="Any Liberty file instead of a named PDK; again for more files of it."),
]
Clock = Annotated[
    float | None, typer.Option(help="Clock in MHz; default: the PDK's, 100 for a Liberty file.")
]
Script = Annotated[str, typer.Option(help="ABC script: area or speed.")]
States = Annotated[
    str, typer.Option(help="Cell states: counted (event by event) or independent (of pins).")
]
NetlistSimulator = Annotated[
    str | None, typer.Option(help="events (default where numba is installed) or icarus (slow).")
]
Precision = Annotated[
    float, typer.Option(help="Standard error of energies, in percent, above which to warn.")
]
TensorsOption = Annotated[
    str,
    typer.Option(
        "--tensors",
        help="Operands: captured (in training), normal (N(0, 1)), or a user's own: an .npz file or "
        "a folder of .npy files; see docs/questions.md.",
    ),
]
Operations = Annotated[int, typer.Option(help="Operations to simulate.")]
DOT_LANES = "8,16,32"
DotLanes = Annotated[
    str, typer.Option(help="Products of dot units in a cycle, powers of two, commas between them.")
]
Output = Annotated[Path, typer.Option("-o", "--output", help="Directory to write to.")]
Export = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Write netlist, SDF, SAIF, stimulus and a bench there, for other tools."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the vectors or of the stimulus.")]
WordSeed = Annotated[int, typer.Option(help="Seed of the random words of stochastic rounding.")]
Scale = Annotated[str, typer.Option(help="Group scale format: E,M or e8m0, e8m1, nvfp4.")]
Quick = Annotated[
    bool, typer.Option("--quick", help="A tenth of the operations, one build a unit.")
]
UseCache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Reuse results kept under build/cache.")
]


MAX_NUMBER = (1 << 31) - 1


def check_range(option: str, value: int, low: int) -> None:
    """Raise UserError unless `value` is in low..2^31 - 1."""
    if not low <= value <= MAX_NUMBER:
        raise UserError(f"{option} must be in {low}..{MAX_NUMBER}, not {value}")


def lane_counts(text: str, *, powers_of_two: bool = False) -> list[int]:
    """The numbers of a list such as 4,16,64. Raises: UserError."""
    parts = text.split(",")
    counts = sorted({int(part) for part in parts if part.isdecimal()})
    known = all(part.isdecimal() for part in parts) and all(1 <= count <= 64 for count in counts)
    if not known or (powers_of_two and any(count.bit_count() > 1 for count in counts)):
        kind = "powers of two" if powers_of_two else "numbers"
        raise UserError(f"--lanes must be {kind} in 1..64 with commas between, not {text!r}")
    return counts


_KINDS: Mapping[Any, Any] = {int: int, bool: bool}
"""Types of values on the command line; a text where there is none."""


def _declared(name: str) -> Any:
    """An option of the command line for the units' option `name`."""
    row = OPTIONS[name]
    kinds = {unit.options[name].parameter.kind for unit in UNITS.values() if name in unit.options}
    kind = str if name == "acc_width" else _KINDS.get(next(iter(kinds)), str)
    return Annotated[kind | None, typer.Option(row.flag, help=row.help)]


UNIT_OPTIONS: Mapping[str, Any] = {
    **{name: _declared(name) for name in OPTIONS},
    LENGTH: Annotated[
        int | None,
        typer.Option(
            help="Products that an integer sum is to hold whatever the operands "
            f"[default: {GROUP_LENGTH}]."
        ),
    ],
}
"""The options of all units, as `configured` takes them; each unit takes some."""

_UNIT = "mlsmac.unit"
_OF_STREAMS = ("interface", "results")
"""Options of a command that only tiles have a use for."""


class UnitCommand(TyperCommand):
    """A command of one unit: its help lists that unit's options alone, with their defaults.

    All units' options are parsed, so that one of another unit gets an error that says so.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_UNIT] = next((UNITS[each] for each in self._words(args) if each in UNITS), None)
        return super().parse_args(ctx, args)

    def _words(self, args: list[str]) -> Iterator[str]:
        """What is neither an option nor an option's value."""
        valued = {
            flag for each in self.params if not getattr(each, "is_flag", 1) for flag in each.opts
        }
        rest = iter(args)
        for each in rest:
            if each in valued:
                next(rest, None)
            elif not each.startswith("-"):
                yield each

    def get_params(self, ctx: Any) -> list[Any]:
        return [_of_unit(param, ctx.meta.get(_UNIT)) for param in super().get_params(ctx)]


def _of_unit(param: Any, unit: Unit | None) -> Any:
    """A parameter as a unit's help shows it."""
    told = copy.copy(param)
    if param.name in _OF_STREAMS:
        told.hidden = unit is not None and not unit.has_streams
    if param.name not in UNIT_OPTIONS:
        return told
    own = unit.options.get(param.name) if unit else None
    takes_length = unit is not None and unit.largest_product is not None
    told.hidden = not takes_length if param.name == LENGTH else own is None
    told.help = own.help if own else param.help
    return told


Options = Mapping[str, tuple[Any, Any]]
"""Annotation and default of each option of a group, by name."""


def takes(**groups: Options) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take the options of a group in the place of the parameter of the group's name;
    it gets the mapping of their values.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            given = {
                group: {name: arguments.pop(name) for name in options}
                for group, options in groups.items()
            }
            command(**given, **arguments)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            own = groups.get(parameter.name)
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters += (
                [parameter.replace(kind=kind)]
                if own is None
                else [
                    inspect.Parameter(name, kind, default=default, annotation=annotation)
                    for name, (annotation, default) in own.items()
                ]
            )
        del run.__wrapped__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


OF_UNIT: Options = {name: (annotation, None) for name, annotation in UNIT_OPTIONS.items()}
"""Those of a command of one unit."""


def of_measuring(operations: int = REPORT_OPERATIONS) -> Options:
    """Those of a command that measures, as `measuring.asked` takes them."""
    return {
        "pdk": (Pdk, None),
        "liberty": (Liberty, None),
        "clock_mhz": (Clock, None),
        "script": (Script, "area"),
        "states": (States, "counted"),
        "simulator": (NetlistSimulator, None),
        "precision": (Precision, 5.0),
        "operations": (Operations, operations),
        "tensors": (TensorsOption, "captured"),
        "seed": (Seed, DEFAULT_SEED),
        "quick": (Quick, False),
        "use_cache": (UseCache, True),
    }


OF_LAYOUT: Options = {
    "layout": (
        Annotated[
            bool,
            typer.Option(
                "--layout", help="Place cells: wires and a clock tree count, before and after."
            ),
        ],
        False,
    ),
    "density": (
        Annotated[
            float | None,
            typer.Option(help="Of a layout: cell area over that of the core; default: 0.7."),
        ],
        None,
    ),
    "row_height": (
        Annotated[
            float | None,
            typer.Option(help="Of a layout: height of cells, um; default: the known PDK's."),
        ],
        None,
    ),
    "wire_capacitance": (
        Annotated[
            float | None,
            typer.Option(help="Of a layout: fF a um of wire; default: the known PDK's."),
        ],
        None,
    ),
}
"""Those of a command that measures with wires, beside `of_measuring`."""

OF_STIMULUS: Options = {
    "group": (
        Annotated[
            str,
            typer.Option(
                help="What shares a scale where MLS elements of MACs are quantized, and is one "
                "sum: nc, n, c, none, or block:LENGTH along the axis of reduction."
            ),
        ],
        "nc",
    ),
    "scale": (Scale, "8,1"),
}
"""Those that decide how operands of MACs are quantized, beside `of_measuring`."""


def settled(
    ctx: typer.Context, given: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of a command's options: those of the command line, else those of the `settings` of
    a file, else the defaults. Raises: UserError; as the command line for a value.
    """
    if unknown := settings.keys() - given:
        rule = f"settings are {', '.join(sorted(given))}"
        raise UserError(f"{rule}, not {', '.join(sorted(unknown))}")
    found = dict(given)
    parameters = {each.name: each for each in ctx.command.params}
    for name, value in settings.items():
        source = ctx.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            found[name] = parameters[name].process_value(ctx, value)
    return found


OF_VERILOG: Options = {
    "verilog": (
        Annotated[
            list[Path] | None,
            typer.Option(
                metavar="FILE", help="A module of your own as a row; again for more files of it."
            ),
        ],
        None,
    ),
    "top": (Annotated[str | None, typer.Option(help="Its name.")], None),
    "ports": (
        Annotated[
            str,
            typer.Option(help="Its ports: w=x,a=y,start=clear,acc=sum,clk=clock,rst_n=rst,en=1."),
        ],
        "",
    ),
    "latency": (
        Annotated[int | None, typer.Option(help="Its cycles from operands to the sum.")],
        None,
    ),
    "contract": (
        Annotated[
            str | None,
            typer.Option(
                metavar='"UNIT ..."',
                help="What it computes, as the unit and its options; none: integers, not checked.",
            ),
        ],
        None,
    ),
    "checked": (
        Annotated[
            bool,
            typer.Option("--checked/--unchecked", help="Compare its results, or feed it alone."),
        ],
        True,
    ),
}
"""A user's own module, as `foreign.entries` takes it."""

_TRIAL = 32
"""Steps that golden computes to see whether it takes a configuration."""


def configured(
    unit: str, options: Mapping[str, Any], interface: str = "wires", results: int | None = None
) -> Configuration:
    """The configuration a command's options describe; UserError where they break a rule, one of
    golden's included: a unit that cannot be verified is not generated. What it may not be meant to
    do is told on stderr.
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
        asked = with_interface(configuration, interface, results)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None
    warn(cautions(configuration, given[LENGTH]))
    return asked
