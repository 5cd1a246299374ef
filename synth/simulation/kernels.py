"""The loops of the simulator `events`, compiled by numba. What they do is told in `events`.

No thread of them touches Python: several run at once. What belongs together stands in one row, as
time goes into the cache. Machine code is kept beside this file, in `__pycache__`, or where that
cannot be written in numba's own cache.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

NET = np.dtype(
    [("fan", "u4"), ("fan_end", "u4"), ("value", "u4"), ("toggles", "i4"), ("high", "i4")]
)
"""A net: its readers in `Machine.fans`, its value, and what is counted: toggles, ticks at 1."""

CELL = np.dtype(
    [
        *((name, "u4") for name in ("pin", "counts", "out", "out_end")),
        *((name, "u2") for name in ("state", "mask", "pins", "bits")),
    ]
)
"""A cell: its first entry of `Machine.pins` and `.counts`, its outputs (those of flops only where
there are a tree and delays); its state, and the bits of it that change at this tick; how many input
pins it has, and bits of state.
"""

OUT = np.dtype([(name, "u4") for name in ("net", "table", "delay", "target")])
"""An output: its net, its first entry of `Machine.tables` and `.delays`, what its net will be."""

STORE = np.dtype([(name, "i4") for name in ("cell", "clock", "table", "out", "out_end", "stored")])
"""What stores a bit: its cell, and its first entry of `Machine.tables` that says what it stores
next. Of a flop its clock pin's bit, its outputs, what it stores; of a latch 0, it is in its state.
"""

EVENT = np.dtype([("next", "i4"), ("out", "i4")])
"""An event: the next one of its tick, or the next free row; the output."""

FREE, PENDING, TOUCHED, FULL = range(4)
"""Places in `Machine.scalars`: the first free event, events under way, touched cells, and whether
there was no free event left.
"""

PIN_BITS = 4
"""Bits of an entry of `Machine.fans` that say which bit of the cell's state the net is."""

_PLACE = np.uint32((1 << PIN_BITS) - 1)
"""Mask of them."""


class Machine(NamedTuple):
    """A circuit, its state, and what is counted.

    Members:
        stores: flops and latches; store: by cell its place there. tree: cells between the clock's
            net and the flops, each after the one that drives it.
        fans: readers of nets: the cell and the place of its bit. pins: nets of cells' bits of
            state; of what a flop stores the net that shows it, of what a latch does its own. order:
            all other gates, each after those it reads. ranks: by cell its place there, of what is
            not one behind. due: without delays, a bit for each rank whose cell sees a change in
            this cycle.
        tables: functions by state. delays: ticks by input pin, of a fall, then of a rise.
        counts: per cell ticks in each state, then by input pin its toggles that left each state.
        touched: cells with bits that change at this tick. heads: by tick modulo their count the
            first event, -1 for none. words: a bit for each head that has one.
    """

    nets: NDArray
    cells: NDArray
    outs: NDArray
    stores: NDArray
    store: NDArray[np.uint32]
    tree: NDArray[np.uint32]
    fans: NDArray[np.uint32]
    pins: NDArray[np.uint32]
    order: NDArray[np.uint32]
    ranks: NDArray[np.uint32]
    due: NDArray[np.uint64]
    tables: NDArray[np.uint8]
    delays: NDArray[np.int32]
    counts: NDArray[np.int32]
    touched: NDArray[np.uint32]
    heads: NDArray[np.int32]
    words: NDArray[np.uint64]
    events: NDArray
    scalars: NDArray[np.int64]


class Vectors(NamedTuple):
    """Bits by cycle: of the input nets, and of the compared nets; cycle 0 is the first clock edge.

    The result of operation i is compared at the end of cycle i + `latency`, or where the clock has
    a tree, with delays, `early` ticks later; inputs switch `late` ticks after the edge. `clock_net`
    is -1 without a clock, `half` a period in ticks.
    """

    input_nets: NDArray[np.uint32]
    inputs: NDArray[np.uint8]
    output_nets: NDArray[np.uint32]
    outputs: NDArray[np.uint8]
    clock_net: int
    latency: int
    half: int
    early: int = 0
    late: int = 0


MOST_BITS = 12
"""Of a cell's state, for which `_LOWEST` is made."""

