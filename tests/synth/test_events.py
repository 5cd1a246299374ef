"""The simulator `events`: answers by hand, what it refuses, and random netlists against a model in
plain Python and against Icarus.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from mlsmac.synth.liberty.cells import ArcKind, Sense
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.simulation import events, kernels
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

    def run(self, library, *, simulator=EVENTS, timed=True):
        simulation = Simulation(
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
        return simulation.run(self.timing() if timed else None)


class Model:
    """What a netlist does, in plain Python: the semantics as they are told, nothing else.

    An output has a target. Where its function differs from that, it takes the value, and an event
    comes after the shortest delay of the pins that changed at this tick. An event that fires gives
    the net the target of that moment. At a rising edge flops sample after events have fired and
    before inputs switch; results are compared before what else happens at the last tick of a cycle.
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
        self.stored = {name: 0 for name, kind in self.kinds.items() if kind.flop}
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
            end = edge + 2 * case.half
            self._tick(edge, lambda now, cycle=cycle: self._rise(now, cycle))
            while (now := min([*self.pending, end - 1, edge + case.half])) < edge + case.half:
                self._tick(now)
            self._tick(edge + case.half, lambda _: self._write("clk", 0))
            while (now := min([*self.pending, end - 1])) < end - 1:
                self._tick(now)
            if cycle >= case.latency:
                wrong += self._compare(cycle - case.latency)
            self._tick(end - 1)
        return wrong

    def _compare(self, row):
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
        self._fire(now)
        happens(now)
        changed = set(self.changed)
        while True:
            pins = {}
            for name, pin in (reader for net in self.changed for reader in self.readers[net]):
                pins.setdefault(name, []).append(pin)
            for name, own in pins.items():
                if name not in self.stored:
                    for out in self.outputs[name]:
                        self._aim(name, out, own, now)
            if now not in self.pending:  # what no delay has brought to this tick
                break
            self.changed = set()
            self._fire(now)
            changed ^= self.changed
        self.log += [(now, net, self.values[net]) for net in sorted(changed)]

    def _rise(self, now, cycle):
        nexts = {name: self._value(name, self.kinds[name].flop.next_state) for name in self.stored}
        self.stored |= nexts
        for name in self.stored:
            for out in self.outputs[name]:
                self._aim(name, out, ["CK"], now)
        self._write("clk", 1)
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


def check(case, library, recount, *, timed=True, result=None):
    """Events against the model: all counts. The result."""
    model = Model(case, library, timed=timed)
    wrong = model.run()
    result = result or case.run(library, timed=timed)
    assert result.mismatches == wrong
    counted = recount(case.netlist, library, model.initial, model.log, case.edges)
    compare(case, result, counted)
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


GATES = ("INV", "BUF", "AND2", "NAND2", "NOR3", "XOR2", "XOR2", "MUX2", "MUX2", "AOI21", "FA", "FA")


class RandomNetlist:
    """Gates in no order of levels between flops: nets that reconverge, pins on one net, ties.

    While the input x[0] is 0, every flop stores 0, whatever it held.
    """

    def __init__(self, library, seed, gates, longest):
        self.library, self.longest = library, longest
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
                    ticks = self.rng.integers(1, self.longest, 2)
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

    def _flop(self, number):
        """The nets that show it."""
        kind = ("DFF", "DFF", "DFFE", "DFFX")[self.rng.integers(4)] if number else "DFF"
        data, shown, other = self._any(), f"q{number}", f"p{number}"
        if kind == "DFFX":  # stores what it holds and D are not both: D is that while x0 is 0
            own = self._place("INV", [shown], [f"i{number}"])
            data = self._place("MUX2", [own, data, "x0"], [f"d{number}"])
            self._place(kind, ["clk", data], [shown])
            return [shown]
        data = self._place("AND2", [data, "x0"], [f"d{number}"])
        ins = ["clk", data]
        if kind == "DFFE":
            ins.append(self._place("NAND2", [self._any(), "x0"], [f"e{number}"]))
        outs = [[shown, other], [shown, ""], [shown]][self.rng.integers(3)]
        if self.rng.random() < 0.3:  # the inverse alone
            outs = ["", shown]
        self._place(kind, ins, outs)
        return [net for net in outs if net]


def random_case(library, seed, *, gates=60, longest=60, period=1.3, operations=30):
    """A random netlist; `period` times a bound of its longest path is a cycle. Expected are the
    results without delays, but for some.
    """
    made = RandomNetlist(library, seed, gates, longest)
    half = max(2, int(period * longest * (1 + max(made.depth.values())) / 2))
    stimulus = {"x": made.rng.integers(0, 1 << 16, operations) | 1}
    stimulus["x"][:3] &= ~1
    expected = {"y": np.zeros(operations, dtype=object)}
    case = Case(made.netlist, made.delays, stimulus, expected, half, 2, 8, (9, 20))
    model = Model(case, library, timed=False)
    model.run()
    wrong = made.rng.random(operations) < 0.1
    codes = [row["y"] ^ int(bad) for row, bad in zip(model.results, wrong, strict=True)]
    return replace(case, expected={"y": np.array(codes, dtype=object)})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("period", [1.0, 0.5, 0.21])
def test_random_netlists(toy, recount, seed, period):
    """Clocks that the netlist meets, misses, misses by several cycles."""
    case = random_case(toy, seed, gates=50 + 60 * seed, period=period)
    result = check(case, toy, recount)
    print(seed, period, len(case.netlist.cells), case.half, result.mismatches, result.batches.toggles.sum(), result.toggled_share)
    check(case, toy, recount, timed=False)


def compare_results(one, two):
    """All that two simulations showed."""
    assert one.mismatches == two.mismatches
    assert one.activity == two.activity
    np.testing.assert_array_equal(one.batches.toggles, two.batches.toggles)
    assert one.shares.names == two.shares.names
    for kind in one.shares.names:
        np.testing.assert_array_equal(one.shares.time[kind], two.shares.time[kind])
        np.testing.assert_array_equal(one.shares.toggles[kind], two.shares.toggles[kind])


@pytest.mark.eda
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("period", [1.0, 0.5, 0.21])
@pytest.mark.parametrize("timed", [False, True])
def test_random_netlists_in_icarus(toy, seed, period, timed):
    case = random_case(toy, seed, gates=50 + 60 * seed, period=period)
    one, two = (case.run(toy, simulator=s, timed=timed) for s in Simulator)
    print(one.batches.toggles.sum(), two.batches.toggles.sum(), one.mismatches, two.mismatches)
    compare_results(one, two)
