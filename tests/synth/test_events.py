"""The simulator `events`: answers by hand, what it refuses, and random netlists against a model in
plain Python and against Icarus.
"""

import os
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mlsmac.synth.liberty.cells import ArcKind, Sense
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.simulation import icarus, kernels, testbench
from mlsmac.synth.simulation.simulate import Simulation, SimulationError, Simulator
from mlsmac.synth.timing.delays import ArcDelay, Timing

EVENTS, ICARUS = Simulator.EVENTS, Simulator.ICARUS
INPUTS = {"clk": ["clk"], "a": ["a"], "b": ["b"], "c": ["c"]}


@dataclass(frozen=True)
class Case:
    """A netlist with delays in ticks, (rise, fall) by cell, input and output pin, and vectors."""

    netlist: Netlist
    delays: dict
    stimulus: dict
    expected: dict
    half: int
    latency: int = 1
    warm_up: int = 0
    batches: tuple = ()

    @property
    def clock(self):
        return "clk" if "clk" in self.netlist.inputs else None

    @property
    def edges(self):
        operations = len(next(iter(self.expected.values())))
        return [2 * self.half * c for c in (self.warm_up, *self.batches, operations)]

    def timing(self):
        arcs = [
            ArcDelay(cell, pin, out, ArcKind.COMBINATIONAL, Sense.NON_UNATE, rise / 1e3, fall / 1e3)
            for (cell, pin, out), (rise, fall) in sorted(self.delays.items())
        ]
        return Timing({}, {}, tuple(arcs))

    def simulation(self, library, simulator=EVENTS):
        return Simulation(
            self.netlist,
            library,
            {port: np.array(codes) for port, codes in self.stimulus.items()},
            {port: np.array(codes) for port, codes in self.expected.items()},
            clock_ns=2 * self.half / 1e3,
            clock=self.clock,
            latency=self.latency,
            warm_up=self.warm_up,
            batches=self.batches,
            simulator=simulator,
        )

    def run(self, library, *, simulator=EVENTS, timed=True):
        return self.simulation(library, simulator).run(self.timing() if timed else None)


