"""The presets of dot units: each is a configuration, and its window holds what is stated."""

import pytest

from mlsmac.golden.spec import Accumulate
from mlsmac.units import configure
from mlsmac.units.dots import PRESETS


@pytest.mark.parametrize("lanes", [8, 16, 32])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_configurations(name: str, lanes: int) -> None:
    configuration = configure("block_dot", **PRESETS[name], lanes=lanes)
    widths = configuration.build().widths
    if configuration.options["accumulate"] is Accumulate.WINDOW:
        assert widths.guard >= 0, "a block of the largest scales must lose nothing"


def test_no_scale_is_written_none() -> None:
    configuration = configure("block_dot", scale="none")
    assert configuration.options["scale"] is None
    assert "unscaled" in configuration.slug
    with pytest.raises(ValueError, match="scale must be"):
        configure("mls_tile", scale="none")
