# amaranth: UnusedElaboratable=no
"""Safe by default: an accumulator holds what it is proven for, a sidecar says how much and in which
units, and what a user may not have meant is told.
"""

import itertools
import json
from typing import Any

import numpy as np
import pytest

from mlsmac.golden.floats import to_float64
from mlsmac.golden.lns import decode as decode_lns
from mlsmac.golden.quantize import element_fields, significand
from mlsmac.golden.spec import (
    FLOAT_PRESETS,
    FP8_E4M3,
    GROUP_LENGTH,
    INT_PRESETS,
    LNS8,
    MLS_E2M4,
    FloatFormat,
    products_held,
)
from mlsmac.units import UNITS, Configuration, configure
from mlsmac.units.cautions import cautions
from mlsmac.units.emit import sidecar
from mlsmac.units.interfaces import with_interface

ACCUMULATES = [name for name, unit in UNITS.items() if unit.largest_product]
GRID = (
    *(f"{exp_bits},{man_bits}" for exp_bits in range(6) for man_bits in range(11)),
    *(format for presets in (FLOAT_PRESETS, INT_PRESETS) for format in presets),
    *("3", "16", "7,3", "8,4", "2,1"),
)


def grid(name: str) -> list[Configuration]:
    """A unit with every format that it takes, the rest by default."""
    found = []
    for format in GRID:
        lanes = {"lanes": 2} if "lanes" in UNITS[name].options else {}
        try:
            found.append(configure(name, format=format, **lanes))
        except ValueError:
            continue
    return found


@pytest.mark.parametrize("name", ACCUMULATES)
def test_every_default_holds_its_length_and_a_bit_less_does_not(name: str) -> None:
    configurations = grid(name)
    assert len(configurations) >= 3
    for each in configurations:
        width = each.options["acc_width"]
        largest = (each.unit.lane or each.unit).largest_product(each.options)  # type: ignore[misc]
        assert each.safe_length >= GROUP_LENGTH, each.slug
        assert products_held(largest, width - 1) < GROUP_LENGTH, each.slug


def test_the_grid_of_small_formats_is_whole() -> None:
    """<0,1> to <3,6>: 8 of these 24 could not hold one product in the 16 bits of old."""
    for exp_bits, man_bits in itertools.product(range(4), range(1, 7)):
        configuration = configure("mls_mac", format=f"{exp_bits},{man_bits}")
        codes = np.full(GROUP_LENGTH, (1 << (exp_bits + man_bits)) - 1)
        inputs = {"w": codes, "a": codes, "start": np.arange(GROUP_LENGTH) == 0}
        outputs = configuration.reference(inputs)
        assert not outputs["overflow"].any(), configuration.slug
        assert outputs["acc"][-1] == GROUP_LENGTH * outputs["acc"][0]


@pytest.mark.parametrize("name", ACCUMULATES)
def test_a_width_that_holds_no_product_is_refused_with_the_one_that_does(name: str) -> None:
    unit = UNITS[name]
    lanes = {"lanes": 2} if "lanes" in unit.options else {}
    one = configure(name, length=1, **lanes).options["acc_width"]
    assert configure(name, acc_width=one, **lanes).options["acc_width"] == one
    with pytest.raises(ValueError, match=rf"^acc_width must be {one} or more, to hold one product"):
        configure(name, acc_width=one - 1, **lanes)


VALUES = {
    "mls_mac": lambda codes: mls_values(codes),
    "int_mac": lambda codes: np.where(codes > 127, codes - 256, codes).astype(float),
    "lns_mac": lambda codes: decode_lns(codes, LNS8),
    "kulisch_mac": lambda codes: to_float64(codes, FP8_E4M3),
}


def mls_values(codes: Any) -> Any:
    sign, exp, man = element_fields(codes, MLS_E2M4)
    size = np.ldexp(significand(exp, man, MLS_E2M4).astype(float), -MLS_E2M4.fraction_bits)
    return np.where(sign, -size, size)


@pytest.mark.parametrize("name", VALUES)
def test_the_last_bit_weighs_what_the_sidecar_says(name: str) -> None:
    """Operands as golden decodes them, their product in units of the last bit."""
    configuration = configure(name)
    told = sidecar(configuration)["accumulator"]
    assert told["width"] == configuration.options["acc_width"]
    assert told["safe_length"] == configuration.safe_length
    base, exponent = told["last_bit"].split("^")
    width = configuration.options["format"].code_width
    w, a = (codes.ravel() for codes in np.meshgrid(*[np.arange(1 << width)] * 2))
    inputs = {"w": w, "a": a, "start": np.ones(len(w), bool)}
    acc = configuration.reference(inputs)["acc"].astype(float)
    exact = VALUES[name](w) * VALUES[name](a)
    kept = np.isfinite(exact)
    error = np.abs(acc[kept] * float(base) ** int(exponent) - exact[kept])
    # A logarithmic product is floored, from a rounded table.
    assert error.max() <= (4e-5 if name == "lns_mac" else 0)


