"""Hardware: Amaranth components, one a file."""

from ..golden.spec import Overflow
from .dot.accumulators import FixedPointSum, Float32Sum
from .dot.block_dot import BlockDot
from .dot.dot_stage import DotStage
from .dot.dot_tree import DotTree, Form
from .dot.element_decoder import ElementDecoder
from .dot.float_dot import AlignedDot, FloatDot
from .dot.operand_rows import OperandRows
from .dot.scaling import BlockScaler
from .floating.float_accumulator import FloatAccumulator
from .floating.float_adder import AdderPath, FloatAdder
from .floating.float_fma import FloatFma
from .floating.float_multiplier import FloatMultiplier
from .floating.float_product import FloatProduct
from .floating.fused_adder import FusedAdder
from .floating.int_to_float import IntToFloat
from .integer.accumulator import IntAccumulator, ProductCoding
from .integer.int_multiplier import IntMultiplier
from .integer.lns_multiplier import LnsConverter, LnsMultiplier
from .integer.mls_dot import MlsDot
from .integer.mls_multiplier import ExponentShifter, MlsMultiplier
from .integer.range_statistic import RangeStatistic
from .integer.requantizer import Requantizer
from .mac.adder_mac import AdderMac, OperandStage
from .mac.float_mac import FloatMac, Fp8Mac, Fp32Mac
from .mac.fused_mac import FusedAccumulator, FusedMac
from .mac.int_mac import IntMac
from .mac.kulisch_mac import FixedPointAccumulator, KulischMac, SignedProduct
from .mac.lns_mac import LnsAccumulator, LnsMac
from .mac.mac import Mac, MultiplierStage
from .mac.mls_mac import MlsMac
from .parts.lfsr import Lfsr
from .parts.signed_multiplier import SignedMultiplier
from .parts.stepped import Stepped
from .parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from .quantizer.block_quantizer import BlockQuantizer
from .quantizer.mls_quantizer import MlsQuantizer, QuantizerLanes
from .quantizer.quantizer_lane import QuantizerLane
from .quantizer.quotients import Division
from .quantizer.reciprocal import Reciprocal
from .quantizer.scale_quantizer import ScaleQuantizer
from .quantizer.tensor_statistics import TensorStatistics
from .tile.adder_trees import AlignedAdderTree, ExactAdderTree, Fp32AdderTree
from .tile.aligner import Aligner, LargestScale
from .tile.axi_stream import AxiConvTile
from .tile.conv_tile import ConvTile
from .tile.dot_tile import DotTile
from .tile.group_scaler import GroupScaler, ScaledTerm, ScaleMultiplier
from .tile.scaled_trees import AlignedSum, ExactSum
from .tile.tile import FloatTile, Fp8Tile, Fp32Tile, MlsTile, Tile

__all__ = [
    "AdderMac",
    "AdderPath",
    "AlignedAdderTree",
    "AlignedDot",
    "AlignedSum",
    "Aligner",
    "AxiConvTile",
    "BlockDot",
    "BlockQuantizer",
    "BlockScaler",
    "ConvTile",
    "Division",
    "DotStage",
    "DotTile",
    "DotTree",
    "ElementDecoder",
    "ExactAdderTree",
    "ExactSum",
    "ExponentShifter",
    "FixedPointAccumulator",
    "FixedPointSum",
    "Float32Sum",
    "FloatAccumulator",
    "FloatAdder",
    "FloatDot",
    "FloatFma",
    "FloatMac",
    "FloatMultiplier",
    "FloatProduct",
    "FloatTile",
    "Form",
    "Fp8Mac",
    "Fp8Tile",
    "Fp32AdderTree",
    "Fp32Mac",
    "Fp32Tile",
    "FusedAccumulator",
    "FusedAdder",
    "FusedMac",
    "GroupScaler",
    "IntAccumulator",
    "IntMac",
    "IntMultiplier",
    "IntToFloat",
    "KulischMac",
    "LargestScale",
    "Lfsr",
    "LnsAccumulator",
    "LnsConverter",
    "LnsMac",
    "LnsMultiplier",
    "Mac",
    "MlsDot",
    "MlsMac",
    "MlsMultiplier",
    "MlsQuantizer",
    "MlsTile",
    "MultiplierStage",
    "OperandRows",
    "OperandStage",
    "Overflow",
    "ProductCoding",
    "QuantizerLane",
    "QuantizerLanes",
    "RangeStatistic",
    "Reciprocal",
    "Recoding",
    "Requantizer",
    "ScaleMultiplier",
    "ScaleQuantizer",
    "ScaledTerm",
    "SignedMultiplier",
    "SignedProduct",
    "Stepped",
    "TensorStatistics",
    "Tile",
    "UnsignedMultiplier",
]
