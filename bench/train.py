"""Time of a training step by number format, in ratios to float32 in the same run.

    python bench/train.py [FORMAT ...]

ResNet-8 on 128 images of 14 x 14, one thread: forward, backward, update. Formats as `mlsmac train
--arm` takes them. Rounds of one step of each format take turns; shortest of each. Milliseconds,
then ratios.
"""

import sys
import time

import torch
from torch.nn import functional

from mlsmac.nn import resnet8
from mlsmac.nn.formats import read_config

FORMATS = (
    "float32",
    "mls",
    "mls --element 2,1 --group none",
    "mls --rounding nearest",
    "mls --accumulate exact --acc-width auto",
    "mls --accumulate exact",
)
IMAGES, SIZE, ROUNDS = 128, 14, 12


def main() -> None:
    """Print one line per format."""
    formats = sys.argv[1:] or FORMATS
    torch.set_num_threads(1)
    x = torch.randn(IMAGES, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    y = torch.arange(IMAGES) % 10
    steps = {}
    for text in formats:
        torch.manual_seed(1)
        config = read_config(text)
        model = config.prepare(resnet8(channels=1))
        optimizer = config.optimizer(model, lr=0.1, momentum=0.9, weight_decay=5e-4)
        steps[text] = (model, optimizer)
    best = dict.fromkeys(formats, float("inf"))
    for _ in range(ROUNDS):
        for text, (model, optimizer) in steps.items():
            begin = time.perf_counter()
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            best[text] = min(best[text], time.perf_counter() - begin)
    for text, seconds in best.items():
        print(f"{text:44}{1000 * seconds:9.1f} ms{seconds / best[formats[0]]:8.2f}")


if __name__ == "__main__":
    main()
