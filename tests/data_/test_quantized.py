"""Layers in codes: what fits together; the file, its bytes and its errors."""

import contextlib
import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsmac import data
from mlsmac.data.quantized import QuantizedLayer, load_layer, save_layer
from mlsmac.golden import MLS_E1M6, MLS_E2M4, SCALE_E8M1, ElementFormat, MlsTensor, quantize
from mlsmac.golden.lowering import Kind
from mlsmac.golden.spec import ScaleFormat
from mlsmac.support.errors import UserError

SHAPES = {"w": (2, 3, 3, 3), "a": (2, 3, 6, 5), "e": (2, 2, 3, 3)}
FIELDS = ("sign", "exp", "man", "scale_exp", "scale_man", "tensor_scale", "element", "scale")


def tensor(
    shape: tuple[int, ...], element: ElementFormat = MLS_E2M4, scale: ScaleFormat = SCALE_E8M1
) -> MlsTensor:
    rng = np.random.default_rng(len(shape) + sum(shape))
    return quantize(rng.standard_normal(shape).astype(np.float32), element, scale, rng=rng)


def small_layer(**changes: Any) -> QuantizedLayer:
    tensors = {letter: tensor(shape) for letter, shape in SHAPES.items()}
    fields: dict[str, Any] = {"name": "conv", "tensors": tensors, "stride": 2, "padding": 1}
    return QuantizedLayer(**(fields | changes))


@pytest.mark.parametrize("letters", ["wae", "wa", "eaw"])
def test_saved_layer_loads_again(letters: str, tmp_path: Path) -> None:
    scales = SCALE_E8M1, ScaleFormat(4, 0)
    elements = MLS_E2M4, MLS_E1M6, ElementFormat(3, 10)
    tensors = {
        letter: tensor(SHAPES[letter], elements[each], scales[each % 2])
        for each, letter in enumerate(letters)
    }
    settings = {"acc_width": 18, "acc_width_wgrad": "auto", "lanes": 4, "tree": "exact"}
    origin = {"network": "résnet", "step": 3}
    layer = small_layer(tensors=tensors, settings=settings, origin=origin)
    save_layer(tmp_path / "layer.npz", layer)
    loaded = load_layer(tmp_path / "layer.npz")
    for own in ("name", "stride", "padding", "settings", "origin", "kinds"):
        assert getattr(loaded, own) == getattr(layer, own)
    for letter, given in tensors.items():
        for name in FIELDS:
            value, expected = getattr(loaded.tensors[letter], name), getattr(given, name)
            assert np.array_equal(value, expected), (letter, name)
            assert getattr(value, "dtype", 0) == getattr(expected, "dtype", 0), (letter, name)


def test_same_layer_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = small_layer(origin={"a": 1, "b": 2})
    turned = dict(reversed(layer.tensors.items()))
    save_layer(tmp_path / "one.npz", layer)
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_layer(tmp_path / "two.npz", small_layer(tensors=turned, origin={"b": 2, "a": 1}))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_file_of_plain_numpy_is_a_layer(tmp_path: Path) -> None:
    """As the module documents the entries: whoever has codes can write one."""
    w, a = np.array([[[[0b0_11_0001]]]], np.uint8), np.full((1, 1, 2, 2), 0b1_00_0110, np.int32)
    scale = np.array([[[[0b101_1]]]])
    formats = {letter: {"element": "2,4", "scale": "<8,1>"} for letter in "wa"}
    place = {"stride": 1, "padding": 0, "settings": {}, "origin": {}}
    metadata = json.dumps({"schema": 1, "name": "x", "formats": formats, **place})
    scales = {"w_scale": scale, "a_scale": scale, "w_tensor_scale": np.float32(2)}
    np.savez(
        tmp_path / "x.npz", w=w, a=a, a_tensor_scale=np.float32(4), metadata=metadata, **scales
    )
    layer = load_layer(tmp_path / "x.npz")
    assert layer.kinds == (Kind.WA,)
    # (2^4 + 1) << 2 and -6, of 2^-7 each; groups of 1.5 * 2^-5 each.
    product = -(17 << 2) * 6 * 2.0**-14 * (1.5 * 2.0**-5) ** 2 * 8
    assert layer.golden(Kind.WA).z.tolist() == np.full((1, 1, 2, 2), product).tolist()


def without_errors(**changes: Any) -> QuantizedLayer:
    tensors = {letter: tensor(SHAPES[letter]) for letter in "wa"}
    return small_layer(tensors=tensors, **changes)


