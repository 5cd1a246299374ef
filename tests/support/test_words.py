import numpy as np
import pytest

from mlsmac.support.words import words


def test_lane_0_is_lowest_and_negative_codes_are_twos_complement():
    assert words(np.array([[1, -1], [2, 3]]), 8) == [0xF1, 0x32]
    assert words(np.array([5, -8]), 4) == [5, 8]


def test_wide_words():
    codes = np.random.default_rng(1).integers(-(1 << 62), 1 << 62, (3000, 3))
    expected = [sum(int(c) % (1 << 70) << 70 * i for i, c in enumerate(row)) for row in codes]
    assert words(codes, 210) == expected


@pytest.mark.parametrize("codes", [[16], [-9]])
def test_codes_that_do_not_fit(codes):
    with pytest.raises(ValueError, match=rf"codes must fit in 4 bits, not .*{codes[0]}"):
        words(np.array(codes), 4)


def test_lanes_that_do_not_share_the_width():
    with pytest.raises(ValueError, match="width must be a multiple of 2 lanes, not 7"):
        words(np.array([[1, 2]]), 7)


def test_pythons_integers_of_any_width():
    codes = np.array([-1, 5, (1 << 72) - 1, -(1 << 72)], object)
    assert words(codes, 73) == [(1 << 73) - 1, 5, (1 << 72) - 1, 1 << 72]
    pairs = np.array([[-1, 2], [3, 1 << 69]], object)
    assert words(pairs, 142) == [(1 << 71) - 1 | 2 << 71, 3 | 1 << 140]
    with pytest.raises(ValueError, match="codes must fit in 72 bits"):
        words(codes, 72)
