"""The tiles: lanes of MACs or dots with what scales, adds and accumulates behind them."""

from ..golden.spec import FP8_E4M3, MLS_E2M1, MLS_E2M4, SCALE_E8M1
from ..golden.tile import dot_tile, fp8_tile, fp32_tile, mls_tile
from ..hw.tile.dot_tile import DotTile
from ..hw.tile.tile import Fp8Tile, Fp32Tile, MlsTile
from .catalogue import Unit
from .corners import dots, tiles
from .corners.general import drawn
from .macs import FP8_MAC, FP32_MAC, MLS_MAC, largest_mls_product, last_mls_bit
from .workloads import dot_tile_steps, tile_steps

ROWS = (
    Unit(
        name="mls_tile",
        description="MLS tile: lanes of MACs, group scalers, adder tree, outputs in float32",
        component=MlsTile,
        defaults={"format": MLS_E2M4, "scale": SCALE_E8M1},
        model=mls_tile,
        corners=drawn(tiles.steps),
        workload=tile_steps,
        largest_product=largest_mls_product,
        last_bit=last_mls_bit,
        lane=MLS_MAC,
        one_build=True,
    ),
    Unit(
        name="fp8_tile",
        description="FP8 tile: lanes of MACs, float32 adder tree, outputs in float32",
        component=Fp8Tile,
        defaults={"format": FP8_E4M3},
        model=fp8_tile,
        corners=drawn(tiles.steps),
        workload=tile_steps,
        lane=FP8_MAC,
        one_build=True,
    ),
    Unit(
        name="fp32_tile",
        description="FP32 tile: lanes of MACs, float32 adder tree, outputs in float32",
        component=Fp32Tile,
        model=fp32_tile,
        corners=drawn(tiles.steps),
        workload=tile_steps,
        lane=FP32_MAC,
        one_build=True,
    ),
    Unit(
        name="dot_tile",
        description="Tile of dot units: a group in each lane, one scaled sum, outputs in float32",
        component=DotTile,
        defaults={"format": MLS_E2M1},
        model=dot_tile,
        corners=drawn(dots.tile_steps),
        workload=dot_tile_steps,
        one_build=True,
    ),
)
