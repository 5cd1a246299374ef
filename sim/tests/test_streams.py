# ruff: noqa: E501 - one mutation a line
"""Tiles and dot units behind streams compute convolutions, whatever the pauses on either side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsmac.golden import (
    MLS_E2M4,
    SCALE_E8M1,
    MlsTensor,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    quantize,
)
from mlsmac.golden.lowering import convolution
from mlsmac.hw.tile.axi_stream import AxiConvTile
from mlsmac.hw.tile.conv_tile import ConvTile
from mlsmac.sim.runner import BenchResult
from mlsmac.sim.schedule import dot_schedule, schedule, stream, tensor_scale_code
from mlsmac.sim.streams import corner_traffic, make_traffic, run_stream_bench, run_traffic
from mlsmac.sim.tests.test_mutations import Mutation
from mlsmac.sim.traffic import Traffic
from mlsmac.units import configure, reference
from mlsmac.units.interfaces import StreamConfiguration, with_interface

SEED = 2026
FP8_DOT = {"format": "4,3", "scale": "none", "accumulate": "float32", "lanes": 4}
SHAPES = {"w": (3, 5, 3, 3), "a": (2, 5, 4, 4), "e": (2, 3, 4, 4)}
GOLDEN = {
    "wa": lambda w, a, **given: conv2d(w, a, padding=1, **given),
    "we": lambda w, e, **given: conv2d_input_grad(w, e, padding=1, input_size=(4, 4), **given),
    "ae": lambda a, e, **given: conv2d_weight_grad(a, e, padding=1, kernel_size=(3, 3), **given),
}


def tensor(name: str) -> MlsTensor:
    """Groups far apart in scale."""
    rng = np.random.default_rng([SEED, *name.encode()])
    shape = SHAPES[name]
    values = rng.normal(size=shape) * 2.0 ** rng.integers(-12, 1, (*shape[:2], 1, 1))
    return quantize(values.astype(np.float32), MLS_E2M4, SCALE_E8M1, rng=rng)


def configured(interface: str, results: int, unit: str = "mls_tile", **options: Any) -> Any:
    if unit == "mls_tile":
        options = {"acc_width": 16, **options}  # golden's, and some sums overflow
    configuration = with_interface(configure(unit, **options), interface, results)
    assert isinstance(configuration, StreamConfiguration)
    return configuration


def convolved(
    configuration: StreamConfiguration,
    kind: str = "wa",
    segment: int | None = None,
    count: int | None = None,
    **given: Any,
) -> Traffic:
    """A convolution, or its first `count` outputs, as traffic; golden's result is expected."""
    x, y = (tensor(name) for name in kind)
    size = {"wa": None, "we": (4, 4), "ae": (3, 3)}[kind]
    whole = convolution(kind, x.shape, y.shape, padding=1, size=size, segment=segment)
    options = configuration.options
    lanes, outputs = options["lanes"], np.arange(whole.size)[:count]
    steps = stream(whole, x, y, lanes=lanes, outputs=outputs)
    z = GOLDEN[kind](x, y, segment=segment, lanes=lanes).z
    # Golden's convolutions count overflows; its tile tells of each output's.
    timed = schedule(whole, x, y, lanes=lanes, interval=1, outputs=outputs)
    overflow = reference(configuration.name, options, timed.inputs)["overflow"][timed.finishes]
    results = {"z": z.view(np.uint32).ravel()[outputs].astype(np.int64), "overflow": overflow}
    scale = tensor_scale_code(x, y)
    return make_traffic(
        configuration, steps.inputs, results, tensor_scale=scale, seed=SEED, **given
    )


