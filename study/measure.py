"""Area, timing and energy of one build of a unit: map, time, simulate on the stimulus, evaluate
power.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from ..support.cache import Cache
from ..support.errors import ToolError
from ..support.words import Codes
from ..synth.layout.changes import beyond_limits
from ..synth.layout.flow import LaidOut, lay_out
from ..synth.liberty.library import Library, load
from ..synth.mapping.mapper import MappedNetlist, map_unit
from ..synth.mapping.netlist import Netlist
from ..synth.mapping.recipes import Adders
from ..synth.power.engine import Activity, PowerResult, batch_joules, evaluate
from ..synth.simulation.simulate import SimResult, Simulation
from ..synth.timing.clock import ClockArrivals, clock_arrivals
from ..synth.timing.clock_network import clock_tree
from ..synth.timing.delays import Timing, analyse
from ..synth.timing.sta import TimingReport, analyse_paths, analyse_wires
from ..units import Configuration, Declared, Workload
from .conditions import Conditions, States
from .errors import relative_error
from .keys import Made, result_key
from .layout_rows import HEAVY, LIGHT, LayoutFigures
from .records import from_json, significant, to_json
from .rows import MAC_STAGES, Batches, Measurement, Split, ZeroDelay

_NOT_KEPT = Cache(None)


class MeasureError(ToolError):
    """A netlist that is not what was asked for; the message is one line."""


@dataclass(frozen=True)
class Build:
    """One way to build a unit: its structure, and what its adders are made of."""

    configuration: Configuration
    adders: Adders


def measure(
    build: Build,
    conditions: Conditions,
    workload: Workload,
    *,
    results: Cache,
    maps: Cache = _NOT_KEPT,
) -> Measurement:
    """Metrics of a build; `maps` keeps what is mapped for other builds and workloads.

    Raises: MeasureError (flops that are not the declared ones), and what the
    tools raise.
    """
    made = Made(build.configuration, workload, maps)

    def compute() -> Measurement:
        netlist = mapped(build, made, conditions, maps)
        return netlist.metrics(workload, made.expected, build.adders)

    key = result_key(made, build.adders, conditions, results)
    return from_json(Measurement, results.get(key, lambda: to_json(compute())))


def mapped(build: Build, made: Made, conditions: Conditions, maps: Cache = _NOT_KEPT) -> "Mapped":
    """The netlist of a build, of which `made` is the unit; `maps` keeps its parts. Raises: as
    `measure`.
    """
    library = load(conditions.pdk.liberty)
    configuration = build.configuration
    netlist = map_unit(
        made.rtlil,
        configuration.slug,
        conditions.pdk,
        library,
        adders=build.adders,
        script=conditions.script,
        clock_gating=bool(configuration.values.get("clock_gating")),
        stages=made.declared.stage_sets,
        kept=maps,
    )
    bare = Mapped.of(configuration, made.declared, conditions, library, netlist)
    return bare if conditions.layout is None else bare.laid_out_for(made)


@dataclass(frozen=True, kw_only=True)
class _Energy:
    """Energies in pJ an operation, None where the netlist computed anything wrong, and checks."""

    total_pj: float | None = None
    batches: Batches | None = None
    by_stage_pj: Mapping[str, float] = field(default_factory=dict)
    combinational_by_stage_pj: Mapping[str, float] = field(default_factory=dict)
    split_pj: Split | None = None
    leakage_uw: float | None = None
    mismatches: int | None
    toggled_share: float


@dataclass(frozen=True)
class Mapped:
    """One mapped netlist of a unit and what the tools need to look at it."""

    configuration: Configuration
    conditions: Conditions
    library: Library
    mapped: MappedNetlist
    declared: Declared
    flops: int
    laid_out: LaidOut | None = None

    @property
    def netlist(self) -> Netlist:
        """The cells."""
        return self.mapped.netlist

    @property
    def clock(self) -> str | None:
        """The clock port, where there is one."""
        return self.declared.clock

    @property
    def stages(self) -> tuple[str, ...]:
        """The unit's, by which figures are split."""
        return self.declared.stages

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        declared: Declared,
        conditions: Conditions,
        library: Library,
        mapped: MappedNetlist,
    ) -> "Mapped":
        netlist, slug = mapped.netlist, configuration.slug
        flops = [cell for cell in netlist.cells.values() if library[cell.kind].flop]
        if declared.registers not in (None, len(flops)):
            rule = f"{slug} must map to its {declared.registers} registers"
            raise MeasureError(f"{rule}, not to {len(flops)} flops")
        if declared.clock is not None and not flops:
            raise MeasureError(f"{slug} must have registers, but maps to none")
        own = cls(configuration, conditions, library, mapped, declared, len(flops))
        own.check_clock()
        return own

    def laid_out_for(self, made: Made) -> "Mapped":
        """The netlist placed, sized by its activity in a short run, with a clock tree."""
        assert self.conditions.layout is not None
        workload = made.workload.short()
        expected = self.configuration.reference(workload.inputs)

        def activity_of(netlist: Netlist, timing: Timing) -> Mapping[str, Activity]:
            other = replace(self, mapped=MappedNetlist.of(netlist, self.library))
            return other.simulation(workload, expected).run(timing).activity

        laid_out = lay_out(
            self.netlist,
            self.library,
            self.conditions.pdk,
            self.conditions.layout,
            activity_of,
            clock=self.clock,
            clock_ns=self.conditions.clock_ns,
        )
        mapped = MappedNetlist.of(laid_out.netlist, self.library)
        return replace(self, mapped=mapped, laid_out=laid_out)

    @cached_property
    def timing(self) -> Timing:
        """Loads, slews and delays, with the wires of the layout."""
        return self.timing_with(1.0)

    def timing_with(self, factor: float) -> Timing:
        """The same with `factor` times the capacitance of wires."""
        wires = self.laid_out.wires_pf(factor) if self.laid_out else {}
        return analyse(self.netlist, self.library, self.declared.clock, wires_pf=wires)

    def metrics(
        self, workload: Workload, expected: Mapping[str, Codes], adders: Adders
    ) -> Measurement:
        """Area, timing, and energy in both activity modes."""
        pdk, paths = self.conditions.pdk, self._paths()
        simulation = self.simulation(workload, expected)
        zero = self._energy(workload, simulation.run(None))
        simulated = None if self._clock_is_late else simulation.run(self.timing)
        real = self._energy(workload, simulated) if simulated else self._no_energy(workload)
        return Measurement(
            slug=self.configuration.slug,
            adders=adders.value,
            area_um2=round(self.mapped.area, 3),
            gate_equivalents=round(self.mapped.area / self.library[pdk.nand2].area_um2, 1),
            cells=sum(self.mapped.cells.values()),
            flops=self.flops,
            area_um2_by_stage=self._areas(),
            critical_path_ns=paths.critical_path_ns,
            meets_timing=paths.meets_timing and paths.meets_hold,
            energy_pj=real.total_pj,
            energy_pj_se=_error(real),
            layout=self._layout_figures(workload, paths, simulated, real),
            energy_pj_by_stage=real.by_stage_pj,
            combinational_pj_by_stage=real.combinational_by_stage_pj,
            **{f"{stage}_pj": real.by_stage_pj.get(stage) for stage in MAC_STAGES},
            energy_pj_zero_delay=zero.total_pj,
            leakage_uw=real.leakage_uw,
            energy_split_pj=real.split_pj,
            zero_delay=ZeroDelay(
                by_stage_pj=zero.by_stage_pj,
                combinational_by_stage_pj=zero.combinational_by_stage_pj,
                split_pj=zero.split_pj,
            ),
            toggled_share=real.toggled_share,
            cycles=workload.cycles,
            batches=real.batches,
            mismatches=real.mismatches,
            mismatches_zero_delay=zero.mismatches,
        )

    def simulation(self, workload: Workload, expected: Mapping[str, Codes]) -> Simulation:
        """The workload at the clock."""
        return Simulation(
            self.netlist,
            self.library,
            workload.inputs,
            expected,
            clock_ns=self.conditions.clock_ns,
            clock=self.clock,
            latency=self.declared.latency,
            warm_up=workload.warm_up,
            batches=workload.batches.starts[1:],
            simulator=self.conditions.simulator,
        )

    def power(
        self, simulated: SimResult, states: States, timing: Timing | None = None
    ) -> PowerResult:
        """What the simulated activity costs; `timing`: with loads and slews of other wires."""
        return evaluate(
            self.netlist,
            self.library,
            timing or self.timing,
            simulated.activity,
            clock_net=self.clock,
            shares=simulated.shares if states is States.COUNTED else None,
        )

    def _energy(self, workload: Workload, simulated: SimResult) -> _Energy:
        mismatches = simulated.mismatches if self.declared.checked else None
        checks = _Energy(mismatches=mismatches, toggled_share=round(simulated.toggled_share, 4))
        if mismatches:
            return checks
        power = self.power(simulated, self.conditions.states)
        own = simulated.batches
        seconds = own.cycles * self.conditions.clock_ns * 1e-9
        joules = batch_joules(power, own.nets, own.toggles, seconds)
        batches = Batches(
            strata=workload.batches.strata,
            macs=workload.batches.macs,
            energy_pj=tuple(significant(1e12 * energy, 6) for energy in joules.tolist()),
        )
        return self._with_energies(replace(checks, batches=batches), power, workload.macs)

    def _paths(self) -> TimingReport:
        """The slowest path; with a layout through its wires and its clock's tree."""
        files, port = self.conditions.pdk.liberty, self.clock
        how: Any = {"clock_ns": self.conditions.clock_ns, "clock": port}
        if self.laid_out is None:
            return analyse_paths(self.mapped.verilog, self.configuration.slug, files, **how)
        wires = self.laid_out.wires_pf()
        return analyse_wires(self.netlist, files, wires, self.arrivals, **how)

    @property
    def _clock_is_late(self) -> bool:
        """Whether the clock comes to a flop when it falls at the port, or later: no simulation."""
        return self.arrivals.latest_ns >= self.conditions.clock_ns / 2

    def _no_energy(self, workload: Workload) -> _Energy:
        """Of a unit whose clock is late: no result is right."""
        mismatches = workload.cycles if self.declared.checked else None
        return _Energy(mismatches=mismatches, toggled_share=0.0)

    @cached_property
    def arrivals(self) -> ClockArrivals:
        """When the clock reaches the flops."""
        if self.clock is None:
            return ClockArrivals()
        return clock_arrivals(self.netlist, self.library, self.timing, self.clock)

    def _layout_figures(
        self, workload: Workload, paths: TimingReport, simulated: SimResult | None, real: _Energy
    ) -> LayoutFigures | None:
        """What the layout is, and energies with wires that weigh less and more."""
        own = self.laid_out
        if own is None:
            return None

        def energy(factor: float) -> float | None:
            if real.total_pj is None or simulated is None:
                return None
            timing = self.timing_with(factor)
            power = self.power(simulated, self.conditions.states, timing)
            return self._pj(power.total, workload.macs)

        split, cells = real.split_pj, self.netlist.cells.values()
        return LayoutFigures(
            core_um2=round(own.placement.area_um2, 3),
            wire_um=significant(math.fsum(own.lengths_um.values()), 6),
            wire_ff=significant(1e3 * math.fsum(own.wires_pf().values()), 6),
            resized=own.resized,
            left_out=own.left_out,
            over_limits=sum(
                beyond_limits(cell, self.library[cell.kind], self.timing.loads, self.timing.slews)
                > 0
                for cell in cells
            ),
            clock_buffers=sum(own.clock_tree.buffers.values()),
            clock_within_limits=all(tree.is_within for tree in own.clock_tree.trees),
            clock_gates=sum(bool(self.library[cell.kind].clock_gate) for cell in cells),
            insertion_ns=significant(self.arrivals.latest_ns, 6),
            skew_ns=significant(self.arrivals.skew_ns, 6),
            hold_slack_ns=paths.hold_slack_ns,
            clock_share=round(split.clock / real.total_pj, 4) if split and real.total_pj else None,
            light_pj=energy(LIGHT),
            heavy_pj=energy(HEAVY),
        )

    def _pj(self, watts: float, macs: float) -> float:
        """Energy a MAC, of which a cycle has `macs`."""
        return significant(watts / (self.conditions.clock_mhz * 1e6 * macs) * 1e12, 6)

    def _with_energies(self, checks: _Energy, power: PowerResult, macs: float) -> _Energy:
        pj = partial(self._pj, macs=macs)
        cells = power.of(power.instances)
        nets = sum(power.nets.values())
        clock = self.clock_watts(power)
        return replace(
            checks,
            total_pj=pj(power.total),
            by_stage_pj={stage: pj(watts) for stage, watts in self.stage_watts(power, clock)},
            combinational_by_stage_pj={
                stage: pj(power.of(set(names) - power.flops).total)
                for stage, names in self._by_stage.items()
            },
            split_pj=Split(
                internal=pj(cells.internal),
                switching=pj(cells.switching + nets),
                leakage=pj(cells.leakage),
                sequential=pj(power.sequential.total),
                combinational=pj(power.combinational.total),
                clock=pj(clock),
                inputs=pj(nets - self.clock_net_watts(power)),
            ),
            leakage_uw=significant(cells.leakage * 1e6, 6),
        )

    def check_clock(self) -> None:
        """Raise MeasureError unless all flops have the rising edge of the clock's port."""
        try:
            _ = self._clock_cells
        except ValueError as error:
            raise MeasureError(f"{self.configuration.slug}: {error}") from None

    @cached_property
    def _clock_cells(self) -> frozenset[str]:
        """Buffers and gates on the clock's way to the flops."""
        if self.clock is None:
            return frozenset()
        (net,) = self.netlist.inputs[self.clock]
        return frozenset(clock_tree(self.netlist, self.library, net).cells)

    def clock_watts(self, power: PowerResult) -> float:
        """Of the clock's nets, and of the cells on its way."""
        return power.clocking.total + self.clock_net_watts(power)

    def clock_net_watts(self, power: PowerResult) -> float:
        """Of the net of the clock's port."""
        return power.nets[self.clock] if self.clock else 0.0

    @cached_property
    def _by_stage(self) -> dict[str, list[str]]:
        """Names of the cells of every stage but the clock's; nothing for a part, which has no
        stages.
        """
        names: dict[str, list[str]] = {stage: [] for stage in self.stages}
        for name in self.netlist.cells if self.stages else ():
            if name not in self._clock_cells:
                names[name.partition(".")[0]].append(name)
        return names

    def _areas(self) -> dict[str, float]:
        """Cell area of every stage."""
        cells = self.netlist.cells
        return {
            stage: round(sum(self.library[cells[name].kind].area_um2 for name in names), 3)
            for stage, names in self._by_stage.items()
        }

    def stage_watts(self, power: PowerResult, clock: float) -> Iterator[tuple[str, float]]:
        """Watts of each stage: its cells, its share of the clock's by flops, and the nets of the
        input ports that no earlier stage reads.
        """
        unread = power.nets.keys() - {self.clock}
        for stage, names in self._by_stage.items():
            flops = len(power.flops.intersection(names))
            read = {net for name in names for net in self.netlist.cells[name].pins.values()}
            inputs = sorted(read & unread)
            unread = unread - read
            watts = power.of(names).total + clock * flops / len(power.flops)
            yield stage, watts + sum(power.nets[net] for net in inputs)


def _error(energy: _Energy) -> float | None:
    """Standard error of an energy a MAC."""
    relative = relative_error(energy.batches)
    if relative is None or energy.total_pj is None:
        return None
    return significant(relative * energy.total_pj, 3)
