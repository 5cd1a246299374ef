"""Dot units: blocks of products with one scaled accumulation each."""

from collections.abc import Mapping

from ..golden.dots import block_dot, decode_elements
from ..golden.float_dots import float_dot
from ..golden.spec import MLS_E2M1, ElementFormat
from ..hw.dot.block_dot import BlockDot
from ..hw.dot.element_decoder import ElementDecoder
from ..hw.dot.float_dot import FloatDot
from ..support.words import Codes
from .catalogue import Unit
from .corners import dots
from .corners.general import drawn
from .models import Ports
from .workloads import Inputs, Options, dot_steps, operations


def _element_decoder(inputs: Ports, *, format: ElementFormat) -> dict[str, Codes]:
    return {"value": decode_elements(inputs["code"], format)}


def _weights(mac: Inputs, options: Options) -> Inputs:
    return {"code": mac["w"]}


ROWS = (
    Unit(
        name="block_dot",
        description="Block-scaled dot unit: exact dots of MLS, MX or NVFP4, scaled, summed up",
        component=BlockDot,
        defaults={"format": MLS_E2M1},
        model=block_dot,
        corners=drawn(dots.steps),
        workload=dot_steps,
    ),
    Unit(
        name="float_dot",
        description="Floating-point dot unit: exact products aligned to the largest, FP32 sum",
        component=FloatDot,
        model=float_dot,
        corners=drawn(dots.floats),
        workload=dot_steps,
    ),
    Unit(
        name="element_decoder",
        description="MLS element to two's complement, for dot units of decoded operands",
        component=ElementDecoder,
        defaults={"format": MLS_E2M1},
        model=_element_decoder,
        workload=operations(_weights),
    ),
)

_MX: Options = {"scale": "8,0"}
_NV: Options = {"scale": "5,3"}
_MLS: Options = {"scale": "8,1"}
_DECODER: Options = {"operands": "decoder"}
_INTEGERS: Options = {"operands": "decoded"}

PRESETS: Mapping[str, Options] = {
    "mxint8": {"format": "0,7", **_MX, **_INTEGERS},
    "mxfp8_e4m3": {"format": "4,3", "window": 64, **_MX, **_DECODER},
    "mxfp6_e2m3": {"format": "2,3", **_MX, **_DECODER},
    "mxfp6_e3m2": {"format": "3,2", **_MX, **_DECODER},
    "mxfp4": {"format": "2,1", **_MX, **_DECODER},
    "nvfp4": {"format": "2,1", **_NV, **_DECODER},
    "nvint4": {"format": "0,3", **_NV, **_INTEGERS},
    "mls_e2m1": {"format": "2,1", **_MLS, **_DECODER},
    "mls_e2m4": {"format": "2,4", **_MLS, **_DECODER},
    "int8": {"format": "0,7", "scale": "none", **_INTEGERS},
    "fp8_e4m3": {"format": "4,3", "scale": "none", "accumulate": "float32", **_DECODER},
}
"""Options of `block_dot` by what it computes with; `lanes`, `groups` and `cycles` are free."""
