"""The three convolutions against loops over Python integers, fractions and float32 scalars."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest

from mlsmac import data
from mlsmac.golden import (
    MLS_E0M4,
    MLS_E1M2,
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M0,
    SCALE_E8M1,
    ElementFormat,
    MlsTensor,
    ScaleFormat,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    group_sums,
    min_acc_width,
    quantize,
)

# Whether numba's loops work: both ways are held to the same oracle.
WAYS = [False, True] if find_spec("numba") else [False]

Product = tuple[int, int]
"""Signed significands of one multiplication."""


def nearest(value: Fraction) -> np.float32:
    """`value` to float32, ties to even, by the definition of the format."""
    if value == 0:
        return np.float32(0)
    size = abs(value)
    lead = size.numerator.bit_length() - size.denominator.bit_length()
    lead -= size < Fraction(2) ** lead
    unit = Fraction(2) ** (max(lead, -126) - 23)
    count = round(size / unit)  # Python rounds ties to even
    code = float(count * unit)  # at most 24 bits: exact
    return np.float32(code if value > 0 else -code) + np.float32(0)


class Leaf:
    """`total * 2^-exponent`."""

    def __init__(self, total: int, exponent: int) -> None:
        self.total, self.exponent = total, exponent

    @property
    def value(self) -> Fraction:
        return Fraction(self.total) / 2**self.exponent


def accumulate(products: list[Product], width: int, wrap: bool) -> tuple[int, bool]:
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    acc, sticky = 0, False
    for x, y in products:
        acc += x * y
        if not low <= acc <= high:
            sticky = True
            acc = (acc - low) % (1 << width) + low if wrap else min(max(acc, low), high)
    return acc, sticky


def balanced(values: list[np.float32]) -> np.float32:
    while len(values) > 1:
        pairs = [np.float32(x + y) for x, y in zip(values[::2], values[1::2], strict=False)]
        values = pairs + (values[-1:] if len(values) % 2 else [])
    return values[0]


def aligned(groups: list[Leaf], guard: int) -> np.float32:
    low = min(group.exponent for group in groups)
    total = sum((g.total * 2**guard) // 2 ** (g.exponent - low) for g in groups)
    return nearest(Fraction(total) / 2 ** (low + guard))


def add_up(groups: list[Leaf], tree: str, lanes: int | None, guard: int) -> np.float32:
    if tree == "exact":
        return nearest(sum((group.value for group in groups), Fraction(0)))
    size = lanes or len(groups)
    tiles = [groups[i : i + size] for i in range(0, len(groups), size)]
    if tree == "fp32":
        parts = [balanced([nearest(group.value) for group in tile]) for tile in tiles]
    else:
        parts = [aligned(tile, guard) for tile in tiles]
    acc = parts[0]
    for part in parts[1:]:
        acc = np.float32(acc + part)
    return acc


class Side:
    """Signed significands and scale codes of a tensor, as Python integers."""

    def __init__(self, tensor: MlsTensor) -> None:
        self.tensor = tensor
        self.q = tensor.signed_significand().tolist()
        self.height, self.width = tensor.shape[2:]

    def at(self, i: int, j: int, y: int, x: int) -> int:
        inside = 0 <= y < self.height and 0 <= x < self.width
        return self.q[i][j][y][x] if inside else 0

    def scale(self, i: int, j: int) -> tuple[int, int]:
        return int(self.tensor.scale_exp[i, j, 0, 0]), int(self.tensor.scale_man[i, j, 0, 0])


def convolve(
    x: MlsTensor,
    y: MlsTensor,
    shape: tuple[int, ...],
    groups: Callable[..., Iterator[tuple[tuple[int, int], tuple[int, int], list[Product]]]],
    *,
    acc_width: int = 16,
    overflow: str = "saturate",
    segment: int | None = None,
    tree: str = "fp32",
    lanes: int | None = None,
    guard_bits: int = 12,
) -> tuple[np.ndarray, int]:
    """z of `shape`; `groups(*index)` yields scale codes of x and y, and products in order."""
    man_bits, fraction = x.scale.man_bits, x.element.fraction_bits
    z, overflows = np.empty(shape, np.float32), 0
    factor = np.float32(x.tensor_scale * y.tensor_scale)
    for index in np.ndindex(shape):
        leaves = []
        for (exp_x, man_x), (exp_y, man_y), products in groups(*index):
            mantissas = (2**man_bits + man_x) * (2**man_bits + man_y)
            exponent = exp_x + exp_y + 2 * man_bits + 2 * fraction
            step = segment or len(products)
            for i in range(0, len(products), step):
                total, sticky = accumulate(products[i : i + step], acc_width, overflow == "wrap")
                overflows += sticky
                leaves.append(Leaf(total * mantissas, exponent))
        z[index] = add_up(leaves, tree, lanes, guard_bits) * factor
    return z, overflows


def forward(w, a, *, stride=1, padding=0, **options):
    """Oracle of `conv2d`."""
    ws, as_ = Side(w), Side(a)
    kh, kw = w.shape[2:]
    rows, columns = (
        (side + 2 * padding - k) // stride + 1
        for side, k in zip(a.shape[2:], w.shape[2:], strict=True)
    )

    def groups(n, co, y, x):
        for ci in range(w.shape[1]):
            taps = [(i, j) for i in range(kh) for j in range(kw)]
            products = [
                (
                    ws.at(co, ci, i, j),
                    as_.at(n, ci, y * stride + i - padding, x * stride + j - padding),
                )
                for i, j in taps
            ]
            yield ws.scale(co, ci), as_.scale(n, ci), products

    return convolve(w, a, (a.shape[0], w.shape[0], rows, columns), groups, **options)


def input_grad(w, e, *, input_size, stride=1, padding=0, **options):
    """Oracle of `conv2d_input_grad`: every (output pixel, tap) that reads the input pixel."""
    ws, es = Side(w), Side(e)
    kh, kw = w.shape[2:]

    def error(n, co, y, x):
        hit = y % stride == 0 and x % stride == 0
        return es.at(n, co, y // stride, x // stride) if hit else 0

    def groups(n, ci, y, x):
        for co in range(w.shape[0]):
            products = [
                (ws.at(co, ci, i, j), error(n, co, y + padding - i, x + padding - j))
                for i in range(kh)
                for j in range(kw)
            ]
            yield ws.scale(co, ci), es.scale(n, co), products

    return convolve(w, e, (e.shape[0], w.shape[1], *input_size), groups, **options)


def weight_grad(a, e, *, kernel_size, stride=1, padding=0, **options):
    """Oracle of `conv2d_weight_grad`."""
    as_, es = Side(a), Side(e)
    rows, columns = e.shape[2:]

    def groups(co, ci, i, j):
        for n in range(a.shape[0]):
            products = [
                (
                    as_.at(n, ci, y * stride + i - padding, x * stride + j - padding),
                    es.at(n, co, y, x),
                )
                for y in range(rows)
                for x in range(columns)
            ]
            yield as_.scale(n, ci), es.scale(n, co), products

    return convolve(a, e, (e.shape[1], a.shape[1], *kernel_size), groups, **options)


def bits(z: np.ndarray) -> list[int]:
    return z.view(np.uint32).ravel().tolist()


def random_tensor(rng, shape, element=MLS_E2M4, scale=SCALE_E8M1, spread=20) -> MlsTensor:
    """Gaussian values whose groups' magnitudes spread over 2^-spread; one channel is zero."""
    x = rng.standard_normal(shape).astype(np.float32)
    x *= np.ldexp(np.float32(1), -rng.integers(0, spread, (*shape[:2], 1, 1), endpoint=True))
    x[:, shape[1] // 2] *= rng.random() < 0.5
    return quantize(x, element, scale, rng=rng)


def check_all(w, a, e, *, stride, padding, **options) -> list[int]:
    """Compare the three convolutions bit for bit; their overflow counts."""
    place = {"stride": stride, "padding": padding}
    size, kernel = {"input_size": a.shape[2:]}, {"kernel_size": w.shape[2:]}
    cases = (
        (conv2d, forward, (w, a), {}),
        (conv2d_input_grad, input_grad, (w, e), size),
        (conv2d_weight_grad, weight_grad, (a, e), kernel),
    )
    counts = []
    for fast, slow, tensors, extra in cases:
        z, overflows = slow(*tensors, **place, **extra, **options)
        for compiled in WAYS:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(group_sums, "_COMPILED", compiled)
                result = fast(*tensors, **place, **extra, **options)
            assert result.z.dtype == np.float32
            assert result.z.shape == z.shape
            assert bits(result.z) == bits(z)
            assert result.overflow_count == overflows
        counts.append(overflows)
    return counts


def triple(rng, *, ci=5, co=3, n=2, size=(6, 5), kernel=(3, 3), stride=1, padding=1, **tensor):
    """w, a and e of a convolution."""
    plane = tuple((s + 2 * padding - k) // stride + 1 for s, k in zip(size, kernel, strict=True))
    shapes = (co, ci, *kernel), (n, ci, *size), (n, co, *plane)
    return [random_tensor(rng, shape, **tensor) for shape in shapes]


@pytest.mark.parametrize("place", [(1, 1), (2, 1), (1, 0), (2, 0), (3, 4)])
@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
def test_strides_and_padding(place, tree):
    stride, padding = place
    rng = np.random.default_rng(1)
    w, a, e = triple(rng, stride=stride, padding=padding)
    check_all(w, a, e, stride=stride, padding=padding, tree=tree)


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (4, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_kernels(kernel, stride):
    rng = np.random.default_rng(2)
    w, a, e = triple(rng, kernel=kernel, stride=stride, padding=0)
    check_all(w, a, e, stride=stride, padding=0)


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("acc_width", [9, 12, 15, 16, 17, 20])
@pytest.mark.parametrize("segment", [None, 1, 4])
def test_accumulators(overflow, acc_width, segment):
    rng = np.random.default_rng(3)
    w, a, e = triple(rng)
    options = {"overflow": overflow, "acc_width": acc_width, "segment": segment}
    counts = check_all(w, a, e, stride=1, padding=1, **options)
    assert sum(counts) > 0 or acc_width > 12
    assert sum(counts) == 0 or acc_width < 20


@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5, 7, 8, 100])
def test_lanes(tree, lanes):
    rng = np.random.default_rng(4)
    w, a, e = triple(rng, ci=9, co=7, n=3, size=(4, 4))
    check_all(w, a, e, stride=1, padding=1, tree=tree, lanes=lanes, segment=5)


@pytest.mark.parametrize(
    ("element", "scale", "acc_width"),
    [
        (MLS_E2M1, SCALE_E8M1, 16),
        (MLS_E2M1, SCALE_E8M0, 9),
        (MLS_E1M2, ScaleFormat(3, 1), 10),
        (MLS_E0M4, ScaleFormat(8, 2), 11),
        (ElementFormat(0, 1), SCALE_E8M1, 4),  # sums of -1, 0 and 1 around the limit 7
        (ElementFormat(3, 2), ScaleFormat(4, 3), 16),
        (ElementFormat(2, 10), SCALE_E8M1, 24),  # beyond float32's significand
        (ElementFormat(4, 3), SCALE_E8M1, 36),
        (ElementFormat(4, 3), ScaleFormat(8, 3), 64),
    ],
    ids=str,
)
@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
def test_formats(element, scale, acc_width, tree):
    rng = np.random.default_rng(5)
    w, a, e = triple(rng, element=element, scale=scale)
    if tree == "aligned":
        acc_width = min(acc_width, 30)  # wider sums are refused
    for policy in ("saturate", "wrap"):
        check_all(w, a, e, stride=1, padding=1, acc_width=acc_width, tree=tree, overflow=policy)


@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
@pytest.mark.parametrize("deep", [30, 80, 255])
def test_any_scale_code(tree, deep):
    """Scales from 1 to 2^-2deep: sums of groups become float32 subnormals and zeros."""
    rng = np.random.default_rng(6)
    tensors = []
    for tensor in triple(rng, spread=0):
        shape = tensor.scale_exp.shape
        exp = rng.integers(deep // 2, deep, shape, np.uint8, endpoint=True)
        exp[rng.random(shape) < 0.1] = 0
        man = rng.integers(0, 2, shape, np.uint8)
        size = np.float32(rng.choice([1.5, 2.0**60]))
        tensors.append(replace(tensor, scale_exp=exp, scale_man=man, tensor_scale=size))
    check_all(*tensors, stride=1, padding=1, tree=tree, lanes=3)


def test_orders_matter():
    """On these tensors every other order gives other bits, so the tests above can see it."""
    rng = np.random.default_rng(7)
    w, a, _ = triple(rng, ci=16, size=(8, 8))
    z = conv2d(w, a, padding=1, acc_width=20).z

    def flipped(tensor: MlsTensor, axis: int) -> MlsTensor:
        names = ("sign", "exp", "man", "scale_exp", "scale_man")
        return replace(tensor, **{name: np.flip(getattr(tensor, name), axis) for name in names})

    def differing(other: np.ndarray) -> float:
        return float((other != z).mean())

    channels = [flipped(tensor, 1) for tensor in (w, a)]
    assert differing(conv2d(*channels, padding=1, acc_width=20, lanes=1).z) > 0.05
    for lanes in (1, 2, 3, 4, 5):
        assert differing(conv2d(w, a, padding=1, acc_width=20, lanes=lanes).z) > 0.05
    # Two balanced halves are the balanced tree.
    assert differing(conv2d(w, a, padding=1, acc_width=20, lanes=8).z) == 0
    exact = conv2d(w, a, padding=1, acc_width=20, tree="exact").z
    assert differing(exact) > 0.05
    assert bits(conv2d(*channels, padding=1, acc_width=20, tree="exact").z) == bits(exact)

    saturated = conv2d(w, a, padding=1, acc_width=13).z
    for axis in (2, 3):
        w_turned, a_turned = (flipped(tensor, axis) for tensor in (w, a))
        turned = conv2d(w_turned, a_turned, padding=1, acc_width=13).z
        assert (np.flip(turned, axis) != saturated).mean() > 0.05


@pytest.mark.parametrize("dense", [0.0, 2.0])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_ways_of_working_agree(monkeypatch, dense, overflow):
    """Chunks of few columns, and overflowing sums redone one by one or all together."""
    monkeypatch.setattr(group_sums, "_CHUNK", 1)
    monkeypatch.setattr(group_sums, "_FEWEST_COLUMNS", 7)
    monkeypatch.setattr(group_sums, "_DENSE", dense)
    w, a, e = triple(np.random.default_rng(8))
    for tree in ("fp32", "exact"):
        options = {"acc_width": 13, "overflow": overflow, "segment": 6, "tree": tree}
        assert min(check_all(w, a, e, stride=1, padding=1, **options)) > 0


@pytest.mark.parametrize(
    ("element", "acc_width"), [(MLS_E2M4, 13), (MLS_E2M4, 40), (ElementFormat(3, 4), 24)]
)
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_numba_on_many_columns(monkeypatch, element, acc_width, overflow):
    """More columns than a block, and products of 13 and 23 bits: int32 and int64 sums."""
    pytest.importorskip("numba", reason="numba is not installed (extra `fast`)")
    w, a, e = triple(
        np.random.default_rng(12), ci=70, n=3, size=(15, 17), element=element, spread=9
    )
    calls = (
        lambda **x: conv2d(w, a, padding=1, **x),
        lambda **x: conv2d_input_grad(w, e, padding=1, input_size=(15, 17), **x),
        lambda **x: conv2d_weight_grad(a, e, padding=1, kernel_size=(3, 3), segment=50, **x),
    )
    trees = ({}, {"lanes": 3}, {"tree": "aligned", "lanes": 5, "guard_bits": 2}, {"tree": "exact"})
    for call in calls:
        for tree in trees:
            options = {"acc_width": acc_width, "overflow": overflow, **tree}
            results = []
            for way in (False, True):
                monkeypatch.setattr(group_sums, "_COMPILED", way)
                results.append(call(**options))
            assert bits(results[0].z) == bits(results[1].z)
            assert results[0].overflow_count == results[1].overflow_count


def test_numba_works_where_it_is_installed(monkeypatch):
    compiled = pytest.importorskip("mlsmac.golden.compiled", reason="numba is not installed")
    calls = []
    work = compiled.sum_groups
    monkeypatch.setattr(compiled, "sum_groups", lambda *x, **y: calls.append(1) or work(*x, **y))
    w, a, _ = triple(np.random.default_rng(13))
    conv2d(w, a, tree="aligned")
    assert len(calls) == 1


def test_proven_width_never_overflows():
    w, a, e = triple(np.random.default_rng(9))
    size, kernel = {"input_size": a.shape[2:]}, {"kernel_size": w.shape[2:]}
    cases = (
        (lambda **x: conv2d(w, a, padding=1, **x), 9),
        (lambda **x: conv2d_input_grad(w, e, padding=1, **size, **x), 9),
        (lambda **x: conv2d_weight_grad(a, e, padding=1, **kernel, **x), 30),
    )
    for convolution, length in cases:
        for segment in (None, 2):
            products = segment or length
            proven = convolution(acc_width="auto", segment=segment)
            assert proven.overflow_count == 0
            width = min_acc_width(MLS_E2M4, products)
            assert bits(proven.z) == bits(convolution(acc_width=width, segment=segment).z)


@pytest.mark.parametrize("name", ["block2.conv1", "block3.shortcut"])
@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
def test_captured_layer(name, tree):
    """Two samples and eight output channels of layers with stride 2, 3x3 and 1x1."""
    layer = next(x for x in data.load() if (x.name, x.phase) == (name, "late"))
    rng = np.random.default_rng(10)
    w, a, e = (
        quantize(np.ascontiguousarray(x), MLS_E2M4, SCALE_E8M1, rng=rng)
        for x in (layer.w[:8], layer.a[:2], layer.e[:2, :8])
    )
    place = {"stride": layer.stride, "padding": layer.padding}
    check_all(w, a, e, **place, tree=tree, lanes=4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("acc_width", [30, 31, 32, 40])
def test_sums_close_to_32_bits(acc_width, way, monkeypatch):
    """9216 largest products of <2,5> sum up to 1.09 * 2^29: 30 bits overflow, 31 do not."""
    monkeypatch.setattr(group_sums, "_COMPILED", way)
    ones = quantize(np.ones((1, 1, 96, 96), np.float32), ElementFormat(2, 5), SCALE_E8M1)
    result = conv2d_weight_grad(ones, ones, kernel_size=(1, 1), acc_width=acc_width)
    total = min(9216 * 252**2, (1 << (acc_width - 1)) - 1)
    assert result.z.item() == np.float32(total * 2.0 ** -(2 * ones.element.fraction_bits))
    assert result.overflow_count == (acc_width == 30)
