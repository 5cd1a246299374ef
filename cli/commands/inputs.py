"""Commands about what a user has: tensors, cell libraries, tools."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from ...sim.vectors import DEFAULT_SEED
from ..options import (
    Json,
    WordSeed,
)
from ..output import err, out, print_json, warn


def quantize(
    source: Annotated[Path, typer.Argument(metavar="IN.npy", help="A float32 array file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .npz file to write.")],
    element: Annotated[
        str | None, typer.Option("--format", help="Element format: E,M or a name (2,4).")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Group scale format: E,M or e8m0, e8m1, nvfp4 (8,1)."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Elements of a scale: nc (default), n, c or none.")
    ] = None,
    blocks: Annotated[
        str | None,
        typer.Option(
            help="Instead of MLS, blocks along the last axis: mxfp4, mxfp6_e2m3, mxfp6_e3m2, "
            "mxfp8_e4m3, mxint8 or nvfp4."
        ),
    ] = None,
    rounding: Annotated[
        str | None, typer.Option(help="stochastic (default), or nearest (default of blocks).")
    ] = None,
    carry: Annotated[
        str | None, typer.Option(help="clip (the paper's, default) or carry (like IEEE 754).")
    ] = None,
    random_bits: Annotated[int, typer.Option(help="Bits of a random word.")] = 8,
    seed: WordSeed = DEFAULT_SEED,
    dequantize: Annotated[
        bool, typer.Option("--dequantize", help="Write the exact values too, as float64.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Quantize a float32 array to MLS codes, or blocks, with their scales, in a .npz file."""
    from .. import quantize as work

    mls = {"--format": element, "--scale": scale, "--group": group, "--carry": carry}
    asked = work.request(blocks, mls, rounding, random_bits, seed)
    work.check_output(output, source)
    with err.status(f"quantizing {source}"):
        x = work.read(source)
        coded = work.codes(asked, x, source)
        row = work.summary(asked, x, coded)
        work.write(asked, coded, output, dequantize=dequantize)
    warn([*work.misnamed(element, blocks), *asked.doubts(coded)])
    if as_json:
        print_json(row)
    else:
        out.print(work.sheet(asked, row, output))


def pdk(
    library: Annotated[
        list[str],
        typer.Argument(metavar="NAME|FILE...", help="A PDK, or a library's Liberty files."),
    ],
    as_json: Json = False,
) -> None:
    """Show what is understood of a cell library; exit 2 if units cannot be mapped to it."""
    from ...study.terminal import pairs
    from ..pdk import lines, overview

    facts, refusal = overview(library)
    if as_json:
        print_json(facts)
    else:
        out.print(pairs(facts["library"], lines(facts)))
    if refusal:
        raise refusal


def doctor(as_json: Json = False) -> None:
    """Show which tools and PDKs are found; exit 1 if something the main job needs is missing."""
    from ..doctor import findings

    found = list(findings())
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        table = Table("what", *(Column(name, overflow="fold") for name in ("found", "what to do")))
        for finding in found:
            state = finding.found or ("MISSING" if finding.needed else "not found (optional)")
            table.add_row(finding.what, state, "" if finding.found else finding.remedy)
        out.print(table)
    if any(finding.needed and finding.found is None for finding in found):
        sys.exit(1)
