"""Columns of the reports' tables, each written once: heading, field, digits.

The terminal, the pages and the documentation show sequences of them (`tables`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

Path = str | tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """What a table shows of its rows.

    Members:
        heading: in the terminal. title: on a page and in the documentation; a page breaks it where
            it has a line break.
        path: of the field, through records and mappings, names with dots between or one by one;
            None anywhere shows as a dash.
        digits: significant digits; None: a text or an exact number.
        scale: what the value is multiplied by. over: path of what it is divided by.
        unit: follows the value on a page.
        words: for true and false; the second stands out.
        error: path of the standard error, below whose first digit nothing shows; it follows the
            value where `with_error`: as "±0.2", in the terminal as "(2)", which counts in the last
            digit.
    """

    heading: str
    title: str
    path: Path
    digits: int | None = 3
    scale: float = 1
    over: Path | None = None
    unit: str = ""
    words: tuple[str, str] | None = None
    error: Path = ""
    with_error: bool = False

    def text(self, row: Any, brief: bool = False) -> str:
        """The row's cell."""
        value = at(row, self.path)
        if value is None:
            return "-"
        if self.words:
            return self.words[0] if value else self.words[1]
        if self.digits is None:
            return str(value)
        value *= self.scale / (at(row, self.over) if self.over else 1)
        error = at(row, self.error) if self.error else None
        if not error:
            return figure(value, self.digits)
        text = certain(value, error, self.digits)
        if not self.with_error:
            return text
        if not brief:
            return f"{text} ±{certain(error, error, 1)}"
        decimals = len(text.partition(".")[2])
        last = round(error * 10**decimals)
        return f"{text}({last})" if last else text

    def stands_out(self, row: Any) -> bool:
        """Whether the row's cell does."""
        return self.words is not None and not at(row, self.path)

    def on_page(self, row: Any) -> str:
        """The row's cell with its unit."""
        text = self.text(row)
        return text if text == "-" or not self.unit else f"{text} {self.unit}"

    def in_terminal(self, row: Any) -> str:
        """The row's cell, in capitals where it stands out."""
        text = self.text(row, brief=True)
        return text.upper() if self.stands_out(row) else text


def at(row: Any, path: Path) -> Any:
    """The value at a path; None where there is none on the way."""
    return reduce(_step, path.split(".") if isinstance(path, str) else path, row)


