"""A training step's energy: by hand from made-up units, Eq. 9 and claims, memory, what is shown."""

import json
from dataclasses import replace

import pytest

from mlsmac.cli.commands.step import remarks, write
from mlsmac.data.networks import NETWORKS, RESNET_18, RESNET_20, Convolution, Network
from mlsmac.study.documents import RESULTS, measured_units, quantizers
from mlsmac.study.records import documented, from_json, to_json
from mlsmac.study.rows import Batches
from mlsmac.study.step import StepReport, default_units, make_step_report, read_units
from mlsmac.study.step import units as measured
from mlsmac.study.step.equation import KERNEL, TABLE_1, by_paper, by_table_5
from mlsmac.study.step.memory import Passes, held_bits, pj_per_bit, traffic
from mlsmac.study.step.rows import SystemRow
from mlsmac.study.step.systems import DOTS, GROUPS, MACS, TILES, Codes, lane_counts
from mlsmac.study.step.tables import step_tables
from mlsmac.study.step.units import MeasuredUnit, MeasuredUnits
from mlsmac.study.terminal import text
from mlsmac.support.errors import UserError

TINY = Network(
    "tiny",
    "made up",
    10,
    (
        Convolution(3, 4, 3, 1, 8),  # 864 * 8 = 6,912 MACs
        Convolution(4, 4, 3, 1, 8, adds=True),  # 144 weights, 9,216 MACs
        Convolution(4, 8, 1, 2, 4, shortcut=True, normalized=False),  # 32 weights, 512 MACs
    ),
    Convolution(8, 5, 1, 1, 1, normalized=False),  # 40 MACs
)
FIRST, LAST, INNER = 108 * 64, 40, 144 * 64 + 32 * 16


def unit(table, label, energy, width=None, by_kind=(), **stages):
    return MeasuredUnit(
        table=table,
        unit=label,
        lanes=width,
        energy_pj=energy,
        by_stage_pj=stages,
        by_kind_pj=dict(zip(("wa", "we", "ae"), by_kind, strict=False)),
        errors={"fp32": 0.1, "fp8": 0.2},
    )


UNITS = MeasuredUnits(
    pdk="made up",
    clock_mhz=10.0,
    tensors="none",
    units=(
        unit("parts", "FP32 multiplier", 100.0),
        unit("parts", "FP32 adder", 10.0),
        unit("parts", "statistics, 4", 2.0),
        unit("parts", "<2,4> stochastic, 4", 3.0, group_scale=1.0, lanes=2.0),
        unit("parts", "MXINT8 stochastic, 4", 50.0, buffer=43.0, lanes=4.0, generator=3.0),
        unit("parts", "MXFP8_E4M3 stochastic, 4", 60.0, buffer=54.0, lanes=5.0, generator=1.0),
        unit("macs", "FP32 flush", 300.0, None, (100.0, 600.0, 200.0), multiplier=2, accumulator=1),
        unit("macs", "FP8 E5M2", 80.0),
        unit("macs", "FP8 E4M3", 70.0),
        unit("macs", "INT8", 20.0),
        unit("macs", "INT8 x INT16", 40.0),
        unit("macs", "MLS <2,4>", 25.0),
        unit("tiles", "FP32 flush", 400.0, 16, macs=300.0, tree=90.0, output=10.0),
        unit("tiles", "FP8 E5M2", 100.0, 16, macs=60.0, tree=40.0),
        unit("tiles", "MLS <2,4>", 80.0, 16, macs=20, collector=5, scalers=15, tree=35, output=5),
    ),
)


@pytest.fixture(scope="module")
def made() -> StepReport:
    return make_step_report(TINY, UNITS, memory=(0.5, "made up"))


def row_of(report: StepReport, group: str, system: str) -> SystemRow:
    (found,) = [row for row in report.rows if (row.group, row.system) == (group, system)]
    return found


