"""Time of `quantize` per element, beside a copy of the same tensor in the same run.

    python bench/quantize.py

Best of several runs on a (64, 64, 32, 32) float32 tensor, <2,4> elements with <8,1> group scales.
"""

import time
from collections.abc import Callable

import numpy as np

from mlsmac.golden import MLS_E2M4, SCALE_E8M1, quantize

SHAPE = (64, 64, 32, 32)
REPEATS = 10


def nanoseconds(call: Callable[[], object], elements: int) -> float:
    """Shortest wall time of a call, in ns per element."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best / elements * 1e9


def main() -> None:
    """Print one line per case."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(SHAPE).astype(np.float32)
    copy = nanoseconds(x.copy, x.size)
    print(f"{'copy':24}{copy:8.2f} ns/element")
    for group in ("nc", "n", "c", "none"):
        for rounding in ("stochastic", "nearest"):

            def call(group: str = group, rounding: str = rounding) -> object:
                return quantize(x, MLS_E2M4, SCALE_E8M1, group=group, rounding=rounding, rng=rng)

            time_ns = nanoseconds(call, x.size)
            name = f"{rounding} {group}"
            print(f"{name:24}{time_ns:8.2f} ns/element{time_ns / copy:8.1f} copies")


if __name__ == "__main__":
    main()
