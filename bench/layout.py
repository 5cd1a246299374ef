"""Estimated wires beside those of Debian's graywolf, qrouter and magic, on four MACs of the report.

    python bench/layout.py                  # minutes: a large MAC takes two to route
    python bench/layout.py --unit mls       # units whose label has these letters
    python bench/layout.py --json > docs/results/layout-routed.json

OSU 180 nm, whose LEF and technology files come with qflow-tech-osu018. Each MAC is the build that
docs/results/report.json has. Two placements, graywolf's and the project's own, are estimated
(Steiner trees between centres of cells) and routed by qrouter. A net's capacitance is of its
estimated length, of its routed wires by the LEF file's rule, and what magic extracts of them; for
each the MAC is timed, simulated and evaluated anew. No clock tree: the clock is a net as others.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from qflow.graywolf import placed_by_graywolf
from qflow.lef import Lef, parse_lef
from qflow.routing import routed
from qflow.tools import LEF, TOOLS, check_tools
from rich.console import Console

from mlsmac.study.builds import builds, chosen
from mlsmac.study.conditions import Conditions
from mlsmac.study.keys import Made
from mlsmac.study.measure import Mapped, mapped
from mlsmac.study.records import from_json, significant, to_json
from mlsmac.study.routed import RoutedReport, RoutedRow, routed_tables
from mlsmac.study.rows import MacReport
from mlsmac.study.stimuli.pairs import build as draw
from mlsmac.study.systems import ENTRIES
from mlsmac.study.terminal import WIDTH, markdown, shown
from mlsmac.support.errors import ToolError, UserError, exit_status
from mlsmac.synth.layout.placement import Placement, place
from mlsmac.synth.layout.wires import lengths
from mlsmac.synth.liberty import pdk
from mlsmac.synth.liberty.library import load
from mlsmac.synth.timing.delays import analyse

REPORT = Path(__file__).parents[1] / "docs" / "results" / "report.json"
LABELS = ("MLS <2,4>", "INT8, proven sum", "FP8 E4M3", "FP32 flush")
"""Rows of the report."""

PLACERS = ("graywolf", "own")


@dataclass(frozen=True)
class Unit:
    """A mapped MAC on its workload."""

    label: str
    mapped: Mapped
    made: Made

    def pj(self, wires_pf: Mapping[str, float]) -> float:
        """Energy an operation with such wires."""
        own, workload = self.mapped, self.made.workload
        timing = analyse(own.netlist, own.library, own.clock, wires_pf=wires_pf)
        timed = replace(own, timing=timing)
        simulated = timed.simulation(workload, self.made.expected).run(timing)
        if simulated.mismatches:
            wrong = f"{simulated.mismatches} of its results are wrong"
            raise ToolError(f"{self.label} must compute with its wires, but {wrong}")
        watts = timed.power(simulated, own.conditions.states).total
        return significant(watts / (own.conditions.clock_mhz * 1e6 * workload.macs) * 1e12, 6)


def units(report: MacReport, labels: Sequence[str]) -> list[Unit]:
    """Those MACs, as the report has them. Raises: UserError."""
    found = pdk.find(report.pdk)
    conditions = Conditions(pdk=found, clock_mhz=report.clock_mhz, script=report.script)
    stimulus = draw(report.stimulus.operations, report.stimulus.seed)
    made = []
    for label in labels:
        tell(f"{label}: mapping")
        entry = next(entry for entry in ENTRIES if entry.label == label)
        measured = next(row.measured for row in report.rows if row.unit == label)
        every = builds(entry.configuration(), conditions, load(found.liberty))
        build = chosen(every, measured)
        own = Made(build.configuration, build.configuration.workload(stimulus))
        made.append(Unit(label, mapped(build, own, conditions), own))
    return made


def compare(unit: Unit, placer: str, lef: Lef) -> RoutedRow:
    """A row: one placement of a unit, estimated and routed."""
    tell(f"{unit.label}, {placer}: placing")
    netlist, library = unit.mapped.netlist, unit.mapped.library
    known = unit.mapped.conditions.pdk
    if known.row_um is None or known.wire_ff_um is None:
        raise ToolError(f"{known.name} must have a row height and a wire capacitance")
    placement: Placement = (
        placed_by_graywolf(netlist, lef)
        if placer == "graywolf"
        else place(netlist, library, row_um=known.row_um)
    )
    estimated = lengths(netlist, placement)
    tell(f"{unit.label}, {placer}: routing")
    wired = routed(netlist, lef, placement)
    tell(f"{unit.label}, {placer}: measuring")
    routed_um = {net: sum(own.values()) for net, own in wired.lengths.items()}
    estimated_pf = {net: um * known.wire_ff_um * 1e-3 for net, um in estimated.items()}
    pairs = np.array([(estimated[net], um) for net, um in routed_um.items()])
    whole, length = sum(estimated.values()), sum(routed_um.values())
    return RoutedRow(
        unit=unit.label,
        placement=placer,
        cells=len(netlist.cells),
        nets=len(routed_um),
        failed_nets=wired.failed,
        core_um2=round(wired.placement.area_um2, 3),
        estimated_um=round(whole, 1),
        on_tracks_um=round(sum(lengths(netlist, wired.placement).values()), 1),
        routed_um=round(length, 1),
        length_ratio=significant(length / whole, 4),
        correlation=significant(float(np.corrcoef(pairs.T)[0, 1]), 4),
        estimated_pf=significant(sum(estimated_pf.values()), 5),
        lef_pf=significant(sum(wired.lef_pf.values()), 5),
        magic_pf=significant(sum(wired.magic_pf.values()), 5),
        pj_without_wires=unit.pj({}),
        pj_estimated=unit.pj(estimated_pf),
        pj_lef=unit.pj(wired.lef_pf),
        pj_magic=unit.pj(wired.magic_pf),
    )


def tell(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def compared(letters: str) -> RoutedReport:
    """All of it, on as many cores as there are. Raises: UserError, ToolError."""
    labels = [label for label in LABELS if letters.lower() in label.lower()]
    if not labels:
        raise UserError(f"--unit must be part of one of {'; '.join(LABELS)}, not {letters!r}")
    check_tools()
    report = from_json(MacReport, json.loads(REPORT.read_text(encoding="utf-8")))
    own = units(report, labels)
    lef = parse_lef(LEF.read_text())
    jobs = [(unit, placer) for unit in own for placer in PLACERS]
    jobs.sort(key=lambda job: -len(job[0].mapped.netlist.cells))  # the longest first
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(lambda job: compare(*job, lef), jobs))
    rows.sort(key=lambda row: (LABELS.index(row.unit), PLACERS.index(row.placement)))
    found = own[0].mapped.conditions.pdk
    return RoutedReport(
        pdk=found.name,
        clock_mhz=report.clock_mhz,
        wire_ff_um=found.wire_ff_um or 0.0,
        operations=report.stimulus.operations,
        seed=report.stimulus.seed,
        tools={tool: _version(tool) for tool in TOOLS},
        rows=tuple(rows),
    )


def _version(package: str) -> str:
    command = ["dpkg-query", "-W", "-f=${Version}", package]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--unit", default="", help="letters of the labels")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    given = parser.parse_args()
    try:
        report = compared(given.unit)
    except (UserError, ToolError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(exit_status(error))
    if given.json:
        print(json.dumps(to_json(report), indent=2))
    elif given.markdown:
        print("\n\n".join(markdown(table) for table in routed_tables(report)))
    else:
        for table in routed_tables(report):
            Console(width=WIDTH + 20).print(shown(table))


if __name__ == "__main__":
    main()
