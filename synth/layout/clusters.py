"""Points that lie together, in groups of about equal size."""

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""x and y of each, um."""
Group = NDArray[np.intp]
"""Which of the points."""


def clusters(points: Points, capacity: int) -> list[Group]:
    """As few groups as hold `capacity` points each; sizes differ by one at most.

    Halves of halves: each cut is across x or y, whichever leaves the smaller half perimeters. Of
    points at the same place the first go to the first group.
    """
    everything = np.arange(len(points))
    return _split(points, everything, math.ceil(len(points) / capacity))


def _split(points: Points, group: Group, count: int) -> list[Group]:
    if count <= 1:
        return [group] if len(group) else []
    first = count // 2
    cut = len(group) * first // count
    halves = [_cut(points, group, axis, cut) for axis in (0, 1)]
    low, high = min(halves, key=lambda both: sum(_half_perimeter(points[half]) for half in both))
    return _split(points, low, first) + _split(points, high, count - first)


def _cut(points: Points, group: Group, axis: int, cut: int) -> tuple[Group, Group]:
    order = np.lexsort((group, points[group, 1 - axis], points[group, axis]))
    return group[order[:cut]], group[order[cut:]]


def _half_perimeter(points: Points) -> float:
    return float(np.ptp(points, axis=0).sum())


def middle(points: Points) -> Points:
    """The place from which the ways to all points are the shortest together: their medians."""
    middle: Points = np.median(points, axis=0)
    return middle
