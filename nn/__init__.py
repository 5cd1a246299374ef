"""Training in PyTorch with coded operands: layers, formats, models (extra `train`)."""

from .capture import capture
from .config import Config, Float32Config, MlsConfig, MlsOperand
from .convert import convert, everything, quantized_layers, skip_first_and_last
from .export import export_layer
from .layers import MlsConv2d, MlsLinear, QuantizedConv2d, QuantizedLayer, QuantizedLinear
from .models import ResNet, resnet8, resnet20
from .products import Sums
from .replay import Replay, ReplayRow, replay

__all__ = [
    "Config",
    "Float32Config",
    "MlsConfig",
    "MlsConv2d",
    "MlsLinear",
    "MlsOperand",
    "QuantizedConv2d",
    "QuantizedLayer",
    "QuantizedLinear",
    "Replay",
    "ReplayRow",
    "ResNet",
    "Sums",
    "capture",
    "convert",
    "everything",
    "export_layer",
    "quantized_layers",
    "replay",
    "resnet8",
    "resnet20",
    "skip_first_and_last",
]
