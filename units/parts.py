"""Parts of MACs: multipliers, adders, accumulators."""

from typing import Any

import numpy as np

from ..golden.floats import add, fma, multiply
from ..golden.mac import accumulate_floats, accumulate_integers, fused_mac
from ..golden.quantize import element_fields, significand
from ..golden.spec import FP32, MLS_E2M4, ElementFormat, FloatFormat, Overflow
from ..hw.floating.float_accumulator import FloatAccumulator
from ..hw.floating.float_adder import FloatAdder
from ..hw.floating.float_fma import FloatFma
from ..hw.floating.float_multiplier import FloatMultiplier
from ..hw.integer.accumulator import IntAccumulator
from ..hw.integer.mls_dot import MlsDot
from ..hw.integer.mls_multiplier import ExponentShifter, MlsMultiplier
from ..hw.mac.mls_mac import MlsMac
from ..support.words import Codes
from .catalogue import Unit
from .macs import largest_mls_product, last_mls_bit
from .models import Ports, mac, states
from .workloads import Inputs, Options, before, operations

_MLS = {"format": MLS_E2M4}
_FLOAT = {"format": FP32}


def _sign_and_magnitude(inputs: Ports, format: ElementFormat) -> tuple[Codes, Codes]:
    """Of the products of ports `x` and `y`."""
    signs, significands = [], []
    for port in "xy":
        sign, exp, man = element_fields(inputs[port], format)
        signs.append(sign)
        significands.append(significand(exp, man, format))
    return signs[0] ^ signs[1], significands[0] * significands[1]


def _mls_multiplier(inputs: Ports, *, format: ElementFormat) -> dict[str, Codes]:
    sign, magnitude = _sign_and_magnitude(inputs, format)
    negative = np.where(magnitude == 0, 0, sign)
    return {"product": (negative << format.product_width) | magnitude}


def _mls_dot(inputs: Ports, *, format: ElementFormat, lanes: int) -> dict[str, Codes]:
    sign, magnitude = _sign_and_magnitude(inputs, format)
    return {"sum": np.where(sign, -magnitude, magnitude).sum(axis=1)}


def _exponent_shifter(inputs: Ports, *, format: ElementFormat) -> dict[str, Codes]:
    shifts = [np.maximum(inputs[port] - 1, 0) for port in ("x_exp", "y_exp")]
    return {"o": inputs["i"] << (shifts[0] + shifts[1])}


def _int_accumulator(
    inputs: Ports, *, format: ElementFormat, acc_width: int, overflow: Overflow
) -> dict[str, Codes]:
    """Sign-magnitude products are codes, sign most significant."""
    magnitude = inputs["product"] & ((1 << format.product_width) - 1)
    product = np.where(inputs["product"] >> format.product_width, -magnitude, magnitude)
    start = inputs["start"].astype(bool)
    return states(accumulate_integers(product, start, acc_width=acc_width, overflow=overflow))


def _float_multiplier(inputs: Ports, *, format: FloatFormat, subnormals: bool) -> dict[str, Codes]:
    return {"product": multiply(inputs["x"], inputs["y"], format, subnormals=subnormals)}


def _float_adder(inputs: Ports, *, format: FloatFormat, subnormals: bool) -> dict[str, Codes]:
    return {"sum": add(inputs["x"], inputs["y"], format, subnormals=subnormals)}


def _float_fma(
    inputs: Ports, *, format: FloatFormat, acc_format: FloatFormat, subnormals: bool
) -> dict[str, Codes]:
    x, y, z = (inputs[port] for port in "xyz")
    return {"sum": fma(x, y, z, format, acc_format=acc_format, subnormals=subnormals)}


def _float_accumulator(inputs: Ports, *, format: FloatFormat, subnormals: bool) -> dict[str, Codes]:
    # The hardware adds to -0 at a start, which makes any NaN canonical and flushes where asked to.
    loaded = add(
        np.full_like(inputs["product"], 1 << (format.code_width - 1)),
        inputs["product"],
        format,
        subnormals=subnormals,
    )
    return states(
        accumulate_floats(loaded, inputs["start"].astype(bool), format, subnormals=subnormals)
    )


def _factors(mac: Inputs, options: Options) -> Inputs:
    return {"x": mac["w"], "y": mac["a"]}


