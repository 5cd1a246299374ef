"""`mlsmac quantize`: a float32 array file to MLS codes, scale codes and what decodes them."""

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Any

import numpy as np
from rich.table import Table

from ..golden.quality import QuantizationError, quantization_error
from ..golden.quantize import Carry, Float32, Grouping, MlsTensor, quantize
from ..golden.spec import ElementFormat, Rounding, ScaleFormat, choice, parse_format
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
    recipe: Annotated[Recipe, Flat()]


@dataclass(frozen=True)
class Request:
    """How to quantize; `quantize` takes the members but `seed`, which seeds its generator."""

    element: ElementFormat
    scale: ScaleFormat
    group: Grouping
    rounding: Rounding
    carry: Carry
    random_bits: int
    seed: int

    @property
    def stochastic(self) -> bool:
        """Whether random words are used at all."""
        return self.rounding is Rounding.STOCHASTIC

    def quantize(self, x: Float32) -> MlsTensor:
        """Codes of `x`; stochastic words are `random_words(default_rng(seed), ...)`."""
        return quantize(
            x,
            self.element,
            self.scale,
            group=self.group,
            rounding=self.rounding,
            carry=self.carry,
            random_bits=self.random_bits,
            rng=np.random.default_rng(self.seed) if self.stochastic else None,
        )

    def recipe(self) -> Recipe:
        """The same, as it is told."""
        return Recipe(
            element=self.element,
            scale=self.scale,
            group=self.group.value,
            rounding=self.rounding.value,
            carry=self.carry.value,
            random_bits=self.random_bits,
            generator="numpy.random.default_rng" if self.stochastic else None,
            seed=self.seed if self.stochastic else None,
            numpy=np.__version__,
        )


def request(
    element: str, scale: str, group: str, rounding: str, carry: str, random_bits: int, seed: int
) -> Request:
    """The request that a command's options name. Raises: UserError, golden's rules included."""
    check_range("--seed", seed, 0)
    try:
        made = Request(
            parse_format("--format", ElementFormat, element),
            parse_format("--scale", ScaleFormat, scale),
            choice("--group", Grouping, group),
            choice("--rounding", Rounding, rounding),
            choice("--carry", Carry, carry),
            random_bits,
            seed,
        )
        made.quantize(np.zeros((1, 1), np.float32))
    except ValueError as error:
        raise UserError(str(error)) from None
    return made


def check_output(output: Path, source: Path) -> None:
    """Fail before any work. Raises: UserError."""
    folder = output.parent
    replaceable = output.is_file() or not output.exists()
    if not (replaceable and folder.is_dir() and os.access(folder, os.W_OK)):
        raise UserError(f"--output must be a file in a writable folder, not {str(output)!r}")
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"--output must be another file than the input, not {str(output)!r}")


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
    if x.dtype != np.float32:
        raise UserError(
            f"{source}: must be float32, not {x.dtype}; convert it with x.astype(numpy.float32)"
        )
    return x


def codes(asked: Request, x: Float32, source: Path) -> MlsTensor:
    """The codes of `x`. Raises: UserError for what golden refuses."""
    try:
        return asked.quantize(x)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None


def write(asked: Request, coded: MlsTensor, output: Path, *, dequantize: bool) -> None:
    """Write OUT.npz whole (docs/quality.md has its entries); the same bytes for the same codes."""
    arrays: dict[str, Any] = {
        "codes": coded.codes().astype(_smallest(coded.element.code_width)),
        "scale_codes": coded.scale_codes().astype(_smallest(coded.scale.code_width)),
        "tensor_scale": coded.tensor_scale,
        "metadata": np.array(json.dumps(to_json(asked.recipe()), sort_keys=True)),
    }
    if dequantize:
        arrays["values"] = coded.dequantize()
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_whole({output: content.getvalue()})


def _smallest(bits: int) -> np.dtype[Any]:
    return np.min_scalar_type((1 << bits) - 1)


def summary(asked: Request, x: Float32, coded: MlsTensor) -> TensorRow:
    """What became of the tensor."""
    groups = coded.scale_exp.size
    bits = x.size * coded.element.code_width + groups * coded.scale.code_width + 32
    return TensorRow(
        shape=x.shape,
        elements=x.size,
        groups=groups,
        zero_share=1 - np.count_nonzero(coded.significand()) / x.size,
        input_zero_share=1 - np.count_nonzero(x) / x.size,
        errors=quantization_error(x, coded),
        bits_per_element=bits / x.size,
        tensor_scale=float(coded.tensor_scale),
        recipe=asked.recipe(),
    )


def sheet(row: TensorRow, output: Path) -> Table:
    """The summary, one figure a line."""
    recipe, errors = row.recipe, row.errors
    title = f"{output}: {recipe.element} elements, {recipe.scale} scales, groups {recipe.group}"
    rounding = f"{recipe.rounding}, {recipe.carry}"
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
    return pairs(title, lines)
