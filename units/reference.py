"""What every generated unit outputs for given inputs: the golden model behind each unit's ports.

Keyed by unit name and option values (as `hw.units` lists them) and independent of any hardware
object, so that benches, gate-level simulation and reports take their expected values from one
place.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..golden.floats import add, fma, multiply
from ..golden.integers import int_mac, range_statistic, requantize
from ..golden.kulisch import kulisch_mac
from ..golden.lfsr import lfsr_words
from ..golden.lns import lns_mac
from ..golden.mac import (
    MacTrace,
    accumulate_floats,
    accumulate_integers,
    float_mac,
    fp8_mac,
    fused_mac,
    mls_mac,
)
from ..golden.quantize import element_fields, significand
from ..golden.quantizer import mls_quantizer, tensor_statistics
from ..golden.spec import (
    FP32,
    ElementFormat,
    FloatFormat,
    IntFormat,
    Overflow,
    Rounding,
    ScaleFormat,
    check_int,
)
from ..golden.tile import fp8_tile, fp32_tile, mls_tile
from ..golden.tree import (
    EXACT_BITS,
    aligned_tree,
    aligned_width,
    exact_tree,
    float32_codes,
    fp32_tree,
    scaled_terms,
    to_float32,
)
from ..support.words import Codes

Ports = Mapping[str, Codes]


def reference(unit: str, options: Mapping[str, Any], inputs: Ports) -> dict[str, Codes]:
    """Outputs by port, step by step: entry t belongs to the inputs' entry t, latency left out.

    Shapes: (T,), or (T, lanes) for a port that is an array. Sign-magnitude products are codes, sign
    most significant.
    Raises: ValueError for an unknown unit; what the models raise.
    """
    if unit not in _MODELS:
        raise ValueError(f"unit must be one of {', '.join(_MODELS)}, not {unit!r}")
    return _MODELS[unit](inputs, **options)


def _states(trace: MacTrace) -> dict[str, Codes]:
    outputs = {"acc": trace.acc}
    if trace.overflow is not None:
        outputs["overflow"] = trace.overflow.astype(np.int64)
    return outputs


def _mac(model: Callable[..., MacTrace]) -> Callable[..., dict[str, Codes]]:
    """Outputs of a MAC by its golden model, both of whose operands have the option `format`."""

    def outputs(inputs: Ports, *, format: Any, **options: Any) -> dict[str, Codes]:
        start = inputs["start"].astype(bool)
        return _states(model(inputs["w"], inputs["a"], start, format, **options))

    return outputs


def _int_mac(
    inputs: Ports, *, format: IntFormat, a_format: IntFormat, zero_points: bool, **options: Any
) -> dict[str, Codes]:
    operands: dict[str, Any] = {
        port: inputs[port] for port in ("w", "a", *(("w_zero", "a_zero") if zero_points else ()))
    }
    start = inputs["start"].astype(bool)
    return _states(int_mac(start=start, w_fmt=format, a_fmt=a_format, **operands, **options))


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
    return {"product": (sign << format.product_width) | magnitude}


def _mls_dot(inputs: Ports, *, format: ElementFormat, lanes: int) -> dict[str, Codes]:
    sign, magnitude = _sign_and_magnitude(inputs, format)
    return {"sum": np.where(sign, -magnitude, magnitude).sum(axis=1)}


def _exponent_shifter(inputs: Ports, *, format: ElementFormat) -> dict[str, Codes]:
    shifts = [np.maximum(inputs[port] - 1, 0) for port in ("x_exp", "y_exp")]
    return {"o": inputs["i"] << (shifts[0] + shifts[1])}


def _int_accumulator(
    inputs: Ports, *, format: ElementFormat, acc_width: int, overflow: Overflow
) -> dict[str, Codes]:
    magnitude = inputs["product"] & ((1 << format.product_width) - 1)
    product = np.where(inputs["product"] >> format.product_width, -magnitude, magnitude)
    start = inputs["start"].astype(bool)
    return _states(accumulate_integers(product, start, acc_width=acc_width, overflow=overflow))


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
    return _states(
        accumulate_floats(loaded, inputs["start"].astype(bool), format, subnormals=subnormals)
    )


def _leaf_terms(inputs: Ports, format: ElementFormat, scale: ScaleFormat) -> tuple[Codes, Codes]:
    return scaled_terms(inputs["p"], inputs["w_scale"], inputs["a_scale"], format, scale)


def _group_scaler(
    inputs: Ports, *, format: ElementFormat, scale: ScaleFormat, acc_width: int
) -> dict[str, Codes]:
    check_int("acc_width", acc_width, 2, 53 - 2 * scale.man_bits - 2)  # T is exact in float64
    return {"z": float32_codes(to_float32(*_leaf_terms(inputs, format, scale)))}


def _fp32_adder_tree(inputs: Ports, *, lanes: int) -> dict[str, Codes]:
    leaves = inputs["i"].astype(np.uint32).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return _held(inputs, float32_codes(fp32_tree(leaves.T)))


def _aligned_adder_tree(
    inputs: Ports,
    *,
    format: ElementFormat,
    scale: ScaleFormat,
    acc_width: int,
    lanes: int,
    guard_bits: int,
) -> dict[str, Codes]:
    width = aligned_width(acc_width, scale, guard_bits, lanes)
    if width > EXACT_BITS:
        rule = f"acc_width must keep aligned sums within {EXACT_BITS} bits"
        raise ValueError(f"{rule}, not {acc_width!r} ({width} bits)")
    terms, exponent = _leaf_terms(inputs, format, scale)
    return _held(inputs, float32_codes(aligned_tree(terms.T, exponent.T, guard_bits=guard_bits)))


def _exact_adder_tree(
    inputs: Ports,
    *,
    format: ElementFormat,
    scale: ScaleFormat,
    acc_width: int,
    lanes: int,
    tiles: int,
) -> dict[str, Codes]:
    check_int("acc_width", acc_width, 2, 64 - 2 * scale.man_bits - 2)  # T in 64 bits
    terms, exponent = _leaf_terms(inputs, format, scale)
    valid = np.flatnonzero(inputs["valid"])
    starts = np.flatnonzero(inputs["first"][valid])
    place = np.arange(len(valid)) - np.repeat(starts, np.diff(starts, append=len(valid)))
    sums = np.zeros(len(inputs["valid"]), np.float32)
    # The sum so far of every tile that is its output's first, second, ...
    for last in range(place.max() + 1):
        newest = np.flatnonzero(place == last)
        steps = valid[newest - np.arange(last + 1)[:, None]]
        leaves = [np.moveaxis(x[steps], 1, 2).reshape(-1, len(newest)) for x in (terms, exponent)]
        sums[steps[0]] = exact_tree(*leaves)
    return _held(inputs, float32_codes(sums))


def _held(inputs: Ports, sums: Codes) -> dict[str, Codes]:
    """A tree's outputs: the sum of the newest valid step. The first step is valid."""
    steps = np.arange(len(sums))
    newest = np.maximum.accumulate(np.where(inputs["valid"], steps, 0))
    return {"sum": sums[newest], "sum_valid": inputs["valid"]}


