"""Dot products of MX and NVFP4 blocks on the MLS units, against their definition in rationals."""

from fractions import Fraction

import numpy as np
import pytest

from mlsmac.golden import (
    BLOCK_PRESETS,
    BlockFormat,
    BlockTensor,
    MlsTensor,
    ScaleCoding,
    conv2d,
    exact_tree,
    fp32_tree,
    mls_mac,
    scale_factor,
    to_float32,
)

BLOCKS = 21
"""Blocks of a vector: the tree has odd leaves."""
VECTORS = 100


def rows_of(name: str, standard, tensor_scale: float, seed: int) -> BlockTensor:
    """(VECTORS, BLOCKS, size) blocks: random ones, and vectors of extremes."""
    fmt, rng = BLOCK_PRESETS[name], np.random.default_rng(seed)
    values = standard.elements
    shape = (VECTORS, BLOCKS, fmt.size)
    codes = rng.choice(standard.element_codes, shape)
    if fmt.scale_coding is ScaleCoding.E8M0:
        scales = rng.integers(112, 130, shape[:2])
        scales[2:6] = rng.integers(90, 150, (4, BLOCKS))
    else:
        scales = rng.integers(0, 0x7F, shape[:2])
        scales[2:6] = rng.integers(0, 9, (4, BLOCKS))  # zero, subnormal and the smallest normal
        scales[6:8] = 0x7E
    codes[0] = np.nanargmax(values)
    codes[1] = rng.choice([np.nanargmin(values), np.nanargmax(values)], shape[1:])
    codes[8:10] = rng.choice(np.flatnonzero(np.abs(values) <= np.unique(np.abs(values))[1]))
    return BlockTensor(codes, scales, np.float32(tensor_scale), fmt)


def cancelling(w: BlockTensor, a: BlockTensor, values: np.ndarray) -> None:
    """Vectors 10 to 20: each odd block takes back what the one before it gave, but for one element.

    Block 20 stands alone, and is small."""
    negative = np.full(256, 0)
    for code in np.flatnonzero(~np.isnan(values)):
        negative[code] = np.flatnonzero(values == -values[code])[-1]
    part = slice(10, 20)
    for blocks in (w, a):
        blocks.scale_codes[part, 1::2] = blocks.scale_codes[part, 0:20:2]
        blocks.scale_codes[part, 20] = blocks.scale_codes[part].min(axis=1)
    w.codes[part, 1::2] = negative[w.codes[part, 0:20:2]]
    a.codes[part, 1::2] = a.codes[part, 0:20:2]
    a.codes[part, 1::2, 3] = a.codes[part, 0:20:2, 4]


def exact_blocks(w: BlockTensor, a: BlockTensor, standard) -> list[list[Fraction]]:
    """Scaled dot product of each pair of blocks, exact, without the tensor scales."""
    values = np.nan_to_num(standard.elements) * 2**10
    scales = [Fraction(v) for v in np.nan_to_num(standard.scales).tolist()]
    integers = values.astype(np.int64)
    assert (integers == values).all()
    dots = (integers[w.codes] * integers[a.codes]).sum(axis=2)
    return [
        [
            Fraction(int(dot), 2**20) * scales[i] * scales[j]
            for dot, i, j in zip(row, w_scales, a_scales, strict=True)
        ]
        for row, w_scales, a_scales in zip(dots, w.scale_codes, a.scale_codes, strict=True)
    ]


def rounded(x: Fraction) -> np.float32:
    """Nearest float32, ties to even."""
    near = np.float32(float(x))
    candidates = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)] + [near]
    return min(candidates, key=lambda c: (abs(Fraction(float(c)) - x), int(c.view(np.uint32)) % 2))


