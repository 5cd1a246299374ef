"""What Liberty groups have in common: attributes, units, and tables with their templates.

Table axes come from the named template, and their order differs between libraries; here a table is
always over input slew (ns) and load (pF).
"""

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .cells import LibertyError, Table

Node: TypeAlias = Any
"""A node of libparse's tree: `id`, `value`, `args`, `children`."""


def groups(node: Node, kind: str) -> Iterator[Node]:
    return (child for child in node.children if child.id == kind)


def attribute(node: Node, key: str) -> str | None:
    """Value of a simple attribute, None if the group does not have it."""
    return next((unquote(child.value) for child in node.children if child.id == key), None)


def unquote(text: str) -> str:
    return text.strip().strip('"').strip()


_PREFIX = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


def _scale(text: str, base: str, target: float, where: str) -> float:
    """Factor from a unit such as `1nW` to `target` (in SI): 1000 for 1nW and 1e-12."""
    match = re.fullmatch(rf"([\d.]+)\s*([fpnum]?){base}", text, flags=re.IGNORECASE)
    if not match:
        raise LibertyError(f"{where} must be a number of {base}, not {text!r}")
    return float(match[1]) * _PREFIX[match[2].lower()] / target


@dataclass(frozen=True)
class Units:
    """Factors from the file's units to ours."""

    ns: float
    pf: float
    volt: float
    watt: float

    @staticmethod
    def of(values: Mapping[str, str], load_unit: str, name: str) -> "Units":
        def unit(key: str, base: str, target: float) -> float:
            return _scale(values.get(key, ""), base, target, f"{key} of library {name}")

        return Units(
            ns=unit("time_unit", "s", 1e-9),
            pf=_scale(load_unit, "f", 1e-12, f"capacitive_load_unit of library {name}"),
            volt=unit("voltage_unit", "V", 1.0),
            watt=unit("leakage_power_unit", "W", 1.0),
        )

    @property
    def pj(self) -> float:
        """Energy of power tables: capacitance times voltage squared."""
        return self.pf * self.volt**2


class _Axis(enum.Enum):
    SLEW = "slew"
    LOAD = "load"
    OTHER = "of a constraint, not read"


_VARIABLES = {
    "input_net_transition": _Axis.SLEW,
    "input_transition_time": _Axis.SLEW,
    "total_output_net_capacitance": _Axis.LOAD,
}


@dataclass(frozen=True)
class Template:
    """What a table's axes mean, in the order of its indices, and their default points."""

    axes: tuple[_Axis, ...]
    points: tuple[tuple[float, ...], ...]


def _numbers(texts: Any, factor: float) -> tuple[float, ...]:
    return tuple(
        float(x) * factor for text in texts for x in unquote(text).replace(",", " ").split()
    )


def read_template(node: Node, units: Units) -> Template:
    values = {child.id: child for child in node.children}
    axes = tuple(
        _VARIABLES.get(unquote(values[f"variable_{i}"].value), _Axis.OTHER)
        for i in (1, 2, 3)
        if f"variable_{i}" in values
    )
    points = tuple(
        _numbers(values[f"index_{i}"].args, _axis_factor(axis, units))
        if f"index_{i}" in values
        else ()
        for i, axis in enumerate(axes, 1)
    )
    return Template(axes, points)


def _axis_factor(axis: _Axis, units: Units) -> float:
    return units.pf if axis is _Axis.LOAD else units.ns


@dataclass(frozen=True)
class TableReader:
    """Reads tables of a library, given its units and templates by name."""

    units: Units
    templates: Mapping[str, Template]

    def table(self, node: Node, key: str, factor: float, cell: str) -> Table | None:
        """The table `key` of a group, None if it has none; `factor` brings its values to our unit.

        `cell` names the cell in messages. Raises: LibertyError.
        """
        group = next(groups(node, key), None)
        if group is None:
            return None
        name = unquote(group.args[0])
        template = Template((), ()) if name == "scalar" else self.templates.get(name)
        axes = () if template is None else template.axes
        if template is None or _Axis.OTHER in axes or len(set(axes)) < len(axes):
            raise LibertyError(f"{key} of {cell} must be over slew and load, not {name!r}")
        children = {child.id: child.args for child in group.children}
        values = np.array(_numbers(children["values"], factor))
        points: dict[_Axis, tuple[float, ...]] = {_Axis.SLEW: (0.0,), _Axis.LOAD: (0.0,)}
        for i, (axis, default) in enumerate(zip(axes, template.points, strict=True), 1):
            own = children.get(f"index_{i}")
            points[axis] = _numbers(own, _axis_factor(axis, self.units)) if own else default
        slews, loads = points[_Axis.SLEW], points[_Axis.LOAD]
        if values.size != len(slews) * len(loads):
            size = f"{len(slews)}x{len(loads)}"
            raise LibertyError(f"{key} of {cell} must have {size} values, not {values.size}")
        if axes[:1] == (_Axis.LOAD,):
            values = values.reshape(len(loads), len(slews)).T
        rows = values.reshape(len(slews), len(loads)).tolist()
        return Table(slews, loads, tuple(map(tuple, rows)))
