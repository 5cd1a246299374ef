"""`quantize` of a tensor: golden's codes and values for the same words."""

import numpy as np
import pytest
import torch

from mlsmac import golden
from mlsmac.golden import MLS_E2M1, SCALE_E8M1
from mlsmac.nn import MlsConfig, quantize


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("group", ["nc", "n", "c", "none"])
def test_codes_and_values_are_goldens(group, last):
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    config = MlsConfig(element="2,1", group=group, e={"element": "2,4"})
    found = quantize(x, config, generator=np.random.default_rng(2))
    rng = np.random.default_rng(2)
    expected = golden.quantize(x.numpy(), MLS_E2M1, SCALE_E8M1, group=group, rng=rng)
    assert np.array_equal(found.codes.codes(), expected.codes())
    assert np.array_equal(found.codes.scale_codes(), expected.scale_codes())
    values = expected.dequantize().astype(np.float32)
    assert np.array_equal(found.values.numpy().view(np.uint32), values.view(np.uint32))
    again = quantize(x, config, generator=torch.Generator().manual_seed(3))
    same = quantize(x, config, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again.values, same.values)
    assert str(quantize(x, config, operand="e").codes.element) == "<2,4>"


def test_what_is_refused():
    with pytest.raises(TypeError, match="config must be an MlsConfig, not 'mls'"):
        quantize(torch.ones(2, 2, 1, 1), "mls")
    with pytest.raises(ValueError, match="operand must be one of w, a, e, not 'wa'"):
        quantize(torch.ones(2, 2, 1, 1), MlsConfig(), operand="wa")
    with pytest.raises(FloatingPointError, match="x, a: x must be finite"):
        quantize(torch.full((2, 2, 1, 1), torch.inf), MlsConfig())
