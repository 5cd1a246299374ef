"""Area and delay of the floating-point and integer units beside other open RTL, one script for all.

    python bench/peers.py                        # OSU 180 nm, area script
    python bench/peers.py --script speed
    MLSMAC_PDK_DIR=... python bench/peers.py --pdk sky130

Combinational units, every build of each (recoding, path of the adder, kind of adders): the smallest
and the fastest one, GE (area over NAND2) and ns. The peers' figures were measured once with the
same cells and ABC scripts (docs/baselines.md tells what each peer leaves out); those of OSU 180 nm
have a delay, those of other libraries are GE alone.
"""

import argparse
import json
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from mlsmac.hw.floating.float_adder import AdderPath
from mlsmac.study.builds import builds
from mlsmac.study.conditions import Conditions
from mlsmac.study.measure import Build
from mlsmac.support.errors import UserError
from mlsmac.synth.liberty import pdk
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.mapper import map_unit
from mlsmac.synth.timing.sta import analyse_paths
from mlsmac.units import UNITS, configure
from mlsmac.units.emit import to_rtlil

Point = tuple[float, float]


@dataclass(frozen=True)
class Peer:
    """Another project's unit: GE and ns of its smallest netlist and of its fastest one (OSU 180
    nm); GE in other libraries.
    """

    name: str
    area: Point
    speed: Point
    elsewhere: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Our unit and who does the same."""

    label: str
    unit: str
    options: Mapping[str, Any]
    peers: tuple[Peer, ...]


def _libraries(sky130: float, asap7: float, sg13g2: float) -> dict[str, float]:
    return {"sky130": sky130, "asap7": asap7, "sg13g2": sg13g2}


def _float(unit: str, format: str, **options: Any) -> tuple[str, dict[str, Any]]:
    return unit, {"format": format, **options}


ROWS = (
    Row(
        "FP32 FMA",
        *_float("float_fma", "fp32"),
        (
            Peer("CVFPU", (6775, 26.76), (10475, 14.99), _libraries(7515, 6678, 7490)),
            Peer("HardFloat", (7527, 29.56), (11382, 14.37)),
        ),
    ),
    Row("FP32 FMA, flush", *_float("float_fma", "fp32", subnormals=False), ()),
    Row(
        "FP32 mul",
        *_float("float_multiplier", "fp32"),
        (
            Peer("HardFloat", (4698, 18.40), (7671, 10.21), _libraries(4913, 4687, 5006)),
            Peer("CVFPU", (4798, 19.53), (7090, 9.70)),
        ),
    ),
    Row(
        "FP32 mul, flush",
        *_float("float_multiplier", "fp32", subnormals=False),
        (
            Peer("BSG", (3712, 14.43), (5432, 6.13)),
            Peer("FloPoCo, 34-bit ports", (3591, 15.43), (5071, 12.74)),
        ),
    ),
    Row(
        "FP32 add",
        *_float("float_adder", "fp32"),
        (Peer("HardFloat", (2516, 16.56), (4080, 9.30), _libraries(2689, 2349, 2601)),),
    ),
    Row(
        "FP32 add, flush",
        *_float("float_adder", "fp32", subnormals=False),
        (
            Peer("BSG, wrong for zeros", (1597, 16.03), (2821, 7.63)),
            Peer("FloPoCo, 34-bit ports", (1260, 16.67), (1260, 16.67)),
        ),
    ),
    Row(
        "BF16 x BF16 + FP32",
        *_float("float_fma", "bf16", acc_format="fp32"),
        (Peer("HardFloat", (3004, 21.87), (5496, 11.60), _libraries(3374, 2830, 3134)),),
    ),
    Row(
        "BF16 FMA",
        *_float("float_fma", "bf16"),
        (Peer("CVFPU", (1760, 15.88), (3244, 10.04)),),
    ),
    Row(
        "FP16 FMA",
        *_float("float_fma", "fp16"),
        (Peer("HardFloat", (2598, 18.70), (4566, 10.59)),),
    ),
    Row(
        "E4M3 x E4M3 + FP32",
        *_float("float_fma", "e4m3", acc_format="fp32"),
        (
            Peer("HardFloat", (2185, 15.50), (3695, 9.21), _libraries(2368, 2055, 2262)),
            Peer("HardFloat, sum kept recoded", (1628, 12.93), (3019, 8.24)),
            Peer("pulp", (2935, 22.72), (5260, 10.58)),
        ),
    ),
    Row(
        "E5M2 x E5M2 + FP32",
        *_float("float_fma", "e5m2", acc_format="fp32"),
        (Peer("HardFloat", (2124, 14.81), (3466, 8.35)),),
    ),
    Row(
        "E4M3 FMA",
        *_float("float_fma", "e4m3"),
        (Peer("pulp", (792, 12.16), (1750, 8.51)),),
    ),
    Row(
        "E5M2 FMA",
        *_float("float_fma", "e5m2"),
        (Peer("CVFPU", (688, 11.52), (1374, 7.85)),),
    ),
    Row(
        "E4M3 mul",
        *_float("float_multiplier", "e4m3"),
        (Peer("HardFloat", (312, 5.68), (680, 3.86)),),
    ),
    Row(
        "E5M2 mul",
        *_float("float_multiplier", "e5m2"),
        (Peer("HardFloat", (226, 5.06), (493, 3.60)),),
    ),
    Row(
        "E4M3 dot of 8, exact",
        "mls_dot",
        {"format": "4,3"},
        (Peer("MX-for-FPGA", (4026, 10.68), (6999, 5.91), _libraries(4492, 4048, 4373)),),
    ),
)


def measure(build: Build, conditions: Conditions) -> Point:
    """GE and critical path of one build."""
    library = load(conditions.pdk.liberty)
    configuration = build.configuration
    mapped = map_unit(
        to_rtlil(configuration),
        configuration.slug,
        conditions.pdk,
        library,
        adders=build.adders,
        script=conditions.script,
        stages=configuration.build().stage_sets,
    )
    timed = analyse_paths(
        mapped.verilog,
        configuration.slug,
        conditions.pdk.liberty,
        clock_ns=conditions.clock_ns,
        clock=None,
    )
    return mapped.area / library[conditions.pdk.nand2].area_um2, timed.critical_path_ns


def main() -> None:
    """Measure every row and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pdk", default=pdk.DEFAULT_PDK)
    parser.add_argument("--script", default="area", choices=("area", "speed"))
    parser.add_argument("--only", default="", help="rows whose label contains this")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [row for row in ROWS if given.only in row.label]
    if not rows:
        parser.error(f"--only must be part of a row's label, not {given.only!r}")
    try:
        found = pdk.find(given.pdk)
    except UserError as error:
        parser.error(str(error))
    conditions = Conditions(pdk=found, clock_mhz=found.clock_mhz, script=given.script)
    library = load(found.liberty)
    every = [
        [
            build
            for options in _paths(row)
            for build in builds(configure(row.unit, **options), conditions, library)
        ]
        for row in rows
    ]
    console = Console(stderr=True)
    with console.status("mapping"), ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [[pool.submit(measure, build, conditions) for build in own] for own in every]
        points = [[job.result() for job in own] for own in jobs]
    results = []
    for row, own in zip(rows, points, strict=True):
        ours = {"smallest": min(own), "fastest": min(own, key=lambda point: point[1])}
        results.append({"unit": row.label, **ours, "peers": _peers(row, given)})
    if given.json:
        print(json.dumps(results, indent=2))
    else:
        Console(width=130).print(_table(results, given))


