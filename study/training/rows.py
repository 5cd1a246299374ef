"""The records of a training study, and their JSON (`records`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all runs of a study share; the optimizer is the paper's, appendix B."""

    data: Annotated[str, "data set"]
    data_digest: Annotated[str, "SHA-256 of its pixels and labels"]
    size: Annotated[int, "rows and columns of an image"]
    model: Annotated[str, "`resnet-8` or `resnet-20`"]
    epochs: Annotated[int, "epochs of a run"]
    batch: Annotated[int, "images of a step"] = 128
    learning_rate: Annotated[float, "the first step's"] = 0.1
    momentum: Annotated[float, "of stochastic gradient descent"] = 0.9
    weight_decay: Annotated[float, "of all weights"] = 5e-4
    schedule: Annotated[
        str, "`cosine` to zero, or `steps`: a tenth from half of the epochs on, then three quarters"
    ] = "cosine"
    augment: Annotated[bool, "whether training images are shifted and mirrored"] = False
    device: Annotated[str, "`cpu` or `cuda`: float32 sums differ in their last bits"] = "cpu"


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to."""

    loss: Annotated[float, "mean loss of its steps"]
    accuracy: Annotated[float, "share of test images that were right after it, 0..1"]


@dataclass(frozen=True)
class Run:
    """A run, finished or under way."""

    arm: Annotated[str, "the number format, as `--arm` takes it"]
    seed: Annotated[int, "of weights, order of images, and random words"]
    epochs: Annotated[tuple[Epoch, ...], "each epoch that is done"] = ()
    diverged: Annotated[
        str | None, "why the run ended early: a loss or an operand that is not finite"
    ] = None
    overflows: Annotated[
        Mapping[str, float], "share of accumulated sums that overflowed in training, by product"
    ] = field(default_factory=dict)

    def finished(self, recipe: Recipe) -> bool:
        """Whether nothing is left to do."""
        return self.diverged is not None or len(self.epochs) == recipe.epochs

    @property
    def accuracy(self) -> float | None:
        """After the last epoch, 0..1; None of a run that diverged, or has not begun."""
        return self.epochs[-1].accuracy if self.epochs and self.diverged is None else None


@dataclass(frozen=True)
class ArmRow:
    """An arm over its seeds; accuracies of the last epoch in percent, standard errors of means."""

    arm: Annotated[str, "the number format, as `--arm` takes it"]
    runs: Annotated[int, "finished runs"]
    accuracy: Annotated[
        float | None, "mean of the finished runs that did not diverge, %; null where there is none"
    ]
    accuracy_se: Annotated[float | None, "its standard error; null of fewer than two runs"]
    difference: Annotated[
        float | None, "mean difference to the first arm from the same seeds, points"
    ]
    difference_se: Annotated[float | None, "its standard error"]
    diverged: Annotated[int, "runs that ended early with numbers that are not finite"]
    overflows: Annotated[
        dict[str, float], "share of accumulated sums that overflowed, by product, mean of the runs"
    ]


@dataclass(frozen=True)
class TrainingReport:
    """`training.json`."""

    schema: Annotated[int, "version of this layout"]
    tools: Annotated[dict[str, str], "versions of what was trained with"]
    recipe: Annotated[Recipe, "what all runs share"]
    planned: Annotated[int, "runs that were asked for"]
    rows: Annotated[tuple[ArmRow, ...], "arms in the order of the command line"]
    runs: Annotated[tuple[Run, ...], "runs that are finished"]
