"""What a training step takes in a system, from what its units take."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...data.networks import Elements, Network
from ..quantizer_report import ADDER, BATCH_NORM, MULTIPLIER
from ..quantizer_rows import Operations
from .systems import STATISTICS, Group, Quantizer, System
from .units import MeasuredUnit, MeasuredUnits

ADD = Operations(0, 2)
"""An element of a block's output and one of its error: forward the shortcut is added, backward the
shortcut's error.
"""

UPDATE = Operations(3, 3)
"""A weight, by SGD with momentum m and weight decay d: v = m v + (g + d w), w = w - r v."""

STAGES = {
    **dict.fromkeys(("multiplier", "accumulator", "macs", "operands", "dot"), "products"),
    **dict.fromkeys(("collector", "scalers", "scale"), "scaler"),
    **dict.fromkeys(("tree", "accumulate", "output"), "tree"),
}
"""Which part of a step a stage of a unit belongs to. A tile's collector holds what its scalers
take.
"""

PJ_TO_UJ = 1e-6


class MissingUnit(LookupError):
    """A unit that is not among those measured; its message is its label."""


@dataclass(frozen=True)
class Energies:
    """Of a step, pJ a sample.

    Members: `convolutions`: by kind, of the quantized layers; `parts`: of these by part; `first`
    and `classifier`; `statistics`, `encoding`: None without; `rest`: batch normalization,
    additions, update.
    """

    convolutions: Mapping[str, float]
    parts: Mapping[str, float]
    first: float
    classifier: float
    statistics: float | None
    encoding: float | None
    rest: Mapping[str, float]

    @property
    def outer(self) -> float:
        """First layer and classifier."""
        return self.first + self.classifier

    @property
    def inner(self) -> float:
        """The quantized convolutions."""
        return sum(self.convolutions.values())

    @property
    def total(self) -> float:
        """All of it."""
        quantization = (self.statistics or 0.0) + (self.encoding or 0.0)
        return self.inner + self.outer + quantization + sum(self.rest.values())


def energies(
    network: Network, batch: int, group: Group, system: System, lanes: int, units: MeasuredUnits
) -> Energies:
    """A step of a system. Raises: MissingUnit."""
    own = Multipliers.of(group, system, lanes, units)
    outer = own if system.everywhere else Multipliers.of(group, group.systems[0], lanes, units)
    macs = network.step_macs / 3
    convolutions = {kind: macs * own.energy(kind) for kind in ("wa", "we", "ae")}
    parts: dict[str, float] = {}
    for kind, energy in convolutions.items():
        for part, share in own.shares(kind).items():
            parts[part] = parts.get(part, 0.0) + share * energy
    first, classifier = network.convolutions[0].macs, network.classifier.macs
    layers = network.layers if system.everywhere else network.quantized
    statistics, encoding = _quantization(Elements.of(layers, batch), system.quantizer, units)
    multiplication, addition = (part_energy(units, entry.label) for entry in (MULTIPLIER, ADDER))
    return Energies(
        convolutions=convolutions,
        parts=parts,
        first=first * (outer.energy("wa") + outer.energy("ae")),
        classifier=classifier * sum(outer.energy(kind) for kind in convolutions),
        statistics=statistics,
        encoding=encoding,
        rest={
            "batch_norm": network.normalized * BATCH_NORM.energy(multiplication, addition),
            "adds": network.added * ADD.energy(multiplication, addition),
            "update": network.weights / batch * UPDATE.energy(multiplication, addition),
        },
    )


@dataclass(frozen=True)
class Multipliers:
    """The unit of W*A and W*E, and that of A*E."""

    unit: MeasuredUnit
    gradient: MeasuredUnit

    @classmethod
    def of(cls, group: Group, system: System, lanes: int, units: MeasuredUnits) -> "Multipliers":
        """Those of a system. Raises: MissingUnit."""
        place = group.lanes(system, lanes)
        found = []
        for label in (system.unit, system.gradient or system.unit):
            unit = units.find(group.table, label, place)
            if unit is None:
                raise MissingUnit(label if place is None else f"{label}, {place} lanes")
            found.append(unit)
        return cls(*found)

    def energy(self, kind: str) -> float:
        """pJ a product."""
        return self._of(kind).of(kind)

    def shares(self, kind: str) -> dict[str, float]:
        """Of a step's parts, as the stages of all convolutions have them."""
        stages = self._of(kind).by_stage_pj
        whole = sum(stages.values())
        found: dict[str, float] = {}
        for stage, energy in stages.items():
            part = STAGES.get(stage, "products")
            found[part] = found.get(part, 0.0) + energy / whole
        return found or {"products": 1.0}

    def _of(self, kind: str) -> MeasuredUnit:
        return self.gradient if kind == "ae" else self.unit


def part_energy(units: MeasuredUnits, label: str) -> float:
    """pJ of an operation of a part. Raises: MissingUnit."""
    found = units.find("parts", label)
    if found is None:
        raise MissingUnit(label)
    return found.energy_pj


def _quantization(
    counts: Elements, quantizer: Quantizer | None, units: MeasuredUnits
) -> tuple[float | None, float | None]:
    """Statistics and encoding, pJ a sample; None without. Raises: MissingUnit."""
    if quantizer is None:
        return None, None
    unit = units.find("parts", quantizer.unit)
    if unit is None:
        raise MissingUnit(quantizer.unit)
    stages = unit.by_stage_pj
    each = sum(stages[stage] for stage in quantizer.stages) or unit.energy_pj
    encoded = counts.w * quantizer.w + counts.a * quantizer.a + counts.e * quantizer.e
    statistics = counts.total * part_energy(units, STATISTICS) if quantizer.statistics else None
    return statistics, encoded * each
