"""Formats with a name, and how a format is read from what a user writes."""

from dataclasses import fields
from typing import Any, TypeVar

from .blocks import (
    NVFP4_SCALE,
    SCALE_E8M0,
    BlockFormat,
    ElementCoding,
    ScaleCoding,
)
from .formats import ElementFormat, FloatFormat, IntFormat, LnsFormat, ScaleFormat, Specials

# The paper's sweet spots: <2,4> for ImageNet, <2,1> for CIFAR-10; the rest of its Tables 2 and 3.
MLS_E2M4 = ElementFormat(2, 4)
MLS_E2M1 = ElementFormat(2, 1)
MLS_E1M2 = ElementFormat(1, 2)
MLS_E1M6 = ElementFormat(1, 6)
MLS_E0M4 = ElementFormat(0, 4)
MLS_E0M2 = ElementFormat(0, 2)
MLS_E2M5 = ElementFormat(2, 5)

# Elements of OCP MX v1.0 and of NVFP4. The floating-point ones have exactly an MLS element's code
# space, but for the NaN code of E4M3; their values are the MLS values times `ocp_value_ratio`, a
# power of two that the tensor scale absorbs. MXINT8 is two's complement (`golden/blocks.py`).
MXFP4_E2M1 = ElementFormat(2, 1)
MXFP6_E2M3 = ElementFormat(2, 3)
MXFP6_E3M2 = ElementFormat(3, 2)
MXFP8_E4M3 = ElementFormat(4, 3)
MXINT8 = ElementFormat(0, 7)
NVFP4_E2M1 = ElementFormat(2, 1)

# Group scales: the paper's are E8M0 (shift only) and this (shift plus half of it).
SCALE_E8M1 = ScaleFormat(8, 1)

FP32 = FloatFormat(8, 23)
BF16 = FloatFormat(8, 7)
FP16 = FloatFormat(5, 10)
FP8_E5M2 = FloatFormat(5, 2)
FP8_E4M3 = FloatFormat(4, 3, Specials.NAN_ONLY)

INT4 = IntFormat(4)
INT8 = IntFormat(8)
INT16 = IntFormat(16)
LNS8 = LnsFormat(7, 3)

ELEMENT_PRESETS = {
    "mls_e2m4": MLS_E2M4,
    "mls_e2m1": MLS_E2M1,
    "mls_e1m2": MLS_E1M2,
    "mls_e1m6": MLS_E1M6,
    "mls_e0m4": MLS_E0M4,
    "mls_e0m2": MLS_E0M2,
    "mls_e2m5": MLS_E2M5,
    "mxfp4_e2m1": MXFP4_E2M1,
    "mxfp6_e2m3": MXFP6_E2M3,
    "mxfp6_e3m2": MXFP6_E3M2,
    "mxfp8_e4m3": MXFP8_E4M3,
    "mxint8": MXINT8,
    "nvfp4_e2m1": NVFP4_E2M1,
}
FLOAT_PRESETS = {
    "fp32": FP32,
    "bf16": BF16,
    "fp16": FP16,
    "e5m2": FP8_E5M2,
    "e4m3": FP8_E4M3,
}

SCALE_PRESETS = {"e8m0": SCALE_E8M0, "e8m1": SCALE_E8M1, "nvfp4": NVFP4_SCALE}

BLOCK_PRESETS = {
    "mxfp4": BlockFormat(element=MXFP4_E2M1, size=32, scale_coding=ScaleCoding.E8M0),
    "mxfp6_e2m3": BlockFormat(element=MXFP6_E2M3, size=32, scale_coding=ScaleCoding.E8M0),
    "mxfp6_e3m2": BlockFormat(element=MXFP6_E3M2, size=32, scale_coding=ScaleCoding.E8M0),
    "mxfp8_e4m3": BlockFormat(
        element=MXFP8_E4M3,
        size=32,
        scale_coding=ScaleCoding.E8M0,
        element_coding=ElementCoding.NAN,
    ),
    "mxint8": BlockFormat(
        element=MXINT8,
        size=32,
        scale_coding=ScaleCoding.E8M0,
        element_coding=ElementCoding.INTEGER,
    ),
    "nvfp4": BlockFormat(element=NVFP4_E2M1, size=16, scale_coding=ScaleCoding.E4M3),
}

INT_PRESETS = {"int4": INT4, "int8": INT8, "int16": INT16}
LNS_PRESETS = {"lns8": LNS8}

Format = TypeVar(
    "Format", ElementFormat, ScaleFormat, FloatFormat, IntFormat, LnsFormat, BlockFormat
)

_PRESETS: dict[type, dict[str, Any]] = {
    ElementFormat: ELEMENT_PRESETS,
    ScaleFormat: SCALE_PRESETS,
    FloatFormat: FLOAT_PRESETS,
    IntFormat: INT_PRESETS,
    LnsFormat: LNS_PRESETS,
    BlockFormat: BLOCK_PRESETS,
}


def parse_format(name: str, kind: type[Format], text: str) -> Format:
    """Read the format called `name` as a user writes it: a preset's name, or its widths with commas
    between them (`E,M`). A block format has a name alone.

    Raises: ValueError for an unknown preset, a wrong number of widths, or widths out of range.
    """
    presets: dict[str, Format] = _PRESETS[kind]
    if text.lower() in presets:
        return presets[text.lower()]
    if kind is BlockFormat:
        raise ValueError(f"{name} must be one of {', '.join(presets)}, not {text!r}")
    widths = [field.name for field in fields(kind) if field.type in (int, "int")]
    parts = text.strip("<>").split(",")
    if len(parts) != len(widths) or not all(part.strip().isdecimal() for part in parts):
        rule = f"{','.join(widths)} (integers) or one of {', '.join(presets)}"
        raise ValueError(f"{name} must be {rule}, not {text!r}")
    make: Any = kind
    return make(*map(int, parts))


def written(format: Format) -> str:
    """A format as `parse_format` reads it: a preset's name, or of an MLS format the widths."""
    if not isinstance(format, ElementFormat | ScaleFormat):
        for name, preset in _PRESETS[type(format)].items():
            if preset == format:
                return name
    values = (getattr(format, field.name) for field in fields(format))
    return ",".join(str(value) for value in values if isinstance(value, int))
