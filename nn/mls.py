"""MLS in training: how operands are coded, and how codes are multiplied."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from ..golden.lowering import Kind
from ..golden.quantize import Float32, Grouping, MlsTensor
from ..golden.quantize import quantize as golden_quantize
from ..golden.quantize import quantize_values as golden_values
from ..golden.spec import (
    AUTO,
    GUARD_BITS,
    MLS_E2M4,
    RANDOM_BITS,
    SCALE_E8M1,
    Carry,
    ElementFormat,
    Overflow,
    Rounding,
    ScaleFormat,
    Scaling,
    Tree,
    check_int,
    choice,
    parse_format,
)
from . import device
from .arrays import device_words, from_numpy, rounding_words, to_numpy
from .config import LETTERS, Config, Context
from .products import Products


@dataclass(frozen=True)
class MlsOperand:
    """How one operand becomes MLS codes; parameters of `golden.quantize`."""

    element: ElementFormat
    scale: ScaleFormat
    group: Grouping
    rounding: Rounding
    carry: Carry
    random_bits: int

    def arguments(self, x: Float32, context: Context) -> dict[str, Any]:
        """Of golden's quantizers. Words are drawn where rounding is stochastic and the layer
        trains.
        """
        random = None
        rounding = self._rounding(context)
        if rounding is Rounding.STOCHASTIC:
            random = rounding_words(x, self.random_bits, context.generator)
        return {
            "group": self.group,
            "rounding": rounding,
            "carry": self.carry,
            "random_bits": self.random_bits,
            "random": random,
            "tensor_scale": context.tensor_scale,
        }

    def device_words(self, x: Tensor, context: Context) -> Tensor | None:
        """Words on the device of `x`; None for nearest."""
        if self._rounding(context) is Rounding.NEAREST:
            return None
        return device_words(x, self.random_bits, context.generator)

    def _rounding(self, context: Context) -> Rounding:
        return self.rounding if context.training else Rounding.NEAREST


@dataclass(frozen=True, kw_only=True)
class MlsConfig(Config):
    """MLS operands: `golden.quantize` of W, A and E, multiplied in float32 or bit for bit as a tile
    does.

    Parameters:
        element, scale: formats, or what `--format` and `--scale` of the command line take.
        group: "nc", "n", "c" or "none".
        rounding: "stochastic" or "nearest"; a layer that evaluates rounds to nearest either way.
        carry: "clip" or "carry"; random_bits: 1..16, of stochastic rounding.
        w, a, e: fields of the above that differ for one operand: `e={"element": "2,4"}`.
        scaling: "current": a tensor's scale is its own maximum; "delayed": that of the step before,
            which one pass over the tensor does with (docs/numerics.md section 3).
        accumulate: "float": products and sums of values in float32, as libraries of quantized
            training have it; "exact": `golden.conv2d` and its gradients, bit for bit a tile, for
            groups "nc" of one element and one scale format.
        acc_width, acc_width_wgrad: accumulator width in bits, 2..64, or "auto" (proven), of W*A and
            W*E, and of A*E (None: the same); overflow, tree, segment, lanes, guard_bits: as in
            `golden.conv2d`. All of "exact" alone.
    Raises: TypeError, ValueError.
    Source: Algorithms 1 and 2 of the MLS paper.
    """

    element: ElementFormat = MLS_E2M4
    scale: ScaleFormat = SCALE_E8M1
    group: Grouping | str = Grouping.NC
    rounding: Rounding | str = Rounding.STOCHASTIC
    carry: Carry | str = Carry.CLIP
    random_bits: int = RANDOM_BITS
    w: Mapping[str, Any] = field(default_factory=dict, hash=False)
    a: Mapping[str, Any] = field(default_factory=dict, hash=False)
    e: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scaling: Scaling | str = Scaling.CURRENT
    accumulate: str = "float"
    acc_width: int | str = 16
    acc_width_wgrad: int | str | None = None
    overflow: Overflow | str = Overflow.SATURATE
    tree: Tree | str = Tree.FP32
    segment: int | None = None
    lanes: int | None = None
    guard_bits: int = GUARD_BITS

    def __post_init__(self) -> None:
        own = {f.name: getattr(self, f.name) for f in fields(MlsOperand)}
        operands = {letter: _operand(letter, own, getattr(self, letter)) for letter in LETTERS}
        object.__setattr__(self, "operands", operands)
        object.__setattr__(self, "scaling", choice("scaling", Scaling, self.scaling))
        if self.accumulate not in ("float", "exact"):
            raise ValueError(f"accumulate must be 'float' or 'exact', not {self.accumulate!r}")
        choice("overflow", Overflow, self.overflow)
        choice("tree", Tree, self.tree)
        for name in ("segment", "lanes"):
            if (count := getattr(self, name)) is not None:
                check_int(name, count, 1, 1 << 30)
        check_int("guard_bits", self.guard_bits, 0, 32)
        for name in ("acc_width", "acc_width_wgrad"):
            if (width := getattr(self, name)) not in (AUTO, None):
                check_int(name, width, 2, 64)
        if self.accumulate == "exact":
            self._check_exact()

    def _check_exact(self) -> None:
        for letter, operand in self.operands.items():
            if operand.group is not Grouping.NC:
                rule = "group must be 'nc' for exact sums"
                raise ValueError(f"{rule}, not {operand.group.value!r} of {letter!r}")
            for name in ("element", "scale"):
                ours, theirs = (getattr(self.operands[x], name) for x in ("w", letter))
                if ours != theirs:
                    rule = f"{name} must be the same of all operands for exact sums"
                    raise ValueError(f"{rule}, not {ours} of 'w' and {theirs} of {letter!r}")

    operands: ClassVar[dict[str, MlsOperand]]

    @property
    def exact(self) -> bool:
        """Whether golden's convolutions multiply."""
        return self.accumulate == "exact"

    @property
    def delayed(self) -> bool:
        """Whether tensor scales are those of the step before."""
        return self.scaling is Scaling.DELAYED

    def width(self, kind: Kind) -> int | str:
        """Accumulator width of a product."""
        wgrad = kind is Kind.AE and self.acc_width_wgrad is not None
        return self.acc_width_wgrad if wgrad else self.acc_width  # type: ignore[return-value]

    def code(self, x: Tensor, letter: str, kind: Kind, context: Context) -> Tensor | MlsTensor:
        """Values, or for exact sums codes."""
        if self.exact:
            if x.device.type != "cpu":
                raise ValueError(f"exact sums must be on the CPU, not on {x.device}")
            return self.tensor(x, letter, context)
        return self.values(x, letter, context)

    def tensor(self, x: Tensor, letter: str, context: Context) -> MlsTensor:
        """Codes of `x`, by `golden.quantize`."""
        return self._golden(golden_quantize, x, letter, context)

    def values(self, x: Tensor, letter: str, context: Context) -> Tensor:
        """The float32 values of the codes of `x`, by `golden.quantize_values`, or the same on the
        device where `x` is.
        """
        if x.device.type == "cpu":
            return from_numpy(self._golden(golden_values, x, letter, context))
        return self._on_device(x, letter, context)

    def _on_device(self, x: Tensor, letter: str, context: Context) -> Tensor:
        operand = self.operands[letter]
        with context.refusals(letter):
            return device.quantize_values(
                x,
                operand.element,
                operand.scale,
                group=operand.group,
                carry=operand.carry,
                random_bits=operand.random_bits,
                words=operand.device_words(x, context),
                tensor_scale=context.tensor_scale,
            )

    def _golden(self, quantizer: Any, x: Tensor, letter: str, context: Context) -> Any:
        operand = self.operands[letter]
        array = to_numpy(x)
        arguments = operand.arguments(array, context)
        with context.refusals(letter):
            return quantizer(array, operand.element, operand.scale, **arguments)

    def multiply(self, kind: Kind, products: Products, left: Any, right: Any) -> Tensor:
        """In float32, or by golden's convolutions."""
        if not self.exact:
            return products.multiply(kind, left, right)
        return products.exact(
            kind,
            left,
            right,
            acc_width=self.width(kind),
            overflow=self.overflow,
            segment=self.segment,
            tree=self.tree,
            lanes=self.lanes,
            guard_bits=self.guard_bits,
        )

    def check(self, products: Products) -> None:
        """Raises: ValueError where exact sums are asked for and golden has none."""
        if self.exact:
            products.check_exact()

    def with_options(self, **options: Any) -> "MlsConfig":
        """The same with other parameters."""
        return replace(self, **options)


def _operand(letter: str, own: Mapping[str, Any], given: Mapping[str, Any]) -> MlsOperand:
    """The operand's fields, checked. Raises: TypeError, ValueError."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{letter} must be a mapping of {', '.join(own)}, not {given!r}")
    unknown = sorted(set(given) - set(own))
    if unknown:
        raise ValueError(f"{letter} must have fields of {', '.join(own)}, not {unknown[0]!r}")
    merged = {**own, **given}
    if isinstance(merged["element"], str):
        merged["element"] = parse_format("element", ElementFormat, merged["element"])
    if isinstance(merged["scale"], str):
        merged["scale"] = parse_format("scale", ScaleFormat, merged["scale"])
    for name, member in (("group", Grouping), ("rounding", Rounding), ("carry", Carry)):
        merged[name] = choice(name, member, merged[name])
    operand = MlsOperand(**merged)
    # Golden's own rules, before any training.
    golden_quantize(
        np.zeros((1, 1), np.float32),
        operand.element,
        operand.scale,
        rounding=Rounding.NEAREST,
        random_bits=operand.random_bits,
    )
    return operand