class Model:
    """What a netlist does, in plain Python: the semantics as they are told, nothing else.

    An output has a target. Where its function differs from that, it takes the value, and an event
    comes after the shortest delay of the pins that changed at this tick. An event that fires gives
    the net the target of that moment. At a rising edge flops sample after events have fired and
    before inputs switch; results are compared at the end of the last tick of a cycle.

    Behind a tree a flop samples what was there before the tick in which its clock pin rises, inputs
    switch when the last one does, results are compared before the first one does. A clock gate
    stores at the end of each tick in which its clock pin is 0.
    """

    def __init__(self, case, library, *, timed=True):
        self.case, self.timed = case, timed
        self.cells = case.netlist.cells
        self.kinds = {name: library[cell.kind] for name, cell in self.cells.items()}
        self.values = {"1'0": 0, "1'1": 1}
        for nets in (*case.netlist.inputs.values(), *case.netlist.outputs.values()):
            self.values |= {net: 0 for net in nets if net not in self.values}
        for cell in self.cells.values():
            self.values |= {net: 0 for net in cell.pins.values() if net not in self.values}
        self.readers = {net: [] for net in self.values}
        for name, kind in self.kinds.items():
            for pin in kind.inputs:
                self.readers[self.cells[name].pins[pin.name]].append((name, pin.name))
        self.outputs = {
            name: [pin for pin in kind.outputs if pin.name in self.cells[name].pins]
            for name, kind in self.kinds.items()
        }
        self.stored = {name: 0 for name, kind in self.kinds.items() if kind.states}
        clocks = [self.cells[n].pins["CK"] for n, kind in self.kinds.items() if kind.states]
        self.has_tree = any(net != "clk" for net in clocks)
        self.drivers = {
            cell.pins[pin.name]: (name, pin)
            for name, cell in self.cells.items()
            for pin in self.outputs[name]
        }
        late = [self._arrival(net, 1) for net in clocks] if self.has_tree and timed else []
        self.early, self.late = min(late, default=0), max(late, default=0)
        self.known, self.pending, self.target = {}, {}, {}
        self.log, self.results = [], []
        while True:  # settles
            before = dict(self.values)
            for name in self.cells:
                for pin in self.outputs[name]:
                    value = self._value(name, pin.function)
                    self.values[self.cells[name].pins[pin.name]] = value
                    self.target[name, pin.name] = value
            if self.values == before:
                break
        self._latch()
        self.initial = {net: value for net, value in self.values.items() if "'" not in net}

    def _value(self, name, function):
        """Of a function of a cell; remembered by its arguments."""
        pins = [(pin.name, self.cells[name].pins[pin.name]) for pin in self.kinds[name].inputs]
        bits = tuple(self.values[net] for _, net in pins)
        key = id(function), bits, self.stored.get(name)
        if key not in self.known:
            arguments = {pin: np.bool_(bit) for (pin, _), bit in zip(pins, bits, strict=True)}
            if name in self.stored:
                own = np.bool_(self.stored[name])
                arguments |= {"IQ": own, "IQN": ~own}
            self.known[key] = int(function.evaluate(arguments))
        return self.known[key]

    def run(self):
        """Wrong results; then `log` holds all changes (tick, net, value), `results` the outputs'
        codes by operation.
        """
        case, wrong = self.case, 0
        for cycle in range(len(next(iter(case.expected.values()))) + case.latency):
            edge = 2 * case.half * cycle
            if self.has_tree:
                if not self.early:
                    wrong += self._compare(cycle - 1)
                self._tick(edge, lambda _, cycle=cycle: self._tree_rise(cycle))
                if self.early:
                    self._until(edge + self.early)
                    wrong += self._compare(cycle - 1)
                self._until(edge + self.late)
                if self.late:
                    self._tick(edge + self.late, lambda _, cycle=cycle: self._drive(cycle))
            else:
                self._tick(edge, lambda now, cycle=cycle: self._rise(now, cycle))
            self._until(edge + case.half)
            self._tick(edge + case.half, lambda _: self._write("clk", 0))
            self._until(edge + 2 * case.half)
            if not self.has_tree:
                wrong += self._compare(cycle)
        if self.has_tree:
            if self.early:
                self._tick(edge + 2 * case.half, lambda _: self._write("clk", 1))
                self._until(edge + 2 * case.half + self.early)
            wrong += self._compare(cycle)
        return wrong

    def _until(self, end):
        while (now := min([*self.pending, end])) < end:
            self._tick(now)

    def _arrival(self, net, value):
        """Ticks from the clock's rising edge until a net of its tree takes a value."""
        if net == "clk":
            return 0
        name, out = self.drivers[net]
        pin = "CK" if self.kinds[name].states else "A"
        own = self.case.delays[name, pin, out.name][1 - value]
        before = 1 - value if self.cells[name].kind == "INV" else value
        return self._arrival(self.cells[name].pins[pin], before) + own

    def _latch(self):
        """Clock gates store."""
        for name, kind in self.kinds.items():
            if kind.latch and self._value(name, kind.latch.enable):
                self.stored[name] = self._value(name, kind.latch.data_in)

    def _compare(self, cycle):
        row = cycle - self.case.latency
        if row < 0:
            return False
        ports = self.case.netlist.outputs.items()
        codes = {p: sum(self.values[net] << i for i, net in enumerate(nets)) for p, nets in ports}
        self.results.append(codes)
        return any(codes[port] != expected[row] for port, expected in self.case.expected.items())

    def _write(self, net, value):
        if net in self.values and self.values[net] != value:
            self.values[net] = value
            self.changed ^= {net}

    def _fire(self, now):
        for name, pin in self.pending.pop(now, ()):
            self._write(self.cells[name].pins[pin], self.target[name, pin])

    def _tick(self, now, happens=lambda _: None):
        """All of one tick."""
        self.changed = set()
        before = dict(self.values)
        self._fire(now)
        happens(now)
        changed = set(self.changed)
        while True:
            pins = {}
            for name, pin in (reader for net in self.changed for reader in self.readers[net]):
                pins.setdefault(name, []).append(pin)
            for name, own in pins.items():
                kind = self.kinds[name]
                if kind.flop and self.has_tree and "CK" in own:
                    self._sample(name, before)
                if not kind.flop or self.has_tree:
                    for out in self.outputs[name]:
                        self._aim(name, out, own, now)
            if now not in self.pending:  # what no delay has brought to this tick
                break
            self.changed = set()
            self._fire(now)
            changed ^= self.changed
        self._latch()
        self.log += [(now, net, self.values[net]) for net in sorted(changed)]

    def _rise(self, now, cycle):
        flops = [name for name, kind in self.kinds.items() if kind.flop]
        nexts = {name: self._value(name, self.kinds[name].flop.next_state) for name in flops}
        self.stored |= nexts
        for name in flops:
            for out in self.outputs[name]:
                self._aim(name, out, ["CK"], now)
        self._write("clk", 1)
        self._drive(cycle)

    def _tree_rise(self, cycle):
        self._write("clk", 1)
        if not self.late:
            self._drive(cycle)

    def _sample(self, name, before):
        """Where its clock pin rises in this tick, a flop stores what its pins said before it."""
        clock = self.cells[name].pins["CK"]
        if self.values[clock] and not before[clock]:
            now, self.values = self.values, before
            self.stored[name] = self._value(name, self.kinds[name].flop.next_state)
            self.values = now

    def _drive(self, cycle):
        for port, codes in self.case.stimulus.items():
            for i, net in enumerate(self.case.netlist.inputs[port] if cycle < len(codes) else ()):
                self._write(net, int(codes[cycle]) >> i & 1)

    def _aim(self, name, out, pins, now):
        value = self._value(name, out.function)
        if value != self.target[name, out.name]:
            self.target[name, out.name] = value
            delays = (self.case.delays.get((name, pin, out.name)) for pin in pins)
            delay = min(delay[1 - value] for delay in delays if delay) if self.timed else 0
            self.pending.setdefault(now + delay, []).append((name, out.name))


def check(case, library, recount, *, timed=True, icarus=False):
    """Events against the model, and against Icarus where it is there: all counts. The result."""
    model = Model(case, library, timed=timed)
    wrong = model.run()
    result = case.run(library, timed=timed)
    assert result.mismatches == wrong
    counted = recount(case.netlist, library, model.initial, model.log, case.edges)
    compare(case, result, counted)
    if icarus and shutil.which("iverilog"):
        compare_results(result, case.run(library, simulator=ICARUS, timed=timed))
    return result