_LOWEST = np.zeros(1 << MOST_BITS, dtype=np.uint8)
for _bit in reversed(range(MOST_BITS)):
    _LOWEST[1 << _bit :: 2 << _bit] = _bit
"""Place of the lowest bit that is set."""

_ONE = np.uint64(1)

_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
"""Its 64 windows of six bits differ."""

_FIRST_BIT = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    _FIRST_BIT[(int(_DE_BRUIJN) << _bit & (1 << 64) - 1) >> 58] = _bit


@njit(nogil=True, cache=True)
def _first_bit(lowest):
    """Place of the one bit that is set."""
    return _FIRST_BIT[(lowest * _DE_BRUIJN) >> np.uint64(58)]


@njit(nogil=True, cache=True)
def levels(machine, known, apart):
    """By cell the length of the longest path to it, -1 for cells `apart` and what is in or behind a
    loop.

    `known`: by net, whether it needs no other gate: inputs, constants, outputs of cells `apart`.
    """
    cells, outs, nets, fans = machine.cells, machine.outs, machine.nets, machine.fans
    missing = np.zeros(len(cells), np.int32)
    level = np.full(len(cells), -1, np.int32)
    ready = np.empty(len(cells), np.int32)
    count = 0
    for number in range(len(cells)):
        cell = cells[number]
        if apart[number]:
            missing[number] = 1 << 30
        for pin in range(cell.pin, cell.pin + cell.pins):
            missing[number] += not known[machine.pins[pin]]
        if missing[number] == 0:
            level[number] = 0
            ready[count] = number
            count += 1
    done = 0
    while done < count:
        cell = cells[ready[done]]
        for place in range(cell.out, cell.out_end):
            net = nets[outs[place].net]
            for reader in range(net.fan, net.fan_end):
                other = fans[reader] >> PIN_BITS
                missing[other] -= 1
                if missing[other] == 0:
                    level[other] = level[ready[done]] + 1
                    ready[count] = other
                    count += 1
        done += 1
    return level


@njit(nogil=True, cache=True)
def _set(net, value, now):
    """A net takes another value."""
    net.value = value
    net.toggles += 1
    net.high += now if value == 0 else -now


@njit(nogil=True, cache=True)
def _leave(cell, changed, now, counts):
    """Count what the changed bits of a cell leave, and bring its state up to date."""
    before = np.int64(cell.state)
    after = before ^ changed
    base = np.int64(cell.counts)
    counts[base + before] += now
    counts[base + after] -= now
    bits, pins = np.int64(cell.bits), np.int64(cell.pins)
    place = base + before + (np.int64(1) << bits)
    rest = changed & ((np.int64(1) << pins) - 1)
    while rest:
        counts[place + (np.int64(_LOWEST[rest]) << bits)] += 1
        rest &= rest - 1
    cell.state = after
    return after


@njit(nogil=True, cache=True)
def _row(cell, pins, nets):
    """State of a cell under the nets' values."""
    row = np.int64(0)
    for pin in range(np.int64(cell.bits)):
        row |= np.int64(nets[pins[cell.pin + pin]].value) << pin
    return row


@njit(nogil=True, cache=True)
def _sample(flop, cell, tables):
    """A flop stores what its pins say."""
    pins = np.int64(cell.pins)
    row = (np.int64(cell.state) ^ np.int64(cell.mask)) & ((np.int64(1) << pins) - 1)
    flop.stored = tables[flop.table + (row | np.int64(flop.stored) << pins)]


@njit(nogil=True, cache=True)
def _shown(flop, cell, out, tables):
    """What a flop's output shows of what it stores."""
    return tables[np.int64(out.table) + (np.int64(flop.stored) << np.int64(cell.pins))]


@njit(nogil=True, cache=True)
def _is_wrong(machine, vectors, cycle):
    """Whether the result due at the end of a cycle differs from what was expected."""
    row = cycle - vectors.latency
    if row < 0 or row >= len(vectors.outputs):
        return 0
    nets, compared, outputs = machine.nets, vectors.output_nets, vectors.outputs
    for place in range(len(compared)):
        if nets[compared[place]].value != outputs[row, place]:
            return 1
    return 0


