"""Time of the three convolutions over a float32 convolution of the same shapes in the same run.

    OPENBLAS_NUM_THREADS=1 python bench/conv.py

ResNet-20's shapes, 8 samples, 3x3, stride 1, <2,4> elements of Gaussian values with <8,1> scales,
one thread. The float32 convolution is torch's `conv2d` where torch is installed, else a matrix of
all windows times the weights in NumPy; the first line says which. Shortest of several interleaved
runs; microseconds, then ratios. Quantization is not included.
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
    quantize,
)

try:
    import torch
except ImportError:
    torch = None

SAMPLES = 8
SHAPES = ((16, 32), (32, 16), (64, 8))
REPEATS = 15


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


def fastest(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Shortest wall time of each call in microseconds, the calls taking turns."""
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
        best = fastest({"float32": reference, **cases(*tensors)})
        for name, microseconds in best.items():
            over = microseconds if name == "float32" else microseconds / best["float32"]
            rows.setdefault(name, []).append(over)
    print(f"{'':22}" + "".join(f"{c:>6} ch {s}x{s}".rjust(16) for c, s in SHAPES))
    for name, values in rows.items():
        unit = "us" if name == "float32" else "x "
        print(f"{name:22}" + "".join(f"{value:13.1f} {unit}" for value in values))


if __name__ == "__main__":
    main()
