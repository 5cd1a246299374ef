"""Block-scaled dot units against their definition in rationals."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mlsmac.golden import block_dot, decode_elements
from mlsmac.golden.spec import NVFP4_SCALE, SCALE_E8M0, SCALE_E8M1, ElementFormat

E2M1, E2M4, E4M3, INT8 = (ElementFormat(*widths) for widths in ((2, 1), (2, 4), (4, 3), (0, 7)))
CASES: dict[str, dict[str, Any]] = {
    "mxfp4": {"format": E2M1, "lanes": 8},
    "mxfp4, narrow": {"format": E2M1, "lanes": 8, "window": 12, "blocks": 64},
    "mxfp4, exact": {"format": E2M1, "lanes": 5, "accumulate": "exact", "blocks": 128},
    "mxfp4, float32": {"format": E2M1, "lanes": 8, "accumulate": "float32"},
    "mls": {"format": E2M4, "lanes": 9, "groups": 3, "scale": SCALE_E8M1},
    "mls, float32": {"format": E2M4, "lanes": 9, "scale": SCALE_E8M1, "accumulate": "float32"},
    "nvfp4": {"format": E2M1, "lanes": 4, "cycles": 4, "scale": NVFP4_SCALE},
    "nvfp4, exact": {"format": E2M1, "lanes": 4, "scale": NVFP4_SCALE, "accumulate": "exact"},
    "mxint8": {"format": INT8, "lanes": 4, "operands": "decoded", "cycles": 3},
    "int8": {"format": INT8, "lanes": 8, "operands": "decoded", "scale": None},
    "mxfp8, below 0": {"format": E4M3, "lanes": 4, "window": 32, "blocks": 128},
    "fp8, float32": {"format": E4M3, "lanes": 8, "scale": None, "accumulate": "float32"},
    "flag": {"format": INT8, "lanes": 2, "window": 20, "blocks": 1, "flag": True},
    "flag, long": {"format": E4M3, "lanes": 2, "window": 64, "blocks": 1, "flag": True},
    "held": {"format": E2M1, "lanes": 4, "hold": True},
}
STEPS = 400


def element(code: int, format: ElementFormat) -> Fraction:
    """Value of a code."""
    E, M = format.exp_bits, format.man_bits
    m, e, s = code & ((1 << M) - 1), code >> M & ((1 << E) - 1), code >> (E + M)
    mantissa = Fraction(m, 1 << M)
    if E == 0:
        value = mantissa
    elif e == 0:
        value = mantissa * Fraction(2) ** (1 - 2**E)
    else:
        value = (1 + mantissa) * Fraction(2) ** (e - 2**E)
    return -value if s else value


def float32(value: Fraction) -> int:
    """Code of the nearest float32, ties to even; zero is +0."""
    size, exponent = abs(value), -126
    while size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    steps = round(size / Fraction(2) ** (exponent - 23))  # Python rounds halves to even
    code = ((exponent + 126) << 23) + steps
    return code | (value < 0) << 31 if code else 0


def number(code: int) -> Fraction:
    """Value of a finite float32 code."""
    return Fraction(float(np.array(code, np.uint32).view(np.float32)))


def inputs_of(case: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Random steps whose blocks are short, long, extreme, with scales near each other and far."""
    rng = np.random.default_rng(seed)
    format, scale = case["format"], case.get("scale", SCALE_E8M0)
    groups, cycles = case.get("groups", 1), case.get("cycles", 1)
    shape = (STEPS, groups * case["lanes"])
    if case.get("operands") == "decoded":
        width = format.man_bits + 2**format.exp_bits
        codes = [rng.integers(0, 1 << width, shape) for _ in "wa"]
        extreme = 1 << (width - 1)
    else:
        codes = [rng.integers(0, 1 << format.code_width, shape) for _ in "wa"]
        extreme = (1 << (format.code_width - 1)) - 1
    inputs = dict(zip("wa", codes, strict=True))
    for port in "wa":
        inputs[port][100:200] = extreme
    if scale is not None:
        spread = np.where(np.arange(STEPS) % 200 < 150, 3, min(60, scale.max_exp))[:, None]
        for port in ("w_scale", "a_scale"):
            exponent = rng.integers(0, spread + 1, (STEPS, groups))
            mantissa = rng.integers(0, 1 << scale.man_bits, (STEPS, groups))
            inputs[port] = exponent << scale.man_bits | mantissa
            inputs[port][100:200] = (1 << scale.man_bits) - 1
    last = np.ones(STEPS, np.int64)
    if cycles > 1:
        last[:-1] = rng.random(STEPS - 1) < 1 / 2
        last[cycles - 1 :: cycles] = 1
        inputs |= {"last": last, "start": np.concatenate([[1], last[:-1]])}
    first = last * (rng.random(STEPS) < 1 / 7)
    first[np.flatnonzero(last)[0]] = 1
    first[101:199] = 0
    inputs |= {"first": first, "finish": last * (rng.random(STEPS) < 1 / 2)}
    if case.get("hold"):
        inputs["load"] = (rng.random(STEPS) < 1 / 4) | (np.arange(STEPS) == 0)
        inputs["load"] = inputs["load"].astype(np.int64)
    return inputs


