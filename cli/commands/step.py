"""`mlsmac step`: the energy of a training step of a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...support.errors import UserError
from ..options import Json, Output, check_range
from ..output import json_text, print_paths, show, warn

if TYPE_CHECKING:
    from ...data.networks import Network
    from ...study.step import StepReport

_MOST_3X3 = 0.9
"""Share of MACs in 3 x 3 kernels below which the reader is told: tiles were measured on such."""


def step(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="resnet-20, resnet-18, or a file: layers as CSV, or ONNX."
        ),
    ],
    *,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Measured units in the place of those that come along (osu018): what report, "
            "dots, tiles, quantizers wrote; again for more.",
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Samples of a step; default: the network's own.")
    ] = None,
    lanes: Annotated[int, typer.Option(help="Lanes of tiles and dot units.")] = 16,
    memory_pj_per_bit: Annotated[
        str | None,
        typer.Option(
            help="Count memory, too: pJ of a bit moved, or a name of Horowitz's figures: "
            "sram-8k, sram-32k, sram-1m, dram."
        ),
    ] = None,
    output: Output = Path("build/step"),
    as_json: Json = False,
) -> None:
    """Show what a training step takes, by part, in FP32, FP8, INT8, MX and MLS."""
    from ...study.step import default_units, make_step_report, read_units
    from ...study.step.memory import pj_per_bit
    from ...study.step.systems import lane_counts
    from ...study.step.tables import step_tables
    from .. import measuring

    if batch is not None:
        check_range("--batch", batch, 1)
    memory = None if memory_pj_per_bit is None else pj_per_bit(memory_pj_per_bit)
    chosen = _network(network)
    units = read_units(report) if report else default_units()
    known = lane_counts(units)
    if known and lanes not in known:
        told = ", ".join(map(str, known))
        raise UserError(f"--lanes must be one of {told}, which are measured, not {lanes}")
    result = make_step_report(chosen, units, batch=batch, lanes=lanes, memory=memory)
    measuring.check_writable(output)
    paths = write(result, output)
    show(result, as_json, step_tables(result), remarks(result))
    print_paths(paths)
    warn(_cautions(result))


def _network(text: str) -> "Network":
    """A network of ours by its name, or of a file. Raises: UserError, OSError, ToolError."""
    from ...data.network_file import read_network
    from ...data.networks import NETWORKS

    named = {own.name.lower(): own for own in NETWORKS}
    if own := named.get(text.lower()):
        return own
    path = Path(text)
    if not path.exists():
        raise UserError(f"network must be {', '.join(named)} or a file, and {text!r} is neither")
    if path.suffix == ".onnx":
        from ...data.network_onnx import read_onnx

        return read_onnx(path)
    return read_network(path)


def write(report: "StepReport", directory: Path) -> list[Path]:
    """Write step.json, step.html and step.svg into `directory`, all or none."""
    from ...study.html import step_html
    from ...study.step.plot import step_plot
    from ...support.files import write_whole

    plot = step_plot(report)
    texts = {
        "step.json": json_text(report),
        "step.html": step_html(report, plot, _notes(report)),
        "step.svg": plot,
    }
    files = {directory / name: text for name, text in texts.items()}
    write_whole(files)
    return list(files)


def remarks(report: "StepReport") -> list[str]:
    """What the tables' reader must know."""
    return [*(claim.told for claim in report.claims), *_notes(report)]


def _notes(report: "StepReport") -> list[str]:
    """How the figures come about."""
    own = report.network
    forward, backward = report.batch_norm.forward, report.batch_norm.backward
    add, update = report.add, report.update
    lines = [
        f"{own.network}, {own.data}, {own.batch} samples a step; a sample: {own.step_macs:,} MACs "
        f"in three convolutions, {own.other_macs:,} of the first layer and the classifier, "
        f"{own.elements.total:,.0f} elements quantized",
        "first layer and classifier: float32 in the same structure, of INT8 in its own arithmetic",
        f"BN, a float32 element: {forward.multiplications + backward.multiplications} "
        f"multiplications, {forward.additions + backward.additions} additions; adds: "
        f"{add.additions}, one each way; update, a weight: {update.multiplications} and "
        f"{update.additions} (momentum, weight decay); at the energies of bare FP32 parts",
        "x: how many times less energy than FP32, and than the cheapest FP8 with float32 sums, in "
        "the same structure; in parentheses the standard error, counted in the last digit",
        "energies with glitches, pre-layout: no wires, ideal clock",
        "traffic: each operation reads and writes a tensor once; fused: maxima and codes behind "
        f"what makes the tensor, which holds {report.held_bits:,} bits, its largest plane",
    ]
    if report.memory_pj_per_bit is not None:
        lines.append(
            f"memory: {report.memory_pj_per_bit:.4g} pJ a bit ({report.memory}), whatever the node "
            f"of the units ({report.pdk}) is"
        )
    return lines


def _cautions(report: "StepReport") -> Iterator[str]:
    """What may mislead."""
    own = report.network
    if own.share_3x3 < _MOST_3X3:
        yield (
            f"{100 * own.share_3x3:.0f} % of the MACs are of 3 x 3 kernels, which tiles were "
            "measured on: with others their scaler and tree serve more or fewer products"
        )
    if not own.normalized_elements:
        yield f"{own.network} has no batch normalization: folded into its weights, or left out"
    if report.left_out:
        every = "; ".join(f"{system} ({unit})" for system, unit in report.left_out.items())
        yield f"left out, since units are not measured: {every}"
