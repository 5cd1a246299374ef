"""What reports hold: measurements, rows of MACs and of tiles, FPGA figures; `records` makes them
JSON. Each field's text is its documentation in docs/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from .layout_rows import LayoutFigures, LayoutRatio, LayoutRow
from .records import Flat, Key

Energies = Mapping[str, float]
"""pJ by stage."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Where energy goes, in pJ; the two groups each sum to all of it."""

    internal: Annotated[float, "with `switching` and `leakage` all of it: within cells"]
    switching: Annotated[float, "of nets"]
    leakage: Annotated[float, "of cells"]
    sequential: Annotated[float, "with the next three all of it: flip-flops and latches"]
    combinational: Annotated[float, "all other cells"]
    clock: Annotated[float, "the clock's: its net, and the buffers and gates of a layout"]
    inputs: Annotated[float, "nets of the input ports"]


@dataclass(frozen=True, kw_only=True)
class ZeroDelay:
    """Energies without delays, and so without glitches."""

    by_stage_pj: Annotated[Energies, "as `energy_pj_by_stage`"]
    combinational_by_stage_pj: Annotated[Energies, "as `combinational_pj_by_stage`"]
    split_pj: Annotated[Split | None, "as `energy_split_pj`"]


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Parts of the stimulus, each of whole groups, by which the errors are known."""

    strata: Annotated[tuple[int, ...], "kind of the operations of each"]
    macs: Annotated[tuple[float, ...], "its products"]
    energy_pj: Annotated[tuple[float, ...], "its energy, all of it"]


@dataclass(frozen=True, kw_only=True)
class BuildRow:
    """What is told of a build that may not be the chosen one."""

    slug: Annotated[str, "module name"]
    adders: Annotated[str, "what its adders are made of"]
    area_um2: Annotated[float, "cell area"]
    critical_path_ns: Annotated[float, "shortest clock period"]
    meets_timing: Annotated[bool, "whether the clock is slower, and hold times are kept"]
    energy_pj: Annotated[float | None, Key("energy_pj_per_{per}"), "energy, with glitches"]
    cycles: Annotated[
        int, "cycles simulated: few where a short run showed that another build takes less"
    ]
    mismatches: Annotated[int | None, "wrong results; null where nothing is compared"]
    mismatches_zero_delay: Annotated[int | None, "wrong results without delays, likewise"]

    @property
    def usable(self) -> bool:
        """Whether it computes at the clock."""
        return self.meets_timing and self.energy_pj is not None

    @property
    def wrong(self) -> int:
        """How often it computed something else than golden, other than by missing the clock."""
        at_the_clock = self.mismatches if self.meets_timing else 0
        return max(self.mismatches_zero_delay or 0, at_the_clock or 0)

    @property
    def is_wrong(self) -> bool:
        """Whether it ever did."""
        return bool(self.wrong)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Metrics of one build; `measure` makes it. Energies are None where it computed anything
    wrong.
    """

    slug: Annotated[str, "module name of the chosen build"]
    adders: Annotated[str, "what its adders are made of"]
    area_um2: Annotated[float, "cell area"]
    gate_equivalents: Annotated[float, "cell area over the NAND2 of the library"]
    cells: Annotated[int, "count of cells"]
    flops: Annotated[int, "count of flip-flops"]
    area_um2_by_stage: Annotated[Mapping[str, float], "cell area of each stage"]
    critical_path_ns: Annotated[float, "shortest clock period by OpenSTA"]
    meets_timing: Annotated[bool, "whether the clock is slower, and hold times are kept"]
    energy_pj: Annotated[float | None, Key("energy_pj_per_{per}"), "energy, with glitches"]
    energy_pj_se: Annotated[
        float | None,
        Key("energy_pj_per_{per}_se"),
        "its standard error ([power](power.md)); null where there are too few groups",
    ]
    energy_pj_by_stage: Annotated[
        Energies,
        "its split by the unit's stages (none of a part): the clock net by flops, each input net "
        "to the first stage that reads it",
    ]
    combinational_pj_by_stage: Annotated[
        Energies, "of it what combinational cells take: no registers, no clock, no input nets"
    ]
    multiplier_pj: Annotated[float | None, "the multiplier's of a MAC; null for other units"] = None
    accumulator_pj: Annotated[float | None, "the accumulator's, likewise"] = None
    energy_pj_zero_delay: Annotated[
        float | None, Key("energy_pj_per_{per}_zero_delay"), "energy without delays"
    ]
    leakage_uw: Annotated[float | None, "leakage power"]
    energy_split_pj: Annotated[Split | None, "where the energy goes"]
    zero_delay: Annotated[ZeroDelay, "splits of the energy without delays"]
    toggled_share: Annotated[float, "share of cell pins that toggled at all"]
    cycles: Annotated[int, "cycles simulated"]
    batches: Annotated[Batches | None, "parts of the stimulus and their energies"]
    mismatches: Annotated[
        int | None, "operations with a wrong result, with delays; null where nothing is compared"
    ]
    mismatches_zero_delay: Annotated[
        int | None, "operations with a wrong result, without delays; likewise"
    ]

    layout: Annotated[LayoutFigures | None, "null without a layout"] = None

    @property
    def build(self) -> str:
        """Which build it is, in two lines."""
        return f"{self.slug},\n{self.adders}"

    @property
    def usable(self) -> bool:
        """Whether it computes at the clock."""
        return self.meets_timing and self.energy_pj is not None