class Oracle:
    """One step after the other, by the text of docs/numerics.md section 17."""

    def __init__(self, case: dict[str, Any]):
        self.case, self.format = case, case["format"]
        self.scale = case.get("scale", SCALE_E8M0)
        self.kind = case.get("accumulate", "window")
        fraction = self.format.man_bits + 2**self.format.exp_bits - 1
        largest = max(abs(element(c, self.format)) for c in range(1 << self.format.code_width))
        if case.get("operands") == "decoded" and self.format.exp_bits == 0:
            largest = Fraction(1)
        mantissa = self.scale.man_bits if self.scale else 0
        products = case["lanes"] * case.get("cycles", 1)
        term = products * largest**2 * 4**fraction * (2 ** (mantissa + 1) - 1) ** 2
        bits = int(term).bit_length() + 1
        self.above = bits + math.ceil(math.log2(case.get("blocks", 1024)))
        guard = 2 * self.scale.max_exp if self.scale and self.kind == "exact" else 0
        if self.kind == "window":
            guard = case.get("window", 40) - self.above
        self.width = self.above + guard
        self.unit = Fraction(1, 2 ** (2 * mantissa + 2 * fraction)) / Fraction(2) ** guard

    def operand(self, code: int) -> Fraction:
        if self.case.get("operands") != "decoded":
            return element(code, self.format)
        width = self.format.man_bits + 2**self.format.exp_bits
        return Fraction(code - (code >> (width - 1) << width), 2 ** (width - 1))

    def factor(self, code: int) -> Fraction:
        exp, man = divmod(code, 1 << self.scale.man_bits)
        return (1 + Fraction(man, 1 << self.scale.man_bits)) / Fraction(2) ** exp

    def run(self, inputs: dict[str, np.ndarray]) -> list[tuple[int, int, int]]:
        lanes, groups = self.case["lanes"], self.case.get("groups", 1)
        steps = {port: values.tolist() for port, values in inputs.items()}
        sums, outputs, held = [Fraction(0)] * groups, [], 0
        acc, code, flag = Fraction(0), 1 << 31, False
        for t in range(STEPS):
            held = t if steps.get("load", [1] * STEPS)[t] else held
            for g in range(groups):
                pairs = [
                    (steps["w"][held][i], steps["a"][t][i])
                    for i in range(g * lanes, (g + 1) * lanes)
                ]
                dot = sum(self.operand(w) * self.operand(a) for w, a in pairs)
                sums[g] = dot + (0 if steps.get("start", [1] * STEPS)[t] else sums[g])
            if steps.get("last", [1] * STEPS)[t]:
                if steps["first"][t]:
                    acc, code, flag = Fraction(0), 1 << 31, False
                for g in range(groups):
                    term = sums[g]
                    if self.scale:
                        term *= self.factor(steps["w_scale"][held][g])
                        term *= self.factor(steps["a_scale"][t][g])
                    if self.kind == "float32":
                        leaf = number(float32(term))
                        code = float32(leaf if code == 1 << 31 else number(code) + leaf)
                    else:
                        acc += math.floor(term / self.unit) * self.unit
                top = 2 ** (self.width - 1)
                flag |= not -top <= acc / self.unit < top
                acc = ((acc / self.unit + top) % (2 * top) - top) * self.unit
            done = steps["finish"][t]
            z = code if self.kind == "float32" else float32(acc)
            outputs.append((z * done, done, flag * done))
        return outputs


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_those_of_the_definition(name: str) -> None:
    case = CASES[name]
    inputs = inputs_of(case, seed=16)
    outputs = block_dot(inputs, **case)
    expected = np.array(Oracle(case).run(inputs)).T
    assert outputs["z"].tolist() == expected[0].tolist()
    assert outputs["valid"].tolist() == expected[1].tolist()
    if case.get("flag"):
        assert outputs["overflow"].tolist() == expected[2].tolist()
        assert 0 < outputs["overflow"].sum() < outputs["valid"].sum()
    else:
        assert not expected[2].any()


