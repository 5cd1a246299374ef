# amaranth: UnusedElaboratable=no
"""What a sidecar says of numbers: the codes at the ports, the accumulator, the idle cycle."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Member

from ..golden.spec import (
    FP32,
    ElementFormat,
    FloatFormat,
    IntFormat,
    LnsFormat,
    Operands,
    ScaleFormat,
    Specials,
)
from ..hw.parts.component import Component
from .catalogue import Configuration

_CODED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("w", "w_zero", "x", "y", "code", "codes"), ("format",)),
    **dict.fromkeys(("a", "a_zero"), ("a_format", "format")),
    **dict.fromkeys(("w_scale", "a_scale", "scale_code"), ("scale",)),
    "acc": ("acc_format",),
}
"""Ports of codes, with the attributes of a component that may be their format: the first it has."""

_FLOAT32 = ("tensor_scale", "z")
"""Ports of float32 codes, where they have its width."""


def codes(component: Component) -> dict[str, Any]:
    """Layout and meaning of the codes at a component's ports, of a lane each where it has lanes."""
    told = {}
    for port, member in component.signature.members.items():
        width = _lane_width(member)
        if getattr(component, "operands", None) is Operands.DECODED and port in "wa":
            told[port] = _decoded(component.format, width)
            continue
        named = [getattr(component, name, None) for name in _CODED.get(port, ())]
        format: Any = next(filter(None, [*named, FP32 if port in _FLOAT32 else None]), None)
        # Not every port of these names has codes: a quantizer's `x` is its input.
        if hasattr(format, "layout") and format.code_width == width:
            told[port] = _code(format)
    return told


def _lane_width(member: Member) -> int:
    shape = member.shape if member.is_port else 0
    return Shape.cast(shape.elem_shape if isinstance(shape, ArrayLayout) else shape).width


def _code(format: Any) -> dict[str, Any]:
    """A code's fields, most significant first, as bit ranges; what it means."""
    fields, top = [], format.code_width
    for name, width in format.layout:
        if width:
            fields.append({"name": name, "msb": top - 1, "lsb": top - width})
        top -= width
    bias = {"bias": format.bias} if hasattr(format, "bias") else {}
    return {
        "format": str(format),
        "family": format.family,
        "fields": fields,
        **bias,
        "value": _VALUES[type(format)](format),
    }


def _decoded(format: ElementFormat, width: int) -> dict[str, Any]:
    """Two's complement elements."""
    return {**_code(IntFormat(width)), "value": f"value * 2^{-format.fraction_bits}"}


def _element_value(format: ElementFormat) -> str:
    if not format.exp_bits:
        return f"(-1)^sign * mantissa * 2^{-format.fraction_bits}"
    return (
        f"(-1)^sign * q * 2^{-format.fraction_bits}; q = mantissa where exponent is 0, else "
        f"({1 << format.man_bits} + mantissa) * 2^(exponent - 1)"
    )


def _scale_value(format: ScaleFormat) -> str:
    significand = f"(1 + mantissa / {1 << format.man_bits}) * " if format.man_bits else ""
    return f"{significand}2^-exponent"


def _float_value(format: FloatFormat) -> str:
    top = "largest exponent: infinity and NaN"
    if format.specials is Specials.NAN_ONLY:
        top = "all ones below the sign: NaN; no infinity"
    return (
        f"(-1)^sign * (1 + mantissa / {1 << format.man_bits}) * 2^(exponent - {format.bias}); "
        f"exponent 0: (-1)^sign * mantissa / {1 << format.man_bits} * 2^{format.min_exp}; {top}"
    )


def _int_value(format: IntFormat) -> str:
    return "value"


def _lns_value(format: LnsFormat) -> str:
    steps = 1 << format.fraction_bits
    return f"(-1)^sign * 2^((exponent - {1 << format.exp_bits}) / {steps}); exponent 0: zero"


_VALUES: Mapping[type, Any] = {
    ElementFormat: _element_value,
    ScaleFormat: _scale_value,
    FloatFormat: _float_value,
    IntFormat: _int_value,
    LnsFormat: _lns_value,
}


def accumulator(configuration: Configuration) -> dict[str, Any] | None:
    """Bits of an integer accumulator, of each lane where there are lanes; products that it holds
    whatever the operands; what its last bit weighs, the scales of operands left out.
    """
    last_bit = configuration.unit.last_bit
    if last_bit is None:
        return None
    return {
        "width": configuration.options["acc_width"],
        "safe_length": configuration.safe_length,
        "last_bit": f"2^{last_bit(configuration.options)}",
    }
