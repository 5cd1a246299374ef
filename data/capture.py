"""Train a small residual network with MLS-quantized convolutions and capture W, A and E.

`python -m mlsmac.data.capture -o FILE` (extra `train`). The recipe is the paper's: in every
quantized convolution W, A and E are `<2,4>` elements in "nc" groups with `<8,1>` scales, rounded
stochastically by the golden quantizer; the backward pass is straight-through; master weights, batch
norm, the first and the last layer stay float32. Task: scikit-learn's 8x8 digits at 16x16.
Source: "Exploring the Potential of Low-bit Training of Convolutional Neural Networks", Algorithm 1.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..golden.spec import MLS_E2M4, SCALE_E8M1
from . import Layer, save

if TYPE_CHECKING:
    from torch import Tensor

    from ..nn import Config

BATCH = 64
DIGITS = 1797
TEST_SAMPLES = 360
STEPS = (DIGITS - TEST_SAMPLES) // BATCH
LEARNING_RATE = 0.1
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
# 3x3 at stride 1 on three plane sizes, 3x3 at stride 2, 1x1 at stride 2.
CAPTURED = ("block1.conv2", "block2.conv1", "block2.conv2", "block3.shortcut", "block3.conv2")


def digits(seed: int) -> "tuple[Tensor, Tensor, Tensor, Tensor]":
    """Training images (n, 1, 16, 16), normalized, and labels (n), then test images and labels."""
    import torch
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    x = torch.from_numpy(pixels[order].astype(np.float32).reshape(-1, 1, 8, 8))
    y = torch.from_numpy(labels[order].astype(np.int64))
    x = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    train = x[:-TEST_SAMPLES]
    x = (x - train.mean()) / train.std()
    return x[:-TEST_SAMPLES], y[:-TEST_SAMPLES], x[-TEST_SAMPLES:], y[-TEST_SAMPLES:]


def train(
    config: "Config", *, seed: int, epochs: int, phases: dict[int, str], samples: int
) -> tuple[float, list[Layer]]:
    """Train once: accuracy on the test images in 0..1, and the layers at the steps in `phases`.

    Stochastic gradient descent with momentum, cosine learning rate; a step is a batch of 64,
    counted from 0; the incomplete last batch of an epoch is left out.
    """
    import torch

    from ..nn import capture, quantized_layers, resnet8

    torch.manual_seed(seed)
    images, labels, test_images, test_labels = digits(seed)
    network = config.prepare(resnet8(channels=1), np.random.default_rng(seed))
    optimizer = torch.optim.SGD(
        network.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * STEPS)
    layers: list[Layer] = []
    began = time.monotonic()
    for epoch in range(epochs):
        network.train()
        order, total = torch.randperm(len(images)), 0.0
        for index in range(STEPS):
            batch = order[index * BATCH : (index + 1) * BATCH]
            if phase := phases.get(epoch * STEPS + index):
                step = images[batch], labels[batch]
                layers += capture(network, *step, layers=CAPTURED, samples=samples, phase=phase)
            loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        spent = time.monotonic() - began
        progress = f"epoch {epoch + 1}/{epochs}  loss {total / STEPS:.4f}  {spent:.0f} s"
        print(progress, file=sys.stderr, flush=True)
    network.eval()
    for layer in quantized_layers(network).values():
        layer.train()  # evaluated as it trains, rounding stochastically
    with torch.no_grad():
        correct = (network(test_images).argmax(dim=1) == test_labels).float().mean().item()
    return correct, layers


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlsmac.data.capture", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--early-step", type=int, default=5, help="step captured first, from 0")
    parser.add_argument("--samples", type=int, default=8, help="samples kept of the batch")
    arguments = parser.parse_args(argv)
    ranges = {
        "seed": (0, 2**31 - 1),
        "epochs": (1, 1000),
        "early_step": (0, max(arguments.epochs * STEPS - 2, 0)),
        "samples": (1, BATCH),
    }
    for name, (low, high) in ranges.items():
        value = getattr(arguments, name)
        if not low <= value <= high:
            parser.error(f"--{name.replace('_', '-')} must be in {low}..{high}, not {value}")
    if not os.access(arguments.output.parent, os.W_OK) or arguments.output.is_dir():
        parser.error(f"--output must be a file in a writable folder, not {str(arguments.output)!r}")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Train the float32 baseline and the MLS network from one seed; write the latter's capture."""
    given = _arguments(argv)
    try:
        import sklearn
        import torch

        from ..nn import Float32Config, MlsConfig
    except ImportError as missing:
        print(f"error: {missing}; install the extra: pip install 'mlsmac[train]'", file=sys.stderr)
        return 2
    # One thread, or the order of float32 sums and with it the bytes depend on the number of cores.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    last = given.epochs * STEPS - 1
    shared = {"seed": given.seed, "epochs": given.epochs, "samples": given.samples}
    print("float32 baseline", file=sys.stderr)
    baseline, _ = train(Float32Config(), phases={}, **shared)
    print(f"MLS {MLS_E2M4}, scale {SCALE_E8M1}", file=sys.stderr)
    config = MlsConfig(element=MLS_E2M4, scale=SCALE_E8M1)
    accuracy, layers = train(config, phases={given.early_step: "early", last: "late"}, **shared)
    options = f"--seed {given.seed} --epochs {given.epochs} --early-step {given.early_step}"
    described = {
        "command": f"python -m mlsmac.data.capture -o {given.output.name} {options} "
        f"--samples {given.samples}",
        "seed": given.seed,
        "steps": {"early": given.early_step, "late": last},
        "quantization": {"element": str(MLS_E2M4), "scale": str(SCALE_E8M1), "group": "nc"},
        "accuracy": {"float32": round(baseline, 4), "mls": round(accuracy, 4)},
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
    save(given.output, layers, described)
    size = given.output.stat().st_size
    print(f"accuracy float32 {baseline:.4f}, MLS {accuracy:.4f}; {given.output}: {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
