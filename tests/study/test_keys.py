"""What a kept result is kept by: it survives words and outlives no change of what decides it."""

import ast
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlsmac.study import keys as kept_by
from mlsmac.study import measure as measured
from mlsmac.study.conditions import Conditions, States
from mlsmac.study.measure import Build
from mlsmac.study.records import from_json
from mlsmac.study.rows import Measurement
from mlsmac.support.cache import Cache
from mlsmac.synth.layout.flow import Layout
from mlsmac.synth.liberty.pdk import find
from mlsmac.synth.mapping.recipes import Adders
from mlsmac.synth.simulation.simulate import Simulator
from mlsmac.units import Configuration, Workload, configure
from mlsmac.units.workloads import Batches

TINY = Path(__file__).parents[1] / "data" / "power" / "tiny.liberty"
ROOT = Path(__file__).parents[2]


class Asked(Exception):
    """A result's key is known."""


class Kept(Cache):
    """Keeps no result, but the keys of all that are asked for; computes no figures."""

    def __init__(self) -> None:
        super().__init__(None)
        self.keys: list[str] = []

    def get(self, key: str, compute: Any) -> dict[str, Any]:
        self.keys.append(key)
        if len(self.keys) % 2:
            return dict(compute())
        raise Asked

    @property
    def of_sources(self) -> set[str]:
        return set(self.keys[0::2])

    @property
    def of_content(self) -> set[str]:
        return set(self.keys[1::2])


@pytest.fixture
def read_sources_again():
    """Digests that a test made of changed sources do not outlive it."""
    yield
    kept_by.engine.cache_clear()
    kept_by.sources.cache_clear()


@pytest.fixture(scope="module")
def tiny():
    return find(liberty=TINY)


@pytest.fixture
def job(tiny):
    codes = np.arange(20) % 16
    inputs = {"x": codes, "y": codes[::-1]}
    return {
        "build": Build(configure("mls_multiplier", format="2,1"), Adders.GATES),
        "conditions": Conditions(pdk=tiny, clock_mhz=40.0),
        "workload": Workload(inputs, Batches((8,), (0,), (12.0,))),
    }


def keys(*jobs: dict[str, Any]) -> Kept:
    kept = Kept()
    for job in jobs:
        with pytest.raises(Asked):
            measured.measure(**job, results=kept)
    return kept


def test_equal_jobs_have_one_key(job):
    workload = job["workload"]
    same = {port: codes.copy() for port, codes in reversed(workload.inputs.items())}
    kept = keys(job, job | {"workload": replace(workload, inputs=same)})
    assert (len(kept.of_sources), len(kept.of_content)) == (1, 1)


def test_all_that_decides_a_result_is_in_its_key(job, tmp_path, monkeypatch):
    build, conditions, workload = job["build"], job["conditions"], job["workload"]
    other = tmp_path / "other.lib"
    other.write_bytes(TINY.read_bytes().replace(b"area : 2", b"area : 3"))
    assert other.read_bytes() != TINY.read_bytes()
    pdk = conditions.pdk
    pdks = [
        {"liberty": (other,)},
        {"liberty": (other, TINY)},
        {"driver": "NAND2"},
        {"nand2": "INV"},
        {"load_ff": 3.0},
        {"dont_use": ("TIE*",)},
        {"tie_high": ("TIE", "H")},
        {"tie_low": ("TIE", "L")},
    ]
    x = workload.inputs["x"]
    others = set(Simulator) - {conditions.simulator}
    jobs = [
        job,
        *({"build": replace(build, adders=adders)} for adders in list(Adders)[1:]),
        {"build": replace(build, configuration=configure("mls_multiplier", recoding="booth4"))},
        *({"conditions": replace(conditions, pdk=replace(pdk, **change))} for change in pdks),
        {"conditions": replace(conditions, clock_mhz=41.0)},
        {"conditions": replace(conditions, layout=Layout("annealed", 0.7, 10.0, 0.1))},
        {"conditions": replace(conditions, script="speed")},
        {"conditions": replace(conditions, states=States.INDEPENDENT)},
        *({"conditions": replace(conditions, simulator=one)} for one in others),
        {"workload": replace(workload, batches=replace(workload.batches, starts=(9,)))},
        {"workload": replace(workload, batches=replace(workload.batches, macs=(2.0,)))},
        {"workload": replace(workload, batches=Batches((8, 14), (0, 0), (6.0, 6.0)))},
        {"workload": replace(workload, inputs=workload.inputs | {"x": x ^ (x == 3)})},
    ]
    kept = keys(*(job | change for change in jobs))
    assert len(kept.of_content) == len(jobs)


def test_what_decides_nothing_is_not_in_it(job, tmp_path):
    conditions = job["conditions"]
    copy = tmp_path / "cells.lib"
    copy.write_bytes(TINY.read_bytes())
    pdk = replace(conditions.pdk, name="copy", liberty=(copy,), clock_mhz=1.0)
    assert len(keys(job, job | {"conditions": replace(conditions, pdk=pdk)}).of_content) == 1