@njit(nogil=True, cache=True)
def settle(machine):
    """Values and states under those of inputs and stored bits while the clock is 0, nothing
    counted.
    """
    nets, cells, outs, tables = machine.nets, machine.cells, machine.outs, machine.tables
    for flop in machine.stores:
        for place in range(flop.out, flop.out_end):
            nets[outs[place].net].value = _shown(flop, cells[flop.cell], outs[place], tables)
    for order in (machine.tree, machine.order):
        for number in order:
            cell = cells[number]
            row = _row(cell, machine.pins, nets)
            for out in range(cell.out, cell.out_end):
                nets[outs[out].net].value = tables[outs[out].table + row]
    for store in machine.stores:
        if store.clock == 0:
            cell = cells[store.cell]
            row = _row(cell, machine.pins, nets)
            nets[machine.pins[cell.pin + cell.pins]].value = tables[store.table + row]


@njit(nogil=True, cache=True)
def zero_delay(machine, vectors, first, last):
    """Cycles `first` to `last` without delays: the number of wrong results."""
    half, wrong = vectors.half, 0
    for cycle in range(first, last):
        now = 2 * half * cycle
        _switch(machine, vectors, cycle, now)
        _pass(machine, now)
        _leave_all(machine, now)
        _turn(machine, vectors.clock_net, now + half)
        _leave_all(machine, now + half)
        wrong += _is_wrong(machine, vectors, cycle)
    return wrong


@njit(nogil=True, cache=True)
def _turn(machine, clock_net, now):
    """An edge of the clock without delays, all through its tree."""
    nets, cells, outs, tables = machine.nets, machine.cells, machine.outs, machine.tables
    fans, ranks, due = machine.fans, machine.ranks, machine.due
    if clock_net < 0:
        return
    net = nets[clock_net]
    _switch_net(net, 1 - net.value, now, fans, cells, ranks, due)
    for number in machine.tree:
        cell = cells[number]
        row = np.int64(cell.state) ^ np.int64(cell.mask)
        for place in range(cell.out, cell.out_end):
            net, value = nets[outs[place].net], tables[np.int64(outs[place].table) + row]
            if net.value != value:
                _switch_net(net, value, now, fans, cells, ranks, due)


@njit(nogil=True, cache=True)
def _leave_all(machine, now):
    """Flops and the cells of the clock's tree count what changed; latches store."""
    cells, counts = machine.cells, machine.counts
    for store in machine.stores:
        cell = cells[store.cell]
        if cell.mask:
            changed = np.int64(cell.mask)
            if store.clock == 0:
                changed |= _latch(machine, store, cell)
            _leave(cell, changed, now, counts)
            cell.mask = 0
    for number in machine.tree:
        cell = cells[number]
        if cell.mask:
            _leave(cell, np.int64(cell.mask), now, counts)
            cell.mask = 0


@njit(nogil=True, cache=True)
def _latch(machine, store, cell):
    """The bit that a latch stores, where it changes."""
    row, pins = np.int64(cell.state) ^ np.int64(cell.mask), np.int64(cell.pins)
    value = np.int64(machine.tables[store.table + row])
    if row >> pins == value:
        return np.int64(0)
    machine.nets[machine.pins[cell.pin + pins]].value = value
    return np.int64(1) << pins


@njit(nogil=True, cache=True)
def _pass(machine, now):
    """Gates that see a change, each after those it reads."""
    nets, cells, outs, fans = machine.nets, machine.cells, machine.outs, machine.fans
    order, ranks, due = machine.order, machine.ranks, machine.due
    tables, counts = machine.tables, machine.counts
    for number in range((len(order) + 63) >> 6):
        # What a gate changes is read by gates behind it, of this word or a later one.
        while due[number]:
            lowest = due[number] & (~due[number] + _ONE)
            due[number] ^= lowest
            rank = (number << 6) + _first_bit(lowest)
            cell = cells[order[rank]]
            changed = np.uint64(cell.mask)
            cell.mask = 0
            before = np.uint64(cell.state)
            row = before ^ changed
            cell.state = row
            base, pins = np.uint64(cell.counts), np.uint64(cell.pins)
            counts[base + before] += now
            counts[base + row] -= now
            base += before + (_ONE << pins)
            while changed:
                counts[base + (np.uint64(_LOWEST[changed]) << pins)] += 1
                changed &= changed - _ONE
            for place in range(cell.out, cell.out_end):
                out = outs[place]
                value = tables[np.uint64(out.table) + row]
                net = nets[out.net]
                if net.value != value:
                    # By itself: as `_switch_net` the whole pass takes a fifth longer.
                    _set(net, value, now)
                    for reader in range(net.fan, net.fan_end):
                        _make_due(fans[reader], cells, ranks, due)