def dot_convolved(configuration: StreamConfiguration, kind: str, **given: Any) -> Traffic:
    """A convolution in parts of as many products as a lane takes; golden's exact sums are
    expected, of which a window of 64 bits drops nothing here.
    """
    x, y = (tensor(name) for name in kind)
    size = {"wa": None, "we": (4, 4), "ae": (3, 3)}[kind]
    lanes, products = (configuration.options[name] for name in ("lanes", "products"))
    whole = convolution(kind, x.shape, y.shape, padding=1, size=size, segment=products)
    inputs = dot_schedule(whole, x, y, lanes=lanes, products=products).inputs
    steps = {port: codes[1:] for port, codes in inputs.items()}
    z = GOLDEN[kind](x, y, tree="exact", acc_width="auto").z
    results = {"z": z.view(np.uint32).ravel().astype(np.int64)}
    scale = tensor_scale_code(x, y)
    return make_traffic(configuration, steps, results, tensor_scale=scale, seed=SEED, **given)


def assert_clean(result: BenchResult) -> None:
    lines = [*result.mismatches, f"waveform: {result.waveform}"]
    assert not result.mismatches, "\n".join(lines)
    print(f"{result.operations} steps, {result.checked} results")


@pytest.mark.parametrize(
    ("interface", "options", "results", "kind", "given"),
    [
        ("stream", {"lanes": 3}, 2, "wa", {"restart": 500}),
        ("stream", {"lanes": 5}, 5, "wa", {"segment": 2, "sink": 0.0}),
        ("stream", {"lanes": 4, "sharing": 4}, 3, "we", {"source": 0.0, "restart": 1}),
        ("axi", {"lanes": 2}, 64, "ae", {"segment": 6, "restart": 77}),
        ("axi", {"lanes": 5}, 2, "wa", {"segment": 2, "restart": 400, "packet": 4}),
    ],
)
def test_convolution_through_streams(
    interface: str,
    options: dict[str, Any],
    results: int,
    kind: str,
    given: dict[str, Any],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    configuration = configured(interface, results, **options)
    traffic = convolved(configuration, kind, **given)
    simulator = pytestconfig.getoption("--simulator")
    assert_clean(run_traffic(configuration, traffic, tmp_path, simulator))


DOTS = {"format": "2,4", "window": 64}


@pytest.mark.parametrize(
    ("interface", "options", "results", "kind", "given"),
    [
        ("stream", {"lanes": 2, "products": 3}, 2, "wa", {"restart": 200}),
        pytest.param(
            *("stream", {"lanes": 3}, 9, "we", {"sink": 0.0, "source": 0.0, "restart": 1}),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("axi", {"lanes": 2, "products": 4}, 3, "ae", {"restart": 77, "packet": 5}),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("axi", {"lanes": 5}, 16, "wa", {"source": 0.0, "sink": 0.0}), marks=pytest.mark.slow
        ),
    ],
)
def test_convolution_through_streams_of_dots(
    interface: str,
    options: dict[str, Any],
    results: int,
    kind: str,
    given: dict[str, Any],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    configuration = configured(interface, results, "dot_tile", **DOTS | options)
    traffic = dot_convolved(configuration, kind, **given)
    simulator = pytestconfig.getoption("--simulator")
    assert_clean(run_traffic(configuration, traffic, tmp_path, simulator))


@pytest.mark.parametrize("interface", ["stream", "axi"])
def test_one_step_a_cycle_when_neither_side_pauses(interface: str, tmp_path: Path) -> None:
    configuration = configured(interface, 2, lanes=5)
    traffic = convolved(configuration, source=0.0, sink=0.0)
    # Nine steps an output, of one tile. The benches count their cycles against this.
    assert traffic.least_cycles() == traffic.operations + traffic.latency
    assert_clean(run_traffic(configuration, traffic, tmp_path))


@pytest.mark.parametrize(
    ("interface", "unit", "options"),
    [
        ("stream", "mls_tile", {"lanes": 4, "sharing": 2, "tree": "exact", "scale": "4,3"}),
        ("axi", "mls_tile", {"lanes": 3, "tree": "aligned", "tensor_scale": False}),
        ("stream", "fp32_tile", {"lanes": 2, "subnormals": False}),
        ("axi", "fp8_tile", {"lanes": 2, "format": "e5m2"}),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("stream", "dot_tile", {"lanes": 2, "flag": True, "window": 30, "blocks": 4}),
                ("axi", "dot_tile", {"lanes": 1, "tensor_scale": False, "accumulate": "float32"}),
                ("stream", "float_dot", {"lanes": 3}),
                ("axi", "float_dot", {"lanes": 2, "format": "bf16"}),
                ("stream", "block_dot", FP8_DOT),
                ("axi", "block_dot", {"lanes": 2, "cycles": 3}),
                ("stream", "block_dot", {"lanes": 3, "hold": True}),
            )
        ),
    ],
)
def test_every_kind_of_unit_on_its_corners(
    interface: str,
    unit: str,
    options: dict[str, Any],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    configuration = configured(interface, 2, unit, **options)
    simulator = pytestconfig.getoption("--simulator")
    result = run_stream_bench(
        configuration, tmp_path, simulator=simulator, operations=1500, seed=SEED
    )
    assert_clean(result)
    assert result.operations >= 1500


@pytest.mark.parametrize("operations", [1, 100])
@pytest.mark.parametrize("unit", ["mls_tile", "dot_tile", "block_dot"])
def test_operations_are_the_steps_that_a_stream_takes(unit: str, operations: int) -> None:
    """To the end of the output that the last one belongs to, and no further."""
    traffic = corner_traffic(configured("stream", 2, unit), operations, SEED)
    *others, end = traffic.finish.nonzero()[0] + 1
    assert end == traffic.operations >= operations
    assert len(others) + 1 == traffic.checks
    assert all(other < operations for other in others)


# fmt: off
MUTATIONS = [
    ("stream", Mutation(what, owner, name, old, new, "mls_tile", {}))
    for what, owner, name, old, new in (
        ("interval not kept", ConvTile, "elaborate", "last & early", "last & ~last"),
        ("interval forgotten in a reset", ConvTile, "elaborate", "init=self.interval - 1", "init=0"),
        ("slot taken twice", ConvTile, "elaborate", "taken == self.results", "taken == ~taken"),
        ("slot not given back", ConvTile, "elaborate", "take - give", "take"),
        ("start kept over a reset", ConvTile, "_feed", "start = Signal(init=1)", "start = Signal(init=1, reset_less=True)"),
        ("first kept over a reset", ConvTile, "_feed", "first = Signal(init=1)", "first = Signal(init=1, reset_less=True)"),
        ("old output after a reset", ConvTile, "_collect", "Signal(self.tile.latency)", "Signal(self.tile.latency, reset_less=True)"),
        ("finish without last", ConvTile, "elaborate", "step.last | step.finish", "step.last"),
        ("idle operands not idle", ConvTile, "_feed", "Mux(accept, code, idle)", "code"),
        ("interval a cycle too short", ConvTile, "elaborate", "gap.eq(self.interval - 1)", "gap.eq(self.interval - 2)"),
    )
]
MUTATIONS += [
    ("axi", Mutation(what, AxiConvTile, "elaborate", old, new, "mls_tile", {}))
    for what, old, new in (
        ("held step overwritten", "~occupied | core.i.ready", "~occupied | occupied"),
        ("packet's place kept over a reset", "init=1)", "init=1, reset_less=True)"),
        ("every group an output", "held.finish.eq(self.s_axis_tlast)", "held.finish.eq(self.s_axis_tuser)"),
        ("packet a result too long", "place >= self.packet", "place > self.packet"),
    )
]
# fmt: on


@pytest.mark.parametrize(
    ("interface", "mutation"),
    MUTATIONS,
    ids=[mutation.what.replace(" ", "-") for _, mutation in MUTATIONS],
)
def test_mutation_is_caught(
    interface: str, mutation: Mutation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation.apply(monkeypatch)
    configuration = configured(interface, 2, lanes=3)
    # 15 steps an output, in groups shorter than the interval. The reset comes within a group of the
    # second tile of an output, the one before being under way.
    traffic = convolved(
        configuration, segment=3, count=12, restart=15 * 4 + 5, source=0.0, packet=2
    )
    result = run_traffic(configuration, traffic, tmp_path, waves=False)
    assert result.mismatches, mutation.what
