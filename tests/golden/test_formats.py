"""Format descriptors against docs/numerics.md and the decode tables of ml_dtypes."""

import ml_dtypes
import numpy as np
import pytest

from mlsmac.golden import (
    BF16,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    MLS_E0M4,
    MLS_E1M2,
    MLS_E1M6,
    MLS_E2M1,
    MLS_E2M4,
    MLS_E2M5,
    MXFP4_E2M1,
    MXFP6_E2M3,
    MXFP6_E3M2,
    NVFP4_E2M1,
    Carry,
    ElementFormat,
    FloatFormat,
    ScaleFormat,
    min_acc_width,
    ocp_value_ratio,
    safe_length,
    significand,
)
from mlsmac.golden.spec import (
    INT8,
    LNS8,
    IntFormat,
    LnsFormat,
    choice,
    parse_format,
    resolve_acc_width,
)


@pytest.mark.parametrize(
    ("element", "width", "length"),
    [
        (MLS_E2M4, 16, 2),
        (MLS_E2M1, 16, 227),
        (MLS_E1M2, 16, 668),
        (MLS_E1M6, 16, 2),
        (MLS_E2M5, 16, 0),
        (MLS_E2M4, 19, 17),
        (MLS_E2M4, 18, 8),
        (MLS_E0M4, 32, (2**31 - 1) // 225),
    ],
)
def test_safe_lengths(element, width, length):
    assert safe_length(element, width) == length


def test_min_acc_width_is_the_smallest_safe_one():
    assert min_acc_width(MLS_E2M4, 9) == 19
    for element in (MLS_E2M4, MLS_E2M1, MLS_E1M6, MLS_E0M4, ElementFormat(3, 2)):
        for length in (1, 2, 3, 9, 25, 576, 1024):
            width = min_acc_width(element, length)
            assert safe_length(element, width) >= length > safe_length(element, width - 1)


def all_elements() -> list[ElementFormat]:
    return [ElementFormat(e, m) for e in range(6) for m in range(11) if e + m]


@pytest.mark.parametrize("element", all_elements(), ids=str)
def test_element_widths_hold_every_code(element):
    """Section 1 read literally, over every code: the widths are enough, and none is wasted."""
    largest = 0
    for code in range(1 << (element.code_width - 1)):
        man, exp = code % (1 << element.man_bits), code >> element.man_bits
        q = man if exp == 0 else (2**element.man_bits + man) << (exp - 1)
        assert q == significand(np.array(exp), np.array(man), element)
        largest = max(largest, q)
    assert element.code_width == 1 + element.exp_bits + element.man_bits
    assert element.max_significand == largest
    assert element.significand_width == element.fraction_bits == largest.bit_length()
    widest = element.max_significand**2
    assert 1 << (element.product_width - 1) <= widest < 1 << element.product_width
    assert element.product_width <= 2 * element.significand_width
    assert largest**2 < 1 << element.product_width


def test_sweet_spot_numbers():
    assert MLS_E2M4.max_significand == 124
    assert MLS_E2M4.max_significand / 2**MLS_E2M4.fraction_bits == 0.96875
    assert (MLS_E2M4.code_width, MLS_E2M4.product_width) == (7, 14)
    assert (MLS_E2M1.code_width, MLS_E2M1.product_width) == (4, 8)


@pytest.mark.parametrize(
    ("element", "table"),
    [
        (MXFP4_E2M1, ml_dtypes.float4_e2m1fn),
        (NVFP4_E2M1, ml_dtypes.float4_e2m1fn),
        (MXFP6_E2M3, ml_dtypes.float6_e2m3fn),
        (MXFP6_E3M2, ml_dtypes.float6_e3m2fn),
    ],
)
def test_ocp_elements_are_mls_codes(element, table):
    codes = np.arange(1 << element.code_width, dtype=np.uint8)
    ocp = codes.view(table).astype(np.float64)
    man = codes & ((1 << element.man_bits) - 1)
    exp = codes >> element.man_bits & ((1 << element.exp_bits) - 1)
    sign = np.where(codes >> (element.code_width - 1), -1.0, 1.0)
    mls = sign * significand(exp, man, element) * 2.0**-element.fraction_bits
    assert (mls * ocp_value_ratio(element) == ocp).all()
    assert (np.signbit(mls) == np.signbit(ocp)).all()


@pytest.mark.parametrize(
    ("fmt", "kind"),
    [
        (FP32, np.float32),
        (FP16, np.float16),
        (BF16, ml_dtypes.bfloat16),
        (FP8_E5M2, ml_dtypes.float8_e5m2),
        (FP8_E4M3, ml_dtypes.float8_e4m3fn),
    ],
)
def test_float_properties_match_finfo(fmt, kind):
    info = ml_dtypes.finfo(kind)
    word = np.dtype(f"u{info.bits // 8}")
    assert fmt.code_width == info.bits
    assert fmt.min_exp == info.minexp
    assert fmt.significand_width == info.nmant + 1
    assert fmt.max_code == np.array(info.max, kind).view(word)
    assert 2.0**fmt.max_exp <= float(info.max) < 2.0 ** (fmt.max_exp + 1)
    assert fmt.bias == 1 - info.minexp
    assert np.isnan(np.array(fmt.nan, word).view(kind).astype(np.float32))


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("2,4", ElementFormat, MLS_E2M4),
        ("<1, 2>", ElementFormat, MLS_E1M2),
        ("MXFP6_E3M2", ElementFormat, MXFP6_E3M2),
        ("5,2", FloatFormat, FP8_E5M2),
        ("e4m3", FloatFormat, FP8_E4M3),
        ("12", IntFormat, IntFormat(12)),
        ("int8", IntFormat, INT8),
        ("lns8", LnsFormat, LNS8),
        ("6,2", LnsFormat, LnsFormat(6, 2)),
    ],
)
def test_formats_as_users_write_them(text, kind, expected):
    assert parse_format("format", kind, text) == expected


