"""Standard errors by hand, and against the spread of many draws."""

import numpy as np
import pytest

from mlsmac.study.conditions import Conditions
from mlsmac.study.errors import difference_error, relative_error
from mlsmac.study.measure import Build, measure
from mlsmac.study.rows import Batches
from mlsmac.study.stimuli.pairs import build
from mlsmac.support.cache import Cache
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.units import configure


def batches(energies, strata, macs=None):
    macs = (1.0,) * len(strata) if macs is None else macs
    return Batches(strata=tuple(strata), macs=tuple(macs), energy_pj=tuple(energies))


def test_by_hand():
    """Residuals 1, -1 and 2, -2: var = 2/1 (1 + 1) + 2/1 (4 + 4) = 20, of a sum of 40."""
    own = batches([11.0, 9.0, 12.0, 8.0], [0, 0, 1, 1])
    assert relative_error(own) == pytest.approx(np.sqrt(20) / 40)


def test_what_kinds_differ_by_is_no_error():
    assert relative_error(batches([1.0, 1.0, 9.0, 9.0], [0, 0, 1, 1])) == 0
    # A kind of one batch tells nothing of its spread: then all are one.
    assert relative_error(batches([1.0, 1.0, 9.0], [0, 0, 1])) > 0.3


def test_products_explain_energies():
    assert relative_error(batches([2.0, 6.0], [0, 0], [1.0, 3.0])) == pytest.approx(0)


def test_pairs():
    one = batches([11.0, 9.0, 12.0, 8.0], [0, 0, 1, 1])
    assert difference_error(one, one) == 0
    twice = batches([22.0, 18.0, 24.0, 16.0], [0, 0, 1, 1])
    assert difference_error(one, twice) == pytest.approx(0)
    against = batches([9.0, 11.0, 8.0, 12.0], [0, 0, 1, 1])
    assert difference_error(one, against) == pytest.approx(2 * relative_error(one))


def test_none_where_too_little_is_known():
    assert relative_error(None) is None
    assert relative_error(batches([1.0], [0])) is None
    assert difference_error(batches([1.0, 2.0], [0, 0]), batches([1.0, 2.0], [0, 1])) is None


def test_it_is_the_spread_of_draws():
    """Two kinds of unlike mean and spread, many stimuli: the mean error is the spread found."""
    rng = np.random.default_rng(5)
    totals, errors = [], []
    for _ in range(2000):
        energies = np.concatenate([rng.normal(10, 1, 10), rng.normal(30, 4, 8)])
        totals.append(energies.sum())
        errors.append(relative_error(batches(energies, [0] * 10 + [1] * 8)) * energies.sum())
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(totals), rel=0.05)


@pytest.mark.slow
@pytest.mark.eda
def test_stated_errors_are_the_spread_over_seeds(osu018, tmp_path):
    """Of two energies and of their ratio; with eight draws a spread is known to a quarter."""
    conditions = Conditions(pdk=osu018, clock_mhz=osu018.clock_mhz)
    units = (
        Build(configure("fp8_mac", format="e5m2"), Adders.FULL_ADDERS),
        Build(configure("mls_mac", acc_width=16), Adders.ADDER_CELLS),
    )
    draws = []
    for seed in range(8):
        stimulus = build(2000, seed)
        draws.append(
            [
                measure(
                    unit,
                    conditions,
                    unit.configuration.workload(stimulus),
                    results=Cache(None),
                    maps=Cache(tmp_path),
                )
                for unit in units
            ]
        )
    energies = np.array([[one.energy_pj for one in draw] for draw in draws])
    stated = np.array([[one.energy_pj_se for one in draw] for draw in draws])
    assert energies.std(axis=0, ddof=1) == pytest.approx(stated.mean(axis=0), rel=0.6)
    ratios = energies[:, 0] / energies[:, 1]
    errors = [difference_error(*(one.batches for one in draw)) for draw in draws]
    assert ratios.std(ddof=1) / ratios.mean() == pytest.approx(np.mean(errors), rel=0.6)
