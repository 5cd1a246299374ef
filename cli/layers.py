"""`mlsmac verify --layer`: a user's own layer in codes through the Verilog of a tile."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..data.quantized import QuantizedLayer, load_layer
from ..golden.lowering import Kind
from ..golden.spec import AUTO, Tree
from ..sim.vectors import DEFAULT_OPERATIONS
from ..support.errors import UserError
from ..units import UNITS, Configuration, Unit
from ..units.options import shown
from .options import Options, check_range, configured
from .output import err, out, print_json
from .progress import progress_bar

if TYPE_CHECKING:
    from ..sim.layer_bench import Convolved, Task

_ALL = "all"

OF_LAYER: Options = {
    "layer": (
        Annotated[
            Path | None,
            typer.Option(
                metavar="FILE",
                help="Instead of vectors, a layer in codes (mls_tile, dot_tile); docs/tile.md.",
            ),
        ],
        None,
    ),
    "convolution": (
        Annotated[
            str | None,
            typer.Option(
                help="Of a layer: wa (forward), we (input gradient), ae (weight gradient) or all."
            ),
        ],
        None,
    ),
    "outputs": (
        Annotated[
            str | None,
            typer.Option(
                help="Outputs of each convolution, drawn with --seed, or all; default: as many as "
                f"{DEFAULT_OPERATIONS} steps take."
            ),
        ],
        None,
    ),
    "segment": (
        Annotated[
            int | None,
            typer.Option(help="Products of a sum at most; default: the layer's, or a whole group."),
        ],
        None,
    ),
}
"""Options of a layer, as `verify_layer` takes them."""


def check_alone(given: Mapping[str, Any]) -> None:
    """Without a layer no option of one has an effect. Raises: UserError."""
    for name, value in given.items():
        if value is not None:
            raise UserError(f"--{name} must be given with --layer, not alone: {value!r}")


def check_left_out(given: Mapping[str, Any]) -> None:
    """Options of vectors have no effect on a layer. Raises: UserError."""
    for flag, value in given.items():
        if value is not None:
            raise UserError(f"{flag} must be left out with --layer, not {str(value)!r}")


def verify_layer(
    unit: str,
    options: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    simulator: str,
    seed: int,
    directory: Path,
    as_json: bool,
) -> None:
    """Run outputs of a layer's convolutions; exit 1 where one is not golden's.

    Raises: UserError, ToolError, OSError.
    """
    from ..sim.layer_bench import UNITS as TILES
    from ..sim.layer_bench import run_layer

    if unit not in TILES:
        raise UserError(f"--layer must be given with {' or '.join(TILES)}, not {unit}")
    path = given["layer"]
    layer = load_layer(path)
    kinds = _kinds(given["convolution"], layer, path)
    count = _count(given["outputs"])
    tasks = _tasks(UNITS[unit], layer, kinds, options, given["segment"])
    with progress_bar(err, f"preparing {layer.name}") as progress:
        results = run_layer(
            tasks,
            directory,
            outputs=count,
            steps=DEFAULT_OPERATIONS,
            simulator=simulator,
            seed=seed,
            progress=progress,
        )
    mismatches = sum(result.mismatches for result in results)
    if as_json:
        place = {"stride": layer.stride, "padding": layer.padding}
        made = {"layer": layer.name, **place, "simulator": simulator, "seed": seed}
        print_json({**made, "convolutions": results, "mismatches": mismatches})
    else:
        out.print(f"{layer.name}: seed {seed}, {simulator}", highlight=False, soft_wrap=True)
        for result in results:
            for line in result.described:
                err.print(line, highlight=False, soft_wrap=True)
            out.print(_line(result), highlight=False, soft_wrap=True)
    if mismatches:
        sys.exit(1)


def _kinds(asked: str | None, layer: QuantizedLayer, path: Path) -> tuple[Kind, ...]:
    """Raises: UserError."""
    if asked in (None, _ALL):
        return layer.kinds
    if asked not in list(Kind):
        raise UserError(f"--convolution must be one of {', '.join(Kind)}, {_ALL}, not {asked!r}")
    kind = Kind(asked)
    if kind not in layer.kinds:
        raise UserError(
            f"--convolution {asked} needs the tensors {', '.join(asked)}: {path} has "
            f"{', '.join(layer.tensors)} alone"
        )
    return (kind,)


def _count(asked: str | None) -> int | None:
    """Outputs of a convolution. Raises: UserError."""
    if asked is None:
        return None
    if asked == _ALL:
        return sys.maxsize
    if not asked.isdecimal():
        raise UserError(f"--outputs must be an integer or {_ALL}, not {asked!r}")
    check_range("--outputs", int(asked), 1)
    return int(asked)


def _tasks(
    unit: Unit,
    layer: QuantizedLayer,
    kinds: tuple[Kind, ...],
    options: Mapping[str, Any],
    segment: int | None,
) -> "list[Task]":
    """A convolution each; equal tiles are one. Raises: UserError."""
    from ..sim.layer_bench import Task

    if segment is None:
        segment = layer.settings.get("segment")
    if segment is not None:
        check_range("--segment", segment, 1)
    longest = max(layer.convolution(kind, segment).segment for kind in kinds)
    tiles: dict[str, Configuration] = {}
    tasks = []
    for kind in kinds:
        asked = _options(unit, layer, kind, options)
        if unit.largest_product and asked["length"] is None and asked["acc_width"] in (None, AUTO):
            asked["length"] = longest
        key = repr(asked)
        tiles[key] = tiles.get(key) or configured(unit.name, asked)
        try:
            tasks.append(Task(layer=layer, kind=kind, configuration=tiles[key], segment=segment))
        except ValueError as error:
            raise UserError(f"{layer.name}: {error}") from None
    return tasks


def _options(
    unit: Unit, layer: QuantizedLayer, kind: Kind, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The options given, else those of the layer. Raises: UserError where formats differ."""
    tensor, _ = layer.operands(kind)
    given = {name: value for name, value in options.items() if value is not None}
    for name, own in (("format", tensor.element), ("scale", tensor.scale)):
        try:
            asked = unit.options[name].read(given.get(name, own))
        except ValueError as error:
            raise UserError(str(error)) from None
        if asked != own:
            rule = f"--{name} must be {shown(own)} for {layer.name}, whose codes are of that"
            raise UserError(f"{rule}, not {given[name]}")
    settings = dict(layer.settings)
    if kind is Kind.AE and "acc_width_wgrad" in settings:
        settings["acc_width"] = settings["acc_width_wgrad"]
    if given.get("tree", settings.get("tree")) != Tree.ALIGNED.value:
        settings.pop("guard_bits", None)
    own_options = {name: value for name, value in settings.items() if name in unit.options}
    formats = {"format": tensor.element, "scale": tensor.scale}
    return {**options, **own_options, **given, **formats}


def _line(result: "Convolved") -> str:
    """What became of a convolution, in a line."""
    share = "all" if result.outputs == result.of else f"{100 * result.outputs / result.of:.3g} %"
    parts = [
        f"{result.convolution} on {result.unit}",
        f"{result.outputs:,} of {result.of:,} outputs ({share}) in {result.steps:,} steps",
        f"{result.products:,} products",
    ]
    if result.flagged is not None:
        parts.append(f"{result.flagged:,} outputs flagged")
    if result.sums is not None:
        parts.append(f"{result.overflowed_sums:,} of all {result.sums:,} sums overflow")
    if result.inexact:
        parts.append(f"{result.inexact:,} not as exact sums")
    verdict = "ok"
    if result.mismatches:
        kept = f", waveform {result.waveform}" if result.waveform else ""
        verdict = f"FAILED, {result.mismatches:,} outputs differ{kept}"
    return f"{', '.join(parts)}: {verdict}"