def test_parts_by_hand(made):
    parts = row_of(made, "macs", "MLS <2,4>").energy_uj
    elements_w, elements_a, elements_e = (144 + 32) / 10, 4 * 64, 4 * 64 + 8 * 16
    elements = elements_w + elements_a + elements_e
    expected = {
        "products": 3 * INNER * 25,
        "outer": FIRST * (100 + 200) + LAST * (100 + 600 + 200),
        "statistics": 2 * elements,
        "encoding": 3 * elements,
        "batch_norm": 2 * 4 * 64 * (5 * 100 + 7 * 10),
        "adds": 4 * 64 * 2 * 10,
        "update": (108 + 144 + 32 + 40) / 10 * (3 * 100 + 3 * 10),
    }
    assert parts.scaler is parts.tree is None
    for name, pj in expected.items():
        assert getattr(parts, name) == pytest.approx(1e-6 * pj, rel=1e-4), name
    assert parts.total == pytest.approx(1e-6 * sum(expected.values()), rel=1e-4)
    row = row_of(made, "macs", "MLS <2,4>")
    assert row.batch_mj == pytest.approx(10 * 1e-9 * sum(expected.values()), rel=1e-4)


def test_convolutions_have_their_own_energies(made):
    own = row_of(made, "macs", "FP32").convolutions_uj
    assert own.wa == pytest.approx(1e-6 * INNER * 100, rel=1e-4)
    assert own.we == pytest.approx(1e-6 * INNER * 600, rel=1e-4)
    assert own.ae == pytest.approx(1e-6 * INNER * 200, rel=1e-4)
    assert own.first == pytest.approx(1e-6 * FIRST * 300, rel=1e-4)
    assert own.classifier == pytest.approx(1e-6 * LAST * 900, rel=1e-4)


def test_stages_are_parts(made):
    parts = row_of(made, "tiles", "MLS <2,4>, float32 tree").energy_uj
    whole = 3 * INNER * 80
    for name, share in {"products": 20, "scaler": 20, "tree": 40}.items():
        assert getattr(parts, name) == pytest.approx(1e-6 * whole * share / 80, rel=1e-4)


def test_int8_has_wide_gradients_and_no_float32_layer(made):
    row = row_of(made, "macs", "INT8, A*E 8 x 16")
    assert row.convolutions_uj.wa == pytest.approx(1e-6 * INNER * 20, rel=1e-4)
    assert row.convolutions_uj.ae == pytest.approx(1e-6 * INNER * 40, rel=1e-4)
    assert row.energy_uj.outer == pytest.approx(1e-6 * (FIRST * 60 + LAST * 80), rel=1e-4)
    w = (108 + 144 + 32 + 40) / 10
    a, e = 3 * 64 + 4 * 64 + 8, 4 * 64 + 4 * 64 + 8 * 16 + 5
    # Errors in both widths; of the quantizer to blocks what blocks alone need is left out.
    assert row.energy_uj.encoding == pytest.approx(1e-6 * 7 * (w + a + 2 * e), rel=1e-4)
    assert row.energy_uj.statistics == pytest.approx(1e-6 * 2 * (w + a + e), rel=1e-4)


def test_ratios_are_to_fp32_and_to_the_cheapest_fp8(made):
    fp32, e4m3, mls = (row_of(made, "macs", s) for s in ("FP32", "FP8 E4M3", "MLS <2,4>"))
    total = mls.energy_uj.total
    assert (fp32.ratio_to_fp32, e4m3.ratio_to_fp8) == (1, 1)
    assert mls.ratio_to_fp32 == pytest.approx(fp32.energy_uj.total / total, rel=1e-3)
    assert mls.ratio_to_fp8 == pytest.approx(e4m3.energy_uj.total / total, rel=1e-3)
    assert mls.convolution_ratio_to_fp32 == pytest.approx(900 / 75, rel=1e-4)
    assert mls.convolution_ratio_to_fp8 == pytest.approx(70 / 25, rel=1e-4)
    share = mls.energy_uj.products / total
    assert mls.ratio_to_fp32_se == pytest.approx(0.1 * share * mls.ratio_to_fp32, rel=1e-2)
    assert mls.ratio_to_fp8_se == pytest.approx(0.2 * share * mls.ratio_to_fp8, rel=1e-2)
    assert fp32.ratio_to_fp32_se is None
    assert e4m3.ratio_to_fp8_se is None


