"""`mlsmac quantize`: a float32 array file to codes, scale codes and what decodes them."""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from ..golden.blocks import BlockTensor, quantize_blocks
from ..golden.quality import QuantizationError, quantization_error
from ..golden.quantize import Carry, Float32, Grouping, MlsTensor, quantize
from ..golden.spec import (
    BLOCK_PRESETS,
    BlockFormat,
    ElementFormat,
    Rounding,
    ScaleCoding,
    ScaleFormat,
    choice,
    parse_format,
)
from ..study.columns import figure
from ..study.records import Flat, to_json
from ..study.terminal import pairs
from ..support.errors import UserError
from ..support.files import write_whole
from .options import check_range

_MAGIC = b"\x93NUMPY"
# What numpy raises for files whose header or length is damaged.
_BROKEN = (EOFError, MemoryError, OverflowError, SyntaxError, TokenError, TypeError, ValueError)


@dataclass(frozen=True)
class Recipe:
    """What, with the tensor, makes the same codes again; `metadata` of the file."""

    element: ElementFormat
    scale: ScaleFormat
    group: str
    rounding: str
    carry: str
    random_bits: int
    generator: str | None
    seed: int | None
    numpy: str


@dataclass(frozen=True)
class BlockRecipe:
    """The same of blocks of OCP MX or NVFP4."""

    blocks: str
    rounding: str
    random_bits: int
    generator: str | None
    seed: int | None
    numpy: str


@dataclass(frozen=True)
class TensorRow:
    """What became of a tensor: sizes, zeros, errors, bits, and how to make the codes again."""

    shape: tuple[int, ...]
    elements: int
    groups: int
    zero_share: float
    input_zero_share: float
    errors: Annotated[QuantizationError, Flat()]
    bits_per_element: float
    tensor_scale: float
    recipe: Annotated[Recipe | BlockRecipe, Flat()]


@dataclass(frozen=True, kw_only=True)
class Request:
    """How to quantize; `seed` is that of the generator of stochastic words."""

    rounding: Rounding
    random_bits: int
    seed: int

    @property
    def how(self) -> dict[str, Any]:
        """Arguments of golden's quantizers: words are `random_words(default_rng(seed), ...)`."""
        rng = np.random.default_rng(self.seed) if self._stochastic else None
        return {"rounding": self.rounding, "random_bits": self.random_bits, "rng": rng}

    @property
    def told(self) -> dict[str, Any]:
        """What a recipe says of rounding."""
        return {
            "rounding": self.rounding.value,
            "random_bits": self.random_bits,
            "generator": "numpy.random.default_rng" if self._stochastic else None,
            "seed": self.seed if self._stochastic else None,
            "numpy": np.__version__,
        }

    @property
    def _stochastic(self) -> bool:
        return self.rounding is Rounding.STOCHASTIC


@dataclass(frozen=True, kw_only=True)
class MlsRequest(Request):
    """MLS codes with group scales and a tensor scale."""

    element: ElementFormat
    scale: ScaleFormat
    group: Grouping
    carry: Carry

    @property
    def title(self) -> str:
        """What is made."""
        return f"{self.element} elements, {self.scale} scales, groups {self.group.value}"

    @property
    def rule(self) -> str:
        """How it rounds."""
        return f"{self.rounding.value}, {self.carry.value}"

    def quantize(self, x: Float32) -> MlsTensor:
        """Codes of `x`. Raises: ValueError for what golden refuses."""
        return quantize(x, self.element, self.scale, group=self.group, carry=self.carry, **self.how)

    def arrays(self, coded: MlsTensor) -> dict[str, Any]:
        """Entries of the file."""
        return {
            "codes": coded.codes().astype(_smallest(self.element.code_width)),
            "scale_codes": coded.scale_codes().astype(_smallest(self.scale.code_width)),
        }

    def recipe(self) -> Recipe:
        """The same, as it is told."""
        group, carry = self.group.value, self.carry.value
        return Recipe(self.element, self.scale, group, carry=carry, **self.told)

    def bits(self, elements: int, groups: int) -> int:
        """Of a tensor's codes and scales."""
        return elements * self.element.code_width + groups * self.scale.code_width + 32

    def doubts(self, coded: MlsTensor) -> list[str]:
        """A line where every element has a scale of its own."""
        alone = coded.scale_exp.size == coded.sign.size > 1
        line = (
            f"each element has a scale of its own: groups {self.group.value} of shape "
            f"{coded.shape} have one element; --group n, c or none, or --blocks, make larger ones"
        )
        return [line] if alone else []