def _paths(row: Row) -> list[dict[str, Any]]:
    """The row's options, with each path of an adder where there is one."""
    if "path" not in UNITS[row.unit].options:
        return [dict(row.options)]
    return [{**row.options, "path": path} for path in AdderPath]


def _peers(row: Row, given: argparse.Namespace) -> dict[str, Any]:
    """What is known of the peers under these conditions."""
    if given.pdk == pdk.DEFAULT_PDK:
        return {peer.name: getattr(peer, given.script) for peer in row.peers}
    known = {peer.name: peer.elsewhere.get(given.pdk) for peer in row.peers}
    return {name: (ge, None) for name, ge in known.items() if ge and given.script == "area"}


def _table(results: list[dict[str, Any]], given: argparse.Namespace) -> Table:
    table = Table("unit", "smallest: GE / ns", "fastest: GE / ns", "peers: GE / ns")
    table.title = f"{given.pdk}, script {given.script}"
    for result in results:
        peers = (f"{name} {_point(point)}" for name, point in result["peers"].items())
        table.add_row(
            result["unit"], _point(result["smallest"]), _point(result["fastest"]), "; ".join(peers)
        )
    return table


def _point(point: tuple[float, float | None]) -> str:
    return f"{point[0]:.0f}" + (f" / {point[1]:.2f}" if point[1] else "")


if __name__ == "__main__":
    main()
