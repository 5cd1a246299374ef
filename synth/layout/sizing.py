"""Drive strengths and buffers by what wires cost: those that take least power.

Netlists are mapped before anything is known of wires, to the smallest cells and with a buffer
wherever many read a net. A stronger cell has larger inputs and takes more itself, but makes its
readers' inputs steeper, who then take less; a buffer does both. Which of it wins depends on the
wires.
"""

from collections.abc import Iterable, Mapping, Sequence

from ..liberty.library import Library
from ..mapping.netlist import Netlist
from ..power.engine import Activity
from .changes import Activities, Change, State
from .variants import Variants

_PASSES = 3
"""At most; a pass finds less than the one before it."""

_PARTS = 4
"""Of the changes of a pass: what is tried at last where all of them together take more."""

_GAIN = 1e-7
"""Share of the power that a change must be worth."""


def uniform(
    netlist: Netlist,
    library: Library,
    *,
    clock_net: str | None,
    clock_mhz: float,
    toggles: float = 0.2,
) -> dict[str, Activity]:
    """The same `toggles` a cycle for every net but the clock, where no simulation says more."""
    own = Activity(1e6 * clock_mhz * toggles, 0.5)
    activity = dict.fromkeys(netlist.nets(), own)
    for name, cell in netlist.cells.items():
        activity |= {
            f"{name}/{pin.name}": own
            for pin in library[cell.kind].outputs
            if pin.name not in cell.pins
        }
    return activity | ({clock_net: Activity.clock(clock_mhz)} if clock_net else {})


def sized(
    netlist: Netlist,
    library: Library,
    variants: Variants,
    wires_pf: Mapping[str, float],
    activity_of: Activities,
    *,
    clock_net: str | None,
    room: float,
) -> Netlist:
    """The netlist with other `variants` of its cells, and without some of its buffers, as takes
    least power with these wires; it computes the same.

    A change counts where a cell, its drivers and their other readers, and its readers take less
    power together; above all, no load and no slew gets beyond its limit, and those that are come
    back. Changes that touch no cell in common are made together, and stay where the whole takes
    less, of which `activity_of` is the judge: glitches follow delays. Otherwise parts of them are
    tried, a quarter at last. `room`: over the longest path of the netlist as it is, what a path may
    take; below 1 nothing is slowed down, and nothing is made faster either.
    Deterministic. Raises: as `analyse` and `evaluate`.
    """
    state = State(netlist, library, wires_pf, activity_of, clock_net)
    limit = max(room, 1.0) * state.longest_ns
    names = list(netlist.cells)
    for _ in range(_PASSES):
        changes = _apart(state.changes(names, variants, limit, _GAIN))
        before, state = state, _made(state, changes, limit, len(changes) // _PARTS)
        if state is before:
            break
        touched = {name for change in changes for name in change.touched}
        names = [name for name in state.netlist.cells if name in touched]
    return state.netlist


def _made(state: State, changes: Sequence[Change], limit_ns: float, least: int) -> State:
    """The state after changes, as far as they make it better; of parts of more than `least`."""
    if not changes:
        return state
    after = state.after(changes)
    if _is_better(after, state, limit_ns):
        return after
    half = len(changes) // 2
    if half < max(least, 1):
        return state
    return _made(_made(state, changes[:half], limit_ns, least), changes[half:], limit_ns, least)


def _is_better(after: State, before: State, limit_ns: float) -> bool:
    if after.longest_ns > limit_ns:
        return False
    if after.excess < before.excess - 1e-6:
        return True
    return after.excess <= before.excess and after.watts < before.watts * (1 - _GAIN)


def _apart(changes: Iterable[Change]) -> list[Change]:
    """The best ones, of which no two touch the same cell."""
    found: list[Change] = []
    taken: set[str] = set()
    for change in sorted(changes, key=lambda own: (round(own.excess, 6), own.watts, own.name)):
        if taken.isdisjoint(change.touched):
            taken |= change.touched
            found.append(change)
    return found