def _range_statistic(inputs: Ports, *, format: IntFormat) -> dict[str, Codes]:
    trace = range_statistic(inputs["x"], inputs["start"].astype(bool), format)
    return {"max": trace.max, "min": trace.min, "range": trace.range}


def _requantizer(
    inputs: Ports,
    *,
    format: IntFormat,
    acc_width: int,
    rounding: Rounding,
    random_bits: int,
    lfsr_seed: int,
) -> dict[str, Codes]:
    acc = inputs["acc"] << (64 - acc_width) >> (64 - acc_width)  # its sign extended
    words = None
    if rounding is Rounding.STOCHASTIC:
        words = _lfsr(inputs, lanes=1, random_bits=random_bits, lfsr_seed=lfsr_seed)["word"][:, 0]
    code, overflow = requantize(acc, inputs["shift"], words, format, random_bits=random_bits)
    return {"code": code, "overflow": overflow.astype(np.int64)}


def _lfsr(inputs: Ports, *, lanes: int, random_bits: int, lfsr_seed: int) -> dict[str, Codes]:
    """The words in their order, from the first one at every start. The first step is one."""
    steps = np.arange(len(inputs["start"]))
    place = steps - np.maximum.accumulate(np.where(inputs["start"], steps, 0))
    count = int(place.max()) + 1
    words = lfsr_words(count, lanes=lanes, random_bits=random_bits, seed=lfsr_seed)
    return {"word": words[place]}


def _tensor_statistics(inputs: Ports, *, lanes: int) -> dict[str, Codes]:
    return tensor_statistics(*(inputs[port] for port in ("x", "valid", "first", "last")))


def _mls_quantizer(
    inputs: Ports,
    *,
    format: ElementFormat,
    lanes: int,
    rounding: Rounding,
    random_bits: int,
    lfsr_seed: int,
    **options: Any,
) -> dict[str, Codes]:
    words = None
    if rounding is Rounding.STOCHASTIC:
        seeds = {"start": inputs["seed"]}
        words = _lfsr(seeds, lanes=lanes, random_bits=random_bits, lfsr_seed=lfsr_seed)["word"]
    return mls_quantizer(
        *(inputs["x"], inputs["start"], inputs["group_max"], inputs["tensor_max"], words),
        element=format,
        random_bits=random_bits,
        **options,
    )


_MODELS: Mapping[str, Callable[..., dict[str, Codes]]] = {
    "mls_mac": _mac(mls_mac),
    "fp32_mac": partial(_mac(float_mac), format=FP32),
    "fp8_mac": _mac(fp8_mac),
    "float_mac": _mac(float_mac),
    "fused_mac": _mac(fused_mac),
    "int_mac": _int_mac,
    "lns_mac": _mac(lns_mac),
    "kulisch_mac": _mac(kulisch_mac),
    "mls_multiplier": _mls_multiplier,
    "mls_dot": _mls_dot,
    "exponent_shifter": _exponent_shifter,
    "int_accumulator": _int_accumulator,
    "float_multiplier": _float_multiplier,
    "float_adder": _float_adder,
    "float_fma": _float_fma,
    "float_accumulator": _float_accumulator,
    "group_scaler": _group_scaler,
    "fp32_adder_tree": _fp32_adder_tree,
    "aligned_adder_tree": _aligned_adder_tree,
    "exact_adder_tree": _exact_adder_tree,
    "mls_tile": mls_tile,
    "fp8_tile": fp8_tile,
    "fp32_tile": fp32_tile,
    "range_statistic": _range_statistic,
    "requantizer": _requantizer,
    "lfsr": _lfsr,
    "tensor_statistics": _tensor_statistics,
    "mls_quantizer": _mls_quantizer,
}
