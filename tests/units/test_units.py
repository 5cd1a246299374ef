# amaranth: UnusedElaboratable=no
"""Configurations: names, options, slugs, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlsmac.golden.kulisch import kulisch_mac
from mlsmac.golden.lns import lns_product
from mlsmac.golden.spec import (
    FLOAT_PRESETS,
    FP8_E4M3,
    FP8_E5M2,
    LNS8,
    FloatFormat,
    Overflow,
    products_held,
    width_for,
)
from mlsmac.hw.integer.lns_multiplier import LnsMultiplier
from mlsmac.hw.mac.kulisch_mac import FixedPointAccumulator, KulischMac
from mlsmac.hw.mac.lns_mac import LnsMac
from mlsmac.units import UNITS, configure
from mlsmac.units.emit import to_rtlil


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_builds_with_its_defaults(name: str) -> None:
    component = configure(name).build()
    assert (component.registers > 0) == (component.latency > 0)


@pytest.mark.parametrize(
    ("name", "options", "slug"),
    [
        ("mls_mac", {}, "mls_mac_e2m4_acc23_saturate"),
        ("mls_mac", {"acc_width": 16}, "mls_mac_e2m4_acc16_saturate"),
        ("mls_mac", {"length": 9}, "mls_mac_e2m4_acc19_saturate"),
        ("mls_mac", {"acc_width": 16, "length": 9}, "mls_mac_e2m4_acc16_saturate"),
        ("mls_mac", {"overflow": "wrap", "acc_width": 20}, "mls_mac_e2m4_acc20_wrap"),
        ("mls_mac", {"acc_width": "auto", "length": 9}, "mls_mac_e2m4_acc19_saturate"),
        ("mls_mac", {"format": "<2,1>"}, "mls_mac_e2m1_acc17_saturate"),
        ("fp32_mac", {}, "fp32_mac"),
        ("fp32_mac", {"subnormals": False}, "fp32_mac_flush"),
        ("fp8_mac", {"format": "E5M2"}, "fp8_mac_e5m2"),
        ("float_adder", {"format": "4,3"}, "float_adder_e4m3_ieee"),
        ("float_adder", {"format": "e4m3"}, "float_adder_e4m3"),
        ("fp32_mac", {"recoding": "booth4"}, "fp32_mac_booth4"),
        ("lns_mac", {}, "lns_mac_e7f3_table3_acc25_saturate"),
        ("lns_mac", {"table_fraction": 12}, "lns_mac_e7f3_table3_fraction12_acc22_saturate"),
        ("kulisch_mac", {}, "kulisch_mac_e4m3_acc45_saturate"),
        ("kulisch_mac", {"format": "2,4"}, "kulisch_mac_e2m4_ieee_acc21_saturate"),
        ("fused_mac", {"format": "e4m3", "acc_format": "6,9"}, "fused_mac_e4m3_acc_e6m9"),
    ],
)
def test_slug_names_the_configuration(name: str, options: dict[str, Any], slug: str) -> None:
    assert configure(name, **options).slug == slug


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mac", {}, "unit must be one of mls_mac, .*, not 'mac'"),
        ("mls_mac", {"format": "9,9"}, r"exp_bits must be in 0\.\.5, not 9"),
        ("mls_mac", {"format": "2;4"}, "format must be exp_bits,man_bits .* not '2;4'"),
        ("mls_mac", {"acc_width": 1}, r"acc_width must be in 2\.\.128, not 1"),
        ("mls_mac", {"length": 0}, r"length must be in 1\.\.1073741824, not 0"),
        ("mls_mac", {"acc_width": 16, "length": -1}, r"length must be in 1\.\.1073741824, not -1"),
        (
            "mls_mac",
            {"format": "3,3", "acc_width": 16},
            "acc_width must be 21 or more, to hold one product of magnitude 921600, not 16",
        ),
        (
            "group_scaler",
            {"format": "5,1"},
            r"acc_width must be in 2\.\.64, but 256 products need 73",
        ),
        (
            "mls_tile",
            {"guard_bits": 3},
            "guard_bits must be given with tree aligned only, not 3 with tree fp32",
        ),
        ("mls_tile", {"tiles": 3}, "tiles must be given with tree exact only, not 3"),
        (
            "block_dot",
            {"accumulate": "exact", "window": 30},
            "window must be given with accumulate window only, not 30 with accumulate exact",
        ),
        ("mls_mac", {"overflow": "clip"}, "overflow must be one of 'saturate', 'wrap', not 'clip'"),
        ("mls_mac", {"subnormals": True}, r"option subnormals \(True\) is not one of mls_mac"),
        ("fp8_mac", {"format": "fp32"}, r"format must be FP8_E5M2 or FP8_E4M3 \(e5m2, e4m3\), not"),
        (
            "mls_multiplier",
            {"format": "5,10"},
            "products of at most 62 bits, not <5,10>, which has 82",
        ),
        ("lns_mac", {"format": "7"}, "format must be exp_bits,fraction_bits .* lns8, not '7'"),
        ("lns_mac", {"table_bits": 4}, r"table_bits must be in 0\.\.3, not 4"),
        ("lns_mac", {"table_fraction": 2}, r"table_fraction must be in 3\.\.30, not 2"),
        ("lns_mac", {"table_fraction": 31}, r"table_fraction must be in 1\.\.30, not 31"),
        ("kulisch_mac", {"acc_width": 129}, r"acc_width must be in 2\.\.128, not 129"),
        (
            "kulisch_mac",
            {"format": "bf16"},
            "fixed-point products of at most 126 bits, not E8M7, which has 523",
        ),
        ("exponent_shifter", {"format": "0,4"}, r"exp_bits must be in 1\.\.5, not 0"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configure(name, **options)


@pytest.mark.parametrize("name", UNITS)
def test_every_parameter_is_a_read_only_attribute(name: str) -> None:
    component = configure(name).build()
    for parameter in type(component).parameters:
        # These parameters share their names with ports.
        ports = {"overflow": "policy", "tensor_scale": "has_tensor_scale"}
        attribute = ports.get(parameter, parameter)
        assert hasattr(component, attribute), attribute
        with pytest.raises(AttributeError):
            setattr(component, attribute, None)


@pytest.mark.parametrize("name", ["float_multiplier", "float_adder", "float_accumulator"])
@pytest.mark.parametrize("format", FLOAT_PRESETS)
def test_float_parts_elaborate_in_every_preset(name: str, format: str) -> None:
    assert to_rtlil(configure(name, format=format)).startswith("attribute")


def test_variants_compute_the_same_in_every_structure() -> None:
    variants = configure("mls_mac", acc_width=20).variants()
    assert [variant.slug for variant in variants] == [
        "mls_mac_e2m4_acc20_saturate",
        "mls_mac_e2m4_acc20_saturate_booth4",
    ]
    assert all(variant.options == variants[0].options for variant in variants)
    assert len(configure("float_adder").variants()) == 1


def test_wrong_kinds_are_refused() -> None:
    with pytest.raises(TypeError, match=r"acc_width must be an integer or 'auto', not 1\.5"):
        configure("mls_mac", acc_width=1.5)


@pytest.mark.parametrize("format", [FP8_E4M3, FP8_E5M2])
def test_fp8_products_fit_the_product_format_as_normal_numbers(format: FloatFormat) -> None:
    product: FloatFormat = configure("fp8_mac", format=format).build().product_format
    smallest = 2 * (format.min_exp - format.man_bits)
    assert product.min_exp <= smallest
    assert product.max_exp >= 2 * format.max_exp + 1
    assert product.man_bits == 2 * format.man_bits + 1


@pytest.mark.parametrize(
    ("name", "options", "registers"),
    [
        # operands 7 + 7, start twice, product 15; accumulator 16 and its flag
        ("mls_mac", {"acc_width": 16}, 14 + 2 + 15 + 17),
        ("mls_mac", {"format": "2,1"}, 8 + 2 + 9 + 18),
        ("fp32_mac", {}, 64 + 2 + 32 + 32),
        ("fp8_mac", {"format": "e4m3"}, 16 + 2 + 14 + 32),
        ("fp8_mac", {"format": "e5m2"}, 16 + 2 + 13 + 32),
        # operands 8 + 8, start twice; sign, nonzero, 7 bits of exponent; accumulator and its flag
        ("lns_mac", {}, 16 + 2 + 9 + 26),
        # operands 8 + 8, start twice; invalid, 5 bits of exponent, signed significand
        ("kulisch_mac", {}, 16 + 2 + 1 + 5 + 9 + 46),
        ("float_adder", {}, 0),
    ],
)
def test_registers_are_counted(name: str, options: dict[str, Any], registers: int) -> None:
    assert configure(name, **options).build().registers == registers


def test_options_are_readable_attributes() -> None:
    mac = configure("mls_mac", acc_width=20, overflow="wrap").build()
    assert (mac.acc_width, mac.policy, mac.latency) == (20, Overflow.WRAP, 3)
    assert mac.format.man_bits == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LnsMac(format=FP8_E4M3, table_bits=3, acc_width=24),
            "format must be an LnsFormat, not ",
        ),
        (lambda: LnsMultiplier(format=(7, 3)), r"format must be an LnsFormat, not \(7, 3\)"),
        (lambda: KulischMac(format=LNS8, acc_width=45), "format must be a FloatFormat, not Lns"),
        (lambda: FixedPointAccumulator(format="e4m3", width=45), "format must be a FloatFormat"),
    ],
)
def test_macs_refuse_formats_of_another_kind(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("table_bits", range(4))
def test_largest_logarithmic_product_is_golden_s(table_bits: int) -> None:
    options = configure("lns_mac", table_bits=table_bits).options
    codes = np.arange(128)
    products = lns_product(codes, codes[:, np.newaxis], LNS8, table_bits=table_bits)
    assert UNITS["lns_mac"].largest_product(options) == products.max()


@pytest.mark.parametrize(("format", "width"), [("e4m3", 45), ("e5m2", 73)])
def test_proven_width_holds_the_largest_products_and_one_bit_less_does_not(
    format: str, width: int
) -> None:
    options = configure("kulisch_mac", format=format, acc_width="auto", length=256).options
    assert options["acc_width"] == width
    fmt, length = options["format"], 256
    largest = UNITS["kulisch_mac"].largest_product(options)
    assert width_for(largest, length) == width
    assert length <= products_held(largest, width) < 2 * length
    codes = np.full(2 * length, fmt.max_code)
    start = np.arange(2 * length) == 0
    trace = kulisch_mac(codes, codes, start, fmt, acc_width=width)
    assert trace.acc[length - 1] == length * largest
    assert not trace.overflow[length - 1]
    assert trace.overflow[-1]
    assert kulisch_mac(codes, codes, start, fmt, acc_width=width - 1).overflow[length - 1]
