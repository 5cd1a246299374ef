"""Gate-level simulation of a mapped unit: does it compute what it should, and how often does every
net toggle.

One operation a cycle: operands switch with the rising clock edge (non-blocking, as from a register
before them), results are compared just before the next one. Where the clock goes through a tree,
the registers before and behind hang on it too: operands switch when the edge has come to the last
flop of the netlist, results are compared just before it comes to the first one.
"""

import enum
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...support.words import bits, check_words
from ..liberty.library import Library
from ..mapping.netlist import Netlist
from ..power.engine import Activity
from ..timing.clock_network import ClockTree, clock_tree
from ..timing.delays import Timing
from . import icarus
from .circuit import SimulationError, circuit
from .counts import CountedShares, Counts
from .insertion import insertion_ticks
from .testbench import TICKS_PER_NS, Bench

if TYPE_CHECKING:
    from .events import EventSimulation

__all__ = ["Batches", "SimResult", "Simulation", "SimulationError", "Simulator"]

WARM_UP_CYCLES = 8
"""Cycles before the window in which activity counts, where a caller asks for no others: by then
real operands fill any pipeline that is not longer.
"""


class Simulator(enum.Enum):
    """What simulates netlists."""

    EVENTS = "events"
    """The project's own; needs numba (extra `fast`)."""
    ICARUS = "icarus"
    """Icarus Verilog with SDF: slow, by others."""

    @classmethod
    def default(cls) -> "Simulator":
        """The fast one where it can run."""
        return cls.EVENTS if importlib.util.find_spec("numba") else cls.ICARUS


@dataclass(frozen=True, eq=False)
class Batches:
    """Toggles of nets (batch, net) in parts of the window, each of some `cycles`."""

    nets: tuple[str, ...]
    toggles: NDArray[np.int64]
    cycles: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SimResult:
    """What a simulation showed.

    `activity` of every net but the constants; `shares`: how often every cell was in each state;
    `batches`: toggles of parts of the window; `toggled_share`, the share of the cells' pins that
    toggled; `mismatches`, how many of the `operations` had an output that differed from the
    expected one (an undefined bit differs).
    """

    activity: dict[str, Activity]
    shares: CountedShares
    batches: Batches
    toggled_share: float
    mismatches: int
    operations: int


