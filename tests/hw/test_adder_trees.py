# amaranth: UnusedElaboratable=no
"""Adder trees, aligner and largest scale against Python integers, rationals and NumPy's float32."""

import random
from fractions import Fraction

import numpy as np
import pytest
from amaranth.sim import Simulator

from mlsmac.golden.spec import MLS_E2M4, SCALE_E8M1, ScaleFormat
from mlsmac.hw.tile.adder_trees import AlignedAdderTree, ExactAdderTree, Fp32AdderTree
from mlsmac.hw.tile.aligner import Aligner, LargestScale
from mlsmac.hw.tile.scaled_trees import AlignedSum, ExactSum

from .test_group_scaler import float32_code, simulate

SHAPES = [(1, 1), (3, 1), (7, 1), (8, 1), (1, 4), (2, 2), (4, 4)]
"""Leaves of a block, blocks of a tile."""


def run(part, steps: list[dict]) -> dict[int, int]:
    """Clock `part` through `steps`; its sums by the step that they are valid in."""
    sums = {}

    async def bench(ctx):
        for time in range(len(steps) + part.latency):
            for port, value in (steps[time] if time < len(steps) else {"valid": 0}).items():
                ctx.set(getattr(part, port), value)
            if ctx.get(part.sum_valid):
                sums[time] = ctx.get(part.sum)
            await ctx.tick()

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sums


def feed(part, tiles: list[list], rng: random.Random, garbage, **constant) -> tuple[list, list]:
    """Steps that bring each tile block by block, idle ones between, and the last step of each."""
    steps, ends = [], []
    for k, tile in enumerate(tiles):
        own = {port: values[k] for port, values in constant.items()}
        for block in range(part.sharing):
            while rng.random() < 0.3:
                steps.append({"i": garbage(), "valid": 0})
            leaves = tile[block * part.leaves : (block + 1) * part.leaves]
            number = {"block": block} if part.sharing > 1 else {}
            steps.append({"i": leaves, "valid": 1, **number, **own})
        ends.append(len(steps) - 1)
    return steps, ends


def check(part, steps: list[dict], ends: list[int], expected: list[int]) -> None:
    assert run(part, steps) == {
        end + part.latency: sum_ for end, sum_ in zip(ends, expected, strict=True)
    }


def float32_tree(leaves: list[int]) -> int:
    """Neighbours first, an odd last one passes through."""
    values = np.array(leaves, np.uint32).view(np.float32)
    while len(values) > 1:
        paired = len(values) & ~1
        values = np.append(values[:paired:2] + values[1:paired:2], values[paired:])
    return int(values.view(np.uint32)[0])


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize(("leaves", "sharing"), SHAPES[1:])
def test_fp32_tree(leaves, sharing, levels):
    rng = random.Random(leaves)

    def leaf():
        exponent = 127 + rng.choice([0, 0, 1, -1, -12, -24, 20, -126])
        return rng.getrandbits(1) << 31 | exponent << 23 | rng.getrandbits(23)

    part = Fp32AdderTree(leaves=leaves, sharing=sharing, levels=levels)
    tiles = [[leaf() for _ in range(leaves * sharing)] for _ in range(25)]
    steps, ends = feed(part, tiles, rng, lambda: [leaf() for _ in range(leaves)])
    check(part, steps, ends, [float32_tree(tile) for tile in tiles])


def test_one_leaf_is_wires():
    part = Fp32AdderTree(leaves=1)
    assert (part.latency, part.registers) == (0, 0)
    codes = [0, 0x80000000, 0x7F800000, 0x3F800001]
    assert simulate(part, [{"i": [code], "valid": 1} for code in codes], "sum") == codes