@njit(nogil=True, cache=True)
def _make_due(fan, cells, ranks, due):
    """A bit of a cell's state changes in this cycle."""
    number = fan >> np.uint32(PIN_BITS)
    cells[number].mask |= _ONE << np.uint64(fan & _PLACE)
    rank = ranks[number]
    due[rank >> np.uint32(6)] |= _ONE << np.uint64(rank & np.uint32(63))


@njit(nogil=True, cache=True)
def _switch_net(net, value, now, fans, cells, ranks, due):
    """A net takes another value at once; its readers are due in this cycle."""
    _set(net, value, now)
    for reader in range(net.fan, net.fan_end):
        _make_due(fans[reader], cells, ranks, due)


@njit(nogil=True, cache=True)
def _switch(machine, vectors, cycle, now):
    """A rising edge without delays: flops sample, their outputs and the inputs change."""
    nets, outs, cells, tables = machine.nets, machine.outs, machine.cells, machine.tables
    fans, ranks, due = machine.fans, machine.ranks, machine.due
    _turn(machine, vectors.clock_net, now)
    for flop in machine.stores:
        if cells[flop.cell].mask & flop.clock:
            _sample(flop, cells[flop.cell], tables)
    for flop in machine.stores:
        for place in range(flop.out, flop.out_end):
            net = nets[outs[place].net]
            value = _shown(flop, cells[flop.cell], outs[place], tables)
            if net.value != value:
                _switch_net(net, value, now, fans, cells, ranks, due)
    if cycle < len(vectors.inputs):
        ports, inputs = vectors.input_nets, vectors.inputs
        for place in range(len(ports)):
            net = nets[ports[place]]
            if net.value != inputs[cycle, place]:
                _switch_net(net, inputs[cycle, place], now, fans, cells, ranks, due)


@njit(nogil=True, cache=True)
def _touch(number, place, cells, touched, scalars):
    """A bit of a cell's state changes at this tick."""
    cell = cells[number]
    if cell.mask == 0:
        touched[scalars[TOUCHED]] = number
        scalars[TOUCHED] += 1
    cell.mask |= np.int64(1) << place


@njit(nogil=True, cache=True)
def _change(machine, number, value, now):
    """A net takes another value, which its readers will see."""
    net = machine.nets[number]
    _set(net, value, now)
    for reader in range(net.fan, net.fan_end):
        fan = machine.fans[reader]
        _touch(fan >> PIN_BITS, fan & _PLACE, machine.cells, machine.touched, machine.scalars)


