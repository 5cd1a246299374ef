"""Placement by simulated annealing of half the perimeter of all nets.

A move takes a cell to another place of its row or of another one, mostly near a cell that it is
joined to, and the cells there aside as far as they would overlap it: every state is a legal
placement. Nets of many pins are left out, they reach everywhere anyway.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...support.errors import ToolError
from .legal import in_rows
from .problem import Problem

MOVES = 1500
"""Of each cell on average."""

STEPS = 120
"""Temperatures that the moves are divided among."""

HOT, COLD = 0.2, 0.0005
"""First and last temperature, as shares of half the core's perimeter."""

TOWARD = 0.95
"""Share of the moves that take a cell near another pin of one of its nets, not near itself."""

LARGEST = 40
"""Pins of a net that counts."""

CHAIN = 32
"""Cells that may move at once."""


def placed(problem: Problem) -> NDArray[np.int64]:
    """Lower left corners of all cells, the same for the same problem. Raises: ToolError without
    numba.
    """
    try:
        from . import annealing
    except ModuleNotFoundError:
        raise ToolError("the placer annealed needs numba: pip install 'mlsmac[layout]'") from None
    grid = problem.grid
    core = annealing.Core(**_rows(problem), **_nets(problem), **_scratch(problem))
    across = 2 * (grid.width + grid.rows * grid.height)
    annealing.anneal(core, MOVES * len(problem.widths), STEPS, HOT * across, COLD * across, TOWARD)
    return np.stack([core.x, core.row * grid.height], axis=1)


def _rows(problem: Problem) -> dict[str, Any]:
    """Members of a core: cells from row to row in their order, at equal distances."""
    grid, widths = problem.grid, problem.widths
    before = (np.cumsum(widths) - widths) / widths.sum() * grid.rows
    wished = np.stack([before % 1 * grid.width, before // 1 * grid.height], axis=1)
    corners = in_rows(grid, widths, wished)
    assert corners is not None  # a grid has room for any order
    x, row = corners[:, 0].copy(), corners[:, 1] // grid.height
    order = np.zeros((grid.rows, grid.width // widths.min() + 1), np.int64)
    for number in range(grid.rows):
        own = np.flatnonzero(row == number)
        order[number, : len(own)] = own[np.argsort(x[own], kind="stable")]
    centres = np.stack([2 * x + widths, (2 * row + 1) * grid.height], axis=1)
    return {
        "width": grid.width,
        "height": grid.height,
        "widths": widths,
        "x": x,
        "row": row,
        "order": order,
        "filled": np.bincount(row, minlength=grid.rows),
        "free": grid.width - np.bincount(row, widths, grid.rows).astype(np.int64),
        "points": np.concatenate([centres, 2 * problem.ports]),
    }


def _nets(problem: Problem) -> dict[str, Any]:
    """Members of a core: the nets that count, and those of each cell."""
    sizes = np.diff(problem.starts)
    counts = sizes <= LARGEST
    pins = problem.pins[np.repeat(counts, sizes)]
    net = np.repeat(np.arange(counts.sum()), sizes[counts])
    is_cell = pins < len(problem.widths)
    owners = pins[is_cell]
    return {
        "starts": np.cumsum([0, *sizes[counts]]),
        "pins": pins,
        "cell_starts": np.searchsorted(np.sort(owners), np.arange(len(problem.widths) + 1)),
        "cell_nets": net[is_cell][np.argsort(owners, kind="stable")],
    }


def _scratch(problem: Problem) -> dict[str, Any]:
    """Members of a core: what its loops write."""
    nets = len(problem.starts) - 1
    names = ("lengths", "seen", "changed")
    return {name: np.zeros(nets, np.int64) for name in names} | {
        **{name: np.zeros(CHAIN, np.int64) for name in ("moved", "old", "new")},
        "random": np.array([88172645463325252], np.uint64),
    }
