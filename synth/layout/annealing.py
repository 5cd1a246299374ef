"""The loops of the placer `annealed`, compiled by numba. What they do is told in `annealed`.

Coordinates are doubled, so that centres are whole. Machine code is kept beside this file, in
`__pycache__`, or where that cannot be written in numba's own cache.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Ints = NDArray[np.int64]


class Core(NamedTuple):
    """A placement and what is known of it.

    Members:
        width, height: of a row. widths: of cells. x: left edges of cells. row: their rows. order:
        cells of each row from left to right. filled: how many these are. free: width that its
        cells leave. starts, pins: as in `Problem`. cell_starts, cell_nets: nets of each cell.
        points: twice the centre of cells and twice the places of ports. lengths: twice the half
        perimeter of nets. seen: the move that last looked at a net. changed: the nets of a move,
        moved: its cells, old: their left edges, new: those that they may have. random: state of
        the generator.
    """

    width: int
    height: int
    widths: _Ints
    x: _Ints
    row: _Ints
    order: _Ints
    filled: _Ints
    free: _Ints
    starts: _Ints
    pins: _Ints
    cell_starts: _Ints
    cell_nets: _Ints
    points: _Ints
    lengths: _Ints
    seen: _Ints
    changed: _Ints
    moved: _Ints
    old: _Ints
    new: _Ints
    random: NDArray[np.uint64]


@njit(cache=True)
def _random(state):
    """From 0 to 1: xorshift of 64 bits (G. Marsaglia, Journal of Statistical Software 8 (14))."""
    word = state[0]
    word ^= word << np.uint64(13)
    word ^= word >> np.uint64(7)
    word ^= word << np.uint64(17)
    state[0] = word
    return (word >> np.uint64(11)) * (1.0 / (1 << 53))


@njit(cache=True)
def _length(core, net):
    """Twice half the perimeter of a net."""
    first = core.pins[core.starts[net]]
    left = right = core.points[first, 0]
    low = high = core.points[first, 1]
    for place in range(core.starts[net] + 1, core.starts[net + 1]):
        pin = core.pins[place]
        x, y = core.points[pin, 0], core.points[pin, 1]
        left, right = min(left, x), max(right, x)
        low, high = min(low, y), max(high, y)
    return right - left + high - low


@njit(cache=True)
def _find(core, row, centre):
    """The place in a row of the first cell whose doubled centre is right of `centre`."""
    low, high = 0, core.filled[row]
    while low < high:
        middle = (low + high) // 2
        if core.points[core.order[row, middle], 0] > centre:
            high = middle
        else:
            low = middle + 1
    return low


@njit(cache=True)
def _take(core, cell):
    """Take a cell out of its row; the place that it had there."""
    row = core.row[cell]
    place = 0
    while core.order[row, place] != cell:
        place += 1
    core.filled[row] -= 1
    core.free[row] += core.widths[cell]
    for number in range(place, core.filled[row]):
        core.order[row, number] = core.order[row, number + 1]
    return place


@njit(cache=True)
def _put(core, cell, row, place):
    for number in range(core.filled[row], place, -1):
        core.order[row, number] = core.order[row, number - 1]
    core.order[row, place] = cell
    core.filled[row] += 1
    core.free[row] -= core.widths[cell]
    core.row[cell] = row


@njit(cache=True)
def _make_room(core, cell, row, place, x):
    """Cells that move for `cell` to lie at `x` or near it in a row, itself first; how many, 0 where
    there is no room.
    """
    width = core.widths[cell]
    x = min(max(x, 0), core.width - width)
    core.moved[0], core.new[0] = cell, x
    count, end = 1, x + width
    for number in range(place, core.filled[row]):
        other = core.order[row, number]
        if core.x[other] >= end:
            break
        if count == len(core.moved):
            return 0
        core.moved[count], core.new[count] = other, end
        count += 1
        end += core.widths[other]
    beyond = max(end - core.width, 0)
    for number in range(count):
        core.new[number] -= beyond
    end = core.new[0]
    for number in range(place - 1, -1, -1):
        other = core.order[row, number]
        end -= core.widths[other]
        if core.x[other] <= end:
            break
        if end < 0 or count == len(core.moved):
            return 0
        core.moved[count], core.new[count] = other, end
        count += 1
    return count


@njit(cache=True)
def _shift(core, count, row, xs):
    """Give the moved cells their left edges, the first one its row."""
    for number in range(count):
        cell = core.moved[number]
        core.x[cell] = xs[number]
        core.points[cell, 0] = 2 * xs[number] + core.widths[cell]
    core.points[core.moved[0], 1] = (2 * row + 1) * core.height


@njit(cache=True)
def _gain(core, count, move):
    """By how much the nets of the moved cells are shorter than they were; and how many nets."""
    gain = nets = 0
    for number in range(count):
        cell = core.moved[number]
        for place in range(core.cell_starts[cell], core.cell_starts[cell + 1]):
            net = core.cell_nets[place]
            if core.seen[net] != move:
                core.seen[net] = move
                core.changed[nets] = net
                nets += 1
                gain += core.lengths[net] - _length(core, net)
    return gain, nets


@njit(cache=True)
def _move(core, cell, row, centre, temperature, move):
    """Move a cell to a row, to the doubled `centre` there or near it, or leave it; whether it was
    moved.
    """
    before = core.row[cell]
    if row != before and core.free[row] < core.widths[cell]:
        return False
    was = _take(core, cell)
    place = _find(core, row, centre)
    count = _make_room(core, cell, row, place, (centre - core.widths[cell]) // 2)
    for number in range(count):
        core.old[number] = core.x[core.moved[number]]
    _shift(core, count, row, core.new)
    gain, nets = _gain(core, count, move)
    if count and (gain >= 0 or _random(core.random) < math.exp(gain / temperature)):
        _put(core, cell, row, place)
        for number in range(nets):
            net = core.changed[number]
            core.lengths[net] = _length(core, net)
        return True
    _shift(core, count, before, core.old)
    _put(core, cell, before, was)
    return False


@njit(cache=True)
def _neighbour(core, cell):
    """A random pin of a random net of a cell."""
    first, end = core.cell_starts[cell], core.cell_starts[cell + 1]
    if first == end:
        return cell
    net = core.cell_nets[first + int(_random(core.random) * (end - first))]
    first, end = core.starts[net], core.starts[net + 1]
    return core.pins[first + int(_random(core.random) * (end - first))]


@njit(cache=True, nogil=True)
def anneal(core, moves, steps, hot, cold, toward):
    """`moves` moves in `steps` temperatures, from `hot` to `cold`, in doubled units of length. A
    cell goes to a window around itself or, the share `toward` of the moves, around another pin of
    one of its nets. The window shrinks so that about 44 % of the moves are made, as in VPR
    (V. Betz, J. Rose, FPL 1997).
    """
    cells, rows = len(core.widths), len(core.filled)
    for net in range(len(core.starts) - 1):
        core.lengths[net] = _length(core, net)
    window, move = 1.0, 0
    for step in range(steps):
        temperature = hot * (cold / hot) ** (step / (steps - 1))
        made = 0
        for _ in range(moves // steps):
            move += 1
            cell = int(_random(core.random) * cells)
            near = _neighbour(core, cell) if _random(core.random) < toward else cell
            aside = (2 * _random(core.random) - 1) * window * 2 * core.width
            up = (2 * _random(core.random) - 1) * max(window * rows, 1.5)
            centre = min(max(int(core.points[near, 0] + aside), 0), 2 * core.width)
            row = math.floor(core.points[near, 1] / (2 * core.height) + up)
            made += _move(core, cell, min(max(row, 0), rows - 1), centre, temperature, move)
        window = min(max(window * (0.56 + made / (moves // steps)), 0.02), 1.0)
