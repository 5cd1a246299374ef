"""One run: a network trained in one number format from one seed, from where it was interrupted."""

import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...golden.lowering import Kind
from ...nn import ResNet, Sums, quantized_layers, resnet8, resnet20
from ...nn.formats import read_config
from ...support.cache import digest
from ...support.errors import UserError
from ...support.files import write_whole
from ..records import from_json, to_json
from .data import Data, Source, augmented
from .rows import Epoch, Recipe, Run

MODELS: Mapping[str, Any] = {"resnet-8": resnet8, "resnet-20": resnet20}
SCHEDULES = ("cosine", "steps")

_EVALUATED = 1000
"""Test images at a time."""
_DIGEST = 64
"""Characters in front of a checkpoint."""


def run_path(folder: Path, recipe: Recipe, arm: str, seed: int) -> Path:
    """Where a run's results are kept: a name to read, and a digest of all that decides it."""
    name = "".join(c if c.isalnum() else "-" for c in arm.replace("--", "").replace(",", ""))
    key = digest([to_json(recipe), arm, seed])[:8]
    return folder / f"{name}-seed{seed}-{key}.json"


def kept(folder: Path, recipe: Recipe, arm: str, seed: int) -> Run:
    """The run as far as it got."""
    path = run_path(folder, recipe, arm, seed)
    try:
        return from_json(Run, json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return Run(arm, seed)  # none yet, or damaged


def keep(folder: Path, recipe: Recipe, run: Run, checkpoint: bytes | None = None) -> None:
    """Write what there is of a run, all or nothing. Raises: OSError."""
    path = run_path(folder, recipe, run.arm, run.seed)
    contents: dict[Path, str | bytes] = {path: json.dumps(to_json(run), indent=1) + "\n"}
    if checkpoint is not None:
        contents[path.with_suffix(".pt")] = checkpoint
    write_whole(contents)


class Trainer:
    """A run in memory, an epoch at a time."""

    def __init__(self, recipe: Recipe, data: Data, arm: str, seed: int):
        torch.set_num_threads(1)  # the order of float32 sums depends on it
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as torch asks for, on CUDA
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.manual_seed(seed)
        self.recipe = recipe
        self.config = read_config(arm)
        self.words = torch.Generator().manual_seed(seed)
        self.order = torch.Generator().manual_seed(seed)
        make = MODELS[recipe.model]
        network: ResNet = make(channels=data.images.shape[1], classes=data.classes)
        last: Any = {"memory_format": torch.channels_last}  # unknown to torch's declarations
        self.network = self.config.prepare(network, self.words).to(recipe.device, **last)
        self.images, self.labels, self.test_images, self.test_labels = (
            x.to(recipe.device)
            for x in (data.images, data.labels, data.test_images, data.test_labels)
        )
        self.optimizer = self.config.optimizer(
            self.network,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self.run = Run(arm, seed)

    @property
    def steps(self) -> int:
        """Of an epoch; an incomplete last batch is left out."""
        return len(self.images) // self.recipe.batch

    def epoch(self) -> None:
        """Train one epoch and evaluate; a loss that is not finite ends the run."""
        done = len(self.run.epochs)
        self.network.train()
        total = 0.0
        try:
            shuffled = torch.randperm(len(self.images), generator=self.order)
            for index in range(self.steps):
                part = shuffled[index * self.recipe.batch : (index + 1) * self.recipe.batch]
                total += self.step(part, done + index / self.steps)
            accuracy = self.evaluate()
        except FloatingPointError as error:
            self.run = self._with(diverged=f"epoch {done + 1}: {error}")
            return
        self.run = self._with(epochs=(*self.run.epochs, Epoch(total / self.steps, accuracy)))

    def step(self, chosen: Tensor, epochs: float) -> float:
        """One step on some images, `epochs` after the beginning: the loss.

        Raises: FloatingPointError.
        """
        images = self.images[chosen]
        if self.recipe.augment:
            images = augmented(images, self.order)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self._decay(epochs)
        loss = functional.cross_entropy(self.network(images), self.labels[chosen])
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss must be finite, not {value}")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return value

    def _decay(self, epochs: float) -> float:
        share = epochs / self.recipe.epochs
        if self.recipe.schedule == "cosine":
            return (1 + math.cos(math.pi * share)) / 2
        return 0.1 ** ((share >= 0.5) + (share >= 0.75))

    @torch.no_grad()
    def evaluate(self) -> float:
        """Share of the test images that are right, 0..1."""
        self.network.eval()
        right = 0
        for begin in range(0, len(self.test_images), _EVALUATED):
            part = slice(begin, begin + _EVALUATED)
            logits = self.network(self.test_images[part])
            right += int((logits.argmax(dim=1) == self.test_labels[part]).sum())
        return right / len(self.test_images)

    def _with(self, **changes: Any) -> Run:
        rates: dict[str, list[int]] = {}
        for layer in quantized_layers(self.network).values():
            for kind, sums in layer.sums.items():
                both = rates.setdefault(kind.value, [0, 0])
                both[0] += sums.overflows
                both[1] += sums.sums
        overflows = {kind: a / b for kind, (a, b) in sorted(rates.items())}
        now = {"epochs": self.run.epochs, "overflows": overflows, **changes}
        return Run(self.run.arm, self.run.seed, **now)

    def state(self) -> bytes:
        """All that the next epoch depends on."""
        content = io.BytesIO()
        parts = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "order": self.order.get_state(),
            "words": self.words.get_state(),
            "sums": {
                name: {kind.value: asdict(sums) for kind, sums in layer.sums.items()}
                for name, layer in quantized_layers(self.network).items()
            },
            "run": to_json(self.run),
        }
        torch.save(parts, content)
        return digest([content.getvalue()]).encode() + content.getvalue()

    def restore(self, state: bytes) -> None:
        """Go on from there. Raises: ValueError for one that is damaged."""
        told, content = state[:_DIGEST], state[_DIGEST:]
        if told != digest([content]).encode():
            raise ValueError("checkpoint must be whole")
        parts = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        self.network.load_state_dict(parts["network"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.order.set_state(parts["order"])
        self.words.set_state(parts["words"])
        for name, layer in quantized_layers(self.network).items():
            layer.sums.update({Kind(k): Sums(**s) for k, s in parts["sums"][name].items()})
        self.run = from_json(Run, parts["run"])


def train(folder: Path, recipe: Recipe, source: Source, arm: str, seed: int) -> Run:
    """Finish a run, from its last whole epoch on; results and a checkpoint are written after each.

    Raises: UserError for an arm, OSError.
    """
    found = kept(folder, recipe, arm, seed)
    if found.finished(recipe):
        return found
    data = source.load()
    trainer = Trainer(recipe, data, arm, seed)
    checkpoint = run_path(folder, recipe, arm, seed).with_suffix(".pt")
    if found.epochs:
        try:
            trainer.restore(checkpoint.read_bytes())
        except (OSError, ValueError):
            trainer = Trainer(recipe, data, arm, seed)
    while not trainer.run.finished(recipe):
        try:
            trainer.epoch()
        except ValueError as error:
            raise UserError(f"--arm {arm!r}: {error}") from None  # golden's rules for exact sums
        keep(folder, recipe, trainer.run, trainer.state())
    checkpoint.unlink(missing_ok=True)
    return trainer.run
