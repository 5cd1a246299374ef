"""Training in PyTorch with coded operands: layers, formats, models (extra `train`)."""

from .capture import capture
from .config import Config, Float32Config
from .convert import convert, everything, quantized_layers, skip_first_and_last
from .export import export_layer
from .layers import MlsConv2d, MlsLinear, QuantizedConv2d, QuantizedLayer, QuantizedLinear
from .mls import MlsConfig, MlsOperand
from .models import ResNet, resnet8, resnet20
from .products import Sums
from .quantize import Quantized, quantize
from .replay import Replay, ReplayRow, replay
from .rivals import (
    BlockConfig,
    DfpConfig,
    Fp8Config,
    Int8Config,
    LnsConfig,
    Madam,
    RangeBatchNorm2d,
)
from .trace import trace_network

__all__ = [
    "BlockConfig",
    "Config",
    "DfpConfig",
    "Float32Config",
    "Fp8Config",
    "Int8Config",
    "LnsConfig",
    "Madam",
    "MlsConfig",
    "MlsConv2d",
    "MlsLinear",
    "MlsOperand",
    "Quantized",
    "QuantizedConv2d",
    "QuantizedLayer",
    "QuantizedLinear",
    "RangeBatchNorm2d",
    "Replay",
    "ReplayRow",
    "ResNet",
    "Sums",
    "capture",
    "convert",
    "everything",
    "export_layer",
    "quantize",
    "quantized_layers",
    "replay",
    "resnet8",
    "resnet20",
    "skip_first_and_last",
    "trace_network",
]
