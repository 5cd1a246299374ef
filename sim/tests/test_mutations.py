# ruff: noqa: E501 - one mutation a line
"""The benches catch small mistakes: each row breaks one line of one component, and its bench must
fail.
"""

import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlsmac.hw.dot import dot_tree, element_decoder, float_dot
from mlsmac.hw.dot.accumulators import Accumulator, FixedPointSum, Float32Sum
from mlsmac.hw.dot.block_dot import BlockDot
from mlsmac.hw.dot.dot_stage import DotStage
from mlsmac.hw.dot.dot_tree import DotTree
from mlsmac.hw.dot.float_dot import AlignedDot, AlignedFloatSum, ProductRows
from mlsmac.hw.dot.operand_rows import OperandRows
from mlsmac.hw.dot.scaling import BlockScaler
from mlsmac.hw.floating import float_adder, float_common, fused_adder, int_to_float
from mlsmac.hw.floating.exact_multiplier import ExactMultiplier
from mlsmac.hw.floating.float_accumulator import FloatAccumulator
from mlsmac.hw.floating.float_adder import FloatAdder
from mlsmac.hw.floating.float_multiplier import FloatMultiplier
from mlsmac.hw.floating.int_to_float import IntToFloat
from mlsmac.hw.integer import accumulator
from mlsmac.hw.integer.accumulator import IntAccumulator
from mlsmac.hw.integer.int_multiplier import IntMultiplier
from mlsmac.hw.integer.lns_multiplier import LnsConverter, LnsMultiplier
from mlsmac.hw.integer.mls_multiplier import ExponentShifter, MlsMultiplier
from mlsmac.hw.integer.range_statistic import RangeStatistic
from mlsmac.hw.integer.requantizer import Requantizer
from mlsmac.hw.mac.adder_mac import OperandStage
from mlsmac.hw.mac.kulisch_mac import FixedPointAccumulator, SignedProduct
from mlsmac.hw.mac.mac import MultiplierStage
from mlsmac.hw.mac.skipping import ZeroFactor, ZeroFloat
from mlsmac.hw.parts import lfsr, signed_multiplier
from mlsmac.hw.parts.signed_multiplier import SignedMultiplier
from mlsmac.hw.parts.unsigned_multiplier import CompressionTree, UnsignedMultiplier
from mlsmac.hw.quantizer import ratio_scale, shared_exponent
from mlsmac.hw.quantizer.block_buffer import BlockBuffer
from mlsmac.hw.quantizer.block_lane import SharedExponentLane
from mlsmac.hw.quantizer.block_numbers import BlockNumbers
from mlsmac.hw.quantizer.block_words import BlockWords
from mlsmac.hw.quantizer.mls_quantizer import QuantizerLanes
from mlsmac.hw.quantizer.quantizer_lane import QuantizerLane
from mlsmac.hw.quantizer.quotients import ProductQuotient, Quotient, ReciprocalQuotient
from mlsmac.hw.quantizer.ratio_lane import RatioLane
from mlsmac.hw.quantizer.ratio_scale import RatioScale
from mlsmac.hw.quantizer.reciprocal import Reciprocal
from mlsmac.hw.quantizer.scale_quantizer import ScaleQuantizer
from mlsmac.hw.quantizer.shared_exponent import SharedExponent
from mlsmac.hw.quantizer.tensor_statistics import TensorStatistics
from mlsmac.hw.tile import group_scaler
from mlsmac.hw.tile.adder_trees import Fp32AdderTree, _IntegerTree
from mlsmac.hw.tile.aligner import Aligner, LargestScale
from mlsmac.hw.tile.collector import Collector
from mlsmac.hw.tile.dot_tile import DotTile
from mlsmac.hw.tile.group_scaler import ScaledTerm
from mlsmac.hw.tile.tile_stages import TileAccumulator, TileOutput, TileTree
from mlsmac.sim.runner import run_bench
from mlsmac.units import configure

OPERATIONS = 20_000


