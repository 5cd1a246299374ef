"""Random generators: against a register that steps bit by bit; maximal length; statistics."""

import numpy as np
import pytest

from mlsmac.golden import lane_seed, lfsr_words

PERIOD = 2**32 - 1
FACTORS = (3, 5, 17, 257, 65537)
TAPS = 0xA3000000
STRIDE = 2654435769


def step(state: int) -> int:
    return state >> 1 ^ (TAPS if state & 1 else 0)


def walk(state: int, count: int, bits: int) -> list[int]:
    words = []
    for _ in range(count):
        word = 0
        for place in range(bits):
            word |= (state & 1) << place
            state = step(state)
        words.append(word)
    return words


def matrix_power(exponent: int) -> np.ndarray:
    """The matrix of `exponent` steps over GF(2), by squaring."""
    columns = [step(1 << bit) for bit in range(32)]
    base = np.array([[column >> row & 1 for column in columns] for row in range(32)])
    result = np.eye(32, dtype=np.int64)
    while exponent:
        if exponent & 1:
            result = result @ base % 2
        base = base @ base % 2
        exponent >>= 1
    return result


def test_polynomial_is_primitive() -> None:
    assert np.prod(FACTORS, dtype=object) == PERIOD
    identity = np.eye(32, dtype=np.int64)
    assert np.array_equal(matrix_power(PERIOD), identity)
    for factor in FACTORS:
        assert not np.array_equal(matrix_power(PERIOD // factor), identity)


@pytest.mark.parametrize("random_bits", [1, 3, 8, 24])
@pytest.mark.parametrize("seed", [1, 0xDEADBEEF, PERIOD])
def test_words_are_those_of_the_register(random_bits: int, seed: int) -> None:
    words = lfsr_words(700, lanes=3, random_bits=random_bits, seed=seed)
    assert words.shape == (700, 3)
    for lane in range(3):
        expected = walk(lane_seed(seed, lane), 700, random_bits)
        assert words[:, lane].tolist() == expected


@pytest.mark.parametrize("count", [1, 3, 4, 5, 7, 8, 1000])
def test_any_count_is_a_beginning(count: int) -> None:
    assert np.array_equal(lfsr_words(count), lfsr_words(1001)[:count])


def test_lane_seeds_lie_a_stride_apart() -> None:
    stride = matrix_power(STRIDE)
    state = 12345
    for lane in range(4):
        assert lane_seed(12345, lane) == state
        bits = stride @ np.array([state >> bit & 1 for bit in range(32)]) % 2
        state = int(sum(int(bit) << place for place, bit in enumerate(bits)))


@pytest.mark.parametrize("lanes", [2, 16, 64, 1000])
def test_lanes_are_far_apart(lanes: int) -> None:
    places = np.sort(np.arange(lanes) * STRIDE % PERIOD)
    gaps = np.diff(places, append=places[0] + PERIOD)
    assert gaps.min() > 0.35 * PERIOD / lanes


def test_no_two_or_three_lanes_are_dependent() -> None:
    """The states of three lanes never cancel: then no such sum of words is constant."""
    seeds = [lane_seed(1, lane) for lane in range(128)]
    assert len(set(seeds)) == 128
    pairs = {x ^ y for index, x in enumerate(seeds) for y in seeds[:index]}
    assert not pairs & set(seeds)


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    return lfsr_words(1 << 15, lanes=16, seed=2026)


def test_words_are_uniform(words: np.ndarray) -> None:
    """Chi-square of 256 words a lane, and of pairs of a word's and the next one's upper nibbles:
    255 degrees of freedom, so 5 sigma is 255 + 5 sqrt(510).
    """
    following = (words[:-1] >> 4 << 4) | (words[1:] >> 4)
    for each in (words, following):
        expected = len(each) / 256
        for lane in range(16):
            counts = np.bincount(each[:, lane], minlength=256)
            assert np.square(counts - expected).sum() / expected < 255 + 5 * 510**0.5


def test_words_are_uncorrelated_in_time_and_among_lanes(words: np.ndarray) -> None:
    values = words - 127.5
    values /= values.std()
    bound = 5 / len(values) ** 0.5
    for lag in (1, 2, 3, 4, 8):
        correlations = values[:-lag].T @ values[lag:] / len(values)
        assert np.abs(correlations).max() < bound
    among = values.T @ values / len(values) - np.eye(16)
    assert np.abs(among).max() < bound


def test_overlapping_words_would_be_correlated(words: np.ndarray) -> None:
    """What a single step a cycle gives: the check above is able to fail."""
    bits = lfsr_words(1 << 14, random_bits=1)[:, 0]
    overlapping = np.convolve(bits, 1 << np.arange(8)[::-1], "valid") - 127.5
    assert np.corrcoef(overlapping[:-1], overlapping[1:])[0, 1] > 0.4


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"count": 0}, ValueError, r"count must be in 1\.\.2147483648, not 0"),
        ({"count": 1, "lanes": 0}, ValueError, r"lanes must be in 1\.\.1024, not 0"),
        ({"count": 1, "random_bits": 25}, ValueError, r"random_bits must be in 1\.\.24, not 25"),
        ({"count": 1, "seed": 0}, ValueError, r"seed must be in 1\.\.4294967295, not 0"),
        ({"count": 1, "seed": 1.0}, TypeError, r"seed must be an integer, not 1\.0"),
    ],
)
def test_wrong_arguments(options: dict, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        lfsr_words(**options)


def test_wrong_lane() -> None:
    with pytest.raises(ValueError, match=r"lane must be in 0\.\.1023, not 1024"):
        lane_seed(1, 1024)
