"""Float32 magnitudes, normalised."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from ...golden.spec import FP32
from .values import named

MAGNITUDE_BITS = FP32.code_width - 1
"""Bits of a code without its sign; as integers they order like the magnitudes, infinity and NaN
above all numbers.
"""

INFINITY = FP32.infinity


def normalised(m: Module, magnitude: Value, *, name: str) -> tuple[Signal, Signal]:
    """(significand, exponent) of a finite magnitude: `significand * 2^(exponent - 150)`.

    The significand has 24 bits, the top one set but in zero. The exponent (signed, 9 bits) is the
    field; of a subnormal number 0 or less, as far as its leading zeros say.
    """
    mantissa, field = magnitude[: FP32.man_bits], magnitude[FP32.man_bits :]
    hidden = named(m, f"{name}_hidden", field.any())
    # A subnormal number has the unit of exponent field 1: twice its mantissa goes with field 0.
    value = named(
        m, f"{name}_raw", Mux(hidden, Cat(mantissa, Const(1, 1)), Cat(Const(0, 1), mantissa))
    )
    zeros: list[Value] = []
    for step in (16, 8, 4, 2, 1):
        empty = named(m, f"{name}_empty{step}", ~value[-step:].any())
        value = named(m, f"{name}_by{step}", Mux(empty, value << step, value)[: len(value)])
        zeros.insert(0, empty)
    below = named(m, f"{name}_below", -Cat(zeros))
    # One of the two is zero: a normal number has no leading zeros, any other has field 0.
    extended = Cat(below, below[-1].replicate(len(field) + 1 - len(below)))
    return value, named(m, f"{name}_exponent", (Cat(field, Const(0, 1)) | extended).as_signed())
