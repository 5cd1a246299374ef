"""Groups of a Liberty file to cells."""

import enum
from collections.abc import Iterator, Mapping
from typing import TypeVar

from .boolean import Expr, Op, parse
from .cells import (
    Arc,
    ArcKind,
    ClockGate,
    Direction,
    EnergyGroup,
    Flop,
    Latch,
    Leakage,
    LibertyCell,
    LibertyError,
    Pin,
    Sense,
    Table,
)
from .syntax import Group, number
from .tables import TableReader

_SET: Mapping[str, str] = {
    "dont_use": "dont_use",
    "clock_gating_integrated_cell": "clock gate",
    "is_pad": "pad",
    "pad_cell": "pad",
    "auxiliary_pad_cell": "pad",
    "is_macro_cell": "macro",
    "is_isolation_cell": "isolation",
    "is_clock_isolation_cell": "isolation",
    "is_level_shifter": "level shifter",
    "retention_cell": "retention",
    "switch_cell_type": "power switch",
}
"""Attributes of a cell that keep it out of mapping, where they are set, in two words."""
_WITHIN: Mapping[str, str] = {
    "latch": "latch",
    "latch_bank": "latch",
    "statetable": "state table",
    "ff_bank": "bank of flops",
    "bus": "pins in buses",
    "bundle": "pins in buses",
    "memory": "memory",
}
"""The same of groups that it has."""
_OF_PINS: Mapping[str, str] = {"three_state": "three-state", "is_pad": "pad"}
"""The same of attributes of its pins."""


def barred(cell: Group) -> str | None:
    """Why mapping must not use a cell, by what its `cell` group says; None where it may."""
    reasons = [
        *(word for key, word in _SET.items() if cell.is_set(key)),
        *(_WITHIN[group.kind] for group in cell.groups if group.kind in _WITHIN),
        *(word for pin in cell.of("pin") for key, word in _OF_PINS.items() if pin.is_set(key)),
    ]
    if len(list(cell.of("ff"))) > 1:
        reasons.append("bank of flops")
    return reasons[0] if reasons else None


Word = TypeVar("Word", bound=enum.Enum)


class CellReader:
    """Turns `cell` groups of one library into cells."""

    def __init__(self, library: Group) -> None:
        """`library`: the group around the cells. Raises: LibertyError."""
        self._tables = TableReader.of(library)
        self._units = self._tables.units
        self._input_pf = _number(library, "default_input_pin_cap", self._units.pf) or 0.0
        self._max_pf = _number(library, "default_max_capacitance", self._units.pf)
        self._max_ns = _number(library, "default_max_transition", self._units.ns)
        self._default_watts = _number(library, "default_cell_leakage_power", self._units.watt)
        self._kind = ""  # of the cell being read, for messages

    def cell(self, node: Group) -> LibertyCell:
        """The cell of a `cell` group. Raises: LibertyError."""
        self._kind = node.name
        try:
            return self._cell(node)
        except LibertyError as error:
            if self._kind in str(error):
                raise
            raise LibertyError(f"cell {self._kind}: {error}") from None

    def _cell(self, node: Group) -> LibertyCell:
        leakage, leakage_watts = self._leakage(node)
        pins: dict[str, Pin] = {}
        for group in node.of("pin"):
            for name in group.names:
                if name in pins:
                    raise LibertyError(f"pin {name} of {self._kind} must stand once, not twice")
                pins[name] = self._pin(name, group)
        area = _number(node, "area")
        if area is None:
            raise LibertyError(f"cell {self._kind} must have an area, but has none")
        if area < 0:
            raise LibertyError(f"area of cell {self._kind} must not be negative, as {area:g} is")
        gate = _clock_gate(node)
        return LibertyCell(
            self._kind,
            area,
            pins,
            self._flop(node),
            leakage,
            leakage_watts,
            self._latch(node) or _latch_within(gate, pins),
            gate,
            barred(node),
        )

    def _flop(self, node: Group) -> Flop | None:
        group = next(node.of("ff"), None)
        if group is None:
            return None
        state, inverse = self._states(group)
        found = {
            key: self._expr(group, key) for key in ("next_state", "clocked_on", "clear", "preset")
        }
        if found["next_state"] is None or found["clocked_on"] is None:
            raise LibertyError(f"flop {self._kind} must give next_state and clocked_on")
        return Flop(
            state,
            inverse,
            found["next_state"],
            found["clocked_on"],
            found["clear"],
            found["preset"],
        )

    def _latch(self, node: Group) -> Latch | None:
        group = next(node.of("latch"), None)
        if group is None:
            return None
        keys = ("data_in", "enable", "clear", "preset")
        return Latch(*self._states(group), *(self._expr(group, key) for key in keys))

    def _states(self, group: Group) -> tuple[str, str]:
        """Names of the state and of its inverse."""
        names = group.names
        if len(names) != 2:
            given = " ".join(names) or "none"
            raise LibertyError(f"{group.kind} of {self._kind} must name two states, not {given}")
        return names[0], names[1]

    def _leakage(self, node: Group) -> tuple[tuple[Leakage, ...], float | None]:
        """Watts by state, summed over supplies, and in every other state.

        The latter is `cell_leakage_power`; without it, 0 where states are given, else the value
        without a condition, else the library's default; None where the file is silent.
        """
        states: dict[Expr, float] = {}
        plain: list[float] = []
        for group in node.of("leakage_power"):
            watts = _number(group, "value", self._units.watt) or 0.0
            when = self._expr(group, "when")
            if when is None:
                plain.append(watts)
            else:
                states[when] = states.get(when, 0.0) + watts
        whole = _number(node, "cell_leakage_power", self._units.watt)
        if whole is not None:
            other: float | None = whole
        elif states:
            other = 0.0
        else:
            other = sum(plain) if plain else self._default_watts
        return tuple(Leakage(watts, when) for when, watts in states.items()), other

    def _pin(self, name: str, node: Group) -> Pin:
        direction = _word(node, "direction", Direction, Direction.INPUT)
        function = self._expr(node, "function") or self._expr(node, "state_function")
        default = self._input_pf if direction is Direction.INPUT else 0.0
        given = (f"{edge}capacitance" for edge in ("", "rise_", "fall_"))
        both, rise, fall = (_number(node, key, self._units.pf) for key in given)
        both = default if both is None else both
        rise, fall = (both if own is None else own for own in (rise, fall))
        arcs = (a for group in node.of("timing") for a in self._arcs(group))
        energies = (e for group in node.of("internal_power") for e in self._energies(group))
        load = _number(node, "max_capacitance", self._units.pf)
        slew = _number(node, "max_transition", self._units.ns)
        if load is None and direction is Direction.OUTPUT:
            load = self._max_pf
        return Pin(
            *(name, direction, rise, fall, node.is_set("clock"), function),
            *(tuple(arcs), tuple(energies), load, self._max_ns if slew is None else slew),
        )

    def _arcs(self, node: Group) -> Iterator[Arc]:
        kind = _ARC_KINDS.get(node.get("timing_type") or "combinational")
        if kind is None:  # a constraint, or a three-state arc: of cells that mapping leaves out
            return
        tables = {
            name: self._tables.delay(node, name, self._kind)
            for name in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
        }
        if kind is ArcKind.COMBINATIONAL_RISE:
            tables["cell_fall"] = tables["fall_transition"] = None
        if kind is ArcKind.COMBINATIONAL_FALL:
            tables["cell_rise"] = tables["rise_transition"] = None
        sense = _word(node, "timing_sense", Sense, Sense.NON_UNATE)
        for related in _related(node):
            yield Arc(related, kind, sense, self._expr(node, "when"), **tables)

    def _energies(self, node: Group) -> Iterator[EnergyGroup]:
        power = self._tables.energy(node, "power", self._kind)
        rise, fall = (
            self._tables.energy(node, f"{edge}_power", self._kind) or power or _NO_ENERGY
            for edge in ("rise", "fall")
        )
        supply, when = node.get("related_pg_pin"), self._expr(node, "when")
        yield from (EnergyGroup(pin, when, supply, rise, fall) for pin in _related(node) or (None,))

    def _expr(self, node: Group, key: str) -> Expr | None:
        text = node.get(key)
        try:
            return parse(text) if text else None
        except ValueError as error:
            raise LibertyError(f"{key} of cell {self._kind}: {error}") from None