class Simulation:
    """A netlist that computes one operation in each clock cycle of `clock_ns`.

    `stimulus` holds an integer array of N codes for every input port but `clock`, `expected` one
    for every output port to compare (negative codes in two's complement). The result of operation i
    is expected `latency` rising edges after the one with which its operands switch. Activity counts
    from cycle `warm_up` on: by then every net must be defined; `batches` are cycles after it with
    which another part of the window begins. `simulator` None: the default. `bench`: what follows of
    it for a bench.
    Raises: ValueError (a port without codes, codes that do not fit, too few of them),
    SimulationError (an undefined net).
    """

    def __init__(
        self,
        netlist: Netlist,
        library: Library,
        stimulus: Mapping[str, NDArray],
        expected: Mapping[str, NDArray],
        *,
        clock_ns: float,
        clock: str | None = "clk",
        latency: int,
        warm_up: int = WARM_UP_CYCLES,
        batches: Sequence[int] = (),
        simulator: Simulator | None = None,
    ) -> None:
        operations = _operations(netlist, stimulus, expected, clock, warm_up)
        self._edges = [warm_up, *batches, operations]
        if sorted(set(self._edges)) != self._edges:
            rule = f"batches must rise within {warm_up}..{operations}"
            raise ValueError(f"{rule}, not {list(batches)}")
        self._tree = _tree(netlist, library, clock)
        self.bench = Bench(
            clock=clock,
            half=max(round(clock_ns * TICKS_PER_NS / 2), 2),
            latency=latency,
            operations=operations,
            driven=list(stimulus),
            compared=list(expected),
            tree=bool(self._tree.cells),
        )
        self._circuit = circuit(netlist, library)
        self._library, self._stimulus, self._expected = library, stimulus, expected
        self._simulator = simulator or Simulator.default()

    def run(self, timing: Timing | None) -> SimResult:
        """Simulate with the delays of `timing`, so that nets glitch, or with none.

        A unit slower than the clock is simulated as it would behave: the mismatches show it.
        Raises: UserError (the simulator is missing), SimulationError (it failed, an undefined net).
        """
        bench = self.bench if timing is None else self.delayed(timing)
        if self._simulator is Simulator.ICARUS:
            vectors = self._stimulus, self._expected
            mismatches, counts = icarus.run(
                self._circuit, self._library, timing, bench, *vectors, self._edges
            )
        elif timing is None:
            mismatches, counts = self._events.without_delays()
        else:
            mismatches, counts = self._events.with_delays(timing, bench.early, bench.late)
        return self._result(mismatches, counts)

    def delayed(self, timing: Timing) -> Bench:
        """The bench with what the clock's tree takes. Raises: SimulationError (half a period or
        more).
        """
        early, late = insertion_ticks(self._circuit.netlist, self._tree, timing)
        if late >= self.bench.half:
            limit, given = (ticks / TICKS_PER_NS for ticks in (self.bench.half, late))
            rule = f"the clock must come to all flops within half a period, {limit:g} ns"
            raise SimulationError(f"{rule}, but takes {given:g} ns")
        return replace(self.bench, early=early, late=late)

    @cached_property
    def _events(self) -> "EventSimulation":
        from .events import EventSimulation  # numba is an extra
        from .kernels import Vectors

        ports, bench = self._circuit.netlist, self.bench
        input_nets, inputs = self._columns(self._stimulus, ports.inputs)
        output_nets, outputs = self._columns(self._expected, ports.outputs)
        vectors = Vectors(
            input_nets=input_nets,
            inputs=inputs,
            output_nets=output_nets,
            outputs=outputs,
            clock_net=self._circuit.number(ports.inputs[bench.clock][0]) if bench.clock else -1,
            latency=bench.latency,
            half=bench.half,
        )
        return EventSimulation(self._circuit, self._tree, vectors, self._edges)

    def _columns(
        self, ports: Mapping[str, NDArray], nets: Mapping[str, list[str]]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Nets and their bits by cycle."""
        numbers = [self._circuit.numbers(nets[port]) for port in ports]
        values = [bits(codes, len(nets[port])) for port, codes in ports.items()]
        return np.concatenate(numbers).astype(np.uint32), np.concatenate(values, axis=1)

    def _result(self, mismatches: int, counts: Counts) -> SimResult:
        cells, cycles = self._circuit.netlist.cells, np.diff(self._edges)
        duration = int(cycles.sum()) * 2 * self.bench.half
        toggled = np.append(counts.toggles.sum(axis=0) > 0, [False, False])
        pins = self._circuit.numbers(net for cell in cells.values() for net in cell.pins.values())
        return SimResult(
            activity=counts.activity(self._circuit, duration, 1e-9 / TICKS_PER_NS),
            shares=CountedShares.of(self._circuit, counts),
            batches=Batches(tuple(self._circuit.nets), counts.toggles, cycles),
            toggled_share=float(toggled[pins].mean()) if len(pins) else 1.0,
            mismatches=mismatches,
            operations=self.bench.operations,
        )


def _tree(netlist: Netlist, library: Library, clock: str | None) -> ClockTree:
    """Of a combinational unit none."""
    try:
        return clock_tree(netlist, library, netlist.inputs[clock][0] if clock else "")
    except ValueError as error:
        raise SimulationError(str(error)) from None


def _operations(
    netlist: Netlist,
    stimulus: Mapping[str, NDArray],
    expected: Mapping[str, NDArray],
    clock: str | None,
    warm_up: int,
) -> int:
    """Check the vectors; the number of operations."""
    if set(stimulus) != set(netlist.inputs) - {clock}:
        ports = ", ".join(sorted(set(netlist.inputs) - {clock}))
        raise ValueError(
            f"stimulus must be of the ports {ports}, not {', '.join(sorted(stimulus))}"
        )
    if not expected or not set(expected) <= set(netlist.outputs):
        ports = ", ".join(netlist.outputs)
        raise ValueError(f"expected must be of ports among {ports}, not {', '.join(expected)}")
    lengths = {len(codes) for codes in (*stimulus.values(), *expected.values())}
    if len(lengths) != 1:
        raise ValueError(f"all vectors must have one length, not {sorted(lengths)}")
    operations = lengths.pop()
    if operations <= warm_up:
        raise ValueError(f"operations must be more than {warm_up}, not {operations}")
    for vectors, nets in ((stimulus, netlist.inputs), (expected, netlist.outputs)):
        for name, codes in vectors.items():
            try:
                check_words(codes, len(nets[name]))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return operations
