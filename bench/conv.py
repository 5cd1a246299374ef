"""Time of the three convolutions over a float32 convolution of the same shapes in the same run.

    OPENBLAS_NUM_THREADS=1 python bench/conv.py

ResNet-20's shapes, 8 samples, 3x3, stride 1, <2,4> elements of Gaussian values with <8,1> scales,
one thread. The float32 convolution is torch's `conv2d` where torch is installed, else a matrix of
all windows times the weights in NumPy; the first line says which. Shortest of several interleaved
runs; microseconds, then ratios. Quantization is not included, but for the lines "emulated".

Lines "numba" are the same functions on numba's loops (extra `fast`). Lines "emulated" are the
method of quantized-training libraries such as microxcaling, written anew here in eager torch (extra
`train`), not that library: both operands are rounded to block floating point in float32, then a
float32 convolution does the rest, forward or either gradient. It has neither an accumulator of a
width nor a stated order of additions, so it cannot tell what hardware computes to the bit.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np

from mlsmac.golden import (
    MLS_E2M4,
    SCALE_E8M1,
    MlsTensor,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    group_sums,
    quantize,
)

try:
    import torch
except ImportError:
    torch = None

HAVE_NUMBA = group_sums._COMPILED
SAMPLES = 8
SHAPES = ((16, 32), (32, 16), (64, 8))
REPEATS = 15
BLOCK = 32
MAN_BITS, MIN_EXP = 4, -2  # of <2,4>, relative to a block's largest binade


def torch_conv(w: np.ndarray, a: np.ndarray) -> Callable[[], object]:
    """`torch.nn.functional.conv2d` with one pixel of padding."""
    torch.set_num_threads(1)
    weights, inputs = torch.from_numpy(w), torch.from_numpy(a)

    def call() -> object:
        with torch.no_grad():
            return torch.nn.functional.conv2d(inputs, weights, padding=1)

    return call


def numpy_conv(w: np.ndarray, a: np.ndarray) -> Callable[[], object]:
    """The same by one matrix product."""
    matrix = w.reshape(len(w), -1)

    def call() -> object:
        padded = np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))
        return matrix @ windows.transpose(1, 4, 5, 0, 2, 3).reshape(matrix.shape[1], -1)

    return call


def to_blocks(x: "torch.Tensor") -> "torch.Tensor":
    """`x` rounded to nearest with one exponent for each 32 neighbouring channels (or all)."""
    n, channels, height, width = x.shape
    blocks = x.reshape(n, max(channels // BLOCK, 1), -1, height, width)
    peak = blocks.abs().amax(dim=2, keepdim=True)
    shared = torch.floor(torch.log2(peak + (peak == 0)))
    exponent = torch.floor(torch.log2(blocks.abs() + (blocks == 0))) - shared
    step = torch.exp2(exponent.clamp(min=MIN_EXP) + shared - MAN_BITS)
    largest = torch.exp2(shared + 1) * (1 - 2.0 ** -(MAN_BITS + 1))
    rounded = torch.round(blocks / step) * step
    return torch.maximum(torch.minimum(rounded, largest), -largest).reshape(x.shape)


def emulations(w: np.ndarray, a: np.ndarray, e: np.ndarray) -> dict[str, Callable[[], object]]:
    """Elementwise quantization and a float32 convolution in torch: by name."""
    ws, as_, es = (torch.from_numpy(x) for x in (w, a, e))
    grads = torch.nn.grad
    return {
        "W*A, emulated": lambda: torch.nn.functional.conv2d(
            to_blocks(as_), to_blocks(ws), padding=1
        ),
        "W*E, emulated": lambda: grads.conv2d_input(
            as_.shape, to_blocks(ws), to_blocks(es), padding=1
        ),
        "A*E, emulated": lambda: grads.conv2d_weight(
            to_blocks(as_), ws.shape, to_blocks(es), padding=1
        ),
    }


def with_numba(call: Callable[[], object], compiled: bool) -> Callable[[], object]:
    """`call`, in NumPy or on numba's loops."""

    def switched() -> object:
        group_sums._COMPILED = compiled
        return call()

    return switched


def fastest(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Shortest wall time of each call in microseconds, the calls taking turns."""
    for call in calls.values():
        call()  # compiles, fills caches
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(REPEATS):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - begin) * 1e6)
    return best


def cases(w: MlsTensor, a: MlsTensor, e: MlsTensor) -> dict[str, Callable[[], object]]:
    """What is measured: by name."""
    size, kernel = a.shape[2:], w.shape[2:]
    return {
        "W*A": lambda: conv2d(w, a, padding=1),
        "W*A, proven width": lambda: conv2d(w, a, padding=1, acc_width="auto"),
        "W*A, 16 lanes": lambda: conv2d(w, a, padding=1, lanes=16),
        "W*A, aligned": lambda: conv2d(w, a, padding=1, tree="aligned"),
        "W*A, exact": lambda: conv2d(w, a, padding=1, tree="exact"),
        "W*E": lambda: conv2d_input_grad(w, e, input_size=size, padding=1),
        "A*E": lambda: conv2d_weight_grad(a, e, kernel_size=kernel, padding=1),
        "A*E, proven width": lambda: conv2d_weight_grad(
            a, e, kernel_size=kernel, padding=1, acc_width="auto"
        ),
        "A*E, segments of 16": lambda: conv2d_weight_grad(
            a, e, kernel_size=kernel, padding=1, segment=16
        ),
    }


def main() -> None:
    """Print one table: a line a case, a column a shape."""
    print("float32:", f"torch {torch.__version__}" if torch else "NumPy, all windows")
    rng = np.random.default_rng(1)
    rows: dict[str, list[float]] = {}
    for channels, side in SHAPES:
        shapes = {"w": (channels, channels, 3, 3), "a": (SAMPLES, channels, side, side)}
        w, a, e = (
            rng.standard_normal(shape).astype(np.float32)
            for shape in (shapes["w"], shapes["a"], shapes["a"])
        )
        reference = torch_conv(w, a) if torch else numpy_conv(w, a)
        tensors = (quantize(x, MLS_E2M4, SCALE_E8M1, rng=rng) for x in (w, np.maximum(a, 0), e))
        # Last comes a case: a float32 convolution right after another finds its memory warm.
        calls = {"float32": reference, **(emulations(w, a, e) if torch else {})}
        ways = {"": False, ", numba": True} if HAVE_NUMBA else {"": False}
        for name, call in cases(*tensors).items():
            calls |= {name + way: with_numba(call, compiled) for way, compiled in ways.items()}
        best = fastest(calls)
        for name, microseconds in best.items():
            over = microseconds if name == "float32" else microseconds / best["float32"]
            rows.setdefault(name, []).append(over)
    print(f"{'':28}" + "".join(f"{c:>6} ch {s}x{s}".rjust(16) for c, s in SHAPES))
    for name, values in rows.items():
        unit = "us" if name == "float32" else "x "
        print(f"{name:28}" + "".join(f"{value:13.1f} {unit}" for value in values))


if __name__ == "__main__":
    main()
