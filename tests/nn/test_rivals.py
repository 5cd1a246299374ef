"""Formats of other papers: values as golden has them, training, options."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from mlsmac.golden import (
    BLOCK_PRESETS,
    FP8_E4M3,
    FP8_E5M2,
    INT8,
    INT16,
    LNS8,
    FloatFormat,
    from_float32,
    quantize_affine,
    quantize_blocks,
    quantize_fixed_point,
    quantize_symmetric,
    to_float64,
)
from mlsmac.golden.lns import decode, encode
from mlsmac.golden.lowering import Kind
from mlsmac.nn import (
    BlockConfig,
    Config,
    DfpConfig,
    Fp8Config,
    Int8Config,
    LnsConfig,
    QuantizedConv2d,
    QuantizedLinear,
    RangeBatchNorm2d,
    resnet8,
)
from mlsmac.nn.arrays import rounding_words
from mlsmac.nn.config import Context
from mlsmac.nn.formats import read_config
from mlsmac.nn.rivals import block

SHAPE = (6, 40, 5, 3)
RIVALS = ("int8", "dfp", "lns", "lns --update sgd", "fp8", "block", "block --format nvfp4")
Float32 = npt.NDArray[np.float32]


def tensors() -> dict[str, Float32]:
    """Of large ranges, ties, zeros of both signs."""
    rng = np.random.default_rng(5)
    normal = rng.standard_normal(SHAPE)
    wide = normal * 2.0 ** rng.integers(-60, 60, SHAPE)
    ties = rng.integers(-512, 513, SHAPE) / 64.0
    ties[rng.random(SHAPE) < 0.3] = -0.0
    near_limits = normal * 2.0 ** rng.integers(100, 125, (SHAPE[0], 1, 1, 1))
    tiny = rng.integers(-9, 10, SHAPE) * 2.0**-149
    zeros = np.where(normal > 0, 0.0, -0.0)
    cases = {
        "normal": normal,
        "wide": wide,
        "ties": ties,
        "near_limits": near_limits,
        "tiny": tiny,
        "zeros": zeros,
        "relu": np.maximum(normal, 0),
    }
    return {name: x.astype(np.float32) for name, x in cases.items()}


TENSORS = tensors()


def context(seed: int, training: bool = True) -> Context:
    return Context(torch.Generator().manual_seed(seed), training, name="layer")


def words(seed: int) -> npt.NDArray[np.unsignedinteger]:
    """What a layer draws for the first operand after `context(seed)`."""
    return rounding_words(np.zeros(SHAPE, np.float32), 8, torch.Generator().manual_seed(seed))


def coded(config: Config, x: Float32, letter: str, kind: Kind, training: bool = True) -> Float32:
    return config.code(torch.from_numpy(x), letter, kind, context(3, training)).numpy()


def same(a: Float32, b: npt.NDArray[np.float64]) -> bool:
    """Equal to the bit, signs of zeros among them."""
    with np.errstate(under="ignore"):
        expected = b.astype(np.float32)
    return a.dtype == np.float32 and np.array_equal(a.view(np.int32), expected.view(np.int32))


def signed(codes: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
    return np.where(codes >= 1 << (width - 1), codes - (1 << width), codes)


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize(
    ("letter", "kind", "width"),
    [("w", Kind.WA, 8), ("a", Kind.AE, 8), ("e", Kind.WE, 8), ("e", Kind.AE, 16)],
)
def test_int8_values_are_golden(name: str, letter: str, kind: Kind, width: int) -> None:
    x, format = TENSORS[name], {8: INT8, 16: INT16}[width]
    how = {"rounding": "stochastic", "random": words(3)} if letter == "e" else {}
    codes, zero, scale = quantize_affine(x, format, **how)
    values = (signed(codes, width) - signed(np.array(zero), width)) * scale
    assert same(coded(Int8Config(), x, letter, kind), values)
    codes, scale = quantize_symmetric(x, format, **how)
    assert same(
        coded(Int8Config(scheme="symmetric"), x, letter, kind), signed(codes, width) * scale
    )


@pytest.mark.parametrize("name", TENSORS)
def test_dfp_values_are_golden(name: str) -> None:
    x = TENSORS[name]
    codes, exponent = quantize_fixed_point(x, INT8, random=words(3))
    values = np.ldexp(signed(codes, 8).astype(np.float64), exponent)
    assert same(coded(DfpConfig(), x, "a", Kind.WA), values)
    codes, exponent = quantize_fixed_point(x, INT8, rounding="nearest")
    values = np.ldexp(signed(codes, 8).astype(np.float64), exponent)
    assert same(coded(DfpConfig(), x, "a", Kind.WA, training=False), values)


@pytest.mark.parametrize("name", TENSORS)
def test_lns_values_are_golden(name: str) -> None:
    x = TENSORS[name]
    largest = decode([127], LNS8)[0]
    values = decode(encode(x, LNS8), LNS8) * (np.abs(x).max().astype(np.float64) / largest)
    assert same(coded(LnsConfig(), x, "e", Kind.WE), values)
    per_channel = np.stack([coded(LnsConfig(), part[None], "w", Kind.WA)[0] for part in x])
    found = coded(LnsConfig(scale="channel"), x, "w", Kind.WA)
    assert same(found, per_channel.astype(np.float64))


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize(("letter", "format"), [("w", FP8_E4M3), ("e", FP8_E5M2)])
def test_fp8_values_are_golden(name: str, letter: str, format: FloatFormat) -> None:
    x = TENSORS[name]
    largest, peak = to_float64(format.max_code, format).astype(np.float32), np.abs(x).max()
    with np.errstate(over="ignore"):
        scale = np.minimum(largest / peak, np.finfo(np.float32).max) if peak else np.float32(1)
    for config, factor in ((Fp8Config(), scale), (Fp8Config(scaling="none"), np.float32(1))):
        scaled = np.clip(x * factor, -largest, largest)
        codes = from_float32(scaled, format)
        values = to_float64(codes, format).astype(np.float32) / factor
        assert same(coded(config, x, letter, Kind.WE), values.astype(np.float64))


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("preset", BLOCK_PRESETS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize(("letter", "kind", "axis"), [("w", Kind.WA, 1), ("a", Kind.AE, 0)])
def test_block_values_are_golden(
    name: str, preset: str, rounding: str, letter: str, kind: Kind, axis: int
) -> None:
    x, format = TENSORS[name], BLOCK_PRESETS[preset]

    def in_blocks(y: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Blocks as the last axis, filled up with zeros."""
        y = np.moveaxis(y, axis, -1)
        y = np.pad(y, [(0, 0)] * 3 + [(0, -y.shape[-1] % format.size)])
        return y.reshape(*y.shape[:3], -1, format.size)

    random = in_blocks(words(3)) if rounding == "stochastic" else None
    values = quantize_blocks(in_blocks(x), format, rounding=rounding, random=random).dequantize()
    values = np.moveaxis(values.reshape(*values.shape[:3], -1)[..., : x.shape[axis]], -1, axis)
    found = coded(BlockConfig(format=preset, rounding=rounding), x, letter, kind)
    assert same(found, values)


