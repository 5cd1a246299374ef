"""Layers in codes through the Verilog of tiles: right ones pass, wrong hardware and wrong outputs
are found and named.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mlsmac.cli.main import app
from mlsmac.data.quantized import QuantizedLayer, load_layer, save_layer
from mlsmac.golden import MLS_E2M4, SCALE_E8M1, ConvResult, quantize
from mlsmac.golden.lowering import Kind
from mlsmac.golden.spec import ElementFormat, ScaleFormat
from mlsmac.hw.tile.tile_stages import TileAccumulator
from mlsmac.sim.layer_bench import Convolved, Task, run_layer
from mlsmac.sim.tests.test_mutations import Mutation
from mlsmac.units import configure

SEED = 2026


def made(
    kernel: int = 3,
    *,
    stride: int = 2,
    element: ElementFormat = MLS_E2M4,
    scale: ScaleFormat = SCALE_E8M1,
    **more: Any,
) -> QuantizedLayer:
    """Groups of large elements, so that some sums overflow, of scales far apart."""
    rng = np.random.default_rng(SEED)
    plane = (6 + 2 * (kernel // 2) - kernel) // stride + 1
    tensors = {}
    for letter, shape in (
        ("w", (4, 5, kernel, kernel)),
        ("a", (2, 5, 6, 6)),
        ("e", (2, 4, plane, plane)),
    ):
        signs = np.where(rng.random(shape) < 0.3, -1, 1) * np.exp2(
            -rng.integers(0, 12, (*shape[:2], 1, 1))
        )
        values = (rng.uniform(0.5, 1, shape) * signs).astype(np.float32)
        tensors[letter] = quantize(values, element, scale, rng=rng)
    return QuantizedLayer(f"conv {kernel}x{kernel}", tensors, stride, kernel // 2, **more)


def run(
    layer: QuantizedLayer, directory: Path, unit: str = "mls_tile", **options: Any
) -> list[Convolved]:
    segment, outputs = options.pop("segment", None), options.pop("outputs", None)
    tensor = layer.tensors["w"]
    tile = configure(unit, format=tensor.element, scale=tensor.scale, **options)
    tasks = [
        Task(layer=layer, kind=kind, configuration=tile, segment=segment) for kind in layer.kinds
    ]
    how: dict[str, Any] = {"steps": 600, "simulator": "icarus", "seed": SEED}
    return run_layer(tasks, directory, outputs=outputs, **how)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        ({"kernel": 3, "stride": 2}, {"lanes": 4, "acc_width": 16}),
        ({"kernel": 1, "stride": 2}, {"lanes": 2, "acc_width": 16, "overflow": "wrap"}),
        ({"kernel": 3, "stride": 1}, {"lanes": 2, "tree": "aligned", "segment": 4}),
        (
            {"kernel": 3, "scale": ScaleFormat(4, 1)},
            {"lanes": 2, "tree": "exact", "tensor_scale": False},
        ),
    ],
)
def test_tile_computes_layer(
    layer: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    results = run(made(**layer), tmp_path, **options)
    assert [result.convolution for result in results] == ["wa", "we", "ae"]
    for result in results:
        assert (result.mismatches, result.inexact, result.described) == (0, 0, ())
        assert 0 < result.outputs <= result.of
        assert result.flagged is not None
    if options.get("acc_width"):
        assert sum(result.flagged or 0 for result in results) > 0
        assert all(result.overflowed_sums for result in results if result.flagged)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("scale", "options"),
    [
        (ScaleFormat(4, 1), {"accumulate": "exact", "products": 4}),
        pytest.param(SCALE_E8M1, {"window": 24, "products": 9}, marks=pytest.mark.slow),
    ],
)
def test_dots_compute_layer(scale: ScaleFormat, options: dict[str, Any], tmp_path: Path) -> None:
    results = run(made(scale=scale), tmp_path, "dot_tile", lanes=2, outputs=20, **options)
    assert [result.mismatches for result in results] == [0, 0, 0]
    assert [result.sums for result in results] == [None, None, None]
    # A narrow window drops bits, which golden's tile tells.
    assert any(result.inexact for result in results) == ("window" in options)


def test_wrong_hardware_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    what, new = "tile loaded, not added", "x.eq(1 << (_WIDTH - 1))"
    mutation = Mutation(what, TileAccumulator, "elaborate", "x.eq(adder.sum)", new, "mls_tile", {})
    mutation.apply(monkeypatch)
    forward, *_ = run(
        replace(made(), tensors={x: made().tensors[x] for x in "wa"}), tmp_path, lanes=4
    )
    assert forward.mismatches > forward.outputs / 2
    assert forward.described[0].startswith("wa z[0, 0, 0, ")
    assert forward.waveform is not None
    assert Path(forward.waveform).stat().st_size > 0


def test_a_wrong_output_is_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit of one output, in the middle of a run."""
    layer = made(1, stride=1)
    right = Task.golden

    def wrong(task: Task) -> ConvResult:
        result = right(task)
        result.z[1, 2, 3, 4] = np.nextafter(result.z[1, 2, 3, 4], np.float32(9))
        return result

    monkeypatch.setattr(Task, "golden", wrong)
    only = replace(layer, tensors={letter: layer.tensors[letter] for letter in "wa"})
    save_layer(tmp_path / "layer.npz", only)
    command = ["verify", "mls_tile", "--layer", str(tmp_path / "layer.npz"), "--outputs", "all"]
    command += ["--lanes", "4", "--simulator", "icarus", "--build", str(tmp_path / "build")]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 1, done.output
    (result,) = json.loads(done.stdout)["convolutions"]
    assert (result["outputs"], result["of"], result["mismatches"]) == (288, 288, 1)
    (line,) = result["described"]
    assert line.startswith("wa z[1, 2, 3, 4]: z, valid, overflow must be ")
    assert Path(result["waveform"]).is_file()


