"""A convolution layer in MLS codes: what golden's convolutions make of it, and its file.

A layer file is an `.npz` archive without objects. Entries, for each LETTER of `w`, `a` and, but for
inference, `e`: `LETTER`, the packed codes (unsigned, the tensor's shape); `LETTER_scale`, the
packed group scale codes (unsigned, of shape (d0, d1, 1, 1)); `LETTER_tensor_scale`, a float32. Then
`metadata`, a JSON text: `schema`, `name`, `stride`, `padding`, `formats` (by letter, `element` and
`scale` as "E,M"), `settings` and `origin`.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.conv import ConvResult, conv2d, conv2d_input_grad, conv2d_weight_grad
from ..golden.lowering import Convolution, Kind, check_equal, convolution
from ..golden.quantize import MlsTensor, element_fields
from ..golden.spec import AUTO, ElementFormat, ScaleFormat, parse_format, written
from ..support.errors import UserError
from ..support.files import write_whole
from .archive import to_bytes

SCHEMA = 1

SETTINGS: Mapping[str, tuple[type, ...]] = {
    "acc_width": (int, str),
    "acc_width_wgrad": (int, str),
    "overflow": (str,),
    "segment": (int,),
    "tree": (str,),
    "guard_bits": (int,),
    "lanes": (int,),
}
"""Options of golden's convolutions that a layer may ask for, and their kinds; `acc_width_wgrad` is
that of the weight gradient alone."""

# What NumPy, zipfile and json raise for files that are damaged, or others.
_BROKEN = (
    *(EOFError, KeyError, MemoryError, NotImplementedError, OverflowError, RuntimeError),
    *(SyntaxError, TokenError, TypeError, ValueError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """A convolution of MLS tensors.

    Parameters:
        name: in a line.
        tensors: by letter, groups "nc": `w` (co, ci, kh, kw), `a` (n, ci, h, w) and, unless there
            are no gradients, `e` (n, co, oh, ow), the gradient of the loss by the output.
        stride: >= 1; padding: zeros on each side, >= 0; both for rows and columns.
        settings: of `SETTINGS`, what is to be computed; what is left out is for others to choose.
        origin: where the layer comes from, in words of JSON; nothing depends on it.
    Raises: TypeError, ValueError for tensors that do not fit, and for other settings.
    """

    name: str
    tensors: Mapping[str, MlsTensor]
    stride: int
    padding: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable() or not self.name:
            raise ValueError(f"name must be a printable text, not {self.name!r}")
        if self.tensors.keys() not in ({"w", "a"}, {"w", "a", "e"}):
            raise ValueError(
                f"tensors must be w, a and e, or w and a, not {', '.join(self.tensors)}"
            )
        for letter, tensor in self.tensors.items():
            if len(tensor.shape) != 4 or 0 in tensor.shape:
                raise ValueError(f"{letter} must be of rank 4 and not empty, not {tensor.shape}")
            groups = (*tensor.shape[:2], 1, 1)
            check_equal(f"{letter}'s scales' shape", tensor.scale_exp.shape, groups)
        forward = self.convolution(Kind.WA)
        if "e" in self.tensors:
            check_equal("e's shape", self.tensors["e"].shape, forward.z)
        _check_settings(self.settings)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The convolutions that its tensors suffice for."""
        return tuple(kind for kind in Kind if set(kind) <= self.tensors.keys())

    def operands(self, kind: Kind) -> tuple[MlsTensor, MlsTensor]:
        """Tensors on the ports `w` and `a`."""
        return self.tensors[kind[0]], self.tensors[kind[1]]

    def convolution(self, kind: Kind, segment: int | None = None) -> Convolution:
        """What an output is made of."""
        w, a = self.operands(kind)
        place: dict[str, Any] = {"stride": self.stride, "padding": self.padding}
        return convolution(kind, w.shape, a.shape, **place, size=self._size(kind), segment=segment)

    def golden(self, kind: Kind, **options: Any) -> ConvResult:
        """All outputs; `options` as in `conv2d`."""
        place: dict[str, Any] = {"stride": self.stride, "padding": self.padding, **options}
        if kind == Kind.WA:
            return conv2d(*self.operands(kind), **place)
        if kind == Kind.WE:
            return conv2d_input_grad(*self.operands(kind), input_size=self._size(kind), **place)
        return conv2d_weight_grad(*self.operands(kind), kernel_size=self._size(kind), **place)

    def _size(self, kind: Kind) -> Any:
        planes = {Kind.WA: None, Kind.WE: self.tensors["a"], Kind.AE: self.tensors["w"]}[kind]
        return None if planes is None else planes.shape[2:]


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Raises: TypeError, ValueError; ranges are for who computes."""
    for name, value in settings.items():
        if name not in SETTINGS:
            raise ValueError(f"settings must be of {', '.join(SETTINGS)}, not {name!r}")
        kinds = SETTINGS[name]
        if not isinstance(value, kinds) or isinstance(value, bool):
            rule = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{name} must be of type {rule}, not {value!r}")
        if isinstance(value, str) and name.startswith("acc_width") and value != AUTO:
            raise ValueError(f"{name} must be an integer or {AUTO!r}, not {value!r}")


def save_layer(path: Path, layer: QuantizedLayer) -> None:
    """Write a layer file, whole or not at all: the same bytes for the same layer.

    Raises: OSError; TypeError where `origin` is not of JSON.
    """
    arrays: dict[str, npt.ArrayLike] = {}
    for letter, tensor in sorted(layer.tensors.items(), key=_place):
        widths = tensor.element.code_width, tensor.scale.code_width
        arrays[letter] = tensor.codes().astype(_unsigned(widths[0]))
        arrays[f"{letter}_scale"] = tensor.scale_codes().astype(_unsigned(widths[1]))
        arrays[f"{letter}_tensor_scale"] = np.float32(tensor.tensor_scale)
    described = {
        "schema": SCHEMA,
        "name": layer.name,
        "stride": layer.stride,
        "padding": layer.padding,
        "formats": {
            letter: {"element": written(tensor.element), "scale": written(tensor.scale)}
            for letter, tensor in layer.tensors.items()
        },
        "settings": dict(layer.settings),
        "origin": dict(layer.origin),
    }
    arrays["metadata"] = np.array(json.dumps(described, sort_keys=True))
    write_whole({path: to_bytes(arrays)})


def load_layer(path: Path) -> QuantizedLayer:
    """The layer of a file that `save_layer`, or anyone, wrote.

    Raises: OSError for a file that cannot be read, UserError for one that is no layer file.
    """
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is no .npz archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return _made(archive)
    except _BROKEN as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{path}: must be a layer file, as mlsmac.data.quantized.save_layer writes it: "
            f"{reason.partition(chr(10))[0] or type(error).__name__}"
        ) from None


def _made(archive: Mapping[str, npt.NDArray[Any]]) -> QuantizedLayer:
    """Raises: of `_BROKEN`."""
    described = json.loads(str(archive["metadata"]))
    if "layers" in described:
        raise ValueError("these are tensors before quantization, for --tensors")
    check_equal("schema", described["schema"], SCHEMA)
    tensors = {
        letter: _tensor(archive, letter, formats)
        for letter, formats in sorted(described["formats"].items(), key=_place)
    }
    own = ("name", "stride", "padding", "settings", "origin")
    return QuantizedLayer(tensors=tensors, **{name: described[name] for name in own})


def _place(item: tuple[str, Any]) -> int:
    """Of a letter's entry in the order w, a, e."""
    return "wae".find(item[0])


