# amaranth: UnusedElaboratable=no
"""UnsignedMultiplier: exact products, every width and recoding; construction."""

import random
from itertools import product

import pytest
from amaranth.sim import Simulator

from mlsmac.hw.parts.unsigned_multiplier import Recoding, UnsignedMultiplier


def check(part, pairs) -> None:
    """Compare every product, naming the first that differs."""
    results = []

    async def bench(ctx):
        for x, y in pairs:
            ctx.set(part.x, x)
            ctx.set(part.y, y)
            results.append(ctx.get(part.product))

    simulator = Simulator(part)
    simulator.add_testbench(bench)
    simulator.run()
    for (x, y), got in zip(pairs, results, strict=True):
        assert got == x * y, f"{x} * {y}: {got}"


@pytest.mark.parametrize("recoding", Recoding)
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_exhaustive(width, recoding):
    pairs = list(product(range(1 << width), repeat=2))
    check(UnsignedMultiplier(width=width, recoding=recoding), pairs)


@pytest.mark.parametrize("recoding", Recoding)
@pytest.mark.parametrize("width", [8, 11, 24])
def test_sampled(width, recoding):
    rng = random.Random(width)
    corners = [0, 1, (1 << width) - 1, 1 << (width - 1), ((1 << width) - 1) // 3]
    pairs = list(product(corners, corners))
    pairs += [(rng.getrandbits(width), rng.getrandbits(width)) for _ in range(1000 // width)]
    check(UnsignedMultiplier(width=width, recoding=recoding), pairs)


def test_attributes():
    part = UnsignedMultiplier(width=5, recoding=Recoding.BOOTH4)
    assert (part.width, part.recoding, part.latency) == (5, Recoding.BOOTH4, 0)
    assert (len(part.x), len(part.y), len(part.product)) == (5, 5, 10)
    assert UnsignedMultiplier(width=5).recoding is Recoding.NONE


@pytest.mark.parametrize("name", ["width", "recoding", "latency"])
def test_attributes_are_read_only(name):
    with pytest.raises(AttributeError):
        setattr(UnsignedMultiplier(width=5), name, None)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"width": 0}, ValueError, "width must be in 1..64, not 0"),
        ({"width": 65}, ValueError, "width must be in 1..64, not 65"),
        ({"width": 5.0}, TypeError, "width must be an integer, not 5.0"),
        (
            {"width": 5, "recoding": True},
            ValueError,
            "recoding must be one of 'none', 'booth4', not True",
        ),
    ],
)
def test_rejects(arguments, error, message):
    with pytest.raises(error) as caught:
        UnsignedMultiplier(**arguments)
    assert str(caught.value) == message
