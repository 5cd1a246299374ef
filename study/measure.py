"""Area, timing and energy of one build of a unit: map, time, simulate on the stimulus, evaluate
power.

A unit has several builds: its multiplier without and with Booth recoding, its adders made of gates
or of library adders. The build of least energy is the unit's result: each unit is compared at its
best.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from ..support.cache import Cache
from ..support.errors import ToolError
from ..support.words import Codes
from ..synth.liberty.library import Library, load
from ..synth.mapping.mapper import MappedNetlist, map_unit, possible_adders
from ..synth.mapping.netlist import Netlist, parse_yosys_json
from ..synth.mapping.recipes import Adders
from ..synth.power.engine import PowerResult, evaluate
from ..synth.simulation.gatesim import simulate
from ..synth.timing.delays import Timing, analyse
from ..synth.timing.sta import analyse_paths
from ..units import Configuration, Workload
from .conditions import Conditions, States
from .keys import Made, result_key
from .records import from_json, to_json
from .rows import MAC_STAGES, Best, BuildRow, Measurement, Split, ZeroDelay

MIN_ACTIVITY_SHARE = 0.99


class MeasureError(ToolError):
    """A netlist that is not what was asked for; the message is one line."""


@dataclass(frozen=True)
class Build:
    """One way to build a unit: its structure, and what its adders are made of."""

    configuration: Configuration
    adders: Adders


def builds(configuration: Configuration, conditions: Conditions, library: Library) -> list[Build]:
    """Every build of a unit that computes the same. The script "speed" is for gates alone.

    A tile takes minutes to measure and has one build: adders of full adder cells where there are
    any, multipliers as configured.
    """
    possible = possible_adders(library, conditions.pdk)
    adders = possible if conditions.script == "area" else [Adders.GATES]
    if configuration.unit.is_tile:
        full = Adders.FULL_ADDERS
        return [Build(configuration, full if full in adders else Adders.GATES)]
    return [Build(variant, kind) for variant in configuration.variants() for kind in adders]


def measure(
    build: Build,
    conditions: Conditions,
    workload: Workload,
    *,
    results: Cache,
) -> Measurement:
    """Metrics of a build.

    Raises: MeasureError (flops that are not the declared ones, pins without activity), and what the
    tools raise.
    """
    made = Made(build.configuration, workload)

    def compute() -> Measurement:
        library = load(conditions.pdk.liberty)
        configuration = build.configuration
        mapped = map_unit(
            made.rtlil,
            configuration.slug,
            conditions.pdk,
            library,
            adders=build.adders,
            script=conditions.script,
            stages=made.component.stage_sets,
        )
        netlist = _Mapped.of(configuration, conditions, library, mapped)
        return netlist.metrics(workload, made.expected, build.adders)

    key = result_key(made, build.adders, conditions, results)
    return from_json(Measurement, results.get(key, lambda: to_json(compute())))


def best(builds: Sequence[Measurement]) -> Best:
    """The build of least energy among those that compute at the clock, else the fastest."""
    told = tuple(
        BuildRow(**{field.name: getattr(build, field.name) for field in fields(BuildRow)})
        for build in builds
    )
    return Best(**vars(min(builds, key=rank)), builds=told)


def rank(build: Measurement) -> tuple[bool, float]:
    """Orders builds: usable ones first, by energy; then the others by their path."""
    figure = build.energy_pj if build.usable else build.critical_path_ns
    return not build.usable, figure or 0.0


@dataclass(frozen=True, kw_only=True)
class _Energy:
    """Energies in pJ an operation, None where the netlist computed anything wrong, and checks."""

    total_pj: float | None = None
    by_stage_pj: Mapping[str, float] = field(default_factory=dict)
    split_pj: Split | None = None
    leakage_uw: float | None = None
    mismatches: int
    activity_share: float
    toggled_share: float


@dataclass(frozen=True)
class _Mapped:
    """One mapped netlist of a unit and what the tools need to look at it."""

    configuration: Configuration
    conditions: Conditions
    library: Library
    mapped: MappedNetlist
    netlist: Netlist
    timing: Timing
    registers: int
    latency: int
    stages: tuple[str, ...]

    @property
    def clock(self) -> str | None:
        """The clock port, where there is one."""
        return _clock(self.registers)

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        conditions: Conditions,
        library: Library,
        mapped: MappedNetlist,
    ) -> "_Mapped":
        netlist = parse_yosys_json(mapped.json)
        flops = sum(library[cell.kind].flop is not None for cell in netlist.cells.values())
        component = configuration.build()
        if flops != component.registers:
            rule = f"{configuration.slug} must map to its {component.registers} registers"
            raise MeasureError(f"{rule}, not to {flops} flops")
        timing = analyse(netlist, library, _clock(flops))
        stages = getattr(component, "stages", ())
        declared = component.registers, component.latency, stages
        return cls(configuration, conditions, library, mapped, netlist, timing, *declared)

    def metrics(
        self, workload: Workload, expected: Mapping[str, Codes], adders: Adders
    ) -> Measurement:
        """Area, timing, and energy in both activity modes."""
        pdk = self.conditions.pdk
        paths = analyse_paths(
            self.mapped.verilog,
            self.configuration.slug,
            pdk.liberty,
            clock_ns=self.conditions.clock_ns,
            clock=self.clock,
        )
        zero = self._energy(workload, expected, None)
        real = self._energy(workload, expected, self.timing)
        return Measurement(
            slug=self.configuration.slug,
            adders=adders.value,
            area_um2=round(self.mapped.area, 3),
            gate_equivalents=round(self.mapped.area / self.library[pdk.nand2].area_um2, 1),
            cells=sum(self.mapped.cells.values()),
            flops=self.registers,
            area_um2_by_stage=self._areas(),
            critical_path_ns=paths.critical_path_ns,
            meets_timing=paths.meets_timing,
            energy_pj=real.total_pj,
            energy_pj_by_stage=real.by_stage_pj,
            **{f"{stage}_pj": real.by_stage_pj.get(stage) for stage in MAC_STAGES},
            energy_pj_zero_delay=zero.total_pj,
            leakage_uw=real.leakage_uw,
            energy_split_pj=real.split_pj,
            zero_delay=ZeroDelay(by_stage_pj=zero.by_stage_pj, split_pj=zero.split_pj),
            activity_share=min(zero.activity_share, real.activity_share),
            toggled_share=real.toggled_share,
            mismatches=real.mismatches,
            mismatches_zero_delay=zero.mismatches,
        )

    def _energy(
        self,
        workload: Workload,
        expected: Mapping[str, Codes],
        timing: Timing | None,
    ) -> _Energy:
        simulated = simulate(
            self.netlist,
            self.library,
            timing,
            workload.inputs,
            expected,
            clock_ns=self.conditions.clock_ns,
            clock=self.clock,
            latency=self.latency,
            warm_up=workload.warm_up,
            count_states=self.conditions.states is States.COUNTED,
        )
        if simulated.pin_share < MIN_ACTIVITY_SHARE:
            rule = f"{self.configuration.slug} must have activity on 99 % of its pins"
            raise MeasureError(f"{rule}, not on {100 * simulated.pin_share:.1f} %")
        checks = _Energy(
            mismatches=simulated.mismatches,
            activity_share=simulated.pin_share,
            toggled_share=round(simulated.toggled_share, 4),
        )
        if simulated.mismatches:
            return checks
        power = evaluate(
            self.netlist,
            self.library,
            self.timing,
            simulated.activity,
            clock_net=self.clock,
            shares=simulated.shares,
        )
        return self._with_energies(checks, power, workload.macs)

    def _with_energies(self, checks: _Energy, power: PowerResult, macs: float) -> _Energy:
        def pj(watts: float) -> float:
            """Energy a MAC."""
            return float(f"{watts / (self.conditions.clock_mhz * 1e6 * macs) * 1e12:.6g}")

        cells = power.of(power.instances)
        nets = sum(power.nets.values())
        clock = power.nets.get(self.clock, 0.0) if self.clock else 0.0
        return replace(
            checks,
            total_pj=pj(power.total),
            by_stage_pj={stage: pj(watts) for stage, watts in self._watts(power, clock)},
            split_pj=Split(
                internal=pj(cells.internal),
                switching=pj(cells.switching + nets),
                leakage=pj(cells.leakage),
                sequential=pj(power.sequential.total),
                combinational=pj(power.combinational.total),
                clock=pj(clock),
                inputs=pj(nets - clock),
            ),
            leakage_uw=float(f"{cells.leakage * 1e6:.6g}"),
        )

    def _by_stage(self) -> dict[str, list[str]]:
        """Names of the cells of every stage; nothing for a part, which has no stages."""
        names: dict[str, list[str]] = {stage: [] for stage in self.stages}
        for name in self.netlist.cells if self.stages else ():
            names[name.partition(".")[0]].append(name)
        return names

    def _areas(self) -> dict[str, float]:
        """Cell area of every stage."""
        cells = self.netlist.cells
        return {
            stage: round(sum(self.library[cells[name].kind].area_um2 for name in names), 3)
            for stage, names in self._by_stage().items()
        }

    def _watts(self, power: PowerResult, clock: float) -> Iterator[tuple[str, float]]:
        """Watts of each stage: its cells, its share of the clock net by flops, and the nets of the
        input ports that no earlier stage reads.
        """
        unread = power.nets.keys() - {self.clock}
        for stage, names in self._by_stage().items():
            flops = len(power.flops.intersection(names))
            read = {net for name in names for net in self.netlist.cells[name].pins.values()}
            inputs = sorted(read & unread)
            unread = unread - read
            watts = power.of(names).total + clock * flops / len(power.flops)
            yield stage, watts + sum(power.nets[net] for net in inputs)


def _clock(registers: int) -> str | None:
    """The clock port's name; None for a combinational unit."""
    return "clk" if registers else None
