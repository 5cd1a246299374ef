"""Madam: weights on the grid of their codes, and the update against NumPy."""

import copy
import io

import numpy as np
import pytest
import torch

from mlsmac.golden import LNS8, Rounding
from mlsmac.golden.lns import decode
from mlsmac.nn import LnsConfig, Madam, quantized_layers, resnet8
from mlsmac.nn.arrays import rounding_words

SHAPE = (5, 4, 3, 3)


def initial():
    rng = np.random.default_rng(0)
    w = rng.standard_normal(SHAPE).astype(np.float32)
    w[0, 0] = 0  # of which there is no code
    w[1, 1] *= np.float32(2.0**-30)
    w[2, 2] *= 10  # beyond the largest
    return w


def gradients(steps):
    rng = np.random.default_rng(1)
    g = (rng.standard_normal((steps, *SHAPE)) * 2.0 ** rng.integers(-6, 7, SHAPE)).astype(
        np.float32
    )
    g[:, 3, 3] = 0
    return g


def reference(w, grads, rate, bits, gamma, words):
    """The update as the docstring has it, in float64; yields signs, fields and scale."""
    w, top = w.astype(np.float64), 2 ** (bits - 1) - 1
    limit = 3 * np.sqrt((w**2).mean())
    with np.errstate(divide="ignore"):
        field = np.clip(np.rint(top + gamma * np.log2(np.abs(w) / limit)), 1, top)
    sign = np.where(w < 0, -1, 1)
    yield sign, field, limit * 2 ** (1 / gamma)
    v = np.zeros(SHAPE, np.float32)
    for t, g in enumerate(grads, 1):
        v = np.float32(0.999) * v + np.float32(0.001) * (g * g)
        root = np.sqrt(v.astype(np.float64) / (1 - 0.999**t))
        ratio = np.zeros(SHAPE)
        ratio[root > 0] = g[root > 0] / root[root > 0]
        change = -rate * gamma * sign * np.clip(ratio, -10, 10)
        if words is None:
            change = np.rint(change)
        else:
            change = np.floor((np.floor(change * 65536) + words[t - 1]) / 65536)
        field = np.clip(field + change, 1, top)
        yield sign, field, limit * 2 ** (1 / gamma)


@pytest.mark.parametrize(("bits", "gamma", "rate"), [(8, 8, 0.5), (8, 8, 2.0**-7), (16, 2048, 0.1)])
@pytest.mark.parametrize("rounding", list(Rounding))
def test_weights_are_those_of_the_update(bits, gamma, rate, rounding):
    steps = 12
    weight = torch.nn.Parameter(torch.from_numpy(initial()))
    madam = Madam(
        [weight],
        [],
        rate=rate,
        lr=0.1,
        bits=bits,
        gamma=gamma,
        rounding=rounding,
        generator=torch.Generator().manual_seed(4),
    )
    words = None
    if rounding is Rounding.STOCHASTIC:
        drawn = torch.Generator().manual_seed(4)
        words = [
            rounding_words(np.zeros(SHAPE, np.float32), 16, drawn).astype(np.float64)
            for _ in range(steps)
        ]
    expected = reference(initial(), gradients(steps), rate, bits, gamma, words)
    moved = 0
    for step, (sign, field, scale) in enumerate(expected):
        state = madam.state[weight]
        codes = state["codes"].numpy()
        assert np.array_equal(codes, sign * field)
        assert state["scale"] == pytest.approx(scale)
        grid = np.exp2((np.abs(codes) - 2.0 ** (bits - 1)) / gamma) * state["scale"]
        values = (np.sign(codes) * grid).astype(np.float32)
        assert np.array_equal(weight.detach().numpy(), values)
        if step < steps:
            weight.grad = torch.from_numpy(gradients(steps)[step])
            before = weight.detach().clone()
            madam.step()
            moved += int((weight != before).sum())
    assert moved > 0 or (rounding is Rounding.NEAREST and rate < 0.01)


def test_eight_bits_are_golden_numbers():
    weight = torch.nn.Parameter(torch.from_numpy(initial()))
    madam = Madam([weight], [], rate=0.5, lr=0.1)
    for g in gradients(3):
        weight.grad = torch.from_numpy(g)
        madam.step()
    state = madam.state[weight]
    signed = state["codes"].numpy()
    codes = np.where(signed < 0, 128 - signed, signed)
    values = (decode(codes, LNS8) * state["scale"]).astype(np.float32)
    assert np.array_equal(weight.detach().numpy(), values)


def test_other_parameters_take_gradient_descent():
    """As torch has it, to the bit."""
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(4, 3)) for _ in range(2)]
    theirs = copy.deepcopy(ours)
    coded = torch.nn.Parameter(torch.randn(3))
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    madam, sgd = Madam([coded], ours, rate=0.1, **options), torch.optim.SGD(theirs, **options)
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        madam.step()
        sgd.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_converted_weights_are_coded_and_no_others():
    config = LnsConfig()
    model = config.prepare(resnet8(), torch.Generator().manual_seed(0))
    madam = config.optimizer(model, lr=0.1, momentum=0.9, weight_decay=5e-4)
    assert isinstance(madam, Madam)
    assert madam.generator is next(iter(quantized_layers(model).values())).generator
    coded, others = madam.param_groups
    weights = {id(layer.weight) for layer in quantized_layers(model).values()}
    assert {id(p) for p in coded["params"]} == weights
    assert (coded["lr"], others["lr"], others["momentum"]) == (2.0**-7, 0.1, 0.9)
    assert len(weights) + len(others["params"]) == len(list(model.parameters()))
    # The operand of a product is the coded weight itself, but for the rounding of one float32.
    layer = next(iter(quantized_layers(model).values()))
    w = layer.weight.detach()
    again = config.code(w, "w", "wa", _context())
    assert torch.allclose(again, w, rtol=2**-22, atol=0)


def _context():
    from mlsmac.nn.config import Context

    return Context(None, True)


def test_a_checkpoint_goes_on_as_if_nothing_had_been():
    def begin():
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.from_numpy(initial()))
        other = torch.nn.Parameter(torch.ones(2))
        generator = torch.Generator().manual_seed(2)
        options = {"rate": 0.3, "lr": 0.1, "momentum": 0.9, "generator": generator}
        return weight, other, generator, Madam([weight], [other], **options)

    def go(weight, other, madam, grads):
        for g in grads:
            weight.grad, other.grad = torch.from_numpy(g), torch.ones(2)
            madam.step()

    grads = gradients(6)
    weight, other, generator, madam = begin()
    go(weight, other, madam, grads[:3])
    content = io.BytesIO()
    torch.save([weight, other, generator.get_state(), madam.state_dict()], content)
    go(weight, other, madam, grads[3:])
    content.seek(0)
    w, o, words, state = torch.load(content, weights_only=True)
    weight2, other2, generator2, madam2 = begin()
    with torch.no_grad():
        weight2.copy_(w)
        other2.copy_(o)
    generator2.set_state(words)
    madam2.load_state_dict(state)
    go(weight2, other2, madam2, grads[3:])
    assert torch.equal(weight, weight2)
    assert torch.equal(other, other2)


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf")])
def test_rates_are_refused(rate):
    with pytest.raises(ValueError, match="rate must be positive and finite, not"):
        Madam([torch.nn.Parameter(torch.ones(2))], [], rate=rate, lr=0.1)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_weights_are_refused(value):
    with pytest.raises(ValueError, match="weights must be finite and not all zero"):
        Madam([torch.nn.Parameter(torch.full((2,), value))], [], rate=0.1, lr=0.1)