def compare(case, result, counted):
    """A result's counts against those of `recount`, net by net and state by state."""
    for number, net in enumerate(result.batches.nets):
        assert result.batches.toggles[:, number].tolist() == counted.toggles[net], net
        high = result.activity[net].duty * (case.edges[-1] - case.edges[0])
        assert high == pytest.approx(counted.high[net], abs=1e-3), net
    for kind, names in result.shares.names.items():
        for number, name in enumerate(names):
            time, left = result.shares.time[kind], result.shares.toggles[kind]
            np.testing.assert_array_equal(time[:, number], counted.time[name], name)
            np.testing.assert_array_equal(left[:, :, number], counted.left[name], name)


def gates(cells, delays, inputs, **changes):
    """A unit of `cells` (kind, pins by name) whose inputs, in cycles of 200 ticks, are `inputs`,
    and whose outputs are all its nets; all are expected to be 0.
    """
    made = {name: Cell(name, kind, pins) for name, (kind, pins) in cells.items()}
    ports = {port: [port] for port in inputs}
    clocked = any("CK" in cell.pins for cell in made.values())
    outs = [cell.pins[pin] for cell in made.values() for pin in OUTS if _drives(cell, pin)]
    netlist = Netlist("top", made, {**({"clk": ["clk"]} if clocked else {}), **ports}, {"o": outs})
    expected = {"o": np.zeros(len(next(iter(inputs.values()))), dtype=int)}
    delays = {
        (name, pin, out): ticks
        for (name, path), ticks in delays.items()
        for pin, out in [path.split(">")]
    }
    return Case(netlist, delays, inputs, expected, 100, int(clocked), **changes)


OUTS = ("Y", "Z", "S", "CO", "Q", "QN")


def _drives(cell, pin):
    return pin in cell.pins and not (pin == "S" and cell.kind in ("MUX2", "DFFS"))


def shown(case, library, recount, net):
    """Toggles of a net by cycle, and how many ticks it is 1, from cycle 0 on; as the model has it,
    and Icarus where it is there.
    """
    operations = len(next(iter(case.expected.values())))
    case = replace(case, batches=tuple(range(case.warm_up + 1, operations)))
    result = check(case, library, recount, icarus=True)
    high = result.activity[net].duty * (case.edges[-1] - case.edges[0])
    return result.batches.toggles[:, result.batches.nets.index(net)].tolist(), round(high)


def compare_results(one, two):
    """All that two simulations showed."""
    assert one.mismatches == two.mismatches
    assert one.activity == two.activity
    np.testing.assert_array_equal(one.batches.toggles, two.batches.toggles)
    assert one.shares.names == two.shares.names
    for kind in one.shares.names:
        np.testing.assert_array_equal(one.shares.time[kind], two.shares.time[kind])
        np.testing.assert_array_equal(one.shares.toggles[kind], two.shares.toggles[kind])


PULSE = {"i": ("INV", {"A": "a", "Y": "n"}), "g": ("AND2", {"A": "a", "B": "n", "Y": "y"})}


@pytest.mark.parametrize(
    ("rise", "toggles", "high"),
    [
        (9, [0, 2, 0], 10 + 7 - 9),  # up at 9, down at 10 + 7
        (10, [0, 2, 0], 7),  # events of a tick come before what cells make of it
        (11, [0, 0, 0], 0),  # the target is 0 again when the event comes
        (30, [0, 0, 0], 0),
    ],
)
def test_a_pulse_shorter_than_the_delay_vanishes(toy, recount, rise, toggles, high):
    delays = {("i", "A>Y"): (5, 10), ("g", "A>Y"): (rise, 6), ("g", "B>Y"): (40, 7)}
    case = gates(PULSE, delays, {"a": [0, 1, 1]})
    assert shown(case, toy, recount, "y") == (toggles, high)


def test_an_event_of_a_cancelled_edge_releases_a_later_one(toy, recount):
    """Edges of the sum at 0 (for 50), at 10 (for 100) and at 20 (for 120): at 50 it is 1 again."""
    cells = {
        "b1": ("BUF", {"A": "a", "Y": "n"}),
        "b2": ("BUF", {"A": "a", "Y": "m"}),
        "g": ("FA", {"A": "a", "B": "n", "C": "m", "S": "y"}),
    }
    delays = {("b1", "A>Y"): (10, 10), ("b2", "A>Y"): (20, 20)}
    delays |= {("g", "A>S"): (50, 50), ("g", "B>S"): (9, 90), ("g", "C>S"): (100, 100)}
    case = gates(cells, delays, {"a": [0, 1, 1]})
    assert shown(case, toy, recount, "y") == ([0, 1, 0], 150 + 200)


@pytest.mark.parametrize(
    ("b", "high"),
    [([0, 1, 1], 200 - 15 + 200), ([1, 1, 1], 200 - 40 + 200)],
)
def test_simultaneous_inputs_count_as_one_with_the_smallest_delay(toy, recount, b, high):
    cells = {"g": ("AND2", {"A": "a", "B": "b", "Y": "y"})}
    delays = {("g", "A>Y"): (40, 3), ("g", "B>Y"): (15, 4)}
    case = gates(cells, delays, {"a": [0, 1, 1], "b": b})
    assert shown(case, toy, recount, "y") == ([0, 1, 0], high)


def test_pins_that_change_against_each_other_are_no_pulse(toy, recount):
    cells = {"g": ("XOR2", {"A": "a", "B": "b", "Y": "y"})}
    delays = {("g", "A>Y"): (1, 1), ("g", "B>Y"): (15, 15)}
    case = gates(cells, delays, {"a": [1, 0, 1], "b": [0, 1, 0]})
    assert shown(case, toy, recount, "y") == ([1, 0, 0], 600 - 1)


