"""`mlsmac power`: any mapped netlist and any recorded activity to power."""

import math
from pathlib import Path
from typing import Annotated

import typer

from ...support.errors import UserError
from ..options import Json, Liberty, Pdk, check_range
from ..output import err, json_text, print_paths, show


def power(
    netlist: Annotated[
        list[Path], typer.Argument(metavar="NETLIST.v...", help="Verilog of library cells.")
    ],
    *,
    pdk: Pdk = None,
    liberty: Liberty = None,
    vcd: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Activity: a dump; tells states of cells.")
    ] = None,
    saif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Activity: toggles and time at 1.")
    ] = None,
    top: Annotated[
        str | None, typer.Option(help="Module; default: the one that is in no other.")
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(help="Its instance in the activity, as bench.unit; default: by its ports."),
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="T0,T1", help="Times in ns of a dump, commas between.")
    ] = None,
    operations: Annotated[
        int | None, typer.Option(help="Operations in the window, for the energy of one.")
    ] = None,
    depth: Annotated[int, typer.Option(help="Levels of the hierarchy to show.")] = 1,
    divider: Annotated[
        str | None, typer.Option(help="What divides names of cells; default: . or /")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="JSON file to write.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Power and energy of a mapped netlist, by group, by hierarchy and by instance."""
    from ...study.netlist_power import netlist_power, power_sheet, power_tables
    from ...support.files import write_whole
    from ...synth.liberty.library import load
    from ...synth.liberty.pdk import find
    from ...synth.power.recorded import from_saif, from_vcd, read_netlist

    activity = vcd or saif
    if activity is None or (vcd and saif):
        raise UserError("the activity must be one of --vcd and --saif")
    if window is not None and vcd is None:
        raise UserError("--window must be of a --vcd: a SAIF has no times")
    if operations is not None:
        check_range("--operations", operations, 1)
    check_range("--depth", depth, 0)
    times = _window(window)
    for path in (*netlist, activity):
        if not path.is_file():
            raise UserError(f"{path}: no such file")
    if liberty and pdk:
        raise UserError("pdk and liberty must not both be given")
    # Not by `find`: a library that units cannot be mapped to will do.
    library = load(liberty or find(pdk).liberty)
    with err.status(f"reading {netlist[0]} and {activity}"):
        read = read_netlist(netlist, library, top)
        if vcd:
            recorded = from_vcd(vcd, read, library, scope, times)
        else:
            recorded = from_saif(activity, read, library, scope)
        result = netlist_power(
            read,
            library,
            recorded,
            activity=activity.name,
            operations=operations,
            depth=depth,
            divider=divider,
        )
    if output is not None:
        write_whole({output: json_text(result)})
    show(result, as_json, [power_sheet(result), *power_tables(result)])
    if output is not None:
        print_paths([output])


def _window(text: str | None) -> tuple[float, float] | None:
    """Two times. Raises: UserError."""
    if text is None:
        return None
    try:
        first, last = map(float, text.split(","))
    except ValueError:
        first = last = math.nan
    if not (math.isfinite(first) and math.isfinite(last)):
        raise UserError(f"--window must be two times in ns, as 100,2000, not {text!r}")
    return first, last
