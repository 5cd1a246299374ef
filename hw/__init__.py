"""Hardware: Amaranth components, one a file, and their emission as Verilog."""

from ..golden.formats import Overflow
from .accumulator import FloatAccumulator, IntAccumulator, ProductCoding
from .adder_trees import AlignedAdderTree, ExactAdderTree, Fp32AdderTree
from .aligner import Aligner, LargestScale
from .axi_stream import AxiConvTile
from .conv_tile import ConvTile
from .element_divider import Division, ElementDivider
from .element_multiplier import ElementMultiplier, Reciprocal
from .emit import Emitted, emit, to_rtlil, to_verilog
from .float_adder import AdderPath, FloatAdder
from .float_fma import FloatFma
from .float_multiplier import FloatMultiplier
from .float_product import FloatProduct
from .fused_adder import FusedAdder
from .fused_mac import FusedAccumulator, FusedMac
from .group_scale import GroupScale
from .group_scaler import GroupScaler, ScaledTerm, ScaleMultiplier
from .int_mac import IntMac, IntMultiplier
from .int_to_float import IntToFloat
from .interfaces import Interface, StreamConfiguration, with_interface
from .kulisch_mac import FixedPointAccumulator, KulischMac, SignedProduct
from .lfsr import Lfsr
from .lns_mac import LnsAccumulator, LnsMac
from .lns_multiplier import LnsConverter, LnsMultiplier
from .mac import FloatMac, Fp8Mac, Fp32Mac, Mac, MlsMac, MultiplierStage
from .mls_dot import MlsDot
from .mls_multiplier import ExponentShifter, MlsMultiplier
from .mls_quantizer import MlsQuantizer, QuantizerLanes
from .range_statistic import RangeStatistic
from .requantizer import Requantizer
from .scaled_trees import AlignedSum, ExactSum
from .signed_multiplier import SignedMultiplier
from .tensor_statistics import TensorStatistics
from .tile import FloatTile, Fp8Tile, Fp32Tile, MlsTile, Tile
from .units import UNITS, Configuration, Unit, configure
from .unsigned_multiplier import Recoding, UnsignedMultiplier

__all__ = [
    "UNITS",
    "AdderPath",
    "AlignedAdderTree",
    "AlignedSum",
    "Aligner",
    "AxiConvTile",
    "Configuration",
    "ConvTile",
    "Division",
    "ElementDivider",
    "ElementMultiplier",
    "Emitted",
    "ExactAdderTree",
    "ExactSum",
    "ExponentShifter",
    "FixedPointAccumulator",
    "FloatAccumulator",
    "FloatAdder",
    "FloatFma",
    "FloatMac",
    "FloatMultiplier",
    "FloatProduct",
    "FloatTile",
    "Fp8Mac",
    "Fp8Tile",
    "Fp32AdderTree",
    "Fp32Mac",
    "Fp32Tile",
    "FusedAccumulator",
    "FusedAdder",
    "FusedMac",
    "GroupScale",
    "GroupScaler",
    "IntAccumulator",
    "IntMac",
    "IntMultiplier",
    "IntToFloat",
    "Interface",
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
    "Overflow",
    "ProductCoding",
    "QuantizerLanes",
    "RangeStatistic",
    "Reciprocal",
    "Recoding",
    "Requantizer",
    "ScaleMultiplier",
    "ScaledTerm",
    "SignedMultiplier",
    "SignedProduct",
    "StreamConfiguration",
    "TensorStatistics",
    "Tile",
    "Unit",
    "UnsignedMultiplier",
    "configure",
    "emit",
    "to_rtlil",
    "to_verilog",
    "with_interface",
]