def test_what_is_not_measured_is_left_out(made):
    assert made.left_out["macs: MLS <2,1>"] == "MLS <2,1>"
    assert made.left_out["tiles: FP8 E4M3"] == "FP8 E4M3, 16 lanes"
    assert made.left_out["dots: FP32"] == "FP32, 16 lanes"
    assert {row.group for row in made.rows} == {"macs", "tiles"}
    without = [own for own in UNITS.units if (own.table, own.unit) != ("macs", "FP32 flush")]
    report = make_step_report(TINY, replace(UNITS, units=tuple(without)))
    assert {row.group for row in report.rows} == {"tiles"}


def test_float32_parts_are_needed():
    without = [own for own in UNITS.units if own.unit != "FP32 adder"]
    with pytest.raises(UserError, match="FP32 adder must be in one of the reports"):
        make_step_report(TINY, replace(UNITS, units=tuple(without)))
    parts = [own for own in UNITS.units if own.table == "parts"]
    with pytest.raises(UserError, match="units must be of FP32, too, with 16 lanes"):
        make_step_report(TINY, replace(UNITS, units=tuple(parts)))


def test_equation_9():
    assert by_paper(KERNEL).to_fp32 == pytest.approx((4 + 1 + 1 / 9) / (4 / 7 + 0.05 / 0.9 + 1 / 9))
    assert by_paper(KERNEL).to_fp32 == pytest.approx(6.92, abs=0.005)
    assert by_paper(KERNEL).to_fp8 == pytest.approx(2.28, abs=0.005)
    assert by_paper(1).to_fp32 == pytest.approx(3.59, abs=0.005)
    rest = {name: by_paper(KERNEL, own.other).to_fp32 for name, own in TABLE_1.items()}
    assert rest == pytest.approx({"ResNet-18": 6.89, "ResNet-20": 6.78}, abs=0.005)
    assert by_table_5().to_fp32 == pytest.approx(15.2, abs=0.05)


def test_table_1_is_nearly_ours():
    paper = TABLE_1["ResNet-20"]
    macs = 3 * sum(layer.macs for layer in RESNET_20.convolutions)
    assert paper.convolutions == pytest.approx(macs, rel=0.002)
    assert paper.batch_norm == pytest.approx(2 * RESNET_20.normalized, rel=0.003)
    last_stage = 3 * 64 * 8 * 8
    assert paper.adds == pytest.approx(2 * (RESNET_20.added - last_stage), rel=0.001)
    assert paper.update == pytest.approx(RESNET_20.weights - 640, rel=0.002)


def test_equation_with_measured_energies(made):
    rows = {row.what: row for row in made.equation}
    own = rows["measured MACs, scaler, FP32 adder"]
    tree = 10 / 9
    assert (own.fp32, own.mls, own.scale) == (pytest.approx(300 + tree, rel=1e-3), 25, 15)
    whole = 25 + 15 + tree
    assert own.ratio_to_fp32 == pytest.approx((300 + tree) / whole, rel=1e-3)
    assert own.ratio_to_fp8 == pytest.approx((80 + tree) / whole, rel=1e-3)
    tile = rows["measured tile, float32 tree"]
    assert (tile.mls, tile.scale, tile.mls_tree, tile.ratio_to_fp32) == (20, 20, 40, 5)
    assert rows["the same"].ratio_to_fp32 == own.ratio_to_fp32
    assert rows["the same"].fp32 == pytest.approx(own.fp32 / 10, rel=1e-3)
    assert not any("tile, aligned" in what for what in rows)


def test_claims_say_what_the_figures_are(made):
    convolutions, step, fp8 = made.claims
    assert [claim.theirs for claim in made.claims] == ["6.8", "8.3 to 10.2", "1.9 to 2.3"]
    assert convolutions.ours == {"MACs": 12.0, "tile": 5.0}
    assert "gives 6.92" in convolutions.why
    assert "a tile, 5.00: its tree takes 40.0 pJ a product" in convolutions.why
    mls = row_of(made, "macs", "MLS <2,4>")
    assert step.ours["MACs"] == mls.ratio_to_fp32 < 8.3
    assert f"MACs alone stay below, at {mls.ratio_to_fp32:.2f}" in step.why
    share = 100 * mls.energy_uj.outer / mls.energy_uj.total
    assert f"in FP32 being {share:.0f} % of it" in step.why
    assert f"MACs alone stay below, at {mls.ratio_to_fp8:.2f}" in fp8.why
    assert "exact sum" not in fp8.why  # which is not measured


