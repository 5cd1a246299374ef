# amaranth: UnusedElaboratable=no
"""The dot unit: latency, registers, stages, and what is refused."""

from typing import Any

import pytest

from mlsmac.golden.spec import (
    MLS_E2M1,
    MXFP8_E4M3,
    NVFP4_SCALE,
    SCALE_E8M1,
    Accumulate,
    ElementFormat,
    Operands,
)
from mlsmac.hw import BlockDot, BlockScaler, DotTree, FixedPointSum, Form, OperandRows
from mlsmac.hw.floating.int_to_float import IntToFloat

FLOAT32, EXACT = Accumulate.FLOAT32, Accumulate.EXACT


@pytest.mark.parametrize(
    ("options", "latency", "registers"),
    [
        # Operands and scale codes, P, the shift, the window, marks.
        ({}, 3, 2 * 64 + 2 * 8 + 13 + 5 + 40 + 5),
        ({"operands": Operands.DECODER}, 3, 16 * 9 + 2 * 8 + 13 + 5 + 40 + 5),
        ({"operands": Operands.DECODED}, 3, 16 * 10 + 2 * 8 + 13 + 5 + 40 + 5),
        # Both mantissas, T and its shift; marks stay a cycle longer.
        ({"scale": SCALE_E8M1}, 4, 2 * 64 + 2 * 9 + 13 + 5 + 2 + 16 + 5 + 40 + 7),
        ({"scale": NVFP4_SCALE}, 4, 2 * 64 + 2 * 8 + 13 + 5 + 8 + 20 + 5 + 40 + 7),
        ({"scale": None}, 3, 2 * 64 + 13 + 40 + 5),
        ({"accumulate": FLOAT32}, 4, 2 * 64 + 2 * 8 + 13 + 9 + 64 + 7),
        ({"accumulate": EXACT, "blocks": 1}, 3, 2 * 64 + 2 * 8 + 13 + 9 + 13 + 510 + 5),
        ({"cycles": 2}, 3, 2 * 64 + 2 * 8 + 14 + 3 + 5 + 40 + 5),
        ({"groups": 2, "lanes": 8}, 3, 2 * 64 + 4 * 8 + 2 * 12 + 2 * 5 + 40 + 5),
        ({"flag": True}, 3, 2 * 64 + 2 * 8 + 13 + 5 + 40 + 6),
    ],
    ids=str,
)
def test_latency_and_registers(options: dict[str, Any], latency: int, registers: int) -> None:
    unit = BlockDot(format=MLS_E2M1, **options)
    assert (unit.latency, unit.registers) == (latency, registers)
    assert unit.stages == ("operands", "dot", *(("scale",) if unit.scale else ()), "accumulate")


def test_ports_are_those_that_are_needed() -> None:
    ports = set(BlockDot(format=MLS_E2M1, scale=None).signature.members)
    assert ports == {"w", "a", "first", "finish", "z", "valid"}
    more = BlockDot(format=MLS_E2M1, cycles=2, hold=True, flag=True)
    added = {"w_scale", "a_scale", "load", "start", "last", "overflow"}
    assert set(more.signature.members) == ports | added


def test_long_elements_multiply_as_codes() -> None:
    forms = {
        (MLS_E2M1, Operands.CODES, False): Form.CODES,
        (MXFP8_E4M3, Operands.CODES, False): Form.PRODUCTS,
        (MLS_E2M1, Operands.DECODER, False): Form.FACTORS,
        (MLS_E2M1, Operands.DECODER, True): Form.INTEGERS,
        (MLS_E2M1, Operands.DECODED, False): Form.INTEGERS,
    }
    for (format, operands, hold), form in forms.items():
        assert OperandRows(format=format, operands=operands, count=1, hold=hold).form is form


@pytest.mark.parametrize(
    ("part", "options", "error", "message"),
    [
        (BlockDot, {"lanes": 0}, ValueError, r"lanes must be in 1\.\.1024, not 0"),
        (BlockDot, {"window": 14}, ValueError, r"window must be in 15\.\.128, not 14"),
        (BlockDot, {"groups": 65}, ValueError, r"groups must be in 1\.\.64, not 65"),
        (BlockDot, {"scale": (8, 0)}, TypeError, "scale must be a ScaleFormat, not"),
        (
            BlockDot,
            {"accumulate": FLOAT32, "flag": True},
            ValueError,
            "flag must be False for float32 sums, not True",
        ),
        (
            BlockDot,
            {"accumulate": FLOAT32, "groups": 2},
            ValueError,
            "groups must be 1 for float32 sums, not 2",
        ),
        (BlockDot, {"format": ElementFormat(5, 2)}, ValueError, "products of at most 62 bits"),
        (DotTree, {"lanes": 2, "width": 1}, ValueError, r"width must be in 2\.\.256, not 1"),
    ],
)
def test_rejects(part: type, options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        part(**{"format": MLS_E2M1, **options})


def test_parts_name_their_conversion_s_rules() -> None:
    with pytest.raises(ValueError, match="offset must be in"):
        FixedPointSum(term_width=8, exponent_bits=0, unit=0, ahead=2, guard=-1, width=20)
    low, high = BlockScaler.parameters["term_width"].low, BlockScaler.parameters["term_width"].high
    assert (low, high) == (2, 256)
    assert IntToFloat.parameters["width"].high == 1024
