"""`mlsmac quantizers`: what dynamic quantization costs, as tables and a plot."""

from pathlib import Path

from ..study.plots import step_plot
from ..study.quantizer_rows import QuantizerReport
from ..support.files import write_whole
from .measuring import verdict
from .output import json_text


def write(report: QuantizerReport, directory: Path) -> list[Path]:
    """Write quantizers.json and quantizers.svg into `directory`, each file whole."""
    files = {
        directory / "quantizers.json": json_text(report),
        directory / "quantizers.svg": step_plot(report.steps),
    }
    write_whole(files)
    return list(files)


def remarks(report: QuantizerReport) -> list[str]:
    """What the tables' reader must know."""
    lines = [line for row in report.units for line in verdict(row.unit, row.measured)]
    forward, backward = (
        f"{counts.multiplications} multiplications and {counts.additions} additions {way}"
        for way, counts in vars(report.batch_norm).items()
    )
    return [
        *lines,
        "MACs: W*A, W*E and A*E of all convolutions but the first; others, in neither MACs nor "
        "quantization: the first layer's and the classifier's. MACs alone: no scales, no tree",
        "elements: each W once a step, A and E once a sample, through both passes",
        f"BN: float32 batch normalization, {forward}, {backward}, an element, at the energies of "
        "the FP32 parts, which have no registers; paper: one of each both ways, as in its Table 1",
        "% MACs, x BN: energy of both passes over that of MACs, BN",
        f"the paper: {report.paper.claim}",
        "energies with glitches; pre-layout: no wires, ideal clock, no memories",
    ]