def test_traffic_by_hand():
    moved = traffic(TINY, 10, None, Passes.TWO)
    inputs, outputs = 4 * 64 + 4 * 64, 4 * 64 + 8 * 16
    every, normalized, added = 2 * 4 * 64 + 8 * 16 + 5, 2 * 4 * 64, 4 * 64
    assert moved.w == 32 * (108 + 2 * 176 + 2 * 40) / 10
    assert moved.a == 32 * (2 * (3 * 64 + 8) + 2 * inputs + added + every)
    assert moved.z == 32 * (every + 4 * normalized)
    assert moved.e == 32 * (inputs + 8 + 2 * normalized + added + every + 2 * outputs + 4 * 64)
    assert moved.g == 32 * 6 * 324 / 10
    assert moved.total == pytest.approx(sum(vars(moved).values()))


def test_traffic_of_passes():
    codes = Codes(7, 9)
    two, one, fused = (traffic(TINY, 10, codes, passes) for passes in Passes)
    assert two.a - one.a == 32 * 4 * 64  # shortcuts share their block's codes
    assert two.e - one.e == 32 * (4 * 64 + 8 * 16)
    assert two.w - one.w == pytest.approx(32 * 176 / 10)
    assert one.w == fused.w  # weights are read where they are updated
    # The quantized layers' float32 is neither written nor read, but where shortcuts add.
    every = 2 * 4 * 64 + 8 * 16 + 5
    assert one.a - fused.a == 32 * (4 * 64 + every - 4 * 64 - 8)
    assert (one.z, one.g) == (fused.z, fused.g)
    a, shared = 7 * 4 * 64 + 9 * 4, 7 * 4 * 64 + 9 * 4
    floats = 32 * (2 * (3 * 64 + 8) + 4 * 64 + every + 4 * 64)
    assert one.a == a + 2 * (a + shared) + floats


def test_blocks_are_encoded_twice():
    own, twice = (traffic(TINY, 10, Codes(8, 0, block), Passes.FUSED) for block in (None, 32))
    assert twice.e - own.e == 8 * (4 * 64 + 8 * 16)
    assert twice.a - own.a == 8 * 4 * 64


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_one_pass_saves_traffic(network):
    rows = {
        (row.codes, row.passes): row for row in make_step_report(network, default_units()).traffic
    }
    read_once = rows["MLS <2,4>", "one pass"].saved
    fused = rows["MLS <2,4>", "one pass, fused"].saved
    assert 0.09 < read_once < 0.13
    assert 0.27 < fused < 0.34
    assert rows["MLS <2,4>", "two passes"].to_fp32 > 1 > rows["MLS <2,4>", "one pass"].to_fp32
    assert rows["FP32", "-"].to_fp32 == 1


def test_memory_is_in_ratios_of_its_own(made):
    fp32, mls = row_of(made, "macs", "FP32"), row_of(made, "macs", "MLS <2,4>")
    for name, passes in (("with_memory", Passes.TWO), ("fused", Passes.FUSED)):
        own, base = getattr(mls, name), getattr(fp32, name)
        bits = traffic(TINY, 10, Codes(7, 9), passes).total
        assert own.memory_uj == pytest.approx(1e-6 * 0.5 * bits, rel=1e-4)
        assert own.total_uj == pytest.approx(own.memory_uj + mls.energy_uj.total, rel=1e-4)
        assert own.ratio_to_fp32 == pytest.approx(base.total_uj / own.total_uj, rel=1e-3)
        assert own.ratio_to_fp32 < mls.ratio_to_fp32
    without = make_step_report(TINY, UNITS)
    assert without.memory is None
    assert all(row.with_memory is row.fused is None for row in without.rows)