def test_outputs_are_drawn_alike_with_a_seed() -> None:
    task = Task(
        layer=made(), kind=Kind.WE, configuration=configure("mls_tile", lanes=4, acc_width=16)
    )
    drawn = task.drawn(30, 0, SEED)
    assert drawn.tolist() == task.drawn(30, 0, SEED).tolist()
    assert drawn.tolist() != task.drawn(30, 0, SEED + 1).tolist()
    assert len(set(drawn.tolist())) == 30
    assert len(task.drawn(None, 7 * task.steps, SEED)) == 7
    assert task.drawn(10**9, 0, SEED).tolist() == list(range(task.lowered.size))
    assert np.concatenate([*task.pieces(drawn)]).tolist() == drawn.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "2,1"}, "elements of w must be the tile's <2,1>, not <2,4>"),
        ({"scale": "8,0"}, "scales of w must be the tile's <8,0>, not <8,1>"),
        ({"scale": "4,1", "tree": "exact"}, "scales of w must be the tile's <4,1>, not <8,1>"),
    ],
)
def test_tile_that_cannot_take_it(options: dict[str, Any], message: str) -> None:
    tile = configure("mls_tile", lanes=2, **options)
    with pytest.raises(ValueError, match=message):
        Task(layer=made(), kind=Kind.WA, configuration=tile)


def test_an_output_too_long_for_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlsmac.sim.layer_bench.MEMORY", 27)
    tile = configure("mls_tile", lanes=2)
    Task(layer=made(1), kind=Kind.WA, configuration=tile)
    with pytest.raises(ValueError, match="must take at most 25 steps, not 27"):
        Task(layer=made(3), kind=Kind.WA, configuration=tile)


def test_command(tmp_path: Path) -> None:
    """The layer's settings are taken, the command's options go before."""
    settings = {"acc_width": 17, "acc_width_wgrad": 19, "lanes": 2, "segment": 3, "guard_bits": 3}
    save_layer(tmp_path / "layer.npz", made(settings=settings))
    assert load_layer(tmp_path / "layer.npz").settings == settings
    command = [
        "verify",
        "mls_tile",
        "--layer",
        str(tmp_path / "layer.npz"),
        "--simulator",
        "icarus",
    ]
    command += ["--build", str(tmp_path / "build"), "--outputs", "9", "--lanes", "3"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["layer"], told["seed"], told["mismatches"]) == ("conv 3x3", 2026, 0)
    units = [each["unit"] for each in told["convolutions"]]
    assert units == [
        f"mls_tile_e2m4_s8m1_acc{width}_saturate_lanes3_fp32tree" for width in (17, 17, 19)
    ]
    # Three lanes, segments of 3 of 9 products, intervals of 4: 5 channels are 5 tiles.
    assert told["convolutions"][0]["steps"] == 9 * 5 * 4
    assert told["convolutions"][0]["products"] == 9 * 5 * 9