def test_a_pin_that_an_output_does_not_depend_on(toy, recount):
    """It changes with the others and says nothing of the delay."""
    cells = {"g": ("TWO", {"A": "a", "B": "b", "C": "c", "Y": "y", "Z": "z"})}
    delays = {("g", "A>Y"): (40, 3), ("g", "B>Y"): (15, 4), ("g", "C>Z"): (2, 2)}
    rising = {pin: [0, 1, 1] for pin in "abc"}
    case = gates(cells, delays, rising)
    assert shown(case, toy, recount, "y") == ([0, 1, 0], 400 - 15)
    assert shown(case, toy, recount, "z") == ([0, 1, 0], 200 + 2)


def test_two_pins_on_one_net(toy, recount):
    cells = {
        "g": ("AND2", {"A": "a", "B": "a", "Y": "y"}),
        "x": ("XOR2", {"A": "a", "B": "a", "Y": "z"}),
    }
    delays = {("g", "A>Y"): (40, 3), ("g", "B>Y"): (15, 4)}
    delays |= {("x", "A>Y"): (1, 1), ("x", "B>Y"): (2, 2)}
    case = gates(cells, delays, {"a": [0, 1, 0]})
    assert shown(case, toy, recount, "y") == ([0, 1, 1], 200 - 15 + 3)
    assert shown(case, toy, recount, "z") == ([0, 0, 0], 0)


def test_a_path_takes_a_tick_at_least(toy, recount):
    """Without, the pulse would be within a tick, which is no toggle."""
    none = dict.fromkeys([("i", "A>Y"), ("g", "A>Y"), ("g", "B>Y")], (0, 0))
    case = gates(PULSE, none, {"a": [0, 1, 1]})
    for simulator in (EVENTS, *([ICARUS] if shutil.which("iverilog") else [])):
        result = case.run(toy, simulator=simulator)
        assert result.batches.toggles.tolist() == [[1, 1, 2]]  # a, n, y
        assert result.activity["y"].duty == pytest.approx(1 / 600)


def test_constants_and_tie_cells(toy, recount):
    cells = {
        "t": ("TIE1", {"Y": "t"}),
        "g": ("MUX2", {"A": "1'0", "B": "a", "S": "t", "Y": "y"}),
        "h": ("NAND2", {"A": "a", "B": "1'0", "Y": "z"}),
    }
    delays = {("g", f"{pin}>Y"): (9, 9) for pin in "ABS"} | {("h", "A>Y"): (9, 9)}
    case = gates(cells, delays, {"a": [0, 1, 0]})
    assert shown(case, toy, recount, "y") == ([0, 1, 1], 200)
    assert shown(case, toy, recount, "t") == ([0, 0, 0], 600)
    assert shown(case, toy, recount, "z") == ([0, 0, 0], 600)


def test_both_outputs_of_a_flop(toy, recount):
    """Each has its own delays; the state is what the first one shows."""
    cells = {
        "f": ("DFF", {"CK": "clk", "D": "a", "Q": "q", "QN": "p"}),
        "g": ("DFF", {"CK": "clk", "D": "a", "QN": "r"}),
    }
    delays = {("f", "CK>Q"): (3, 5), ("f", "CK>QN"): (20, 30), ("g", "CK>QN"): (7, 11)}
    case = gates(cells, delays, {"a": [0, 0, 1, 0, 0]}, warm_up=2)
    assert shown(case, toy, recount, "q") == ([0, 1, 1], 200 - 3 + 5)
    assert shown(case, toy, recount, "p") == ([0, 1, 1], 600 - 200 - 20 + 30)
    assert shown(case, toy, recount, "r") == ([0, 1, 1], 600 - 200 - 7 + 11)
    time = case.run(toy).shares.time["DFF"]
    assert time[4:].sum(axis=0).tolist() == [200 - 3 + 5, 200 - 11 + 7]


def test_a_flop_that_holds(toy, recount):
    cells = {"f": ("DFFE", {"CK": "clk", "D": "a", "E": "b", "Q": "q"})}
    inputs = {"a": [0, 1, 1, 0, 1, 0, 0], "b": [1, 1, 1, 0, 0, 1, 1]}
    case = gates(cells, {("f", "CK>Q"): (3, 5)}, inputs, warm_up=2)
    # Sampled with the edge after: 0 1 1 (hold) (hold) 0; up with edge 2, down with edge 6.
    assert shown(case, toy, recount, "q") == ([1, 0, 0, 0, 1], 800 - 3 + 5)


CHAIN = {"b": ("BUF", {"A": "a", "Y": "n"}), "f": ("DFF", {"CK": "clk", "D": "n", "Q": "q"})}


@pytest.mark.parametrize(("delay", "cycle"), [(199, 3), (200, 3), (201, 4)])
def test_a_flop_sees_what_comes_with_the_edge(toy, recount, delay, cycle):
    """a rises with edge 2."""
    delays = {("b", "A>Y"): (delay, delay), ("f", "CK>Q"): (3, 5)}
    case = gates(CHAIN, delays, {"a": [0, 0, 1, 1, 1, 1]}, warm_up=1)
    toggles, _ = shown(case, toy, recount, "q")
    assert toggles == [int(number == cycle) for number in range(1, 6)]


