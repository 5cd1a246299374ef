"""What `quantizers.json` holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from .rows import OF_AN_ELEMENT, OF_AN_OPERATION, Best, Report


@dataclass(frozen=True, kw_only=True)
class QuantizerRow:
    """A unit of the quantizer: energies are of an element."""

    lanes: Annotated[int, "elements a cycle"]
    gate_equivalents_per_lane: Annotated[float, "area over lanes"]
    unit: Annotated[str, "label"]
    options: Annotated[Mapping[str, Any], "parameters"]
    measured: Annotated[Best, OF_AN_ELEMENT]


@dataclass(frozen=True, kw_only=True)
class OperationRow:
    """A unit beside it: energies are of an operation."""

    unit: Annotated[str, "label"]
    options: Annotated[Mapping[str, Any], "parameters"]
    measured: Annotated[Best, OF_AN_OPERATION]


@dataclass(frozen=True)
class ElementsRow:
    """Elements quantized in a training step, a sample."""

    w: Annotated[float, "weights"]
    a: Annotated[int, "activations"]
    e: Annotated[int, "errors"]
    total: Annotated[float, "all three"]


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """What a network multiplies and quantizes."""

    network: Annotated[str, "which network"]
    data: Annotated[str, "what it classifies"]
    batch: Annotated[int, "samples of a step"]
    forward_macs: Annotated[int, "MACs of an inference, a sample"]
    step_macs: Annotated[int, "MACs of a step in MLS, a sample"]
    other_macs: Annotated[int, "MACs of a step in other arithmetic, a sample"]
    elements: Annotated[ElementsRow, "elements quantized, a sample"]
    elements_per_mac: Annotated[float, "their `total` over `step_macs`"]
    normalized_elements: Annotated[int, "elements of all batch normalizations, a sample"]


@dataclass(frozen=True, kw_only=True)
class StepParts:
    """What a training step's energy is spent on; batch normalization is for comparison."""

    macs: Annotated[float, "MACs in MLS"]
    statistics: Annotated[float, "the quantizer's first pass"]
    quantization: Annotated[float, "its second"]
    batch_norm: Annotated[float, "for comparison: batch normalization, as we count it"]
    batch_norm_by_paper: Annotated[float, "for comparison: as the paper counts it"]


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A training step of a network with a quantizer."""

    network: Annotated[str, "which network"]
    unit: Annotated[str, "the quantizer"]
    lanes: Annotated[int, "its lanes"]
    batch: Annotated[int, "samples of a step"]
    energy_uj: Annotated[StepParts, "uJ of a step, a sample"]
    pj_per_mac: Annotated[StepParts, "the same over `step_macs`, in pJ"]
    share_of_macs: Annotated[float, "statistics and quantization over MACs"]
    ratio_to_batch_norm: Annotated[float, "statistics and quantization over batch normalization"]
    ratio_to_batch_norm_by_paper: Annotated[float, "the same as the paper counts it"]


@dataclass(frozen=True)
class Operations:
    """Float32 operations an element."""

    multiplications: Annotated[int, "multiplications an element"]
    additions: Annotated[int, "additions an element"]

    def energy(self, multiplication: float, addition: float) -> float:
        """Of all of them, from the energies of one."""
        return self.multiplications * multiplication + self.additions * addition


@dataclass(frozen=True)
class BatchNorm:
    """A batch normalization's operations, both ways."""

    forward: Annotated[Operations, "of a forward pass"]
    backward: Annotated[Operations, "of a backward pass"]

    def energy(self, multiplication: float, addition: float) -> float:
        """Of both passes, an element."""
        return sum(way.energy(multiplication, addition) for way in (self.forward, self.backward))


@dataclass(frozen=True)
class PaperRow:
    """What the MLS paper says of quantization."""

    claim: Annotated[str, "in words"]
    batch_norm: Annotated[BatchNorm, "operations by its Table 1"]


@dataclass(frozen=True, kw_only=True)
class QuantizerReport(Report):
    """`quantizers.json`."""

    paper: Annotated[PaperRow, "what the MLS paper says"]
    batch_norm: Annotated[BatchNorm, "float32 operations of a batch normalization, as we count"]
    rows: Annotated[
        tuple[QuantizerRow, ...],
        "the units of the quantizer, stages `group_scale`, `lanes`, `generator`",
    ]
    operations: Annotated[tuple[OperationRow, ...], "MACs and FP32 parts"]
    networks: Annotated[tuple[NetworkRow, ...], "a network each"]
    steps: Annotated[
        tuple[StepRow, ...],
        "a network with a quantizer, the statistics of its lanes and the MAC of its format; none "
        "where one of them has no energy",
    ]

    @property
    def units(self) -> tuple[QuantizerRow | OperationRow, ...]:
        """All that was measured."""
        return *self.rows, *self.operations