def _number(node: Group, key: str, factor: float = 1.0) -> float | None:
    """An attribute's value in our units, None where it is absent or empty."""
    text = node.get(key)
    return number(key, text) * factor if text else None


def _word(node: Group, key: str, kind: type[Word], default: Word) -> Word:
    """The member of an enum that an attribute names."""
    text = (node.get(key) or default.value).lower()
    try:
        return kind(text)
    except ValueError:
        words = ", ".join(member.value for member in kind)
        raise LibertyError(f"{key} must be one of {words}, not {text!r}") from None


def _related(node: Group) -> list[str]:
    """The pins of `related_pin`, a list with blanks or commas."""
    return (node.get("related_pin") or "").replace(",", " ").split()


def _clock_gate(node: Group) -> ClockGate | None:
    kind = node.get("clock_gating_integrated_cell")
    if not kind:
        return None
    roles = {
        role: next(
            (pin.name for pin in node.of("pin") if pin.is_set(f"clock_gate_{role}_pin")), None
        )
        for role in ("clock", "enable", "test", "out")
    }
    return ClockGate(kind, roles["clock"], roles["enable"], roles["test"], roles["out"])


def _latch_within(gate: ClockGate | None, pins: Mapping[str, Pin]) -> Latch | None:
    """The latch that a clock gate describes by a state table and its kind alone: transparent while
    the clock stands still, and the state is what the output's function has beside pins.
    """
    if gate is None or not gate.kind.startswith("latch") or not (gate.clock and gate.enable):
        return None
    function = pins[gate.output].function if gate.output else None
    inputs = {name for name, pin in pins.items() if pin.direction is Direction.INPUT}
    states = sorted(function.pins - inputs) if function else []
    if len(states) != 1:
        return None
    clock, enable = Expr(Op.PIN, name=gate.clock), Expr(Op.PIN, name=gate.enable)
    if gate.test and gate.test in pins:
        enable = Expr(Op.OR, (enable, Expr(Op.PIN, name=gate.test)))
    still = Expr(Op.NOT, (clock,)) if "posedge" in gate.kind else clock
    return Latch(states[0], "", enable, still, None, None)


_NO_ENERGY = Table((0.0,), (0.0,), ((0.0,),))

_ARC_KINDS: Mapping[str, ArcKind] = {kind.value: kind for kind in ArcKind}
