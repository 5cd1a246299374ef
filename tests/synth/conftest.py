"""What tests of the simulation share: a library of made-up cells, and a counter that goes change by
change.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from mlsmac.synth.liberty.boolean import parse
from mlsmac.synth.liberty.cells import (
    Arc,
    ArcKind,
    ClockGate,
    Direction,
    EnergyGroup,
    Flop,
    Latch,
    LibertyCell,
    Pin,
    Sense,
    Table,
)
from mlsmac.synth.liberty.library import Library
from mlsmac.synth.liberty.rules import Corner
from mlsmac.synth.power.states import follows_state

GATES = {
    "INV": {"Y": "!A"},
    "BUF": {"Y": "A"},
    "AND2": {"Y": "A B"},
    "NAND2": {"Y": "!(A B)"},
    "NOR3": {"Y": "!(A + B + C)"},
    "XOR2": {"Y": "A ^ B"},
    "MUX2": {"Y": "(A !S) + (B S)"},
    "AOI21": {"Y": "!((A B) + C)"},
    "TWO": {"Y": "A B", "Z": "!C"},
    "FA": {"S": "A ^ B ^ C", "CO": "(A B) + (C (A ^ B))"},
    "AND12": {"Y": "A B C D E F G H I J K L"},
    "AND13": {"Y": "A B C D E F G H I J K L M"},
    "TIE0": {"Y": "0"},
    "TIE1": {"Y": "1"},
}
FLOPS = {
    "DFF": (Flop("IQ", "IQN", parse("D"), parse("CK"), None, None), {"Q": "IQ", "QN": "IQN"}),
    "DFFE": (
        Flop("IQ", "IQN", parse("(D E) + (IQ !E)"), parse("CK"), None, None),
        {"Q": "IQ", "QN": "IQN"},
    ),
    "DFFX": (Flop("IQ", "IQN", parse("(D IQN) + (!D IQ)"), parse("CK"), None, None), {"QN": "IQN"}),
    "DFFN": (Flop("IQ", "IQN", parse("D"), parse("!CK"), None, None), {"Q": "IQ"}),
    "DFFR": (Flop("IQ", "IQN", parse("D"), parse("CK"), parse("!RN"), None), {"Q": "IQ"}),
    "DFFS": (Flop("IQ", "IQN", parse("D"), parse("CK"), None, parse("S R")), {"Q": "IQ"}),
}
CLOCK_GATES = {
    "CGATE": (Latch("IQ", "", parse("E"), parse("!CK"), None, None), "latch_posedge"),
    "CGATET": (
        Latch("IQ", "", parse("E + SE"), parse("!CK"), None, None),
        "latch_posedge_precontrol",
    ),
}
_ENERGY = EnergyGroup(None, None, None, *[Table((0.0,), (0.0,), ((1.0,),))] * 2)


def _cell(name, functions, flop=None, latch=None, gate=None):
    """Delays come from the tests, so no table is needed."""
    parsed = {pin: parse(text) for pin, text in functions.items()}
    expressions = list(parsed.values())
    if flop:
        conditions = (flop.next_state, flop.clocked_on, flop.clear, flop.preset)
        expressions = [expression for expression in conditions if expression]
    if latch:
        expressions += [latch.data_in, latch.enable]
    states = {"IQ", "IQN"}
    inputs = sorted(set().union(*(expression.pins for expression in expressions)) - states)
    kind = ArcKind.RISING_EDGE if flop else ArcKind.COMBINATIONAL

    def arcs(function):
        related = ["CK"] if flop else sorted(function.pins - states)
        return tuple(Arc(pin, kind, Sense.NON_UNATE, *[None] * 5) for pin in related)

    pins = {
        pin: Pin(pin, Direction.INPUT, 0.0, 0.0, pin == "CK", None, (), (_ENERGY,))
        for pin in inputs
    }
    pins |= {
        pin: Pin(pin, Direction.OUTPUT, 0.0, 0.0, False, function, arcs(function), ())
        for pin, function in parsed.items()
    }
    return LibertyCell(name, 1.0, pins, flop, (), 0.0, latch, gate)


@pytest.fixture(scope="session")
def toy():
    """Gates and flops of all sorts, without tables."""
    cells = {name: _cell(name, functions) for name, functions in GATES.items()}
    cells |= {name: _cell(name, functions, flop) for name, (flop, functions) in FLOPS.items()}
    for name, (latch, kind) in CLOCK_GATES.items():
        gate = ClockGate(kind, "CK", "E", "SE" if "SE" in latch.data_in.pins else None, "GCK")
        cells[name] = _cell(name, {"GCK": "CK IQ"}, None, latch, gate)
    return Library("toy", ("toy",), Corner(None, None, 1.0, None), cells, ())


class _State:
    """A cell: bit i of its state is its input pin i, the next one what it stores. That of a clock
    gate is what its enable was when the clock pin was last 0.
    """

    def __init__(self, cell, liberty):
        self.pins = [pin.name for pin in liberty.inputs]
        self.latch = liberty.latch
        self.bits = [(cell.pins[pin], False) for pin in self.pins]
        if liberty.flop:
            shown = next(pin for pin in liberty.outputs if pin.name in cell.pins)
            self.bits.append((cell.pins[shown.name], not follows_state(liberty, shown)))
        self.stored = 0
        self.time = np.zeros(1 << (len(self.bits) + bool(self.latch)), dtype=np.int64)
        self.toggles = np.zeros((len(self.pins), len(self.time)), dtype=np.int64)
        self.since = 0

    def stay(self, values, now, edges):
        """Count the time since the last change within the window; the state."""
        bits = [values[net] ^ inverted for net, inverted in self.bits]
        if self.latch:
            pins = {pin: np.bool_(bit) for pin, bit in zip(self.pins, bits, strict=True)}
            if self.latch.enable.evaluate(pins):
                self.stored = int(self.latch.data_in.evaluate(pins))
            bits.append(self.stored)
        state = sum(bit << i for i, bit in enumerate(bits))
        self.time[state] += max(0, min(now, edges[-1]) - max(self.since, edges[0]))
        self.since = now
        return state

    def leave(self, values, changed, now, edges):
        """Count what changes at one time."""
        state = self.stay(values, now, edges)
        if edges[0] <= now < edges[-1]:
            own = [net in changed for net, _ in self.bits[: len(self.pins)]]
            self.toggles[:, state] += own


def _recount(netlist, library, initial, changes, edges):
    """Counts of `changes` (time, net, value), in order of time, in batches that begin at `edges`,
    the last of which ends the window; `initial` holds every net before the first change. A net that
    is written several times in a tick takes its last value.
    """
    values = {**initial, "1'0": 0, "1'1": 1}
    states = {name: _State(cell, library[cell.kind]) for name, cell in netlist.cells.items()}
    readers = {net: [] for net in values}
    for state in states.values():
        for net, _ in state.bits:
            readers[net].append(state)
    toggles = {net: [0] * (len(edges) - 1) for net in initial}
    high = dict.fromkeys(initial, 0)
    ticks = {}
    for time, net, value in changes:
        ticks.setdefault(time, {})[net] = value
    for time, written in ticks.items():
        changed = {net: value for net, value in written.items() if values[net] != value}
        for state in {id(state): state for net in changed for state in readers[net]}.values():
            state.leave(values, changed, time, edges)
        values.update(changed)
        left = edges[-1] - min(max(time, edges[0]), edges[-1])
        for net, value in changed.items():
            high[net] += left if value else -left
            if edges[0] <= time < edges[-1]:
                toggles[net][max(i for i, edge in enumerate(edges) if edge <= time)] += 1
    for state in states.values():
        state.stay(values, edges[-1], edges)
    window = edges[-1] - edges[0]
    return SimpleNamespace(
        toggles=toggles,
        high={net: high[net] + window * initial[net] for net in initial},
        time={name: state.time for name, state in states.items()},
        left={name: state.toggles for name, state in states.items()},
    )


@pytest.fixture(scope="session")
def recount():
    """`_recount`."""
    return _recount
