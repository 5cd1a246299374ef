"""Quantizers on an accelerator: values by torch's operators, the bits of golden's.

Float64 and int64 alone: what is exact there in golden (`golden.quantize`) is so on any device whose
float64 division rounds as IEEE 754 has it.
"""

import numpy as np
import torch
from torch import Tensor

from ..golden.integers import shared_exponent
from ..golden.quantize import Grouping, significand
from ..golden.spec import Carry, ElementFormat, FloatFormat, IntFormat, ScaleFormat

_AXES = {Grouping.NC: (0, 1), Grouping.N: (0,), Grouping.C: (1,), Grouping.NONE: ()}
"""Dimensions whose indices name a group."""

_FRACTION = 52
_MOST = 700
_BIAS = 1023


def quantize_values(
    x: Tensor,
    element: ElementFormat,
    scale: ScaleFormat,
    *,
    group: Grouping,
    carry: Carry,
    random_bits: int,
    words: Tensor | None,
    tensor_scale: np.float32 | None = None,
) -> Tensor:
    """Values of the codes of `x`, float32, on its device.

    Parameters: as in `golden.quantize_values`; `words`: R, integers in x's shape; None: nearest.
    Raises: ValueError for values that are not finite.
    Source: docs/numerics.md section 3.
    """
    over = [axis for axis in range(x.ndim) if axis not in _AXES[group]]
    peaks = (x.abs().amax(dim=over, keepdim=True) if over else x.abs()).double()
    # One look at the device: a comparison that is false for NaN and infinities.
    own, finite = torch.stack([peaks.max(), (peaks.max() < torch.inf).double()]).tolist()
    if not finite:
        raise ValueError("x must be finite, not infinite or NaN")
    top = own if tensor_scale is None else float(tensor_scale)
    if top == 0:
        return torch.zeros_like(x)
    group_scale = _group_scale(peaks, top, scale)
    codes = _codes(x, group_scale * top, element, carry, random_bits, words)
    fields = np.arange(1 << (element.code_width - 1))
    mask = (1 << element.man_bits) - 1
    q = significand(fields >> element.man_bits, fields & mask, element)
    steps = torch.from_numpy(np.ldexp(q.astype(np.float64), -element.fraction_bits))
    # The significands of q, S_g and S_t have 39 bits in all: one rounding, to float32.
    value = (steps.to(x.device)[codes] * (group_scale * top)).float()
    return torch.where(x < 0, -value, value)


def float_values(x: Tensor, format: FloatFormat) -> Tensor:
    """The number of `format` nearest to each x, ties to even, none of them above its largest."""
    wide = x.double()
    _, exponent = torch.frexp(wide)
    step = (exponent - 1).clamp(min=format.min_exp) - format.man_bits
    unit = _powers(x)[(step + _MOST).long()]
    return (torch.round(wide / unit) * unit).float()


def fixed_point_values(
    x: Tensor, format: IntFormat, random_bits: int, words: Tensor | None
) -> Tensor:
    """Values of dynamic fixed point: `golden.quantize_fixed_point`. Raises: ValueError."""
    peak = x.abs().max().item()
    if not peak < torch.inf:
        raise ValueError("x must be finite, not infinite or NaN")
    exponent = shared_exponent(peak, format)
    # 1 / 2^k is exact, as are the powers, for Python has them in float64.
    steps = torch.floor(x.double() * 2.0 ** (random_bits - exponent))
    steps = torch.floor(
        (steps + (1 << (random_bits - 1) if words is None else words)) / 2**random_bits
    )
    return (steps * 2.0**exponent + 0.0).float()


def _powers(like: Tensor) -> Tensor:
    """2^-700 to 2^700, exact: torch's own powers round."""
    return torch.from_numpy(np.ldexp(1.0, np.arange(-_MOST, _MOST + 1))).to(like.device)


def _group_scale(peaks: Tensor, top: float, scale: ScaleFormat) -> Tensor:
    """The smallest S_g of the grid that is at least `peaks / top`, or the nearest end of it."""
    fraction, exponent = torch.frexp(peaks)
    top_fraction, top_exponent = np.frexp(top)
    exp = int(top_exponent) - exponent + (fraction <= float(top_fraction)).int()
    powers = _powers(peaks)
    steps = 1 << scale.man_bits
    unit = powers[(_MOST - exp).clamp(0, 2 * _MOST).long()] * top
    man = torch.zeros_like(exp)
    for step in range(steps):
        man += (unit * (1 + step / steps) < peaks).int()
    exp = exp - (man == steps).int()
    man = torch.where(man == steps, 0, man)
    man = torch.where(exp < 0, steps - 1, man)
    below = (exp > scale.max_exp) | (peaks == 0)
    exp = torch.where(below, scale.max_exp, exp.clamp(min=0))
    man = torch.where(below, 0, man)
    return powers[(_MOST - exp).long()] * (1 + man.double() / steps)


def _codes(
    x: Tensor,
    divisor: Tensor,
    element: ElementFormat,
    carry: Carry,
    random_bits: int,
    words: Tensor | None,
) -> Tensor:
    """Exponent and mantissa fields of `|x| / divisor`, side by side, int64."""
    top_exp = 1 << element.exp_bits
    fraction_bits = element.man_bits + random_bits
    y = x.abs().double() / divisor
    # Elements far above the largest code would leave int64 otherwise.
    y = y.clamp(max=4.0)
    y = y + y.clamp(min=2.0 ** (1 - top_exp))
    exact = (y.view(torch.int64) >> (_FRACTION - fraction_bits)) - (
        (_BIAS + 1 - top_exp) << fraction_bits
    )
    random = 1 << (random_bits - 1) if words is None else words.long()
    codes = (exact + random) >> random_bits
    if carry is Carry.CLIP:
        codes = torch.minimum(codes, (exact >> random_bits) | ((1 << element.man_bits) - 1))
    return codes.clamp(max=(top_exp << element.man_bits) - 1)