def _dot_operands(mac: Inputs, options: Options) -> Inputs:
    """`lanes` neighbouring pairs a step."""
    lanes = options["lanes"]
    steps = len(mac["w"]) // lanes
    return {
        port: mac[key][: steps * lanes].reshape(steps, lanes)
        for port, key in (("x", "w"), ("y", "a"))
    }


def _mantissa_products(mac: Inputs, options: Options) -> Inputs:
    format: ElementFormat = options["format"]
    (_, w_exp, w_man), (_, a_exp, a_man) = (
        element_fields(mac[port], format) for port in ("w", "a")
    )
    hidden = 1 << format.man_bits
    product = (w_man + hidden * (w_exp > 0)) * (a_man + hidden * (a_exp > 0))
    return {"i": product, "x_exp": w_exp, "y_exp": a_exp}


def _mls_products(mac: Inputs, options: Options) -> Inputs:
    product = _mls_multiplier(_factors(mac, options), format=options["format"])["product"]
    return {"product": product, "start": mac["start"]}


def _float_products(mac: Inputs, options: Options) -> Inputs:
    product = _float_multiplier(_factors(mac, options), **options)["product"]
    return {"product": product, "start": mac["start"]}


def _addition(mac: Inputs, options: Options) -> Inputs:
    """Each product, to the sum so far."""
    inputs = _float_products(mac, options)
    sums = _float_accumulator(inputs, **options)["acc"]
    x = before(sums, inputs["start"], options["format"].code_width)
    return {"x": x, "y": inputs["product"]}


def _fused_addition(operands: Inputs, options: Options) -> Inputs:
    sums = mac(fused_mac)(operands, **options)["acc"]
    z = before(sums, operands["start"], options["acc_format"].code_width)
    return {**_factors(operands, options), "z": z}


def _of_shifter(format: ElementFormat) -> Options:
    return {"width": 2 * (format.man_bits + 1), "exp_bits": format.exp_bits}


def _of_accumulator(format: ElementFormat, acc_width: int, overflow: Overflow) -> Options:
    return {"width": acc_width, "product_width": format.product_width, "overflow": overflow}


def _of_mls_mac(*names: str) -> dict[str, Any]:
    return {name: MlsMac.parameters[name] for name in names}


ROWS = (
    Unit(
        name="mls_multiplier",
        description="MLS element multiplier: mantissa product and a shift by both exponents",
        component=MlsMultiplier,
        defaults=_MLS,
        model=_mls_multiplier,
        workload=operations(_factors),
    ),
    Unit(
        name="mls_dot",
        description="Exact dot product of MLS elements in one step",
        component=MlsDot,
        defaults=_MLS | {"lanes": 8},
        model=_mls_dot,
        workload=operations(_dot_operands),
    ),
    Unit(
        name="exponent_shifter",
        description="Left shift of an MLS mantissa product by two exponent fields",
        component=ExponentShifter,
        parameters=_of_mls_mac("format"),
        defaults=_MLS,
        arguments=_of_shifter,
        model=_exponent_shifter,
        workload=operations(_mantissa_products),
    ),
    Unit(
        name="int_accumulator",
        description="Signed integer accumulator, saturating or wrapping, sticky overflow",
        component=IntAccumulator,
        parameters=_of_mls_mac("format", "acc_width", "overflow"),
        defaults=_MLS,
        arguments=_of_accumulator,
        model=_int_accumulator,
        workload=operations(_mls_products),
        largest_product=largest_mls_product,
        last_bit=last_mls_bit,
    ),
    Unit(
        name="float_multiplier",
        description="IEEE 754 multiplier of any exponent and significand width",
        component=FloatMultiplier,
        defaults=_FLOAT,
        model=_float_multiplier,
        workload=operations(_factors),
    ),
    Unit(
        name="float_adder",
        description="IEEE 754 adder of any exponent and significand width",
        component=FloatAdder,
        defaults=_FLOAT,
        model=_float_adder,
        workload=operations(_addition),
    ),
    Unit(
        name="float_fma",
        description="IEEE 754 fused multiply-add; the addend may have a format of its own",
        component=FloatFma,
        defaults=_FLOAT,
        model=_float_fma,
        workload=operations(_fused_addition),
    ),
    Unit(
        name="float_accumulator",
        description="IEEE 754 accumulator: adder and register",
        component=FloatAccumulator,
        defaults=_FLOAT,
        model=_float_accumulator,
        workload=operations(_float_products),
    ),
)
