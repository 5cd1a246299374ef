"""`mlsmac quantizers`: what dynamic quantization costs, as tables and a plot."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from ..study.html import figure
from ..study.plots import step_plot
from ..support.files import write_whole
from .measuring import Column, table, verdict


def _stage(heading: str, stage: str) -> Column:
    return heading, lambda row: figure(row["energy_pj_by_stage"].get(stage))


def _area_share(heading: str, stage: str) -> Column:
    def share(row: dict[str, Any]) -> str:
        area = row["area_um2_by_stage"].get(stage)
        return figure(area and 100 * area / row["area_um2"])

    return f"{heading} %", share


def _count(name: str) -> Column:
    return f"{name.upper()}, k", lambda row: figure(row["elements"][name] / 1e3, 4)


def _part(heading: str, name: str) -> Column:
    return heading, lambda row: figure(row["energy_uj"][name])


STAGES = {"scale": "group_scale", "lanes": "lanes", "LFSR": "generator"}
"""A quantizer's stages by heading."""

_TIMING: tuple[Column, ...] = (
    ("path ns", lambda row: figure(row["critical_path_ns"])),
    ("flops", lambda row: str(row["flops"])),
)
ENERGY_COLUMNS: tuple[Column, ...] = (
    ("pJ/element", lambda row: figure(row["energy_pj_per_element"])),
    *(_stage(*names) for names in STAGES.items()),
    ("0 delay", lambda row: figure(row["energy_pj_per_element_zero_delay"])),
)
AREA_COLUMNS: tuple[Column, ...] = (
    ("GE/lane", lambda row: figure(row["gate_equivalents_per_lane"], 4)),
    *(_area_share(*names) for names in STAGES.items()),
    *_TIMING,
)
OPERATION_COLUMNS: tuple[Column, ...] = (
    ("pJ", lambda row: figure(row["energy_pj_per_operation"])),
    ("GE", lambda row: figure(row["gate_equivalents"], 4)),
    *_TIMING,
)
NETWORK_COLUMNS: tuple[Column, ...] = (
    ("batch", lambda row: str(row["batch"])),
    ("MACs, M", lambda row: figure(row["step_macs"] / 1e6, 4)),
    ("others, M", lambda row: figure(row["other_macs"] / 1e6, 4)),
    *(_count(name) for name in ("w", "a", "e")),
    ("elements/MAC", lambda row: figure(row["elements_per_mac"])),
)
STEP_COLUMNS: tuple[Column, ...] = (
    _part("MACs", "macs"),
    _part("stat.", "statistics"),
    _part("quant.", "quantization"),
    _part("BN", "batch_norm"),
    ("% MACs", lambda row: figure(100 * row["share_of_macs"])),
    ("x BN", lambda row: figure(row["ratio_to_batch_norm"])),
    ("x BN paper", lambda row: figure(row["ratio_to_batch_norm_by_paper"])),
)


def write(report: dict[str, Any], directory: Path) -> list[Path]:
    """Write quantizers.json and quantizers.svg into `directory`, each file whole."""
    files = {
        directory / "quantizers.json": json.dumps(report, indent=2) + "\n",
        directory / "quantizers.svg": step_plot(report["steps"]),
    }
    write_whole(files)
    return list(files)


def tables(report: dict[str, Any]) -> list[Table]:
    """Units, operations beside them, networks, training steps."""
    where = f"{report['pdk']}, {report['clock_mhz']:g} MHz"
    networks = [{**row, "unit": row["network"]} for row in report["networks"]]
    return [
        table(f"Energy of both passes, by lanes ({where})", ENERGY_COLUMNS, report["rows"]),
        table("Area and timing", AREA_COLUMNS, report["rows"]),
        table("Operations beside them", OPERATION_COLUMNS, report["operations"]),
        table("A training step, a sample: MACs, elements quantized", NETWORK_COLUMNS, networks),
        *(
            table(
                f"Energy of a training step of {network['network']}, uJ a sample",
                STEP_COLUMNS,
                [row for row in report["steps"] if row["network"] == network["network"]],
            )
            for network in networks
        ),
    ]


def remarks(report: dict[str, Any]) -> list[str]:
    """What the tables' reader must know."""
    lines = []
    for row in (*report["rows"], *report["operations"]):
        if not row["meets_timing"]:
            lines.append(f"{row['unit']} misses the clock: {figure(row['critical_path_ns'])} ns")
        lines += verdict(row["unit"], row)
    forward, backward = (
        f"{counts['multiplications']} multiplications and {counts['additions']} additions {way}"
        for way, counts in report["batch_norm"].items()
    )
    return [
        *lines,
        "MACs: W*A, W*E and A*E of all convolutions but the first; others, in neither MACs nor "
        "quantization: the first layer's and the classifier's. MACs alone: no scales, no tree",
        "elements: each W once a step, A and E once a sample, through both passes",
        f"BN: float32 batch normalization, {forward}, {backward}, an element, at the energies of "
        "the FP32 parts, which have no registers; paper: one of each both ways, as in its Table 1",
        "% MACs, x BN: energy of both passes over that of MACs, BN",
        f"the paper: {report['paper']['claim']}",
        "energies with glitches; pre-layout: no wires, ideal clock, no memories",
    ]
