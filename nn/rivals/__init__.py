"""Formats of other papers and of today's hardware, under the same interface as MLS."""

from .block import BlockConfig
from .dfp import DfpConfig
from .fp8 import Fp8Config
from .int8 import Int8Config
from .lns import LnsConfig
from .madam import Madam
from .range_norm import RangeBatchNorm2d

__all__ = [
    "BlockConfig",
    "DfpConfig",
    "Fp8Config",
    "Int8Config",
    "LnsConfig",
    "Madam",
    "RangeBatchNorm2d",
]
