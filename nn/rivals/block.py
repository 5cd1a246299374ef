"""Blocks of OCP MX and of NVFP4."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from ...golden.block_values import block_values
from ...golden.lowering import Kind
from ...golden.quantize import Float32
from ...golden.spec import RANDOM_BITS, BlockFormat, Rounding, check_int, choice, parse_format
from ..config import LETTERS, Context
from .values import ValuesConfig, rounding

# The axis of an operand of rank 4 that a product sums over and that its partner has as well.
_AXES = {
    (Kind.WA, "w"): 1,  # input channels
    (Kind.WA, "a"): 1,
    (Kind.WE, "w"): 0,  # output channels
    (Kind.WE, "e"): 1,
    (Kind.AE, "a"): 0,  # samples
    (Kind.AE, "e"): 0,
}


@dataclass(frozen=True)
class BlockOperand:
    """How one operand becomes blocks."""

    format: BlockFormat
    rounding: Rounding
    random_bits: int


@dataclass(frozen=True, kw_only=True)
class BlockConfig(ValuesConfig):
    """MX and NVFP4: a scale for every 32 or 16 neighbours along the axis that a product sums over:
    input channels in W*A, output channels in W*E, samples in A*E. An operand of two products is
    coded for each, from float32.

    Of OCP MX v1.0 and of NVFP4: elements, scales and their conversion from float32
    (`golden.quantize_blocks`), each tensor's own scale above NVFP4's. A block that the axis leaves
    incomplete is filled up with zeros. Not: NVFP4's recipe (Hadamard transforms, two-dimensional
    blocks of weights, layers of higher precision).

    Parameters:
        format: `mxfp8_e4m3`, `mxfp6_e2m3`, `mxfp6_e3m2`, `mxfp4`, `mxint8`, `nvfp4`.
        rounding: "nearest" or "stochastic"; random_bits: 1..16, of stochastic rounding.
        w, a, e: fields of the above that differ for one operand: `e={"rounding": "stochastic"}`.
    Raises: TypeError, ValueError.
    Source: OCP Microscaling Formats (MX) v1.0; B. Rouhani et al., "Microscaling data formats for
    deep learning", 2023; arXiv 2509.25149 for NVFP4.
    """

    separate: ClassVar[frozenset[str]] = frozenset(LETTERS)

    format: BlockFormat | str = "mxfp8_e4m3"
    rounding: Rounding | str = Rounding.NEAREST
    random_bits: int = RANDOM_BITS
    w: Mapping[str, Any] = field(default_factory=dict, hash=False)
    a: Mapping[str, Any] = field(default_factory=dict, hash=False)
    e: Mapping[str, Any] = field(default_factory=dict, hash=False)

    operands: ClassVar[dict[str, BlockOperand]]

    def __post_init__(self) -> None:
        own = {f.name: getattr(self, f.name) for f in fields(BlockOperand)}
        operands = {letter: _operand(letter, own, getattr(self, letter)) for letter in LETTERS}
        object.__setattr__(self, "operands", operands)

    def values(self, x: Float32, letter: str, kind: Kind, context: Context) -> Float32:
        """By `golden.quantize_blocks`."""
        operand = self.operands[letter]
        words = rounding(x, operand.rounding, operand.random_bits, context)
        return block_values(x, operand.format, axis=_axis(x, letter, kind), **words)


def _axis(x: Float32, letter: str, kind: Kind) -> int:
    """The axis of blocks. A linear layer's W and A are (n, 1, 1, features)."""
    features = kind is Kind.WA and x.shape[1] == x.shape[2] == 1
    return 3 if features else _AXES[kind, letter]


def _operand(letter: str, own: Mapping[str, Any], given: Mapping[str, Any]) -> BlockOperand:
    """The operand's fields, checked. Raises: TypeError, ValueError."""
    if unknown := sorted(set(given) - set(own)):
        raise ValueError(f"{letter} must have fields of {', '.join(own)}, not {unknown[0]!r}")
    merged = {**own, **given}
    if isinstance(merged["format"], str):
        merged["format"] = parse_format("format", BlockFormat, merged["format"])
    if not isinstance(merged["format"], BlockFormat):
        raise TypeError(f"format must be a BlockFormat, not {merged['format']!r}")
    merged["rounding"] = choice("rounding", Rounding, merged["rounding"])
    check_int("random_bits", merged["random_bits"], 1, 16)
    return BlockOperand(**merged)
