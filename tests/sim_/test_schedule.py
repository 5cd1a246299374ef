"""Schedules, run by the golden tile, against the golden convolutions."""

from collections.abc import Callable

import numpy as np
import pytest

from mlsmac import data
from mlsmac.golden import (
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M0,
    SCALE_E8M1,
    ConvResult,
    MlsTensor,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    mls_tile,
    quantize,
)
from mlsmac.golden.lowering import Convolution, Kind, convolution, lower
from mlsmac.sim.schedule import Schedule, schedule, stream

TREES = ("fp32", "aligned", "exact")
ACC_WIDTH = 13
"""Narrow: some sums overflow."""


class Case:
    """Tensors of one layer with all that both sides need for each kind."""

    def __init__(self, w: MlsTensor, a: MlsTensor, e: MlsTensor, stride: int, padding: int) -> None:
        self.tensors = {"w": w, "a": a, "e": e}
        self.place = {"stride": stride, "padding": padding}
        self.sizes = {"wa": None, "we": a.shape[2:], "ae": w.shape[2:]}

    def operands(self, kind: str) -> list[MlsTensor]:
        return [self.tensors[letter] for letter in kind]

    def convolution(self, kind: str, segment: int | None = None) -> Convolution:
        shapes = [tensor.shape for tensor in self.operands(kind)]
        return convolution(kind, *shapes, **self.place, size=self.sizes[kind], segment=segment)

    def golden(self, kind: str, **options: object) -> ConvResult:
        functions: dict[str, tuple[Callable[..., ConvResult], dict[str, object]]] = {
            "wa": (conv2d, {}),
            "we": (conv2d_input_grad, {"input_size": self.sizes["we"]}),
            "ae": (conv2d_weight_grad, {"kernel_size": self.sizes["ae"]}),
        }
        function, size = functions[kind]
        return function(*self.operands(kind), **self.place, **size, **options)


def random_case(
    *,
    channels: tuple[int, int] = (5, 3),
    samples: int = 2,
    size: tuple[int, int] = (6, 5),
    kernel: tuple[int, int] = (3, 3),
    stride: int = 1,
    padding: int = 1,
) -> Case:
    """Gaussian tensors whose group scales spread over 2^-20."""
    rng = np.random.default_rng(1)
    inputs, outputs = channels
    plane = tuple(
        (side + 2 * padding - k) // stride + 1 for side, k in zip(size, kernel, strict=True)
    )
    shapes = (
        (outputs, inputs, *kernel),
        (samples, inputs, *size),
        (samples, outputs, *plane),
    )
    tensors = []
    for shape in shapes:
        x = rng.standard_normal(shape).astype(np.float32)
        x *= np.ldexp(np.float32(1), -rng.integers(0, 20, (*shape[:2], 1, 1), endpoint=True))
        tensors.append(quantize(x, MLS_E2M4, SCALE_E8M1, rng=rng))
    return Case(*tensors, stride, padding)


def check(
    case: Case,
    kind: str,
    *,
    lanes: int,
    tree: str = "fp32",
    segment: int | None = None,
    interval: int = 4,
    sample: int | None = None,
) -> tuple[Schedule, np.ndarray]:
    """Compare z bit for bit; the schedule and the overflow flags of its outputs."""
    expected = case.golden(kind, lanes=lanes, tree=tree, segment=segment, acc_width=ACC_WIDTH)
    conv = case.convolution(kind, segment)
    assert conv.z == expected.z.shape
    outputs = None if sample is None else conv.draw(sample, seed=1)
    plan = schedule(conv, *case.operands(kind), lanes=lanes, interval=interval, outputs=outputs)
    trace = mls_tile(
        plan.inputs,
        format=MLS_E2M4,
        scale=SCALE_E8M1,
        lanes=lanes,
        acc_width=ACC_WIDTH,
        tree=tree,
        tiles=1 << 10,
    )
    codes = expected.z.view(np.uint32).ravel()
    assert trace["z"][plan.finishes].tolist() == codes[plan.outputs].tolist()
    assert len(plan.outputs) == (expected.z.size if sample is None else min(sample, codes.size))
    assert len(np.unique(plan.outputs)) == len(plan.outputs)
    ends = np.flatnonzero(plan.inputs["last"])
    assert np.diff(ends).min() >= interval
    return plan, trace["overflow"][plan.finishes]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize("segment", [None, 4])
def test_lanes_and_segments(kind, tree, lanes, segment):
    check(random_case(), kind, lanes=lanes, tree=tree, segment=segment)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 2)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_places(kind, kernel, stride, padding):
    case = random_case(kernel=kernel, stride=stride, padding=padding, size=(7, 6))
    check(case, kind, lanes=4, segment=2)


