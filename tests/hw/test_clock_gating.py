# amaranth: UnusedElaboratable=no
"""Clock gating changes no result: zeros of both signs, what is flushed, infinities and NaN, which
random vectors meet too seldom. Amaranth's simulator; the benches take more vectors.
"""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from mlsmac.golden import FloatFormat
from mlsmac.hw.mac.skipping import Skip, ZeroFactor, ZeroFloat
from mlsmac.units import configure
from mlsmac.units.catalogue import Configuration

COUNT = 300


def extremes(format: Any) -> list[int]:
    """Codes of either sign: zero, the smallest, the smallest normal one, one, the largest, and what
    is no number.
    """
    top = 1 << (format.code_width - 1)
    codes = {0, 1, top - 1, top - 2}
    if isinstance(format, FloatFormat):
        unit = 1 << format.man_bits
        codes |= {unit, unit - 1, unit + 1, format.bias << format.man_bits, top - unit}
    return sorted(codes | {code | top for code in codes})


def directed(format: FloatFormat) -> list[tuple[int, int, int]]:
    """Sums (w, a, start) that are -0 when +0 comes: of zeros, of a product that is rounded to zero,
    of a sum that is flushed; with a settled one in between.
    """
    minus, one, unit = (
        1 << (format.code_width - 1),
        format.bias << format.man_bits,
        1 << format.man_bits,
    )
    return [
        *((minus, one, 1), (0, one, 0), (0, one, 0)),
        *((one, one, 1), (minus, one, 1), (0, one, 0)),
        *((minus | 1, 1, 1), (0, one, 0)),
        *((0, one, 1), (unit, one, 0), (minus | unit | 1, one, 0), (0, one, 0)),
        *((one, one, 1), (minus | 1, 1, 1), (0, one, 0)),
    ]


def drawn(configuration: Configuration) -> dict[str, np.ndarray]:
    """Operations of such codes, half of the factors zero, in sums of about four."""
    rng = np.random.default_rng(15)
    format, operands = configuration.build().format, configuration.build().operands
    codes, zeros, first = extremes(format), [0], []
    if isinstance(format, FloatFormat):
        zeros.append(1 << (format.code_width - 1))
        first = directed(format)
    count = COUNT if format.code_width < 32 else 0
    inputs = {}
    for place, port in enumerate(operands):
        drawn = np.where(
            rng.random(count) < 0.4, rng.choice(zeros, count), rng.choice(codes, count)
        )
        inputs[port] = np.array([*(each[place] for each in first), *drawn])
    starts = rng.random(count) < 0.25
    starts[:1] = True
    inputs["start"] = np.array([*(each[2] for each in first), *starts.astype(np.int64)])
    if configuration.options.get("hold"):
        loads = rng.random(count) < 0.3
        inputs["load"] = np.array([1] * len(first) + loads.astype(np.int64).tolist())
        inputs["load"][0] = 1
    return inputs


def differing(configuration: Configuration) -> int:
    """Operations after which an output is not golden's."""
    part, inputs = configuration.build(), drawn(configuration)
    expected = configuration.reference(inputs)
    latency, count, found = part.latency, len(inputs["start"]), 0

    async def bench(ctx):
        nonlocal found
        for step in range(count + latency):
            for port, codes in inputs.items():
                ctx.set(getattr(part, port), int(codes[min(step, count - 1)]))
            if step >= latency:
                place = step - latency
                for port, codes in expected.items():
                    signal = getattr(part, port)
                    mask = (1 << len(signal)) - 1
                    found += (ctx.get(signal) & mask) != (int(codes[place]) & mask)
            await ctx.tick()

    simulator = Simulator(part)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return found