@dataclass(frozen=True, kw_only=True)
class BlockRequest(Request):
    """Blocks of OCP MX or NVFP4 along the last axis."""

    name: str
    format: BlockFormat

    @property
    def title(self) -> str:
        """What is made."""
        return f"{self.name} blocks of {self.format.size}"

    @property
    def rule(self) -> str:
        """How it rounds."""
        return self.rounding.value

    def quantize(self, x: Float32) -> BlockTensor:
        """Blocks of `x`. Raises: ValueError for what golden refuses."""
        size = self.format.size
        if x.ndim == 0 or x.shape[-1] % size or x.size == 0:
            rule = f"x must have a last axis of whole blocks of {size} for --blocks {self.name}"
            raise ValueError(f"{rule}, not shape {x.shape}")
        return quantize_blocks(x.reshape(*x.shape[:-1], -1, size), self.format, **self.how)

    def arrays(self, coded: BlockTensor) -> dict[str, Any]:
        """Entries of the file; codes in the array's shape."""
        return {"codes": _flat(coded.codes), "scale_codes": coded.scale_codes}

    def recipe(self) -> BlockRecipe:
        """The same, as it is told."""
        return BlockRecipe(self.name, **self.told)

    def bits(self, elements: int, groups: int) -> int:
        """Of a tensor's codes and scales: E8M0 has no tensor scale."""
        tensor = 32 * (self.format.scale_coding is ScaleCoding.E4M3)
        return elements * self.format.element.code_width + groups * 8 + tensor

    def doubts(self, coded: BlockTensor) -> list[str]:
        """None."""
        return []


_OF_MLS = {"--format": "2,4", "--scale": "8,1", "--group": "nc", "--carry": "clip"}
"""Options that blocks have none of, with their defaults."""


def request(
    blocks: str | None, mls: Mapping[str, str | None], rounding: str | None, bits: int, seed: int
) -> MlsRequest | BlockRequest:
    """The request that a command's options name, `mls` those of `_OF_MLS`; None asks for a default.

    Raises: UserError, golden's rules included.
    """
    check_range("--seed", seed, 0)
    chosen = rounding or ("stochastic" if blocks is None else "nearest")
    try:
        how: dict[str, Any] = {
            "rounding": choice("--rounding", Rounding, chosen),
            "random_bits": bits,
            "seed": seed,
        }
        if blocks is not None:
            return _block_request(blocks, mls, how)
        element, scale, group, carry = (mls[name] or _OF_MLS[name] for name in _OF_MLS)
        made = MlsRequest(
            element=parse_format("--format", ElementFormat, element),
            scale=parse_format("--scale", ScaleFormat, scale),
            group=choice("--group", Grouping, group),
            carry=choice("--carry", Carry, carry),
            **how,
        )
        made.quantize(np.zeros((1, 1), np.float32))
    except ValueError as error:
        raise UserError(str(error)) from None
    return made


def _block_request(
    blocks: str, mls: Mapping[str, str | None], how: Mapping[str, Any]
) -> BlockRequest:
    """Raises: ValueError."""
    for option, value in mls.items():
        if value is not None:
            raise ValueError(f"{option} must be left out with --blocks, not {value!r}")
    format = parse_format("--blocks", BlockFormat, blocks)
    made = BlockRequest(name=blocks.lower(), format=format, **how)
    made.quantize(np.zeros(format.size, np.float32))
    return made


def misnamed(element: str | None, blocks: str | None) -> list[str]:
    """A line where a format of blocks names the elements of MLS groups."""
    named = (element or "").lower()
    of = next((name for name in BLOCK_PRESETS if named.startswith(name)), None)
    if blocks is not None or of is None:
        return []
    return [
        f"--format {element} names elements alone: these are MLS groups and scales, not {of}, "
        f"which --blocks {of} writes"
    ]