def float32_tree(leaves: list[np.float32]) -> np.float32:
    """Neighbours first, an odd one passing through."""
    while len(leaves) > 1:
        pairs = [leaves[i] + leaves[i + 1] for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    return leaves[0]


def mac_sums(w: MlsTensor, a: MlsTensor, fmt: BlockFormat) -> np.ndarray:
    """Each block's sum as the MAC accumulates it, in the proven width: no overflow."""
    start = np.zeros(w.shape, bool)
    start[..., 0] = True
    trace = mls_mac(
        w.codes().ravel(),
        a.codes().ravel(),
        start.ravel(),
        fmt.element,
        acc_width=fmt.acc_width,
    )
    assert not trace.overflow.any()
    return trace.acc.reshape(w.shape)[..., -1].T


CASES = [(name, 1.0, 1.0) for name in BLOCK_PRESETS] + [("nvfp4", 1.7e-3, 0.3e-5)]


@pytest.mark.parametrize(("name", "w_scale", "a_scale"), CASES)
def test_dot_products(name, w_scale, a_scale, standards):
    """exact: the exact dot product rounded once to float32; fp32: the float32 sum of the blocks'
    rounded dot products; both then times fl(S_t_w * S_t_a)."""
    fmt, standard = BLOCK_PRESETS[name], standards[name]
    blocks = rows_of(name, standard, w_scale, 5), rows_of(name, standard, a_scale, 6)
    cancelling(*blocks, standard.elements)
    w, a = (side.to_mls() for side in blocks)
    sums = mac_sums(w, a, fmt)

    factor = scale_factor(
        w.scale_man[..., 0].astype(int), a.scale_man[..., 0].astype(int), fmt.scale
    )
    exponent = w.scale_exp[..., 0].astype(int) + a.scale_exp[..., 0]
    exponent += 2 * (fmt.scale.man_bits + fmt.element.fraction_bits)
    terms, exponent = sums * factor.T, exponent.T
    both = w.tensor_scale * a.tensor_scale
    exact = exact_tree(terms, exponent) * both
    single = fp32_tree(to_float32(terms, exponent)) * both

    tensor_scales = np.float32(w_scale) * np.float32(a_scale)
    zero, nonzero = np.float32(0), 0
    for row, mine, mine_single in zip(exact_blocks(*blocks, standard), exact, single, strict=True):
        total = rounded(sum(row)) * tensor_scales
        assert mine == total
        assert mine_single == float32_tree([rounded(leaf) + zero for leaf in row]) * tensor_scales
        nonzero += total != 0
    assert nonzero > VECTORS // 2

    # The same matrix product as a convolution whose kernels are the blocks.
    for tree, expected in (("exact", exact), ("fp32", single)):
        rows = [
            BlockTensor(side.codes[:, :, None], side.scale_codes[:, :, None], scale, fmt).to_mls()
            for side, scale in zip(blocks, map(np.float32, (w_scale, a_scale)), strict=True)
        ]
        result = conv2d(*rows, acc_width=fmt.acc_width, tree=tree)
        assert (result.z[..., 0, 0].diagonal() == expected).all()
        assert (result.overflow_count, result.sum_count) == (0, VECTORS**2 * BLOCKS)


@pytest.mark.parametrize("name", BLOCK_PRESETS)
def test_a_bit_less_overflows(name):
    """The largest block's sum does not fit `acc_width - 1` bits."""
    fmt = BLOCK_PRESETS[name]
    codes = np.full(fmt.size, fmt.max_code)
    start = np.arange(fmt.size) == 0
    for width, overflows in ((fmt.acc_width, False), (fmt.acc_width - 1, True)):
        trace = mls_mac(codes, codes, start, fmt.element, acc_width=width)
        assert trace.overflow[-1] == overflows


def test_products_of_the_deepest_scales_underflow_to_the_tensor_scale():
    """What float32 tensor scales cannot carry: each operand fits, their product does not."""
    fmt = BLOCK_PRESETS["mxfp4"]
    codes, ones = np.full((1, 1, 1, 32), 2), np.float32(1)
    tiny, huge = (BlockTensor(codes, np.full((1, 1, 1), b), ones, fmt).to_mls() for b in (0, 251))
    assert conv2d(tiny, huge).z.item() == 32 * 2.0 ** (-127 + 124)
    assert conv2d(huge, huge).z.item() == np.inf
    assert conv2d(tiny, tiny).z.item() == 0
