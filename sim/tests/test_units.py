"""Every unit against the golden model: exhaustively where the inputs total 16 bits or fewer."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsmac.sim.corners import make_vectors
from mlsmac.sim.runner import run_bench, simulate
from mlsmac.sim.tests.test_tiles import TILES
from mlsmac.units import UNITS, configure, reference

MACS: list[tuple[str, dict[str, Any]]] = [
    ("mls_mac", {"format": "2,4", "acc_width": 16}),
    ("mls_mac", {"format": "2,1", "acc_width": 16}),
    ("mls_mac", {"format": "2,4", "acc_width": 16, "overflow": "wrap"}),
    ("mls_mac", {"format": "2,4", "acc_width": "auto", "length": 9}),
    ("mls_mac", {"format": "0,4", "acc_width": 12}),
    ("mls_mac", {"format": "2,4", "acc_width": 64}),
    ("mls_mac", {"format": "3,2", "acc_width": 19}),
    ("lns_mac", {"acc_width": 24}),
    ("kulisch_mac", {}),
]
PARTS: list[tuple[str, dict[str, Any]]] = [
    ("mls_multiplier", {"format": "2,4"}),
    ("mls_multiplier", {"format": "2,1"}),
    ("mls_multiplier", {"format": "0,2"}),
    ("mls_multiplier", {"format": "1,6"}),
    ("mls_multiplier", {"format": "3,2"}),
    ("exponent_shifter", {"format": "2,4"}),
    ("exponent_shifter", {"format": "3,2"}),
    ("element_decoder", {}),
    ("element_decoder", {"format": "0,7"}),
    ("element_decoder", {"format": "4,3"}),
    ("float_multiplier", {"format": "e5m2"}),
    ("float_multiplier", {"format": "e5m2", "subnormals": False}),
    ("float_multiplier", {"format": "e4m3"}),
    ("float_multiplier", {"format": "e4m3", "subnormals": False}),
    ("float_multiplier", {"format": "bf16"}),
    ("float_adder", {"format": "e5m2"}),
    ("float_adder", {"format": "e5m2", "subnormals": False}),
    ("float_adder", {"format": "e4m3"}),
    ("float_adder", {"format": "e4m3", "subnormals": False}),
    ("float_adder", {"format": "fp32"}),
    ("float_adder", {"format": "fp32", "subnormals": False}),
    *(
        ("float_adder", {"format": format, "subnormals": subnormals, "path": "split"})
        for format in ("e5m2", "e4m3", "fp32")
        for subnormals in (True, False)
    ),
    ("float_accumulator", {"format": "fp32"}),
    ("float_accumulator", {"format": "e4m3"}),
]
# More of the same kind, narrow operands, what simulates slowly for wide words: fewer operations.
# `test_volume.py` runs wide floating-point units on any number.
WIDE_FLOATS: list[tuple[str, dict[str, Any]]] = [
    ("float_mac", {"format": "bf16", "acc_format": "fp32"}),
    ("float_mac", {"format": "bf16", "acc_format": "fp32", "subnormals": False}),
    ("float_mac", {"format": "e4m3", "acc_format": "fp16"}),
    ("fp32_mac", {}),
    ("fp32_mac", {"subnormals": False}),
    ("fp32_mac", {"recoding": "booth4", "path": "single"}),
    ("float_multiplier", {"format": "fp32"}),
    ("float_multiplier", {"format": "fp32", "subnormals": False}),
    ("fused_mac", {}),
    ("fused_mac", {"subnormals": False}),
    ("fused_mac", {"format": "bf16", "acc_format": "fp32"}),
    ("fused_mac", {"format": "e5m2", "acc_format": "6,5"}),
    ("fused_mac", {"format": "e4m3", "acc_format": "6,5"}),
    ("fused_mac", {"format": "e5m2", "acc_format": "6,3", "path": "single"}),
    ("float_fma", {"format": "2,1"}),
    ("float_fma", {"format": "3,1"}),
    ("float_fma", {"format": "fp32"}),
    ("float_fma", {"format": "fp16", "recoding": "booth4"}),
    *(
        ("float_fma", {"format": format, "subnormals": subnormals})
        for format in ("e5m2", "e4m3")
        for subnormals in (True, False)
    ),
    ("float_fma", {"format": "e4m3", "acc_format": "fp32"}),
    ("float_fma", {"format": "e4m3", "acc_format": "6,5"}),
    ("float_fma", {"format": "fp16", "acc_format": "8,7", "path": "single"}),
    ("float_fma", {"format": "bf16", "acc_format": "fp32", "subnormals": False}),
]
MORE: list[tuple[str, dict[str, Any]]] = [
    ("mls_mac", {"format": "2,1", "acc_width": 16, "hold": True}),
    ("int_mac", {"zero_points": True, "acc_width": 32, "hold": True}),
    ("fused_mac", {"format": "e5m2", "acc_format": "6,5", "hold": True}),
    ("fp8_mac", {"format": "e5m2"}),
    ("fp8_mac", {"format": "e4m3"}),
    ("mls_dot", {"format": "2,1"}),
    ("mls_dot", {"format": "4,3", "lanes": 3}),
    ("int_accumulator", {"format": "2,4", "acc_width": 16}),
    ("int_accumulator", {"format": "2,1", "acc_width": 9, "overflow": "wrap"}),
    ("mls_mac", {"format": "1,6", "acc_width": 16, "recoding": "booth4"}),
    ("float_adder", {"format": "fp16"}),
    ("kulisch_mac", {"format": "e4m3", "acc_width": 38, "recoding": "booth4"}),
    ("lns_mac", {"table_bits": 0, "overflow": "wrap", "acc_width": 17}),
    ("lns_mac", {"format": "8,4", "table_bits": 1, "acc_width": 65}),
    ("lns_mac", {"format": "4,1", "table_bits": 1, "table_fraction": 20, "acc_width": 24}),
    ("kulisch_mac", {"format": "e5m2", "acc_width": "auto", "length": 256}),
    ("kulisch_mac", {"format": "e5m2", "acc_width": 66, "overflow": "wrap"}),
]
SCALERS: list[tuple[str, dict[str, Any]]] = [
    ("group_scaler", {"format": "2,4", "acc_width": 16}),
    ("group_scaler", {"format": "2,4", "scale": "8,0", "acc_width": 24}),
    ("group_scaler", {"format": "2,1", "scale": "4,3", "acc_width": 16}),
    ("group_scaler", {"format": "1,6", "scale": "8,2", "acc_width": 40}),
]
INTEGERS: list[tuple[str, dict[str, Any]]] = [
    ("int_mac", {"acc_width": 17}),
    ("int_mac", {"recoding": "booth4", "overflow": "wrap", "acc_width": 18}),
    ("int_mac", {"a_format": "int16", "acc_width": 32}),
    ("int_mac", {"format": "int4", "a_format": "int4", "acc_width": "auto", "length": 9}),
    ("int_mac", {"zero_points": True, "acc_width": 18}),
    (
        "int_mac",
        {
            "zero_points": True,
            "format": "5",
            "a_format": "2",
            "acc_width": 32,
            "recoding": "booth4",
        },
    ),
    ("adder_mac", {"acc_width": 11}),
    ("adder_mac", {"format": "int16", "acc_width": 17, "overflow": "wrap"}),
    ("adder_mac", {"format": "int4", "acc_width": "auto", "length": 9}),
    ("range_statistic", {}),
    ("lfsr", {"lanes": 3}),
    ("lfsr", {"lanes": 1, "random_bits": 24, "lfsr_seed": 77}),
    ("requantizer", {"acc_width": 32}),
    ("requantizer", {"rounding": "nearest", "acc_width": 32}),
    ("requantizer", {"format": "int4", "acc_width": 16, "random_bits": 3, "lfsr_seed": 9}),
    ("requantizer", {"format": "int16", "acc_width": 64, "random_bits": 24}),
]
QUANTIZERS: list[tuple[str, dict[str, Any]]] = [
    ("tensor_statistics", {}),
    ("tensor_statistics", {"lanes": 5}),
    ("mls_quantizer", {}),
    ("mls_quantizer", {"division": "digits", "format": "0,4", "scale": "4,1", "lanes": 2}),
    ("mls_quantizer", {"format": "2,1", "rounding": "nearest"}),
    (
        "mls_quantizer",
        {"format": "0,4", "scale": "4,1", "carry": "carry", "random_bits": 5, "division": "digits"},
    ),
    ("mls_quantizer", {"format": "4,3", "scale": "8,0", "carry": "carry", "levels": 6}),
    ("mls_quantizer", {"reciprocal_bits": 8, "lanes": 2}),
    ("mls_quantizer", {"scaling": "delayed"}),
    (
        "mls_quantizer",
        {
            "scaling": "delayed",
            "format": "2,1",
            "scale": "8,2",
            "carry": "carry",
            "random_bits": 10,
        },
    ),
    (
        "mls_quantizer",
        {"scaling": "delayed", "format": "0,4", "scale": "4,0", "division": "digits", "lanes": 2},
    ),
    ("mls_quantizer", {"scaling": "delayed", "reciprocal_bits": 8, "rounding": "nearest"}),
    ("mls_quantizer", {"reciprocal_bits": 4, "format": "0,4", "carry": "carry", "levels": 8}),
    ("mls_quantizer", {"reciprocal_bits": 13, "format": "4,3", "rounding": "nearest"}),
    ("block_quantizer", {}),
    ("block_quantizer", {"lanes": 4, "rounding": "stochastic"}),
    ("block_quantizer", {"format": "mxfp6_e2m3", "lanes": 8}),
    ("block_quantizer", {"format": "mxfp6_e3m2", "lanes": 8, "rounding": "stochastic"}),
    ("block_quantizer", {"format": "mxfp8_e4m3", "lanes": 4}),
    ("block_quantizer", {"format": "mxfp8_e4m3", "rounding": "stochastic", "random_bits": 16}),
    ("block_quantizer", {"format": "mxint8", "lanes": 32}),
    ("block_quantizer", {"format": "mxint8", "lanes": 2, "rounding": "stochastic"}),
    ("block_quantizer", {"format": "nvfp4", "lanes": 16}),
    ("block_quantizer", {"format": "nvfp4"}),
    ("block_quantizer", {"format": "nvfp4", "lanes": 4, "rounding": "stochastic"}),
    (
        "block_quantizer",
        {"format": "nvfp4", "lanes": 16, "rounding": "stochastic", "random_bits": 3},
    ),
]
DOTS: list[tuple[str, dict[str, Any]]] = [
    ("block_dot", {"lanes": 8}),
    ("block_dot", {"lanes": 9, "groups": 2, "scale": "8,1", "operands": "decoder"}),
    ("block_dot", {"format": "2,4", "lanes": 4, "scale": "8,1", "window": 60}),
    ("block_dot", {"lanes": 4, "scale": "5,3", "operands": "decoded", "hold": True}),
    ("block_dot", {"lanes": 4, "operands": "decoder", "hold": True, "window": 20}),
    ("block_dot", {"format": "0,7", "lanes": 4, "operands": "decoded", "cycles": 3}),
    ("block_dot", {"format": "0,7", "lanes": 4, "scale": "none", "operands": "decoder"}),
    (
        "block_dot",
        {"format": "0,3", "lanes": 4, "groups": 4, "cycles": 2, "scale": "5,3", "blocks": 32},
    ),
    ("block_dot", {"format": "4,3", "lanes": 4, "window": 64}),
    ("block_dot", {"format": "4,3", "lanes": 4, "scale": "8,1", "window": 30, "blocks": 7}),
    ("block_dot", {"lanes": 3, "scale": "4,1", "accumulate": "exact", "blocks": 9, "groups": 3}),
    ("block_dot", {"lanes": 2, "window": 12, "blocks": 2, "flag": True}),
    ("block_dot", {"format": "0,7", "lanes": 2, "window": 23, "blocks": 4, "flag": True}),
    ("block_dot", {"format": "4,3", "lanes": 4, "scale": "none", "accumulate": "float32"}),
    ("block_dot", {"lanes": 4, "scale": "8,1", "accumulate": "float32", "cycles": 2}),
    ("block_dot", {"lanes": 4, "scale": "5,3", "accumulate": "float32", "operands": "decoder"}),
    ("block_dot", {"format": "4,3", "lanes": 4, "window": 64, "operands": "decoder"}),
    ("float_dot", {"lanes": 4}),
    ("float_dot", {"format": "bf16", "lanes": 3, "guard_bits": 10}),
    ("float_dot", {"format": "e5m2", "lanes": 5, "guard_bits": 0}),
]
TREES: list[tuple[str, dict[str, Any]]] = [
    ("fp32_adder_tree", {"lanes": 16}),
    ("fp32_adder_tree", {"lanes": 7, "levels": 2}),
    ("fp32_adder_tree", {"lanes": 5}),
    ("fp32_adder_tree", {"lanes": 1}),
    ("aligned_adder_tree", {"lanes": 4, "acc_width": 16}),
    ("aligned_adder_tree", {"lanes": 7, "scale": "8,0", "acc_width": 16, "guard_bits": 0}),
    ("aligned_adder_tree", {"lanes": 3, "scale": "4,3", "acc_width": 20}),
    ("aligned_adder_tree", {"lanes": 1, "acc_width": 16}),
    ("exact_adder_tree", {"lanes": 4, "scale": "4,3", "acc_width": 16, "tiles": 2}),
    ("exact_adder_tree", {"lanes": 3, "scale": "5,1", "acc_width": 16}),
    ("exact_adder_tree", {"lanes": 1, "scale": "8,1", "acc_width": 16}),
    ("exact_adder_tree", {"lanes": 1, "scale": "3,0", "acc_width": 16, "tiles": 1}),
]
GATED: list[tuple[str, dict[str, Any]]] = [
    (name, {**options, "clock_gating": True})
    for name, options in (
        ("mls_mac", {"format": "2,4", "acc_width": 16}),
        ("mls_mac", {"format": "2,1", "acc_width": 16, "overflow": "wrap", "hold": True}),
        ("int_mac", {"acc_width": 32}),
        ("int_mac", {"zero_points": True, "acc_width": 32, "hold": True}),
        ("adder_mac", {"acc_width": 32}),
        ("lns_mac", {"acc_width": 24}),
        ("kulisch_mac", {"format": "e5m2", "acc_width": 66}),
        ("kulisch_mac", {"format": "e4m3", "acc_width": 38}),
        ("fp8_mac", {"format": "e4m3"}),
        ("fp8_mac", {"format": "e5m2", "hold": True}),
        ("fp32_mac", {}),
        ("fp32_mac", {"subnormals": False}),
        ("float_mac", {"format": "e5m2", "acc_format": "fp16"}),
        ("float_mac", {"format": "bf16", "acc_format": "fp32", "subnormals": False}),
        ("fused_mac", {"format": "e4m3", "acc_format": "6,5"}),
        ("fused_mac", {"format": "e5m2", "acc_format": "e5m2"}),
        ("fused_mac", {"format": "bf16", "acc_format": "fp32", "subnormals": False}),
        ("block_dot", {"lanes": 4, "cycles": 3, "hold": True}),
        ("block_dot", {"lanes": 4, "cycles": 3, "scale": "5,3", "window": 24, "flag": True}),
        ("block_dot", {"lanes": 4, "format": "4,3", "cycles": 2, "accumulate": "float32"}),
        ("mls_quantizer", {"lanes": 2}),
        ("block_quantizer", {"lanes": 4}),
    )
]
SHARES = {
    1: MACS + PARTS,
    2: MORE + SCALERS + GATED,
    5: WIDE_FLOATS + INTEGERS + QUANTIZERS + TREES + DOTS,
}
"""A case has so many times fewer operations than a MAC, and its lanes share them, as they do in
`mlsmac verify`.
"""
LARGE = {"block_dot", "float_dot", "block_quantizer"}
"""Every second case is slow: they are many, and large."""


def _cases() -> Iterator[Any]:
    """Share of the operations and case, marked and named."""
    large = 0
    for share, cases in SHARES.items():
        for name, options in cases:
            large += name in LARGE
            marks = [pytest.mark.slow] if name in LARGE and large % 2 == 0 else []
            slug = configure(name, **options).slug
            yield pytest.param(share, (name, options), id=slug, marks=marks)


@pytest.mark.parametrize(("share", "case"), [*_cases()])
def test_unit_matches_golden(
    share: int,
    case: tuple[str, dict[str, Any]],
    tmp_path_factory: Any,
    pytestconfig: pytest.Config,
) -> None:
    configuration = configure(case[0], **case[1])
    lanes = configuration.options.get("lanes", 1)
    result = run_bench(
        configuration,
        tmp_path_factory.mktemp(configuration.slug),
        simulator=pytestconfig.getoption("--simulator"),
        operations=max(pytestconfig.getoption("--operations") // (share * lanes), 1),
        seed=pytestconfig.getoption("--vector-seed"),
    )
    lines = [*result.mismatches, f"waveform: {result.waveform}"]
    assert not result.mismatches, "\n".join(lines)
    print(f"{configuration.slug}: {result.operations} operations, {result.checked} outputs")


@pytest.mark.parametrize(
    ("name", "options"),
    [("lns_mac", {"format": "3,1", "table_bits": 1}), ("kulisch_mac", {}), ("fused_mac", {})],
)
def test_zeros_come_first(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Nothing changes before the first result: no part may wait for an event to be defined."""
    configuration = configure(name, **options)
    drawn = make_vectors(configuration, 10, 1)
    inputs = {port: np.zeros_like(codes) for port, codes in drawn.inputs.items()}
    inputs["start"][:] = 1
    outputs = reference(name, configuration.options, inputs)
    vectors = replace(drawn, inputs=inputs, outputs=outputs)
    assert not simulate(configuration, "bench_vectors", vectors, tmp_path, "icarus").mismatches


def test_verilator_runs_the_same_bench(tmp_path: Path) -> None:
    result = run_bench(configure("fp8_mac"), tmp_path, simulator="verilator", operations=20_000)
    assert not result.mismatches
    assert result.checked == 20_000


def test_every_unit_has_a_bench() -> None:
    cases = [case for cases in SHARES.values() for case in cases]
    assert {name for name, *_ in [*cases, *TILES]} == set(UNITS)


@pytest.mark.parametrize(
    ("name", "format", "bits"), [("mls_multiplier", "2,4", 14), ("float_multiplier", "e4m3", 16)]
)
def test_small_multipliers_are_exhaustive(name: str, format: str, bits: int) -> None:
    inputs = make_vectors(configure(name, format=format), 10, 1).inputs
    pairs = inputs["x"] << (bits // 2) | inputs["y"]
    assert np.array_equal(np.sort(pairs), np.arange(1 << bits))
