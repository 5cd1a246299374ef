"""The paper's claims on energy beside what comes out here, and what makes the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...data.networks import Network
from ..columns import figure
from ..quantizer_report import BATCH_NORM
from ..systems import TABLE_5
from .equation import KERNEL, TABLE_1, Terms, by_macs, by_paper, by_table_5, by_tiles
from .model import ADD, UPDATE
from .rows import ClaimRow, SystemRow
from .systems import DOT_TILES, MACS, TILES
from .units import MeasuredUnits

OF_MLS = {
    "MACs": (MACS, "MLS <2,4>"),
    "tile": (TILES, "MLS <2,4>, float32 tree"),
    "tile, aligned": (TILES, "MLS <2,4>, aligned tree"),
    "tile, exact": (TILES, "MLS <2,4>, exact tree"),
    "dot tile": (DOT_TILES, "MLS <2,4>"),
}
"""Rows that stand for the paper's format, by structure."""

_VERSION_2 = "abstract of arXiv 2006.02804v2"


def claims(
    network: Network, batch: int, rows: Sequence[SystemRow], units: MeasuredUnits, lanes: int
) -> tuple[ClaimRow, ...]:
    """One a claim; `rows` of the network."""
    places = {(row.group, row.system): row for row in rows}
    own = {
        name: places[group.name, system]
        for name, (group, system) in OF_MLS.items()
        if (group.name, system) in places
    }
    return (
        ClaimRow(
            claim="convolutions, FP32 over MLS, at least",
            source="abstract, Eq. 9",
            low=6.8,
            high=None,
            ours={name: row.convolution_ratio_to_fp32 for name, row in own.items()},
            why=_of_equation(units, lanes),
        ),
        ClaimRow(
            claim="a step, FP32 over MLS",
            source=_VERSION_2,
            low=8.3,
            high=10.2,
            ours={name: row.ratio_to_fp32 for name, row in own.items()},
            why=_of_steps(network, batch, places, own),
        ),
        ClaimRow(
            claim="a step, FP8 over MLS",
            source=_VERSION_2,
            low=1.9,
            high=2.3,
            ours={name: row.ratio_to_fp8 for name, row in own.items() if row.ratio_to_fp8},
            why=_of_fp8(network, batch, places, own),
        ),
    )


def _of_equation(units: MeasuredUnits, lanes: int) -> str:
    paper = by_paper(KERNEL)
    rest = ", ".join(
        f"{figure(by_paper(KERNEL, counts.other).to_fp32)} ({name})"
        for name, counts in TABLE_1.items()
    )
    said = [
        f"Eq. 9 gives {figure(paper.to_fp32)} for 3 x 3 kernels, with the rest of Table 1 {rest}"
    ]
    macs = by_macs(units, lanes)
    if macs is not None:
        additions = macs.fp32 / macs.mls_tree / KERNEL
        said.append(
            "with the measured MACs, scaler and adder in the place of its constants it gives "
            f"{figure(macs.to_fp32)}: FP32 takes {figure(additions, 2)} additions a product there, "
            f"not {figure(paper.fp32, 2)}"
        )
        for tree, tile in by_tiles(units, lanes):
            if tree == "float32":
                said.append(
                    f"a tile, {figure(tile.to_fp32)}: its tree takes {figure(tile.mls_tree)} pJ a "
                    f"product, where a bare addition a kernel takes {figure(macs.mls_tree)}"
                )
    return "; ".join(said)


def _of_steps(
    network: Network,
    batch: int,
    places: Mapping[tuple[str, str], SystemRow],
    own: Mapping[str, SystemRow],
) -> str:
    theirs = figure(_by_table_5(network, batch).to_fp32)
    said = [f"a step with the energies of the paper's own Table 5 gives {theirs}"]
    if row := own.get("MACs"):
        said.append(
            f"MACs alone {_standing(row.ratio_to_fp32, 8.3, 10.2)}, the first layer and the "
            f"classifier in FP32 being {_percent(row.energy_uj.outer, row)} of it"
        )
    if row := own.get("tile"):
        tree = row.energy_uj.tree or 0.0
        tail = (row.energy_uj.scaler or 0.0) + tree
        fp32 = places[TILES.name, TILES.systems[0].label].energy_uj.tree or 0.0
        said.append(
            f"in a tile with a float32 tree, scaler and tree are {_percent(tail, row)}: the tree "
            f"takes {figure(tree / fp32, 2)} of that of FP32"
        )
    if row := own.get("dot tile"):
        said.append(
            f"dot units give {figure(row.ratio_to_fp32)}: many products share a sum, from which "
            "FP32 gains, too"
        )
    return "; ".join(said)


def _by_table_5(network: Network, batch: int) -> Terms:
    """Of a step with the paper's energies."""
    terms = by_table_5()
    float32 = TABLE_5["fp32"]
    other = (
        network.other_macs * terms.fp32
        + network.normalized * BATCH_NORM.energy(*float32)
        + network.added * ADD.energy(*float32)
        + network.weights / batch * UPDATE.energy(*float32)
    )
    return replace(terms, other=other / network.step_macs)


def _of_fp8(
    network: Network,
    batch: int,
    places: Mapping[tuple[str, str], SystemRow],
    own: Mapping[str, SystemRow],
) -> str:
    theirs = figure(_by_table_5(network, batch).to_fp8)
    said = [f"a step with the energies of the paper's own Table 5 gives {theirs}"]
    row, exact = own.get("MACs"), places.get((MACS.name, "FP8 E4M3, exact sum"))
    if row and row.ratio_to_fp8:
        said.append(
            f"MACs alone {_standing(row.ratio_to_fp8, 1.9, 2.3)}, since each FP8 product bears a "
            "float32 addition there"
        )
    if row and exact:
        ratio = exact.energy_uj.total / row.energy_uj.total
        said.append(f"against FP8 with an exact sum it is {figure(ratio)}")
    if (row := own.get("dot tile")) and row.ratio_to_fp8:
        said.append(
            f"in dot units, where many products share that addition, {figure(row.ratio_to_fp8)}"
        )
    return "; ".join(said)


def _standing(ratio: float, low: float, high: float) -> str:
    if ratio < low:
        return f"stay below, at {figure(ratio)}"
    return f"reach it, {figure(ratio)}" if ratio <= high else f"exceed it, {figure(ratio)}"


def _percent(part: float, row: SystemRow) -> str:
    return f"{figure(100 * part / row.energy_uj.total, 2)} %"
