"""The stimulus: its groups are the convolutions' partial sums, its codes the formats' casts."""

import dataclasses
import itertools
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from mlsmac.data import Layer
from mlsmac.golden.lns import decode
from mlsmac.golden.lowering import Kind
from mlsmac.golden.quantize import quantize
from mlsmac.golden.spec import (
    BF16,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    INT4,
    INT8,
    INT16,
    LNS8,
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M1,
    FloatFormat,
)
from mlsmac.study.stimuli.encode import amax_shift, encode_tensor
from mlsmac.study.stimuli.pairs import Stimulus, build
from mlsmac.units import configure

GEOMETRIES = {
    "3x3": (3, 1, 1),
    "3x3 stride 2": (3, 2, 1),
    "1x1 stride 2": (1, 2, 0),
    "3x3 stride 2, no padding": (3, 2, 0),
    "5x5 stride 3": (5, 3, 2),
}


def random_layer(kernel: int, stride: int, padding: int, seed: int = 5) -> Layer:
    """Planes that are not square, so that rows and columns cannot be mistaken."""
    rng = np.random.default_rng(seed)
    height, width = 9, 8
    plane = [(size + 2 * padding - kernel) // stride + 1 for size in (height, width)]
    shapes = ((2, 3, kernel, kernel), (4, 3, height, width), (4, 2, *plane))
    tensors = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    return Layer("conv", "early", *tensors, stride, padding)


def oracle(kind: str, layer: Layer) -> np.ndarray:
    """Partial sums in float64, one a (n, co, ci, row, column) of the result, by scalar loops."""
    w, a, e = (tensor.astype(np.float64) for tensor in layer.tensors().values())
    (samples, inputs, height, width), outputs, kernel = a.shape, w.shape[0], w.shape[2]
    plane = {"wa": e.shape[2:], "we": a.shape[2:], "ae": w.shape[2:]}[kind]
    result = np.zeros((samples, outputs, inputs, *plane))
    every = itertools.product(*map(range, (*e.shape[2:], kernel, kernel)))
    for y, x, i, j in every:
        row, column = y * layer.stride - layer.padding + i, x * layer.stride - layer.padding + j
        if not (0 <= row < height and 0 <= column < width):
            continue
        for n, co, ci in itertools.product(range(samples), range(outputs), range(inputs)):
            if kind == "wa":
                result[n, co, ci, y, x] += w[co, ci, i, j] * a[n, ci, row, column]
            elif kind == "we":
                result[n, co, ci, row, column] += w[co, ci, i, j] * e[n, co, y, x]
            else:
                result[n, co, ci, i, j] += a[n, ci, row, column] * e[n, co, y, x]
    return result


def coordinates(stimulus: Stimulus, place: int) -> tuple[int, str, tuple[int, ...]]:
    """Layer number, tensor and index of a place in the pool."""
    for number, layer in enumerate(stimulus.layers):
        for key, tensor in layer.tensors().items():
            if place < tensor.size:
                return number, key, tuple(int(x) for x in np.unravel_index(place, tensor.shape))
            place -= tensor.size
    raise AssertionError("place outside the pool")


def result_of(stimulus: Stimulus, pair: int, kind: str) -> tuple[int, tuple[int, ...]]:
    """Layer number and (n, co, ci, row, column) of the result that one pair adds to."""
    number, first, p = coordinates(stimulus, int(stimulus.first[pair]))
    other, second, q = coordinates(stimulus, int(stimulus.second[pair]))
    assert number == other
    assert first + second == kind
    layer = stimulus.layers[number]
    stride, padding = layer.stride, layer.padding
    if kind == "wa":
        assert p[1] == q[1]
        spot = [divmod(q[axis] + padding - p[axis], stride) for axis in (2, 3)]
        assert all(rest == 0 for _, rest in spot)
        return number, (q[0], p[0], p[1], spot[0][0], spot[1][0])
    if kind == "we":
        assert p[0] == q[1]
        spot = [(q[axis] * stride - padding + p[axis], 0) for axis in (2, 3)]
        return number, (q[0], p[0], p[1], spot[0][0], spot[1][0])
    assert p[0] == q[0]
    spot = [(p[axis] - q[axis] * stride + padding, 0) for axis in (2, 3)]
    return number, (p[0], q[1], p[1], spot[0][0], spot[1][0])


def groups(stimulus: Stimulus) -> list[range]:
    edges = [*np.flatnonzero(stimulus.start).tolist(), len(stimulus)]
    return [range(low, high) for low, high in itertools.pairwise(edges)]


@pytest.mark.parametrize("kind", ["wa", "we", "ae"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_groups_are_partial_sums_of_the_convolution(geometry: str, kind: str) -> None:
    layer = random_layer(*GEOMETRIES[geometry])
    stimulus = build(2000, 1, (kind,), layers=[layer])
    expected = oracle(kind, layer)
    first, second = (values.astype(np.float64) for values in stimulus.values())
    spots = set()
    for group in groups(stimulus)[:-1]:  # the last one is cut
        (spot,) = {result_of(stimulus, pair, kind) for pair in group}
        total = sum(first[pair] * second[pair] for pair in group)
        assert total == pytest.approx(expected[spot[1]], rel=1e-12, abs=1e-12)
        spots.add(spot)
    assert len(spots) > 20


@pytest.mark.parametrize("kind", ["wa", "we", "ae"])
def test_groups_of_the_captured_tensors(kind: str) -> None:
    """Whole oracle planes would take minutes here: pairs of a group must add to one result."""
    stimulus = build(3000, 2, (kind,))
    layers = set()
    for group in groups(stimulus):
        (spot,) = {result_of(stimulus, pair, kind) for pair in group}
        layers.add(spot[0])
    assert len(layers) >= 4


def test_group_lengths_stride_1_and_2() -> None:
    """3x3 at stride 2: the input gradient's positions take 1, 2, 2 or 4 taps, never padding."""
    layer = random_layer(3, 2, 1)
    lengths = {
        kind: {len(group) for group in groups(build(4000, 3, (kind,), layers=[layer]))[:-1]}
        for kind in ("wa", "we")
    }
    assert lengths == {"wa": {9}, "we": {1, 2, 4}}
    assert {
        len(group) for group in groups(build(900, 3, ("we",), layers=[random_layer(3, 1, 1)]))[:-1]
    } == {9}


def test_pairs_come_in_the_order_of_the_first_operand() -> None:
    """docs/numerics.md section 9: of the kernel in W*A and W*E, of the plane in A*E."""
    stimulus = build(3000, 4, layers=[random_layer(3, 1, 1)])
    for group in groups(stimulus):
        assert (np.diff(stimulus.first[list(group)]) > 0).all()


@pytest.mark.parametrize("operations", [3, 100, 1001, 5000])
def test_exact_count_in_equal_shares(operations: int) -> None:
    stimulus = build(operations, 1)
    assert len(stimulus) == operations
    counts = np.bincount(stimulus.kind, minlength=3)
    assert counts.sum() == operations
    assert counts.max() - counts.min() <= 1
    edges = np.flatnonzero(np.diff(stimulus.kind)) + 1
    assert stimulus.start[[0, *edges]].all()


def test_layers_and_phases_are_drawn_uniformly() -> None:
    stimulus = build(40_000, 1, ("wa",))
    drawn = [coordinates(stimulus, int(stimulus.first[group[0]]))[0] for group in groups(stimulus)]
    counts = np.bincount(drawn, minlength=len(stimulus.layers))
    expected = len(drawn) / len(stimulus.layers)
    assert (abs(counts - expected) < 5 * expected**0.5).all()


def test_equal_arguments_equal_bytes() -> None:
    one, two = build(2000, 9), build(2000, 9)
    assert one.digest == two.digest
    for format in (MLS_E2M4, FP8_E4M3):
        for codes, again in zip(one.encode(format), two.encode(format), strict=True):
            assert codes.dtype == np.int64
            assert codes.tobytes() == again.tobytes()


def test_digest_depends_on_all_that_decides_the_codes() -> None:
    layer, other = random_layer(3, 1, 1), random_layer(3, 1, 1)
    other.e[0, 0, 0, 0] += 1
    variants = [
        build(600, 1, layers=[layer]),
        build(601, 1, layers=[layer]),
        build(600, 2, layers=[layer]),
        build(600, 1, ("wa", "we"), layers=[layer]),
        build(600, 1, layers=[other]),
    ]
    # The seed also decides the random words of the quantizer, for the very same pairs.
    variants.append(dataclasses.replace(variants[0], seed=2))
    assert len({stimulus.digest for stimulus in variants}) == len(variants)


def test_longer_stimulus_begins_with_the_shorter() -> None:
    short, long = build(500, 1, ("we",)), build(900, 1, ("we",))
    assert np.array_equal(long.first[:500], short.first)


def test_fp32_codes_are_the_bits() -> None:
    stimulus = build(2000, 1)
    for codes, values in zip(stimulus.encode(FP32), stimulus.values(), strict=True):
        assert np.array_equal(codes.astype(np.uint32).view(np.float32), values)


def test_mls_codes_are_the_quantized_tensor() -> None:
    layer = random_layer(3, 1, 1)
    stimulus = build(1500, 6, ("wa",), layers=[layer])
    w_codes, a_codes = stimulus.encode(MLS_E2M4)
    for number, (key, codes, places) in enumerate(
        [("w", w_codes, stimulus.first), ("a", a_codes, stimulus.second)]
    ):
        x = layer.tensors()[key]
        rng = np.random.default_rng([6, number])
        coded = quantize(x, MLS_E2M4, SCALE_E8M1, group="nc", rounding="stochastic", rng=rng)
        index = [coordinates(stimulus, int(place))[2] for place in places]
        expected = [
            int(coded.sign[i]) << 6 | int(coded.exp[i]) << 4 | int(coded.man[i]) for i in index
        ]
        assert codes.tolist() == expected
    assert 0 <= w_codes.min() <= w_codes.max() < 1 << MLS_E2M4.code_width


def test_tensors_take_different_random_words() -> None:
    """The same values as w and a: with one generator state for both they would round alike."""
    x = np.random.default_rng(1).random((4, 4, 3, 3), dtype=np.float32)
    layer = Layer("same", "early", x, x, np.ones((4, 4, 1, 1), np.float32), 1, 0)
    stimulus = build(2000, 1, ("wa",), layers=[layer])
    w_codes, a_codes = stimulus.encode(MLS_E2M1)
    seen_w = dict(zip(stimulus.first.tolist(), w_codes.tolist(), strict=True))
    seen_a = dict(zip((stimulus.second - x.size).tolist(), a_codes.tolist(), strict=True))
    both = seen_w.keys() & seen_a.keys()
    assert len(both) > 100
    assert any(seen_w[place] != seen_a[place] for place in both)


FLOAT8 = {FP8_E5M2: ml_dtypes.float8_e5m2, FP8_E4M3: ml_dtypes.float8_e4m3fn, FP16: np.float16}


@pytest.mark.parametrize("format", FLOAT8, ids=str)
def test_small_floats_use_the_whole_range_and_round_to_nearest_even(format: FloatFormat) -> None:
    rng = np.random.default_rng(8)
    limit = float(ml_dtypes.finfo(FLOAT8[format]).max)
    for scale in (-90, -20, 0, 17, 80):
        x = np.ldexp(rng.standard_normal((4, 3, 8, 8)).astype(np.float32), scale)
        shift = amax_shift(x, format)
        amax = Fraction(float(abs(x).max()))
        assert amax * Fraction(2) ** shift <= limit < amax * Fraction(2) ** (shift + 1)
        cast = np.ldexp(x.astype(np.float64), shift).astype(np.float32).astype(FLOAT8[format])
        expected = cast.view(np.uint16 if format is FP16 else np.uint8)
        assert np.array_equal(encode_tensor(x, format, rng), expected)


@pytest.mark.parametrize("format", FLOAT8, ids=str)
def test_largest_finite_value_needs_no_smaller_scale(format: FloatFormat) -> None:
    """The boundary: exactly the largest finite value stays, one float32 step above it halves."""
    limit = np.float32(ml_dtypes.finfo(FLOAT8[format]).max)
    assert amax_shift(np.array([limit]), format) == 0
    assert amax_shift(np.array([np.nextafter(limit, np.float32(np.inf))]), format) == -1


def test_bf16_is_not_scaled() -> None:
    x = np.random.default_rng(8).standard_normal((2, 2, 5, 5)).astype(np.float32)
    expected = x.astype(ml_dtypes.bfloat16).view(np.uint16)
    assert np.array_equal(encode_tensor(x, BF16, np.random.default_rng(0)), expected)


def test_integers_are_scaled_to_their_largest_number() -> None:
    rng = np.random.default_rng(8)
    x = rng.standard_normal((4, 3, 8, 8)).astype(np.float32)
    expected = np.rint(x.astype(np.float64) * 127 / abs(x).max()).astype(np.int8)
    assert np.array_equal(encode_tensor(x, INT8, rng), expected.view(np.uint8))


def test_each_operand_has_its_own_format() -> None:
    stimulus = build(900, 1)
    w, a = stimulus.encode(INT8, INT16)
    assert np.array_equal(w, stimulus.encode(INT8)[0])
    assert np.array_equal(a, stimulus.encode(INT16)[1])


def test_zero_points_are_the_code_of_zero() -> None:
    stimulus = build(900, 1)
    ports = stimulus.encode_affine(INT8, INT4)
    for port, values in zip("wa", stimulus.values(), strict=True):
        zeros = values == 0
        assert np.array_equal(ports[port][zeros], ports[f"{port}_zero"][zeros])
    assert (stimulus.values()[1] == 0).sum() > 50
    assert len(np.unique(ports["a_zero"])) > 2


def test_logarithms_are_scaled_to_the_largest_code() -> None:
    x = np.random.default_rng(8).standard_normal((2, 2, 9, 9)).astype(np.float32)
    codes = encode_tensor(x, LNS8, np.random.default_rng(0))
    ratio = decode(codes, LNS8) / (x / np.abs(x).max() * 2**-0.125)
    assert ratio == pytest.approx(1, rel=2 ** (1 / 16) - 1)
    assert ratio.max() / ratio.min() > 1.08


@pytest.mark.parametrize("format", [MLS_E2M4, FP8_E5M2, FP8_E4M3, BF16, FP32, INT8, LNS8], ids=str)
def test_all_zero_tensor(format: FloatFormat) -> None:
    x = np.zeros((2, 2, 3, 3), np.float32)
    assert not encode_tensor(x, format, np.random.default_rng(0)).any()


def test_statistics_count_zeros_of_either_sign() -> None:
    w = np.ones((1, 1, 1, 1), np.float32)
    a = np.array([0, -0.0, 3, 4], np.float32).reshape(1, 1, 2, 2)
    e = np.array([1, 0, 0, 2], np.float32).reshape(1, 1, 2, 2)
    stimulus = build(12, 1, ("ae",), layers=[Layer("x", "early", w, a, e, 1, 0)])
    (found,) = stimulus.statistics().values()
    assert (found.pairs, found.groups, found.mean_group_length) == (12, 3, 4.0)
    assert (found.zero_first, found.zero_second, found.zero_product) == (0.5, 0.5, 0.75)


def test_statistics_of_each_kind() -> None:
    stimulus = build(3000, 1)
    found = stimulus.statistics(MLS_E2M4)
    assert list(found) == [Kind.WA, Kind.WE, Kind.AE]
    assert sum(x.pairs for x in found.values()) == 3000
    assert sum(x.groups for x in found.values()) == stimulus.start.sum()
    raw = stimulus.statistics()
    for kind, x in found.items():
        assert x.zero_product >= raw[kind].zero_product
    assert raw[Kind.WA].zero_second > 0.2, "activations come out of a ReLU"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"operations": 2}, ValueError, "operations must be in 3.*, not 2"),
        ({"operations": 10.0}, TypeError, "operations must be an integer, not 10.0"),
        ({"seed": -1}, ValueError, "seed must be in 0.*, not -1"),
        ({"kinds": ()}, ValueError, "kinds must be one or more"),
        ({"kinds": ("wa", "wa")}, ValueError, "kinds must be one or more, each once"),
        ({"kinds": ("ww",)}, ValueError, "kinds must be one of .*, not 'ww'"),
        ({"kinds": "wa"}, ValueError, "kinds must be one of .*, not 'w'"),
        ({"layers": ()}, ValueError, "layers must be one or more"),
    ],
)
def test_build_refuses(arguments: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build(**({"operations": 100, "seed": 1} | arguments))


def test_layer_without_a_window_clear_of_the_padding() -> None:
    shape = (1, 1, 2, 2)
    x = np.ones(shape, np.float32)
    layer = Layer("tiny", "early", np.ones((1, 1, 3, 3), np.float32), x, x, 1, 1)
    with pytest.raises(ValueError, match="layer tiny must have windows clear of the padding"):
        build(9, 1, ("wa",), layers=[layer])


def test_encode_refuses_other_formats() -> None:
    with pytest.raises(TypeError, match=r"format must be of ElementFormat or .*, not 8"):
        build(9, 1).encode(8)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"format must be of ElementFormat or .*, not 8"):
        build(9, 1).statistics(8)  # type: ignore[arg-type]


def test_an_adder_is_fed_the_weights_of_spikes():
    source = build(300, 1)
    inputs = configure("adder_mac").workload(source).inputs
    w, a = source.encode(INT8)
    assert inputs["w"].tolist() == [x if y else 0 for x, y in zip(w, a, strict=True)]
    assert np.array_equal(inputs["start"], source.start)
    assert 0 < np.count_nonzero(a) < len(a)