@dataclass(frozen=True)
class Mutation:
    """Replace `old` by `new` in the function `name` of `owner`, a class or a module; the bench of
    `unit` must then fail.
    """

    what: str
    owner: Any
    name: str
    old: str
    new: str
    unit: str
    options: dict[str, Any]
    operations: int = OPERATIONS

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compile the changed source among its own module's names, in the original's place."""
        function = getattr(self.owner, self.name)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, f"{self.what}: {self.old!r} must stand once"
        names = dict(vars(sys.modules[function.__module__]))
        exec(compile(source.replace(self.old, self.new), self.what, "exec"), names)
        monkeypatch.setattr(self.owner, self.name, names[self.name])


MLS = {"format": "2,4"}
MLS16 = MLS | {"acc_width": 16}
LANES = {"lanes": 4}
LANES16 = LANES | {"acc_width": 16}
FEW_TILES = {"lanes": 2, "tiles": 2, "scale": "3,1"}
FP32: dict[str, Any] = {}
LNS = {"acc_width": 24}
E4M3 = {"format": "e4m3"}
PAIR = {"lanes": 2}
PAIR16 = PAIR | {"acc_width": 16}
SHARED = {"lanes": 2, "sharing": 2}
INTS = {"acc_width": 32}
CODES: dict[str, Any] = {}
DIGITS = {"division": "digits"}
DELAYED = {"scaling": "delayed"}
RECIPROCAL = {"reciprocal_bits": 8}
DOT: dict[str, Any] = {"lanes": 4}
DECODER = DOT | {"operands": "decoder"}
LONG = DECODER | {"format": "4,3", "window": 64}
BLOCKS = DOT | {"cycles": 3}
FLAGGED = {"lanes": 2, "window": 12, "blocks": 2, "flag": True}
SMALL_TILE = {"lanes": 2, "products": 3}
BEATS = {"lanes": 8}
NVFP4 = {"format": "nvfp4", "lanes": 8}
FEW = 600
GATED: dict[str, Any] = {"clock_gating": True}
E = "elaborate"
# fmt: off
MUTATIONS = [Mutation(*row) for row in (
    ("wrong shift bound", ExponentShifter, E, "len(self.o) + 2)", "len(self.o) + 1)", "mls_multiplier", MLS),
    ("subnormals shifted", ExponentShifter, E, "exp | ~exp.any()", "exp", "mls_mac", MLS16),
    ("hidden bit of subnormals", MlsMultiplier, E, "[exponent.any()]", "[1]", "mls_multiplier", MLS),
    ("sign of a product", MlsMultiplier, E, "self.x[-1] ^ self.y[-1]", "self.x[-1] | self.y[-1]", "mls_mac", MLS16),
    ("dropped carry in the tree", CompressionTree, "_step", "(a & b) | (half & c)", "a & b", "mls_mac", MLS16),
    ("dropped carry of the negation", IntAccumulator, E, "inverted + negative", "inverted", "mls_mac", MLS16),
    ("start ignored", IntAccumulator, E, "bit & ~self.start", "bit", "mls_mac", MLS16),
    ("overflow not sticky", IntAccumulator, E, "outside | (overflow & ~self.start)", "outside", "mls_mac", MLS16),
    ("overflow survives start", IntAccumulator, E, "(overflow & ~self.start)", "overflow", "mls_mac", MLS16),
    ("saturation to the wrong side", accumulator, "limit_sum", "(~sign).replicate", "sign.replicate", "mls_mac", MLS16),
    ("start ignored by floats", FloatAccumulator, E, "bit & ~self.start", "bit", "fp32_mac", FP32),
    ("start loads onto +0", FloatAccumulator, E, "acc[-1] | self.start", "acc[-1] & ~self.start", "fp32_mac", FP32),
    ("sign of zero", FloatAdder, "_order_by_magnitude", "Cat(x[-1], y[:-1])", "Cat(~x[-1], y[:-1])", "fp32_mac", FP32 | {"path": "single"}),
    ("sign of zero of a split path", FloatAdder, "_order_by_exponent", "Cat(y[-1], significands[0])", "Cat(~y[-1], significands[0])", "fp32_mac", FP32),
    ("ties away from zero in place", float_adder, "round_before_normalising", "kept[0] | below", "1", "fp32_mac", FP32),
    ("carry of the increment above", float_adder, "round_before_normalising", "rounded[width + 1] & ~top", "0", "float_adder", {"format": "e5m2", "path": "split"}),
    ("exact sum not normalised", FloatAdder, "_round_or_normalise", "left & operands.near", "Const(0, 1)", "fp32_mac", FP32),
    ("sticky bit of the alignment", float_adder, "align", "sticky | (select & value[:step].any())", "sticky", "fp32_mac", FP32),
    ("borrow of the sticky bit", FloatAdder, E, "subtract & ~sticky", "subtract", "fp32_mac", FP32),
    ("ties away from zero", float_common, "round_nearest_even", "mantissa[0] | sticky", "1", "float_multiplier", FP32),
    ("wrong bias", FloatMultiplier, E, "2 * fmt.bias", "2 * fmt.bias + 1", "fp32_mac", FP32),
    ("bias of an exact product", ExactMultiplier, E, "2 * fmt.bias", "2 * fmt.bias + 1", "fp8_mac", E4M3),
    ("subnormal factor not normalised", ExactMultiplier, "_normalise", "enable=~hidden", "enable=Const(0, 1)", "fp8_mac", E4M3),
    ("wrong factor 9", group_scaler, "_radix4", "digits = []", "digits = []; factor -= factor == 9", "group_scaler", MLS16),
    ("sum of exponents off by one", ScaledTerm, E, "self.a_scale[man_bits:])", "self.a_scale[man_bits:] + 1)", "group_scaler", MLS16),
    ("rounds to -0", IntToFloat, E, "negative & code.any()", "negative", "group_scaler", MLS16),
    ("subnormal leaf not shifted", int_to_float, "round_gradually", "Mux(below, significand >> span, significand)", "significand", "group_scaler", MLS16),
    ("subnormal leaf normalised", int_to_float, "round_gradually", "exponent[steps:].any()", "Const(1, 1)", "group_scaler", MLS16),
    ("sticky bit of subnormals", float_common, "normalise", "sticky | (~select & value[:step].any())", "sticky", "group_scaler", MLS16),
    ("ties of a leaf", float_common, "round_nearest_even", "mantissa[0] | sticky", "1", "group_scaler", MLS16),
    ("wrong neighbours", Fp32AdderTree, E, "values[::2], values[1::2]", "values[: len(values) // 2], values[len(values) // 2 :]", "fp32_adder_tree", LANES),
    ("odd leaf dropped", Fp32AdderTree, E, "[*sums, *values[2 * len(sums) :]]", "[*sums, *(Signal(32) for _ in values[2 * len(sums) :])]", "fp32_adder_tree", {"lanes": 3}),
    ("leaves taken when not valid", Fp32AdderTree, E, "valid if level == 0 or self.gated else None", "None", "fp32_adder_tree", LANES),
    ("logical shift", Aligner, E, "Mux(select, value >> (1 << step), value)", "Mux(select, value.as_unsigned() >> (1 << step), value).as_signed()", "aligned_adder_tree", LANES16),
    ("far terms keep bits", Aligner, E, "distance[steps:].any()", "Const(0, 1)", "aligned_adder_tree", LANES16),
    ("a guard bit less", Aligner, E, "self.term.eq(value)", "self.term.eq(value & ~1)", "aligned_adder_tree", LANES16),
    ("smallest scale", LargestScale, E, "y < x", "y > x", "aligned_adder_tree", LANES16),
    ("lost carry of the exact sum", _IntegerTree, E, "acc = Signal(signed(self.sum_width)", "acc = Signal(signed(self.sum_width - 1)", "exact_adder_tree", FEW_TILES),
    ("tiles do not add up", _IntegerTree, E, '"begins_row", begins)', '"begins_row", begins | ~begins)', "exact_adder_tree", FEW_TILES),
    ("scale codes a cycle late", Collector, E, 'codes = registered(m, f"{port}_held", getattr(self, port), self.last)', 'codes = registered(m, f"{port}_held", getattr(self, port), registered(m, f"{port}_late", self.last))', "mls_tile", PAIR16, FEW),
    ("sums before the last product", Collector, E, "MAC_LATENCY + 1", "MAC_LATENCY", "mls_tile", PAIR16, FEW),
    ("blocks in the wrong order", Collector, "_present", "block[digit]", "block[-1 - digit]", "mls_tile", {"lanes": 4, "sharing": 4, "acc_width": 16}, 3_000),
    ("one block too few", Collector, "_count", "block.all()", "~block.any()", "mls_tile", SHARED | PAIR16, FEW),
    ("overflow of the last tile alone", Collector, E, " | (sticky & ~self.tile_first)", "", "mls_tile", PAIR16, FEW),
    ("overflow survives first", Collector, E, " & ~self.tile_first", "", "mls_tile", PAIR16, FEW),
    ("even block dropped", Fp32AdderTree, E, "valid & ~odd", "valid & odd", "mls_tile", SHARED | PAIR16, FEW),
    ("first ignored", TileAccumulator, E, "m.If(self.first)", "m.If(self.first & 0)", "mls_tile", PAIR16, FEW),
    ("tile loaded, not added", TileAccumulator, E, "x.eq(adder.sum)", "x.eq(1 << (_WIDTH - 1))", "mls_tile", PAIR16, FEW),
    ("first ahead of its tile", TileTree, E, "self.tile_first, adders.latency", "self.tile_first, 0", "mls_tile", PAIR16, FEW),
    ("finish ahead of its tile", TileTree, E, "self.tile_finish, self.latency", "self.tile_finish, 0", "mls_tile", PAIR16, FEW),
    ("tensor scale skipped", TileOutput, E, "values[0] = multiplier.product", "pass", "mls_tile", PAIR16, FEW),
    ("sign row not inverted", signed_multiplier, "add_rows", "~bit if negative else bit", "bit", "int_mac", INTS, FEW),
    ("Booth row without its sign", SignedMultiplier, "_add_booth_rows", "~((one | two) & digits[n])", "(one | two) & digits[n]", "int_mac", {"recoding": "booth4"}, FEW),
    ("product not sign-extended", IntAccumulator, E, "self.product.as_signed()", "self.product", "int_mac", INTS, FEW),
    ("unsigned zero point", IntMultiplier, E, '_zero").as_signed()', '_zero")', "int_mac", {"zero_points": True}, FEW),
    ("operand late by a cycle", OperandStage, E, '"s1_w", self.w', '"s1_w", registered(m, "s0_w", self.w)', "adder_mac", INTS, FEW),
    ("start ahead of its operand", OperandStage, E, 'registered(m, "s1_start", self.start, taken)', "self.start", "adder_mac", INTS, FEW),
    ("range without start", RangeStatistic, E, "self.start | (x > largest)", "x > largest", "range_statistic", CODES, FEW),
    ("a step too few", lfsr, "_following", "place + steps - 1 - step in taps", "place + steps - 2 - step in taps", "lfsr", {"lanes": 1}, FEW),
    ("lanes alike", lfsr.Lfsr, E, "lane * LANE_STRIDE", "0 * LANE_STRIDE", "lfsr", {"lanes": 2}, FEW),
    ("rounds down", Requantizer, E, "s1_window.as_signed() + random", "s1_window.as_signed() + 0 * random", "requantizer", INTS, FEW),
    ("far sums wrap", Requantizer, E, "s1_far | ", "", "requantizer", INTS, FEW),
    ("zeros shifted in", Requantizer, "_window", "moved = Cat(value[step:], sign.replicate(step))", "moved = value[step:]", "requantizer", INTS, FEW),
    ("zero not recognised", LnsMultiplier, E, "x.any() & y.any()", "x.any()", "lns_mac", {"format": "4,1", "table_bits": 1}, 3_000),
    ("products too small for a shift", LnsMultiplier, E, "exponent[kept:]", "exponent[kept + 1 :]", "lns_mac", LNS, 3_000),
    ("zero converts to one unit", LnsConverter, E, "value[left] & nonzero", "value[left]", "lns_mac", LNS, 3_000),
    ("neighbouring entries of the table", LnsConverter, E, "remainder == index for", "remainder == index - 1 for", "lns_mac", LNS, 3_000),
    ("NaN adds", SignedProduct, E, "parts.significand & (~invalid).replicate(width)", "parts.significand", "kulisch_mac", E4M3, 3_000),
    ("infinity unnoticed", SignedProduct, E, "[parts.infinite]", "[]", "kulisch_mac", {"format": "e5m2"}, 3_000),
    ("sign of a zero", SignedProduct, E, "parts.sign & magnitude.any()", "parts.sign", "kulisch_mac", E4M3, 3_000),
    ("NaN not flagged", FixedPointAccumulator, E, "outside | self.product[-1]", "outside", "kulisch_mac", E4M3, 3_000),
    ("NaN survives start", FixedPointAccumulator, E, "(overflow & ~self.start)", "overflow", "kulisch_mac", E4M3, 3_000),
    ("carry above the term", FixedPointAccumulator, E, "lower[top] & ~term[top]", "lower[top]", "kulisch_mac", E4M3, 3_000),
    ("a place too low", FixedPointAccumulator, "_term", "value[2:]", "value[1:-1]", "kulisch_mac", E4M3, 3_000),
    ("negation of a fused sum", fused_adder, "round_sum", "guard | (negative & mantissa[0] & rest)", "guard", "float_fma", {"format": "e4m3"}),
    ("sign of a fused zero", fused_adder, "round_sum", "exact_zero & addend.subtract", "exact_zero", "float_fma", {"format": "e5m2"}),
    ("addend shifted out too soon", fused_adder, "place_addend", "amount > fmt.significand_width", "amount >= fmt.significand_width", "float_fma", {"format": "fp16"}),
    ("product of zero in the way", fused_adder, "place_addend", "distance[-1] | product.zero", "distance[-1]", "float_fma", {"format": "2,12", "acc_format": "fp32"}),
    ("longer mantissa not rounded", FloatAdder, E, "finish = self._normalise_then_round", "pass", "float_fma", {"format": "e4m3", "acc_format": "6,5"}),
    ("scale rounds down", ScaleQuantizer, "_choose", "multiples[i] <", "multiples[i] <=", "mls_quantizer", CODES, FEW),
    ("maxima equal count as less", ScaleQuantizer, E, "peak <= top", "peak < top", "mls_quantizer", CODES, FEW),
    ("maxima taken at every beat", ScaleQuantizer, E, '"s1_ratio", ratio, self.start', '"s1_ratio", ratio', "mls_quantizer", CODES, FEW),
    ("divisor not normalised", ScaleQuantizer, "_choose", "low = ~multiple[-1]", "low = Const(0, 1)", "mls_quantizer", CODES, FEW),
    ("beyond the maximum unseen", QuantizerLane, E, "x[:MAGNITUDE_BITS] > self.peak", "x[:MAGNITUDE_BITS] > (self.peak | 1)", "mls_quantizer", CODES, 6_000),
    ("far elements wrap", QuantizerLane, E, "~nonzero | (apart >= farthest)", "~nonzero", "mls_quantizer", CODES, FEW),
    ("ties of the product", ProductQuotient, "_compare", ">= product", "> product", "mls_quantizer", {"rounding": "nearest"}, FEW),
    ("subnormal ties", ProductQuotient, "_compare", "(low == whole) & reached", "reached", "mls_quantizer", CODES, FEW),
    ("word of 0 rounds up", ProductQuotient, "_compare", "~too_large & ", "", "mls_quantizer", CODES, 6_000),
    ("digits lose the last bit", Quotient, "_add_random", "(digits >> shift)[:k]", "(digits >> shift)[:k] & ~1", "mls_quantizer", DIGITS, FEW),
    ("clip carries", QuantizerLane, "_round", "(divided.up & ~Cat(full, Const(1, 1)).all())", "divided.up", "mls_quantizer", CODES, FEW),
    ("the largest becomes half", QuantizerLane, "_round", "first & ~distance.any()", "first & 0", "mls_quantizer", CODES, FEW),
    ("ratio above the grid wraps", ScaleQuantizer, "_choose", "~above.replicate", "~(above & 0).replicate", "mls_quantizer", DELAYED, FEW),
    ("ratio above the grid gets 1", ScaleQuantizer, "_choose", "each | above for", "each & ~above for", "mls_quantizer", DELAYED, FEW),
    ("largest scale too soon", ScaleQuantizer, "_choose", 'named(m, "above", exact[-1])', 'named(m, "above", exact <= 0)', "mls_quantizer", DELAYED | {"scale": "8,2"}, FEW),
    ("no tensor maximum unseen", ScaleQuantizer, E, " | (peak[-1] & ~top[-1])", "", "mls_quantizer", DELAYED, FEW),
    ("group of infinity unseen", ScaleQuantizer, E, "self.group_max[FP32.man_bits :].all() | ", "", "mls_quantizer", DELAYED, 6_000),
    ("larger elements wrap", QuantizerLane, E, "nonzero & apart[-1]", "nonzero & 0", "mls_quantizer", DELAYED, FEW),
    ("zeros are larger elements", QuantizerLane, E, "nonzero & apart[-1]", "apart[-1]", "mls_quantizer", DELAYED, FEW),
    ("larger elements not the largest", QuantizerLane, "_round", "one |= distance.all()", "pass", "mls_quantizer", DELAYED, FEW),
    ("divisor cut off, not halved", Reciprocal, E, "minuend - divisor", "minuend - part * 2", "mls_quantizer", RECIPROCAL, FEW),
    ("element cut off, not halved", ReciprocalQuotient, "divide", "Cat(one, significand)", "Cat(Const(0, 1), significand)", "mls_quantizer", RECIPROCAL, FEW),
    ("too few leading zeros", BlockNumbers, "_shorten", "range(self._grid.places.bit_length())", "range(self._grid.places.bit_length() - 1)", "block_quantizer", BEATS, FEW),
    ("bits below unseen", BlockNumbers, "_shorten", "value[:below].any()", "value[1:below].any()", "block_quantizer", BEATS | {"format": "mxint8"}, 6_000),
    ("scale below the smallest", SharedExponent, E, "Mux(peak > self.top_exp, peak, self.top_exp)", "peak", "block_quantizer", BEATS, FEW),
    ("a block's maximum goes on", shared_exponent, "running_maximum", "~first & (peak > value)", "peak > value", "block_quantizer", BEATS, FEW),
    ("rows one beat short", BlockBuffer, "_through_rows", "self.beats - 1", "self.beats - 2", "block_quantizer", BEATS, FEW),
    ("ties of an element", SharedExponentLane, "_up", "(sticky | odd)", "1", "block_quantizer", BEATS, FEW),
    ("the largest carries", SharedExponentLane, E, "below >= grid.max_code", "below > grid.max_code", "block_quantizer", BEATS | {"format": "mxfp8_e4m3"}, FEW),
    ("negative integers", SharedExponentLane, E, "^ signs) + sign)", "^ signs) + 0)", "block_quantizer", BEATS | {"format": "mxint8"}, FEW),
    ("words a cycle late", BlockWords, "_later", "self.delay - 1", "self.delay", "block_quantizer", BEATS | {"rounding": "stochastic"}, FEW),
    ("ratio's remainder unseen", RatioScale, "_rounded", 's2["rest"] | (first & digits[0])', "first & digits[0]", "block_quantizer", NVFP4, 6_000),
    ("subnormal scale not shifted", RatioScale, "_rounded", "Mux(normal, 0, 1 - field)", "Mux(normal, 0, 0 * field)", "block_quantizer", NVFP4, FEW),
    ("subnormal scale not normalised", RatioScale, "_divisor", "Mux(empty, scale << step, scale)", "Mux(empty, scale, scale)", "block_quantizer", NVFP4, FEW),
    ("ties below reach a limit", ratio_scale, "_multiples", "eight + less", "eight + less + 1", "block_quantizer", NVFP4, 6_000),
    ("limits in the binade of D alone", RatioLane, "_reached", "Mux(up, more, exact)", "exact", "block_quantizer", NVFP4, FEW),
    ("zero over a zero scale", RatioLane, E, "x[-1] & ~self.zero & ~self.nan", "x[-1] & ~self.nan", "block_quantizer", NVFP4, FEW),
    ("R rounds up an equal product", RatioLane, "_rounded_up", "number >= product", "number > product", "block_quantizer", NVFP4 | {"rounding": "stochastic"}, FEW),
    ("steps of the largest numbers", RatioLane, "_rounded_up", "code[1] + 1", "1", "block_quantizer", NVFP4 | {"rounding": "stochastic"}, FEW),
    ("flag survives start", QuantizerLanes, E, "(invalid & ~s1_start)", "invalid", "mls_quantizer", CODES, FEW),
    ("group goes on", TensorStatistics, "_accumulate", "first | ended", "first", "tensor_statistics", CODES, FEW),
    ("decoder forgets subnormals", element_decoder, "element_magnitude", "mantissa << 1", "mantissa", "element_decoder", {}),
    ("minus zero", dot_tree, "negated", "(inverted + negative)", "inverted", "block_dot", DOT, FEW),
    ("constants of the rows", DotTree, E, "constant += add(", "constant = add(", "block_dot", DOT, FEW),
    ("sign of a product of zero", MlsMultiplier, E, "y[-1]) & nonzero", "y[-1])", "mls_multiplier", MLS),
    ("shift of a term", dot_tree, "_terms", "value[2:]", "value[1:-1]", "block_dot", LONG, FEW),
    ("sign of one operand", OperandRows, "_factors", "w[-1] ^ a[-1]", "w[-1]", "block_dot", DECODER, FEW),
    ("exponent of a subnormal", OperandRows, "_terms", "exponent | ~exponent.any()", "exponent", "block_dot", LONG, FEW),
    ("a zero that begins a sum skipped", ZeroFactor, E, "& ~self.start", "", "mls_mac", GATED | MLS16),
    ("zeros of two kinds of sums", ZeroFactor, E, "code[:-1] if self.has_sign else code", "code[:-1]", "int_mac", GATED),
    ("zero point not looked at", ZeroFactor, E, "code = code ^ getattr(self, point)", "pass", "int_mac", GATED | {"zero_points": True}),
    ("zero times infinity skipped", ZeroFloat, E, "zeros[0] & finite[1]", "zeros[0]", "kulisch_mac", GATED | {"format": "e5m2"}),
    ("sum takes what is older", MultiplierStage, "_taken", 'registered(m, "s2_valid", s1_valid)', "s1_valid", "mls_mac", GATED | MLS16),
    ("held weight not looked at", MultiplierStage, E, "comes = Mux(self.load, comes, held[port])", "pass", "int_mac", GATED | {"hold": True}),
    ("sum of zeros between blocks", BlockDot, E, "total.last.eq(self.last)", "total.last.eq(self.start)", "block_dot", GATED | BLOCKS),
    ("weight of a MAC not held", MultiplierStage, E, "self.load if", "None if", "int_mac", {"hold": True}),
    ("weights not held", OperandRows, E, "enable = self.load if", "enable = None if", "block_dot", DOT | {"hold": True}, FEW),
    ("block not started", DotStage, E, "bit & ~start for", "bit for", "block_dot", BLOCKS, FEW),
    ("block before its end", DotStage, E, "bit & present for", "bit for", "block_dot", BLOCKS, FEW),
    ("far exponents wrap", BlockScaler, "_exponent", "bit | far", "bit", "block_dot", DOT, FEW),
    ("one mantissa twice", BlockScaler, "_scaled", "part.a_man.eq(both[1])", "part.a_man.eq(both[0])", "block_dot", DOT | {"scale": "8,1"}, FEW),
    ("scale a cycle late", BlockScaler, E, 'exponent = registered(m, f"exponent{group}_row", exponent)', "pass", "block_dot", DOT | {"scale": "5,3"}, FEW),
    ("window truncates towards zero", FixedPointSum, "_placed", "value[reach - self.guard :]", "(value + (value[-1] << (reach - self.guard)) - value[-1])[reach - self.guard : len(value)]", "block_dot", DOT, FEW),
    ("groups' signs", FixedPointSum, "_sum", "constant -= 1 << top", "constant = -1 << top", "block_dot", DOT | {"groups": 3}, FEW),
    ("window not begun", FixedPointSum, E, "bit & ~first for", "bit for", "block_dot", DOT, FEW),
    ("flag forgets", FixedPointSum, E, "outside | (sticky & ~first)", "outside", "block_dot", FLAGGED, FEW),
    ("z before its end", FixedPointSum, E, "bit & valid for", "bit for", "block_dot", DOT, FEW),
    ("marks a cycle early", Accumulator, "_marks", "range(self.ahead)", "range(self.ahead - 1)", "block_dot", DOT, FEW),
    ("float sum not begun", Float32Sum, E, "adder.start.eq(first)", "adder.start.eq(0)", "block_dot", DOT | {"accumulate": "float32"}, FEW),
    ("tensor scale before its output", DotTile, E, "output.sum_valid.eq(dots.valid)", "output.sum_valid.eq(1)", "dot_tile", SMALL_TILE, FEW),
    ("flag of another output", DotTile, E, "output.sum_overflow.eq(dots.overflow)", "output.sum_overflow.eq(dots.valid)", "dot_tile", SMALL_TILE | {"flag": True, "window": 20, "blocks": 4}, FEW),
    ("tensor scale of dots skipped", TileOutput, E, "values[0] = multiplier.product", "pass", "dot_tile", SMALL_TILE, FEW),
    ("lanes' scales swapped", BlockScaler, E, "getattr(self, port)[group] for", "getattr(self, port)[-1 - group] for", "dot_tile", SMALL_TILE, FEW),
    ("zero of a float dot keeps its sign", AlignedFloatSum, E, "sign & nonzero & valid", "sign & valid", "float_dot", DOT, FEW),
    ("smallest exponent leads", float_dot, "_largest", "x > y", "x < y", "float_dot", DOT, FEW),
    ("dropped bits forgotten", AlignedDot, "_aligned", "negative & ~dropped", "negative", "float_dot", DOT, FEW),
    ("far products wrap", ProductRows, E, "bit | far", "bit", "float_dot", DOT, 3_000),
    ("leading bit missed", AlignedFloatSum, "_rounded", "FP32.bias - 1", "FP32.bias", "float_dot", DOT, FEW),
    ("Booth increment", UnsignedMultiplier, "_add_booth_rows", "b2 & (one | two)", "b2 & one", "fp32_mac", {"recoding": "booth4"}),
)]
# fmt: on


LARGE = {"block_dot", "float_dot", "dot_tile", "block_quantizer"}
"""Every fifth mutation of these is in each run, all are in slow ones: each takes ten seconds."""


def _marked() -> Iterator[Any]:
    large = 0
    for mutation in MUTATIONS:
        large += mutation.unit in LARGE
        marks = [pytest.mark.slow] if mutation.unit in LARGE and large % 5 != 1 else []
        yield pytest.param(mutation, id=mutation.what.replace(" ", "-"), marks=marks)


@pytest.mark.parametrize("mutation", [*_marked()])
def test_mutation_is_caught(
    mutation: Mutation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation.apply(monkeypatch)
    configuration = configure(mutation.unit, **mutation.options)
    first = mutation is MUTATIONS[0]
    result = run_bench(configuration, tmp_path, operations=mutation.operations, waves=first)
    assert result.mismatches, f"{configuration.slug} did not notice: {mutation.what}"
    if first:  # whoever finds a mismatch finds its waveform
        assert result.waveform is not None
        assert result.waveform.stat().st_size > 0