def check_output(output: Path, source: Path) -> None:
    """Fail before any work. Raises: UserError."""
    folder = output.parent
    replaceable = output.is_file() or not output.exists()
    if not (replaceable and folder.is_dir() and os.access(folder, os.W_OK)):
        raise UserError(f"--output must be a file in a writable folder, not {str(output)!r}")
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"--output must be another file than the input, not {str(output)!r}")
    if output.suffix.lower() != ".npz":
        raise UserError(f"--output must end in .npz, which it is, not {output.name!r}")


def read(source: Path) -> Float32:
    """The float32 array of a .npy file. Raises: UserError, OSError."""
    with source.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise UserError(f"{source}: must be a .npy file, as numpy.save writes it")
        file.seek(0)
        try:
            x = np.lib.format.read_array(file, allow_pickle=False)
        except _BROKEN as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"{source}: must be a whole .npy file of numbers: {reason}") from None
    # Bytes in the other order are the same numbers.
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    if x.dtype != np.float32:
        raise UserError(
            f"{source}: must be float32, not {x.dtype}; convert it with x.astype(numpy.float32)"
        )
    return x


def codes(asked: MlsRequest | BlockRequest, x: Float32, source: Path) -> Any:
    """The codes of `x`. Raises: UserError for what golden refuses."""
    try:
        return asked.quantize(x)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None


def write(asked: MlsRequest | BlockRequest, coded: Any, output: Path, *, dequantize: bool) -> None:
    """Write OUT.npz whole (docs/quality.md has its entries); the same bytes for the same codes."""
    arrays: dict[str, Any] = {
        **asked.arrays(coded),
        "tensor_scale": coded.tensor_scale,
        "metadata": np.array(json.dumps(to_json(asked.recipe()), sort_keys=True)),
    }
    if dequantize:
        arrays["values"] = coded.dequantize().reshape(arrays["codes"].shape)
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_whole({output: content.getvalue()})


def _smallest(bits: int) -> np.dtype[Any]:
    return np.min_scalar_type((1 << bits) - 1)


def _flat(codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Blocks side by side along the last axis, as the array has them."""
    return codes.reshape(*codes.shape[:-2], -1)


def summary(asked: MlsRequest | BlockRequest, x: Float32, coded: Any) -> TensorRow:
    """What became of the tensor."""
    groups = asked.arrays(coded)["scale_codes"].size
    return TensorRow(
        shape=x.shape,
        elements=x.size,
        groups=groups,
        zero_share=1 - np.count_nonzero(coded.dequantize()) / x.size,
        input_zero_share=1 - np.count_nonzero(x) / x.size,
        errors=quantization_error(x.reshape(coded.shape), coded),
        bits_per_element=asked.bits(x.size, groups) / x.size,
        tensor_scale=float(coded.tensor_scale),
        recipe=asked.recipe(),
    )


def sheet(asked: MlsRequest | BlockRequest, row: TensorRow, output: Path) -> Table:
    """The summary, one figure a line."""
    recipe, errors = row.recipe, row.errors
    rounding = asked.rule
    if recipe.seed is not None:
        rounding += f", {recipe.random_bits} random bits, {recipe.generator}({recipe.seed})"
    lines = (
        ("elements", f"{row.elements:,}"),
        ("groups", f"{row.groups:,}"),
        ("zero codes, %", figure(100 * row.zero_share)),
        ("zeros before, %", figure(100 * row.input_zero_share)),
        ("average relative error, %", figure(100 * errors.average_relative)),
        ("error / mean magnitude, %", figure(100 * errors.normalized)),
        ("bias / mean magnitude, %", figure(100 * errors.bias)),
        ("bits per element, scales included", figure(row.bits_per_element, 4)),
        ("tensor scale", repr(row.tensor_scale)),
        ("rounding", rounding),
    )
    return pairs(f"{output}: {asked.title}", lines)
