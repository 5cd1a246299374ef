"""Rectilinear Steiner trees against all trees over the Hanan grid."""

import itertools

import numpy as np
import pytest

from mlsmac.synth.layout.steiner import spanning_tree, steiner_tree


def _shortest(points):
    """The shortest tree: as Hanan proved, its further points stand where lines through two given
    points cross, and there are at most two less of them than given points.
    """
    grid = [np.array(place) for place in itertools.product(*map(set, points.T.tolist()))]
    further = (
        more for count in range(len(points) - 1) for more in itertools.combinations(grid, count)
    )
    return min(spanning_tree(np.array([*points, *more])).length for more in further)


def _half_perimeter(points):
    return np.ptp(points, axis=0).sum()


def _is_tree(tree, count):
    reached = {0}
    for near, far in tree.edges.tolist():
        assert near in reached
        assert far not in reached
        reached.add(far)
    assert reached == set(range(len(tree.points)))
    assert len(tree.points) >= count


@pytest.mark.parametrize("count", [1, 2, 3])
def test_up_to_three_points_take_half_the_perimeter(count):
    rng = np.random.default_rng(count)
    for _ in range(50):
        points = rng.random((count, 2))
        assert steiner_tree(points).length == pytest.approx(_half_perimeter(points))


@pytest.mark.parametrize(("count", "draws"), [(4, 20), (5, 4)])
def test_few_points_are_near_the_shortest_tree(count, draws):
    rng = np.random.default_rng(count)
    ratios = []
    for _ in range(draws):
        points = rng.integers(0, 20, (count, 2)).astype(float)
        shortest, found = _shortest(points), steiner_tree(points).length
        assert found >= shortest - 1e-9
        ratios.append(found / shortest)
    assert np.mean(ratios) < 1.01
    assert max(ratios) < 1.1


def test_a_cross_has_its_middle():
    """Four ends of a cross: 4 with the middle, 6 without."""
    ends = np.array([[0, 1], [2, 1], [1, 0], [1, 2]], float)
    tree = steiner_tree(ends)
    assert tree.length == 4
    assert spanning_tree(ends).length == 6
    assert tree.points.tolist() == [*ends.tolist(), [1, 1]]
    assert sorted(np.bincount(tree.edges.ravel())) == [1, 1, 1, 1, 4]


@pytest.mark.parametrize("count", [2, 7, 30, 150])
def test_lengths_are_within_their_bounds(count):
    points = np.random.default_rng(count).random((count, 2))
    tree, spanning = steiner_tree(points), spanning_tree(points)
    _is_tree(tree, count)
    _is_tree(spanning, count)
    assert (tree.points[:count] == points).all()
    assert _half_perimeter(points) <= tree.length * (1 + 1e-9)
    assert tree.length <= spanning.length <= 1.5 * tree.length * (1 + 1e-9)


def test_many_points_gain_what_is_known():
    """Optimal trees of random points are about 11 % shorter than spanning trees, for any count."""
    points = np.random.default_rng(1).random((200, 2))
    assert 0.87 < steiner_tree(points).length / spanning_tree(points).length < 0.92


def test_points_in_one_place_take_nothing():
    assert steiner_tree(np.ones((6, 2))).length == 0
