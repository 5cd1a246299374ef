"""Tiles against loops over steps, lanes and Python numbers."""

import math
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from mlsmac.golden import (
    FP8_E4M3,
    FP8_E5M2,
    MLS_E1M2,
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M0,
    SCALE_E8M1,
    Overflow,
    ScaleFormat,
    Tree,
    fp8_tile,
    fp32_tile,
    mls_tile,
)
from mlsmac.units import reference

MARKS = ("start", "last", "first", "finish")


def control(rng: np.random.Generator, steps: int) -> dict[str, np.ndarray]:
    """Marks drawn independently of each other, after a first step that is a whole output."""
    shares = {"start": 0.25, "last": 0.3, "first": 0.4, "finish": 0.4}
    marks = {port: (rng.random(steps) < share).astype(np.int64) for port, share in shares.items()}
    for mark in marks.values():
        mark[0] = 1
    return marks


def mls_inputs(rng, steps, lanes, element=MLS_E2M4, scale=SCALE_E8M1, deep=8):
    inputs = control(rng, steps)
    for port in ("w", "a"):
        inputs[port] = rng.integers(0, 1 << element.code_width, (steps, lanes))
        exp = rng.integers(0, min(deep, scale.max_exp), (steps, lanes), endpoint=True)
        man = rng.integers(0, 1 << scale.man_bits, (steps, lanes))
        inputs[f"{port}_scale"] = exp << scale.man_bits | man
    # 2^-20 .. 2^20, and numbers that make some products subnormal or infinite.
    field = rng.choice([107, 127, 147, 10, 250], steps)
    inputs["tensor_scale"] = field << 23 | rng.integers(0, 1 << 23, steps)
    return inputs


def code(x: np.float32) -> int:
    return 0x7FC00000 if np.isnan(x) else int(np.float32(x).view(np.uint32))


def number(word: int) -> np.float32:
    return np.uint32(word).view(np.float32)


def signed(word: int, element) -> int:
    """`(-1)^sign * q` by the definition of the element."""
    man = word % (1 << element.man_bits)
    exp = (word >> element.man_bits) % (1 << element.exp_bits)
    q = man if exp == 0 else ((1 << element.man_bits) + man) << (exp - 1)
    return -q if word >> (element.code_width - 1) else q


def balanced(values: list, add: Callable):
    while len(values) > 1:
        odd = values[-1:] if len(values) % 2 else []
        values = [add(x, y) for x, y in zip(values[::2], values[1::2], strict=False)] + odd
    return values[0]


def exact(total: int, exponent: int) -> np.float32:
    """`total * 2^-exponent`, exact in a Python float, then rounded once."""
    assert abs(total).bit_length() <= 53
    return np.float32(math.ldexp(total, -exponent)) + np.float32(0)


