"""What trains a network: units for its convolutions, quantizers, and what its codes take."""

from dataclasses import dataclass, field

from ..quantizer_report import ADDER, MULTIPLIER
from .units import MeasuredUnits

STATISTICS = "statistics, 4"
PARTS = (MULTIPLIER.label, ADDER.label)
"""The float32 parts of `quantizers.json`."""


@dataclass(frozen=True)
class Quantizer:
    """The unit of `quantizers.json` that makes the codes.

    Members: `stages` of it that are needed (all, if there are none); `statistics`: whether maxima
    are taken before, in a pass of their own; `w`, `a`, `e`: how often each element is encoded.
    """

    unit: str
    stages: tuple[str, ...] = ()
    statistics: bool = False
    w: int = 1
    a: int = 1
    e: int = 1


@dataclass(frozen=True)
class Codes:
    """Bits of an element and of a scale, which a `block` of elements shares; None: what the MLS
    groups "nc" are, a kernel of W and a plane of A and E.
    """

    element: int
    scale: int = 0
    block: int | None = None


@dataclass(frozen=True)
class System:
    """A way to train.

    Members: `unit` that multiplies, for A*E the unit `gradient` where there is one; `kinds` of
    baseline that it is one of; `everywhere`: in the first layer and the classifier too, which
    otherwise are FP32; `lanes` where they are not those that the user chose.
    """

    label: str
    unit: str
    quantizer: Quantizer | None = None
    codes: Codes | None = None
    gradient: str | None = None
    kinds: tuple[str, ...] = ()
    everywhere: bool = False
    lanes: int | None = None


@dataclass(frozen=True)
class Group:
    """Systems of one structure, which compare; the first is FP32."""

    name: str
    title: str
    table: str
    systems: tuple[System, ...] = field(repr=False)

    def lanes(self, system: System, chosen: int) -> int | None:
        """Lanes of a system's units."""
        return None if self.table == "macs" else system.lanes or chosen


_ENCODING = ("lanes", "generator")
"""Stages of a quantizer to blocks without the block's buffer and scale."""

_MLS_2_4 = Quantizer("<2,4> stochastic, 4", statistics=True)
_MLS_2_1 = Quantizer("<2,1> stochastic, 4", statistics=True)
_FP8 = Quantizer("MXFP8_E4M3 stochastic, 4", _ENCODING)
_INT8 = Quantizer("MXINT8 stochastic, 4", _ENCODING, statistics=True)
_INT8_16 = Quantizer("MXINT8 stochastic, 4", _ENCODING, statistics=True, e=2)


def _blocks(format: str) -> Quantizer:
    """Blocks lie along the sum, so that each tensor is encoded for both of its convolutions."""
    return Quantizer(f"{format} stochastic, 4", w=2, a=2, e=2)


def _mls_blocks(format: str) -> Quantizer:
    return Quantizer(f"<{format}> stochastic, 4", statistics=True, w=2, a=2, e=2)


_FP32_KINDS, _FP8_KINDS = ("fp32",), ("fp8",)
_BYTE = Codes(8)
_CODES_2_4, _CODES_2_1 = Codes(7, 9), Codes(4, 9)

MACS = Group(
    "macs",
    "MACs alone, without scaler and tree",
    "macs",
    (
        System("FP32", "FP32 flush", kinds=_FP32_KINDS),
        System("FP8 E5M2", "FP8 E5M2", _FP8, _BYTE, kinds=_FP8_KINDS),
        System("FP8 E4M3", "FP8 E4M3", _FP8, _BYTE, kinds=_FP8_KINDS),
        System("FP8 E4M3, exact sum", "E4M3, exact sum", _FP8, _BYTE),
        System("INT8, A*E 8 x 16", "INT8", _INT8_16, _BYTE, "INT8 x INT16", everywhere=True),
        System("MLS <2,4>", "MLS <2,4>", _MLS_2_4, _CODES_2_4),
        System("MLS <2,1>", "MLS <2,1>", _MLS_2_1, _CODES_2_1),
    ),
)
TILES = Group(
    "tiles",
    "tiles of MACs",
    "tiles",
    (
        System("FP32", "FP32 flush", kinds=_FP32_KINDS),
        System("FP8 E5M2", "FP8 E5M2", _FP8, _BYTE, kinds=_FP8_KINDS),
        System("FP8 E4M3", "FP8 E4M3", _FP8, _BYTE, kinds=_FP8_KINDS),
        System("MLS <2,4>, float32 tree", "MLS <2,4>", _MLS_2_4, _CODES_2_4),
        System("MLS <2,4>, aligned tree", "MLS <2,4> aligned", _MLS_2_4, _CODES_2_4),
        System("MLS <2,4>, exact tree", "MLS <2,4> exact, <4,1>", _MLS_2_4, Codes(7, 5)),
        System("MLS <2,1>, exact tree", "MLS <2,1> exact, <4,3>", _MLS_2_1, Codes(4, 7)),
    ),
)
DOT_TILES = Group(
    "dot tiles",
    "tiles of dot units, a lane of MLS a 3x3 kernel",
    "tiles",
    (
        System("FP32", "FP32 flush dots", kinds=_FP32_KINDS),
        System("FP8 E4M3", "FP8 E4M3 dots", _FP8, _BYTE, kinds=_FP8_KINDS),
        System("MLS <2,4>", "MLS <2,4> dots", _MLS_2_4, _CODES_2_4),
        System("MLS <2,1>", "MLS <2,1> dots", _MLS_2_1, _CODES_2_1),
        System("MLS <2,1>, exact", "MLS <2,1> dots, exact <4,3>", _MLS_2_1, Codes(4, 7)),
    ),
)
DOTS = Group(
    "dots",
    "dot units",
    "dots",
    (
        System("FP32", "FP32", kinds=_FP32_KINDS),
        System("FP8 E4M3", "FP8 E4M3, float32 sum", _FP8, _BYTE, kinds=_FP8_KINDS),
        System("FP8 E4M3, exact sum", "FP8 E4M3, exact sum", _FP8, _BYTE),
        System("INT8", "INT8", _INT8, _BYTE, everywhere=True),
        System("MXFP8 E4M3", "MXFP8 E4M3", _blocks("MXFP8_E4M3"), Codes(8, 8, 32)),
        System("MXINT8", "MXINT8", _blocks("MXINT8"), Codes(8, 8, 32)),
        System("MXFP4", "MXFP4", _blocks("MXFP4"), Codes(4, 8, 32)),
        System("NVFP4", "NVFP4", _blocks("NVFP4"), Codes(4, 8, 16)),
        System("MLS <2,4>, blocks of 32", "MLS <2,4>", _mls_blocks("2,4"), Codes(7, 9, 32)),
        System("MLS <2,1>, blocks of 32", "MLS <2,1>", _mls_blocks("2,1"), Codes(4, 9, 32)),
        System("MLS <2,4>, 3x3", "MLS <2,4>, 3x3", _MLS_2_4, _CODES_2_4, lanes=36),
        System("MLS <2,1>, 3x3", "MLS <2,1>, 3x3", _MLS_2_1, _CODES_2_1, lanes=36),
    ),
)
GROUPS = (MACS, TILES, DOT_TILES, DOTS)


def lane_counts(units: MeasuredUnits) -> list[int]:
    """Those that some group has FP32 of."""
    return sorted(set().union(*(units.lanes(own.table, own.systems[0].unit) for own in GROUPS)))
