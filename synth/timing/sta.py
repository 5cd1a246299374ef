"""Critical path of a mapped netlist from OpenSTA, which is trusted for timing (never for power).

Without wires: ideal clock, inputs that arrive with the clock edge without slew, one load for every
output, so that units compare. With wires: the clock goes through its network, and what drives the
inputs and samples the outputs hangs on it like the last flop: with no skew, paths are those of an
ideal clock.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from ...support.errors import ToolError
from ...support.files import fill, scratch
from ...support.tools import require
from ..liberty.library import Files, load
from ..mapping.netlist import CONSTANT_NETS, Cell, Netlist
from ..mapping.verilog import to_verilog
from ..simulation.portable import LegalNames
from ..simulation.testbench import Names
from .clock import ClockArrivals
from .spef import spef_text

_DIGITS = 6


class StaError(ToolError):
    """OpenSTA failed or reported no path; the message is one line."""


@dataclass(frozen=True)
class TimingReport:
    """The slowest path. `critical_path_ns` is the shortest clock period that it allows: clock to
    output, logic and setup; `slack_ns` what the given clock leaves; both ends by instance or port.

    `hold_slack_ns`, of netlists with wires: what is left of the hold time of the fastest path from
    flop to flop, which skew takes from; None where there is no such path.
    """

    critical_path_ns: float
    slack_ns: float
    startpoint: str
    endpoint: str
    hold_slack_ns: float | None = None

    @property
    def meets_timing(self) -> bool:
        """Whether the given clock is slow enough."""
        return self.slack_ns >= 0

    @property
    def meets_hold(self) -> bool:
        """Whether no flop takes what it should store an edge later."""
        return self.hold_slack_ns is None or self.hold_slack_ns >= 0


def analyse_paths(
    verilog: str,
    top: str,
    liberty: Files,
    *,
    clock_ns: float,
    clock: str | None = "clk",
    output_load_ff: float = 0.0,
) -> TimingReport:
    """Time the module `top` of a mapped netlist at a clock period of `clock_ns` on the port
    `clock`; None for a combinational unit, of which the paths from inputs to outputs are timed.

    Raises: ToolError (OpenSTA is missing), StaError (its own error, or no path between registers
    and ports).
    """
    require("sta")
    middle = _IDEAL.format(load=output_load_ff * 1e-3)
    script = _script(top, clock, clock_ns, middle, end="")
    files = {"cells.lib": _cells(verilog, liberty), "netlist.v": verilog, "script.tcl": script}
    return parse_report(_run(files), clock_ns)


def analyse_wires(
    netlist: Netlist,
    liberty: Files,
    wires_pf: Mapping[str, float],
    arrivals: ClockArrivals,
    *,
    clock_ns: float,
    clock: str | None = "clk",
    output_load_ff: float = 0.0,
) -> TimingReport:
    """Time a netlist with the capacitances of its wires by net, through its clock network, whose
    `arrivals` are known; ends by the netlist's own names.

    Raises: as `analyse_paths`; ValueError (a wire of no net, names that are not legal).
    """
    require("sta")
    names = LegalNames(netlist)
    verilog = to_verilog(_renamed(netlist, names))
    loads = dict(wires_pf)
    for net in (net for nets in netlist.outputs.values() for net in nets):
        if net not in CONSTANT_NETS:
            loads[net] = loads.get(net, 0.0) + output_load_ff * 1e-3
    wires = spef_text(netlist, load(liberty), loads, names)
    middle = _WIRES.format(
        propagated="set_propagated_clock [all_clocks]\n" if clock else "",
        read="read_spef w.spef\n" if any(loads.values()) else "",
        latest=arrivals.latest_ns,
    )
    end = f"report_checks -path_delay min -digits {_DIGITS}\n"
    script = _script(netlist.top, clock, clock_ns, middle, end)
    cells = _CAPACITANCE_RANGE.sub("", _cells(verilog, liberty))
    told = _run({"cells.lib": cells, "netlist.v": verilog, "w.spef": wires, "script.tcl": script})
    if odd := re.search(r"^Warning: (w.spef.*)$", told, re.MULTILINE):
        raise StaError(f"OpenSTA failed: {odd[1]}")
    report = parse_report(told, clock_ns)
    hold = re.search(r"^worst slack .*^ +(\S+) +slack \(", told, re.MULTILINE | re.DOTALL)
    own = {name: cell for cell, name in names.cells.items()}
    start, end = (own.get(point, point) for point in (report.startpoint, report.endpoint))
    hold_slack = float(hold[1]) if hold else None
    return TimingReport(report.critical_path_ns, report.slack_ns, start, end, hold_slack)


_CAPACITANCE_RANGE = re.compile(r"^\s*(rise|fall)_capacitance_range\b.*$", re.MULTILINE)
"""Of which OpenSTA adds the lower end to a wire, not the capacitance itself."""


def _renamed(netlist: Netlist, names: Names) -> Netlist:
    """The netlist under other names."""

    def nets(own: list[str]) -> list[str]:
        return [names.nets.get(net, net) for net in own]

    cells = {
        names.cells[name]: Cell(
            names.cells[name],
            cell.kind,
            dict(zip(cell.pins, nets([*cell.pins.values()]), strict=True)),
        )
        for name, cell in netlist.cells.items()
    }
    inputs, outputs = (
        {port: nets(own) for port, own in ports.items()}
        for ports in (netlist.inputs, netlist.outputs)
    )
    return Netlist(netlist.top, cells, inputs, outputs)


def _run(files: Mapping[str, str]) -> str:
    """What OpenSTA says of `script.tcl` among files. Raises: StaError."""
    with scratch() as directory:
        fill(directory, files)
        command = ["sta", "-no_init", "-no_splash", "-exit", "script.tcl"]
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, errors="replace"
        )
    told = done.stdout + done.stderr
    if done.returncode:
        lines = [line for line in told.splitlines() if line.strip()]
        why = f": {lines[-1].strip()}" if lines else ""
        raise StaError(f"OpenSTA ended with status {done.returncode}{why}")
    return told


def _script(top: str, clock: str | None, clock_ns: float, middle: str, end: str) -> str:
    return _SCRIPT.format(
        top=top,
        clock=clock or "",
        source=f"[get_ports {{{clock}}}]" if clock else "",
        period=clock_ns,
        middle=middle,
        digits=_DIGITS,
        end=end,
    )


_SCRIPT = """\
read_liberty cells.lib
read_verilog netlist.v
link_design {top}
set_cmd_units -time ns -capacitance pF
create_clock -name clock -period {period} {source}
set inputs [list]
foreach port [all_inputs] {{
  if {{[get_property $port full_name] ne {{{clock}}}}} {{ lappend inputs $port }}
}}
{middle}report_checks -path_delay max -digits {digits}
report_worst_slack -digits {digits}
{end}"""
_IDEAL = """\
set_input_delay 0 -clock clock $inputs
set_output_delay 0 -clock clock [all_outputs]
set_load {load} [all_outputs]
"""
# The loads that `delays` knows, whatever resistances wires have, and no set_load, which replaces a
# wire. Hold times among flops alone: how fast what drives the inputs is, is not known.
_WIRES = """\
{propagated}set_delay_calculator lumped_cap
{read}set_input_delay {latest} -clock clock $inputs
set_output_delay -{latest} -clock clock [all_outputs]
set_false_path -hold -from $inputs
set_false_path -hold -to [all_outputs]
"""


def _cells(verilog: str, liberty: Files) -> str:
    """The cells of a netlist, since OpenSTA reads a large library for seconds; no default wire
    loads, which it would apply without a word.
    """
    library = load(liberty)
    words = set(re.findall(r"[^\s();,\\]+", verilog))
    return library.text(words & library.cells.keys(), wire_loads=False)


def parse_report(text: str, clock_ns: float) -> TimingReport:
    """Slack, path and ends from the output of `report_checks` and `report_worst_slack`.

    Raises: StaError where there is an error or no slack (OpenSTA's exit status is 0 even then).
    """
    if error := re.search(r"^Error: (.*)$", text, re.MULTILINE):
        raise StaError(f"OpenSTA failed: {error[1]}")
    slack = re.search(r"^worst slack (-?[\d.]+)$", text, re.MULTILINE)
    ends = [
        re.search(rf"^{point}: (\S+)", text, re.MULTILINE) for point in ("Startpoint", "Endpoint")
    ]
    if slack is None or not all(ends):
        raise StaError("OpenSTA reported no path between registers and ports")
    start, end = (match[1] for match in ends if match)
    value = float(slack[1])
    return TimingReport(round(clock_ns - value, _DIGITS), value, start, end)
