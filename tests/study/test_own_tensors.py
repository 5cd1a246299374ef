"""Tensors of a user's own, and groups in which operands are quantized."""

import re
from pathlib import Path

import numpy as np
import pytest

from mlsmac import data
from mlsmac.golden.blocks import quantize_blocks
from mlsmac.golden.lowering import Kind
from mlsmac.golden.quantize import Grouping, quantize
from mlsmac.golden.spec import (
    BLOCK_PRESETS,
    MLS_E2M4,
    NVFP4_SCALE,
    SCALE_E8M0,
    SCALE_E8M1,
    ScaleFormat,
)
from mlsmac.study.stimuli.coding import Coding
from mlsmac.study.stimuli.draw import whole_sums
from mlsmac.study.stimuli.own import Pairs, read
from mlsmac.study.stimuli.pairs import build
from mlsmac.support.errors import UserError

RNG = np.random.default_rng(0)


def drawn(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


LINEAR = {"fc/w": drawn(6, 8), "fc/a": drawn(2, 5, 8), "fc/e": drawn(2, 5, 6)}
STRIDED = {"conv/w": drawn(4, 3, 3, 3), "conv/a": drawn(2, 3, 8, 8), "conv/e": drawn(2, 4, 4, 4)}


def test_layers_of_an_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **LINEAR, **STRIDED)
    fc, conv = read(tmp_path / "own.npz")
    assert (fc.name, fc.stride, fc.padding) == ("fc", 1, 0)
    assert [x.shape for x in fc.tensors().values()] == [(6, 8, 1, 1), (10, 8, 1, 1), (10, 6, 1, 1)]
    assert np.array_equal(fc.a[:, :, 0, 0], LINEAR["fc/a"].reshape(10, 8))
    assert (conv.name, conv.stride, conv.padding) == ("conv", 2, 1)
    assert np.array_equal(conv.w, STRIDED["conv/w"])


@pytest.mark.parametrize("name", ["conv.{}.npy", "conv_{}.npy", "conv/{}.npy"])
def test_folder_of_arrays_is_the_same(tmp_path: Path, name: str) -> None:
    for key, array in STRIDED.items():
        path = tmp_path / name.format(key[-1])
        path.parent.mkdir(exist_ok=True)
        np.save(path, array.astype(">f8"))
    (layer,) = read(tmp_path)
    assert (layer.name, layer.stride) == ("conv", 2)
    assert all(
        np.array_equal(x, y)
        for x, y in zip(layer.tensors().values(), STRIDED.values(), strict=True)
    )
    assert {x.dtype for x in layer.tensors().values()} == {np.dtype(np.float32)}


def test_stride_and_padding_may_be_told(tmp_path: Path) -> None:
    arrays = {"w": drawn(2, 2, 3, 3), "a": drawn(1, 2, 3, 3), "e": drawn(1, 2, 1, 1)}
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez(tmp_path / "b.npz", **arrays, stride=4, padding=1)
    (near,), (told,) = read(tmp_path / "a.npz"), read(tmp_path / "b.npz")
    assert [(x.stride, x.padding) for x in (near, told)] == [(1, 0), (4, 1)]


def test_capture_is_read_as_such(tmp_path: Path) -> None:
    layers = data.load()[:2]
    data.save(tmp_path / "capture.npz", layers, {"seed": 1})
    assert [x.phase for x in read(tmp_path / "capture.npz")] == [x.phase for x in layers]


def test_pairs_are_taken_in_their_order(tmp_path: Path) -> None:
    w, a = drawn(5, 8), drawn(5, 8)
    np.savez(tmp_path / "pairs.npz", w=w, a=a)
    stimulus = build(100, 0, tensors=str(tmp_path / "pairs.npz"))
    assert isinstance(stimulus.layers[0], Pairs)
    assert (stimulus.tensors, len(stimulus), stimulus.kinds) == ("pairs.npz", 40, (Kind.WA,))
    assert [x.tolist() for x in stimulus.values()] == [w.ravel().tolist(), a.ravel().tolist()]
    assert np.flatnonzero(stimulus.start).tolist() == [0, 8, 16, 24, 32]
    assert len(stimulus.resized(12)) == 12
    blocks = build(100, 0, tensors=str(tmp_path / "pairs.npz"), coding=Coding(4))
    assert np.flatnonzero(blocks.start).tolist() == [*range(0, 40, 4)]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": drawn(2)}, "arrays must be called w, a or e, or NAME/w and so on, not 'x'"),
        ({"w": drawn(2), "a": drawn(3)}, "pairs w and a must be of one shape"),
        ({"w": drawn(2, 2), "e": drawn(2, 2)}, "the layer must have w, a and e, but a is missing"),
        ({**LINEAR, "fc/w": drawn(6, 8, 3)}, "w of layer fc must be (outputs, inputs)"),
        (
            {**STRIDED, "conv/e": drawn(2, 4, 7, 4)},
            "conv must have a stride in 1..8 that",
        ),
        (
            {**STRIDED, "conv/padding": np.array(0)},
            "conv must have a stride in 1..8 that",
        ),
        ({**LINEAR, "fc/a": np.full((2, 8), np.nan)}, "a of layer fc must have elements, finite"),
        ({"w": np.array(["a"]), "a": np.array(["b"])}, "w must hold real numbers, not <U1"),
        ({"w": np.array([1j]), "a": np.array([1j])}, "w must hold real numbers, not complex128"),
        ({"w": np.array([1e300]), "a": np.array([1.0])}, "w must have elements, finite ones"),
    ],
)
def test_error_names_file_and_rule(tmp_path: Path, arrays: dict, message: str) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")


