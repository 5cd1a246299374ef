"""The result of `mlsmac synth` as files with which another tool can repeat it: the netlist of the
chosen build, its delays, the activity of its simulation, and a bench.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from typing import Any

from ..support.errors import UserError
from ..synth.liberty.library import load
from ..synth.power.engine import InstancePower
from ..synth.simulation.cell_models import verilog_models
from ..synth.simulation.portable import LegalNames, flat_text, portable_bench
from ..synth.simulation.saif import Count, saif_text
from ..synth.simulation.simulate import SimResult, Simulation
from ..synth.simulation.testbench import TICKS_PER_NS, hex_words
from ..synth.timing.sdf import sdf_text
from ..units import Configuration, Workload
from ..units.emit import parameters
from .builds import builds, chosen
from .conditions import Conditions, States
from .export_layout import layout_texts
from .export_readme import readme
from .keys import Made, tool_versions
from .measure import Mapped, mapped
from .records import significant
from .rows import Measurement
from .stimuli.pairs import Stimulus


def export(
    configuration: Configuration,
    conditions: Conditions,
    stimulus: Stimulus,
    measured: Measurement,
) -> dict[str, str]:
    """Texts by file name, the same for the same arguments; `measured`: the build to export, one of
    the configuration's.

    Raises: UserError (with its delays the build computes wrong results, so it has no power), and
    what measuring raises.
    """
    if measured.energy_pj is None:
        raise UserError(
            f"{measured.slug} must compute at {conditions.clock_mhz:g} MHz to be exported, "
            f"but {measured.mismatches} of its results are wrong"
        )
    build = chosen(builds(configuration, conditions, load(conditions.pdk.liberty)), measured)
    made = Made(build.configuration, build.configuration.workload(stimulus))
    unit = mapped(build, made, conditions)
    simulation = unit.simulation(made.workload, made.expected)
    simulated = simulation.run(unit.timing)
    names = LegalNames(unit.netlist)
    facts = {
        "unit": measured.slug,
        "options": parameters(build.configuration),
        "adders": measured.adders,
        **_circumstances(unit, made.workload, simulation),
        "mismatches": simulated.mismatches,
        "states": conditions.states.value,
        "energy_pj": measured.energy_pj,
        "power_uw": {states.value: _power(unit, simulated, states) for states in States},
        "tools": {"mlsmac": _version(), **tool_versions(conditions)},
    }
    return {
        **_texts(unit, made, names, simulation, simulated),
        **layout_texts(unit, names),
        "names.json": _json({"cells": _original(names.cells), "nets": _original(names.nets)}),
        "manifest.json": _json(facts),
        "README.md": readme(facts),
    }


def _texts(
    unit: Mapped,
    made: Made,
    names: LegalNames,
    simulation: Simulation,
    simulated: SimResult,
) -> dict[str, str]:
    """The files that tools read."""
    netlist, library, bench = unit.netlist, unit.library, simulation.delayed(unit.timing)
    top = netlist.top
    kinds = {cell.kind for cell in netlist.cells.values()}
    widths = {port: len(nets) for port, nets in (netlist.inputs | netlist.outputs).items()}
    duration = _duration(simulated, simulation)
    return {
        f"{top}.v": flat_text(netlist, names),
        "cells.v": verilog_models(library, kinds, specify=True, late=bench.tree),
        f"{top}.sdf": sdf_text(netlist, unit.timing, names.cells),
        f"{top}.saif": saif_text(
            netlist, names, library, _counts(simulated, duration), duration, _version()
        ),
        "bench.v": portable_bench(netlist, bench, made.workload.warm_up),
        "stimulus.hex": hex_words(made.workload.inputs, widths),
        "expected.hex": hex_words(made.expected, widths),
    }


def _duration(simulated: SimResult, simulation: Simulation) -> int:
    """Of the window, in ticks."""
    return int(simulated.batches.cycles.sum()) * 2 * simulation.bench.half


def _counts(simulated: SimResult, duration: int) -> dict[str, Count]:
    """Of every net; a duty is a whole number of ticks over the duration."""
    toggles = simulated.batches.toggles.sum(axis=0).tolist()
    return {
        net: Count(round(simulated.activity[net].duty * duration), count)
        for net, count in zip(simulated.batches.nets, toggles, strict=True)
    }


def _circumstances(unit: Mapped, workload: Workload, simulation: Simulation) -> dict[str, Any]:
    """Under what the figures hold."""
    conditions, bench = unit.conditions, simulation.bench
    period = 2 * bench.half
    return {
        "library": {
            "name": unit.library.name,
            "files": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in conditions.pdk.liberty
            },
            "volts": unit.library.volts,
        },
        "clock": {
            "port": unit.clock,
            "mhz": conditions.clock_mhz,
            "period_ns": period / TICKS_PER_NS,
        },
        "input_slew_ns": 0.0,
        "output_load_pf": 0.0,
        "wires": f"{unit.netlist.top}.spef" if unit.laid_out else "none",
        "simulator": conditions.simulator.value,
        "window": {
            "first_cycle": workload.warm_up,
            "cycles": workload.cycles - workload.warm_up,
            "duration_ps": (workload.cycles - workload.warm_up) * period,
        },
        "operations": bench.operations,
        "latency_cycles": bench.latency,
        "stimulus_ports": bench.driven,
        "expected_ports": bench.compared,
        "macs_per_cycle": workload.macs,
    }


def _power(unit: Mapped, simulated: SimResult, states: States) -> dict[str, Any]:
    """In uW; nets that no cell drives are a group of their own, and switch."""
    power = unit.power(simulated, states)
    undriven = sum(power.nets.values())
    clock_net = unit.clock_net_watts(power)
    stages = unit.stage_watts(power, unit.clock_watts(power))
    cells = power.of(power.instances)
    whole = cells._replace(switching=cells.switching + undriven)
    return {
        **_parts(whole),
        "groups": {
            "sequential": _parts(power.sequential),
            "combinational": _parts(power.combinational),
            "clock_cells": _parts(power.clocking),
            "clock_net": _uw(clock_net),
            "input_nets": _uw(undriven - clock_net),
        },
        "stages": {stage: _uw(watts) for stage, watts in stages},
    }


def _parts(power: InstancePower) -> dict[str, float]:
    return {"total": _uw(power.total), **{k: _uw(w) for k, w in power._asdict().items()}}


def _uw(watts: float) -> float:
    return significant(watts * 1e6, 6)


def _original(names: Mapping[str, str]) -> dict[str, str]:
    """What each legal name is called in the netlist."""
    return {legal: own for own, legal in names.items()}


def _version() -> str:
    return importlib.metadata.version("mlsmac")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
