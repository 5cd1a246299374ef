"""`replay`: a trained network through golden's convolutions, beside float products."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..golden.lowering import Kind
from ..golden.quantize import Float32, MlsTensor
from ..golden.spec import resolve_acc_width
from .arrays import from_numpy, to_numpy
from .config import Config, Float32Config
from .convert import Filter, quantized_layers
from .layers import QuantizedLayer
from .mls import MlsConfig
from .passes import Loss, backward, chosen_layers, reconfigured, twin, watching
from .products import Products

EXACT, FLOAT, FLOAT32 = "exact", "float", "float32"
"""The arms: golden's convolutions; the same coding with products and sums in float32; operands as
they are."""


@dataclass(frozen=True)
class ReplayRow:
    """One product of a layer in the exact arm.

    Members:
        layer: path; product: "wa", "we" or "ae"; acc_width: accumulator width in bits.
        sums: accumulated sums, one a segment; overflows: of them; rate: their share, 0..1.
        deviation: of the result from that of the same codes in float32, root mean square over root
            mean square; None where the latter is zero.
    """

    layer: str
    product: str
    acc_width: int
    sums: int
    overflows: int
    rate: float
    deviation: float | None


@dataclass(frozen=True)
class Difference:
    """Outputs of the exact arm against another's: largest and root mean square difference; share
    of equal classes (largest outputs), 0..1.
    """

    largest: float
    rms: float
    agreement: float


@dataclass(frozen=True, eq=False)
class Replay:
    """What became of a batch.

    Members:
        rows: by layer and product; outputs: the model's, by arm; differences: by the arm that the
            exact one is compared with; accuracy: by arm, 0..1, None without labels.
    """

    rows: tuple[ReplayRow, ...]
    outputs: Mapping[str, Float32]
    differences: Mapping[str, Difference]
    accuracy: Mapping[str, float] | None

    def rate(self, product: Kind | str) -> float:
        """Share of the sums of a product, over all layers, that overflowed, 0..1; NaN of none."""
        own = [row for row in self.rows if row.product == product]
        sums = sum(row.sums for row in own)
        return sum(row.overflows for row in own) / sums if sums else math.nan

    def to_json(self) -> dict[str, Any]:
        """Numbers that are not finite become null."""
        record = {
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "outputs": {arm: z.tolist() for arm, z in self.outputs.items()},
            "differences": {x: dataclasses.asdict(each) for x, each in self.differences.items()},
            "accuracy": None if self.accuracy is None else dict(self.accuracy),
        }
        return {name: _finite(value) for name, value in record.items()}

    def table(self) -> str:
        """Rows, and the rest in words; a line each."""
        head = ("layer", "product", "bits", "sums", "overflows", "rate", "deviation")
        cells = [head, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for row in cells:
            padded = [row[0].ljust(widths[0])]
            padded += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(padded))
        products = dict.fromkeys(row.product for row in self.rows)
        rates = ", ".join(f"{product} {self.rate(product):.3%}" for product in products)
        lines.append(f"overflows of all layers: {rates}")
        for arm, each in self.differences.items():
            lines.append(
                f"exact against {arm}: largest difference {each.largest:.3g}, "
                f"rms {each.rms:.3g}, same class {each.agreement:.2%}"
            )
        if self.accuracy is not None:
            shares = ", ".join(f"{arm} {share:.2%}" for arm, share in self.accuracy.items())
            lines.append(f"accuracy: {shares}")
        return "\n".join(lines)


def replay(
    model: nn.Module,
    batch: Any,
    config: MlsConfig,
    labels: Tensor | None = None,
    *,
    loss: Loss | None = None,
    filter: Filter | None = None,
) -> Replay:
    """Run a batch through golden's convolutions with the widths, tree and segments of `config`, and
    beside it with float products and with nothing coded.

    The model evaluates: all rounding is to nearest, batch norm has its running statistics. Each arm
    codes its own operands by the same rules; a row's `deviation` is one of the same codes. It all
    happens in copies, the model stays as it is.

    Parameters:
        model: converted or not; batch: what it is called with; config: its `accumulate` does not
            matter, its formats replace those of converted layers.
        labels: (n,), of a cross entropy, or `loss`: called with the model's output; with either of
            them the two gradients are replayed too.
        filter: layers to convert, as in `convert`; None: those that are converted, where there is
            none those that `convert` would.
    Raises: TypeError for a model that gives no tensor; ValueError for layers or formats that
        golden has no convolution of; FloatingPointError for operands that are not finite.
    """
    filter = chosen_layers(model) if filter is None else filter
    if not isinstance(config, MlsConfig):
        raise TypeError(f"config must be an MlsConfig, not {config!r}")
    exact = config.with_options(accumulate="exact")
    arms: dict[str, Config] = {
        EXACT: exact,
        FLOAT: config.with_options(accumulate="float"),
        FLOAT32: Float32Config(),
    }
    outputs: dict[str, Float32] = {}
    rows: list[ReplayRow] = []
    for arm, own_config in arms.items():
        with twin(model) as own:
            own = reconfigured(own, own_config, filter).eval()
            layers = quantized_layers(own)
            if arm == EXACT:
                for layer in layers.values():
                    layer.config = watching(_Beside, exact)
            z = own(batch)
            if not isinstance(z, Tensor) or z.ndim < 2:
                raise TypeError(f"model must return a tensor (n, classes), not {type(z).__name__}")
            if arm == EXACT:
                backward(z, labels, loss)
                rows += [row for name, layer in layers.items() for row in _rows(name, layer)]
            outputs[arm] = to_numpy(z)
    if not rows:
        raise ValueError("model must have a layer that is converted, or that filter wants")
    return Replay(
        tuple(rows),
        outputs,
        {arm: _difference(outputs[EXACT], outputs[arm]) for arm in (FLOAT, FLOAT32)},
        None if labels is None else {arm: _right(z, labels) for arm, z in outputs.items()},
    )


@dataclass
class _Deviation:
    """Of a product: sums of squares, and the accumulator's width in bits."""

    acc_width: int
    apart: float = 0.0
    whole: float = 0.0

    @property
    def share(self) -> float | None:
        """Root mean square over root mean square."""
        return math.sqrt(self.apart / self.whole) if self.whole else None


