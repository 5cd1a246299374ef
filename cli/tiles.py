"""`mlsmac tiles`: options to measured tiles to tables."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from ..study.html import figure, render_html
from ..study.plots import tile_plot
from ..support.errors import UserError
from ..support.files import write_whole
from .measuring import Column, table, verdict


def _stage(name: str) -> Column:
    return name, lambda row: figure(row["energy_pj_by_stage"].get(name))


def _area_share(name: str) -> Column:
    def share(row: dict[str, Any]) -> str:
        area = row["area_um2_by_stage"].get(name)
        return figure(area and 100 * area / row["area_um2"], 2)

    return f"{name} %", share


STAGES = ("macs", "collector", "scalers", "tree", "output")
ENERGY_COLUMNS: tuple[Column, ...] = (
    ("lanes", lambda row: str(row["lanes"])),
    ("pJ/MAC", lambda row: figure(row["energy_pj_per_mac"])),
    *(_stage(name) for name in STAGES),
    ("x FP32", lambda row: figure(row["ratio_to_fp32"])),
    ("x FP8", lambda row: figure(row["ratio_to_fp8"])),
)
AREA_COLUMNS: tuple[Column, ...] = (
    ("lanes", lambda row: str(row["lanes"])),
    ("GE/lane", lambda row: figure(row["gate_equivalents_per_lane"], 4)),
    *(_area_share(name) for name in STAGES),
    ("path ns", lambda row: figure(row["critical_path_ns"])),
    ("busy %", lambda row: figure(100 * row["utilisation"])),
)


def lane_counts(text: str) -> list[int]:
    """The numbers of a list such as 4,16,64. Raises: UserError."""
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= 64 for part in parts):
        raise UserError(f"--lanes must be numbers in 1..64 with commas between, not {text!r}")
    return sorted({int(part) for part in parts})


def write(report: dict[str, Any], directory: Path) -> list[Path]:
    """Write tiles.json, tiles.html and tiles.svg into `directory`, each file whole."""
    plot = tile_plot(report["rows"])
    files = {
        directory / "tiles.json": json.dumps(report, indent=2) + "\n",
        directory / "tiles.html": render_html(report, {"energy": plot}, template="tiles"),
        directory / "tiles.svg": plot,
    }
    write_whole(files)
    return list(files)


def tables(report: dict[str, Any]) -> list[Table]:
    """The rows as the terminal shows them: energy by stage with ratios, then area and timing."""
    where = f"{report['pdk']}, {report['clock_mhz']:g} MHz"
    return [
        table(f"Energy per MAC in a tile, pJ ({where})", ENERGY_COLUMNS, report["rows"]),
        table("Area and timing", AREA_COLUMNS, report["rows"]),
    ]


def remarks(report: dict[str, Any]) -> list[str]:
    """What the tables' reader must know."""
    lines = []
    for row in report["rows"]:
        name = f"{row['unit']}, {row['lanes']} lanes"
        if not row["meets_timing"]:
            lines.append(f"{name} misses the clock: {figure(row['critical_path_ns'])} ns")
        lines += verdict(name, row)
    fp32, fp8 = report["paper"]["fp32"], report["paper"]["fp8"]
    lines += [
        f"the paper, one float32 add a 3x3 group, by its Table 5: x FP32 {fp32['ratio']}, "
        f"x FP8 {fp8['ratio']}; by its Eq. 9: {fp32['ratio_3x3']} (3x3), {fp32['ratio_1x1']} (1x1)",
        "energies of products of busy lanes, glitches included; pre-layout: no wires, ideal clock",
        "x: how many times less energy than the cheapest FP32, FP8 tile of the same lanes",
    ]
    return lines
