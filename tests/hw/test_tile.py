# amaranth: UnusedElaboratable=no
"""Tiles: their shape, timing and what they refuse."""

import re
from typing import Any

import pytest
from amaranth.hdl import unsigned

from mlsmac.golden.spec import (
    FP8_E4M3,
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M0,
    SCALE_E8M1,
    Accumulate,
    Tree,
)
from mlsmac.hw.tile.axi_stream import AxiConvTile
from mlsmac.hw.tile.collector import Collector
from mlsmac.hw.tile.conv_tile import ConvTile
from mlsmac.hw.tile.dot_tile import DotTile
from mlsmac.hw.tile.tile import Fp8Tile, Fp32Tile, MlsTile
from mlsmac.units import configure
from mlsmac.units.emit import to_rtlil


def mls(**options: Any) -> MlsTile:
    return MlsTile(format=MLS_E2M4, scale=SCALE_E8M1, **{"acc_width": 16, **options})


@pytest.mark.parametrize(
    ("options", "latency"),
    [
        # 3 to the sums, 1 to hold them, 4 levels, the tile accumulator, product, result.
        ({"lanes": 16}, 3 + 1 + 4 + 1 + 2),
        ({"lanes": 16, "tensor_scale": False}, 3 + 1 + 4 + 1 + 1),
        ({"lanes": 16, "levels": 2}, 3 + 1 + 2 + 1 + 2),
        ({"lanes": 16, "sharing": 4}, 3 + 4 + 2 + 2 + 1 + 2),
        ({"lanes": 1}, 3 + 1 + 0 + 1 + 2),
        ({"lanes": 16, "tree": Tree.ALIGNED}, 3 + 1 + 2 + 1 + 2),
        ({"lanes": 16, "tree": Tree.EXACT}, 3 + 1 + 2 + 0 + 2),
    ],
)
def test_latency_counts_the_rows_of_registers(options: dict[str, Any], latency: int) -> None:
    assert mls(**options).latency == latency


@pytest.mark.parametrize(
    ("options", "latency"),
    [
        # Operands, P, T, the window; product, result.
        ({}, 4 + 2),
        ({"tensor_scale": False}, 4 + 1),
        ({"scale": SCALE_E8M0}, 3 + 2),
        ({"scale": None, "lanes": 1, "accumulate": Accumulate.FLOAT32}, 4 + 2),
    ],
)
def test_a_tile_of_dots_adds_an_output_to_its_dots(options: dict[str, Any], latency: int) -> None:
    tile = DotTile(**{"format": MLS_E2M1, "lanes": 3, **options})
    assert (tile.latency, tile.interval, tile.idle_operands) == (latency, 1, (0, 0))
    assert tile.registers == tile.dots.registers + 33 * (tile.latency - tile.dots.latency)
    assert tile.stages == (*tile.dots.stages, "output")
    assert (tile.dots.groups, tile.dots.lanes) == (tile.lanes, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": Accumulate.FLOAT32}, "lanes must be 1 for float32 sums, not 16"),
        ({"products": 0}, r"products must be in 1\.\.1024, not 0"),
        ({"window": 14}, r"window must be in .*, not 14"),
        ({"lanes": 65}, r"lanes must be in 1\.\.64, not 65"),
    ],
)
def test_a_tile_of_dots_refuses(options: dict[str, Any], message: str) -> None:
    for make in DotTile, DotTile.check:
        with pytest.raises(ValueError, match=message):
            make(format=MLS_E2M1, **options)


@pytest.mark.parametrize("sharing", [1, 2, 16])
def test_interval_leaves_room_for_every_block(sharing: int) -> None:
    assert mls(lanes=16, sharing=sharing).interval == sharing + 3


def test_float_tiles_hold_sums_only_where_lanes_share() -> None:
    # The row of sums is 32 bits a lane; without it a result comes a cycle earlier.
    direct, shared = Fp32Tile(lanes=4), Fp32Tile(lanes=4, sharing=2)
    assert direct.latency == 3 + 2 + 1 + 1
    assert shared.latency == 3 + 2 + 1 + 1 + 1 + 1
    assert not direct._collector.holds_sums
    assert shared._collector.holds_sums


def test_stages_name_the_submodules() -> None:
    assert mls().stages == ("macs", "collector", "scalers", "tree", "output")
    assert Fp8Tile(format=FP8_E4M3).stages == ("macs", "collector", "tree", "output")


def test_stage_sets_are_those_of_the_tile_and_of_its_macs() -> None:
    mac = frozenset({"multiplier", "accumulator"})
    for tile, scalers in (mls(lanes=1), {"scalers"}), (Fp32Tile(lanes=1), set[str]()):
        own = frozenset({"macs", "collector", "tree", "output"} | scalers)
        for component in tile, ConvTile(tile=tile), AxiConvTile(tile=tile):
            assert component.stage_sets == (own, mac)