def test_accumulator_width_resolution():
    assert resolve_acc_width(124**2, 16, 9) == 16
    assert resolve_acc_width(124**2, "auto", 9) == 19


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ElementFormat(6, 4), ValueError, "exp_bits must be in 0..5, not 6"),
        (lambda: ElementFormat(2, 11), ValueError, "man_bits must be in 0..10, not 11"),
        (lambda: ElementFormat(2.0, 4), TypeError, "exp_bits must be an integer, not 2.0"),
        (lambda: ElementFormat(True, 4), TypeError, "exp_bits must be an integer, not True"),
        (lambda: ElementFormat(0, 0), ValueError, "exp_bits + man_bits must be at least 1"),
        (lambda: ScaleFormat(0, 1), ValueError, "exp_bits must be in 1..8, not 0"),
        (lambda: ScaleFormat(8, 4), ValueError, "man_bits must be in 0..3, not 4"),
        (lambda: FloatFormat(9, 4), ValueError, "exp_bits must be in 2..8, not 9"),
        (lambda: FloatFormat(8, 24), ValueError, "man_bits must be in 1..23, not 24"),
        (lambda: FloatFormat(8, 23, "ieee"), TypeError, "specials must be a Specials"),
        (lambda: IntFormat(1), ValueError, "width must be in 2..16, not 1"),
        (lambda: LnsFormat(9, 3), ValueError, "exp_bits must be in 2..8, not 9"),
        (lambda: LnsFormat(7, 5), ValueError, "fraction_bits must be in 1..4, not 5"),
        (lambda: parse_format("format", IntFormat, "8,8"), ValueError, "format must be width"),
        (lambda: FP8_E4M3.infinity, ValueError, "has no infinity"),
        (lambda: safe_length(MLS_E2M4, 129), ValueError, "acc_width must be in 2..128, not 129"),
        (lambda: min_acc_width(MLS_E2M4, 0), ValueError, "length must be in 1.."),
        (lambda: parse_format("format", ElementFormat, "2"), ValueError, "format must be exp"),
        (lambda: parse_format("format", ElementFormat, "e4m3"), ValueError, "format must be exp"),
        (
            lambda: parse_format("format", ElementFormat, "9,9"),
            ValueError,
            "exp_bits must be in 0..5",
        ),
        (lambda: resolve_acc_width(124**2, "auto", 0), ValueError, "length must be in 1.."),
        (lambda: resolve_acc_width(124**2, 1, 9), ValueError, "acc_width must be in 2..128"),
        (lambda: resolve_acc_width(124**2, "16", 9), TypeError, "acc_width must be an int"),
        (lambda: choice("carry", Carry, "up"), ValueError, "carry must be one of 'clip', 'carry'"),
        (lambda: ocp_value_ratio(MLS_E0M4), ValueError, "element must have exponent bits"),
    ],
)
def test_refused_formats(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
