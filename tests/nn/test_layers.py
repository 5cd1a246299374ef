"""Layers with coded operands: every product against golden, straight-through gradients."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from mlsmac.golden import (
    MLS_E2M1,
    MLS_E2M4,
    SCALE_E8M1,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    quantize,
    random_words,
)
from mlsmac.golden.lowering import Kind
from mlsmac.nn import Float32Config, MlsConfig, MlsConv2d, MlsLinear, QuantizedConv2d
from mlsmac.nn.arrays import rounding_words

torch.set_num_threads(1)

SHAPES = [(3, 4, 9, 3, 1, 1), (2, 5, 8, 3, 2, 1), (4, 3, 7, 1, 2, 0), (2, 2, 6, 5, 1, 2)]
"""Input and output channels, plane, kernel, stride, padding."""


def _tensor(shape, seed):
    """Values over many binades, with zeros of both signs."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) * np.exp2(rng.integers(-12, 3, shape))
    x.flat[:: max(x.size // 7, 1)] = 0.0
    x.flat[1 :: max(x.size // 5, 1)] = -0.0
    return torch.from_numpy(x.astype(np.float32))


def _coded(x, element=MLS_E2M4, **how):
    return quantize(x.detach().numpy(), element, SCALE_E8M1, **{"rounding": "nearest", **how})


def _values(x, **how):
    return torch.from_numpy(_coded(x, **how).dequantize().astype(np.float32))


def _layer(shape, config, bias=False):
    ci, co, _, kernel, stride, padding = shape
    layer = MlsConv2d(ci, co, kernel, stride, padding, bias=bias, config=config)
    with torch.no_grad():
        layer.weight.copy_(_tensor(layer.weight.shape, 1))
    return layer


def _step(layer, a):
    """Output and gradients for an error."""
    a = a.clone().requires_grad_()
    z = layer(a)
    e = _tensor(z.shape, 3)
    z.backward(e)
    return z.detach(), e, a.grad, layer.weight.grad


@pytest.mark.parametrize("shape", SHAPES)
def test_float_products_are_those_of_the_values(shape):
    layer = _layer(shape, MlsConfig(rounding="nearest"))
    a = _tensor((2, shape[0], shape[2], shape[2]), 2)
    z, e, da, dw = _step(layer, a)

    plain_a = _values(a).requires_grad_()
    plain_w = _values(layer.weight).requires_grad_()
    expected = functional.conv2d(plain_a, plain_w, stride=layer.stride, padding=layer.padding)
    expected.backward(_values(e))
    assert torch.equal(z, expected.detach())
    assert torch.equal(da, plain_a.grad)
    assert torch.equal(dw, plain_w.grad)


@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
@pytest.mark.parametrize("shape", SHAPES)
def test_exact_products_are_those_of_golden(shape, tree):
    widths = {"acc_width": 16, "acc_width_wgrad": 13, "segment": 4, "lanes": 3}
    config = MlsConfig(rounding="nearest", accumulate="exact", tree=tree, **widths)
    layer = _layer(shape, config)
    a = _tensor((2, shape[0], shape[2], shape[2]), 2)
    z, e, da, dw = _step(layer, a)

    q = {"w": _coded(layer.weight), "a": _coded(a), "e": _coded(e)}
    how = {"stride": shape[4], "padding": shape[5], "tree": tree, "segment": 4, "lanes": 3}
    size, kernel = (shape[2],) * 2, (shape[3],) * 2
    results = {
        Kind.WA: conv2d(q["w"], q["a"], acc_width=16, **how),
        Kind.WE: conv2d_input_grad(q["w"], q["e"], input_size=size, acc_width=16, **how),
        Kind.AE: conv2d_weight_grad(q["a"], q["e"], kernel_size=kernel, acc_width=13, **how),
    }
    for kind, found in ((Kind.WA, z), (Kind.WE, da), (Kind.AE, dw)):
        assert np.array_equal(found.numpy(), results[kind].z)
        assert layer.sums[kind].sums == results[kind].sum_count
        assert layer.sums[kind].overflows == results[kind].overflow_count
    assert layer.sums[Kind.AE].overflows > 0


def test_words_of_a_numpy_generator_are_goldens():
    layer = _layer(SHAPES[0], MlsConfig(element=MLS_E2M1))
    layer.generator = np.random.default_rng(5)
    a = _tensor((2, 3, 9, 9), 2)
    z, _, _, _ = _step(layer, a)
    rng = np.random.default_rng(5)
    how = {"rounding": "stochastic", "element": MLS_E2M1, "rng": rng}
    coded_a = _values(a, **how)  # A first, then W
    coded_w = _values(layer.weight, **how)
    assert torch.equal(z, functional.conv2d(coded_a, coded_w, padding=1))


@pytest.mark.parametrize(("bits", "kind"), [(3, np.uint8), (8, np.uint8), (11, np.uint16)])
def test_words_of_torch_are_uniform_and_come_again(bits, kind):
    def draw():
        x = np.zeros((40, 1001), np.float32)
        return rounding_words(x, bits, torch.Generator().manual_seed(3))

    words = draw()
    assert words.dtype == kind
    assert words.shape == (40, 1001)
    assert np.array_equal(words, draw())
    counts = np.bincount(words.reshape(-1), minlength=1 << bits)
    assert len(counts) == 1 << bits
    expected = words.size / len(counts)
    assert ((counts - expected) ** 2).sum() / expected < len(counts) + 6 * (2 * len(counts)) ** 0.5


def test_numpys_words_are_goldens():
    words = rounding_words(np.zeros((7, 3), np.float32), 8, np.random.default_rng(1))
    assert np.array_equal(words, random_words(np.random.default_rng(1), (7, 3), 8))


def test_evaluation_rounds_to_nearest():
    layer = _layer(SHAPES[0], MlsConfig())
    a = _tensor((2, 3, 9, 9), 2)
    noisy = layer(a)
    layer.eval()
    expected = functional.conv2d(_values(a), _values(layer.weight), padding=1)
    assert torch.equal(layer(a), expected)
    assert not torch.equal(noisy, expected)


def test_one_operand_can_differ():
    config = MlsConfig(rounding="nearest", e={"element": "2,1", "group": "none"})
    layer = _layer(SHAPES[0], config)
    a = _tensor((2, 3, 9, 9), 2)
    z, e, da, _ = _step(layer, a)
    assert torch.equal(z, functional.conv2d(_values(a), _values(layer.weight), padding=1))
    coded_e = _values(e, element=MLS_E2M1, group="none")
    expected = torch.nn.grad.conv2d_input(a.shape, _values(layer.weight), coded_e, padding=1)
    assert torch.equal(da, expected)


def test_delayed_scales_are_those_of_the_step_before():
    config = MlsConfig(rounding="nearest", scaling="delayed")
    layer = _layer(SHAPES[0], config)
    a = _tensor((2, 3, 9, 9), 2)
    steps = [a, 4 * a, torch.zeros_like(a), a / 8]
    # The first has its own; zeros leave what was there.
    peaks = [None, a.abs().max(), 4 * a.abs().max(), 4 * a.abs().max()]
    for x, peak in zip(steps, peaks, strict=True):
        given = None if peak is None else np.float32(peak)
        expected = functional.conv2d(
            _values(x, tensor_scale=given), _values(layer.weight), padding=1
        )
        assert torch.equal(layer(x), expected)
    layer.eval()
    given = np.float32(a.abs().max() / 8)
    expected = functional.conv2d(
        _values(9 * a, tensor_scale=given), _values(layer.weight), padding=1
    )
    assert torch.equal(layer(9 * a), expected)
    assert torch.equal(layer(9 * a), expected)
    assert "tensor_scales" in layer.state_dict()


@pytest.mark.parametrize("accumulate", ["float", "exact"])
def test_a_linear_layer_has_rows_as_groups(accumulate):
    config = MlsConfig(rounding="nearest", accumulate=accumulate, acc_width="auto", tree="exact")
    layer = MlsLinear(24, 5, config=config)
    a = _tensor((3, 4, 24), 2).requires_grad_()
    z = layer(a)
    assert z.shape == (3, 4, 5)
    e = _tensor((3, 4, 5), 3)
    z.backward(e)

    def rows(x):
        return _values(x.reshape(-1, x.shape[-1]), group="n").double()

    # A group of E, 1 x 1 planes, is one element.
    errors = torch.from_numpy(_coded(e.reshape(12, 5, 1, 1)).dequantize()).reshape(12, 5)
    expected = rows(a) @ rows(layer.weight).T + layer.bias.double()
    assert torch.allclose(z.reshape(12, 5).double(), expected, rtol=1e-5, atol=1e-6)
    grads = {"a": errors @ rows(layer.weight), "w": errors.T @ rows(a)}
    assert torch.allclose(a.grad.reshape(12, 24).double(), grads["a"], rtol=1e-4, atol=1e-6)
    assert torch.allclose(layer.weight.grad.double(), grads["w"], rtol=1e-4, atol=1e-6)
    assert torch.allclose(layer.bias.grad, e.sum(dim=(0, 1)))


@pytest.mark.parametrize("tree", ["fp32", "aligned", "exact"])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_gradients_of_a_linear_layer_are_goldens(overflow, tree):
    how = {"acc_width": 11, "overflow": overflow, "tree": tree, "lanes": 4}
    config = MlsConfig(rounding="nearest", accumulate="exact", **how)
    layer = MlsLinear(9, 6, bias=False, config=config)
    with torch.no_grad():
        layer.weight.copy_(_tensor((6, 9), 1))
    a = _tensor((5, 9), 2).requires_grad_()
    z = layer(a)
    e = _tensor(z.shape, 3)
    z.backward(e)
    q = {
        "w": _coded(layer.weight.reshape(6, 1, 1, 9)),
        "a": _coded(a.reshape(5, 1, 1, 9)),
        "e": _coded(e.reshape(5, 6, 1, 1)),
    }
    results = {
        Kind.WA: (z, conv2d(q["w"], q["a"], **how)),
        Kind.WE: (a.grad, conv2d_input_grad(q["w"], q["e"], input_size=(1, 9), **how)),
        Kind.AE: (
            layer.weight.grad,
            conv2d_weight_grad(q["a"], q["e"], kernel_size=(1, 9), **how),
        ),
    }
    for kind, (found, result) in results.items():
        assert np.array_equal(found.detach().numpy().reshape(result.z.shape), result.z)
        assert layer.sums[kind].overflows == result.overflow_count
        assert layer.sums[kind].sums == result.sum_count
    assert layer.sums[Kind.WE].overflows > 0


def test_float32_is_torchs_own():
    a = _tensor((2, 4, 9, 9), 2).requires_grad_()
    layer = QuantizedConv2d(4, 6, 3, padding=1, groups=2, dilation=2, config=Float32Config())
    plain = torch.nn.Conv2d(4, 6, 3, padding=1, groups=2, dilation=2)
    plain.load_state_dict(layer.state_dict())
    found = torch.autograd.grad(layer(a).square().sum(), [a, *layer.parameters()])
    expected = torch.autograd.grad(plain(a).square().sum(), [a, *plain.parameters()])
    for x, y in zip(found, expected, strict=True):
        assert torch.allclose(x, y, rtol=1e-5, atol=1e-5)


def test_no_gradient_that_nobody_wants():
    layer = _layer(SHAPES[0], MlsConfig())
    seen = []
    layer.observer = lambda letter, x: seen.append(letter)
    layer(_tensor((2, 3, 9, 9), 2)).sum().backward()
    assert seen == ["a", "w", "e"]
    layer.weight.requires_grad_(False)
    layer(_tensor((2, 3, 9, 9), 2))
    assert seen == ["a", "w", "e", "a", "w"]


def test_operands_that_are_not_finite_name_the_layer():
    layer = _layer(SHAPES[0], MlsConfig())
    layer.name = "block1.conv2"
    a = _tensor((2, 3, 9, 9), 2)
    a[1, 2, 3, 4] = float("nan")
    with pytest.raises(FloatingPointError, match=r"block1\.conv2, a: x must be finite, not nan"):
        layer(a)


def test_other_precisions_are_refused():
    layer = _layer(SHAPES[0], MlsConfig())
    with pytest.raises(TypeError, match=r"operands must be float32, not torch\.float64"):
        layer(_tensor((2, 3, 9, 9), 2).double())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "n", "accumulate": "exact"}, "group must be 'nc' for exact sums, not 'n'"),
        (
            {"e": {"element": "2,1"}, "accumulate": "exact"},
            "element must be the same of all operands for exact sums, not <2,4> of 'w' and <2,1>",
        ),
        ({"scaling": "late"}, "scaling must be one of 'current', 'delayed', not 'late'"),
        ({"accumulate": "int"}, "accumulate must be 'float' or 'exact', not 'int'"),
        ({"acc_width": 1}, r"acc_width must be in 2\.\.64, not 1"),
        ({"w": {"elements": "2,1"}}, "w must have fields of element, .* not 'elements'"),
        ({"element": "2;1"}, "element must be .* not '2;1'"),
        ({"random_bits": 17}, r"random_bits must be in 1\.\.16, not 17"),
        ({"tree": "oak"}, "tree must be one of .* not 'oak'"),
        ({"segment": 0}, "segment must be in .* not 0"),
        ({"lanes": 0}, "lanes must be in .* not 0"),
        ({"guard_bits": 33}, r"guard_bits must be in 0\.\.32, not 33"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MlsConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dilation": 2}, r"dilation must be \(1, 1\) for exact sums, not \(2, 2\)"),
        ({"groups": 2}, "groups must be 1 for exact sums, not 2"),
        ({"padding": (0, 1)}, "padding must be the same of rows and columns"),
        ({"padding_mode": "reflect"}, "padding must be numbers of zeros, not 'reflect'"),
    ],
)
def test_layers_without_exact_sums_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MlsConv2d(4, 4, 3, **options, config=MlsConfig(accumulate="exact"))