@njit(nogil=True, cache=True)
def _schedule(machine, out, tick):
    """The output's net will take its target's value."""
    events, heads, scalars = machine.events, machine.heads, machine.scalars
    free = scalars[FREE]
    if free < 0:
        scalars[FULL] = 1
        return
    event = events[free]
    scalars[FREE] = event.next
    scalars[PENDING] += 1
    place = tick & (len(heads) - 1)
    event.out = out
    event.next = heads[place]
    heads[place] = free
    machine.words[place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@njit(nogil=True, cache=True)
def _next_place(start, words):
    """The first head from `start` on, around the end, that has an event; there is one."""
    number = start >> 6
    word = words[number] & ~((np.uint64(1) << np.uint64(start & 63)) - np.uint64(1))
    while word == 0:
        number = (number + 1) & (len(words) - 1)
        word = words[number]
    return (number << 6) + _first_bit(word & (~word + _ONE))


@njit(nogil=True, cache=True)
def _fire(machine, now):
    """Nets whose events are due take their targets' values."""
    outs, scalars = machine.outs, machine.scalars
    heads, words, events = machine.heads, machine.words, machine.events
    place = now & (len(heads) - 1)
    due = np.int64(heads[place])
    heads[place] = -1
    words[place >> 6] &= ~(np.uint64(1) << np.uint64(place & 63))
    while due >= 0:
        event = events[due]
        following = np.int64(event.next)
        event.next = scalars[FREE]
        scalars[FREE] = due
        scalars[PENDING] -= 1
        out = outs[event.out]
        if machine.nets[out.net].value != out.target:
            _change(machine, out.net, out.target, now)
        due = following


@njit(nogil=True, cache=True)
def _run(machine, now, end):
    """Evaluate what tick `now` touched, then fire and evaluate each later tick before `end`.

    One function with counters of its own and unsigned places: in two, which go through `scalars`,
    it took 2.5 times as long.
    """
    nets, cells, outs, fans = machine.nets, machine.cells, machine.outs, machine.fans
    tables, delays, counts = machine.tables, machine.delays, machine.counts
    heads, words, events = machine.heads, machine.words, machine.events
    touched, scalars = machine.touched, machine.scalars
    free, pending, count = scalars[FREE], scalars[PENDING], scalars[TOUCHED]
    last = len(heads) - 1
    has_tree = len(machine.tree) > 0
    while True:
        for place in range(count):
            cell = cells[touched[place]]
            changed = np.uint64(cell.mask)
            cell.mask = 0
            before = np.uint64(cell.state)
            row = after = before ^ changed
            bits, pins = np.uint64(cell.bits), np.uint64(cell.pins)
            if has_tree and bits != pins:
                after, row = _store(machine, np.int64(touched[place]), before, changed)
                changed &= (_ONE << pins) - _ONE
            cell.state = after
            base = np.uint64(cell.counts)
            counts[base + before] += now
            counts[base + after] -= now
            base += before + (_ONE << bits)
            rest = changed & ((_ONE << pins) - _ONE)
            while rest:
                counts[base + (np.uint64(_LOWEST[rest]) << bits)] += 1
                rest &= rest - _ONE
            for number in range(cell.out, cell.out_end):
                out = outs[number]
                value = np.uint64(tables[np.uint64(out.table) + row])
                if value != out.target:
                    out.target = value
                    base = np.uint64(out.delay) + value * pins
                    delay = np.int64(1 << 40)
                    rest = changed
                    while rest:
                        delay = min(delay, np.int64(delays[base + np.uint64(_LOWEST[rest])]))
                        rest &= rest - _ONE
                    if free < 0:
                        scalars[FULL] = 1
                        continue
                    event = events[np.uint64(free)]
                    at = np.uint64((now + delay) & last)
                    follow = np.int64(event.next)
                    event.out = number
                    event.next = heads[at]
                    heads[at] = free
                    words[at >> np.uint64(6)] |= _ONE << (at & np.uint64(63))
                    free = follow
                    pending += 1
        count = 0
        if pending == 0:
            break
        start = now & last
        now += (_next_place(start, words) - start) & last
        if now >= end:
            break
        at = np.uint64(now & last)
        due = np.int64(heads[at])
        heads[at] = -1
        words[at >> np.uint64(6)] &= ~(_ONE << (at & np.uint64(63)))
        while due >= 0:
            event = events[np.uint64(due)]
            follow = np.int64(event.next)
            out = outs[np.uint32(event.out)]
            event.next = free
            free = due
            due = follow
            pending -= 1
            net = nets[out.net]
            value = out.target
            if net.value != value:
                net.value = value
                net.toggles += 1
                net.high += now if value == 0 else -now
                for reader in range(net.fan, net.fan_end):
                    fan = fans[reader]
                    where = fan >> np.uint32(PIN_BITS)
                    cell = cells[where]
                    if cell.mask == 0:
                        touched[count] = where
                        count += 1
                    cell.mask |= _ONE << np.uint64(fan & _PLACE)
    scalars[FREE], scalars[PENDING], scalars[TOUCHED] = free, pending, count


@njit(nogil=True, cache=True)
def _store(machine, number, before, changed):
    """What a flop or a latch makes of a change: its state, and that with the bit that it stores by
    now. A flop whose clock pin rises takes its pins as they were before the tick.
    """
    cell, store, tables = (
        machine.cells[number],
        machine.stores[machine.store[number]],
        machine.tables,
    )
    pins = np.uint64(cell.pins)
    after = before ^ changed
    own = after & ((_ONE << pins) - _ONE)
    if store.clock == 0:
        stored = np.uint64(tables[np.uint64(store.table) + after])
        machine.nets[machine.pins[np.uint64(cell.pin) + pins]].value = stored
        own |= stored << pins
        return own, own
    if changed & after & np.uint64(store.clock):
        row = before & ((_ONE << pins) - _ONE)
        store.stored = tables[np.uint64(store.table) + (row | np.uint64(store.stored) << pins)]
    return after, own | np.uint64(store.stored) << pins


@njit(nogil=True, cache=True)
def _edge(machine, vectors, cycle, now):
    """A rising edge: due events, then flops sample, then inputs switch."""
    cells, outs = machine.cells, machine.outs
    _fire(machine, now)
    for flop in machine.stores:
        cell = cells[flop.cell]
        _sample(flop, cell, machine.tables)
        for place in range(flop.out, flop.out_end):
            out = outs[place]
            value = _shown(flop, cell, out, machine.tables)
            if out.target != value:
                out.target = value
                delay = out.delay + value * cell.pins + _LOWEST[flop.clock]
                _schedule(machine, place, now + machine.delays[delay])
    _clock(machine, vectors)
    _touch_clocks(machine)
    _drive(machine, vectors, cycle, now)


@njit(nogil=True, cache=True)
def _drive(machine, vectors, cycle, now):
    """The inputs of a cycle switch."""
    if cycle < len(vectors.inputs):
        ports, inputs = vectors.input_nets, vectors.inputs
        for place in range(len(ports)):
            if machine.nets[ports[place]].value != inputs[cycle, place]:
                _change(machine, ports[place], inputs[cycle, place], now)


@njit(nogil=True, cache=True)
def _clock(machine, vectors):
    """The clock's net rises and falls."""
    if vectors.clock_net >= 0:
        net = machine.nets[vectors.clock_net]
        net.toggles += 2
        net.high += vectors.half


@njit(nogil=True, cache=True)
def _touch_clocks(machine):
    """The clock pins of all flops change."""
    cells, touched, scalars = machine.cells, machine.touched, machine.scalars
    for flop in machine.stores:
        _touch(flop.cell, np.int64(_LOWEST[flop.clock]), cells, touched, scalars)


@njit(nogil=True, cache=True)
def timed(machine, vectors, first, last):
    """Cycles `first` to `last` with delays: the number of wrong results, and whether every cycle
    settled before its end.
    """
    half, wrong, settled = vectors.half, 0, True
    for cycle in range(first, last):
        edge = 2 * half * cycle
        fall, end = edge + half, edge + 2 * half
        if len(machine.tree):
            wrong += _tree_edge(machine, vectors, cycle, edge)
            _run(machine, edge + vectors.late, fall)
            _fire(machine, fall)
            _change(machine, vectors.clock_net, 0, fall)
            _run(machine, fall, end)
        else:
            _edge(machine, vectors, cycle, edge)
            _run(machine, edge, fall)
            _fire(machine, fall)
            _touch_clocks(machine)
            _run(machine, fall, end)
            wrong += _is_wrong(machine, vectors, cycle)
        settled &= machine.scalars[PENDING] == 0
    return wrong, settled


@njit(nogil=True, cache=True)
def _tree_edge(machine, vectors, cycle, edge):
    """A rising edge until it has come to all flops and inputs have switched: whether what the last
    cycle's had to be, compared before the first flop takes it, is wrong.
    """
    wrong, early, late = 0, vectors.early, vectors.late
    if early == 0:
        wrong = _is_wrong(machine, vectors, cycle - 1)
    _fire(machine, edge)
    _change(machine, vectors.clock_net, 1, edge)
    if early > 0:
        _run(machine, edge, edge + early)
        wrong = _is_wrong(machine, vectors, cycle - 1)
    _run(machine, edge + max(early - 1, 0), edge + late)
    _fire(machine, edge + late)
    _drive(machine, vectors, cycle, edge + late)
    return wrong