@pytest.mark.parametrize("kind", Kind)
def test_overflow_belongs_to_its_output(kind):
    """With one leaf an output, golden's count is that of the flagged outputs."""
    case = random_case(channels=(1, 1), samples=1, size=(12, 12))
    _, flags = check(case, kind, lanes=3)
    count = case.golden(kind, acc_width=ACC_WIDTH).overflow_count
    assert flags.sum() == count > 0


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["block2.conv1", "block3.shortcut"])
def test_captured_layer(kind, name):
    """A sample of the outputs of layers with stride 2, 3x3 and 1x1."""
    layer = next(x for x in data.load() if (x.name, x.phase) == (name, "late"))
    rng = np.random.default_rng(2)
    tensors = [quantize(x, MLS_E2M4, SCALE_E8M1, rng=rng) for x in layer.tensors().values()]
    case = Case(*tensors, layer.stride, layer.padding)
    check(case, kind, lanes=16, sample=100, interval=7)


@pytest.mark.parametrize("interval", [1, 4, 9, 19])
def test_interval_costs_only_idle_steps(interval):
    """Leaves of 4, 4 and 1 products, one a lane of two: a tile takes its longest leaf's length."""
    case = random_case(channels=(2, 1), samples=1)
    plan, _ = check(case, "wa", lanes=2, segment=4, interval=interval)
    lengths = [max(4, interval), max(4, interval), max(4, interval)]
    assert len(plan.inputs["w"]) == 1 + len(plan.outputs) * sum(lengths)
    starts, ends = (np.flatnonzero(plan.inputs[port]) for port in ("start", "last"))
    assert ((ends - starts)[1:] == 3).all()
    # Idle steps, those between a last and the next start, are fed zeros.
    under_way = np.cumsum(plan.inputs["start"]) - np.cumsum(plan.inputs["last"])
    idle = (under_way + plan.inputs["last"]) == 0
    assert idle.sum() == max(interval - 4, 0) * 3 * len(plan.outputs)
    assert not plan.inputs["w"][idle].any()
    assert not plan.inputs["a"][idle].any()


def test_marks_and_idle_lanes():
    """Five leaves in three lanes: two tiles, the second with an idle lane."""
    case = random_case(channels=(5, 1), samples=1, kernel=(1, 1), padding=0)
    conv = case.convolution("wa")
    plan = schedule(conv, *case.operands("wa"), lanes=3, interval=1, outputs=np.array([7, 2]))
    assert plan.outputs.tolist() == [7, 2]
    assert plan.inputs["start"].tolist() == [1, 1, 1, 1, 1]
    assert plan.inputs["last"].tolist() == [1, 1, 1, 1, 1]
    assert plan.inputs["first"].tolist() == [1, 1, 0, 1, 0]
    assert plan.inputs["finish"].tolist() == [1, 0, 1, 0, 1]
    assert plan.finishes.tolist() == [2, 4]
    for port in ("w", "a"):
        assert not plan.inputs[port][0].any()
        assert plan.inputs[port][[2, 4], 2].tolist() == [0, 0]
        scales = plan.inputs[f"{port}_scale"] >> SCALE_E8M1.man_bits
        assert scales[0].tolist() == [255, 255, 255]
        assert scales[[2, 4], 2].tolist() == [255, 255]
        assert scales[1:, :2].max() < 255
    w, a = case.operands("wa")
    factor = np.float32(w.tensor_scale * a.tensor_scale)
    assert plan.inputs["tensor_scale"].tolist() == [int(factor.view(np.uint32))] * 5


def test_stream_is_the_schedule_without_idle_steps():
    case = random_case()
    for kind in Kind:
        conv, tensors = case.convolution(kind, 4), case.operands(kind)
        beats = stream(conv, *tensors, lanes=4)
        plan = schedule(conv, *tensors, lanes=4, interval=6)
        under_way = np.cumsum(plan.inputs["start"]) - np.cumsum(plan.inputs["last"])
        busy = (under_way + plan.inputs["last"]) == 1
        assert set(beats.inputs) == {"w", "a", "w_scale", "a_scale", "last", "finish"}
        for port, codes in beats.inputs.items():
            assert (codes == plan.inputs[port][busy][1:]).all()
        assert beats.outputs.tolist() == plan.outputs.tolist()
        assert beats.inputs["finish"][beats.finishes].tolist() == [1] * len(beats.outputs)