def _tensor(
    archive: Mapping[str, npt.NDArray[Any]], letter: str, formats: Mapping[str, str]
) -> MlsTensor:
    """Raises: KeyError, TypeError, ValueError."""
    element = parse_format(f"{letter}'s element", ElementFormat, formats["element"])
    scale = parse_format(f"{letter}'s scale", ScaleFormat, formats["scale"])
    codes = _codes(archive, letter, element.code_width)
    scale_codes = _codes(archive, f"{letter}_scale", scale.code_width)
    tensor_scale = archive[f"{letter}_tensor_scale"]
    if tensor_scale.dtype != np.float32 or tensor_scale.shape != ():
        raise TypeError(f"{letter}_tensor_scale must be a float32, not {tensor_scale!r}")
    if not 0 <= tensor_scale < np.inf:
        raise ValueError(f"{letter}_tensor_scale must be finite, 0 or more, not {tensor_scale!r}")
    sign, exp, man = element_fields(codes, element)
    return MlsTensor(
        sign=sign.astype(np.uint8),
        exp=exp.astype(np.uint8),
        man=man.astype(_unsigned(element.man_bits)),
        scale_exp=(scale_codes >> scale.man_bits).astype(np.uint8),
        scale_man=(scale_codes & ((1 << scale.man_bits) - 1)).astype(np.uint8),
        tensor_scale=np.float32(tensor_scale),
        element=element,
        scale=scale,
    )


def _codes(archive: Mapping[str, npt.NDArray[Any]], name: str, width: int) -> npt.NDArray[np.int64]:
    """Codes of `width` bits. Raises: KeyError, TypeError, ValueError."""
    codes = archive[name]
    if codes.dtype.kind not in "iu":
        raise TypeError(f"{name} must be of integers, not {codes.dtype}")
    if codes.size and not 0 <= codes.min() <= codes.max() < 1 << width:
        raise ValueError(
            f"{name} must be of codes of {width} bits, not {codes.min()}..{codes.max()}"
        )
    return codes.astype(np.int64)


def _unsigned(bits: int) -> np.dtype[Any]:
    """The smallest type of as many bits."""
    return np.min_scalar_type((1 << bits) - 1)
