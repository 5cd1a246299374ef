"""Critical path of a mapped netlist from OpenSTA, which is trusted for timing (never for power).

Ideal clock, no wires, inputs that arrive with the clock edge without slew, one load for every
output: so that units compare.
"""

import re
import subprocess
from dataclasses import dataclass

from ...support.errors import ToolError
from ...support.files import fill, scratch
from ...support.tools import require
from ..liberty.library import Files, load

_DIGITS = 6


class StaError(ToolError):
    """OpenSTA failed or reported no path; the message is one line."""


@dataclass(frozen=True)
class TimingReport:
    """The slowest path. `critical_path_ns` is the shortest clock period that it allows: clock to
    output, logic and setup; `slack_ns` what the given clock leaves; both ends by instance or port.
    """

    critical_path_ns: float
    slack_ns: float
    startpoint: str
    endpoint: str

    @property
    def meets_timing(self) -> bool:
        """Whether the given clock is slow enough."""
        return self.slack_ns >= 0


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
    with scratch() as directory:
        script = _SCRIPT.format(
            top=top,
            clock=clock or "",
            source=f"[get_ports {{{clock}}}]" if clock else "",
            period=clock_ns,
            load=output_load_ff * 1e-3,
            digits=_DIGITS,
        )
        fill(
            directory,
            {"cells.lib": _cells(verilog, liberty), "netlist.v": verilog, "script.tcl": script},
        )
        command = ["sta", "-no_init", "-no_splash", "-exit", "script.tcl"]
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, errors="replace"
        )
    told = done.stdout + done.stderr
    if done.returncode:
        lines = [line for line in told.splitlines() if line.strip()]
        why = f": {lines[-1].strip()}" if lines else ""
        raise StaError(f"OpenSTA ended with status {done.returncode}{why}")
    return parse_report(told, clock_ns)


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
set_input_delay 0 -clock clock $inputs
set_output_delay 0 -clock clock [all_outputs]
set_load {load} [all_outputs]
report_checks -path_delay max -digits {digits}
report_worst_slack -digits {digits}
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