MAC_STAGES = ("multiplier", "accumulator")
"""Stages of a MAC, whose energies have fields of their own."""

_NO_STAGES = frozenset(f"{stage}_pj" for stage in MAC_STAGES)
OF_A_TILE = Flat("mac", _NO_STAGES)
OF_AN_ELEMENT = Flat("element", _NO_STAGES)
OF_AN_OPERATION = Flat("operation", _NO_STAGES)
OF_A_PRODUCT = Flat("product", _NO_STAGES)


@dataclass(frozen=True, kw_only=True)
class Best(Measurement):
    """The build that is a unit's result, beside what is told of all of them."""

    builds: Annotated[
        tuple[BuildRow, ...], "every build that ran; one that computes wrong fails the command"
    ]
    bare: Annotated[BuildRow | None, "of a layout: the best build without wires and tree"] = None

    @property
    def is_wrong(self) -> bool:
        """Whether any build is."""
        return any(build.is_wrong for build in self.builds)


@dataclass(frozen=True, kw_only=True)
class AccumulatorRow:
    """Range of an integer accumulator."""

    width: Annotated[int, "bits"]
    safe_length: Annotated[int, "products proven safe"]
    groups: Annotated[
        int, "groups of 300,000 operations that golden counted, whatever the stimulus"
    ]
    overflows: Annotated[int, "groups that overflowed"]
    overflow_rate: Annotated[float, "their share"]
    overflow_rate_by_kind: Annotated[Mapping[str, float], "the same by kind of convolution"]


@dataclass(frozen=True)
class Ratio:
    """How many times less energy than a baseline."""

    value: Annotated[float | None, "energy of the baseline over this one's"]
    se: Annotated[float | None, "its standard error"]


_LAYOUT = "what the layout does to ratios, by kind of baseline; empty without a layout"

_RATIOS = "the same against baselines of other kinds, by their names"


@dataclass(frozen=True)
class Claim:
    """What a paper says of its unit; None where it does not say."""

    source: Annotated[str, "which paper, and what it measured"]
    energy_pj: Annotated[float | None, Key("energy_pj_per_mac"), "its energy"] = None
    ratio_to_fp32: Annotated[float | None, "energy of the paper's own FP32 unit over it"] = None
    ratio_to_fp8: Annotated[float | None, "the same of its FP8 unit"] = None


