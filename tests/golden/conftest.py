"""What the tests of blocks share: the values of MX and NVFP4 codes by ml_dtypes."""

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest

from mlsmac.golden import BLOCK_PRESETS, ScaleCoding

_ELEMENTS = {
    "mxfp4": ml_dtypes.float4_e2m1fn,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "nvfp4": ml_dtypes.float4_e2m1fn,
}
_SCALES = {
    ScaleCoding.E8M0: ml_dtypes.float8_e8m0fnu,
    ScaleCoding.E4M3: ml_dtypes.float8_e4m3fn,
}


@dataclass(frozen=True, eq=False)
class Standard:
    """A format by its own standard: value of each element code and of each scale code, NaN where it
    is none (here the integer -128 too); and the codes that have an MLS counterpart.
    """

    elements: np.ndarray
    scales: np.ndarray
    element_codes: np.ndarray
    scale_codes: np.ndarray


def _standard(name: str) -> Standard:
    fmt = BLOCK_PRESETS[name]
    byte = np.arange(256, dtype=np.uint8)
    if name == "mxint8":
        elements = np.where(byte == 0x80, np.nan, byte.view(np.int8) / 64)
    else:
        codes = byte[: 1 << fmt.element.code_width]
        elements = codes.view(_ELEMENTS[name]).astype(np.float64)
    scales = byte.view(_SCALES[fmt.scale_coding]).astype(np.float64)
    # A float32 tensor scale holds value_ratio times the largest scale.
    reached = (scales * fmt.value_ratio < 2.0**128) & ~np.signbit(scales)
    return Standard(elements, scales, np.flatnonzero(~np.isnan(elements)), np.flatnonzero(reached))


@pytest.fixture(scope="session")
def standards() -> dict[str, Standard]:
    """Each preset's standard."""
    return {name: _standard(name) for name in BLOCK_PRESETS}
