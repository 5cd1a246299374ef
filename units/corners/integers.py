"""Inputs that reach the corners of what stands behind integer MACs."""

from typing import Any

import numpy as np

from ...support.words import Codes

_MEAN_RUN = 300
"""Mean steps between the starts of a generator."""


def starts(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    start = (rng.random(operations) < 1 / _MEAN_RUN).astype(np.int64)
    start[0] = 1
    return {"start": start}


def requantizer(component: Any, operations: int, rng: np.random.Generator) -> dict[str, Codes]:
    """Every shift; results inside the format and around both of its ends, fractions of all kinds;
    an eighth are any sums.
    """
    top, width = component.format.max_code, component.acc_width
    shift = rng.integers(0, 32, operations)
    edges = np.array([-2 * top, -top - 2, -top - 1, -1, 0, top - 1, top, top + 1, 2 * top + 1])
    whole = np.where(
        rng.random(operations) < 0.5,
        rng.choice(edges, operations),
        rng.integers(-top - 1, top + 1, operations),
    )
    fraction = rng.integers(0, 1 << 31, operations)
    fraction = np.where(
        rng.random(operations) < 0.3,
        rng.choice([0, 1 << 30, (1 << 30) - 1, (1 << 31) - 1], operations),
        fraction,
    )
    sums = (whole << shift) + (fraction >> (31 - shift))
    high = 1 << (width - 1)
    anything = rng.integers(-high, high, operations) >> rng.integers(0, width, operations)
    sums = np.where(rng.random(operations) < 1 / 8, anything, np.clip(sums, -high, high - 1))
    inputs = {"acc": sums, "shift": shift}
    if hasattr(component, "start"):
        inputs |= starts(component, operations, rng)
    return inputs
