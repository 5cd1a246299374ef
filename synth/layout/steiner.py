"""Rectilinear Steiner trees.

Source: M. Borah, R. Owens, M. Irwin, "An Edge-Based Heuristic for Steiner Routing", IEEE TCAD 13
(12), 1994: a point is joined to the nearest place of an edge, and the longest edge of the loop that
this closes goes. Here many are joined at a time, and the spanning tree is then found anew.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SMALL = 1e-9
"""Of the length: less is no gain."""


class Tree(NamedTuple):
    """A tree of `points`, x and y each; each edge is as long as its two points are apart in x and
    in y.
    """

    points: NDArray[np.float64]
    edges: NDArray[np.int64]
    """From each point but the first, in an order in which the nearer one to the first is known."""

    @property
    def length(self) -> float:
        """Of all edges."""
        ends = self.points[self.edges]
        return float(np.abs(ends[:, 0] - ends[:, 1]).sum())


def steiner_tree(points: NDArray[np.float64]) -> Tree:
    """A tree of all points and of more that make it shorter, which stand behind them. The shortest
    one of up to three points; else a percent or so longer.
    """
    given = len(points)
    tree = spanning_tree(points)
    while given > 2:
        places = _joints(tree)
        while len(places):
            more = _without_useless(np.concatenate([tree.points, places]), given)
            if more.length < tree.length * (1 - _SMALL):
                break
            places = places[: len(places) // 2]  # some undo what others gain
        else:
            return tree
        tree = more
    return tree


def spanning_tree(points: NDArray[np.float64]) -> Tree:
    """The shortest tree without further points."""
    count = len(points)
    edges = np.empty((max(count - 1, 0), 2), np.int64)
    nearest = np.zeros(count, np.int64)
    distance = np.full(count, np.inf)
    is_open = np.ones(count, bool)
    last = 0
    for number in range(count - 1):
        is_open[last] = False
        own = np.abs(points - points[last]).sum(axis=1)
        closer = is_open & (own < distance)
        distance[closer], nearest[closer] = own[closer], last
        distance[last] = np.inf
        last = int(distance.argmin())
        edges[number] = nearest[last], last
    return Tree(points, edges)


def _joints(tree: Tree) -> NDArray[np.float64]:
    """Where points would join edges with a gain, the best place of each edge, best first."""
    points, edges = tree
    ends = points[edges]
    places = np.clip(points[:, None], ends.min(axis=1), ends.max(axis=1))
    distance = np.abs(places - points[:, None]).sum(axis=2)
    longest = _longest(tree)
    gains = np.minimum(longest[:, edges[:, 0]], longest[:, edges[:, 1]]) - distance
    best = gains.argmax(axis=0)
    gain = gains[best, np.arange(len(edges))]
    order = np.argsort(-gain, kind="stable")
    order = order[gain[order] > _SMALL * tree.length]
    return places[best[order], order]


def _longest(tree: Tree) -> NDArray[np.float64]:
    """The longest edge on the way from each point to each other."""
    points, edges = tree
    longest = np.zeros((len(points),) * 2)
    sizes = np.abs(points[edges[:, 0]] - points[edges[:, 1]]).sum(axis=1)
    known = [0]
    for (near, far), size in zip(edges.tolist(), sizes.tolist(), strict=True):
        longest[far, known] = longest[known, far] = np.maximum(longest[near, known], size)
        known.append(far)
    return longest


def _without_useless(points: NDArray[np.float64], given: int) -> Tree:
    """The spanning tree without points behind the `given` ones that do not branch."""
    while True:
        tree = spanning_tree(points)
        degree = np.bincount(tree.edges.ravel(), minlength=len(points))
        keep = degree > 2
        keep[:given] = True
        if keep.all():
            return tree
        points = points[keep]