def test_proven_blocks_fit_and_one_more_may_not() -> None:
    """The bound is used up: 64 largest blocks fit the window, a few more do not."""
    case = {"format": INT8, "lanes": 8, "operands": "decoded", "scale": None, "blocks": 64}
    width = (8 * 128**2).bit_length() + 1 + 6
    for blocks, overflows in ((64, 0), (128, 1)):
        codes = np.full((blocks, 8), 128)
        marks = {"first": np.arange(blocks) == 0, "finish": np.arange(blocks) == blocks - 1}
        inputs = {"w": codes, "a": codes} | {k: v.astype(np.int64) for k, v in marks.items()}
        outputs = block_dot(inputs, window=width, flag=True, **case)
        assert outputs["overflow"][-1] == overflows
    assert outputs["z"][0] == 0


@pytest.mark.parametrize("format", [E2M1, E2M4, E4M3, INT8, ElementFormat(1, 0)], ids=str)
def test_decoded_elements(format: ElementFormat) -> None:
    codes = np.arange(1 << format.code_width)
    width = format.man_bits + 2**format.exp_bits
    values = [element(code, format) * 2 ** (width - 1) for code in codes.tolist()]
    assert decode_elements(codes, format).tolist() == [int(v) % (1 << width) for v in values]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": [0, 1]}, "first must be 1 in the first block"),
        ({"first": [2, 1]}, r"first must be in 0\.\.1"),
        ({"w": [[16, 0], [0, 0]]}, r"w must be in 0\.\.15, not 0\.\.16"),
    ],
)
def test_bad_inputs_are_refused(changes: dict[str, list], message: str) -> None:
    ports = {"w": [[0, 0]] * 2, "a": [[0, 0]] * 2, "first": [1, 0], "finish": [0, 1]}
    inputs = {port: np.array(values) for port, values in (ports | changes).items()}
    with pytest.raises(ValueError, match=message):
        block_dot(inputs, format=E2M1, lanes=2, scale=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 11}, r"window must be in 12\.\.128, not 11"),
        ({"blocks": 0}, r"blocks must be in 1\.\.1048576, not 0"),
        ({"accumulate": "none"}, "accumulate must be one of"),
        ({"operands": "sign"}, "operands must be one of"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    zeros = np.zeros((1, 2), np.int64)
    inputs = {"w": zeros, "a": zeros, "first": np.ones(1, int), "finish": np.ones(1, int)}
    with pytest.raises(ValueError, match=message):
        block_dot(inputs, format=E2M1, lanes=2, scale=None, **options)