def leaves_sum(leaves: list[tuple[int, int]], tree: str, guard: int) -> np.float32:
    """One tile: `T * 2^-exponent` of each lane."""
    if tree == "fp32":
        return balanced([exact(*leaf) for leaf in leaves], lambda x, y: np.float32(x + y))
    low = min(exponent for _, exponent in leaves)
    total = sum((term << guard) // 2 ** (exponent - low) for term, exponent in leaves)
    return exact(total, low + guard)


def mls_steps(inputs, element, scale, acc_width, overflow, tree, guard):
    """(z, valid, overflow) after each step."""
    steps, lanes = inputs["w"].shape
    low, high = -(1 << (acc_width - 1)), (1 << (acc_width - 1)) - 1
    acc, sticky = [0] * lanes, [False] * lanes
    tiles: list[list[tuple[int, int]]] = []
    z, flagged, any_sticky, states = 0, 0, False, []
    for t in range(steps):
        for lane in range(lanes):
            if inputs["start"][t]:
                acc[lane], sticky[lane] = 0, False
            w, a = (signed(int(inputs[port][t, lane]), element) for port in "wa")
            total = acc[lane] + w * a
            if not low <= total <= high:
                sticky[lane] = True
                wrapped = (total - low) % (1 << acc_width) + low
                total = wrapped if overflow == "wrap" else max(low, min(high, total))
            acc[lane] = total
        valid = 0
        if inputs["last"][t]:
            if inputs["first"][t]:
                tiles, any_sticky = [], False
            leaves = []
            for lane in range(lanes):
                codes = [int(inputs[f"{port}_scale"][t, lane]) for port in "wa"]
                hidden = 1 << scale.man_bits
                term = acc[lane]
                for word in codes:
                    term *= hidden + word % hidden
                shift = sum(word // hidden for word in codes)
                leaves.append((term, shift + 2 * scale.man_bits + 2 * element.fraction_bits))
            tiles.append(leaves)
            any_sticky |= any(sticky)
            if inputs["finish"][t]:
                if tree == "exact":
                    every = [leaf for tile in tiles for leaf in tile]
                    unit = max(exponent for _, exponent in every)
                    total = exact(sum(term << (unit - e) for term, e in every), unit)
                else:
                    total = leaves_sum(tiles[0], tree, guard)
                    for tile in tiles[1:]:
                        total = np.float32(total + leaves_sum(tile, tree, guard))
                with np.errstate(over="ignore"):
                    z = code(total * number(inputs["tensor_scale"][t]))
                valid, flagged = 1, int(any_sticky)
        states.append((z, valid, flagged))
    return states


@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize(
    ("element", "scale", "acc_width", "overflow"),
    [
        (MLS_E2M4, SCALE_E8M1, 14, "saturate"),
        (MLS_E2M4, SCALE_E8M0, 14, "wrap"),
        (MLS_E2M1, ScaleFormat(4, 3), 8, "saturate"),
        (MLS_E1M2, ScaleFormat(2, 2), 24, "saturate"),
    ],
    ids=str,
)
def test_mls_tile_equals_loops(tree, lanes, element, scale, acc_width, overflow):
    rng = np.random.default_rng(lanes)
    inputs = mls_inputs(rng, 250, lanes, element, scale)
    options = {
        "format": element,
        "scale": scale,
        "acc_width": acc_width,
        "overflow": Overflow(overflow),
        "tree": Tree(tree),
        "lanes": lanes,
        "guard_bits": 5,
        "tiles": 250,
        "tensor_scale": True,
    }
    outputs = reference("mls_tile", options, inputs)
    states = mls_steps(inputs, element, scale, acc_width, overflow, tree, 5)
    assert list(zip(*(outputs[p].tolist() for p in ("z", "valid", "overflow")), strict=True)) == (
        states
    )
    flags = outputs["overflow"][outputs["valid"] == 1]
    assert 0 < flags.mean() < 1 or acc_width == 24 or lanes == 16


def test_tensor_scale_is_an_option():
    rng = np.random.default_rng(1)
    inputs = mls_inputs(rng, 200, 4)
    options = {"format": MLS_E2M4, "scale": SCALE_E8M1, "lanes": 4, "acc_width": 16}
    one = inputs | {"tensor_scale": np.full(200, 127 << 23)}
    without = {port: codes for port, codes in inputs.items() if port != "tensor_scale"}
    plain = mls_tile(without, **options, tensor_scale=False)
    assert plain["z"].tolist() == mls_tile(one, **options)["z"].tolist()
    assert plain["z"].tolist() != mls_tile(inputs, **options)["z"].tolist()


def test_zero_times_an_infinite_scale_is_nan():
    inputs = mls_inputs(np.random.default_rng(2), 1, 3)
    inputs |= {"w": np.zeros((1, 3), np.int64), "tensor_scale": np.array([0x7F800000])}
    assert mls_tile(inputs, format=MLS_E2M4, scale=SCALE_E8M1, lanes=3, acc_width=16)[
        "z"
    ].tolist() == [0x7FC00000]


class Float32Loop:
    """Operations on float32 numbers; Python's floats hold every exact product, and sums closely
    enough that a second rounding changes nothing (53 >= 2 * 24 + 2).
    """

    def __init__(self, subnormals: bool) -> None:
        self.subnormals = subnormals

    def read(self, x: np.float32) -> float:
        if not self.subnormals and abs(x) < 2.0**-126:
            return math.copysign(0.0, x)
        return float(x)

    def rounded(self, x: float) -> np.float32:
        if not self.subnormals and x != 0 and math.isfinite(x):
            # To 24 bits with unbounded exponent; what lies below 2^-126 then is zero.
            mantissa, exponent = math.frexp(x)
            unbounded = math.ldexp(float(np.float32(mantissa)), exponent)
            if abs(unbounded) < 2.0**-126:
                return np.float32(math.copysign(0.0, x))
        with np.errstate(over="ignore"):
            return np.float32(x)

    def add(self, x: np.float32, y: np.float32) -> np.float32:
        return self.rounded(self.read(x) + self.read(y))

    def multiply(self, x: np.float32, y: np.float32) -> np.float32:
        return self.rounded(self.read(x) * self.read(y))


def float_steps(inputs, decode, *, subnormals, tensor_scale):
    """(z, valid) after each step."""
    loop = Float32Loop(subnormals)
    w, a = decode(inputs["w"]), decode(inputs["a"])
    steps, lanes = w.shape
    acc = [np.float32(0)] * lanes
    total, z, states = np.float32(0), 0, []
    for t in range(steps):
        for lane in range(lanes):
            before = np.float32(-0.0) if inputs["start"][t] else acc[lane]
            acc[lane] = loop.add(before, loop.multiply(w[t, lane], a[t, lane]))
        valid = 0
        if inputs["last"][t]:
            tile = balanced(list(acc), loop.add)
            total = tile if inputs["first"][t] else loop.add(total, tile)
            if inputs["finish"][t]:
                scaled = total
                if tensor_scale:
                    scaled = loop.multiply(total, number(inputs["tensor_scale"][t]))
                z, valid = code(scaled), 1
        states.append((z, valid))
    return states


def float_states(outputs) -> list[tuple[int, int]]:
    assert set(outputs) == {"z", "valid"}
    return list(zip(outputs["z"].tolist(), outputs["valid"].tolist(), strict=True))


@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize("tensor_scale", [True, False])
@pytest.mark.parametrize(
    ("format", "dtype"), [(FP8_E4M3, ml_dtypes.float8_e4m3fn), (FP8_E5M2, ml_dtypes.float8_e5m2)]
)
def test_fp8_tile_equals_loops(lanes, tensor_scale, format, dtype):
    rng = np.random.default_rng(3)
    inputs = control(rng, 250)
    finite = np.flatnonzero(np.isfinite(np.arange(256, dtype=np.uint8).view(dtype)))
    for port in ("w", "a"):
        inputs[port] = rng.choice(finite, (250, lanes))
        inputs[port][rng.random((250, lanes)) < 0.001] = 0x7F  # NaN
    inputs["tensor_scale"] = rng.choice([1, 64, 127, 250], 250) << 23
    options = {"format": format, "lanes": lanes, "tensor_scale": tensor_scale}
    states = float_steps(
        inputs,
        lambda codes: codes.astype(np.uint8).view(dtype).astype(np.float32),
        subnormals=True,
        tensor_scale=tensor_scale,
    )
    assert float_states(reference("fp8_tile", options, inputs)) == states


@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize("subnormals", [True, False])
@pytest.mark.parametrize("tensor_scale", [True, False])
def test_fp32_tile_equals_loops(lanes, subnormals, tensor_scale):
    """Products around 2^-126 and around 1, signed zeros, infinities."""
    rng = np.random.default_rng(4)
    inputs = control(rng, 400)
    # Runs of one size, so that sums of tiny products stay tiny.
    place = np.cumsum(rng.random(400) < 0.1) % 3
    for port in ("w", "a"):
        field = np.array([60, 127, 0])[place][:, np.newaxis] + rng.integers(0, 5, (400, lanes))
        sign = rng.integers(0, 2, (400, lanes)) << 31
        inputs[port] = sign | field << 23 | rng.integers(0, 1 << 23, (400, lanes))
        inputs[port][rng.random((400, lanes)) < 0.05] = 0
        inputs[port][rng.random((400, lanes)) < 0.0005] = 0x7F800000
    inputs["tensor_scale"] = rng.choice([1, 126, 127, 140], 400) << 23
    options = {"lanes": lanes, "subnormals": subnormals, "tensor_scale": tensor_scale}
    outputs = reference("fp32_tile", options, inputs)
    states = float_steps(
        inputs,
        lambda codes: codes.astype(np.uint32).view(np.float32),
        subnormals=subnormals,
        tensor_scale=tensor_scale,
    )
    assert float_states(outputs) == states
    magnitude = outputs["z"] & 0x7FFFFFFF
    assert ((magnitude > 0) & (magnitude < 1 << 23)).any() == subnormals
    assert (magnitude == 0).any()


def run(**changes):
    """A good run of two lanes and two tiles, changed."""
    options = {"format": MLS_E2M4, "scale": SCALE_E8M1, "lanes": 2, "acc_width": 16}
    inputs = {
        "w": np.zeros((2, 2), np.int64),
        "a": np.zeros((2, 2), np.int64),
        "w_scale": np.zeros((2, 2), np.int64),
        "a_scale": np.zeros((2, 2), np.int64),
        "tensor_scale": np.zeros(2, np.int64),
        "start": np.array([1, 1]),
        "last": np.array([1, 1]),
        "first": np.array([1, 0]),
        "finish": np.array([1, 1]),
    }
    for name, value in changes.items():
        (inputs if name in inputs else options)[name] = value
    return mls_tile(inputs, **options)


def test_run_is_good():
    assert run()["valid"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"lanes": 1.0}, TypeError, "lanes must be an integer, not 1.0"),
        ({"lanes": 65}, ValueError, r"lanes must be in 1\.\.64, not 65"),
        ({"w": np.zeros(2, int)}, ValueError, r"w must be of shape \(T, 2\), not \(2,\)"),
        ({"a": np.zeros((0, 2), int)}, ValueError, r"a must be of shape \(T, 2\), not \(0, 2\)"),
        ({"last": np.ones(3, int)}, ValueError, r"last must have an entry a step, not \(3,\)"),
        ({"first": np.array([1, 2])}, ValueError, r"first must be in 0\.\.1, not 1\.\.2"),
        ({"w_scale": np.zeros((2, 1), int)}, ValueError, r"w_scale must be of w's shape \(2, 2\)"),
        ({"a_scale": np.full((2, 2), 512)}, ValueError, r"a_scale must be in 0\.\.511"),
        ({"tensor_scale": np.full(2, 1 << 32)}, ValueError, r"must be in 0\.\.4294967295"),
        ({"tree": "wallace"}, ValueError, "tree must be one of 'fp32', 'aligned', 'exact'"),
        ({"acc_width": 1}, ValueError, r"acc_width must be in 2\.\.64, not 1"),
        ({"acc_width": 51}, ValueError, r"within 54 bits, not 51 \(55 bits\)"),
        ({"acc_width": 38, "tree": "aligned"}, ValueError, r"within 54 bits, not 38 \(55 bits\)"),
        ({"guard_bits": 33}, ValueError, r"guard_bits must be in 0\.\.32, not 33"),
        ({"tree": "exact", "tiles": 0}, ValueError, "tiles must be in"),
        ({"tree": "exact", "tiles": 1}, ValueError, "an output must have at most 1 tiles, not 2"),
    ],
    ids=str,
)
def test_errors(changes, error, message):
    with pytest.raises(error, match=message):
        run(**changes)


