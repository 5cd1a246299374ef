"""The dynamic quantizer's two passes."""

from typing import Any

import numpy as np

from ..golden.block_quantizer import block_quantizer
from ..golden.quantizer import mls_quantizer, tensor_statistics
from ..golden.spec import (
    BLOCK_PRESETS,
    MLS_E2M4,
    SCALE_E8M1,
    BlockFormat,
    ElementFormat,
    Rounding,
)
from ..hw.quantizer.block_quantizer import BlockQuantizer
from ..hw.quantizer.mls_quantizer import MlsQuantizer
from ..hw.quantizer.tensor_statistics import TensorStatistics
from ..support.words import Codes
from .catalogue import Unit
from .corners import block_quantizers, quantizers
from .corners.general import drawn
from .integers import generated
from .models import Ports
from .workloads import beats, blocks


def _tensor_statistics(inputs: Ports, *, lanes: int) -> dict[str, Codes]:
    return tensor_statistics(*(inputs[port] for port in ("x", "valid", "first", "last")))


def _mls_quantizer(
    inputs: Ports,
    *,
    format: ElementFormat,
    lanes: int,
    rounding: Rounding,
    random_bits: int,
    lfsr_seed: int,
    **options: Any,
) -> dict[str, Codes]:
    words = _words(inputs, rounding, lanes, random_bits, lfsr_seed)
    return mls_quantizer(
        *(inputs["x"], inputs["start"], inputs["group_max"], inputs["tensor_max"], words),
        element=format,
        random_bits=random_bits,
        **options,
    )


def _words(
    inputs: Ports, rounding: Rounding, lanes: int, random_bits: int, lfsr_seed: int
) -> Codes | None:
    """Of each lane's generator, a beat each; none where rounding is nearest."""
    if rounding is Rounding.NEAREST:
        return None
    seeds = {"start": inputs["seed"]}
    return generated(seeds, lanes=lanes, random_bits=random_bits, lfsr_seed=lfsr_seed)["word"]


def _block_quantizer(
    inputs: Ports,
    *,
    format: BlockFormat,
    lanes: int,
    rounding: Rounding,
    random_bits: int,
    lfsr_seed: int,
) -> dict[str, Codes]:
    first = np.arange(len(inputs["x"])) % (format.size // lanes) == 0
    marks = {port: inputs[port] * first for port in ("seed",) if port in inputs}
    return block_quantizer(
        inputs["x"],
        inputs.get("start", first),
        inputs.get("tensor_scale"),
        _words(marks, rounding, lanes, random_bits, lfsr_seed),
        format=format,
        random_bits=random_bits,
    )


ROWS = (
    Unit(
        name="tensor_statistics",
        description="First pass of the quantizer: largest magnitudes of groups and tensor",
        component=TensorStatistics,
        model=_tensor_statistics,
        corners=drawn(quantizers.statistics),
        workload=beats("x", "valid", "first", "last"),
    ),
    Unit(
        name="mls_quantizer",
        description="Second pass of the quantizer: float32 to MLS codes and scale codes",
        component=MlsQuantizer,
        defaults={"format": MLS_E2M4, "scale": SCALE_E8M1},
        model=_mls_quantizer,
        corners=drawn(quantizers.quantizer),
        workload=beats("x", "start", "group_max", "tensor_max"),
    ),
    Unit(
        name="block_quantizer",
        description="float32 to blocks of OCP MX or NVFP4, scales included",
        component=BlockQuantizer,
        defaults={"format": BLOCK_PRESETS["mxfp4"]},
        model=_block_quantizer,
        corners=drawn(block_quantizers.quantizer),
        workload=blocks,
    ),
)
