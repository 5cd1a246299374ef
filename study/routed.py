"""What `bench/layout.py` compares: estimated wires beside those of a placer and a router."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from .columns import Column
from .tables import Table


@dataclass(frozen=True, kw_only=True)
class RoutedRow:
    """A MAC in one placement."""

    unit: Annotated[str, "label, as in `report.json`"]
    placement: Annotated[str, "whose: `graywolf`'s or the project's `own`"]
    cells: Annotated[int, "of the netlist"]
    nets: Annotated[int, "that join two pins or more"]
    failed_nets: Annotated[int, "that qrouter could not route"]
    core_um2: Annotated[float, "area of the rows, as routed"]
    estimated_um: Annotated[float, "Steiner trees between centres of cells, all nets"]
    on_tracks_um: Annotated[
        float, "the same once cells are as wide as in the LEF file and all is on qrouter's tracks"
    ]
    routed_um: Annotated[float, "wires of qrouter on all layers, without vias"]
    length_ratio: Annotated[float, "routed over estimated length"]
    correlation: Annotated[float, "of a net's routed length with its estimated one"]
    estimated_pf: Annotated[float, "estimated length times the library's capacitance of a micron"]
    lef_pf: Annotated[float, "of the wires, by the LEF file's area and two edges of each layer"]
    magic_pf: Annotated[float, "of the wires as magic extracts them, couplings included"]
    pj_without_wires: Annotated[float, "energy an operation, no wires"]
    pj_estimated: Annotated[float, "with estimated wires"]
    pj_lef: Annotated[float, "with routed wires by the LEF file's rule"]
    pj_magic: Annotated[float, "with routed wires as magic extracts them"]


@dataclass(frozen=True, kw_only=True)
class RoutedReport:
    """All of it, and under what."""

    pdk: Annotated[str, "name of the library"]
    clock_mhz: Annotated[float, "clock"]
    wire_ff_um: Annotated[float, "capacitance of a micron in the estimate, fF"]
    operations: Annotated[int, "simulated"]
    seed: Annotated[int, "of the stimulus"]
    tools: Annotated[Mapping[str, str], "versions of Debian's packages"]
    rows: Annotated[tuple[RoutedRow, ...], "a MAC and a placement each"]


_WHICH = Column("unit", "unit", "unit", None), Column("placed by", "placed by", "placement", None)
_LENGTHS = (
    Column("nets", "nets", "nets", None),
    Column("failed", "failed", "failed_nets", None),
    Column("core um2", "core, um²", "core_um2"),
    Column("estimated mm", "estimated, mm", "estimated_um", 4, scale=1e-3),
    Column("on tracks mm", "on tracks, mm", "on_tracks_um", 4, scale=1e-3),
    Column("routed mm", "routed, mm", "routed_um", 4, scale=1e-3),
    Column("ratio", "ratio", "length_ratio"),
    Column("r", "correlation by net", "correlation", 4),
    Column("est fF/um", "estimated, fF/µm", "estimated_pf", scale=1e3, over="estimated_um"),
    Column("LEF fF/um", "LEF rule, fF/µm", "lef_pf", scale=1e3, over="routed_um"),
    Column("magic fF/um", "magic, fF/µm", "magic_pf", scale=1e3, over="routed_um"),
)
_ENERGIES = (
    Column("est pF", "estimated, pF", "estimated_pf"),
    Column("LEF pF", "LEF rule, pF", "lef_pf"),
    Column("magic pF", "magic, pF", "magic_pf"),
    Column("no wires pJ", "no wires, pJ", "pj_without_wires", 4),
    Column("est pJ", "estimated, pJ", "pj_estimated", 4),
    Column("LEF pJ", "LEF rule, pJ", "pj_lef", 4),
    Column("magic pJ", "magic, pJ", "pj_magic", 4),
    Column("est/LEF", "estimated / LEF rule", "pj_estimated", 4, over="pj_lef"),
)


_WIRES = {
    "none": "pj_without_wires",
    "estimated": "pj_estimated",
    "LEF rule": "pj_lef",
    "magic": "pj_magic",
}


def routed_tables(report: RoutedReport) -> list[Table]:
    """Lengths; capacitances and energies; ratios of energies to the first unit's, where there are
    several.
    """
    where = f"{report.pdk}, {report.clock_mhz:g} MHz, {report.operations} operations"
    tables = [
        Table(f"Wires ({report.pdk})", (*_WHICH, *_LENGTHS), report.rows),
        Table(f"Energy an operation ({where})", (*_WHICH, *_ENERGIES), report.rows),
    ]
    base, *others = dict.fromkeys(row.unit for row in report.rows)
    if not others:
        return tables
    ratios = [Column(f"{unit} / {base}", f"{unit} / {base}", (unit,)) for unit in others]
    columns = (_WHICH[1], Column("wires", "wires", "wires", None), *ratios)
    return [*tables, Table("Ratios of energies", columns, list(_ratios(report, base)))]


def _ratios(report: RoutedReport, base: str) -> Iterator[Mapping[str, Any]]:
    """A line a placement and kind of wires: every unit's energy over that of one."""
    rows = {(row.placement, row.unit): row for row in report.rows}
    for placement in dict.fromkeys(row.placement for row in report.rows):
        for wires, field in _WIRES.items():
            own = {unit: getattr(row, field) for (at, unit), row in rows.items() if at == placement}
            ratios = {unit: energy / own[base] for unit, energy in own.items()}
            yield {"placement": placement, "wires": wires, **ratios}
