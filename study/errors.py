"""Standard errors of energies and of their ratios, from the batches of a stimulus.

A batch holds whole groups of one kind of operations. Each kind has a fixed share of the stimulus,
so that only what varies within a kind is error. With E_b the energy and M_b the products of batch b
of kind k, the residual is e_b = E_b - M_b sum_k(E) / sum_k(M), and

    var(sum E) = sum over kinds of n_k / (n_k - 1) sum_k(e_b^2)

for n_k batches of a kind. Ratios are paired: all units see the same operations, so that the
residuals are of E_b / sum(E) - E'_b / sum(E').
Source: Cochran, Sampling Techniques, 3rd edition, sections 5 (strata) and 6 (ratio estimators).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .rows import Batches, Measurement

TIE = 2.0
"""Standard errors of a difference below which two energies are called equal."""


def relative_error(batches: Batches | None) -> float | None:
    """Standard error of an energy over the energy; None where there are too few batches."""
    if batches is None:
        return None
    return _spread(_shares(batches), batches.strata, batches.macs)


def difference_error(one: Batches | None, other: Batches | None) -> float | None:
    """Standard error of the ratio of two units' energies over the ratio, by the same operations."""
    if one is None or other is None or one.strata != other.strata:
        return None
    return _spread(_shares(one) - _shares(other), one.strata, one.macs)


def tie(one: Measurement, other: Measurement) -> bool:
    """Whether the energies of two units do not differ by what their batches can tell."""
    error = difference_error(one.batches, other.batches)
    if error is None or not one.energy_pj or not other.energy_pj:
        return False
    return abs(math.log(one.energy_pj / other.energy_pj)) < TIE * error


def _shares(batches: Batches) -> NDArray[np.float64]:
    energies = np.array(batches.energy_pj)
    return energies / energies.sum()


def _spread(
    values: NDArray[np.float64], strata: Sequence[int], weights: Sequence[float]
) -> float | None:
    """Standard error of the values' sum."""
    kinds, weight = np.array(strata), np.array(weights)
    if len(kinds) < 2:
        return None
    if np.bincount(kinds)[kinds].min() < 2:  # a kind alone tells nothing: what kinds differ by, too
        kinds = np.zeros_like(kinds)
    variance = 0.0
    for kind in np.unique(kinds):
        own = kinds == kind
        count = int(own.sum())
        residual = values[own] - weight[own] * values[own].sum() / weight[own].sum()
        variance += count / (count - 1) * float(residual @ residual)
    return math.sqrt(variance)