def test_states_at_the_edges_of_the_clock(toy):
    """D changes with the falling edge, then with the rising one: both leave one state."""
    for delay, clock, data in ((100, 1, 1), (200, 0, 0)):
        delays = {("b", "A>Y"): (delay, delay), ("f", "CK>Q"): (3, 5)}
        case = gates(CHAIN, delays, {"a": [0, 0, 1, 1, 1, 1]}, warm_up=1)
        # By pin (clock, data) and state (bits: clock, data, stored).
        left = case.run(toy).shares.toggles["DFF"][:, :, 0]
        assert left[1].tolist() == [1 - clock, clock, 0, 0, 0, 0, 0, 0]
        assert left[0].sum() == 10
        assert left[0, clock] >= 1 + data


@pytest.mark.parametrize(("delay", "wrong"), [(198, 0), (199, 0), (200, 1), (399, 1), (401, 2)])
def test_results_count_at_the_last_tick_of_a_cycle(toy, recount, delay, wrong):
    """Without a clock, and behind a flop."""
    inputs = {"a": [0, 1, 1, 1, 1, 1]}
    case = gates({"b": ("BUF", {"A": "a", "Y": "y"})}, {("b", "A>Y"): (delay, delay)}, inputs)
    case = replace(case, expected={"o": [0, 1, 1, 1, 1, 1]})
    assert check(case, toy, recount, icarus=True).mismatches == wrong
    cells = {"f": ("DFF", {"CK": "clk", "D": "a", "Q": "q"})}
    case = gates(cells, {("f", "CK>Q"): (delay, delay)}, inputs, warm_up=3)
    case = replace(case, expected={"o": [0, 1, 1, 1, 1, 1]})
    assert check(case, toy, recount, icarus=True).mismatches == wrong


def test_a_unit_that_misses_its_clock_by_cycles(toy, recount):
    """The chain takes 2.5 cycles: a pulse of a cycle lives on, as no stage is longer than it."""
    nets = ["a", "n1", "n2", "n3", "n4", "y"]
    cells = {f"b{i}": ("BUF", {"A": nets[i], "Y": nets[i + 1]}) for i in range(5)}
    delays = {(f"b{i}", "A>Y"): (100, 100) for i in range(5)}
    case = gates(cells, delays, {"a": [0, 1, 0, 0, 0, 0]})
    case = replace(case, expected={"o": [0] * 6})
    assert shown(case, toy, recount, "y") == ([0, 0, 0, 1, 1, 0], 200)
    # One stage of 2.5 cycles: the pulse vanishes.
    case = gates({"b": cells["b0"]}, {("b", "A>Y"): (500, 500)}, {"a": [0, 1, 0, 0, 0, 0]})
    assert shown(case, toy, recount, "n1") == ([0] * 6, 0)


@pytest.mark.parametrize(("delay", "window"), [(199, [1, 0]), (200, [0, 1]), (599, [0, 1])])
def test_a_toggle_at_an_edge_belongs_to_what_begins(toy, recount, delay, window):
    """a rises with edge 1; batches are cycle 1 and cycles 2 to 3."""
    case = gates(
        {"b": ("BUF", {"A": "a", "Y": "y"})},
        {("b", "A>Y"): (delay, delay)},
        {"a": [0, 1, 1, 1]},
        warm_up=1,
        batches=(2,),
    )
    result = check(case, toy, recount)
    assert result.batches.toggles[:, 1].tolist() == window
    assert result.batches.cycles.tolist() == [1, 2]
    late = replace(case, delays={("b", "A", "Y"): (600, 600)})
    assert check(late, toy, recount).batches.toggles[:, 1].tolist() == [0, 0]