@dataclass(frozen=True, kw_only=True)
class VerilogRow:
    """Where a row's hardware comes from, if it is the user's own."""

    top: Annotated[str, "its module"]
    contract: Annotated[str, "slug of the unit that says how operands are encoded"]
    latency: Annotated[int, "cycles from operands to the sum"]
    ports: Annotated[Mapping[str, str], "its port for each of the contract's, and constants"]


@dataclass(frozen=True, kw_only=True)
class MacRow:
    """A row of `report.json`."""

    unit: Annotated[str, "label"]
    options: Annotated[Mapping[str, Any], "parameters"]
    zero_product_share: Annotated[float, "share of products that are zero in this unit's format"]
    accumulator: Annotated[AccumulatorRow | None, "of an integer MAC"]
    measured: Annotated[Best, Flat()]
    held_pj: Annotated[
        float | None,
        Key("energy_pj_per_mac_held"),
        "energy of the same build with `hold`, each first operand used for 16 operations; null "
        "where it is not measured",
    ]
    ratio_to_fp32: Annotated[float | None, "energy of the cheapest FP32 unit over this one's"]
    ratio_to_fp8: Annotated[float | None, "the same of the cheapest FP8 unit with FP32 sums"]
    ratio_to_fp8_any: Annotated[
        float | None, "the same of the cheapest FP8 unit with any accumulator"
    ]
    ratio_to_fp32_se: Annotated[
        float | None, "standard error of the ratio: both units see the same operations"
    ]
    ratio_to_fp8_se: Annotated[float | None, "the same of `ratio_to_fp8`"]
    ratio_to_fp8_any_se: Annotated[float | None, "the same of `ratio_to_fp8_any`"]
    combinational_ratio_to_fp32: Annotated[
        float | None, "`ratio_to_fp32` of the energies of combinational cells alone"
    ]
    combinational_ratio_to_fp8: Annotated[float | None, "the same of `ratio_to_fp8`"]
    ties: Annotated[
        tuple[str, ...],
        "units whose energy differs from this one's by less than two standard errors",
    ]
    claim: Annotated[
        Claim | None, "what the system's own paper says of it ([baselines](baselines.md))"
    ]
    ratios: Annotated[Mapping[str, Ratio], _RATIOS] = field(default_factory=dict)
    layout_ratios: Annotated[Mapping[str, LayoutRatio], _LAYOUT] = field(default_factory=dict)
    checked: Annotated[bool, "whether golden's outputs were compared with the netlist's"] = True
    verilog: Annotated[VerilogRow | None, "of a user's own module; null for ours"] = None


@dataclass(frozen=True, kw_only=True)
class TileRow:
    """A row of `tiles.json`."""

    unit: Annotated[str, "label"]
    lanes: Annotated[int, "MACs of the tile, or lanes of dots"]
    products_per_cycle: Annotated[int, "products that it takes in a cycle"]
    options: Annotated[Mapping[str, Any], "parameters"]
    steps: Annotated[int, "cycles of the stimulus"]
    macs: Annotated[int, "products in its steady state, idle ones left out"]
    utilisation: Annotated[float, "of the products that it can take there"]
    gate_equivalents_per_lane: Annotated[float, "area of the tile over its lanes"]
    accumulator: Annotated[AccumulatorRow | None, "of an integer MAC"]
    measured: Annotated[Best, OF_A_TILE]
    ratio_to_fp32: Annotated[
        float | None,
        "energy of the cheapest FP32 tile of the same lanes, of MACs or dots as it, over its own",
    ]
    area_ratio_to_fp32: Annotated[float | None, "its area over this one's"]
    ratio_to_fp32_se: Annotated[float | None, "standard error of the ratio"]
    ratio_to_fp8: Annotated[float | None, "energy of the cheapest FP8 tile, likewise"]
    ratio_to_fp8_se: Annotated[float | None, "standard error of the ratio"]
    area_ratio_to_fp8: Annotated[float | None, "its area over this one's"]
    ratios: Annotated[Mapping[str, Ratio], _RATIOS] = field(default_factory=dict)
    layout_ratios: Annotated[Mapping[str, LayoutRatio], _LAYOUT] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DotErrors:
    """What rounding to a format (to nearest) does: root mean square of the error over that of the
    values, by tensor; the mean over tensors.
    """

    w: Annotated[float, "of weights"]
    a: Annotated[float, "of activations"]
    e: Annotated[float, "of errors"]
    outputs: Annotated[float, "of outputs, by pair of tensors, sums in float64"]


