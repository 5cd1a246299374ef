"""Tables for modelling tools: what is written says what the reports say; what no tool takes is
refused.
"""

import csv
import importlib.util
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from mlsmac.study.documents import RESULTS
from mlsmac.study.exports import (
    Cost,
    accelergy_files,
    csv_text,
    hwcomponents_files,
    read_costs,
    zigzag_files,
)
from mlsmac.support.errors import UserError

SKY = RESULTS / "dots_sky130.json"
OSU = RESULTS / "report.json"


@pytest.fixture(scope="module")
def costs() -> list[Cost]:
    return read_costs([SKY])[0]


def changed(tmp_path: Path, **change: Any) -> Path:
    """A report of SKY130 with other values, `row`: in its first row; None leaves a key out."""
    report = json.loads(SKY.read_text())
    for where, values in ((report["rows"][0], change.pop("row", {})), (report, change)):
        for key, value in values.items():
            where.pop(key) if value is None else where.update({key: value})
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    return path


def test_every_row_is_a_cost(costs: list[Cost]) -> None:
    rows = json.loads(SKY.read_text())["rows"]
    assert [cost.energy_pj for cost in costs] == [row["energy_pj_per_product"] for row in rows]
    assert [cost.products for cost in costs] == [row["lanes"] for row in rows]
    assert {cost.node_nm for cost in costs} == {130}
    report = json.loads(OSU.read_text())
    both = read_costs([OSU])[0]
    assert len(both) == len(report["rows"]) + len(report["dots"])
    assert both[0].energy_pj == report["rows"][0]["energy_pj_per_mac"]
    assert (both[0].products, both[0].node_nm) == (1, 180)
    tiles = json.loads((RESULTS / "tiles.json").read_text())["rows"]
    products = [cost.products for cost in read_costs([RESULTS / "tiles.json"])[0]]
    assert products == [row["products_per_cycle"] for row in tiles]


