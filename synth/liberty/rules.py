"""What a Liberty file must give for the flow's figures to be right, and its cells.

Delays of a path are added: each must begin at the threshold where the one before ends, and a table
of the delay must be there. Slews are compared within a library alone, so that any thresholds will
do for them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .boolean import Expr
from .cells import Arc, EnergyGroup, LibertyCell, LibertyError
from .syntax import Group, number
from .tables import Units

_REQUIRED: Mapping[str, str] = {
    "power tables (internal_power groups)": r"internal_power\s*\(",
    "leakage (cell_leakage_power or leakage_power)": r"cell_leakage_power\s*:|leakage_power\s*\(",
    "cell areas": r"\barea\s*:",
    "flop descriptions (ff groups)": r"\bff\s*\(",
}


def check_text(texts: Sequence[str], names: Sequence[str]) -> None:
    """Raise LibertyError for what is seen in files before they are parsed, and best said of them
    whole.
    """
    for text, name in zip(texts, names, strict=True):
        if re.search(r"\binclude_file\s*\(", text):
            raise LibertyError(f"{name} must be whole: put the file that include_file names in it")
        if not re.match(r"\s*library\b", text):
            raise LibertyError(f"{name} must begin with a library group")
    for what, mark in _REQUIRED.items():
        if not any(re.search(mark, text) for text in texts):
            raise LibertyError(f"{', '.join(names)} must have {what}, but there is none")


_EDGES = ("rise", "fall")
THRESHOLDS = tuple(
    f"{kind}_threshold_pct_{edge}"
    for kind in ("input", "output", "slew_lower", "slew_upper")
    for edge in _EDGES
)


def check_head(library: Group) -> None:
    """Raise LibertyError where a library's delays are not ours to add, or are no tables."""
    model = library.get("delay_model")
    if model not in (None, "table_lookup"):
        raise LibertyError(f"delay_model must be table_lookup, not {model}")
    percent: dict[str, float] = {}
    for key in THRESHOLDS:
        value = library.get(key)
        if value is None:
            raise LibertyError(f"library {library.name} must give {key}, but does not")
        percent[key] = number(key, value)
        if not 0 < percent[key] < 100:
            raise LibertyError(f"{key} must be between 0 and 100, not {value}")
    for edge in _EDGES:
        starts, ends, lower, upper = (
            percent[f"{kind}_threshold_pct_{edge}"]
            for kind in ("input", "output", "slew_lower", "slew_upper")
        )
        if starts != ends:
            rule = f"output_threshold_pct_{edge} must be input_threshold_pct_{edge}"
            raise LibertyError(f"{rule}, for delays are added: not {ends:g} and {starts:g}")
        if lower >= upper:
            rule = f"slew_lower_threshold_pct_{edge} must be below slew_upper_threshold_pct_{edge}"
            raise LibertyError(f"{rule}, not {lower:g} and {upper:g}")
    derate = library.get("slew_derate_from_library")
    if derate is not None and not 0 < number("slew_derate_from_library", derate) <= 1:
        raise LibertyError(f"slew_derate_from_library must be above 0 and at most 1, not {derate}")


@dataclass(frozen=True)
class Corner:
    """The conditions that the tables hold for; None where the file does not say."""

    name: str | None
    process: float | None
    volts: float
    celsius: float | None


def corner(library: Group) -> Corner:
    """The default operating conditions: those named so, else the only ones, else the nominal ones.

    Raises: LibertyError where there is no supply.
    """
    every = {group.name: group for group in library.of("operating_conditions")}
    chosen = every.get(library.get("default_operating_conditions") or "")
    if chosen is None and len(every) == 1 and library.get("nom_voltage") is None:
        (chosen,) = every.values()

    def value(key: str) -> float | None:
        found = (chosen.get(key) if chosen else None) or library.get(f"nom_{key}")
        return None if not found else number(key, found)

    volts = value("voltage")
    if volts is None:
        raise LibertyError(
            f"library {library.name} must give its supply (nom_voltage), but does not"
        )
    if volts <= 0:
        raise LibertyError(f"voltage of library {library.name} must be positive, not {volts:g}")
    volts *= Units.of(library).volt
    name = chosen.name if chosen else None
    return Corner(name, value("process"), volts, value("temperature"))


def family(one: Group, two: Group) -> str | None:
    """In what two library groups of different files differ, though one library has it once; None
    where they are of one family.
    """
    conditions = corner(one), corner(two)
    facts: Mapping[str, tuple[object, object]] = {
        "units": (Units.of(one), Units.of(two)),
        "supply": (conditions[0].volts, conditions[1].volts),
        "temperature": (conditions[0].celsius, conditions[1].celsius),
        "process": (conditions[0].process, conditions[1].process),
        **{key: (_value(one, key), _value(two, key)) for key in (*THRESHOLDS, *_DEFAULTS)},
    }
    return next((what for what, (here, there) in facts.items() if here != there), None)


_DEFAULTS: Mapping[str, float] = {"slew_derate_from_library": 1.0, "default_input_pin_cap": 0.0}
"""What a library has where it does not say."""


def _value(library: Group, key: str) -> float:
    text = library.get(key)
    return _DEFAULTS[key] if text is None else number(key, text)


def check_cell(cell: LibertyCell) -> None:
    """Raise LibertyError where timing, power or simulation would lack something."""
    inputs = {pin.name for pin in cell.inputs}
    states = set(cell.states)
    known = inputs | states
    pins = inputs | {pin.name for pin in cell.outputs}
    for pin in cell.outputs:
        if pin.function is None or not pin.function.pins <= known:
            rule = "must be a function of inputs or of an ff or latch group"
            raise LibertyError(f"output {pin.name} of {cell.name} {rule}")
        if pin.function.pins and not pin.arcs:
            raise LibertyError(
                f"output {pin.name} of {cell.name} must have delay tables, but has none"
            )
        if any(group.related is None for group in pin.energies):
            raise LibertyError(
                f"internal_power of {pin.name} of {cell.name} must have a related_pin"
            )
    if cell.inputs and cell.outputs and not any(pin.energies for pin in cell.pins.values()):
        raise LibertyError(f"cell {cell.name} must have power tables, but has none")
    if cell.inputs and cell.leakage_watts is None:
        raise LibertyError(f"cell {cell.name} must have leakage, but has none")
    for what, names in _named_pins(cell).items():
        if strange := sorted(names - pins - (set() if what == "related_pin" else states)):
            raise LibertyError(f"{what} of {cell.name} must name pins of it, not {strange[0]}")


def _named_pins(cell: LibertyCell) -> dict[str, set[str]]:
    """Pins that conditions and groups of a cell refer to, by attribute."""
    pins = (*cell.inputs, *cell.outputs)
    groups: list[Arc | EnergyGroup] = [arc for pin in pins for arc in pin.arcs]
    groups += [energy for pin in pins for energy in pin.energies]
    conditions: list[Expr | None] = [
        *(leakage.when for leakage in cell.leakage),
        *(group.when for group in groups),
    ]
    return {
        "related_pin": {group.related for group in groups if group.related},
        "when": {name for when in conditions if when for name in when.pins},
    }