def test_a_unit_s_options_are_the_parameters_in_order() -> None:
    pipeline = ["sharing", "levels", "recoding", "clock_gating"]
    assert [*MlsTile.parameters] == [
        *("format", "scale", "acc_width", "overflow", "lanes", "tree", "guard_bits", "tiles"),
        *("tensor_scale", *pipeline),
    ]
    assert [*Fp8Tile.parameters] == ["format", "lanes", "tensor_scale", *pipeline]
    assert [*Fp32Tile.parameters] == ["lanes", "subnormals", "tensor_scale", *pipeline]


def test_ports_follow_the_parameters() -> None:
    common = {"start", "last", "first", "finish", "w", "a", "z", "valid"}
    scaled = {"w_scale", "a_scale", "tensor_scale", "overflow"}
    assert set(mls().signature.members) == common | scaled
    assert set(mls(tensor_scale=False).signature.members) == common | scaled - {"tensor_scale"}
    assert set(Fp32Tile().signature.members) == common
    assert set(Fp8Tile(format=FP8_E4M3).signature.members) == common | {"tensor_scale"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lanes": 0}, ValueError, r"lanes must be in 1\.\.64, not 0"),
        ({"lanes": 65}, ValueError, r"lanes must be in 1\.\.64, not 65"),
        ({"lanes": 4.0}, TypeError, "lanes must be an integer, not 4.0"),
        ({"lanes": 4, "sharing": 8}, ValueError, r"sharing must be in 1\.\.4, not 8"),
        ({"lanes": 6, "sharing": 2}, ValueError, "sharing must be 1, or a power of two .* not 2"),
        ({"lanes": 9, "sharing": 3}, ValueError, "sharing must be 1, or a power of two .* not 3"),
        ({"levels": 0}, ValueError, r"levels must be in 1\.\.6, not 0"),
        ({"guard_bits": 33}, ValueError, r"guard_bits must be in 0\.\.32, not 33"),
        ({"tiles": 0}, ValueError, r"tiles must be in 1\.\.65536, not 0"),
        ({"tree": "linear"}, ValueError, "tree must be one of 'fp32', .* not 'linear'"),
        ({"tensor_scale": 1}, TypeError, "tensor_scale must be a bool, not 1"),
    ],
)
def test_wrong_parameters_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    for make in MlsTile, MlsTile.check:
        with pytest.raises(error, match=message):
            make(format=MLS_E2M4, scale=SCALE_E8M1, acc_width=16, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (8, 1)}, r"scale must be a ScaleFormat, not \(8, 1\)"),
        ({"has_overflow": 0}, "has_overflow must be a bool, not 0"),
        ({"shape": 16}, "shape must be a Shape, not 16"),
    ],
)
def test_collector_refuses_the_wrong_kind(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Collector(**{"lanes": 2, "shape": unsigned(16), **options})


def test_scale_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(TypeError, match=r"scale must be a ScaleFormat, not \(8, 1\)"):
        MlsTile(format=MLS_E2M4, scale=(8, 1), acc_width=16)


def test_slug_tells_lanes_tree_and_sharing() -> None:
    slug = configure("mls_tile", lanes=4, tree="aligned", sharing=2).slug
    assert {"lanes4", "alignedtree", "sharing2"} <= set(slug.split("_"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mls_tile", {"lanes": 1}),
        ("mls_tile", {"lanes": 3, "tensor_scale": False}),
        ("mls_tile", {"lanes": 4, "sharing": 2}),
        ("mls_tile", {"lanes": 3, "tree": "aligned"}),
        ("mls_tile", {"lanes": 4, "tree": "aligned", "sharing": 4}),
        ("mls_tile", {"lanes": 4, "tree": "exact", "sharing": 2, "scale": "4,3"}),
        ("fp8_tile", {"lanes": 2}),
        ("fp8_tile", {"lanes": 2, "sharing": 2}),
        ("dot_tile", {"lanes": 2, "products": 3, "flag": True}),
        ("dot_tile", {"lanes": 1, "products": 3, "tensor_scale": False, "scale": "none"}),
    ],
)
def test_registers_are_the_flops_of_the_netlist(name: str, options: dict[str, Any]) -> None:
    configuration = configure(name, **options)
    text = to_rtlil(configuration)
    cells = re.findall(r"cell \$dff .*\n(?:\s+parameter .*\n)*?\s+parameter \\WIDTH (\d+)", text)
    assert sum(map(int, cells)) == configuration.build().registers
