"""Training studies: data sets from files, runs that go on where they stopped, what is reported."""

import gzip
import pickle
import struct

import numpy as np
import pytest
import torch

from mlsmac.nn.formats import read_config
from mlsmac.study.records import from_json, to_json
from mlsmac.study.training import run as runs
from mlsmac.study.training import study
from mlsmac.study.training.data import Source, augmented
from mlsmac.study.training.plot import training_plot
from mlsmac.study.training.rows import Epoch, Recipe, Run, TrainingReport
from mlsmac.study.training.tables import training_tables
from mlsmac.support.errors import ToolError, UserError


def _write_idx(path, array, packed):
    head = struct.pack(f">{array.ndim + 1}I", 0x800 + array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)


@pytest.fixture
def idx(tmp_path):
    """Images whose label is the brighter one of their quarters."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "images"
    folder.mkdir()
    for number, (part, count) in enumerate((("train", 96), ("t10k", 40))):
        labels = rng.integers(0, 4, count)
        x = rng.integers(0, 100, (count, 8, 8))
        for image, label in zip(x, labels, strict=True):
            image[4 * (label // 2) :][:4, 4 * (label % 2) :][:, :4] += 100
        _write_idx(folder / f"{part}-images-idx3-ubyte.gz", x, packed=True)
        _write_idx(folder / f"{part}-labels-idx1-ubyte", labels, packed=bool(number))
        if number:
            (folder / f"{part}-labels-idx1-ubyte").rename(folder / f"{part}-labels-idx1-ubyte.gz")
    return folder


def _recipe(source, **changes):
    data = source.load()
    given = {"model": "resnet-8", "epochs": 3, "batch": 32, **changes}
    return Recipe(data="images", data_digest=data.digest, size=data.images.shape[2], **given)


def test_idx_files_are_read_scaled_and_normalized(idx):
    data = Source(str(idx)).load()
    assert (data.name, data.classes, data.augment) == ("images", 4, False)
    assert data.images.shape == (96, 1, 8, 8)
    assert data.test_labels.shape == (40,)
    assert abs(data.images.mean()) < 1e-6
    assert abs(data.images.std() - 1) < 1e-6
    half = Source(str(idx), 4, "small").load()
    assert (half.name, half.images.shape) == ("small", (96, 1, 4, 4))
    pixels = data.images.reshape(96, 1, 4, 2, 4, 2).mean(dim=(3, 5))
    assert torch.allclose(half.images * pixels.std() + pixels.mean(), pixels, atol=1e-5)
    assert half.digest == data.digest


def test_batches_of_cifar(tmp_path):
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (6, 4, 3072), dtype=np.uint8)
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        batch = {b"data": pixels[number], b"labels": [0, 1, 2, number % 3]}
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=2))
    data = Source(str(tmp_path)).load()
    assert data.images.shape == (20, 3, 32, 32)
    assert data.augment
    red = torch.from_numpy(pixels[:5, :, :1024].astype(np.float32)).reshape(20, 32, 32)
    assert torch.allclose(data.images[:, 0], (red - red.mean()) / red.std(), atol=1e-5)
    assert data.test_labels.tolist() == [0, 1, 2, 2]


class _Harm:
    def __reduce__(self):
        return (print, ("harm",))


def test_a_pickle_of_anything_else_is_not_run(tmp_path, capsys):
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (tmp_path / name).write_bytes(pickle.dumps({b"data": _Harm()}))
    with pytest.raises(UserError, match="data_batch_1: must be a batch of CIFAR-10"):
        Source(str(tmp_path)).load()
    assert "harm" not in capsys.readouterr().out


def test_what_is_no_data_set(tmp_path, idx, monkeypatch):
    with pytest.raises(UserError, match="--data must be fashion-mnist, digits, or a folder that"):
        Source(str(tmp_path / "nowhere")).load()
    whole = (idx / "train-images-idx3-ubyte.gz").read_bytes()
    (idx / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(gzip.decompress(whole)[:-1]))
    with pytest.raises(UserError, match="must be an IDX file of bytes of rank 3, whole"):
        Source(str(idx)).load()
    (idx / "train-images-idx3-ubyte.gz").write_bytes(whole[:30] + b"damaged" + whole[37:])
    with pytest.raises(UserError, match="train-images-idx3-ubyte: "):
        Source(str(idx), 6).load()
    (idx / "train-images-idx3-ubyte.gz").write_bytes(whole)
    _write_idx(idx / "train-labels-idx1-ubyte", np.zeros(5), packed=False)
    with pytest.raises(UserError, match="a label for each image, and images, not 96 images and 5"):
        Source(str(idx), 5).load()
    _write_idx(idx / "train-labels-idx1-ubyte", np.zeros(96), packed=False)
    _write_idx(idx / "train-images-idx3-ubyte.gz", np.full((96, 8, 8), 7), packed=True)
    with pytest.raises(UserError, match="images must differ in every channel"):
        Source(str(idx), 4).load()
    monkeypatch.setattr("mlsmac.study.training.data.FASHION_MNIST", tmp_path / "none")
    with pytest.raises(ToolError, match="install Debian's package dataset-fashion-mnist"):
        Source("fashion-mnist").load()


def test_augmented_images_are_shifted_and_mirrored():
    x = torch.arange(1.0, 65.0).reshape(1, 1, 8, 8).repeat(400, 1, 1, 1)
    found = augmented(x, torch.Generator().manual_seed(1), reach=2)
    padded = torch.nn.functional.pad(x[:1], (2,) * 4)[0, 0]
    windows = {
        tuple(piece.reshape(-1).tolist())
        for top in range(5)
        for left in range(5)
        for piece in [padded[top : top + 8, left : left + 8]]
        for piece in (piece, piece.flip(1))
    }
    assert {tuple(image.reshape(-1).tolist()) for image in found} == windows


ARMS = ["float32", "mls --element 2,1", "mls --accumulate exact --acc-width 8 --scaling delayed"]


@pytest.mark.parametrize("arm", ARMS)
def test_a_run_that_was_interrupted_ends_the_same(idx, tmp_path, arm, monkeypatch):
    source = Source(str(idx))
    recipe = _recipe(source)
    whole = runs.train(_made(tmp_path / "whole"), recipe, source, arm, 1)
    assert len(whole.epochs) == 3

    folder = _made(tmp_path / "parts")
    epoch, count = runs.Trainer.epoch, iter(range(9))

    def killed(self):
        if next(count) == 2:
            raise KeyboardInterrupt
        epoch(self)

    monkeypatch.setattr(runs.Trainer, "epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.train(folder, recipe, source, arm, 1)
    assert len(runs.kept(folder, recipe, arm, 1).epochs) == 2
    monkeypatch.undo()
    steps = []
    step = runs.Trainer.step
    monkeypatch.setattr(
        runs.Trainer, "step", lambda self, *given: steps.append(1) or step(self, *given)
    )
    assert runs.train(folder, recipe, source, arm, 1) == whole
    assert len(steps) == 3  # one epoch of 96 images
    names = [path.name for path in folder.iterdir()]
    assert names == [runs.run_path(folder, recipe, arm, 1).name]
    content = (folder / names[0]).read_bytes()
    assert content == (tmp_path / "whole" / names[0]).read_bytes()
    if "exact" in arm:
        assert set(whole.overflows) == {"wa", "we", "ae"}
        assert whole.overflows["ae"] > 0


def _made(folder):
    folder.mkdir()
    return folder


def test_seeds_share_weights_and_order_across_arms(idx):
    source = Source(str(idx))
    recipe = _recipe(source)
    one, other = (runs.Trainer(recipe, source.load(), arm, 4) for arm in ARMS[:2])
    assert all(torch.equal(x, y) for x, y in zip(
        one.network.state_dict().values(), other.network.state_dict().values(), strict=True
    ))  # fmt: skip
    assert torch.equal(torch.rand(3, generator=one.order), torch.rand(3, generator=other.order))


def test_a_run_that_diverges_ends(idx, tmp_path):
    source = Source(str(idx))
    recipe = _recipe(source, learning_rate=1e30)
    run = runs.train(tmp_path, recipe, source, "mls", 1)
    assert run.finished(recipe)
    assert "finite" in run.diverged
    report = study.report(recipe, [Run("float32", 1, (Epoch(1.0, 0.5),) * 3), run])
    assert (report.rows[1].accuracy, report.rows[1].diverged) == (None, 1)
    (table,) = training_tables(report)
    cells = {column.heading: column.in_terminal(report.rows[1]) for column in table.columns}
    assert (cells["accuracy %"], cells["diverged"]) == ("-", "1")
    assert training_plot(report).startswith("<svg")
    assert [entry["format"] for entry in study.accuracies(report)] == []


def test_a_run_that_diverged_late_does_not_count():
    recipe = Recipe(data="x", data_digest="", size=8, model="resnet-8", epochs=2)
    late = Run("mls", 1, (Epoch(1.0, 0.88),), diverged="epoch 2: the loss")
    good = Run("mls", 2, (Epoch(1.0, 0.8), Epoch(0.9, 0.9)))
    (row,) = study.report(recipe, [late, good]).rows
    assert (row.accuracy, row.runs, row.diverged) == (90, 2, 1)
    assert study.accuracies(study.report(recipe, [late, good])) == []


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".pt", lambda path: path.write_bytes(b"")),
        (".pt", lambda path: path.write_bytes(pickle.dumps([1]))),
        (".pt", _flip),
        (".json", lambda path: path.write_text("[]")),
        (".json", lambda path: path.write_text('{"arm": "float32", "seed": 1, "epochs": [1]}')),
    ],
)
def test_what_is_damaged_begins_again(idx, tmp_path, suffix, damage, monkeypatch):
    source = Source(str(idx))
    recipe = _recipe(source)
    whole = runs.train(_made(tmp_path / "whole"), recipe, source, "float32", 1)
    folder = _made(tmp_path / "parts")
    epoch, count = runs.Trainer.epoch, iter(range(9))

    def killed(self):
        if next(count) == 1:
            raise KeyboardInterrupt
        epoch(self)

    monkeypatch.setattr(runs.Trainer, "epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.train(folder, recipe, source, "float32", 1)
    monkeypatch.undo()
    damage(runs.run_path(folder, recipe, "float32", 1).with_suffix(suffix))
    assert runs.train(folder, recipe, source, "float32", 1) == whole


def test_what_golden_refuses_names_the_format(idx, tmp_path):
    source = Source(str(idx))
    arm = "mls --element 4,8 --accumulate exact --acc-width 64"
    with pytest.raises(UserError, match=r"--arm 'mls --element 4,8 .*: element must keep"):
        runs.train(tmp_path, _recipe(source), source, arm, 1)


@pytest.mark.parametrize(("schedule", "rates"), [
    ("cosine", [1, 0.75, 0.5, 0.25, 0]), ("steps", [1, 1, 0.1, 0.1, 0.01]),
])  # fmt: skip
def test_learning_rates(idx, schedule, rates):
    source = Source(str(idx))
    trainer = runs.Trainer(
        _recipe(source, epochs=12, schedule=schedule), source.load(), "float32", 1
    )
    at = [0, 4, 6, 8, 12] if schedule == "cosine" else [0, 5.9, 6, 8.9, 9]
    assert [trainer._decay(epochs) for epochs in at] == pytest.approx(rates)


def test_a_study_reports_means_and_paired_differences():
    recipe = Recipe(data="x", data_digest="", size=8, model="resnet-8", epochs=1)
    made = [
        Run(arm, seed, (Epoch(1.0, accuracy),))
        for arm, own in (("float32", (0.90, 0.92)), ("mls", (0.89, 0.90)))
        for seed, accuracy in enumerate(own, 1)
    ]
    report = study.report(recipe, [*made, Run("mls", 3)])
    first, second = report.rows
    assert (report.planned, len(report.runs)) == (5, 4)
    assert (first.accuracy, first.accuracy_se) == pytest.approx((91, 1))
    assert (second.difference, second.difference_se) == pytest.approx((-1.5, 0.5))
    assert (second.runs, second.diverged) == (2, 0)
    assert from_json(TrainingReport, to_json(report)) == report


def test_a_study_trains_what_is_missing(idx, tmp_path):
    source = Source(str(idx))
    recipe = _recipe(source, epochs=1)
    told = []
    how = {"processes": 2, "progress": lambda *given: told.append(given)}
    found = study.train_all(tmp_path, recipe, source, ARMS[:2], [1, 2], **how)
    assert [(run.arm, run.seed) for run in found] == [(a, s) for s in (1, 2) for a in ARMS[:2]]
    assert all(run.finished(recipe) for run in found)
    assert told[-1] == ("training", 4, 4)
    told.clear()
    assert study.train_all(tmp_path, recipe, source, ARMS[:2], [1, 2], **how) == found
    assert not told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mls --elements 2,1", "mls takes --a VALUE, .* not '--elements'"),
        ("mls --element", "--element of mls must have a value"),
        ("mls 2,1", "mls takes .* not '2,1'"),
        ("float32 --bits 8", "float32 takes nothing, not '--bits'"),
        ("fp33", "format must be one of float32, mls"),
        ("", "format must be"),
        ("mls --element '2,1", "format must be"),
        ("mls --e.elements 2,1", "e must have fields of element, .* not 'elements'"),
    ],
)
def test_wrong_formats_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_config(text)


def test_a_format_with_options_of_one_operand():
    config = read_config("mls --element 2,1 --e.element 2,4 --acc-width auto --random-bits=4")
    assert str(config.operands["w"].element) == "<2,1>"
    assert str(config.operands["e"].element) == "<2,4>"
    assert config.acc_width == "auto"
    assert config.operands["a"].random_bits == 4