@pytest.mark.parametrize("port", MARKS)
def test_first_step_is_a_whole_output(port):
    with pytest.raises(ValueError, match=f"{port} must be 1 in step 0, which is a whole output"):
        run(**{port: np.array([0, 1])})


@pytest.mark.parametrize("tree", ["fp32", "aligned"])
def test_widest_accumulator(tree):
    """The limit that the errors name is not a bit too low."""
    run(acc_width=50 if tree == "fp32" else 37, tree=tree)


def test_fp8_tile_wants_fp8():
    with pytest.raises(ValueError, match="format must be FP8_E5M2 or FP8_E4M3"):
        fp8_tile(control(np.random.default_rng(5), 1) | zeros(), format=MLS_E2M4, lanes=1)


def test_fp32_tile_has_no_tensor_scale_by_default():
    outputs = fp32_tile(control(np.random.default_rng(5), 1) | zeros(), lanes=1)
    assert outputs["z"].tolist() == [0]


def zeros() -> dict[str, np.ndarray]:
    return {"w": np.zeros((1, 1), np.int64), "a": np.zeros((1, 1), np.int64)}


@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
def test_an_idle_lane_changes_nothing(tree):
    inputs = mls_inputs(np.random.default_rng(6), 200, 3)
    idle = {"w": 0, "a": 0, "w_scale": 255 << 1, "a_scale": 255 << 1}
    wider = {port: with_lane(inputs[port], word) for port, word in idle.items()}
    options = {"format": MLS_E2M4, "scale": SCALE_E8M1, "tree": tree, "tiles": 200, "acc_width": 16}
    expected, outputs = (
        mls_tile(inputs, **options, lanes=3),
        mls_tile(inputs | wider, **options, lanes=4),
    )
    for port in ("z", "valid", "overflow"):
        assert outputs[port].tolist() == expected[port].tolist()


@pytest.mark.parametrize("subnormals", [True, False])
def test_an_idle_lane_of_floats_changes_nothing(subnormals):
    """-0 times +0, also beside sums of -0."""
    rng = np.random.default_rng(7)
    inputs = control(rng, 200)
    one, minus_zero = 127 << 23, 1 << 31
    inputs["w"] = rng.choice(
        [minus_zero, 0, one, one | minus_zero], (200, 3), p=[0.94, *[0.02] * 3]
    )
    inputs["a"] = rng.choice([0, one], (200, 3))
    wider = {"w": with_lane(inputs["w"], minus_zero), "a": with_lane(inputs["a"], 0)}
    expected = fp32_tile(inputs, lanes=3, subnormals=subnormals)
    outputs = fp32_tile(inputs | wider, lanes=4, subnormals=subnormals)
    assert outputs["z"].tolist() == expected["z"].tolist()
    assert {0, one, minus_zero} <= set(expected["z"].tolist())


def with_lane(codes: np.ndarray, word: int) -> np.ndarray:
    """One lane more, of which every code is `word`."""
    return np.append(codes, np.full((len(codes), 1), word), axis=1)
