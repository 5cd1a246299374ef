"""Training end to end in CI: 100 steps in MLS, 5 on the accumulator, a replay of what came out."""

import pytest
import torch

from mlsmac.nn import MlsConfig, convert, quantized_layers, replay
from mlsmac.study.training.data import Source
from mlsmac.study.training.rows import Recipe
from mlsmac.study.training.run import Trainer


@pytest.fixture(scope="module")
def trainer():
    """ResNet-8 on 8 x 8 digits, `<2,1>`, 100 steps of 64."""
    data = Source("digits").load()
    recipe = Recipe(data="digits", data_digest="", size=8, model="resnet-8", epochs=1, batch=64)
    made = Trainer(recipe, data, "mls --element 2,1", 1)
    made.network.train()
    order = torch.arange(100 * 64) % len(made.images)
    made.losses = [made.step(part, 0) for part in order.reshape(100, 64)]
    return made


def test_a_hundred_steps_learn_the_digits(trainer):
    assert sum(trainer.losses[-10:]) < 0.3 * sum(trainer.losses[:10])
    assert trainer.evaluate() > 0.85


def test_a_replay_agrees_where_no_sum_overflows(trainer):
    images, labels = trainer.test_images[:64], trainer.test_labels[:64]
    wide = MlsConfig(element="2,1", accumulate="exact", acc_width="auto")
    found = replay(trainer.network, images, wide, labels)
    assert len(found.rows) == 3 * len(quantized_layers(trainer.network))
    assert all(row.overflows == 0 < row.sums for row in found.rows)
    assert found.differences["float"].agreement == 1
    narrow = replay(trainer.network, images, wide.with_options(acc_width=7), labels)
    assert narrow.rate("wa") > 0.001
    assert narrow.differences["float"].rms > 10 * found.differences["float"].rms


def test_five_steps_on_the_accumulator_go_on(trainer):
    convert(trainer.network, MlsConfig(element="2,1", accumulate="exact"))
    trainer.network.train()
    losses = [trainer.step(torch.arange(64 * i, 64 * i + 64), 0) for i in range(5)]
    assert max(losses) < sum(trainer.losses[:10]) / 10
    for layer in quantized_layers(trainer.network).values():
        assert {kind.value for kind in layer.sums} == {"wa", "we", "ae"}