@pytest.mark.parametrize("longest", [1, 30, 31, 32, 62, 63, 64, 65, 126, 127, 128, 4095, 4096])
def test_the_wheel_of_ticks(toy, recount, longest):
    """A ring of as many ticks as the longest delay needs, at every place of it."""
    cells = {
        "b": ("BUF", {"A": "a", "Y": "n"}),
        "x": ("XOR2", {"A": "n", "B": "a", "Y": "y"}),
    }
    delays = {("b", "A>Y"): (longest, longest), ("x", "A>Y"): (1, 1), ("x", "B>Y"): (2, 3)}
    case = gates(cells, delays, {"a": np.arange(40) // 2 % 2})
    case = replace(case, half=longest + 3 + longest % 7)
    check(case, toy, recount)


def test_more_events_than_there_was_room_for(toy, recount):
    """One output with 50 events under way, each of which releases a later edge."""
    case = gates(
        {"b": ("BUF", {"A": "a", "Y": "y"})}, {("b", "A>Y"): (10_000,) * 2}, {"a": [0, 1] * 40}
    )
    result = check(case, toy, recount)
    assert result.batches.toggles[0, 1] == 80 - 52
    wide = gates(
        {"b": ("BUF", {"A": "a", "Y": "y"}), "i": ("INV", {"A": "a", "Y": "n"})},
        {("b", "A>Y"): (10_000,) * 2, ("i", "A>Y"): (3, 4)},
        {"a": [0, 1] * 40},
    )
    assert check(wide, toy, recount).batches.toggles[0].tolist() == [79, 80 - 52, 79]


def test_more_ticks_than_31_bits_hold(toy, recount, monkeypatch):
    """Segments are cut so that none counts beyond; times go on."""
    case = random_case(toy, 7, gates=40)
    slow = replace(case, half=300_000_000)
    lengths = []
    run = kernels.timed
    monkeypatch.setattr(kernels, "timed", lambda *a: lengths.append(a[3] - a[2]) or run(*a))
    result = check(slow, toy, recount)
    assert (max(lengths), sum(lengths)) == (3, 32)
    assert result.batches.toggles.sum() > 500
    # The same logic as with a fast clock.
    np.testing.assert_array_equal(result.batches.toggles, check(case, toy, recount).batches.toggles)
    with pytest.raises(SimulationError, match="a clock period must have at most 2\\^31 ticks"):
        replace(case, half=1 << 31).run(toy)


@pytest.mark.parametrize("period", [1.0, 0.5, 0.21])
def test_batches_and_threads_change_nothing(toy, monkeypatch, period):
    case = random_case(toy, 5, gates=80, period=period)
    whole = replace(case, batches=()).run(toy)
    for batches in ((9, 10, 11, 29), (20,), tuple(range(9, 30))):
        for threads in (1, 5):
            monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
            parts = replace(case, batches=batches).run(toy)
            assert len(parts.batches.toggles) == len(batches) + 1
            sums = replace(
                parts.batches,
                toggles=parts.batches.toggles.sum(axis=0, keepdims=True),
                cycles=parts.batches.cycles.sum(keepdims=True),
            )
            compare_results(replace(parts, batches=sums), whole)


def test_a_second_run_is_the_first_again(toy):
    """Zero delay before delays, or after; nothing stays from one run to the next."""
    case = random_case(toy, 5, gates=80)
    compare_results(case.run(toy), case.run(toy))
    simulation = case.simulation(toy)
    timing = case.timing()
    one, zero = simulation.run(timing), simulation.run(None)
    compare_results(simulation.run(None), zero)
    compare_results(simulation.run(timing), one)
    compare_results(case.run(toy, timed=False), zero)


GATES = (
    "INV",
    "BUF",
    "AND2",
    "NAND2",
    "NOR3",
    "XOR2",
    "XOR2",
    "MUX2",
    "MUX2",
    "AOI21",
    "TWO",
    "FA",
    "FA",
)
STORES = ("DFF", "DFF", "DFFE", "DFFX")


class RandomNetlist:
    """Gates in no order of levels between flops: nets that reconverge, pins on one net, ties.

    While the input x[0] is 0, every flop stores 0, whatever it held. With a tree, buffers, pairs of
    inverters and clock gates of each other stand between the clock and flops, or nothing.
    """

    def __init__(self, library, seed, gates, step, *, tree=False):
        self.library, self.step = library, step
        self.rng = np.random.default_rng(seed)
        self.cells, self.delays, self.depth = {}, {}, {}
        inputs = {"clk": ["clk"], "x": [f"x{i}" for i in range(16)]}
        flops = max(3, gates // 8)
        self.nets = [*inputs["x"], *(f"q{i}" for i in range(flops)), "t0", "t1", "1'0", "1'1"]
        self.depth = dict.fromkeys(self.nets, 0)
        self._place("TIE0", [], ["t0"])
        self._place("TIE1", [], ["t1"])
        for i in range(gates):
            self._gate(i)
        self.clocks = ["clk"]
        for i in range(flops // 2 if tree else 0):
            self._tree(i)
        stored = [net for i in range(flops) for net in self._flop(i)]
        outputs = {"y": [*stored, *self.nets[-4:], "x1", "1'1"]}
        self.netlist = Netlist("top", self.cells, inputs, outputs)

    def _place(self, kind, ins, outs):
        liberty = self.library[kind]
        name = f"c{len(self.cells)}"
        pins = dict(zip([pin.name for pin in liberty.inputs], ins, strict=True))
        pins |= dict(zip([pin.name for pin in liberty.outputs], outs, strict=False))
        self.cells[name] = Cell(name, kind, {pin: net for pin, net in pins.items() if net})
        for out in liberty.outputs:
            for arc in out.arcs:
                if out.name in self.cells[name].pins:
                    most = 20 if outs[0][:1] in ("k", "l") else 60
                    ticks = 1 + self.step * self.rng.integers(0, most, 2)
                    self.delays[name, arc.related, out.name] = tuple(ticks.tolist())
        level = 1 + max((self.depth.get(net, 0) for net in ins), default=0)
        self.depth |= dict.fromkeys(filter(None, outs), level)
        return outs[0]

    def _any(self):
        """One of all nets, rather of the last ones."""
        first = 0 if self.rng.random() < 0.3 else max(0, len(self.nets) - 25)
        return self.nets[self.rng.integers(first, len(self.nets))]

    def _gate(self, number):
        kind = self.library[GATES[self.rng.integers(len(GATES))]]
        outs = [f"n{number}{pin.name}" for pin in kind.outputs]
        if len(outs) > 1 and self.rng.random() < 0.3:
            outs[self.rng.integers(2)] = ""  # an open output
        self._place(kind.name, [self._any() for _ in kind.inputs], outs)
        self.nets += filter(None, outs)

    def _tree(self, number):
        """A cell, or two, behind a net of the tree; a gate is open while x0 is 0."""
        clock, leaf = self.clocks[self.rng.integers(len(self.clocks))], f"k{number}"
        kind = ("BUF", "INV", "CGATE", "CGATET")[self.rng.integers(4)]
        if kind == "INV":
            clock = self._place(kind, [clock], [f"l{number}"])
        data = []
        if kind.startswith("CGATE"):
            data = [self._place("NAND2", [self._any(), "x0"], [f"g{number}"])]
        if kind == "CGATET":
            data.append(self._place("AND2", [self._any(), self._any()], [f"h{number}"]))
        self._place(kind, [clock, *data], [leaf])
        self.clocks.append(leaf)

    def _flop(self, number):
        """The nets that show it."""
        clock = self.clocks[self.rng.integers(len(self.clocks))]
        kind = STORES[self.rng.integers(len(STORES))]
        data, shown, other = self._any(), f"q{number}", f"p{number}"
        if kind == "DFFX":  # stores what it holds and D are not both: D is that while x0 is 0
            own = self._place("INV", [shown], [f"i{number}"])
            data = self._place("MUX2", [own, data, "x0"], [f"d{number}"])
            self._place(kind, [clock, data], [shown])
            return [shown]
        data = self._place("AND2", [data, "x0"], [f"d{number}"])
        ins = [clock, data]
        if kind == "DFFE":
            ins.append(self._place("NAND2", [self._any(), "x0"], [f"e{number}"]))
        outs = [[shown, other], [shown, ""], [shown]][self.rng.integers(3)]
        if self.rng.random() < 0.3:  # the inverse alone
            outs = ["", shown]
        self._place(kind, ins, outs)
        return [net for net in outs if net]


def random_case(library, seed, *, gates=60, period=1.0, operations=30, step=1, tree=False):
    """A random netlist; `period` times a bound of its longest path is a cycle. Expected are the
    results without delays, but for some. Delays are 1 and a multiple of `step`, a cycle is one.
    """
    made = RandomNetlist(library, seed, gates, step, tree=tree)
    half = step * int(period * 60 * (1 + max(made.depth.values())) / 2)
    stimulus = {"x": made.rng.integers(0, 1 << 16, operations) | 1}
    stimulus["x"][:3] &= ~1
    expected = {"y": np.zeros(operations, dtype=object)}
    case = Case(made.netlist, made.delays, stimulus, expected, half, 2, 8, (9, 20))
    model = Model(case, library, timed=False)
    model.run()
    codes = [row["y"] ^ (number % 7 == 5) for number, row in enumerate(model.results)]
    return replace(case, expected={"y": np.array(codes, dtype=object)})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("period", [1.0, 0.5, 0.21])
def test_random_netlists(toy, recount, seed, period):
    """Clocks that the netlist meets, misses, misses by several cycles."""
    case = random_case(toy, seed, gates=50 + 90 * seed, period=period)
    result = check(case, toy, recount)
    assert result.batches.toggles.sum() > 1000
    assert 0 < result.mismatches < 30
    check(case, toy, recount, timed=False)


@pytest.mark.eda
@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(s, marks=pytest.mark.slow) for s in range(3, 30))]
)
@pytest.mark.parametrize("period", [1.0, 0.21])
@pytest.mark.parametrize("timed", [False, True])
def test_random_netlists_in_icarus(toy, seed, period, timed):
    """Nothing falls on an edge of the clock: there Icarus takes steps within the tick, so that
    inputs come after what cells make of the events, and flops that hold may miss these.
    """
    case = random_case(toy, seed, gates=50 + 90 * (seed % 3), period=period, step=64)
    assert max(RandomNetlist(toy, seed, 50 + 90 * (seed % 3), 64).depth.values()) < 64
    compare_results(*(case.run(toy, simulator=s, timed=timed) for s in Simulator))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("period", [1.0, 0.5, 0.3])
def test_random_trees(toy, recount, seed, period):
    case = random_case(toy, seed, gates=50 + 90 * (seed % 3), period=period, tree=True)
    assert Model(case, toy).late > 0
    result = check(case, toy, recount)
    assert result.batches.toggles.sum() > 1000
    check(case, toy, recount, timed=False)


@pytest.mark.eda
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 40))]
)
@pytest.mark.parametrize("period", [1.0, 0.3])
@pytest.mark.parametrize("timed", [False, True])
def test_random_trees_in_icarus(toy, seed, period, timed):
    case = random_case(toy, seed, gates=50 + 90 * (seed % 3), period=period, step=64, tree=True)
    compare_results(*(case.run(toy, simulator=s, timed=timed) for s in Simulator))


