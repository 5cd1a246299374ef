"""The MACs: every one under the same ports."""

from functools import partial
from typing import Any

import numpy as np

from ..golden.integers import adder_mac, int_mac
from ..golden.kulisch import kulisch_mac
from ..golden.lns import lns_mac
from ..golden.mac import float_mac, fp8_mac, fused_mac, mls_mac
from ..golden.spec import FP8_E4M3, FP32, INT8, LNS8, MLS_E2M4, FloatFormat, IntFormat
from ..hw.integer.lns_multiplier import conversion_table
from ..hw.mac.adder_mac import AdderMac
from ..hw.mac.float_mac import FloatMac, Fp8Mac, Fp32Mac
from ..hw.mac.fused_mac import FusedMac
from ..hw.mac.int_mac import IntMac
from ..hw.mac.kulisch_mac import KulischMac
from ..hw.mac.lns_mac import LnsMac
from ..hw.mac.mls_mac import MlsMac
from ..support.words import Codes
from .catalogue import Unit
from .models import Ports, held, mac, states
from .workloads import Inputs, Options, operations


def largest_mls_product(options: Options) -> int:
    """In units of two elements' last bits."""
    return int(options["format"].max_significand ** 2)


def largest_int_product(options: Options) -> int:
    """Of two most negative numbers; with zero points, of two widest differences."""
    w, a = options["format"], options.get("a_format", options["format"])
    if options.get("zero_points"):
        return int(((1 << w.width) - 1) * ((1 << a.width) - 1))
    return int((w.max_code + 1) * (a.max_code + 1))


def _largest_addend(options: Options) -> int:
    """The most negative operand's."""
    return int(options["format"].max_code + 1)


def _largest_lns_product(options: Options) -> int:
    """Of two largest codes, whose exponents add up to all ones but the last bit: no shift."""
    names = ("format", "table_bits", "table_fraction")
    return conversion_table(*(options[name] for name in names))[-2]


def _largest_float_product(options: Options) -> int:
    """In units of the smallest one, of two smallest subnormals."""
    format: FloatFormat = options["format"]
    hidden = 1 << format.man_bits
    significand = hidden | (format.max_code & (hidden - 1))
    return (significand << (format.max_exp - format.min_exp)) ** 2


def last_mls_bit(options: Options) -> int:
    """The unit of a product of two elements, 2^-2F."""
    return -2 * int(options["format"].fraction_bits)


def last_int_bit(options: Options) -> int:
    """Integers weigh what they are."""
    return 0


def _last_lns_bit(options: Options) -> int:
    """Of a product below 1 that has the fraction bits of the table, and one more."""
    return -1 - int(options["table_fraction"])


def _last_float_bit(options: Options) -> int:
    """That of the product of two smallest subnormals."""
    format: FloatFormat = options["format"]
    return 2 * (format.min_exp - format.man_bits)


def int_states(
    inputs: Ports, *, format: IntFormat, a_format: IntFormat, zero_points: bool, **options: Any
) -> dict[str, Codes]:
    """Golden's integer MAC."""
    operands: dict[str, Any] = {
        port: inputs[port] for port in ("w", "a", *(("w_zero", "a_zero") if zero_points else ()))
    }
    start = inputs["start"].astype(bool)
    return states(int_mac(start=start, format=format, a_format=a_format, **operands, **options))


def _adder_states(
    inputs: Ports, *, format: IntFormat, hold: bool, **options: Any
) -> dict[str, Codes]:
    return states(adder_mac(inputs["w"], inputs["start"].astype(bool), format, **options))


def _spikes(mac: Inputs, options: Options) -> Inputs:
    """The weight of each pair whose activation is not zero, a spike, else 0: a synapse adds its
    weight where a spike arrives and is idle where none does, which is an operation like a MAC's
    product by zero.
    """
    return {"w": np.where(mac["a"] != 0, mac["w"], 0), "start": mac["start"]}


MLS_MAC = Unit(
    name="mls_mac",
    description="MLS MAC: exact <E,M> products into an integer accumulator",
    component=MlsMac,
    defaults={"format": MLS_E2M4},
    model=held(mac(mls_mac)),
    largest_product=largest_mls_product,
    last_bit=last_mls_bit,
)
FP32_MAC = Unit(
    name="fp32_mac",
    description="FP32 MAC: product and sum rounded, with subnormals or flush to zero",
    component=Fp32Mac,
    model=held(partial(mac(float_mac), format=FP32)),
)
FP8_MAC = Unit(
    name="fp8_mac",
    description="FP8 MAC (OCP E4M3 or E5M2): exact product, FP32 accumulator",
    component=Fp8Mac,
    defaults={"format": FP8_E4M3},
    model=held(mac(fp8_mac)),
)
INT_MAC = Unit(
    name="int_mac",
    description="Integer MAC of any two widths, with or without zero points",
    component=IntMac,
    defaults={"format": INT8, "a_format": INT8},
    model=held(int_states),
    largest_product=largest_int_product,
    last_bit=last_int_bit,
)

ROWS = (
    MLS_MAC,
    FP32_MAC,
    FP8_MAC,
    Unit(
        name="float_mac",
        description="Floating-point MAC of any formats: product and sum rounded",
        component=FloatMac,
        defaults={"format": FP32},
        model=held(mac(float_mac)),
    ),
    Unit(
        name="fused_mac",
        description="Floating-point MAC that rounds once: exact product, fused accumulation",
        component=FusedMac,
        defaults={"format": FP32},
        model=held(mac(fused_mac)),
    ),
    INT_MAC,
    Unit(
        name="adder_mac",
        description="Accumulate-only MAC: integers add up without a product, for spikes",
        component=AdderMac,
        defaults={"format": INT8},
        model=_adder_states,
        workload=operations(_spikes),
        largest_product=_largest_addend,
        last_bit=last_int_bit,
    ),
    Unit(
        name="lns_mac",
        description="LNS MAC: exponents add, products convert into an integer accumulator",
        component=LnsMac,
        defaults={"format": LNS8, "table_bits": 3},
        model=held(mac(lns_mac)),
        largest_product=_largest_lns_product,
        last_bit=_last_lns_bit,
    ),
    Unit(
        name="kulisch_mac",
        description="Floating-point MAC: exact products into a fixed-point accumulator",
        component=KulischMac,
        defaults={"format": FP8_E4M3},
        model=held(mac(kulisch_mac)),
        largest_product=_largest_float_product,
        last_bit=_last_float_bit,
    ),
)
