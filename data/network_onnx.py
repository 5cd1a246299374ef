"""Networks of ONNX files: their convolutions and linear layers, in order; the last one is the
classifier.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..support.errors import ToolError, UserError
from .network_file import DEFAULT_BATCH, checked
from .networks import Convolution, Network

_LINEAR = ("Gemm", "MatMul")
_OTHERS = frozenset(
    (
        *("ConvTranspose", "ConvInteger", "DeformConv", "QLinearConv"),
        *("MatMulInteger", "QLinearMatMul", "RNN", "LSTM", "GRU", "Einsum", "Attention"),
    )
)
"""What multiplies, and is not counted."""


def read_onnx(path: Path) -> Network:
    """The network of a file. Raises: UserError that names node and rule, ToolError without `onnx`,
    OSError.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError:
        raise ToolError("ONNX files need a package: pip install 'mlsmac[onnx]'") from None
    content = path.read_bytes()
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content))
    except (DecodeError, onnx.shape_inference.InferenceError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path} must be an ONNX model: {line}") from None
    layers = _Walk(model.graph, str(path)).layers()
    found = checked(layers, str(path))
    return Network(path.stem, str(path), DEFAULT_BATCH, found[:-1], found[-1])


@dataclass(frozen=True)
class _Walk:
    """The nodes of a graph."""

    graph: Any
    source: str

    def layers(self) -> tuple[Convolution, ...]:
        """In order. Raises: UserError."""
        found: list[Convolution] = []
        shapes = dict(_shapes(self.graph))
        made_by: dict[str, int] = {}  # the last layer that a tensor depends on
        read: set[str] = set()
        for node in self.graph.node:
            before = [made_by[name] for name in node.input if name in made_by]
            last = max(before, default=None)
            layer = self._layer(node, shapes)
            if layer is not None:
                found.append(replace(layer, shortcut=node.input[0] in read))
                read.add(node.input[0])
                last = len(found) - 1
            elif last is not None and node.op_type == "BatchNormalization":
                found[last] = replace(found[last], normalized=True)
            elif last is not None and node.op_type in ("Add", "Sum") and len(before) > 1:
                found[last] = replace(found[last], adds=True)
            if last is not None:
                made_by |= dict.fromkeys(node.output, last)
        return tuple(found)

    def _layer(self, node: Any, shapes: Mapping[str, list[int | None]]) -> Convolution | None:
        """Of a node; None where it multiplies no weights."""
        if node.op_type in _OTHERS:
            raise self._error(node, "only Conv, Gemm and MatMul are counted")
        if node.op_type not in ("Conv", *_LINEAR):
            return None
        weights, output = shapes.get(node.input[1], []), shapes.get(node.output[0], [])
        attributes = {own.name: own.ints or own.i for own in node.attribute}
        if node.op_type == "Conv":
            groups = int(attributes.get("group") or 1)
            kernel = self._square(node, "kernel", weights[2:])
            size = self._square(node, "output", output[2:])
            strides = list(attributes.get("strides") or (1, 1))
            stride = self._square(node, "stride", strides)
            outputs, inputs = (self._known(node, "channels", own) for own in weights[:2])
            return Convolution(
                inputs * groups, outputs, kernel, stride, size, groups, normalized=False
            )
        if len(weights) != 2 or node.input[1] not in {own.name for own in self.graph.initializer}:
            raise self._error(node, "must have a matrix of weights")
        rows, columns = (self._known(node, "weights", own) for own in weights)
        is_transposed = node.op_type == "Gemm" and attributes.get("transB")
        inputs, outputs = (columns, rows) if is_transposed else (rows, columns)
        if len(output) != 2:
            raise self._error(node, f"must have outputs of rank 2, not {len(output)}")
        return Convolution(inputs, outputs, 1, 1, 1, normalized=False)

    def _square(self, node: Any, what: str, sizes: list[int | None]) -> int:
        """Of two sizes, which must be one. Raises: UserError."""
        if len(sizes) != 2:
            raise self._error(node, f"{what} must have two sizes, not {len(sizes)}")
        height, width = (self._known(node, what, own) for own in sizes)
        if height != width:
            raise self._error(node, f"{what} must be square, not {height} x {width}")
        return height

    def _known(self, node: Any, what: str, size: int | None) -> int:
        if size is None:
            raise self._error(node, f"{what} must be of a known size: export with sizes fixed")
        return size

    def _error(self, node: Any, rule: str) -> UserError:
        return UserError(f"{self.source}, {node.op_type} {node.name or node.output[0]}: {rule}")


def _shapes(graph: Any) -> Iterator[tuple[str, list[int | None]]]:
    """Sizes of tensors by name; None for those that are open."""
    for own in (*graph.input, *graph.value_info, *graph.output):
        dims = own.type.tensor_type.shape.dim
        yield own.name, [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    for own in graph.initializer:
        yield own.name, list(own.dims)