FLOATS: list[tuple[str, dict[str, Any]]] = [
    ("fp8_mac", {"format": "e4m3"}),
    ("fp8_mac", {"format": "e5m2", "hold": True}),
    ("fp32_mac", {}),
    ("fp32_mac", {"subnormals": False}),
    ("float_mac", {"format": "e5m2", "acc_format": "fp16"}),
    ("float_mac", {"format": "e5m2", "acc_format": "e5m2"}),
    ("float_mac", {"format": "e5m2", "acc_format": "e5m2", "subnormals": False}),
    ("float_mac", {"format": "e4m3", "acc_format": "e4m3"}),
    ("float_mac", {"format": "bf16", "acc_format": "fp32", "subnormals": False}),
    ("fused_mac", {"format": "e4m3", "acc_format": "6,5"}),
    ("fused_mac", {"format": "e5m2", "acc_format": "e5m2"}),
    ("fused_mac", {"format": "e5m2", "acc_format": "e5m2", "subnormals": False}),
    ("fused_mac", {"format": "fp16", "acc_format": "8,7"}),
]
EXACT: list[tuple[str, dict[str, Any]]] = [
    ("mls_mac", {"format": "2,1", "acc_width": 12}),
    ("int_mac", {"format": "int4", "a_format": "int4", "acc_width": 12, "hold": True}),
    ("int_mac", {"format": "int4", "a_format": "int4", "zero_points": True, "acc_width": 12}),
    ("lns_mac", {"acc_width": 20}),
    ("kulisch_mac", {"format": "e5m2", "acc_width": 66}),
    ("kulisch_mac", {"format": "e4m3", "acc_width": 38, "overflow": "wrap"}),
    ("adder_mac", {"format": "int4", "acc_width": 6}),
]


def _gated(name: str, options: dict[str, Any]) -> Configuration:
    return configure(name, **options, clock_gating=True)


@pytest.mark.parametrize(
    "configuration", [_gated(*case) for case in FLOATS + EXACT], ids=lambda each: each.slug
)
def test_nothing_differs(configuration):
    assert differing(configuration) == 0


@pytest.mark.parametrize(
    ("name", "options", "wrong"),
    [
        ("fp8_mac", {"format": "e4m3"}, {"plain": True}),
        ("fp32_mac", {}, {"exact": True}),
        ("float_mac", {"format": "e5m2", "acc_format": "e5m2"}, {"exact": True}),
        ("fp32_mac", {"subnormals": False}, {"lasting": True}),
        (
            "float_mac",
            {"format": "e5m2", "acc_format": "e5m2", "subnormals": False},
            {"lasting": True},
        ),
        ("fused_mac", {"format": "e5m2", "acc_format": "e5m2"}, {"exact": True, "lasting": True}),
        ("kulisch_mac", {"format": "e5m2", "acc_width": 66}, {"subnormals": False}),
    ],
)
def test_each_condition_counts(name, options, wrong, monkeypatch):
    """A sum of -0 must meet +0, a flushed one must become -0, a product must vanish."""
    configuration = _gated(name, options)
    kind = configuration.unit.component
    right = kind.make_skip

    def make_skip(self):
        skip = right(self)
        told = {parameter: getattr(skip, parameter) for parameter in ZeroFloat.parameters}
        return ZeroFloat(**{**told, **wrong})

    monkeypatch.setattr(kind, "make_skip", make_skip)
    assert differing(configuration)


def settled(skip: Skip, operations: list[tuple[int, int, int]]) -> list[int]:
    """What is skipped, by operation (w, a, start)."""
    found = []

    async def bench(ctx):
        for w, a, start in operations:
            for port, value in (("w", w), ("a", a), ("start", start)):
                ctx.set(getattr(skip, port), value)
            found.append(ctx.get(skip.skip))
            await ctx.tick()

    simulator = Simulator(skip)
    if skip.registers:
        simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def test_what_is_skipped():
    """e4m3: 0x38 is 1, 0x7f NaN, 0x80 -0."""
    skip = ZeroFloat(format=FloatFormat(4, 3), subnormals=True, lasting=True, exact=True)
    steps = {
        (0x80, 0x38, 1): 0,  # begins a sum
        (0x00, 0x38, 0): 0,  # -0 + 0 is 0
        (0x38, 0x00, 0): 1,
        (0xB8, 0x00, 0): 1,
        (0x38, 0x38, 0): 0,
        (0x7F, 0x00, 0): 0,  # NaN
    }
    assert settled(skip, list(steps)) == list(steps.values())


@pytest.mark.parametrize(("name", "options"), FLOATS + EXACT)
def test_registers_and_latency(name, options):
    """Two more of what is taken, one where nothing is multiplied, and one of a sum's sign."""
    plain, gated = configure(name, **options).build(), _gated(name, options).build()
    skip = gated.make_skip()
    valid = 1 if name == "adder_mac" else 2
    assert isinstance(skip, ZeroFactor | ZeroFloat)
    assert gated.registers - plain.registers == valid + skip.registers
    assert gated.latency == plain.latency


def test_without_it_nothing_is_skipped():
    assert "clock_gating" not in configure("mls_mac", format="2,1").slug
    assert configure("mls_mac", format="2,1", clock_gating=True).slug.endswith("_gated")