@pytest.mark.parametrize(
    ("name", "options", "port", "family", "fields", "bias"),
    [
        ("mls_mac", {}, "w", "MLS element", "sign 6:6 exponent 5:4 mantissa 3:0", 4),
        ("mls_mac", {"format": "0,4"}, "a", "MLS element", "sign 4:4 mantissa 3:0", 1),
        (
            "kulisch_mac",
            {"format": "2,4"},
            "w",
            "IEEE-754-like float",
            "sign 6:6 exponent 5:4 mantissa 3:0",
            1,
        ),
        ("int_mac", {"a_format": "int4"}, "a", "two's complement integer", "value 3:0", None),
        ("lns_mac", {}, "a", "logarithmic number", "sign 7:7 exponent 6:0", None),
        (
            "mls_tile",
            {"lanes": 2},
            "w_scale",
            "MLS group scale",
            "exponent 8:1 mantissa 0:0",
            None,
        ),
        (
            "fp8_mac",
            {},
            "acc",
            "IEEE-754-like float",
            "sign 31:31 exponent 30:23 mantissa 22:0",
            127,
        ),
        (
            "block_dot",
            {"lanes": 2, "format": "0,7", "operands": "decoded"},
            "w",
            "two's complement integer",
            "value 7:0",
            None,
        ),
    ],
)
def test_sidecar_tells_the_layout_of_codes(
    name: str, options: dict[str, Any], port: str, family: str, fields: str, bias: int | None
) -> None:
    told = json.loads(json.dumps(sidecar(configure(name, **options))))["codes"][port]
    assert told["family"] == family
    assert " ".join(f"{f['name']} {f['msb']}:{f['lsb']}" for f in told["fields"]) == fields
    assert told.get("bias") == bias


def test_codes_are_told_at_their_ports_alone() -> None:
    """A quantizer's `x` is a number, not a code of its format; behind streams, codes are the
    tile's.
    """
    assert set(sidecar(configure("mls_quantizer"))["codes"]) == {"codes", "scale_code"}
    assert "codes" not in sidecar(configure("tensor_statistics"))
    tile = with_interface(configure("mls_tile", lanes=2), "axi")
    told = sidecar(tile)
    assert {"w", "a", "w_scale", "a_scale"} <= set(told["codes"])
    assert told["accumulator"]["safe_length"] >= GROUP_LENGTH
    assert "idle" not in told


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in UNITS if name.endswith("_mac")),
        ("int_mac", {"zero_points": True, "hold": True}),
        ("fp32_mac", {"hold": True}),
        ("mls_tile", {"lanes": 2}),
        ("fp8_tile", {"lanes": 2}),
        ("dot_tile", {"lanes": 2}),
        ("float_dot", {"lanes": 2}),
    ],
)
def test_idle_inputs_leave_a_sum_as_it_is(name: str, options: dict[str, Any]) -> None:
    """Whatever came before: outputs of golden, an idle step after each of the corner vectors."""
    configuration = configure(name, **options)
    idle = sidecar(configuration)["idle"]
    inputs = configuration.unit.corners(configuration.build(), 300, 1)
    assert set(idle) <= set(inputs)
    if "load" in inputs:
        inputs["load"][:] = 1  # an idle step takes the weight that was held
    assert idle.get("start", 0) == 0
    doubled = {port: np.repeat(np.asarray(codes), 2, axis=0) for port, codes in inputs.items()}
    for port, value in idle.items():
        doubled[port][1::2] = value
    once, twice = configuration.reference(inputs), configuration.reference(doubled)
    for port, codes in once.items():
        if port != "valid":
            held = name in ("float_dot",) and port == "z"  # 0 where it is not valid: D32
            assert np.array_equal(twice[port][::2], codes), port
            assert held or np.array_equal(twice[port][1::2], codes), port


@pytest.mark.parametrize(
    ("name", "options", "length", "line"),
    [
        ("mls_mac", {"acc_width": 16}, 9, "acc_width 16 holds 2 products whatever the operands"),
        ("mls_mac", {"acc_width": 16}, 2, None),
        ("mls_mac", {"acc_width": 16}, None, None),
        ("mls_tile", {"lanes": 2, "acc_width": 16}, 3, "not 3: saturate beyond"),
        ("fused_mac", {"format": "fp16", "acc_format": "e4m3"}, None, "acc_format E4M3 is narrow"),
        ("float_mac", {"format": "e5m2", "acc_format": "4,9"}, None, "narrower than the factors"),
        ("fused_mac", {"format": "e5m2", "acc_format": "6,5"}, None, None),
        ("exact_adder_tree", {"lanes": 2}, None, "an exact sum with <8,1> scales is 544 bits wide"),
        ("mls_tile", {"lanes": 2, "tree": "exact"}, None, "<8,1> scales is 544 bits wide"),
        ("mls_tile", {"lanes": 2, "tree": "exact", "scale": "4,3"}, None, None),
        ("dot_tile", {"lanes": 2, "accumulate": "exact"}, None, "with <8,1> scales"),
        ("block_dot", {"lanes": 2}, None, None),
    ],
)
def test_what_may_not_be_meant_is_told(
    name: str, options: dict[str, Any], length: int | None, line: str | None
) -> None:
    told = cautions(configure(name, **options), length)
    assert len(told) == (line is not None)
    assert all(line in each and "\n" not in each for each in told if line)


def test_the_width_that_is_told_is_that_of_the_hardware() -> None:
    """By hand: term 27 bits, reach 2 * 255, four leaves of 64 tiles."""
    assert configure("exact_adder_tree", lanes=4).build().exact_width == 27 + 510 + 8


@pytest.mark.parametrize("format", ["2,4", "4,3", "3,1"])
def test_a_float_without_a_name_says_so(format: str) -> None:
    """`kulisch_mac_e2m4` would be read as an MLS element."""
    assert "_ieee_" in configure("kulisch_mac", format=format).slug
    assert isinstance(configure("kulisch_mac", format=format).options["format"], FloatFormat)
    assert "_ieee" not in configure("mls_mac", format=format).slug
    assert "IEEE-754-like float" in UNITS["kulisch_mac"].options["format"].help
    assert "MLS element" in UNITS["mls_mac"].options["format"].help
