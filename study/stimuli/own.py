"""Tensors of a user's own, instead of the capture: layers of convolutions, or plain pairs.

Read are a capture (docs in data/README.md), and `.npz` files and folders of `.npy` files with the
same names: `w`, `a` and `e` of one layer, or `NAME/w`, `NAME/a`, `NAME/e` of several (in a folder
also `NAME.w.npy` or `NAME_w.npy`), with `NAME/stride` and `NAME/padding` where the shapes leave
them open. `w` and `a` alone are pairs of operands: a number each, a row a sum.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...data import MAX_STRIDE, OWN, Layer
from ...data import load as load_capture
from ...support.errors import UserError

_NAME = re.compile(r"(?:(?P<layer>.*)[/._])?(?P<part>w|a|e|stride|padding)")
_RANKS = {2: "(outputs, inputs), a linear layer's", 4: "of a convolution's rank, 4"}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Operand pairs, `w` and `a` float32 of shape (sums, 1, 1, products of a sum)."""

    w: np.ndarray
    a: np.ndarray
    name: str = "pairs"

    def tensors(self) -> dict[str, np.ndarray]:
        """As those of a layer."""
        return {"w": self.w, "a": self.a}


Layers = tuple[Layer, ...] | tuple[Pairs, ...]
"""What operands are drawn from."""


def read(path: Path) -> Layers:
    """The layers, or the pairs, of an `.npz` file or a folder of `.npy` files.

    Elements become float32; linear layers (rank 2, or activations with more leading dimensions)
    become convolutions of 1 x 1. Stride and padding: the smallest that fit the shapes.
    Raises: UserError, which names the file and the rule.
    """
    if not path.exists():
        rule = "--tensors must be captured, normal, an .npz file or a folder of .npy files"
        raise UserError(f"{rule}, not {str(path)!r}: there is nothing of that name")
    try:
        arrays = dict(_arrays(path))
        if "metadata" in arrays:
            return load_capture(path)
        return _made(arrays)
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: {error}") from None


def _arrays(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays by name."""
    if path.is_dir():
        for file in sorted(path.rglob("*.npy")):
            name = file.relative_to(path).with_suffix("").as_posix()
            yield name, _loaded(file)
        return
    with path.open("rb") as opened:
        archive = _loaded(opened)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("must be an .npz file, several arrays by name, not one array")
        for name in archive.files:
            yield name, archive[name]


def _loaded(file: Any) -> Any:
    """What NumPy wrote, without objects. Raises: ValueError."""
    try:
        return np.load(file, allow_pickle=False)
    except (ValueError, EOFError):
        name = Path(file.name if hasattr(file, "name") else file).name
        raise ValueError(f"{name} must be numbers that NumPy wrote") from None


def _made(arrays: Mapping[str, np.ndarray]) -> Layers:
    """Layers of named arrays. Raises: TypeError, ValueError."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"arrays must be called w, a or e, or NAME/w and so on, not {name!r}")
        layers.setdefault(found["layer"] or "", {})[found["part"]] = array
    if not layers:
        raise ValueError("there must be arrays called w and a, not none")
    if [parts.keys() for parts in layers.values()] == [{"w", "a"}]:
        return (_pairs(**next(iter(layers.values()))),)
    return tuple(_layer(name, parts) for name, parts in layers.items())


def _layer(name: str, parts: Mapping[str, np.ndarray]) -> Layer:
    """One layer. Raises: TypeError, ValueError."""
    where = f"layer {name}" if name else "the layer"
    if missing := [part for part in "wae" if part not in parts]:
        raise ValueError(f"{where} must have w, a and e, but {' and '.join(missing)} is missing")
    w, a, e = (_float32(f"{part} of {where}", parts[part]) for part in "wae")
    if w.ndim not in _RANKS:
        raise ValueError(f"w of {where} must be {' or '.join(_RANKS.values())}, not {w.ndim}")
    if w.ndim == 2:
        w, a, e = (x.reshape(-1, x.shape[-1], 1, 1) for x in (w, a, e))
    given = [
        _whole(f"{part} of {where}", parts[part]) if part in parts else None
        for part in ("stride", "padding")
    ]
    stride, padding = _geometry(where, w, a, e, *given)
    return Layer(name or "layer", OWN, w, a, e, stride, padding)


def _whole(what: str, x: np.ndarray) -> int:
    """A number. Raises: TypeError."""
    if x.dtype.kind not in "iu" or x.size != 1:
        raise TypeError(f"{what} must be one integer, not {x!r}")
    return int(x.item())


def _geometry(
    where: str,
    w: np.ndarray,
    a: np.ndarray,
    e: np.ndarray,
    stride: int | None,
    padding: int | None,
) -> tuple[int, int]:
    """The smallest stride, and with it padding, that fit the shapes, of those that are not given.

    Raises: ValueError.
    """
    shapes = f"w {w.shape}, a {a.shape}, e {e.shape}"
    if a.ndim != 4 or e.ndim != 4:
        raise ValueError(f"a and e of {where} must be of the rank of w, not {shapes}")
    kernel = w.shape[2]
    for own_stride in range(1, MAX_STRIDE + 1) if stride is None else (stride,):
        for own_padding in range(kernel) if padding is None else (padding,):
            reach = 2 * own_padding - kernel
            if all(
                (size + reach) // max(own_stride, 1) + 1 == result
                for size, result in zip(a.shape[2:], e.shape[2:], strict=True)
            ):
                return own_stride, own_padding
    raise ValueError(f"{where} must have a stride in 1..{MAX_STRIDE} that fits {shapes}")


def _pairs(w: np.ndarray, a: np.ndarray) -> Pairs:
    """Operands of the same shape. Raises: TypeError, ValueError."""
    if w.shape != a.shape or w.ndim not in (1, 2) or not w.size:
        rule = "pairs w and a must be of one shape, (products,) or (sums, products), or there be e"
        raise ValueError(f"{rule}; not {w.shape} and {a.shape}")
    shape = (-1, 1, 1, w.shape[-1])
    return Pairs(_float32("w", w).reshape(shape), _float32("a", a).reshape(shape))


def _float32(what: str, x: Any) -> np.ndarray:
    """Finite float32 of the same values, or of the nearest ones. Raises: TypeError, ValueError."""
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{what} must hold real numbers, not {x.dtype}")
    with np.errstate(over="ignore"):
        near = np.ascontiguousarray(x, np.float32)
    if not x.size or not np.isfinite(near).all():
        raise ValueError(f"{what} must have elements, finite ones in float32")
    return near