@pytest.mark.eda
def test_buffers_of_a_large_netlist_keep_their_delays(toy, monkeypatch):
    """Modules in Icarus, as large netlists have them, change nothing; they would if a buffer were
    an assignment.
    """
    monkeypatch.setattr(testbench, "LARGE", 50)
    monkeypatch.setattr(testbench, "BLOCK", 7)
    case = random_case(toy, 1, gates=140, step=64)
    own = case.run(toy)
    compare_results(own, case.run(toy, simulator=ICARUS))
    models = icarus.verilog_models

    def assigned(*arguments, **options):
        return models(*arguments, **options).replace("mlsmac_BUF_Y own_Y(Y, A)", "assign Y = A")

    monkeypatch.setattr(icarus, "verilog_models", assigned)
    lost = case.run(toy, simulator=ICARUS)
    assert lost.batches.toggles.sum() != own.batches.toggles.sum()


REFUSED = [
    ({"f": ("DFFN", {"CK": "clk", "D": "a", "Q": "q"})}, "f must be clocked by the rising edge"),
    ({"f": ("DFF", {"CK": "a", "D": "a", "Q": "q"})}, "f must be clocked by the rising edge"),
    (
        {"g": ("INV", {"A": "clk", "Y": "n"}), "f": ("DFF", {"CK": "n", "D": "a", "Q": "q"})},
        "f must be clocked by the rising edge of the clock",
    ),
    (
        {"f": ("DFFR", {"CK": "clk", "D": "a", "RN": "1'0", "Q": "q"})},
        "clear of f must be tied to what never applies",
    ),
    ({"f": ("DFFR", {"CK": "clk", "D": "a", "RN": "a", "Q": "q"})}, "clear of f must be tied"),
    (
        {"f": ("DFFS", {"CK": "clk", "D": "a", "S": "1'1", "R": "t", "Q": "q"})},
        "preset of f must be tied to what never applies",
    ),
    (
        {"f": ("DFF", {"CK": "clk", "D": "clk", "Q": "q"})},
        "the clock must go to clock pins of flops alone",
    ),
    (
        {
            "g": ("AND2", {"A": "clk", "B": "a", "Y": "n"}),
            "f": ("DFF", {"CK": "clk", "D": "n", "Q": "q"}),
        },
        "the clock must go to clock pins of flops alone",
    ),
    (
        {"g": ("AND2", {"A": "a", "B": "y", "Y": "y"})},
        "the netlist must have no combinational loop, but has one",
    ),
    (
        {"g": ("AND2", {"A": "a", "B": "x", "Y": "y"})},
        "1 nets are undefined in simulation, x among",
    ),
    (
        {"g": ("AND2", {"A": "a", "Y": "y"})},
        "1 nets are undefined in simulation, an open pin among",
    ),
    (
        {"g": ("INV", {"A": "a", "Y": "y"}), "h": ("BUF", {"A": "a", "Y": "y"})},
        "net y must have one driver",
    ),
    ({"g": ("INV", {"A": "a", "Y": "a"})}, "net a must have one driver"),
    (
        {"g": ("AND13", {**dict.fromkeys("ABCDEFGHIJKLM", "a"), "Y": "y"})},
        "cells must have at most 12 bits of state",
    ),
]