@pytest.mark.parametrize(("leaves", "sharing"), SHAPES)
def test_aligned_tree(leaves, sharing):
    rng = random.Random(leaves)
    width, offset = 28, 20
    part = AlignedAdderTree(
        leaves=leaves, sharing=sharing, term_width=width, exponent_width=9, offset=offset
    )
    count = leaves * sharing
    assert part.sum_width == width + (count - 1).bit_length()
    ends = (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    tiles = [[end] * count for end in ends]
    for _ in range(25):
        tiles.append([rng.randrange(*ends) >> rng.choice([0, 20]) for _ in range(count)])
    low = [rng.choice([0, 3, 110, 130, 511]) for _ in tiles]
    steps, last = feed(part, tiles, rng, lambda: [rng.randrange(*ends)] * leaves, low=low)
    expected = [
        float32_code(Fraction(sum(tile)) / Fraction(2) ** (low + offset))
        for tile, low in zip(tiles, low, strict=True)
    ]
    check(part, steps, last, expected)


@pytest.mark.parametrize("scale", [ScaleFormat(3, 1), SCALE_E8M1], ids=str)
@pytest.mark.parametrize(("leaves", "sharing"), [(1, 1), (3, 1), (2, 2)])
def test_exact_tree(leaves, sharing, scale):
    rng = random.Random(leaves)
    width, offset, tiles = 12, 14, 4
    part = ExactAdderTree(
        leaves=leaves, sharing=sharing, term_width=width, scale=scale, offset=offset, tiles=tiles
    )
    top = 2 * scale.max_exp
    count = leaves * sharing
    assert part.sum_width == width + top + (count * tiles - 1).bit_length()
    ends = (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    outputs = [[[(end, 0)] * count] * tiles for end in ends]  # the largest sums
    for _ in range(12):
        spread = rng.choice([0, 3, top])
        high = rng.randint(0, top)
        term = lambda: (rng.randint(*ends), min(high + rng.randint(0, spread), top))  # noqa: B023, E731
        length = rng.randint(1, tiles)
        outputs.append([[term() for _ in range(count)] for _ in range(length)])
    all_tiles, first, expected = [], [], []
    for output in outputs:
        total = Fraction(0)
        for k, tile in enumerate(output):
            total += sum(Fraction(t) / Fraction(2) ** (e + offset) for t, e in tile)
            all_tiles.append([{"term": t, "exponent": e} for t, e in tile])
            first.append(int(k == 0))
            expected.append(float32_code(total))
    garbage = [{"term": ends[0], "exponent": 1}] * leaves
    steps, last = feed(part, all_tiles, rng, lambda: garbage, first=first)
    check(part, steps, last, expected)


@pytest.mark.parametrize("guard_bits", [0, 5])
@pytest.mark.parametrize("scale", [ScaleFormat(3, 0), ScaleFormat(8, 1)], ids=str)
def test_aligner(scale, guard_bits):
    rng = random.Random(guard_bits)
    part = Aligner(acc_width=8, scale=scale, guard_bits=guard_bits)
    hidden = 1 << scale.man_bits
    steps, expected = [], []
    for p in [-128, -127, -1, 0, 1, 127, *(rng.randrange(-128, 128) for _ in range(100))]:
        for distance in (0, 1, rng.randrange(20), rng.randrange(2 * scale.max_exp + 1)):
            w, a = (rng.randrange(hidden << scale.exp_bits) for _ in "wa")
            exponent = (w >> scale.man_bits) + (a >> scale.man_bits)
            low = max(exponent - distance, 0)
            term = p * (hidden + w % hidden) * (hidden + a % hidden)
            steps.append({"p": p, "w_scale": w, "a_scale": a, "low": low})
            expected.append((term << guard_bits) >> (exponent - low))
    assert simulate(part, steps, "term") == expected


@pytest.mark.parametrize(("lanes", "comparators"), [(1, 6), (2, 6), (5, 1), (7, 2), (16, 6)])
def test_largest_scale(lanes, comparators):
    rng = random.Random(lanes)
    part = LargestScale(lanes=lanes, scale=SCALE_E8M1, comparators=comparators)
    assert part.latency == -(-(lanes - 1).bit_length() // comparators)
    tiles = []
    for _ in range(40):
        base = rng.randrange(512)
        draw = lambda: [min(base + rng.randrange(8), 511) for _ in range(lanes)]  # noqa: B023, E731
        tiles.append((draw(), draw()))
    lows = []

    async def bench(ctx):
        for time in range(len(tiles) + part.latency):
            w, a = tiles[min(time, len(tiles) - 1)]
            ctx.set(part.w_scale, w)
            ctx.set(part.a_scale, a)
            lows.append(ctx.get(part.low))
            await (ctx.tick() if part.registers else ctx.delay(1e-6))

    simulator = Simulator(part)
    if part.registers:
        simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    expected = [min((x >> 1) + (y >> 1) for x, y in zip(w, a, strict=True)) for w, a in tiles]
    assert lows[part.latency :] == expected


def test_registers_and_latency():
    tree = Fp32AdderTree(leaves=16, levels=2)
    assert (tree.latency, tree.registers) == (2, (16 + 4) * 32 + 2)
    shared = Fp32AdderTree(leaves=4, sharing=4)
    # rows of 4 and 2, then two pair stages
    assert shared.latency == 4
    assert shared.registers == 6 * 32 + 2 * 3 + 2 * 3 * 32 + (1 + 1) + 1
    aligned = AlignedAdderTree(leaves=16, term_width=32, exponent_width=9, offset=28)
    assert (aligned.latency, aligned.registers) == (2, 16 * 32 + 36 + 2 * 9 + 2)
    exact = ExactAdderTree(leaves=4, term_width=20, scale=ScaleFormat(4, 1), offset=16, tiles=64)
    assert (exact.latency, exact.registers) == (2, 4 * (20 + 5) + (20 + 30 + 8) + 3)


WHOLE = {"lanes": 3, "acc_width": 16, "format": MLS_E2M4, "scale": SCALE_E8M1}
ALIGNED = {"leaves": 4, "term_width": 32, "exponent_width": 9, "offset": 28}
EXACT = {"leaves": 4, "term_width": 20, "scale": SCALE_E8M1, "offset": 16}
PARTS = [
    (Fp32AdderTree, {"leaves": 4}),
    (AlignedAdderTree, ALIGNED),
    (ExactAdderTree, {**EXACT, "tiles": 2}),
    (LargestScale, {"lanes": 3, "scale": SCALE_E8M1}),
    (Aligner, {"acc_width": 16, "scale": SCALE_E8M1, "guard_bits": 3}),
    (AlignedSum, {**WHOLE, "guard_bits": 3}),
    (ExactSum, {**WHOLE, "tiles": 5}),
]


@pytest.mark.parametrize(("part", "arguments"), PARTS)
def test_attributes_are_read_only(part, arguments):
    component = part(**arguments)
    for name, value in arguments.items():
        assert getattr(component, name) == value
        with pytest.raises(AttributeError):
            setattr(component, name, None)


@pytest.mark.parametrize(
    ("part", "arguments", "error", "message"),
    [
        (Fp32AdderTree, {"leaves": 65}, ValueError, r"leaves must be in 1\.\.64, not 65"),
        (Fp32AdderTree, {"leaves": 4, "sharing": 0}, ValueError, r"sharing must be in 1\.\.64"),
        (
            Fp32AdderTree,
            {"leaves": 3, "sharing": 2},
            ValueError,
            "sharing must be 1, or a power of two with leaves a power of two, not 2 with 3 leaves",
        ),
        (Fp32AdderTree, {"leaves": 4, "sharing": 3}, ValueError, "not 3 with 4 leaves"),
        (Fp32AdderTree, {"leaves": 4, "levels": 7}, ValueError, r"levels must be in 1\.\.6, not 7"),
        (Fp32AdderTree, {"leaves": 4, "subnormals": 1}, TypeError, "subnormals must be a bool"),
        (AlignedAdderTree, ALIGNED | {"exponent_width": 0}, ValueError, "exponent_width must be"),
        (AlignedAdderTree, ALIGNED | {"term_width": 1}, ValueError, "term_width must be in"),
        (ExactAdderTree, EXACT | {"scale": (8, 1)}, TypeError, "scale must be a ScaleFormat"),
        (ExactAdderTree, EXACT | {"tiles": 0}, ValueError, r"tiles must be in 1\.\.65536, not 0"),
        (ExactAdderTree, EXACT | {"term_width": 1}, ValueError, "term_width must be in"),
        (LargestScale, {"lanes": 0, "scale": SCALE_E8M1}, ValueError, r"lanes must be in 1\.\.64"),
        (
            LargestScale,
            {"lanes": 4, "scale": SCALE_E8M1, "comparators": 0},
            ValueError,
            r"comparators must be in 1\.\.6, not 0",
        ),
        (
            Aligner,
            {"acc_width": 16, "scale": SCALE_E8M1, "guard_bits": 33},
            ValueError,
            r"guard_bits must be in 0\.\.32, not 33",
        ),
        (AlignedSum, WHOLE | {"lanes": 0}, ValueError, r"lanes must be in 1\.\.64, not 0"),
        (ExactSum, WHOLE | {"lanes": 65}, ValueError, r"lanes must be in 1\.\.64, not 65"),
        (ExactSum, WHOLE | {"format": "2,4"}, TypeError, "format must be an ElementFormat"),
    ],
)
def test_rejects(part, arguments, error, message):
    with pytest.raises(error, match=message):
        part(**arguments)
