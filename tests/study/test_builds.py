"""Which builds of a unit run, and that the one chosen is that of a search through all of them."""

import pytest

from mlsmac.study.builds import Search, best, builds, measure_builds
from mlsmac.study.conditions import Conditions
from mlsmac.study.measure import Build, measure
from mlsmac.study.stimuli.pairs import build as make_stimulus
from mlsmac.study.systems import ENTRIES
from mlsmac.support.cache import Cache
from mlsmac.synth.liberty.library import load
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.units import configure

from .test_report import measured

GATES, FULL, CELLS = Adders.GATES, Adders.FULL_ADDERS, Adders.ADDER_CELLS
PLAIN, BOOTH = configure("mls_mac", acc_width=16).variants()


def _runs(energies, every=None):
    """The jobs of a search, (build, is short) round by round, where builds take these energies."""
    given = every or [Build(variant, kind) for variant in (PLAIN, BOOTH) for kind in Adders]
    names = {PLAIN.slug: "plain", BOOTH.slug: "booth"}
    search = Search(0, given)
    rounds = []
    while jobs := search.next():
        told = []
        for job in jobs:
            own = names[job.build.configuration.slug], job.build.adders
            told.append((*own, job.short))
            search.done(job, measured(energies[own], slug=own[0], adders=own[1].value))
        rounds.append(told)
        assert search.runs >= sum(map(len, rounds))
    assert search.runs == sum(map(len, rounds))
    return rounds, search.results()


def test_multipliers_are_ranked_first_and_then_adders():
    energies = {("plain", FULL): 8.0, ("booth", FULL): 9.0, ("plain", GATES): 9.5}
    rounds, results = _runs({**energies, ("plain", CELLS): 8.05})
    assert rounds == [
        [("plain", FULL, True), ("booth", FULL, True)],
        [("plain", GATES, True)],
        [("plain", CELLS, True)],
        [("plain", FULL, False), ("plain", CELLS, False)],
    ]
    assert len(results) == 4


def test_adder_cells_are_left_out_where_gates_are_far_behind():
    rounds, _ = _runs({("plain", FULL): 9.0, ("booth", FULL): 8.0, ("booth", GATES): 10.5})
    assert rounds[1:] == [[("booth", GATES, True)], [("booth", FULL, False)]]


def test_units_that_miss_the_clock_are_tried_with_all_adders():
    energies = dict.fromkeys((name, kind) for name in ("plain", "booth") for kind in Adders)
    rounds, _ = _runs(energies)
    assert {kind for run in rounds for _, kind, short in run if short} == set(Adders)
    assert sum(not short for run in rounds for *_, short in run) == 1


def test_a_multiplier_whose_full_adders_are_slower_may_meet_the_clock_with_gates():
    energies = dict.fromkeys((name, kind) for name in ("plain", "booth") for kind in Adders)
    rounds, results = _runs({**energies, ("booth", GATES): 8.0})
    assert rounds[-1] == [("booth", GATES, False)]
    assert best(results).slug == "booth"


def test_a_single_build_runs_in_full_at_once():
    rounds, results = _runs({("plain", FULL): 8.0}, [Build(PLAIN, FULL)])
    assert rounds == [[("plain", FULL, False)]]
    assert len(results) == 1


@pytest.mark.slow
@pytest.mark.eda
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.label)
def test_the_build_chosen_is_that_of_a_full_search(entry, osu018, tmp_path):
    """All builds in full, against short runs and those that they leave."""
    conditions = Conditions(pdk=osu018, clock_mhz=osu018.clock_mhz)
    stimulus = make_stimulus(2000, 2026)
    every = builds(entry.configuration(), conditions, load(osu018.liberty))
    maps, none = Cache(tmp_path), Cache(None)
    full = [
        measure(own, conditions, own.configuration.workload(stimulus), results=none, maps=maps)
        for own in every
    ]
    (found,) = measure_builds(conditions, stimulus, [every], none)
    wanted = best(full)
    assert (found.slug, found.adders, found.energy_pj) == (
        wanted.slug,
        wanted.adders,
        wanted.energy_pj,
    )
