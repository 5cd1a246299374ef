"""Power of a netlist and an activity that need not be ours, by group, by hierarchy, by instance."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from ..synth.liberty.library import Library
from ..synth.mapping.netlist import Netlist
from ..synth.power.engine import InstancePower, PowerResult
from ..synth.power.recorded import Recorded, power_of
from .columns import Column
from .records import Flat, significant
from .tables import Sheet, Table


@dataclass(frozen=True, kw_only=True)
class Watts:
    """Power in uW."""

    total_uw: Annotated[float, "power, uW"]
    internal_uw: Annotated[float, "of it within cells"]
    switching_uw: Annotated[float, "of it of nets"]
    leakage_uw: Annotated[float, "of it leakage"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """A part of the netlist: no cell is in two groups, and all are in one."""

    group: Annotated[
        str,
        "`sequential`: flops; `clock`: cells and nets from the clock's port to the flops; "
        "`inputs`: nets of the other input ports; `combinational`: all other cells",
    ]
    cells: Annotated[int, "count of cells"]
    power: Annotated[Watts, Flat()]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Cells whose names begin alike."""

    path: Annotated[str, "what they begin with, without the divider"]
    level: Annotated[int, "dividers in it, plus one"]
    cells: Annotated[int, "count of cells, those of branches below included"]
    power: Annotated[Watts, Flat()]
    share: Annotated[float, "of the power of all"]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A cell."""

    instance: Annotated[str, "its name"]
    cell: Annotated[str, "kind of cell"]
    power: Annotated[Watts, Flat()]


@dataclass(frozen=True, kw_only=True)
class NetlistPower:
    """What `mlsmac power` prints."""

    schema: Annotated[int, "grows when a field changes its name or meaning"]
    netlist: Annotated[str, "its top module"]
    library: Annotated[str, "the library's name"]
    volts: Annotated[float, "supply"]
    activity: Annotated[str, "name of the file"]
    states: Annotated[str, "how cell states are known ([power](power.md))"]
    window_ns: Annotated[float, "how long the activity is, or the window in it"]
    cells: Annotated[int, "count of cells"]
    area_um2: Annotated[float, "cell area"]
    power: Annotated[Watts, Flat()]
    energy_pj: Annotated[float, "all energy in the window"]
    operations: Annotated[int | None, "in the window, as given"]
    energy_pj_per_operation: Annotated[float | None, "energy over operations"]
    groups: Annotated[tuple[Group, ...], "parts by what they are"]
    hierarchy: Annotated[tuple[Branch, ...], "parts by name, nothing where names have no divider"]
    instances: Annotated[tuple[Instance, ...], "every cell"]


def netlist_power(
    netlist: Netlist,
    library: Library,
    recorded: Recorded,
    *,
    activity: str,
    operations: int | None = None,
    depth: int = 1,
    divider: str | None = None,
) -> NetlistPower:
    """The power of a netlist in the record's window, `activity` being what the record is called.

    depth: levels of the hierarchy that are told. divider: what separates names in it; None: `.` or
        `/`.
    Raises: as `power_of`.
    """
    power = power_of(netlist, library, recorded)
    energy = power.total * recorded.seconds * 1e12
    kinds = {name: cell.kind for name, cell in netlist.cells.items()}
    return NetlistPower(
        schema=1,
        netlist=netlist.top,
        library=library.name,
        volts=library.volts,
        activity=activity,
        states="counted" if recorded.shares else "independent",
        window_ns=significant(recorded.seconds * 1e9, 9),
        cells=len(kinds),
        area_um2=round(sum(library[kind].area_um2 for kind in kinds.values()), 3),
        power=_watts(_with_nets(power.of(power.instances), power, power.nets)),
        energy_pj=significant(energy, 6),
        operations=operations,
        energy_pj_per_operation=significant(energy / operations, 6) if operations else None,
        groups=tuple(_groups(power)),
        hierarchy=tuple(_branches(power, depth, divider)),
        instances=tuple(
            Instance(instance=name, cell=kind, power=_watts(power.instances[name]))
            for name, kind in kinds.items()
        ),
    )


def _groups(power: PowerResult) -> Iterator[Group]:
    clocks, tree = power.clock.ports, power.clock.cells
    for name, cells, nets in (
        ("sequential", power.flops, frozenset()),
        ("combinational", power.instances.keys() - power.flops - tree, frozenset()),
        ("clock", tree, clocks),
        ("inputs", frozenset(), power.nets.keys() - clocks),
    ):
        own = _with_nets(power.of(cells), power, nets)
        yield Group(group=name, cells=len(cells), power=_watts(own))


def _branches(power: PowerResult, depth: int, divider: str | None) -> Iterator[Branch]:
    """Each before those below it, in alphabetical order."""
    below: dict[tuple[str, ...], list[str]] = {}
    for name in power.instances:
        parts = name.split(divider) if divider else name.replace("/", ".").split(".")
        for level in range(1, min(depth, len(parts) - 1) + 1):
            below.setdefault(tuple(parts[:level]), []).append(name)
    for path in sorted(below):
        own = power.of(below[path])
        yield Branch(
            path=(divider or ".").join(path),
            level=len(path),
            cells=len(below[path]),
            power=_watts(own),
            share=round(own.total / power.total, 4) if power.total else 0.0,
        )


def _with_nets(own: InstancePower, power: PowerResult, nets: Iterable[str]) -> InstancePower:
    """With nets that no cell drives, which switch."""
    return own._replace(switching=own.switching + sum(power.nets[net] for net in sorted(nets)))


def _watts(own: InstancePower) -> Watts:
    parts: Mapping[str, float] = {"total": own.total, **own._asdict()}
    return Watts(**{f"{part}_uw": significant(watts * 1e6, 6) for part, watts in parts.items()})


_PARTS = tuple(
    Column(f"{part} uW", f"{part}, µW", f"power.{part}_uw")
    for part in ("total", "internal", "switching", "leakage")
)
_COUNT = Column("cells", "cells", "cells", None)
_AREA = Column("area um2", "area, µm²", "area_um2", 5)


def power_sheet(result: NetlistPower) -> Sheet:
    """The whole netlist."""
    texts = ("library", "activity", "states")
    energies = (
        Column("energy, pJ", "energy, pJ", "energy_pj", 4),
        Column("energy an operation, pJ", "an operation, pJ", "energy_pj_per_operation", 4),
    )
    return Sheet(
        result.netlist,
        (
            ("{}", tuple(Column(name, name, name, None) for name in (*texts, "cells"))),
            ("{}", (Column("window, ns", "window, ns", "window_ns", 6), _AREA)),
            ("power, {}", _PARTS),
            ("{}", energies),
        ),
        result,
    )


def power_tables(result: NetlistPower) -> list[Table]:
    """Groups, hierarchy, and the cells that take most."""
    share = Column("%", "share, %", "share", 3, 100)
    most = sorted(result.instances, key=lambda own: (-own.power.total_uw, own.instance))[:_MOST]
    columns = {
        name: Column(name, name, name, None) for name in ("group", "path", "instance", "cell")
    }
    tables = [
        Table("By group", (columns["group"], _COUNT, *_PARTS), result.groups),
        Table("By hierarchy", (columns["path"], _COUNT, *_PARTS, share), result.hierarchy),
        Table(
            f"By instance, {len(most)} of {result.cells} that take most",
            (columns["instance"], columns["cell"], *_PARTS),
            most,
        ),
    ]
    return [table for table in tables if table.rows]


_MOST = 10
"""Cells that a terminal shows."""
