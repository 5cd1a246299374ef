"""What Liberty groups have in common: attributes, units, and tables with their templates.

Table axes come from the named template, and their order differs between libraries; here a table is
always over input slew (ns) and load (pF).
"""

import enum
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .cells import LibertyError, Table
from .syntax import Group, number, unquote

_PREFIX = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


def _scale(text: str, base: str, target: float, where: str) -> float:
    """Factor from a unit such as `1nW` to `target` (in SI): 1000 for 1nW and 1e-12."""
    match = re.fullmatch(rf"([\d.]+(?:e[+-]?\d+)?)\s*([fpnum]?){base}", text, flags=re.IGNORECASE)
    if not match:
        raise LibertyError(f"{where} must be a number and a unit such as p{base}, not {text!r}")
    return float(match[1]) * _PREFIX[match[2].lower()] / target


@dataclass(frozen=True)
class Units:
    """Factors from the file's units to ours."""

    ns: float
    pf: float
    volt: float
    watt: float

    @staticmethod
    def of(library: Group) -> "Units":
        """Of a library's head. Raises: LibertyError."""
        name = library.name

        def unit(key: str, base: str, target: float) -> float:
            return _scale(library.get(key) or "", base, target, f"{key} of library {name}")

        load = library.arguments("capacitive_load_unit")
        if load is None:
            raise LibertyError(f"library {name} must give capacitive_load_unit, but does not")
        load_unit = "".join(map(unquote, load))
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


@functools.lru_cache(maxsize=4096)
def _axis(texts: tuple[str, ...], factor: float) -> tuple[float, ...]:
    """Points of an axis: a library has few axes, which its tables repeat."""
    return tuple(_numbers(texts, factor))


def _numbers(texts: tuple[str, ...], factor: float) -> list[float]:
    words = " ".join(map(unquote, texts)).replace(",", " ").split()
    try:
        return [float(word) * factor for word in words]
    except ValueError:
        return [number("each value of a table", word) for word in words]


def _template(group: Group, units: Units) -> Template:
    axes: list[_Axis] = []
    points: list[tuple[float, ...]] = []
    for i in (1, 2, 3):
        variable = group.get(f"variable_{i}")
        if variable is None:
            break
        axes.append(_VARIABLES.get(variable, _Axis.OTHER))
        points.append(_axis(group.arguments(f"index_{i}") or (), _axis_factor(axes[-1], units)))
    return Template(tuple(axes), tuple(points))


def _axis_factor(axis: _Axis, units: Units) -> float:
    return units.pf if axis is _Axis.LOAD else units.ns


DELAY, POWER = TEMPLATES = ("lu_table_template", "power_lut_template")
"""Groups that declare templates: a name may stand for one of delays and another of energies."""

_SCALAR = Template((), ())


@dataclass(frozen=True)
class TableReader:
    """Reads tables of a library, given its units and its templates by kind and name."""

    units: Units
    templates: Mapping[tuple[str, str], Template]

    @staticmethod
    def of(library: Group) -> "TableReader":
        """Of a library group. Raises: LibertyError."""
        units = Units.of(library)
        templates: dict[tuple[str, str], Template] = {}
        for group in library.of(*TEMPLATES):
            template = _template(group, units)
            if templates.setdefault((group.kind, group.name), template) != template:
                raise LibertyError(f"{group.kind} {group.name} must stand once, but stands twice")
        return TableReader(units, templates)

    def delay(self, group: Group, key: str, cell: str) -> Table | None:
        """The table `key` of a timing group in ns, None where there is none; `cell` names the cell
        in messages. Raises: LibertyError.
        """
        return self._table(group, key, (DELAY, POWER), self.units.ns, cell)

    def energy(self, group: Group, key: str, cell: str) -> Table | None:
        """The table `key` of an internal_power group in pJ, as `delay`."""
        return self._table(group, key, (POWER, DELAY), self.units.pj, cell)

    def _table(
        self, node: Group, key: str, kinds: tuple[str, ...], factor: float, cell: str
    ) -> Table | None:
        group = next(node.of(key), None)
        if group is None:
            return None
        name = group.name
        known = (self.templates.get((kind, name)) for kind in kinds)
        template = _SCALAR if name.lower() in ("scalar", "") else next(filter(None, known), None)
        axes = () if template is None else template.axes
        if template is None or _Axis.OTHER in axes or len(set(axes)) < len(axes):
            raise LibertyError(f"{key} of {cell} must be over slew and load, not {name!r}")
        values = np.array(_numbers(group.arguments("values") or (), factor))
        points: dict[_Axis, tuple[float, ...]] = {_Axis.SLEW: (0.0,), _Axis.LOAD: (0.0,)}
        for i, (axis, default) in enumerate(zip(axes, template.points, strict=True), 1):
            own = group.arguments(f"index_{i}")
            points[axis] = _axis(own, _axis_factor(axis, self.units)) if own else default
        slews, loads = points[_Axis.SLEW], points[_Axis.LOAD]
        if values.size != len(slews) * len(loads):
            size = f"{len(slews)}x{len(loads)}"
            raise LibertyError(f"{key} of {cell} must have {size} values, not {values.size}")
        if not np.isfinite(values).all():
            raise LibertyError(f"{key} of {cell} must have finite values alone")
        if not values.size or any(b <= a for axis in (slews, loads) for a, b in pairwise(axis)):
            raise LibertyError(f"{key} of {cell} must be over axes that increase, not {name!r}")
        if axes[:1] == (_Axis.LOAD,):
            values = values.reshape(len(loads), len(slews)).T
        rows = values.reshape(len(slews), len(loads)).tolist()
        return Table(slews, loads, tuple(map(tuple, rows)))
