"""Quantization errors against exact fractions, and what the formats say about one another."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import (
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M1,
    Carry,
    ElementFormat,
    Grouping,
    Rounding,
    quantize,
    random_words,
)
from mlsmac.golden.quality import (
    SETTINGS,
    QuantizationError,
    Setting,
    measure_quality,
    quantization_error,
)


def tensor(seed: int, shape: tuple[int, ...] = (4, 6, 3, 3)) -> np.ndarray:
    """Values over many binades, a third of them zeros."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * 2.0 ** rng.integers(-8, 1, shape)
    return np.where(rng.random(shape) < 1 / 3, 0, x).astype(np.float32)


@pytest.mark.parametrize("carry", Carry)
def test_errors_are_those_of_exact_fractions(carry):
    x = tensor(1)
    x[0, 0] *= np.float32(2.0**-130)  # subnormal numbers
    coded = quantize(x, MLS_E2M1, SCALE_E8M1, carry=carry, rng=np.random.default_rng(2))
    pairs = zip(x.ravel().tolist(), coded.dequantize().ravel().tolist(), strict=True)
    exact = [(Fraction(value), Fraction(code)) for value, code in pairs]
    total = sum(abs(value) for value, _ in exact)
    relative = [abs(code - value) / abs(value) for value, code in exact if value]
    found = quantization_error(x, coded)
    expected = QuantizationError(
        average_relative=float(sum(relative) / len(relative)),
        normalized=float(sum(abs(code - value) for value, code in exact) / total),
        bias=float(sum(abs(code) - abs(value) for value, code in exact) / total),
    )
    assert found.average_relative == pytest.approx(expected.average_relative, rel=1e-12)
    assert found.normalized == pytest.approx(expected.normalized, rel=1e-12)
    assert found.bias == pytest.approx(expected.bias, rel=1e-9)


def test_zeros_and_codes_have_no_error():
    none = QuantizationError(0.0, 0.0, 0.0)
    zeros = np.zeros((2, 3), np.float32)
    assert quantization_error(zeros, quantize(zeros, MLS_E2M4, SCALE_E8M1)) == none
    # In units of 1/32 of the first: 124, 28 and 1 units of 1/128, all of them codes.
    x = np.array([[32, -31, 7, 0.25, 0]], np.float32)
    coded = quantize(x, MLS_E2M4, SCALE_E8M1, group="none")
    others = {name: getattr(coded, name)[:, 1:] for name in ("sign", "exp", "man")}
    assert quantization_error(x[:, 1:], dataclasses.replace(coded, **others)) == none
    assert quantization_error(x, coded).bias == pytest.approx(-1 / 70.25)  # 32 becomes 31


def test_refusals():
    coded = quantize(tensor(3), MLS_E2M4, SCALE_E8M1)
    with pytest.raises(TypeError, match=r"x must be a float32 array, not dtype\('float64'\)"):
        quantization_error(tensor(3).astype(np.float64), coded)
    with pytest.raises(ValueError, match=r"x must be of the codes' shape \(4, 6, 3, 3\), not \(4"):
        quantization_error(tensor(3)[:, :5], coded)
    with pytest.raises(ValueError, match=r"seed must be in 0\.\.2147483647, not -1"):
        measure_quality({"w": [tensor(3)]}, SCALE_E8M1, seed=-1)


@pytest.fixture(scope="module")
def measured():
    tensors = {"w": [tensor(4), tensor(5)], "e": [tensor(6, (2, 3, 40))]}
    return measure_quality(tensors, SCALE_E8M1, seed=7)


def test_every_setting_of_every_tensor_is_measured(measured):
    assert len(set(SETTINGS)) == 4 * 24 * 2 * 2
    assert {kind: set(map(len, found.values())) for kind, found in measured.items()} == {
        "w": {2},
        "e": {1},
    }
    assert all(tuple(found) == SETTINGS for found in measured.values())


def test_words_follow_the_seed_tensor_after_tensor(measured):
    rng = np.random.default_rng(7)
    for place in range(2):
        x = tensor(4 + place)
        words = random_words(rng, x.shape, 8)
        for carry in Carry:
            coded = quantize(x, MLS_E2M1, SCALE_E8M1, group="c", carry=carry, random=words)
            setting = Setting(MLS_E2M1, Grouping.C, Rounding.STOCHASTIC, carry)
            assert measured["w"][setting][place] == quantization_error(x, coded)


def test_progress_counts_the_tensors():
    told = []
    settings = SETTINGS[:1]
    tensors = {"w": [tensor(8)], "a": [tensor(9)]}
    measure_quality(
        tensors, SCALE_E8M1, settings=settings, progress=lambda *step: told.append(step)
    )
    assert told == [("w", 1, 2), ("a", 2, 2)]


def test_one_exponent_bit_with_carry_is_a_mantissa_bit(measured):
    """`<1,M>` has the values of `<0,M+1>`; only clip tells them apart."""
    for found in measured.values():
        for setting in SETTINGS:
            if setting.element.exp_bits != 1 or setting.element.man_bits == 6:
                continue
            fixed = dataclasses.replace(
                setting, element=ElementFormat(0, setting.element.man_bits + 1)
            )
            if setting.carry is Carry.CARRY:
                assert found[setting] == found[fixed]


def test_clip_shrinks_and_is_no_matter_without_exponents(measured):
    differing = 0
    for found in measured.values():
        for setting in SETTINGS:
            if setting.carry is Carry.CARRY:
                continue
            carried = dataclasses.replace(setting, carry=Carry.CARRY)
            pairs = zip(found[setting], found[carried], strict=True)
            for clip, carry in pairs:
                if setting.element.exp_bits == 0:
                    assert clip == carry
                else:
                    assert clip.bias <= carry.bias
                    differing += clip != carry
    assert differing > 200