def test_the_table_holds_the_figures(costs: list[Cost]) -> None:
    table = list(csv.DictReader(io.StringIO(csv_text(costs))))
    assert [line["name"] for line in table] == [cost.name for cost in costs]
    assert float(table[3]["area_um2"]) == costs[3].area_um2
    assert float(table[3]["energy_pj_per_product"]) == costs[3].energy_pj
    assert csv_text(costs) == csv_text(costs)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the package takes from hwcomponents, less its scaling; docs/export.md tells of a run of
    the real one.
    """

    class ComponentModel:
        def __init__(self, leak_power: float, area: float) -> None:
            self.leak_power, self.area = leak_power, area

        def scale_tech_node(self, target: float, default: float) -> float:
            self.scaled = target, default
            return target

    module = types.ModuleType("hwcomponents")
    names = {
        "ComponentModel": ComponentModel,
        "ActionCost": types.SimpleNamespace,
        "action": lambda function: function,
    }
    module.__dict__.update(names)
    monkeypatch.setitem(sys.modules, "hwcomponents", module)


@pytest.mark.usefixtures("stand_in")
def test_models_of_hwcomponents(costs: list[Cost], tmp_path: Path) -> None:
    files = hwcomponents_files(costs)
    assert list(files) == ["pyproject.toml", "hwcomponents_mlsmac/__init__.py"]
    path = tmp_path / "package.py"
    path.write_text(files["hwcomponents_mlsmac/__init__.py"])
    spec = importlib.util.spec_from_file_location("package", path)
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    for cost in costs:
        model = getattr(package, cost.name)()
        assert model.component_name == cost.name
        assert model.area == pytest.approx(cost.area_um2 / cost.products * 1e-12, rel=1e-5)
        assert model.leak_power == pytest.approx(cost.leakage_uw / cost.products * 1e-6, rel=1e-5)
        dynamic = (cost.energy_pj - cost.leakage_pj) * 1e-12
        assert model.compute().energy == model.mac().energy == pytest.approx(dynamic, rel=1e-5)
        assert model.compute().throughput == cost.clock_mhz * 1e6
        # The very number that hwcomponents calls the node: nothing is scaled, nothing refused.
        assert model.scaled == (130e-9, 130e-9)
    assert getattr(package, costs[0].name)(65e-9).scaled == (65e-9, 130e-9)


def test_components_of_accelergy(costs: list[Cost]) -> None:
    files = accelergy_files(costs)
    assert list(files) == [f"{cost.name}.csv" for cost in costs]
    for cost, text in zip(costs, files.values(), strict=True):
        about, *lines = text.splitlines()
        assert about.startswith(f"# {cost.unit}: ")
        compute, leak, idle = csv.DictReader(lines)
        assert {line["technology"] for line in (compute, leak, idle)} == {"130nm"}
        actions = [line["action"] for line in (compute, leak, idle)]
        assert actions == ["compute|read", "leak", "write|update"]
        assert float(compute["energy"]) == pytest.approx(cost.energy_pj - cost.leakage_pj, rel=1e-5)
        # uW over MHz is pJ.
        per_cycle = cost.leakage_uw / cost.clock_mhz / cost.products
        assert float(leak["energy"]) == pytest.approx(per_cycle, rel=1e-5)
        assert float(leak["global_cycle_seconds"]) == pytest.approx(1e-6 / cost.clock_mhz, rel=1e-5)
        assert float(idle["energy"]) == 0
        assert float(compute["area"]) == pytest.approx(cost.area_um2 / cost.products, rel=1e-5)


def test_arrays_of_zigzag(costs: list[Cost]) -> None:
    files = zigzag_files(costs)
    assert len(files) == len(costs)
    for cost in costs:
        about, _, array, *values = files[f"{cost.name}.yaml"].splitlines()
        assert cost.unit in about
        assert array == "operational_array:"
        figures = {
            key.strip(): float(value.partition("#")[0])
            for key, _, value in (line.partition(":") for line in values)
        }
        assert figures["unit_energy"] == cost.energy_pj
        area = cost.area_um2 / cost.products * 1e-6
        assert figures["unit_area"] == pytest.approx(area, rel=1e-3)


def test_hwcomponents_does_not_scale_from_180_nm() -> None:
    with pytest.raises(UserError, match=r"between 7 and 130 nm, and osu018 is of 180 nm"):
        hwcomponents_files(read_costs([OSU])[0])


def test_node_of_an_unknown_library(tmp_path: Path) -> None:
    path = changed(tmp_path, pdk="mine")
    with pytest.raises(UserError, match="the node of mine must be given: --node-nm"):
        hwcomponents_files(read_costs([path])[0])
    text = hwcomponents_files(read_costs([path], 22)[0])["hwcomponents_mlsmac/__init__.py"]
    assert "measured_node = 22e-9" in text
    with pytest.raises(UserError, match="the node of sky130 is 130 nm, not 22"):
        read_costs([SKY], 22)


def test_rows_without_energy_are_named(tmp_path: Path) -> None:
    for row in ({"energy_pj_per_product": float("nan")}, {"meets_timing": False}):
        energy = row.get("energy_pj_per_product")
        path = changed(tmp_path, row=row)
        if energy is not None:
            path.write_text(path.read_text().replace("NaN", "null", 1))
        found, without = read_costs([path])
        assert (without, len(found)) == (["FP32"], 22)
    report = json.loads(SKY.read_text())
    report["rows"] = [{**row, "meets_timing": False} for row in report["rows"]]
    path.write_text(json.dumps(report))
    with pytest.raises(UserError, match="nothing to export"):
        read_costs([path])


def test_a_name_stands_once() -> None:
    with pytest.raises(UserError, match=r"must be told once, and is in .*dots_sky130.json too"):
        read_costs([SKY, RESULTS / "dots_sky130_normal.json"])


@pytest.mark.parametrize(
    ("change", "lacks"),
    [({"pdk": None}, "pdk"), ({"row": {"energy_pj_per_product": None}}, "energy_pj_per_product")],
)
def test_what_is_no_report(change: dict[str, Any], lacks: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"must be a file that report, .*'{lacks}' is missing"):
        read_costs([changed(tmp_path, **change)])


@pytest.mark.parametrize("text", ["[1]", "no JSON", "3"])
def test_what_is_no_json(text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UserError, match="must be"):
        read_costs([path])