def test_kinds_are_those_of_the_tensors() -> None:
    assert small_layer().kinds == tuple(Kind)
    assert without_errors().kinds == (Kind.WA,)
    with pytest.raises(KeyError):
        without_errors().golden(Kind.AE)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"stride": 1}, ValueError, r"e's shape must be \(2, 2, 6, 5\), not \(2, 2, 3, 3\)"),
        ({"stride": 0}, ValueError, "stride must be in 1.."),
        ({"padding": -1}, ValueError, "padding must be in 0.."),
        ({"name": "a\nb"}, ValueError, "name must be a printable text"),
        ({"settings": {"width": 3}}, ValueError, "settings must be of acc_width, .*not 'width'"),
        ({"settings": {"lanes": True}}, TypeError, "lanes must be of type int, not True"),
        ({"settings": {"segment": None}}, TypeError, "segment must be of type int, not None"),
        ({"settings": {"acc_width": "wide"}}, ValueError, "acc_width must be an integer or 'auto'"),
        ({"tensors": {"w": tensor((2, 3, 3, 3))}}, ValueError, "tensors must be w, a and e"),
        (
            {"tensors": {"w": tensor((2, 3, 3, 3)), "a": tensor((2, 4, 6, 5))}},
            ValueError,
            "a's channels must be 3, not 4",
        ),
        (
            {"tensors": {"w": tensor((2, 3, 3)), "a": tensor((2, 3, 6, 5))}},
            ValueError,
            "w must be of rank 4",
        ),
        (
            {"tensors": {"w": tensor((2, 3, 9, 3)), "a": tensor((2, 3, 6, 5))}},
            ValueError,
            "the kernel must fit",
        ),
    ],
)
def test_layer_refuses(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        small_layer(**changes)


def test_groups_are_nc() -> None:
    x = np.ones((2, 3, 6, 5), np.float32)
    rows = quantize(x, MLS_E2M4, SCALE_E8M1, group="n", rounding="nearest")
    with pytest.raises(ValueError, match=r"a's scales' shape must be \(2, 3, 1, 1\)"):
        small_layer(tensors={"w": tensor((2, 3, 3, 3)), "a": rows})


def test_nothing_is_left_of_a_layer_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="JSON"):
        save_layer(tmp_path / "layer.npz", small_layer(origin={"network": object()}))
    assert not list(tmp_path.iterdir())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_layer(tmp_path / "none.npz")


RULE = r"broken\.npz: must be a layer file, as mlsmac\.data\.quantized\.save_layer writes it: ."


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken", b"\x93NUMPY\x01\x00"])
def test_file_that_is_no_archive(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(content)
    with pytest.raises(UserError, match=RULE):
        load_layer(tmp_path / "broken.npz")


def test_one_array_is_no_layer(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(content.getvalue())
    with pytest.raises(UserError, match=RULE):
        load_layer(tmp_path / "broken.npz")


@pytest.mark.parametrize("place", range(40, 2000, 61))
def test_a_damaged_file_is_refused_or_read(place: int, tmp_path: Path) -> None:
    """Never another error: a checksum, a header, a length, or nothing that anyone reads."""
    path = tmp_path / "broken.npz"
    save_layer(path, small_layer())
    content = bytearray(path.read_bytes())
    content[place] ^= 0x55
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        load_layer(path)


def test_a_capture_is_told_from_a_layer(tmp_path: Path) -> None:
    data.save(tmp_path / "capture.npz", data.load()[:1], {})
    with pytest.raises(UserError, match=r"these are tensors before quantization, for --tensors$"):
        load_layer(tmp_path / "capture.npz")


def changed(entry: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def apply(arrays: dict[str, Any]) -> None:
        arrays[entry] = change(arrays[entry])

    return apply


def described(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(arrays: dict[str, Any]) -> None:
        metadata = json.loads(str(arrays["metadata"]))
        metadata[name] = value
        arrays["metadata"] = json.dumps(metadata)

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("metadata"), "there is no 'metadata"),
        (lambda arrays: arrays.pop("e_scale"), "there is no 'e_scale"),
        (changed("metadata", lambda _: "{"), "Expecting property name"),
        (changed("metadata", lambda _: "[]"), "list indices must be"),
        (changed("w", lambda codes: codes.astype(np.float32)), "w must be of integers"),
        (changed("w", lambda codes: codes.astype(np.int64) - 200), "w must be of codes of 7 bits"),
        (changed("a", lambda codes: codes | 128), "a must be of codes of 7 bits, not 128..255"),
        (changed("a", lambda codes: codes.astype(object)), "allow_pickle=False"),
        (changed("a", lambda codes: codes[:, :2]), "a's scales' shape must be"),
        (changed("e_scale", lambda codes: codes[:, :, 0, 0]), "e's scales' shape must be"),
        (changed("a_tensor_scale", np.float64), "a_tensor_scale must be a float32"),
        (changed("a_tensor_scale", lambda _: np.float32("nan")), "must be finite, 0 or more"),
        (changed("a_tensor_scale", lambda scale: -scale), "must be finite, 0 or more"),
        (described("schema", 2), "schema must be 1, not 2"),
        (described("stride", "2"), "stride must be an integer, not '2'"),
        (described("settings", {"lanes": "4"}), "lanes must be of type int"),
        (described("formats", {"w": {"element": "9,9", "scale": "8,1"}}), "exp_bits must be in"),
        (described("formats", {}), "tensors must be w, a and e"),
    ],
)
def test_file_that_is_no_layer(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.npz"
    save_layer(path, small_layer())
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=message) as caught:
        load_layer(path)
    assert str(caught.value).startswith(f"{path}: must be a layer file")


def test_layer_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        small_layer().stride = 1  # type: ignore[misc]
