"""Time and memory of the quantizer per element, beside a copy of the same tensor in the same run.

    OMP_NUM_THREADS=1 python bench/quantize.py

One thread, <2,4> elements of Gaussian values with <8,1> scales, groups "nc", 8 random bits: planes
of 32 x 32 and 14 x 14, and 3x3 weights. Least CPU time of several runs, the cases taking turns: ns
an element, and how many times a copy of the tensor. `values` are `quantize_values` into an array
that is there, `codes` are `quantize`; "one pass" has the tensor's scale given. Words are given as
bytes but where "drawn" says that PCG64 makes them ("words alone"). Lines "numba" are the same
functions on numba's loops (extra `fast`). Then values by other groups, and the memory of a call
beside x and its result, by tracemalloc.

Lines "emulated" are the rounding of quantized-training libraries such as microxcaling, written anew
in eager torch (extra `train`; `to_blocks` of conv.py), not that library: block floating point of 32
channels (all, of fewer), nearest.
"""

import time
import tracemalloc
from collections.abc import Callable, Mapping

import numpy as np
from conv import to_blocks

from mlsmac.golden import MLS_E2M4, SCALE_E8M1, group_codes, quantize, quantize_values, random_words

try:
    import torch
except ImportError:
    torch = None

SHAPES = ((64, 64, 32, 32), (64, 64, 14, 14), (256, 256, 3, 3))
LARGE = (128, 256, 32, 32)
REPEATS = 15
WAYS = {"": False, ", numba": True} if group_codes.COMPILED else {"": False}
Call = Callable[[], object]


def on(call: Call, compiled: bool) -> Call:
    """`call`, in NumPy or on numba's loops."""

    def switched() -> object:
        group_codes.COMPILED, group_codes.WORTH = compiled, 0
        return call()

    return switched


def fastest(calls: Mapping[str, Call]) -> dict[str, float]:
    """Least CPU time of each call in nanoseconds."""
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()  # compiles, fills caches
    for _ in range(REPEATS):
        for name, call in calls.items():
            begin = time.process_time_ns()
            call()
            best[name] = min(best[name], time.process_time_ns() - begin)
    return best


def cases(x: np.ndarray) -> dict[str, Call]:
    """What is measured: by name."""
    formats = MLS_E2M4, SCALE_E8M1
    rng = np.random.default_rng(1)
    words = random_words(rng, x.shape, 8)
    out, own = np.empty_like(x), np.abs(x).max()
    both = {
        "values": lambda: quantize_values(x, *formats, random=words, out=out),
        "values, one pass": lambda: quantize_values(
            x, *formats, random=words, tensor_scale=own, out=out
        ),
        "values, drawn": lambda: quantize_values(x, *formats, rng=rng, out=out),
        "values, nearest": lambda: quantize_values(x, *formats, rounding="nearest", out=out),
        "codes": lambda: quantize(x, *formats, random=words),
        "codes, drawn": lambda: quantize(x, *formats, rng=rng),
        "codes, nearest": lambda: quantize(x, *formats, rounding="nearest"),
    }
    calls: dict[str, Call] = {"copy": lambda: np.copyto(out, x)}
    calls["words alone"] = lambda: random_words(rng, x.shape, 8)
    for name, call in both.items():
        calls |= {name + way: on(call, compiled) for way, compiled in WAYS.items()}
    if torch:
        torch.set_num_threads(1)
        tensor = torch.from_numpy(x)
        calls["emulated"] = lambda: to_blocks(tensor)
    return calls


def grouped(x: np.ndarray) -> dict[str, Call]:
    """Values by every group."""
    words, out = random_words(np.random.default_rng(1), x.shape, 8), np.empty_like(x)
    calls: dict[str, Call] = {"copy": lambda: np.copyto(out, x)}
    for group in ("nc", "n", "c", "none"):

        def call(group: str = group) -> object:
            return quantize_values(x, MLS_E2M4, SCALE_E8M1, group=group, random=words, out=out)

        calls |= {f"values, {group}{way}": on(call, compiled) for way, compiled in WAYS.items()}
    return calls


def memory(x: np.ndarray) -> dict[str, Call]:
    """Calls whose memory is asked for."""
    rng, out = np.random.default_rng(1), np.empty_like(x)
    both = {
        "values, drawn": lambda: quantize_values(x, MLS_E2M4, SCALE_E8M1, rng=rng, out=out),
        "codes, drawn": lambda: quantize(x, MLS_E2M4, SCALE_E8M1, rng=rng),
    }
    return {name + way: on(call, to) for name, call in both.items() for way, to in WAYS.items()}


def beside(call: Call) -> int:
    """Most memory that a call has at a time, less what it leaves."""
    tracemalloc.start()
    result = call()
    left, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return peak - left


def show(title: str, columns: list[dict[str, float]], sizes: list[int]) -> None:
    """A line a case, two columns a tensor: ns an element, and copies."""
    print(title)
    for name in columns[0]:
        cells = [
            f"{best[name] / size:10.2f} ns{best[name] / best['copy']:7.1f} x"
            for best, size in zip(columns, sizes, strict=True)
        ]
        print(f"{name:28}{''.join(cells)}")


def main() -> None:
    """Print the tables."""
    rng = np.random.default_rng(1)
    tensors = [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    sizes = [x.size for x in tensors]
    title = f"{'ns an element, copies':28}" + "".join(f"{x.shape!s:>22}" for x in tensors)
    show(title, [fastest(cases(x)) for x in tensors], sizes)
    show(f"{'by groups':28}{SHAPES[0]!s:>22}", [fastest(grouped(tensors[0]))], sizes[:1])
    x = rng.standard_normal(LARGE).astype(np.float32)
    print(f"memory beside x and the result, {x.size / 1e6:.1f} M elements")
    for name, call in memory(x).items():
        call()
        print(f"{name:28}{beside(call) / x.size:10.2f} bytes an element")


if __name__ == "__main__":
    main()
