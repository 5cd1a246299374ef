"""Image data sets as tensors: Fashion-MNIST, CIFAR-10, scikit-learn's digits."""

import functools
import gzip
import io
import pickle
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...support.cache import digest
from ...support.errors import ToolError, UserError

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` has it."""

_DIGITS_TEST = 360
_IDX_IMAGES, _IDX_LABELS = 2051, 2049


@dataclass(frozen=True, eq=False)
class Data:
    """Images (n, channels, h, w), float32, mean 0 and variance 1 by channel over the training set;
    labels (n,), int64; `classes` of them.

    Members: `augment`: whether mirrored and shifted images are images of the same kind; `digest`:
    of the pixels and labels as they were read, hex.
    """

    name: str
    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    augment: bool
    digest: str

    @property
    def classes(self) -> int:
        """Number of labels."""
        return int(self.labels.max()) + 1


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Bytes (n, channels, h, w) and labels (n,) of both sets."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    augment: bool

    def check(self, place: str) -> None:
        """Raises: UserError."""
        for x, labels in ((self.train, self.train_labels), (self.test, self.test_labels)):
            if len(x) != len(labels) or not len(x):
                rule = "must have a label for each image, and images"
                raise UserError(f"{place}: {rule}, not {len(x)} images and {len(labels)} labels")
        if (self.train.min(axis=(0, 2, 3)) == self.train.max(axis=(0, 2, 3))).any():
            raise UserError(f"{place}: images must differ in every channel")


@dataclass(frozen=True)
class Source:
    """Where images come from, and how large they are wanted.

    Members: `place`: `fashion-mnist`, `digits`, or a folder: `cifar-10-batches-py`, or the four
    files of (Fashion-)MNIST. `size`: rows and columns to scale to, by areas down, bilinear up;
    None: as they are. `name`: how results call it; None: `place`'s last part.
    """

    place: str
    size: int | None = None
    name: str | None = None

    @functools.cache  # noqa: B019 - read once in a process and by those forked from it
    def load(self) -> Data:
        """Raises: UserError for a folder that holds neither, ToolError where a data set is not
        installed.
        """
        pixels = _read(self.place)
        pixels.check(self.place)
        train, test = (_scaled(x, self.size) for x in (pixels.train, pixels.test))
        mean = train.mean(dim=(0, 2, 3), keepdim=True)
        std = train.std(dim=(0, 2, 3), keepdim=True)
        return Data(
            self.name or Path(self.place).name,
            (train - mean) / std,
            torch.from_numpy(pixels.train_labels.astype(np.int64)),
            (test - mean) / std,
            torch.from_numpy(pixels.test_labels.astype(np.int64)),
            pixels.augment,
            digest([pixels.train, pixels.train_labels, pixels.test, pixels.test_labels]),
        )


def _scaled(pixels: np.ndarray, size: int | None) -> Tensor:
    x = torch.from_numpy(pixels.astype(np.float32))
    if size is None or size == x.shape[2] == x.shape[3]:
        return x
    if size < min(x.shape[2:]):
        return functional.interpolate(x, size=(size, size), mode="area")
    return functional.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


def _read(source: str) -> _Pixels:
    if source == "digits":
        return _digits()
    folder = FASHION_MNIST if source == "fashion-mnist" else Path(source)
    if source == "fashion-mnist" and not folder.is_dir():
        how = "install Debian's package dataset-fashion-mnist, or name a folder with its four files"
        raise ToolError(f"fashion-mnist is not in {folder}: {how}")
    for holds, read in _FOLDERS.items():
        if any((folder / name).exists() for name in (holds, f"{holds}.gz")):
            return read(folder)
    rule = "fashion-mnist, digits, or a folder that holds " + " or ".join(_FOLDERS)
    raise UserError(f"--data must be {rule}, not {source!r}")


def _digits() -> _Pixels:
    """8 x 8 images; the last 360 of 1797, in an order drawn with seed 0, are the test set."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as missing:
        raise ToolError(f"{missing}; install the extra: pip install 'mlsmac[train]'") from None
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x = pixels[order].astype(np.uint8).reshape(-1, 1, 8, 8)
    y = labels[order].astype(np.uint8)
    cut = len(x) - _DIGITS_TEST
    return _Pixels(x[:cut], y[:cut], x[cut:], y[cut:], augment=False)


def _idx_folder(folder: Path) -> _Pixels:
    """The four files of MNIST, as they are or packed by gzip."""
    (train, train_labels), (test, test_labels) = (
        (
            _idx(folder, f"{part}-images-idx3-ubyte", _IDX_IMAGES)[:, np.newaxis],
            _idx(folder, f"{part}-labels-idx1-ubyte", _IDX_LABELS),
        )
        for part in ("train", "t10k")
    )
    return _Pixels(train, train_labels, test, test_labels, augment=False)


def _idx(folder: Path, name: str, magic: int) -> np.ndarray:
    """An array of bytes. Raises: UserError for a file that is missing, or of another kind."""
    plain, packed = folder / name, folder / f"{name}.gz"
    try:
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{plain}: {error}") from None
    rank = magic & 0xFF
    head = np.frombuffer(content[: 4 * (rank + 1)], ">u4")
    if head.size != rank + 1 or head[0] != magic or len(content) != 4 * head.size + head[1:].prod():
        raise UserError(f"{plain}: must be an IDX file of bytes of rank {rank}, whole")
    return np.frombuffer(content, np.uint8, offset=4 * head.size).reshape(*map(int, head[1:]))


class _Arrays(pickle.Unpickler):
    """Pickles of arrays and strings alone: a pickle of another kind can run anything."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype", "encode", "scalar"}
        if module.split(".")[0] in ("numpy", "_codecs") and name in allowed:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a batch of CIFAR-10")


def _cifar(folder: Path) -> _Pixels:
    """`data_batch_1` to `_5` and `test_batch`, as CIFAR-10's authors wrote them."""
    batches = [_batch(folder / f"data_batch_{i}") for i in range(1, 6)]
    train, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return _Pixels(train, labels, *_batch(folder / "test_batch"), augment=True)


def _batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raises: UserError."""
    try:
        batch = _Arrays(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
        return pixels.astype(np.uint8).reshape(-1, 3, 32, 32), labels.astype(np.uint8)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(
            f"{path}: must be a batch of CIFAR-10 in Python's format: {error}"
        ) from None


_FOLDERS: Mapping[str, Callable[[Path], _Pixels]] = {
    "train-images-idx3-ubyte": _idx_folder,
    "data_batch_1": _cifar,
}
"""Readers of a folder by a file that it must hold."""


def augmented(images: Tensor, generator: torch.Generator, reach: int = 4) -> Tensor:
    """Each image shifted by up to `reach` rows and columns, zeros moving in, and mirrored or not.

    Source: K. He et al., "Deep residual learning for image recognition", 2016, section 4.2.
    """
    n, _, height, width = images.shape
    padded = functional.pad(images, (reach,) * 4)
    drawn = torch.randint(2 * reach + 1, (2, n), generator=generator).to(images.device)
    mirror = torch.randint(2, (n,), generator=generator).bool().to(images.device)
    top, left = drawn
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(n, width)
    columns = left[:, None] + torch.where(mirror[:, None], columns.flip(1), columns)
    sample = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )
