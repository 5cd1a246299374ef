"""The dynamic quantizer's two passes."""

from typing import Any

from ..golden.quantizer import mls_quantizer, tensor_statistics
from ..golden.spec import MLS_E2M4, SCALE_E8M1, ElementFormat, Rounding
from ..hw.quantizer.mls_quantizer import MlsQuantizer
from ..hw.quantizer.tensor_statistics import TensorStatistics
from ..support.words import Codes
from .catalogue import Unit
from .corners import quantizers
from .corners.general import drawn
from .integers import generated
from .models import Ports
from .workloads import beats


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
    words = None
    if rounding is Rounding.STOCHASTIC:
        seeds = {"start": inputs["seed"]}
        words = generated(seeds, lanes=lanes, random_bits=random_bits, lfsr_seed=lfsr_seed)["word"]
    return mls_quantizer(
        *(inputs["x"], inputs["start"], inputs["group_max"], inputs["tensor_max"], words),
        element=format,
        random_bits=random_bits,
        **options,
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
)