def test_energy_of_a_bit():
    assert pj_per_bit("2.5") == (2.5, "given")
    assert pj_per_bit("sram-8k")[0] == 10 / 64
    assert pj_per_bit("dram")[0] == 1300 / 64
    for wrong in ("x", "-1", "nan", "inf"):
        with pytest.raises(UserError, match=r"must be a number from 0, or one of sram-8k, .* not"):
            pj_per_bit(wrong)


def test_the_largest_plane_is_held():
    assert held_bits(RESNET_20) == 32 * 32 * 32
    assert held_bits(RESNET_18) == 32 * 56 * 56


def test_energies_by_convolution():
    batches = Batches(strata=(0, 1, 2, 0), macs=(10, 20, 40, 30), energy_pj=(20, 60, 200, 100))
    kinds = ("wa", "we", "ae")
    assert measured._by_kind(batches, kinds) == {"wa": 3.0, "we": 3.0, "ae": 5.0}
    assert measured._by_kind(batches, ("pairs",)) == {}
    assert measured._by_kind(replace(batches, strata=(0, 1, 1, 0)), kinds) == {}
    assert measured._by_kind(None, kinds) == {}


def test_units_come_along():
    """Those of docs/results, with all that the systems need."""
    assert default_units() == measured_units()
    report = make_step_report(RESNET_20, default_units())
    assert report.left_out == {}
    assert len(report.rows) == sum(len(group.systems) for group in GROUPS)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_parts_are_those_that_the_quantizers_report_has(network):
    (other,) = [
        row
        for row in quantizers().steps
        if (row.network, row.unit) == (network.name, "<2,4> stochastic, 4")
    ]
    own = row_of(make_step_report(network, default_units()), "macs", "MLS <2,4>").energy_uj
    # Its stimulus has a few products more of one convolution than of another.
    assert own.products == pytest.approx(other.energy_uj.macs, rel=2e-3)
    assert own.statistics == pytest.approx(other.energy_uj.statistics, rel=1e-4)
    assert own.encoding == pytest.approx(other.energy_uj.quantization, rel=1e-4)
    assert own.batch_norm == pytest.approx(other.energy_uj.batch_norm, rel=1e-4)


def test_reports_of_a_user():
    paths = [RESULTS / f"{name}.json" for name in ("report", "quantizers")]
    units = read_units(paths)
    assert lane_counts(units) == [8, 16, 32]
    assert lane_counts(default_units()) == [4, 8, 16, 32, 64]
    report = make_step_report(RESNET_20, units)
    assert {row.group for row in report.rows} == {MACS.name, DOTS.name}
    assert f"{TILES.name}: FP32" in report.left_out
    with pytest.raises(UserError, match=r"pdk of all reports must be one: osu018 .*, sky130 "):
        read_units([*paths, RESULTS / "dots_sky130.json"])
    with pytest.raises(UserError, match="must be a file that report, dots, tiles or quantizers"):
        read_units([RESULTS / "quality.json"])


def test_json_comes_back(made):
    assert from_json(StepReport, json.loads(json.dumps(to_json(made)))) == made


@pytest.mark.parametrize("kind", [StepReport, SystemRow])
def test_every_field_is_documented(kind):
    assert [key for key, doc in documented(kind) if not doc] == []


def test_files(made, tmp_path):
    paths = write(made, tmp_path)
    assert [path.name for path in paths] == ["step.json", "step.html", "step.svg"]
    page = (tmp_path / "step.html").read_text()
    assert "What a training step of tiny takes" in page
    assert "With memory" in page
    assert page.count("<svg") == 1
    again = tmp_path / "again"
    again.mkdir()
    for path, other in zip(paths, write(made, again), strict=True):
        assert path.read_bytes() == other.read_bytes()
    write(make_step_report(TINY, UNITS), tmp_path)
    assert "With memory" not in (tmp_path / "step.html").read_text()


def test_tables_and_remarks(made):
    shown = "\n".join(text(table) for table in step_tables(made))
    for heading in ("tiny, MACs alone", "tiny, tiles of MACs, 16 lanes", "With memory", "Eq. 9"):
        assert heading in shown
    assert "0.5 pJ a bit (made up)" in "\n".join(remarks(made))