@dataclass(frozen=True, kw_only=True)
class DotRow:
    """A row of `dots`: energies are of a product."""

    unit: Annotated[str, "label"]
    lanes: Annotated[int, "products a cycle"]
    block: Annotated[int | None, "elements that share a scale; null: a tensor"]
    options: Annotated[Mapping[str, Any], "parameters"]
    gate_equivalents_per_lane: Annotated[float, "area of the unit over its products a cycle"]
    errors: Annotated[DotErrors, "of the format, on the same tensors"]
    measured: Annotated[Best, OF_A_PRODUCT]
    ratio_to_fp32: Annotated[
        float | None, "energy of the cheapest FP32 dot unit of any width over this one's"
    ]
    ratio_to_fp32_se: Annotated[float | None, "its standard error"]
    area_ratio_to_fp32: Annotated[float | None, "its area a product over this one's"]
    ratio_to_fp8: Annotated[float | None, "the same of FP8 with a float32 sum"]
    ratio_to_fp8_se: Annotated[float | None, "its standard error"]
    area_ratio_to_fp8: Annotated[float | None, "its area a product over this one's"]
    ratio_to_mxfp8: Annotated[float | None, "the same of MXFP8"]
    ratio_to_mxfp8_se: Annotated[float | None, "its standard error"]
    area_ratio_to_mxfp8: Annotated[float | None, "its area a product over this one's"]
    ratios: Annotated[Mapping[str, Ratio], _RATIOS] = field(default_factory=dict)
    layout_ratios: Annotated[Mapping[str, LayoutRatio], _LAYOUT] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StimulusRow:
    """What the operands are drawn from."""

    tensors: Annotated[
        str,
        "captured in training, normal: drawn from N(0, 1) in their shapes, or the name of a file",
    ]
    group: Annotated[str, "what shares a scale where MLS elements of MACs are quantized"] = "nc"
    scale: Annotated[str, "format of these scales"] = "8,1"
    operations: Annotated[int, "operations that were asked for"]
    seed: Annotated[int, "of the draw"]
    kinds: Annotated[tuple[str, ...], "convolutions"]
    digest: Annotated[str, "SHA-256 of all that decides the operands"]


