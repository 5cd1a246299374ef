"""Stimulus of tiles: every product once, the outputs those of the convolutions."""

import numpy as np
import pytest

from mlsmac.data import load
from mlsmac.golden.conv import conv2d, conv2d_input_grad, conv2d_weight_grad
from mlsmac.golden.lowering import Kind
from mlsmac.golden.quantize import quantize
from mlsmac.golden.spec import FP8_E4M3, FP32, MLS_E2M4, SCALE_E8M1, Overflow, Tree
from mlsmac.study.stimuli.tiles import SEGMENT, build, lowered_layer
from mlsmac.units import reference

SEED = 5
OPTIONS = {
    "format": MLS_E2M4,
    "scale": SCALE_E8M1,
    "acc_width": 16,
    "overflow": Overflow.SATURATE,
    "tree": Tree.FP32,
    "guard_bits": 12,
    "tiles": 64,
    "tensor_scale": True,
}


def _small(layer, samples=4, channels=6):
    """A part of a layer."""
    from mlsmac.data import Layer

    w, a, e = (tensor.copy() for tensor in layer.tensors().values())
    return Layer(
        layer.name,
        layer.phase,
        w[:channels, :channels].copy(),
        a[:samples, :channels].copy(),
        e[:samples, :channels].copy(),
        layer.stride,
        layer.padding,
    )


def _results(kind, layer, lanes):
    """Golden's convolution of the whole layer."""
    coded = {
        key: quantize(x, MLS_E2M4, SCALE_E8M1, rng=np.random.default_rng([SEED, number]))
        for number, (key, x) in enumerate(layer.tensors().items())
    }
    first, second = (coded[letter] for letter in kind)
    rules = {"stride": layer.stride, "padding": layer.padding, "lanes": lanes}
    if kind is Kind.WA:
        return conv2d(first, second, **rules)
    if kind is Kind.WE:
        return conv2d_input_grad(first, second, input_size=layer.a.shape[2:], **rules)
    size = layer.w.shape[2:]
    return conv2d_weight_grad(first, second, kernel_size=size, segment=SEGMENT, **rules)


@pytest.mark.parametrize("number", [0, 1, 3], ids=["3x3", "stride 2", "1x1"])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("lanes", [1, 4])
def test_outputs_are_those_of_the_convolution(kind, number, lanes):
    layer = _small(load()[number])
    stimulus = build(2000, SEED, lanes=lanes, interval=4, kinds=[kind], layers=[layer])
    inputs = stimulus.inputs(OPTIONS)
    outputs = reference("mls_tile", OPTIONS | {"lanes": lanes}, inputs)
    z = outputs["z"][inputs["finish"].astype(bool)][1:].astype(np.uint32).view(np.float32)
    places = [run.output for run in stimulus.runs]
    assert len(z) == len(places) > 2
    assert (z == _results(kind, layer, lanes).z.ravel()[places]).all()
    assert np.diff(np.flatnonzero(inputs["last"])).min() >= 4


def test_each_product_is_there_once():
    """By brute force over an output of each kind, padding and strided gaps left out."""
    layer = load()[1]
    stimulus = build(3000, SEED, lanes=16, interval=4, layers=[layer])
    ends = np.flatnonzero(stimulus.steps.finish)
    for run, begin, end in zip(stimulus.runs, ends[:-1] + 1, ends[1:] + 1, strict=True):
        w, a = (getattr(stimulus.steps, port)[begin:end].ravel() for port in "wa")
        used = w >= 0
        assert (used == (a >= 0)).all()
        pairs = list(zip(w[used].tolist(), a[used].tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)
        lowered = lowered_layer(run.kind, layer)
        z = np.unravel_index(run.output, lowered.z)
        group, product = (
            x.ravel() for x in np.indices((lowered.groups, lowered.products), dtype=np.int64)
        )
        first, second = lowered.places(z, group, product)
        inside = np.ones(len(group), bool)
        for indices, shape in ((first, lowered.w), (second, lowered.a)):
            for index, size in zip(indices[2:], shape[2:], strict=True):
                inside &= (index >= 0) & (index < size)
        assert len(pairs) == inside.sum()


@pytest.mark.parametrize("lanes", [4, 16, 64])
def test_kinds_have_equal_shares_and_lanes_are_used(lanes):
    stimulus = build(6000, SEED, lanes=lanes, interval=4)
    products = stimulus.products
    ends = np.flatnonzero(stimulus.steps.finish)
    shares = dict.fromkeys(Kind, 0)
    for run, begin, end in zip(stimulus.runs, ends[:-1] + 1, ends[1:] + 1, strict=True):
        shares[run.kind] += products[begin:end].sum()
    assert min(shares.values()) >= 2000
    assert max(shares.values()) < 2000 + 64 * 9 * lanes
    assert products[1:].mean() > 0.8 * lanes
    # Idle steps lie only where they are needed: a last step follows within the interval.
    idle = (products == 0)[1:]
    assert idle.mean() < 0.2
    again = build(6000, SEED, lanes=lanes, interval=4)
    assert (again.steps.w == stimulus.steps.w).all()


def test_idle_lanes_and_steps_add_nothing():
    stimulus = build(2000, SEED, lanes=7, interval=4)
    mls = stimulus.inputs(OPTIONS)
    idle = stimulus.steps.w < 0
    unused = stimulus.steps.w_group < 0
    assert idle.any()
    assert unused.any()
    assert (mls["w"][idle] == 0).all()
    assert (mls["a"][idle] == 0).all()
    assert (mls["w_scale"][unused] >> 1 == 255).all()
    for fmt in (FP32, FP8_E4M3):
        ports = stimulus.inputs({"format": fmt})
        assert (ports["w"][idle] == 1 << (fmt.code_width - 1)).all()
        assert (ports["a"][idle] == 0).all()
        assert "w_scale" not in ports
        assert "tensor_scale" not in ports


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"macs": 2}, "macs must be in 3.."),
        ({"seed": -1}, "seed must be in 0.."),
        ({"lanes": 0}, "lanes must be in 1.."),
    ],
)
def test_arguments(arguments, message):
    values = {"macs": 100, "seed": SEED, "lanes": 4, "interval": 4} | arguments
    with pytest.raises(ValueError, match=message):
        build(values.pop("macs"), values.pop("seed"), **values)