def test_blocks_lie_along_the_axis_that_is_summed_over() -> None:
    """A scale of its own for each index of every other axis of the product: scaling one of those
    scales the values alike."""
    rng, config = np.random.default_rng(1), BlockConfig(format="mxfp4")
    x = rng.standard_normal((32, 32, 3, 3)).astype(np.float32)
    for (kind, letter), axis in block._AXES.items():
        for other in {0, 1} - {axis}:
            shape = [32 if i == other else 1 for i in range(4)]
            factor = np.exp2(np.arange(32, dtype=np.float32)).reshape(shape)
            scaled = coded(config, x * factor, letter, kind)
            assert np.array_equal(scaled, coded(config, x, letter, kind) * factor)


def test_blocks_of_a_linear_layer_are_of_features() -> None:
    x = np.ones((4, 1, 1, 64), np.float32)
    x *= np.exp2(np.arange(4, dtype=np.float32)).reshape(4, 1, 1, 1)
    x[:, :, :, 32:] *= np.float32(2.0**-20)
    found = coded(BlockConfig(format="mxfp4"), x, "a", Kind.WA)
    assert np.array_equal(found, x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("text", RIVALS)
def test_what_is_not_finite_is_refused(text: str, bad: float) -> None:
    x = torch.ones(2, 3, 4, 4)
    x[1, 2, 3, 0] = bad
    with pytest.raises(FloatingPointError, match=r"^layer, e: x must be finite"):
        read_config(text).code(x, "e", Kind.AE, context(0))


@pytest.mark.parametrize("text", RIVALS)
def test_gradients_are_the_products_of_coded_operands(text: str) -> None:
    """Straight through: of a layer that rounds to nearest, so that operands can be coded again."""
    config = read_config(text)
    plain = {"int8": Int8Config(rounding="nearest"), "dfp": DfpConfig(rounding="nearest")}
    config = plain.get(text, config)
    torch.manual_seed(0)
    layer = QuantizedConv2d(20, 24, 3, 2, padding=1, bias=False, config=config)
    a = torch.randn(34, 20, 9, 7, requires_grad=True)
    z = layer(a)
    e = torch.randn_like(z)
    z.backward(e)
    code = {
        (letter, kind): config.code(y.detach(), letter, kind, context(0))
        for letter, y in (("w", layer.weight), ("a", a), ("e", e))
        for kind in Kind
        if letter in kind.value
    }
    shape = {"stride": 2, "padding": 1}
    wa = functional.conv2d(code["a", Kind.WA], code["w", Kind.WA], **shape)
    assert torch.equal(z, wa)
    by_input = conv2d_input(a.shape, code["w", Kind.WE], code["e", Kind.WE], **shape)
    by_weight = conv2d_weight(code["a", Kind.AE], layer.weight.shape, code["e", Kind.AE], **shape)
    assert torch.allclose(a.grad, by_input, atol=1e-5, rtol=1e-4)
    assert torch.allclose(layer.weight.grad, by_weight, atol=1e-4, rtol=1e-4)


def test_linear_layers_take_every_rival() -> None:
    torch.manual_seed(0)
    a, w = torch.randn(8, 33), torch.randn(5, 33)
    for text in RIVALS:
        layer = QuantizedLinear(33, 5, config=read_config(text))
        with torch.no_grad():
            layer.weight.copy_(w)
        error = (layer(a) - functional.linear(a, w, layer.bias)).abs().max()
        assert 0 < error < 4, text


@pytest.mark.parametrize("text", RIVALS)
def test_training_lowers_the_loss(text: str) -> None:
    """30 steps on patterns of ten classes with noise."""
    torch.manual_seed(0)
    labels = torch.arange(40) % 10
    images = torch.randn(10, 1, 8, 8)[labels] + 0.5 * torch.randn(40, 1, 8, 8)
    config = read_config(text)
    model = config.prepare(resnet8(channels=1), torch.Generator().manual_seed(0))
    optimizer = config.optimizer(model, lr=0.05, momentum=0.9, weight_decay=5e-4)
    losses = []
    for _ in range(30):
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_int8_puts_range_norms_in_place() -> None:
    norms = [
        [m for m in Int8Config(norm=norm).prepare(resnet8()).modules() if isinstance(m, kind)]
        for norm, kind in (("range", RangeBatchNorm2d), ("batch", nn.BatchNorm2d))
    ]
    assert len(norms[0]) == len(norms[1]) == 9
    model = Int8Config().prepare(resnet8())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("int8 --bits 1", r"^bits must be in 2\.\.16, not 1$"),
        ("int8 --grad-bits 17", r"^grad_bits must be in 2\.\.16, not 17$"),
        ("int8 --scheme odd", r"^scheme must be 'affine' or 'symmetric', not 'odd'$"),
        ("int8 --norm layer", r"^norm must be 'range' or 'batch', not 'layer'$"),
        ("int8 --rounding up", r"^rounding must be one of 'stochastic', 'nearest', not 'up'$"),
        ("int8 --random-bits 17", r"^random_bits must be in 1\.\.16, not 17$"),
        ("dfp --bits 17", r"^bits must be in 2\.\.16, not 17$"),
        ("dfp --rounding up", r"^rounding must be one of 'stochastic', 'nearest', not 'up'$"),
        ("dfp --random-bits 0", r"^random_bits must be in 1\.\.16, not 0$"),
        ("dfp --bits x", r"^dfp: bits must be an integer, not 'x'$"),
        ("lns --bits 10", r"^bits must be in 3\.\.9, not 10$"),
        ("lns --gamma 6", r"^gamma must be a power of two, not 6$"),
        ("lns --gamma 32", r"^gamma must be in 2\.\.16, not 32$"),
        ("lns --bits 4 --gamma 8", r"^fraction_bits must be in 1\.\.2, not 3$"),
        ("lns --scale row", r"^scale must be 'tensor' or 'channel', not 'row'$"),
        ("lns --update adam", r"^update must be 'madam' or 'sgd', not 'adam'$"),
        ("lns --update-bits 7", r"^update_bits must be in 8\.\.16, not 7$"),
        ("lns --update-rate 0", r"^update_rate must be a positive number, not '0'$"),
        ("lns --update-rate fast", r"^update_rate must be a positive number, not 'fast'$"),
        ("lns --update-rounding up", r"^update_rounding must be one of 'stochastic', "),
        ("fp8 --scaling delayed", r"^scaling must be 'current' or 'none', not 'delayed'$"),
        ("fp8 --w e9", r"^w must be exp_bits,man_bits \(integers\) or one of fp32, .*not 'e9'$"),
        ("fp8 --a fp32", r"^a must have at most 20 mantissa bits, not E8M23$"),
        ("block --format mxfp5", r"^format must be one of mxfp4, .*, not 'mxfp5'$"),
        ("block --rounding up", r"^rounding must be one of 'stochastic', 'nearest', not 'up'$"),
        ("block --random-bits 17", r"^random_bits must be in 1\.\.16, not 17$"),
        ("block --e.rounding up", r"^rounding must be one of 'stochastic', 'nearest', not 'up'$"),
        ("block --w.w x", r"^w must have fields of format, rounding, random_bits, not 'w'$"),
    ],
)
def test_options_are_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        read_config(text)


def test_kinds_of_options_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^w must be a FloatFormat, not 8$"):
        Fp8Config(w=8)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^format must be a BlockFormat, not 8$"):
        BlockConfig(format=8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^model must have a converted layer"):
        LnsConfig().optimizer(nn.Linear(2, 2), lr=0.1, momentum=0, weight_decay=0)


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("text", ["fp8", "fp8 --scaling none", "dfp --rounding nearest", "int8"])
def test_another_device_has_the_same_bits(text: str, name: str) -> None:
    """Torch's operators where a format has them, by way of the CPU elsewhere."""
    config = read_config(text)
    x = torch.from_numpy(TENSORS[name])
    for letter in "wae":
        found = config.on_device(x, letter, Kind.AE, context(1, training=False))
        expected = config.code(x, letter, Kind.AE, context(1, training=False))
        assert found.numpy().tobytes() == expected.numpy().tobytes()