def test_every_product_once():
    """Places of W*A without padding: the cross product of taps and channels, each one time."""
    conv = convolution("wa", (2, 5, 3, 3), (1, 5, 4, 4))
    steps = lower(conv, lanes=4)
    used = steps.w >= 0
    pairs = np.stack([steps.w[used], steps.a[used]])
    assert pairs.shape[1] == len(np.unique(pairs, axis=1).T) == conv.size * 5 * 9
    assert (steps.w_group[used] == steps.w[used] // 9).all()
    assert (steps.a_group[used] == steps.a[used] // 16).all()


def test_draw_is_a_seeded_choice():
    conv = convolution("wa", (4, 2, 3, 3), (2, 2, 8, 8))
    assert conv.draw(20, 3).tolist() == conv.draw(20, 3).tolist() != conv.draw(20, 4).tolist()
    assert conv.draw(1 << 20, 3).tolist() == list(range(conv.size))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("ww", (1, 1, 1, 1), (1, 1, 1, 1)), {}, ValueError, "kind must be one of wa, we, ae"),
        (("wa", (1, 1, 1), (1, 1, 1, 1)), {}, ValueError, "w must be of rank 4"),
        (("wa", (1, 1, 1, 1), (1, 1, 0, 1)), {}, ValueError, "a must be of rank 4 and not empty"),
        (("wa", (1, 2, 1, 1), (1, 1, 1, 1)), {}, ValueError, "a's channels must be 2, not 1"),
        (("wa", (1, 1, 3, 3), (1, 1, 2, 2)), {}, ValueError, "the kernel must fit"),
        (("wa", (1, 1, 1, 1), (1, 1, 1, 1)), {"size": (1, 1)}, ValueError, "size must be given"),
        (("we", (1, 1, 1, 1), (1, 1, 1, 1)), {}, ValueError, "size must be given"),
        (
            ("we", (2, 1, 1, 1), (1, 1, 1, 1)),
            {"size": (1, 1)},
            ValueError,
            "a's channels must be 2, not 1",
        ),
        (
            ("we", (1, 1, 3, 3), (1, 1, 2, 2)),
            {"size": (5, 5)},
            ValueError,
            r"a's plane must be \(3, 3\), not \(2, 2\)",
        ),
        (
            ("ae", (2, 1, 4, 4), (1, 1, 2, 2)),
            {"size": (3, 3)},
            ValueError,
            "a's samples must be 2, not 1",
        ),
        (
            ("ae", (1, 1, 4, 4), (1, 1, 2, 2)),
            {"size": (2, 2)},
            ValueError,
            r"a's plane must be \(3, 3\), not \(2, 2\)",
        ),
        (("wa", (1, 1, 1, 1), (1, 1, 1, 1)), {"stride": 0}, ValueError, "stride must be in"),
        (("wa", (1, 1, 1, 1), (1, 1, 1, 1)), {"padding": 1.0}, TypeError, "padding must be an"),
        (("wa", (1, 1, 1, 1), (1, 1, 1, 1)), {"segment": 0}, ValueError, "segment must be in"),
    ],
)
def test_convolution_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        convolution(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lanes": 0}, ValueError, "lanes must be in"),
        ({"interval": 0}, ValueError, "interval must be in"),
        ({"outputs": np.array([], int)}, ValueError, "outputs must be places below 90, not"),
        ({"outputs": np.array([90])}, ValueError, "outputs must be places below 90, not"),
        ({"outputs": np.array([-1])}, ValueError, "outputs must be places below 90, not"),
        (
            {"w": quantize(np.ones((1, 5, 3, 3), np.float32), MLS_E2M4, SCALE_E8M1)},
            ValueError,
            r"w's shape must be \(3, 5, 3, 3\), not \(1, 5, 3, 3\)",
        ),
        (
            {"w": quantize(np.ones((3, 5, 3, 3), np.float32), MLS_E2M4, SCALE_E8M1, group="n")},
            ValueError,
            r"w's scales must be \(3, 5, 1, 1\), not \(3, 1, 1, 1\)",
        ),
        (
            {"a": quantize(np.ones((1, 5, 6, 5), np.float32), MLS_E2M1, SCALE_E8M1)},
            ValueError,
            "a's element must be <2,4>, not <2,1>",
        ),
        (
            {"a": quantize(np.ones((1, 5, 6, 5), np.float32), MLS_E2M4, SCALE_E8M0)},
            ValueError,
            "a's scale must be <8,1>, not <8,0>",
        ),
    ],
    ids=["lanes", "interval", "none", "beyond", "negative", "shape", "groups", "element", "scale"],
)
def test_schedule_errors(options, error, message):
    case = random_case(samples=1)
    w, a = case.operands("wa")
    good = {"convolution": case.convolution("wa"), "w": w, "a": a, "lanes": 4, "interval": 4}
    with pytest.raises(error, match=message):
        schedule(**(good | options))


@pytest.mark.parametrize(("count", "seed", "name"), [(0, 1, "count"), (1, -1, "seed")])
def test_draw_errors(count, seed, name):
    with pytest.raises(ValueError, match=f"{name} must be in"):
        random_case().convolution("wa").draw(count, seed)
