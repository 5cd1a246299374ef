"""What `step.json` holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from ..quantizer_rows import BatchNorm, NetworkRow, Operations


@dataclass(frozen=True, kw_only=True)
class Counts(NetworkRow):
    """What a step of the network consists of."""

    weights: Annotated[int, "weights of all layers, which a step updates"]
    added_elements: Annotated[int, "elements to which those of a shortcut are added, a sample"]
    share_3x3: Annotated[float, "share of the quantized MACs that are of 3 x 3 kernels"]


@dataclass(frozen=True, kw_only=True)
class StepParts:
    """What a step's energy is spent on, uJ a sample."""

    products: Annotated[float, "products and local sums of the quantized layers"]
    scaler: Annotated[float | None, "group scales; null where the unit has none"]
    tree: Annotated[float | None, "sums of lanes and groups, likewise"]
    outer: Annotated[float, "first layer and classifier, all of it"]
    statistics: Annotated[float | None, "maxima of groups and tensors; null where none are taken"]
    encoding: Annotated[float | None, "quantization to codes; null without"]
    batch_norm: Annotated[float, "batch normalization, float32"]
    adds: Annotated[float, "additions of shortcuts and of their errors, float32"]
    update: Annotated[float, "update of the weights, float32"]
    total: Annotated[float, "all of it"]


@dataclass(frozen=True, kw_only=True)
class ConvolutionParts:
    """The convolutions by what they compute, uJ a sample."""

    wa: Annotated[float, "forward, W\\*A of the quantized layers"]
    we: Annotated[float, "errors, W\\*E"]
    ae: Annotated[float, "gradients, A\\*E"]
    first: Annotated[float, "first layer, which has no W\\*E"]
    classifier: Annotated[float, "classifier"]


@dataclass(frozen=True, kw_only=True)
class WithMemory:
    """The same step with its memory traffic, where a bit has an energy."""

    memory_uj: Annotated[float, "uJ a sample"]
    total_uj: Annotated[float, "with the rest"]
    ratio_to_fp32: Annotated[float, "FP32's with its memory over it"]
    ratio_to_fp8: Annotated[float | None, "FP8's, likewise"]


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """A way to train."""

    group: Annotated[str, "structure: `macs`, `tiles`, `dot tiles` or `dots`"]
    system: Annotated[str, "label"]
    units: Annotated[Mapping[str, str], "what multiplies and encodes"]
    lanes: Annotated[int | None, "of its units"]
    energy_uj: Annotated[StepParts, "of a step, a sample"]
    convolutions_uj: Annotated[ConvolutionParts, "`products`, `scaler`, `tree`, `outer` otherwise"]
    batch_mj: Annotated[float, "of the step, all samples"]
    ratio_to_fp32: Annotated[float, "`total` of FP32 in the same structure over its own"]
    ratio_to_fp32_se: Annotated[
        float | None, "standard error: that of the units' ratio, by the convolutions' share"
    ]
    ratio_to_fp8: Annotated[float | None, "the same of the cheapest FP8 with float32 sums"]
    ratio_to_fp8_se: Annotated[float | None, "its standard error"]
    convolution_ratio_to_fp32: Annotated[float, "of the quantized convolutions alone"]
    convolution_ratio_to_fp8: Annotated[float | None, "the same of FP8"]
    with_memory: Annotated[
        WithMemory | None, "float32 is read for the maxima, if any are taken, and to encode"
    ]
    fused: Annotated[WithMemory | None, "with memory, in one pass behind what makes the tensor"]

    @property
    def name(self) -> str:
        """Among those of all structures."""
        return f"{self.group}: {self.system}"


@dataclass(frozen=True, kw_only=True)
class EquationRow:
    """The paper's Eq. 9: what a product costs; in C, a float32 addition, or in pJ."""

    what: Annotated[str, "whose energies, and of what"]
    unit: Annotated[str, "C or pJ"]
    fp32: Annotated[float, "FP32: multiplication, local sum, tree"]
    fp8: Annotated[float, "FP8, likewise"]
    mls: Annotated[float, "MLS: multiplication and local sum"]
    scale: Annotated[float, "its scaler"]
    mls_tree: Annotated[float, "its tree"]
    other: Annotated[float, "batch normalization, additions and update, alike in all"]
    ratio_to_fp32: Annotated[float, "FP32 over MLS"]
    ratio_to_fp8: Annotated[float, "FP8 over MLS"]


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """What the paper claims, and what comes out."""

    claim: Annotated[str, "what"]
    source: Annotated[str, "where it stands"]
    low: Annotated[float, "its figure, or the lower one"]
    high: Annotated[float | None, "the upper one"]
    ours: Annotated[Mapping[str, float], "the same of MLS `<2,4>` here, by structure"]
    why: Annotated[str, "what makes the difference"]

    @property
    def told(self) -> str:
        """In a line."""
        return f"{self.claim}, {self.theirs} ({self.source}): {self.why}"

    @property
    def theirs(self) -> str:
        """The paper's figures in words."""
        return f"{self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, kw_only=True)
class TrafficRow:
    """Bits that a step moves to and from memory, Mbit a sample."""

    codes: Annotated[str, "format of the codes"]
    passes: Annotated[str, "how tensors are quantized"]
    w: Annotated[float, "weights and their codes"]
    a: Annotated[float, "activations, likewise"]
    z: Annotated[float, "outputs of convolutions, which batch normalization reads, both ways"]
    e: Annotated[float, "errors and their codes"]
    g: Annotated[float, "gradients of weights, and the update"]
    total: Annotated[float, "all of it"]
    to_fp32: Annotated[float, "over that of FP32"]
    saved: Annotated[float | None, "share of that of two passes which is saved"]


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """`step.json`."""

    schema: Annotated[int, "grows when a field changes its name or meaning"]
    pdk: Annotated[str, "library of the units"]
    clock_mhz: Annotated[float, "their clock"]
    tensors: Annotated[str, "their operands"]
    network: Annotated[Counts, "what a step consists of"]
    batch_norm: Annotated[BatchNorm, "float32 operations an element"]
    add: Annotated[Operations, "float32 operations of an addition, both ways, an element"]
    update: Annotated[Operations, "float32 operations of the update, a weight"]
    rows: Annotated[tuple[SystemRow, ...], "one a way to train"]
    left_out: Annotated[Mapping[str, str], "ways without a measured unit, and the unit"]
    equation: Annotated[tuple[EquationRow, ...], "the paper's Eq. 9 with its constants and ours"]
    claims: Annotated[tuple[ClaimRow, ...], "the paper's, beside ours"]
    traffic: Annotated[tuple[TrafficRow, ...], "bits moved"]
    held_bits: Annotated[int, "float32 of the largest plane, which one pass holds for its maximum"]
    memory_pj_per_bit: Annotated[float | None, "energy of a bit moved; null: not counted"]
    memory: Annotated[str | None, "where it is from"]
