"""Floating-point units against float64 on constructed corners: some hundred, or `--volume`."""

from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsmac.golden.spec import BF16, FP16, FP32, FloatFormat
from mlsmac.sim.memory_bench import MEMORY, MemoryBench
from mlsmac.sim.volume import Operation, draw_operands, expect, to_real, volume_vectors
from mlsmac.units import configure

UNITS_OF = {
    Operation.MULTIPLY: "float_multiplier",
    Operation.ADD: "float_adder",
    Operation.FMA: "float_fma",
}
FORMATS = {"fp32": FP32, "bf16": BF16, "fp16": FP16}
CASES: list[tuple[str, dict[str, Any]]] = [
    (unit, {"format": name, "subnormals": subnormals})
    for unit in UNITS_OF.values()
    for name, subnormals in (("fp32", True), ("fp32", False), ("bf16", True), ("fp16", True))
]
CASES += [
    ("float_adder", {"format": "fp32", "subnormals": subnormals, "path": "split"})
    for subnormals in (True, False)
]
SEED = 2026
SMALL = 500
"""Steps without --volume."""


@pytest.mark.parametrize(
    ("unit", "options"), CASES, ids=[configure(unit, **options).slug for unit, options in CASES]
)
def test_unit_matches_float64(
    unit: str, options: dict[str, Any], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    configuration = configure(unit, **options)
    rng = np.random.default_rng(pytestconfig.getoption("--vector-seed"))
    volume = pytestconfig.getoption("--volume")
    simulator = "verilator" if volume else pytestconfig.getoption("--simulator")
    total, bench, checked = volume or SMALL, None, 0
    while checked < total:
        vectors = volume_vectors(configuration, min(MEMORY, total - checked), rng)
        bench = bench or MemoryBench(configuration, vectors, tmp_path, simulator)
        result = bench.run(vectors)
        assert not result.mismatches, "\n".join(result.mismatches)
        checked += result.checked
    print(f"{configuration.slug}: {checked} operations")


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("subnormals", [True, False])
def test_oracle_is_exact_arithmetic_rounded_once(
    operation: Operation, name: str, subnormals: bool
) -> None:
    fmt = FORMATS[name]
    operands = draw_operands(operation, fmt, 2000, np.random.default_rng(SEED))
    codes = expect(operation, fmt, operands, subnormals=subnormals)
    finite = 0
    for *given, code in zip(*operands, codes, strict=True):
        exact = _exact(operation, [_value(each, fmt, subnormals) for each in given])
        if exact:  # zeros and specials: below, and by NumPy
            finite += 1
            assert code == _rounded(exact, fmt, subnormals), (list(map(hex, given)), hex(code))
    assert finite > 1000


def _value(code: int, fmt: FloatFormat, subnormals: bool) -> Fraction | None:
    """The number of a finite code."""
    x = float(to_real(np.array([code]), fmt)[0])
    if not isfinite(x):
        return None
    return Fraction(x if subnormals or abs(x) >= 2.0**fmt.min_exp else 0)


def _exact(operation: Operation, values: list[Fraction | None]) -> Fraction | None:
    """The result before rounding; None where an operand is not finite."""
    finite = [value for value in values if value is not None]
    if len(finite) < len(values):
        return None
    x, y, *z = finite
    return x + y if operation is Operation.ADD else x * y + sum(z)


def _rounded(x: Fraction, fmt: FloatFormat, subnormals: bool) -> int:
    """The code nearest to x, which is not zero; Python rounds fractions to nearest, ties to
    even.
    """
    sign = int(x < 0) << (fmt.code_width - 1)
    x = abs(x)
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    exponent -= x < Fraction(2) ** exponent
    if subnormals:
        exponent = max(exponent, fmt.min_exp)
    units = round(x / Fraction(2) ** (exponent - fmt.man_bits))
    if not subnormals and units * Fraction(2) ** (exponent - fmt.man_bits) < 2.0**fmt.min_exp:
        return sign
    return sign | min(((exponent - fmt.min_exp) << fmt.man_bits) + units, fmt.infinity)


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_oracle_is_numpy_arithmetic(name: str) -> None:
    fmt, dtype = FORMATS[name], {"fp32": np.float32, "fp16": np.float16}[name]
    for operation, numpy in ((Operation.MULTIPLY, np.multiply), (Operation.ADD, np.add)):
        operands = draw_operands(operation, fmt, 100_000, np.random.default_rng(SEED))
        with np.errstate(all="ignore"):
            result = numpy(*(to_real(codes, fmt).astype(dtype) for codes in operands))
        codes = result.view(f"u{result.itemsize}").astype(np.int64)
        expected = np.where(np.isnan(result), fmt.nan, codes)
        assert np.array_equal(expect(operation, fmt, operands), expected)


def test_fma_rules_of_zeros_infinities_and_nan() -> None:
    one, minus, infinity = 0x3F800000, 0x80000000, FP32.infinity
    for x, y, z, expected in (
        (one, one, one | minus, 0),  # an exact zero sum is +0,
        (minus, one, minus, minus),  # but of two -0
        (0, one, minus, 0),
        (0, infinity, one, FP32.nan),
        (0, infinity, FP32.nan + 1, FP32.nan),
        (infinity, one, infinity | minus, FP32.nan),
        (infinity, one, one, infinity),
        (FP32.max_code, FP32.max_code, infinity | minus, infinity | minus),
        (one, one, FP32.infinity + 1, FP32.nan),
    ):
        operands = [np.array([code]) for code in (x, y, z)]
        assert expect(Operation.FMA, FP32, operands) == expected


@pytest.mark.parametrize("operation", Operation)
def test_operands_reach_the_corners(operation: Operation) -> None:
    operands = draw_operands(operation, FP32, 100_000, np.random.default_rng(SEED))
    codes = expect(operation, FP32, operands)
    magnitude = codes & 0x7FFFFFFF
    with np.errstate(all="ignore"):
        x, y, *z = (to_real(each, FP32) for each in operands)
        addends = (x, y) if operation is Operation.ADD else (x * y, *z)
        exact = sum(addends)
        result = to_real(codes, FP32)
        spacing = np.spacing(result.astype(np.float32)).astype(np.float64)
        off = np.abs(exact - result) / spacing
        cancelled = np.abs(exact) < np.abs(addends[0]) / 2**20
    finite = np.isfinite(result) & np.isfinite(exact)
    reached = {
        "halves": finite & (off == 0.5),
        "beside halves": finite & (np.abs(off - 0.5) < 2.0**-10) & (off != 0.5),
        "subnormal": (magnitude > 0) & (magnitude < 1 << 23),
        "smallest normal": magnitude == 1 << 23,
        "overflow": (magnitude == FP32.infinity) & np.isfinite(exact),
        "largest": magnitude == FP32.max_code,
        "nan": magnitude > FP32.infinity,
    }
    if operation is not Operation.MULTIPLY:
        reached["cancelled"] = finite & cancelled & (exact != 0)
        reached["zero sum"] = finite & (exact == 0) & (x != 0) & (y != 0)
    shares = {name: float(np.mean(where)) for name, where in reached.items()}
    print(operation, shares)
    assert min(shares.values()) > 1e-4, shares
