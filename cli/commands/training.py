"""`mlsmac train`: networks trained in number formats."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ...study.training.rows import TrainingReport
from ...support.errors import ToolError, UserError
from ..options import Json, Output, check_range
from ..output import err, json_text, print_paths, show
from ..progress import progress_bar, with_time_left


def train(
    *,
    data: Annotated[
        str,
        typer.Option(
            help="fashion-mnist (Debian's dataset-fashion-mnist), digits (scikit-learn's), or a "
            "folder: cifar-10-batches-py, or the four files of MNIST."
        ),
    ] = "fashion-mnist",
    data_name: Annotated[
        str | None, typer.Option(help="What results call the data set; default: its own name.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Rows and columns to scale images to; default: as they are.")
    ] = None,
    model: Annotated[str, typer.Option(help="resnet-8 or resnet-20.")] = "resnet-8",
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="A number format: 'float32', 'mls --element 2,1 --group none'; again for more. "
            "Differences are to the first. Default: float32 and mls."
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTION=VALUE...",
            help="More arms: MLS with every combination of these values, ranges allowed: "
            "'element=0-2,1-4' 'group=none nc'.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Of a run.")] = 10,
    seeds: Annotated[int, typer.Option(help="Runs of an arm, from seeds 1, 2, ...")] = 1,
    batch: Annotated[int, typer.Option(help="Images of a step.")] = 128,
    schedule: Annotated[
        str, typer.Option(help="Of the learning rate: cosine, or steps as in the MLS paper.")
    ] = "cosine",
    processes: Annotated[
        int | None, typer.Option(help="Runs at the same time; default: as many as cores.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda: one run at a time.")] = "cpu",
    finished: Annotated[
        bool, typer.Option("--finished", help="Train nothing: show the runs that are finished.")
    ] = False,
    output: Output = Path("build/training"),
    as_json: Json = False,
) -> None:
    """Train a network in several number formats: accuracy by format, with standard errors.

    The folder of the output keeps each run after every epoch: the same command goes on from there.
    """
    try:
        import torch

        from ...study.training import study
        from ...study.training.data import Source
        from ...study.training.run import MODELS, SCHEDULES, Recipe
    except ImportError as missing:
        raise ToolError(f"{missing}; install the extra: pip install 'mlsmac[train]'") from None
    from ...study.training.tables import training_tables
    from .. import measuring

    arms = _arms(arm, grid or [])
    for option, value, allowed in (
        ("--model", model, tuple(MODELS)),
        ("--schedule", schedule, SCHEDULES),
        ("--device", device, ("cpu", "cuda")),
    ):
        if value not in allowed:
            raise UserError(f"{option} must be {' or '.join(allowed)}, not {value!r}")
    for option, number in (("--epochs", epochs), ("--seeds", seeds), ("--batch", batch)):
        check_range(option, number, 1)
    if processes is not None:
        check_range("--processes", processes, 1)
    if size is not None:
        check_range("--size", size, 4)
    if device == "cuda" and not torch.cuda.device_count():
        raise UserError("--device must be cpu where no CUDA device is, not 'cuda'")
    source = Source(data, size, data_name)
    images = source.load()
    if batch > len(images.images):
        rule = f"at most {len(images.images)}, the images of the training set"
        raise UserError(f"--batch must be {rule}, not {batch}")
    measuring.check_writable(output)
    recipe = Recipe(
        data=images.name,
        data_digest=images.digest,
        size=images.images.shape[2],
        model=model,
        epochs=epochs,
        batch=batch,
        schedule=schedule,
        augment=images.augment,
        device=device,
    )
    runs_in = output / "runs"
    wanted = range(1, seeds + 1)
    study.adopt(output / "training.json", runs_in, recipe)
    if finished:
        runs = study.kept_runs(runs_in, recipe, arms, wanted)
    else:
        with progress_bar(err, "reading") as step:
            runs = study.train_all(
                runs_in,
                recipe,
                source,
                arms,
                wanted,
                processes=processes or (1 if device == "cuda" else None),
                progress=with_time_left(step),
            )
    report = study.report(recipe, runs)
    paths = write(report, output)
    show(report, as_json, training_tables(report), remarks(report))
    print_paths(paths)


def write(report: TrainingReport, directory: Path) -> list[Path]:
    """Write training.json, .html, .svg and accuracies.json into `directory`, all or none."""
    from ...study.html import training_html
    from ...study.training.plot import training_plot
    from ...study.training.study import accuracies
    from ...support.files import write_whole

    plot = training_plot(report)
    texts = {
        "training.json": json_text(report),
        "training.html": training_html(report, plot),
        "training.svg": plot,
        "accuracies.json": json_text(accuracies(report)),
    }
    files = {directory / name: text for name, text in texts.items()}
    write_whole(files)
    return list(files)


def remarks(report: TrainingReport) -> list[str]:
    """What the table's reader must know."""
    lines = [
        "accuracy of the last epoch on the test images; errors: standard errors over seeds; "
        f"differences: to {report.rows[0].arm}, from the same seeds"
    ]
    left = report.planned - len(report.runs)
    return [*lines, *([f"{left} of {report.planned} runs are not finished"] if left else [])]


def _arms(named: Sequence[str] | None, grid: Sequence[str]) -> list[str]:
    """Every arm once, checked. Raises: UserError."""
    from ...nn.formats import read_config
    from ...study.sweep.grid import axis, spread

    arms = list(named or ([] if grid else ["float32", "mls"]))
    axes = {}
    for text in grid:
        _, name, values = axis(text)
        axes[name] = spread(values)
    if axes:
        for chosen in itertools.product(*axes.values()):
            options = zip(axes, chosen, strict=True)
            arms.append(" ".join(["mls", *(f"--{n.replace('_', '-')} {v}" for n, v in options)]))
    for text in arms:
        try:
            read_config(text)
        except ValueError as error:
            raise UserError(f"--arm {text!r}: {error}") from None
    return list(dict.fromkeys(arms))