@pytest.mark.parametrize(
    "changed",
    [
        (kept_by, "tool_versions", lambda _: {"amaranth": "0.5", "pyosys": "0.71"}),
        (Configuration, "rtlil", lambda configuration: "module \\other\nend\n"),
        (Configuration, "reference", lambda *_: {"product": np.zeros(20, np.int64)}),
    ],
    ids=lambda changed: changed[1],
)
def test_tools_hardware_and_expected_results_are_in_the_key_of_content(job, changed, monkeypatch):
    before = keys(job)
    monkeypatch.setattr(*changed)
    assert keys(job).of_content.isdisjoint(before.of_content)


def test_amaranths_version_is_in_the_rtlil_alone(job, monkeypatch):
    before, versions = keys(job), kept_by.tool_versions(job["conditions"])
    monkeypatch.setattr(kept_by, "tool_versions", lambda _: versions | {"amaranth": "0.5.99"})
    assert keys(job).of_content == before.of_content


@pytest.mark.usefixtures("read_sources_again")
@pytest.mark.parametrize(
    ("file", "old", "new", "sources", "content"),
    [
        ("synth/power/engine.py", '"""Watts;', '"""In watts;', True, True),
        ("synth/power/engine.py", "0.5e-12", "0.6e-12", True, False),
        ("support/words.py", "1 << 10", "1 << 11", False, False),
        ("study/errors.py", "TIE = 2.0", "TIE = 2.5", False, False),
        ("units/emit.py", "Verilog and", "Verilog with", False, True),
        ("golden/lfsr.py", "import", "import  ", False, True),
        ("hw/parts/values.py", "\n", "\n# A comment.\n", False, True),
        ("cli/main.py", "def", "async def", True, True),
    ],
)
def test_results_survive_words_and_no_edit_of_the_engine(
    job, monkeypatch, file, old, new, sources, content
):
    """`sources`, `content`: whether each key stays."""
    before = keys(job)
    read_bytes = Path.read_bytes

    def edited(path: Path) -> bytes:
        text = read_bytes(path)
        if path != ROOT / file:
            return text
        assert old.encode() in text
        return text.replace(old.encode(), new.encode(), 1)

    monkeypatch.setattr(Path, "read_bytes", edited)
    kept_by.engine.cache_clear()
    kept_by.sources.cache_clear()
    after = keys(job)
    assert (after.of_sources == before.of_sources) is sources
    assert (after.of_content == before.of_content) is content


def test_a_result_is_found_by_content_where_sources_changed(job, tmp_path, monkeypatch):
    """The figures are not computed again, only what the sources make."""
    computed = []

    class Told(Cache):
        def get(self, key: str, compute: Any) -> dict[str, Any]:
            def telling() -> dict[str, Any]:
                computed.append(key)
                value: dict[str, Any] = compute()
                return value

            return super().get(key, telling)

    monkeypatch.setattr(measured.Mapped, "of", lambda *_: measured.Mapped)
    results = json.loads((ROOT / "docs" / "results" / "report.json").read_text(encoding="utf-8"))
    row = from_json(Measurement, results["rows"][0])
    monkeypatch.setattr(measured.Mapped, "metrics", lambda *_: row)
    monkeypatch.setattr(
        measured,
        "map_unit",
        lambda *_, **__: SimpleNamespace(verilog="", json="", cells={}, area=0),
    )
    told = Told(tmp_path)
    first = measured.measure(**job, results=told)
    assert measured.measure(**job, results=told) == first
    assert len(computed) == 2
    monkeypatch.setattr(kept_by, "sources", lambda: "edited")
    assert measured.measure(**job, results=told) == first
    assert len(computed) == 3


def test_the_engine_is_all_of_study_that_measures():
    """What these modules import of `study` makes figures too, and must be named beside them."""
    assert {"study/measure.py", "study/keys.py"} <= set(kept_by.ENGINE)
    for module in (name for name in kept_by.ENGINE if name.startswith("study/")):
        tree = ast.parse((ROOT / module).read_bytes())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        own = {node.module for node in imports if node.level == 1}
        assert {f"study/{name}.py" for name in own - {"rows"}} <= set(kept_by.ENGINE)
        roots = {node.module.split(".")[0] for node in imports if node.level == 2 and node.module}
        assert roots <= {"support", "synth", "units"}


@pytest.mark.usefixtures("read_sources_again")
def test_a_row_s_words_are_not_in_the_key_but_its_fields_are(monkeypatch):
    before = kept_by.engine()
    told = [*kept_by.documented(Measurement)]
    for changed, same in (([(key, "") for key, _ in told], True), (told[1:], False)):
        monkeypatch.setattr(kept_by, "documented", lambda _, changed=changed: changed)
        kept_by.engine.cache_clear()
        assert (kept_by.engine() == before) is same