@dataclass(frozen=True, kw_only=True)
class TileStimulusRow(StimulusRow):
    """What a tile's operands are drawn from; its operations are products."""

    segment: Annotated[int, "products of a leaf of A\\*E"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What all rows of a report share: conditions, operands, tools."""

    schema: Annotated[int, "grows when a field changes its name or meaning"]
    pdk: Annotated[str, "library"]
    clock_mhz: Annotated[float, "clock"]
    script: Annotated[str, "ABC script"]
    states: Annotated[str, "how cell states are known ([power](power.md))"]
    simulator: Annotated[str, "what simulated the netlists"]
    layout: Annotated[LayoutRow | None, "how units are laid out; null: no wires, ideal clock"] = (
        None
    )
    precision: Annotated[
        float, "standard error of an energy over the energy above which the command warns"
    ]
    stimulus: Annotated[StimulusRow, "what the operands are drawn from"]
    tools: Annotated[Mapping[str, str | None], "versions of what decides the figures"]

    @property
    def surroundings(self) -> str:
        """Which wires and which clock its figures have, in words."""
        if self.layout is None:
            return "pre-layout: no wires, ideal clock"
        own = self.layout
        rule = f"{own.wire_ff_um:g} fF a um of wire, density {own.density:g}, by {own.placer}"
        return f"of placed cells: wires and a clock tree ({rule}), not routed"


@dataclass(frozen=True, kw_only=True)
class MacReport(Report):
    """`report.json`."""

    baselines: Annotated[
        Mapping[str, str],
        "the ratios' numerators: the cheapest FP32 unit, FP8 unit with FP32 sums, and FP8 unit "
        "with any accumulator (`fp8_any`)",
    ]
    rows: Annotated[tuple[MacRow, ...], "one a unit"]
    dot_baselines: Annotated[
        Mapping[str, str], "the ratios' numerators of `dots`: the cheapest FP32, FP8 and MXFP8 unit"
    ] = field(default_factory=dict)
    dots: Annotated[tuple[DotRow, ...], "dot units, as `rows` of `dots.json`"] = ()
    tile_baselines: Annotated[
        Mapping[str, Mapping[str, str]], "the ratios' numerators of `tiles`, as in `tiles.json`"
    ] = field(default_factory=dict)
    tiles: Annotated[tuple[TileRow, ...], "tiles, as `rows` of `tiles.json`"] = ()


@dataclass(frozen=True, kw_only=True)
class DotReport(Report):
    """`dots.json`."""

    baselines: Annotated[
        Mapping[str, str], "the ratios' numerators: the cheapest FP32, FP8 and MXFP8 dot unit"
    ]
    rows: Annotated[tuple[DotRow, ...], "one a unit and width"]


@dataclass(frozen=True, kw_only=True)
class TileClaim:
    """What the MLS paper says of whole convolutions, scales and adders included."""

    source: Annotated[str, "which paper, and how it counts"]
    ratio_to_fp32: Annotated[
        float, "energy of FP32 over MLS, with one float32 add for each 3x3 group, by its Table 5"
    ]
    ratio_to_fp8: Annotated[float, "the same of FP8"]
    ratio_to_fp32_3x3: Annotated[float, "of FP32 by its Eq. 9, 3x3 kernels"]
    ratio_to_fp32_1x1: Annotated[float, "of FP32 by its Eq. 9, 1x1 kernels"]


@dataclass(frozen=True, kw_only=True)
class TileReport(Report):
    """`tiles.json`."""

    stimulus: Annotated[TileStimulusRow, "what the operands are drawn from"]
    baselines: Annotated[
        Mapping[str, Mapping[str, str]],
        "by lane count: the cheapest FP32 and FP8 tile of MACs, and (`fp32_dots`, ...) of dots",
    ]
    claim: Annotated[TileClaim, "what the MLS paper says"]
    rows: Annotated[tuple[TileRow, ...], "one a tile"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Resources and clocks of a unit, one placement a seed."""

    luts: Annotated[
        int,
        "four-input LUTs, those of carry chains included, as nextpnr places them (`TRELLIS_COMB`)",
    ]
    flip_flops: Annotated[int, "the unit's own"]
    dsps: Annotated[int, "18 x 18 multipliers (`MULT18X18D`); a product of 24 x 24 bits takes four"]
    fmax_mhz: Annotated[
        float,
        "clock of the best placement: worst-case delays of the speed grade, wires included",
    ]
    fmax_mhz_median: Annotated[float, "of all placements"]
    fmax_mhz_by_seed: Annotated[
        Mapping[str, float], "of each; differences of a few percent are those of seeds"
    ]


@dataclass(frozen=True, kw_only=True)
class FpgaRow:
    """A unit on an FPGA."""

    unit: Annotated[str, "name"]
    slug: Annotated[str, "module name"]
    parameters: Annotated[Mapping[str, Any], "its options"]
    device: Annotated[str, "the part"]
    speed_grade: Annotated[int, "its speed grade"]
    dsp: Annotated[bool, "whether DSP blocks were allowed"]
    placed: Annotated[Placement, Flat()]
    tools: Annotated[Mapping[str, str], "versions; with the above they decide the result"]