def test_no_file_and_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--tensors must be captured, normal, an"):
        read(tmp_path / "none.npz")
    np.save(tmp_path / "one.npy", drawn(3))
    with pytest.raises(UserError, match=r"one.npy: must be an .npz file"):
        read(tmp_path / "one.npy")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UserError, match=r"text.npz: "):
        read(tmp_path / "text.npz")
    np.save(tmp_path / "w.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(UserError, match=r"w.npy must be numbers that NumPy wrote"):
        read(tmp_path)


def test_sum_is_as_long_as_both_scales() -> None:
    """By hand: what each convolution sums over (ci, co, n), and what shares a scale."""
    whole = {
        Grouping.NC: (),
        Grouping.N: (Kind.WA,),  # w by co, a by n: both the same for an output
        Grouping.C: (Kind.AE,),  # a by ci, e by co
        Grouping.NONE: (Kind.WA, Kind.WE, Kind.AE),
    }
    for group, kinds in whole.items():
        assert [kind for kind in Kind if whole_sums(kind, group)] == list(kinds)


@pytest.mark.parametrize("group", Grouping)
def test_codes_are_those_of_golden(group: Grouping) -> None:
    """A drawn element has the code that its tensor, quantized whole, has at its place."""
    stimulus = build(300, 3, coding=Coding(group))
    w, _ = stimulus.encode(MLS_E2M4)
    tensors = [x for layer in stimulus.layers for x in layer.tensors().values()]
    ends = np.cumsum([x.size for x in tensors])
    for place, code in zip(stimulus.first[:20], w[:20], strict=True):
        number = int(np.searchsorted(ends, place, "right"))
        rng = np.random.default_rng([3, number])
        own = quantize(tensors[number], MLS_E2M4, SCALE_E8M1, group=group, rng=rng)
        assert own.codes().ravel()[place - (ends[number] - tensors[number].size)] == code


def test_products_of_a_sum_share_their_scales() -> None:
    """With groups "n" a W*A sum has all input channels of one output."""
    stimulus = build(3000, 0, ("wa",), coding=Coding(Grouping.N))
    lengths = np.diff(np.append(np.flatnonzero(stimulus.start), len(stimulus)))
    sizes = {layer.w[0].size for layer in stimulus.layers}
    assert set(lengths[:-1].tolist()) <= sizes
    assert max(lengths) > 9


@pytest.mark.parametrize(("name", "scale"), [("mxfp4", SCALE_E8M0), ("nvfp4", NVFP4_SCALE)])
def test_blocks_follow_the_rules_of_their_owners(name: str, scale: ScaleFormat) -> None:
    """The codes of drawn blocks are those of golden's blocks of the same values."""
    format = BLOCK_PRESETS[name]
    size = format.size
    stimulus = build(6 * size, 1, ("wa",), coding=Coding(size, scale))
    w, _ = stimulus.encode(format.element)
    starts = np.flatnonzero(stimulus.start)
    values, _ = stimulus.values()
    tensors = [x for layer in stimulus.layers for x in layer.tensors().values()]
    ends = np.cumsum([x.size for x in tensors])
    for begin, end in zip(starts, [*starts[1:], len(stimulus)], strict=True):
        number = int(np.searchsorted(ends, stimulus.first[begin], "right"))
        block = np.zeros((2, size), np.float32)
        block[0, : end - begin] = values[begin:end]
        block[1, 0] = np.abs(tensors[number]).max()
        whole = quantize_blocks(block, format).to_mls()
        assert np.array_equal(whole.codes()[0, : end - begin], w[begin:end])


def test_blocks_lie_along_the_sum() -> None:
    """Neighbours of a block of weights are those of neighbouring input channels."""
    layer = next(x for x in data.load() if x.w.shape[1:] == (16, 3, 3))
    stimulus = build(64, 0, ("wa",), layers=[layer], coding=Coding(8))
    w, a = (places.reshape(8, 8) for places in (stimulus.first, stimulus.second))
    assert (np.diff(w, axis=1) == 9).all()
    assert (np.diff(a, axis=1) == layer.a.shape[2] * layer.a.shape[3]).all()
    assert stimulus.start.reshape(8, 8).sum(axis=1).tolist() == [1] * 8


def test_digest_tells_groups_apart() -> None:
    digests = {
        build(60, 0, coding=Coding(group)).digest for group in (Grouping.NC, Grouping.NONE, 16, 32)
    }
    assert len(digests) == 4
    assert build(60, 0).digest == build(60, 0, coding=Coding(scale=SCALE_E8M1)).digest