def _step(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    return value if value is None else getattr(value, name)


def figure(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant digits without exponent, or a dash where there is none."""
    if value is None:
        return "-"
    rounded = float(f"{value:.{digits}g}")
    decimals = max(0, digits - 1 - int(f"{rounded:e}".partition("e")[2]))
    return f"{rounded:,.{decimals}f}"


def certain(value: float, error: float, digits: int) -> str:
    """A number to `digits` significant digits, but none below the first one of its error."""
    place = -math.floor(math.log10(error))
    if place < 0:
        return f"{round(value, place):,.0f}"
    decimals = digits - 1 - math.floor(math.log10(abs(value))) if value else place
    return f"{value:,.{max(0, min(place, decimals))}f}"


def _whole(heading: str, title: str, path: str) -> Column:
    return Column(heading, title, path, None)


def _percent(heading: str, title: str, path: str, digits: int = 3) -> Column:
    return Column(heading, title, path, digits, 100, unit="%")


def _area_share(name: str, title: str, digits: int = 3, stage: str = "") -> Column:
    path = f"measured.area_um2_by_stage.{stage or name}"
    return Column(f"{name} %", title, path, digits, 100, "measured.area_um2", "%")


UNIT = _whole("unit", "unit", "unit")
AREA = Column("area um2", "area,\nµm²", "measured.area_um2", 5)
GATES = Column("GE", "gate\nequivalents", "measured.gate_equivalents", 4)
CELLS = _whole("cells", "cells", "measured.cells")
FLOPS = _whole("flops", "flops", "measured.flops")
PATH = Column("path ns", "critical\npath, ns", "measured.critical_path_ns")
CLOCK = Column("clock", "at the clock", "measured.meets_timing", words=("met", "missed"))
ADDERS = _whole("adders", "build", "measured.adders")
SLUG = _whole("build", "build", "measured.slug")
BUILD = _whole("build", "build", "measured.build")
LEAKAGE = Column("leakage uW", "leakage,\nµW", "measured.leakage_uw")
MISMATCHES = _whole("mismatches", "mismatches", "measured.mismatches")
TOGGLED = _percent("toggled %", "that\ntoggled", "measured.toggled_share")


def _energy(heading: str, title: str, path: str, with_error: bool = False) -> Column:
    """Of energies: no digit below the error of the whole."""
    error = "measured.energy_pj_se"
    return Column(heading, title, f"measured.{path}", error=error, with_error=with_error)


def _ratio(heading: str, title: str, path: str) -> Column:
    return Column(heading, title, path, error=f"{path}_se", with_error=True)


ENERGY = _energy("pJ/MAC", "energy,\npJ", "energy_pj", True)
HELD = Column("held", "first operand\nheld, pJ", "held_pj", error="measured.energy_pj_se")
ZERO_DELAY = _energy("0 delay", "zero delay,\npJ", "energy_pj_zero_delay")
ENERGIES = (
    ENERGY,
    _energy("mult.", "multiplier,\npJ", "multiplier_pj"),
    _energy("acc.", "accumulator,\npJ", "accumulator_pj"),
    ZERO_DELAY,
)
TO_FP32 = _ratio("x FP32", "to FP32", "ratio_to_fp32")
TO_FP8 = _ratio("x FP8", "to FP8", "ratio_to_fp8")


def ratio_to(kind: str) -> Column:
    """To a baseline of a user's own kind."""
    value, error = (("ratios", kind, part) for part in ("value", "se"))
    return Column(f"x {kind}", f"to {kind}", value, error=error, with_error=True)


RATIOS = (
    TO_FP32,
    Column("claim", "claim", "claim.ratio_to_fp32"),
    TO_FP8,
    Column("claim", "claim", "claim.ratio_to_fp8"),
    _ratio("x any FP8", "to any\nFP8", "ratio_to_fp8_any"),
)
COMBINATIONAL = (
    _energy("comb.", "combinational\ncells, pJ", "energy_split_pj.combinational"),
    Column("x FP32", "of it\nto FP32", "combinational_ratio_to_fp32"),
    Column("x FP8", "of it\nto FP8", "combinational_ratio_to_fp8"),
)
"""The same without registers and clock: the condition under which the MLS paper's ratios come."""

SPLIT = tuple(
    # Leakage does not depend on what is drawn.
    Column(heading, title, f"measured.energy_split_pj.{part}")
    if part == "leakage"
    else _energy(heading, title, f"energy_split_pj.{part}")
    for heading, title, part in (
        ("internal", "internal,\npJ", "internal"),
        ("switching", "switching,\npJ", "switching"),
        ("leakage", "leakage,\npJ", "leakage"),
        ("sequential", "sequential\ncells, pJ", "sequential"),
        ("combinational", "combinational\ncells, pJ", "combinational"),
        ("clock", "clock,\npJ", "clock"),
        ("input nets", "input nets,\npJ", "inputs"),
    )
)
ZERO_PRODUCTS = _percent("zeros %", "zero\nproducts", "zero_product_share")
RANGE = (
    _whole("bits", "bits", "accumulator.width"),
    _whole("safe", "products proven\nsafe", "accumulator.safe_length"),
    _whole("groups", "groups", "accumulator.groups"),
    _percent("overflowed %", "overflowed", "accumulator.overflow_rate"),
)


def overflowed(kind: str) -> Column:
    """Overflows of one kind of convolution."""
    return _percent(f"{kind} %", f"of {kind}", f"accumulator.overflow_rate_by_kind.{kind}")


LAYOUT_ENERGIES = (
    _energy("bare pJ", "energy without\nlayout, pJ", "bare.energy_pj"),
    _energy("pJ", "energy with,\npJ", "energy_pj", True),
    _energy("wires x 0.6", "wires x 0.6,\npJ", "layout.light_pj"),
    _energy("wires x 1.7", "wires x 1.7,\npJ", "layout.heavy_pj"),
    _percent("clock %", "of the clock's\nnetwork", "measured.layout.clock_share"),
)
"""Before and after, and the band for wires that weigh less or more. "Bare" is without a layout."""


def _laid_out(heading: str, title: str, kind: str, which: str) -> Column:
    """A ratio whose error is that of the layout's own."""
    return Column(heading, title, ("layout_ratios", kind, which), error=f"ratio_to_{kind}_se")


LAYOUT_RATIOS = tuple(
    column
    for kind, name in (("fp32", "FP32"), ("fp8", "FP8"))
    for column in (
        _laid_out(f"bare x {name}", f"to {name}\nwithout", kind, "bare"),
        _ratio(f"x {name}", f"to {name}\nwith", f"ratio_to_{kind}"),
        _laid_out(f"x {name}, wires x 0.6", f"to {name},\nwires x 0.6", kind, "light"),
        _laid_out(f"x {name}, wires x 1.7", f"to {name},\nwires x 1.7", kind, "heavy"),
    )
)
LAYOUT_AREAS = (
    Column("bare um2", "cells without\nlayout, µm²", "measured.bare.area_um2", 5),
    AREA,
    Column("core um2", "core,\nµm²", "measured.layout.core_um2", 5),
    Column("wire um", "wire,\nµm", "measured.layout.wire_um", 4),
    Column("wire fF", "wire,\nfF", "measured.layout.wire_ff", 4),
    _whole("resized", "cells\nresized", "measured.layout.resized"),
    _whole("left out", "buffers\nleft out", "measured.layout.left_out"),
    _whole("clock buffers", "clock\nbuffers", "measured.layout.clock_buffers"),
    _whole("clock gates", "clock\ngates", "measured.layout.clock_gates"),
)
LAYOUT_TIMES = (
    Column("bare path ns", "path without\nlayout, ns", "measured.bare.critical_path_ns"),
    PATH,
    Column("insertion ns", "clock's\ninsertion, ns", "measured.layout.insertion_ns"),
    Column("skew ns", "skew,\nns", "measured.layout.skew_ns"),
    Column("hold slack ns", "hold slack,\nns", "measured.layout.hold_slack_ns"),
)

LANES = _whole("lanes", "lanes", "lanes")
GATES_PER_LANE = Column("GE/lane", "gate equivalents\na lane", "gate_equivalents_per_lane", 4)
BUSY = _percent("busy %", "busy\nlanes", "utilisation")
TILE_STAGES = {
    "macs": "MACs",
    "collector": "collector",
    "scalers": "scalers",
    "tree": "tree",
    "output": "output",
}
"""A tile's stages with their titles."""

DOT_STAGES = {
    "operands": "operands",
    "dot": "dots",
    "scale": "scales",
    "accumulate": "sum",
    "output": "output",
}
"""Those of a tile of dots."""

PRODUCTS = _whole("a cycle", "products\na cycle", "products_per_cycle")
TILE_ENERGIES = tuple(
    _energy(name, f"{title},\npJ", f"energy_pj_by_stage.{name}")
    for name, title in TILE_STAGES.items()
)
TILE_AREAS = tuple(_area_share(name, title, 2) for name, title in TILE_STAGES.items())
DOT_TILE_ENERGIES = tuple(
    _energy(name, f"{title},\npJ", f"energy_pj_by_stage.{name}")
    for name, title in DOT_STAGES.items()
)
DOT_ENERGIES = DOT_TILE_ENERGIES[:-1]
"""Of a dot unit, which has no output behind it."""

DOT_TILE_AREAS = tuple(_area_share(name, title, 2) for name, title in DOT_STAGES.items())
AREA_RATIOS = (
    Column("area x FP32", "to FP32", "area_ratio_to_fp32"),
    Column("area x FP8", "to FP8", "area_ratio_to_fp8"),
)

PRODUCT_ENERGY = _energy("pJ/product", "energy a\nproduct, pJ", "energy_pj", True)
BLOCK = _whole("block", "elements\na scale", "block")
GATES_PER_PRODUCT = Column(
    "GE/product", "gate equivalents\na product", "gate_equivalents_per_lane", 4
)
TO_MXFP8 = _ratio("x MXFP8", "to MXFP8", "ratio_to_mxfp8")
DOT_AREA_RATIOS = (
    *AREA_RATIOS,
    Column("area x MXFP8", "to MXFP8", "area_ratio_to_mxfp8"),
)
ERRORS = tuple(
    Column(heading, title, f"errors.{name}", 2, 100, unit="%")
    for heading, title, name in (
        ("W %", "error of W", "w"),
        ("A %", "error of A", "a"),
        ("E %", "error of E", "e"),
        ("outputs %", "error of\noutputs", "outputs"),
    )
)
OUTPUT_ERROR = ERRORS[-1]

QUANTIZER_STAGES = {
    "front": "front",
    "buffer": "buffer",
    "scale": "group_scale",
    "recip.": "reciprocal",
    "lanes": "lanes",
    "LFSR": "generator",
}
"""A quantizer's stages by heading."""

ELEMENT_ENERGY = _energy("pJ/element", "energy an element, pJ", "energy_pj", True)
OPERATION_ENERGY = _energy("pJ", "energy an operation, pJ", "energy_pj", True)
QUANTIZER_ENERGIES = tuple(
    _energy(heading, f"{heading}, pJ", f"energy_pj_by_stage.{stage}")
    for heading, stage in QUANTIZER_STAGES.items()
)
QUANTIZER_AREAS = tuple(
    _area_share(heading, f"{heading}, % of the area", stage=stage)
    for heading, stage in QUANTIZER_STAGES.items()
)

NETWORK = _whole("unit", "network", "network")
NETWORKS = (
    _whole("batch", "batch", "batch"),
    Column("MACs, M", "MACs, M", "step_macs", 4, 1e-6),
    Column("others, M", "others, M", "other_macs", 4, 1e-6),
    *(
        Column(f"{name.upper()}, k", f"{name.upper()}, k", f"elements.{name}", 4, 1e-3)
        for name in "wae"
    ),
    Column("elements/MAC", "elements a MAC", "elements_per_mac"),
)
QUANTIZER = _whole("unit", "quantizer, lanes", "unit")
STEPS = (
    Column("MACs", "MACs, uJ", "energy_uj.macs"),
    Column("stat.", "statistics, uJ", "energy_uj.statistics"),
    Column("quant.", "quantization, uJ", "energy_uj.quantization"),
    Column("BN", "batch norm., uJ", "energy_uj.batch_norm"),
    Column("% MACs", "share of MACs, %", "share_of_macs", scale=100),
    Column("x BN", "of batch norm.", "ratio_to_batch_norm"),
    Column("x BN paper", "by the paper's count", "ratio_to_batch_norm_by_paper"),
)

TABLE_5 = (
    _whole("condition", "condition", "condition"),
    Column("mult. FP32/FP8", "multiplier FP32 / FP8", "multiplier_fp32_to_fp8"),
    Column("mult. FP32/MLS", "multiplier FP32 / MLS", "multiplier_fp32_to_mls"),
    Column("acc. FP32/MLS", "accumulator FP32 / MLS", "accumulator_fp32_to_mls"),
    Column("mult./acc.", "FP32 multiplier / accumulator", "fp32_multiplier_to_accumulator", 2),
    Column("MAC FP32/MLS", "MAC FP32 / MLS", "mac_fp32_to_mls"),
    Column("FP8/MLS", "MAC FP8 E5M2 / MLS", "mac_fp8_to_mls", 2),
    Column("E4M3/MLS", "MAC FP8 E4M3 / MLS", "mac_e4m3_to_mls", 2),
)


def placed(count: int) -> tuple[Column, ...]:
    """Figures of an FPGA after `count` placements."""
    return (
        _whole("LUT4s", "LUTs", "placed.luts"),
        _whole("flip-flops", "flip-flops", "placed.flip_flops"),
        _whole("DSP blocks (18 x 18)", "DSPs", "placed.dsps"),
        _whole(f"clock MHz, best of {count} placements", "MHz", "placed.fmax_mhz"),
        _whole("clock MHz, median", "MHz, median", "placed.fmax_mhz_median"),
    )


def standing(name: str, figure: str, heading: str, digits: int | None = 3) -> Column:
    """A figure of a unit in the report of that name."""
    path = ("reports", name, figure)
    if figure == "energy_pj":
        error = ("reports", name, "energy_pj_se")
        return Column(heading, heading, path, digits, error=error, with_error=True)
    return Column(heading, heading, path, digits)


def standing_ratio(name: str, kind: str, heading: str) -> Column:
    """How many times less energy than the report's baseline of a kind."""
    value, error = (("reports", name, "ratios", kind, part) for part in ("value", "se"))
    return Column(heading, heading, value, error=error, with_error=True)


def change(name: str, figure: str, heading: str) -> Column:
    """What became of a figure in the report of that name."""
    value = ("changes", name, figure)
    if figure == "energy":
        error = ("changes", name, "energy_se")
        return Column(heading, heading, value, 4, error=error, with_error=True)
    return Column(heading, heading, value, None if figure == "verdict" else 4)
