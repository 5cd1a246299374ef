"""The README of an exported result: what the files are, and the commands that repeat it."""

from collections.abc import Mapping
from typing import Any


def readme(facts: Mapping[str, Any]) -> str:
    """Markdown of what `manifest.json` holds."""
    clock, window = facts["clock"], facts["window"]
    files = facts["library"]["files"]
    counted, independent = (facts["power_uw"][states] for states in ("counted", "independent"))
    return _TEXT.format(
        unit=facts["unit"],
        **_words(facts),
        library=" ".join(facts["library"]["files"]),
        digests=", ".join(f"`{name}` (SHA-256 `{sha}`)" for name, sha in files.items()),
        volts=facts["library"]["volts"],
        mhz=clock["mhz"],
        period=clock["period_ns"],
        first=window["first_cycle"],
        cycles=window["cycles"],
        duration=window["duration_ps"],
        operations=facts["operations"],
        latency=facts["latency_cycles"],
        inputs=" ".join(facts["stimulus_ports"]),
        outputs=" ".join(facts["expected_ports"]),
        simulator=facts["simulator"],
        version=facts["tools"]["mlsmac"],
        table="".join(_row(key, counted, independent) for key in _PARTS),
        clock_net=counted["groups"]["clock_net"],
        input_nets=counted["groups"]["input_nets"],
    )


def _words(facts: Mapping[str, Any]) -> dict[str, str]:
    """What a layout changes."""
    unit, clock = facts["unit"], facts["clock"]
    if facts["wires"] != "none":
        return {
            "files": _LAYOUT_FILES.format(unit=unit),
            "way": "through the buffers of the netlist, without slew at its port",
            "switch": "when the last flop has the clock",
            "wires": f"Wires of `{unit}.spef`, lumped",
            "constraints": f"read_spef {unit}.spef\nread_sdc {unit}.sdc",
        }
    source = f" [get_ports {clock['port']}]" if clock["port"] else ""
    return {
        "files": "",
        "way": "ideal, without slew",
        "switch": "with the rising edge",
        "wires": "No wires",
        "constraints": _IDEAL.format(
            period=clock["period_ns"], source=source, inputs=" ".join(facts["stimulus_ports"])
        ),
    }


_LAYOUT_FILES = """\
| `{unit}.def` | where its cells are, nothing routed |
| `{unit}.spef` | capacitance of every wire |
| `{unit}.sdc` | clock, and when inputs come and outputs are taken |
| `config.json` | for LibreLane, where it has the PDK: the same netlist at the same places |
"""
_IDEAL = """\
create_clock -name clock -period {period}{source}
set_input_transition 0 [all_inputs]
set_input_delay 0 -clock clock [get_ports {{{inputs}}}]
set_output_delay 0 -clock clock [all_outputs]"""
_PARTS = ("total", "internal", "switching", "leakage")


def _row(part: str, counted: Mapping[str, float], independent: Mapping[str, float]) -> str:
    return f"| {part} | {counted[part]} | {independent[part]} |\n"


_TEXT = """\
# {unit}

Written by mlsmac {version}. Everything but the Liberty file is here; `manifest.json` has all
conditions and figures.

| file | what it is |
| -- | -- |
| `{unit}.v` | mapped netlist, flat, of library cells |
| `cells.v` | Verilog models of those cells, made from the Liberty file, with paths for the SDF |
| `{unit}.sdf` | delays of every cell, relative to the netlist |
| `{unit}.saif` | activity of every net in the window, from the simulation with these delays |
| `bench.v`, `stimulus.hex`, `expected.hex` | bench (instance `bench.unit`) and its vectors |
| `names.json` | what the cells and nets were called before their names were made legal |
{files}
## Conditions

- Library: {digests} at {volts} V.
- Clock: {mhz:g} MHz, in simulation a period of {period} ns; {way}.
- Inputs switch {switch}, without slew. {wires}, no load on outputs; a default wire
  load of the library must be off.
- {operations} operations, one a cycle, results after {latency} cycles. Ports in a line of
  `stimulus.hex`: {inputs}; of `expected.hex`: {outputs}; the first is the most significant.
- Window: {cycles} cycles from cycle {first} on, {duration} ps. Simulator: {simulator}.

## Power by mlsmac, uW

| | states counted | pins independent |
| -- | -- | -- |
{table}
A SAIF without states of cells leaves a tool to take pins as independent. No cell drives the nets of
the inputs, which most tools leave out; the switching power has them:

- the clock: {clock_net}
- the others: {input_nets}

## Simulation in Icarus Verilog

Without delays, then with delays and a dump of the window in `{unit}.vcd`:

```sh
iverilog -g2005 -Ttyp -gspecify -s bench -o bench.vvp cells.v {unit}.v bench.v
vvp -n bench.vvp
vvp -n bench.vvp +sdf +vcd
```

Each run prints PASS, or FAIL and how many results differ. Icarus searches the whole netlist for
each cell of an SDF, which takes hours for 100,000 cells. Verilator takes no SDF, and the bench
fails in it.

## Timing in OpenSTA

```tcl
foreach file {{{library}}} {{ read_liberty $file }}
read_verilog {unit}.v
link_design {unit}
set_cmd_units -time ns -capacitance pF
{constraints}
read_sdf {unit}.sdf
report_checks
```

## Power in OpenSTA

With a version that has `read_saif`, after the commands above but `read_sdf` and `report_checks`:

```tcl
read_saif -scope bench/unit {unit}.saif
report_power
```

Elsewhere the instance path to strip is `bench/unit` too.
"""