@pytest.mark.parametrize(("cells", "message"), REFUSED)
def test_refuses(toy, cells, message):
    """With or without delays, in one line."""
    case = gates({"t": ("TIE1", {"Y": "t"}), **cells}, {}, {"a": [0, 1, 0, 1]}, warm_up=1)
    for timed in (False, True):
        with pytest.raises(SimulationError, match=message) as error:
            case.run(toy, timed=timed)
        assert "\n" not in str(error.value)


def test_clear_and_preset_that_never_apply(toy, recount):
    cells = {
        "t": ("TIE1", {"Y": "t"}),
        "o": ("TIE0", {"Y": "o"}),
        "f": ("DFFR", {"CK": "clk", "D": "a", "RN": "t", "Q": "q"}),
        "g": ("DFFS", {"CK": "clk", "D": "q", "S": "1'1", "R": "o", "Q": "p"}),
    }
    delays = {("f", "CK>Q"): (3, 5), ("g", "CK>Q"): (4, 7)}
    case = gates(cells, delays, {"a": [0, 1, 1, 0, 0, 1]}, warm_up=2)
    assert shown(case, toy, recount, "q") == ([1, 0, 1, 0], 400 - 3 + 5)
    assert shown(case, toy, recount, "p") == ([0, 1, 0, 1], 400 - 4 + 7)


def test_refuses_a_path_without_delay(toy):
    cells = {"i": ("INV", {"A": "a", "Y": "n"}), "g": ("AND2", {"A": "a", "B": "n", "Y": "y"})}
    delays = {("i", "A>Y"): (1, 1), ("g", "A>Y"): (5, 5)}
    case = gates(cells, delays, {"a": [0, 1]})
    with pytest.raises(SimulationError, match="net y must have delays from all pins that it dep"):
        case.run(toy)
    tied = cells | {"g": ("AND2", {"A": "a", "B": "1'1", "Y": "y"})}
    assert gates(tied, delays, {"a": [0, 1]}).run(toy).batches.toggles.tolist() == [[1, 1, 1]]


def test_refuses_what_depends_on_the_first_states(toy):
    """A flop that only toggles, one that holds; one that holds whether two others agreed."""
    toggling = {"f": ("DFFX", {"CK": "clk", "D": "a", "QN": "q"})}
    holding = {"f": ("DFFE", {"CK": "clk", "D": "a", "E": "1'0", "Q": "q"})}
    agreed = {
        "i": ("INV", {"A": "a", "Y": "e"}),
        "f": ("DFF", {"CK": "clk", "D": "a", "Q": "q"}),
        "g": ("DFF", {"CK": "clk", "D": "a", "Q": "p"}),
        "x": ("XOR2", {"A": "q", "B": "p", "Y": "x"}),
        "h": ("DFFE", {"CK": "clk", "D": "x", "E": "e", "Q": "r"}),
    }
    for cells, net in ((toggling, "q"), (holding, "q"), (agreed, "r")):
        case = gates(cells, {}, {"a": [1] * 12}, warm_up=8)
        message = f"1 nets are undefined in simulation, {net} among them"
        with pytest.raises(SimulationError, match=message):
            case.run(toy, timed=False)
    early = gates(CHAIN, {}, {"a": [1] * 12}, warm_up=0)
    with pytest.raises(SimulationError, match="1 nets are undefined in simulation, q among them"):
        early.run(toy, timed=False)
    assert replace(early, warm_up=1).run(toy, timed=False).mismatches == 12


def test_no_cells(toy):
    """A unit of wires."""
    case = gates({}, {}, {"a": [0, 1, 1]})
    case = replace(
        case,
        netlist=replace(case.netlist, outputs={"o": ["a", "1'1"]}),
        expected={"o": [2, 3, 2]},
    )
    for timed in (False, True):
        result = case.run(toy, timed=timed)
        assert (result.mismatches, result.toggled_share) == (1, 1.0)
        assert result.batches.toggles.tolist() == [[1]]
