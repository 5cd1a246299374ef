# amaranth: UnusedElaboratable=no
"""The block quantizer's structure: latency, registers, where blocks begin, what is refused."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from mlsmac.golden import BLOCK_PRESETS, MLS_E2M4, quantize_blocks
from mlsmac.golden.spec import BlockFormat, Rounding, ScaleCoding
from mlsmac.hw import BlockQuantizer
from mlsmac.units import configure

MXFP4, MXINT8, NVFP4 = (BLOCK_PRESETS[name] for name in ("mxfp4", "mxint8", "nvfp4"))
STOCHASTIC = {"rounding": Rounding.STOCHASTIC}


@pytest.mark.parametrize(
    ("options", "latency", "stages"),
    [
        ({"format": MXFP4}, 34, ("front", "buffer", "group_scale", "lanes")),
        ({"format": MXFP4, "lanes": 32}, 2, ("front", "buffer", "group_scale", "lanes")),
        ({"format": NVFP4, "lanes": 4}, 8, ("buffer", "group_scale", "lanes")),
        (
            {"format": NVFP4, "lanes": 16, **STOCHASTIC},
            6,
            ("buffer", "group_scale", "lanes", "generator"),
        ),
    ],
)
def test_structure(options, latency, stages):
    unit = BlockQuantizer(**options)
    assert unit.latency == latency
    assert unit.stages == stages
    assert hasattr(unit, "start") == (unit.lanes < unit.format.size)
    assert hasattr(unit, "seed") == ("generator" in stages)
    assert hasattr(unit, "tensor_scale") == (unit.format is NVFP4)


def test_registers():
    """Sign, exponent, top bit, fraction with the bit that rounds, sticky bit: 13 of MXFP4's 32."""
    whole = BlockQuantizer(format=MXFP4, lanes=32)
    assert whole.registers == 32 * 13 + 8 + 32 * 4 + 8
    held = BlockQuantizer(format=MXFP4, lanes=4)
    assert held.registers == 9 * 4 * 13 + 3 + 2 * 8 + 4 * 4 + 8
    integers = BlockQuantizer(format=MXINT8, lanes=32)
    assert integers.registers == 32 * 18 + 8 + 32 * 8 + 8


def test_start_says_where_blocks_begin():
    """After any number of cycles; then blocks follow each other without it."""
    unit = BlockQuantizer(format=MXFP4, lanes=8)
    x = np.random.default_rng(1).standard_normal((4, 32)).astype(np.float32)
    expected = quantize_blocks(x, MXFP4)
    beats = x.view(np.uint32).reshape(-1, 8).tolist()
    found = []

    async def bench(ctx):
        for wait in range(3):  # beats of no block
            ctx.set(unit.x, [wait + 1] * 8)
            await ctx.tick()
        for step in range(len(beats) + unit.latency):
            ctx.set(unit.start, step == 0)
            ctx.set(unit.x, beats[step] if step < len(beats) else [0] * 8)
            if step >= unit.latency:
                codes = [ctx.get(unit.codes[lane]) for lane in range(8)]
                found.append((codes, ctx.get(unit.scale_code)))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert [codes for codes, _ in found] == expected.codes.reshape(-1, 8).tolist()
    assert [scale for _, scale in found] == np.repeat(expected.scale_codes, 4).tolist()


@pytest.mark.parametrize(
    ("options", "slug"),
    [
        ({}, "block_quantizer_mxfp4_lanes1_nearest_random8"),
        (
            {"format": "nvfp4", "lanes": 4, "rounding": "stochastic", "lfsr_seed": 3},
            "block_quantizer_nvfp4_lanes4_stochastic_random8_seed3",
        ),
    ],
)
def test_slugs(options, slug):
    assert configure("block_quantizer", **options).slug == slug


WIDE = BlockFormat(
    element=MXINT8.element,
    size=16,
    scale_coding=ScaleCoding.E4M3,
    element_coding=MXINT8.element_coding,
)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": MLS_E2M4}, TypeError, "format must be a BlockFormat, not"),
        (
            {"format": MXFP4, "lanes": 3},
            ValueError,
            "lanes must divide the 32 elements of a block, not 3",
        ),
        (
            {"format": NVFP4, "lanes": 32},
            ValueError,
            "lanes must divide the 16 elements of a block, not 32",
        ),
        ({"format": WIDE}, ValueError, "format must have elements <2,1>, not <0,7>"),
        (
            {"format": MXFP4, "random_bits": 17},
            ValueError,
            "random_bits must be in 1..16, not 17",
        ),
    ],
)
def test_rejects(options, error, message):
    for refuse in (BlockQuantizer.check, BlockQuantizer):
        with pytest.raises(error) as caught:
            refuse(**options)
        assert str(caught.value).startswith(message)


def test_a_format_is_named():
    with pytest.raises(ValueError, match=r"^format must be one of mxfp4, .*, nvfp4, not '2,1'$"):
        configure("block_quantizer", format="2,1")