@dataclass(frozen=True, kw_only=True)
class _Beside(MlsConfig):
    """Exact, and the same codes in float32 beside it."""

    deviations: dict[Kind, _Deviation] = field(default_factory=dict, hash=False)

    def multiply(self, kind: Kind, products: Products, left: Any, right: Any) -> Tensor:
        z = super().multiply(kind, products, left, right)
        plain = products.multiply(kind, *(from_numpy(x.dequantize()) for x in (left, right)))
        own = self.deviations.setdefault(kind, _Deviation(self._bits(kind, products, right)))
        own.apart += float((z.double() - plain.double()).square().sum())
        own.whole += float(plain.double().square().sum())
        return z

    def _bits(self, kind: Kind, products: Products, right: MlsTensor) -> int:
        """Of the accumulator; "auto" is as wide as the longest sum takes."""
        planes = right.shape[2:] if kind is Kind.AE else products.kernel_size
        length = min(filter(None, (self.segment, math.prod(planes))))
        largest = right.element.max_significand**2
        return resolve_acc_width(largest, self.width(kind), length)


def _rows(name: str, layer: QuantizedLayer) -> list[ReplayRow]:
    assert isinstance(layer.config, _Beside)
    rows = []
    for kind, sums in sorted(layer.sums.items(), key=lambda item: list(Kind).index(item[0])):
        own = layer.config.deviations[kind]
        counts = (sums.sums, sums.overflows, sums.rate)
        rows.append(ReplayRow(name or "layer", kind.value, own.acc_width, *counts, own.share))
    return rows


def _cells(row: ReplayRow) -> tuple[str, ...]:
    deviation = "-" if row.deviation is None else f"{row.deviation:.3g}"
    counts = (str(row.acc_width), str(row.sums), str(row.overflows))
    return (row.layer, row.product, *counts, f"{row.rate:.3%}", deviation)


def _difference(z: Float32, other: Float32) -> Difference:
    apart = np.abs(z.astype(np.float64) - other)
    same = z.argmax(axis=1) == other.argmax(axis=1)
    return Difference(float(apart.max()), math.sqrt(np.square(apart).mean()), float(same.mean()))


def _right(z: Float32, labels: Tensor) -> float:
    return float((z.argmax(axis=1) == labels.cpu().numpy()).mean())


def _finite(x: Any) -> Any:
    """Of lists, mappings and numbers, null for what JSON has no number for."""
    if isinstance(x, dict):
        return {key: _finite(value) for key, value in x.items()}
    if isinstance(x, list):
        return [_finite(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
